"""Layouts of Spanish readings: portals of distributors, Datadis, files between distributors and retailers, SIPS."""

import bz2
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


def _f5d(readings: list[Interval]) -> list[Row]:
    return rows_of(
        readings,
        cups=lambda one: one.unit + "0F",
        hora=lambda one: f"{one.day:%Y/%m/%d} {clock(minutes_at_end(one))}:00",
        bandera=lambda one: str(int(one.start.month in range(4, 11))),
        ai=wh,
        ae=lambda _: "0",
        r1=lambda _: "0",
        r2=lambda _: "0",
        r3=lambda _: "0",
        r4=lambda _: "0",
        metodo=lambda _: "1",
        firmeza=lambda _: "1",
        factura=lambda _: "F2411A",
    )


F5D_NAMES = ["cups", "hora", "bandera", "ai", "ae", "r1", "r2", "r3", "r4", "metodo", "firmeza", "factura"]
F5D = columns_of(
    "cups",
    timestamp={"column": "hora", "date_format": "%Y/%m/%d %H:%M:%S"},
    consumption_elec_kwh={"column": "ai", "factor": 0.001},
    recorded_at={"file_pattern": r"_(\d{8})\.", "date_format": "%Y%m%d"},
)
F5D_TEXT = delimited(_f5d(HOURS), end=";\n", header=False)


def _zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for unit in (ONE, OTHER):
            of_unit = [one for one in HOURS if one.unit == unit]
            archive.writestr(f"2024/{unit}_2024.csv", delimited(_endesa(of_unit)))
        archive.writestr("LEEME.txt", "nothing")
    return sink.getvalue()


def _wide(readings: list[Interval], name: str = "H{:02d}") -> list[Row]:
    """One row per supply point and day, one column per hour; the 25th is empty but for one day."""
    rows: dict[tuple[str, str], Row] = {}
    for one in readings:
        key = one.unit, f"{one.day:%d/%m/%Y}"
        row = rows.setdefault(
            key, {"CUPS": key[0], "FECHA": key[1], **{name.format(hour): "" for hour in range(1, 26)}}
        )
        row[name.format(number_in_day(one))] = kwh_comma(one)
    return list(rows.values())


