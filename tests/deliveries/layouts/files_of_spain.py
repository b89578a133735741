"""Spanish layouts beside portals: files between distributors and retailers, SIPS, messages, spreadsheets."""

import bz2

from tests.deliveries.layouts.base import (
    HOURS,
    OF_ONE,
    ONE,
    Case,
    Row,
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
from tests.reference.readings import Interval


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


REE = "measurement files between distributors and retailers (REE/SIMEL), as gisce/mesures writes them"


CASES = (
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
