"""Layouts of readings of Great Britain and Ireland."""

from datetime import timedelta

from tests.deliveries.layouts.base import (
    HALVES,
    HALVES_OF_ONE,
    ONE,
    Case,
    Row,
    as_json,
    columns_of,
    delimited,
    end_of,
    kilowatts,
    kwh,
    local,
    number_in_day,
    start_of,
)
from tests.reference.readings import in_utc


def _settlement_days() -> list[Row]:
    rows: dict[tuple[str, str], Row] = {}
    for one in HALVES:
        key = one.unit, f"{one.day:%d/%m/%Y}"
        row = rows.setdefault(key, {"MPAN": key[0], "Date": key[1], **{f"HH{at:02d}": "" for at in range(1, 51)}})
        row[f"HH{number_in_day(one):02d}"] = kwh(one)
    return list(rows.values())


ESB = [
    {
        "MPRN": one.unit,
        "Meter Serial Number": "1",
        "Read Value": value,
        "Read Type": kind,
        "Read Date and End Time": (local(one) + timedelta(minutes=30)).strftime("%d-%m-%Y %H:%M"),
    }
    for one in reversed(HALVES)
    for kind, value in (("Active Import Interval (kW)", kilowatts(one)), ("Active Export Interval (kW)", "0.9"))
]


ESB_COLUMNS = columns_of(
    "MPRN",
    timestamp={"column": "Read Date and End Time", "date_format": "%d-%m-%Y %H:%M"},
    consumption_elec_kwh="Read Value",
)


LONDON = (
    delimited(
        [
            {
                "LCLid": one.unit,
                "stdorToU": "Std",
                "DateTime": f"{in_utc(one)['timestamp']}:00.0000000",
                "KWH/hh (per half hour) ": kwh(one),
            }
            for one in HALVES
        ],
        ",",
    )
    + f"{ONE},Std,2024-11-04 15:13:41.0000000,Null\n"
).encode()


LONDON_COLUMNS = columns_of("LCLid", timestamp="DateTime", consumption_elec_kwh="KWH/hh (per half hour)")


CASES = (
    Case(
        "one row per day with 48 columns, 50 in autumn",
        "24 layouts of half-hourly data (blog.ldodds.com, 2021); settlement periods of Elexon",
        {"hh.csv": delimited(_settlement_days(), ",").encode()},
        {
            "clock": "hour_index",
            "interval_minutes": 30,
            "wide": {"columns": "^HH([0-9]+)$", "name": "period", "value": "kwh"},
            "columns": columns_of(
                "MPAN",
                timestamp={"column": "Date", "date_format": "%d/%m/%Y"},
                hour_index="period",
                consumption_elec_kwh="kwh",
            ),
        },
        readings=HALVES,
    ),
    Case(
        "Octopus CSV: start and end with offset, blanks after the commas of the header",
        "Octopus Energy, download of consumption",
        {
            "octopus.csv": delimited(
                [
                    {"Consumption (kwh)": kwh(one), " Start": f" {start_of(one)}", " End": f" {end_of(one)}"}
                    for one in HALVES_OF_ONE
                ],
                ",",
            ).encode()
        },
        {
            "interval_minutes": 30,
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": "Start",
                "consumption_elec_kwh": "Consumption (kwh)",
            },
        },
        readings=HALVES_OF_ONE,
    ),
    Case(
        "Octopus API: `results` of a page, newest first",
        "developer.octopus.energy, list consumption for a meter",
        {
            "page.json": as_json(
                {
                    "count": len(HALVES_OF_ONE),
                    "next": None,
                    "results": [
                        {"consumption": float(one.kwh), "interval_start": start_of(one), "interval_end": end_of(one)}
                        for one in reversed(HALVES_OF_ONE)
                    ],
                }
            )
        },
        {
            "interval_minutes": 30,
            "records": "results",
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": "interval_start",
                "consumption_elec_kwh": "consumption",
            },
        },
        readings=HALVES_OF_ONE,
    ),
    Case(
        "Low Carbon London: fractions of seconds, `Null`, a reading off the half hour",
        "London Datastore, SmartMeter Energy Consumption Data",
        {"lcl.csv": LONDON},
        {"clock": "utc", "interval_minutes": 30, "missing": ["Null"], "columns": LONDON_COLUMNS},
        readings=HALVES,
        counted={"off_interval": 1},
    ),
    Case(
        "ESB Networks HDF: mean power at the end of half hours, import and export in rows, newest first",
        "ESB Networks, harmonised downloadable file, as read by public parsers",
        {"HDF.csv": delimited(ESB, ",").encode()},
        {
            "interval_minutes": 30,
            "stamp": "end",
            "quantity": "power",
            "only": {"Read Type": ["Active Import Interval (kW)"]},
            "columns": ESB_COLUMNS,
        },
        readings=HALVES,
    ),
    Case(
        "the same without `only`: import and export of one interval contradict each other",
        "ESB Networks, harmonised downloadable file",
        {"HDF.csv": delimited(ESB, ",").encode()},
        {"interval_minutes": 30, "stamp": "end", "quantity": "power", "columns": ESB_COLUMNS},
        stops="readings of the same interval say different things .*`only`",
    ),
    Case(
        "CER Ireland: no header, blanks between, day and half hour in one code",
        "CER smart metering trial, Irish Social Science Data Archive (0012-00)",
        {"File1.txt": "".join(f"{1000 + at % 2} {19503 + at} 0.{at:03d}\n" for at in range(9)).encode()},
        {
            "format": "csv",
            "delimiter": " ",
            "header_row": 0,
            "names": ["meter", "code", "kwh"],
            "interval_minutes": 30,
            "columns": columns_of("meter", timestamp="code", consumption_elec_kwh="kwh"),
        },
        stops="every row is rejected .*invalid_timestamp.*date_format",
    ),
)