WIDE = columns_of(
    "CUPS",
    timestamp={"column": "FECHA", "date_format": "%d/%m/%Y"},
    hour_index="interval",
    consumption_elec_kwh="value",
)
RANGES = rows_of(
    OF_ONE,
    Dia=lambda one: f"{one.day:%d/%m/%Y}",
    Hora=lambda one: f"{local(one).hour:02d}-{(local(one).hour + 1) % 24:02d}",
    Consumo=lambda one: f"{kwh_comma(one)} kWh",
)
PERIODS = [
    {
        "CUPS": one.unit,
        "fecha": f"{local(one):%Y-%m-%d %H:%M}",
        "P1": kwh(one) if local(one).hour % 3 == 0 else "0",
        "P2": kwh(one) if local(one).hour % 3 == 1 else "0",
        "P3": kwh(one) if local(one).hour % 3 == 2 else "0",
    }
    for one in HOURS
]
SIPS_ROW = {
    "cups": ONE + "0F",
    "fechaInicioMesConsumo": "2024-01-15",
    "fechaFinMesConsumo": "2024-02-14",
    "codigoTarifaATR": "018",
    **{f"consumoEnergiaActivaEnWhP{period}": str(1000 * period) for period in range(1, 7)},
}
NOT_TOLD = {
    name: {"absent": "not told"}
    for name in (
        "is_industrial", "is_second_residence", "region", "is_high_competition_province", "is_urban", "sales_channel"
    )
}  # fmt: skip
XML = b"<?xml version='1.0' encoding='UTF-8'?>\n<MensajeBajaSuspension><Cabecera/></MensajeBajaSuspension>\n"
E_DISTRIBUCION = "e-distribución's portal, as read by public parsers of its CSV"
I_DE = "i-DE's portal, as read by public parsers of its CSV"
REE = "measurement files between distributors and retailers (REE/SIMEL), as gisce/mesures writes them"

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
        "F5D file: no header, `;` at the end of a line, Wh, ending `.0`",
        REE,
        {"F5D_0021_0762_20241112.0": F5D_TEXT.encode()},
        {"format": "csv", "header_row": 0, "names": F5D_NAMES, "stamp": "end", "columns": F5D},
        readings=HOURS,
    ),
    Case(
        "F5D file packed with bzip2",
        REE,
        {"F5D_0021_0762_20241112.0.bz2": bz2.compress(F5D_TEXT.encode())},
        {"format": "csv", "header_row": 0, "names": F5D_NAMES, "stamp": "end", "columns": F5D},
        readings=HOURS,
    ),
    Case(
        "F5D file without `format`",
        REE,
        {"F5D_0021_0762_20241112.0": F5D_TEXT.encode()},
        {"header_row": 0, "names": F5D_NAMES, "stamp": "end", "columns": F5D},
        stops="the ending tells no format; set `format`",
    ),
    Case(
        "F5D file without `names`: its first row is taken for a header",
        REE,
        {"F5D_0021_0762_20241112.0": F5D_TEXT.encode()},
        {"format": "csv", "stamp": "end", "columns": F5D},
        stops="the header names a column more than once .*`header_row: 0` where it is a row of data",
    ),
    Case(
        "one row per day with columns H01 to H25",
        "load curves in workbooks of distributors; 25 hours by REE's numbering",
        {"curva.csv": delimited(_wide(HOURS)).encode("latin-1")},
        {"clock": "hour_index", "wide": {"columns": "^H([0-9]+)$"}, "encoding": "latin-1", "columns": WIDE},
        readings=HOURS,
    ),
    Case(
        "hours as `00-01` to `23-00`, values with their unit",
        "e-sios, PVPC files (`Hora: 00-01`); portals that show tables",
        {"tabla.csv": delimited(RANGES).encode()},
        {
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": {"column": "Dia", "date_format": "%d/%m/%Y"},
                "time": {"column": "Hora", "extract": "^([0-9]+)-"},
                "consumption_elec_kwh": {"column": "Consumo", "extract": "^([0-9,]+)"},
            }
        },
        readings=OF_ONE,
    ),
    Case(
        "one column per tariff period, to be added up",
        "portals and invoices that tell P1 to P3",
        {"periodos.csv": delimited(PERIODS).encode()},
        {"columns": columns_of("CUPS", timestamp="fecha", consumption_elec_kwh={"column": "P1", "plus": ["P2", "P3"]})},
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
    Case(
        "SIPS consumption: months in six periods, Wh",
        "CNMC, `SIPS2_CONSUMOS_ELECTRICIDAD.csv`",
        {"SIPS2_CONSUMOS_ELECTRICIDAD.csv": delimited([SIPS_ROW], ",").encode()},
        {
            "columns": {
                "customer_id": "cups",
                "period_start": "fechaInicioMesConsumo",
                "period_end": "fechaFinMesConsumo",
                "consumption_elec_kwh": {
                    "column": "consumoEnergiaActivaEnWhP1",
                    "plus": [f"consumoEnergiaActivaEnWhP{period}" for period in range(2, 7)],
                    "factor": 0.001,
                },
                "consumption_gas_m3": {"absent": "electricity only"},
            }
        },
        source="consumption_periods",
        rows=[{"customer_id": ONE, "consumption_elec_kwh": 21.0, "period_end": "2024-02-14"}],
    ),
    Case(
        "SIPS supply points: contracted power in W, province by code",
        "CNMC, `SIPS2_PS_ELECTRICIDAD.csv`",
        {
            "SIPS2_PS_ELECTRICIDAD.csv": delimited(
                [{"cups": ONE, "codigoProvinciaPS": "8", "potenciasContratadasEnWP1": "4600"}], ","
            ).encode()
        },
        {
            "columns": {
                "customer_id": "cups",
                **NOT_TOLD,
                "province_code": "codigoProvinciaPS",
                "contracted_power_kw": {"column": "potenciasContratadasEnWP1", "factor": 0.001},
            }
        },
        source="customer_attributes",
        rows=[{"customer_id": ONE, "province_code": "08", "contracted_power_kw": 4.6}],
    ),
    Case(
        "switching message in XML",
        "CNMC, formats of messages between distributors and retailers (A3, B1, C1)",
        {"B1_05.xml": XML},
        {"columns": {}},
        source="churn_label",
        stops="the ending tells no format",
    ),
    Case(
        "the same under the name of a CSV file",
        "CNMC, formats of messages between distributors and retailers (A3, B1, C1)",
        {"B1_05.csv": XML},
        {"columns": {}},
        source="churn_label",
        stops="is XML or HTML",
    ),
    Case(
        "thousands of Wh with a point: `1.234`",
        "workbooks in Spanish, saved as CSV",
        {
            "miles.csv": delimited(
                rows_of(
                    OF_ONE,
                    cups=lambda one: one.unit,
                    hora=lambda one: f"{local(one):%Y-%m-%d %H:%M}",
                    wh=lambda one: f"{int(one.kwh * 1000):,}".replace(",", "."),
                )
            ).encode()
        },
        {
            "decimal": "comma",
            "columns": columns_of("cups", timestamp="hora", consumption_elec_kwh={"column": "wh", "factor": 0.001}),
        },
        readings=OF_ONE,
    ),
)
