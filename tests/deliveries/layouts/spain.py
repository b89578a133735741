"""Layouts of Spanish readings: portals of distributors, Datadis, files between distributors and retailers, SIPS."""

import io
import zipfile

from tests.deliveries.layouts.base import (
    HALVES,
    HOURS,
    OF_ONE,
    ONE,
    OTHER,
    QUARTERS,
    Case,
    Row,
    as_json,
    clock,
    columns_of,
    delimited,
    kwh,
    kwh_comma,
    local,
    minutes_at_end,
    number_in_day,
    rows_of,
    wh,
)
from tests.reference.readings import Interval, day_and_end, in_utc, with_offset


def _cups22(one: Interval) -> str:
    return one.unit + ("0F" if local(one).hour % 2 else "1P")


def _datadis(readings: list[Interval]) -> list[Row]:
    return rows_of(
        readings,
        cups=lambda one: one.unit + "0F",
        fecha=lambda one: day_and_end(one, by_start=True)["timestamp"],
        hora=lambda one: day_and_end(one, by_start=True)["time"],
        consumo_kWh=kwh_comma,
        metodoObtencion=lambda _: "Real",
        energiaVertida_kWh=lambda _: "0",
    )


def _api(readings: list[Interval]) -> list[dict[str, object]]:
    return [
        {
            "cups": one.unit,
            "date": day_and_end(one, by_start=True)["timestamp"],
            "time": day_and_end(one, by_start=True)["time"],
            "consumptionKWh": float(one.kwh),
            "obtainMethod": "Real",
            "surplusEnergyKWh": 0.0,
        }
        for one in readings
    ]


DATADIS = columns_of("cups", timestamp="fecha", time="hora", consumption_elec_kwh="consumo_kWh")
API = columns_of("cups", timestamp="date", time="time", consumption_elec_kwh="consumptionKWh")


def _endesa(readings: list[Interval]) -> list[Row]:
    return rows_of(
        readings,
        CUPS=_cups22,
        Fecha=lambda one: f"{one.day:%d/%m/%Y}",
        Hora=lambda one: str(number_in_day(one)),
        AE_kWh=kwh_comma,
        AS_KWh=lambda _: "0,000",
        REAL_ESTIMADO=lambda _: "R",
    )


ENDESA = columns_of(
    "CUPS",
    timestamp={"column": "Fecha", "date_format": "%d/%m/%Y"},
    hour_index="Hora",
    consumption_elec_kwh="AE_kWh",
    is_estimated={"column": "REAL_ESTIMADO", "codes": {"R": "false", "E": "true"}},
)


def _ide(readings: list[Interval]) -> list[Row]:
    return [
        {
            "CUPS": one.unit,
            "FECHA-HORA": f"{one.day:%Y/%m/%d} {clock(minutes_at_end(one))}",
            "INV / VER": str(int(one.start.month in range(4, 11))),
            "CONSUMO Wh": wh(one),
            "GENERACION Wh": "0",
        }
        for one in readings
    ]


IDE = columns_of(
    "CUPS",
    timestamp={"column": "FECHA-HORA", "date_format": "%Y/%m/%d %H:%M"},
    consumption_elec_kwh={"column": "CONSUMO Wh", "factor": 0.001},
)


def _zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for unit in (ONE, OTHER):
            of_unit = [one for one in HOURS if one.unit == unit]
            archive.writestr(f"2024/{unit}_2024.csv", delimited(_endesa(of_unit)))
        archive.writestr("LEEME.txt", "nothing")
    return sink.getvalue()


E_DISTRIBUCION = "e-distribución's portal, as read by public parsers of its CSV"
I_DE = "i-DE's portal, as read by public parsers of its CSV"

CASES = (
    Case(
        "Datadis CSV: day and `01:00` to `24:00`, decimal comma, byte order mark",
        "issue; datadis.es, download",
        {"datadis.csv": ("\ufeff" + delimited(_datadis(HOURS))).encode()},
        {"stamp": "end", "columns": DATADIS},
        readings=HOURS,
    ),
    Case(
        "Datadis JSON: array of objects",
        "issue; datadis.es, API `get-consumption-data`",
        {"datadis.json": as_json(_api(HOURS))},
        {"stamp": "end", "columns": API},
        readings=HOURS,
    ),
    Case(
        "Datadis JSON of the second API: the list in an object in an object",
        "datadis.es, API `get-consumption-data-v2`",
        {"v2.json": as_json({"response": {"timeCurve": _api(HOURS), "distributorError": []}})},
        {"stamp": "end", "records": "response.timeCurve", "columns": API},
        readings=HOURS,
    ),
    Case(
        "the same without `records`",
        "datadis.es, API `get-consumption-data-v2`",
        {"v2.json": as_json({"response": {"timeCurve": _api(HOURS), "distributorError": []}})},
        {"stamp": "end", "columns": API},
        stops="e.g. response.timeCurve. Say where they are: `records: <path>`",
    ),
    Case(
        "an answer that tells of an error instead of the list",
        "datadis.es, API, when a distributor does not answer",
        {"v2.json": as_json({"response": {"distributorError": [{"distributorCode": "2", "errorCode": "500"}]}})},
        {"stamp": "end", "records": "response.timeCurve", "columns": API},
        stops="has no list of records at `records: response.timeCurve`",
    ),
    Case(
        "Datadis quarter hours, `00:15` to `24:00`",
        "datadis.es, API, `measurementType=1`",
        {"datadis.json": as_json(_api(QUARTERS))},
        {"stamp": "end", "interval_minutes": 15, "columns": API},
        readings=QUARTERS,
    ),
    Case(
        "e-distribución CSV: hour 1 to 25, `AE_kWh`, real or estimated",
        E_DISTRIBUCION,
        {"consumo.csv": delimited(_endesa(HOURS)).encode()},
        {"clock": "hour_index", "columns": ENDESA},
        readings=HOURS,
    ),
    Case(
        "e-distribución ZIP: a file per supply point in folders, and a note",
        E_DISTRIBUCION,
        {"consumo.zip": _zipped()},
        {"clock": "hour_index", "columns": ENDESA},
        readings=HOURS,
    ),
    Case(
        "e-distribución CSV under `clock: civil`",
        E_DISTRIBUCION,
        {"consumo.csv": delimited(_endesa(OF_ONE)).encode()},
        {
            "stamp": "end",
            "columns": {**{name: one for name, one in ENDESA.items() if name != "hour_index"}, "time": "Hora"},
        },
        stops="times go beyond 24.*`clock: hour_index`",
    ),
    Case(
        "i-DE CSV: `FECHA-HORA` to `24:00`, Wh, flag of the season",
        I_DE,
        {"ide.csv": delimited(_ide(HOURS)).encode()},
        {"stamp": "end", "columns": IDE},
        readings=HOURS,
    ),
    Case(
        "i-DE CSV whose rows end with a delimiter more than the header",
        I_DE,
        {"ide.csv": delimited(_ide(HOURS), end=";\n").replace(";\n", "\n", 1).encode()},
        {"stamp": "end", "columns": IDE},
        readings=HOURS,
    ),
    Case(
        "the file's name holds the supply point",
        "portals of distributors: one download per supply point",
        {
            f"{unit}0F.csv": delimited(
                rows_of([one for one in HOURS if one.unit == unit], utc=lambda one: in_utc(one)["timestamp"], kwh=kwh)
            ).encode()
            for unit in (ONE, OTHER)
        },
        {
            "files": "*.csv",
            "clock": "utc",
            "columns": {
                "customer_id": {"file_pattern": r"(ES\w+)\.csv"},
                "timestamp": "utc",
                "consumption_elec_kwh": "kwh",
            },
        },
        readings=HOURS,
    ),
    Case(
        "a distributor that turned from hours to quarter hours, both in one delivery",
        "quarter-hourly settlement (MTU15) from 2025 on",
        {
            "horas.json": as_json(_api([one for one in HOURS if one.start.month < 10])),
            "cuartos.json": as_json(_api([one for one in QUARTERS if one.start.month >= 10])),
        },
        {"files": "*.json", "stamp": "end", "interval_minutes": "auto", "columns": API},
        readings=[one for one in HOURS if one.start.month < 10] + [one for one in QUARTERS if one.start.month >= 10],
    ),
    Case(
        "half-hourly readings in ISO 8601 with offset, Wh",
        "issue",
        {
            "medias.csv": delimited(
                rows_of(
                    HALVES,
                    punto=lambda one: one.unit,
                    instante=lambda one: with_offset(one)["timestamp"],
                    energia_wh=wh,
                )
            ).encode()
        },
        {
            "interval_minutes": 30,
            "columns": columns_of(
                "punto", timestamp="instante", consumption_elec_kwh={"column": "energia_wh", "factor": 0.001}
            ),
        },
        readings=HALVES,
    ),
)
