"""Layouts of readings from other countries and public data sets."""

from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

from tests.deliveries.layouts.base import (
    HALVES_OF_ONE,
    HOURS,
    OF_ONE,
    ONE,
    QUARTERS,
    Case,
    Row,
    as_json,
    clock,
    columns_of,
    delimited,
    end_of,
    kilowatts,
    kwh,
    kwh_comma,
    local,
    minutes_at_end,
    rows_of,
    start_of,
    wh,
)
from tests.reference.readings import Interval, in_utc

_HELSINKI = ZoneInfo("Europe/Helsinki")


def _eloverblik() -> bytes:
    """Periods of a day in a document of the market, each with its points."""
    periods = []
    for day in sorted({one.day for one in OF_ONE}):
        of_day = [one for one in OF_ONE if one.day == day]
        periods.append(
            {
                "resolution": "PT1H",
                "timeInterval": {"start": f"{of_day[0].start:%Y-%m-%dT%H:%M:%SZ}"},
                "Point": [
                    {"position": str(at), "out_Quantity.quantity": kwh(one), "out_Quantity.quality": "A04"}
                    for at, one in enumerate(of_day, start=1)
                ],
            }
        )
    series = [{"mRID": ONE, "measurement_Unit.name": "KWH", "Period": periods}]
    return as_json({"result": [{"MyEnergyData_MarketDocument": {"TimeSeries": series}, "success": True}]})


def _registers(readings: list[Interval]) -> list[Row]:
    rows: list[Row] = []
    for one in readings:
        day = {"EAN": one.unit, "Van": f"{local(one):%d-%m-%Y %H:%M:%S}"}
        named = "Afname Dag" if 7 <= local(one).hour < 22 else "Afname Nacht"
        rows += [
            {**day, "Register": named, "Volume": kwh_comma(one)},
            {**day, "Register": "Injectie Dag", "Volume": "0,5"},
        ]
    return rows


GREEN_BUTTON = (
    "Name,A CUSTOMER\nAddress,1 STREET\nAccount Number,1\nService,Service 1\n\n"
    + delimited(
        rows_of(
            OF_ONE,
            TYPE=lambda _: "Electric usage",
            DATE=lambda one: f"{one.day}",
            START__TIME=lambda one: f"{local(one):%H:%M}",
            END__TIME=lambda one: f"{local(one):%H}:59",
            USAGE=kwh,
            UNITS=lambda _: "kWh",
            COST=lambda _: "$0.10",
            NOTES=lambda _: "",
        ),
        ",",
    )
).encode()

WINTER = timezone(timedelta(hours=1))

CASES = (
    Case(
        "winter time all year",
        "data loggers and control systems that are never put forward; German and Swiss grid operators",
        {
            "logger.csv": delimited(
                rows_of(
                    QUARTERS,
                    id=lambda one: one.unit,
                    day=lambda one: f"{one.start.astimezone(WINTER):%d.%m.%Y}",
                    time=lambda one: f"{one.start.astimezone(WINTER):%H:%M}",
                    kw=kilowatts,
                )
            ).encode()
        },
        {
            "clock": "winter",
            "interval_minutes": 15,
            "quantity": "power",
            "columns": columns_of(
                "id", timestamp={"column": "day", "date_format": "%d.%m.%Y"}, consumption_elec_kwh="kw"
            ),
        },
        readings=QUARTERS,
    ),
    Case(
        "winter time all year, ends of hours in one text to 24:00",
        "data loggers and control systems that are never put forward",
        {
            "logger.csv": delimited(
                rows_of(
                    HOURS,
                    id=lambda one: one.unit,
                    at=lambda one: (
                        f"{one.start.astimezone(WINTER):%Y-%m-%d} {one.start.astimezone(WINTER).hour + 1:02d}:00"
                    ),
                    kwh=kwh,
                )
            ).encode()
        },
        {
            "clock": "winter",
            "stamp": "end",
            "columns": columns_of("id", timestamp="at", consumption_elec_kwh="kwh"),
        },
        readings=HOURS,
    ),
    Case(
        "Elering: ISO 8601 with the offset of Estonia",
        "Elering, Estfeed, metering data",
        {
            "estfeed.csv": delimited(
                rows_of(
                    HOURS,
                    eic=lambda one: one.unit,
                    periodStart=lambda one: one.start.astimezone(_HELSINKI).isoformat(),
                    kwh=kwh,
                )
            ).encode()
        },
        {"columns": columns_of("eic", timestamp="periodStart", consumption_elec_kwh="kwh")},
        readings=HOURS,
    ),
    Case(
        "Fluvius: registers of day and night and of injection in rows",
        "Fluvius (Belgium), download of consumption",
        {"fluvius.csv": delimited(_registers(HOURS)).encode("utf-8-sig")},
        {
            "only": {"Register": ["Afname Dag", "Afname Nacht"]},
            "columns": columns_of(
                "EAN",
                timestamp={"column": "Van", "date_format": "%d-%m-%Y %H:%M:%S"},
                consumption_elec_kwh="Volume",
            ),
        },
        readings=HOURS,
    ),
    Case(
        "Green Button in XML (ESPI)",
        "greenbuttondata.org",
        {"usage.xml": b"<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>"},
        {"columns": {}},
        stops="the ending tells no format",
    ),
    Case(
        "Green Button CSV of a utility: customer above the header, day and start in two columns",
        "PG&E, Green Button download",
        {"pge.csv": GREEN_BUTTON},
        {
            "header_row": 6,
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": "DATE",
                "time": "START TIME",
                "consumption_elec_kwh": "USAGE",
            },
        },
        readings=OF_ONE,
    ),
    Case(
        "times with AM and PM",
        "SDG&E, Green Button download",
        {
            "sdge.csv": delimited(
                rows_of(
                    OF_ONE,
                    Date=lambda one: f"{one.day:%m/%d/%Y}",
                    Start__Time=lambda one: f"{local(one):%I:%M %p}".lstrip("0"),
                    Consumption=kwh,
                ),
                ",",
            ).encode()
        },
        {
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": {"column": "Date", "date_format": "%m/%d/%Y"},
                "time": "Start Time",
                "consumption_elec_kwh": "Consumption",
            }
        },
        readings=OF_ONE,
    ),
    Case(
        "start and end of the interval in one text",
        "SCE, Green Button download; ENTSO-E Transparency (`MTU`)",
        {
            "mtu.csv": delimited(
                rows_of(
                    OF_ONE,
                    MTU=lambda one: f"{local(one):%d.%m.%Y %H:%M} - {local(one) + timedelta(hours=1):%d.%m.%Y %H:%M}",
                    Load=lambda one: f"{one.kwh / 1000:f}",
                )
            ).encode()
        },
        {
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": {"column": "MTU", "extract": "^(.+) - ", "date_format": "%d.%m.%Y %H:%M"},
                "consumption_elec_kwh": {"column": "Load", "factor": 1000},
            }
        },
        readings=OF_ONE,
    ),
    Case(
        "CIM market document: points by their position in periods",
        "energinet.dk, Eloverblik API; ENTSO-E has the same in XML",
        {"document.json": _eloverblik()},
        {
            "clock": "hour_index",
            "records": "result.MyEnergyData_MarketDocument.TimeSeries.Period.Point",
            "columns": columns_of(
                "mRID",
                timestamp="timeInterval.start",
                hour_index="position",
                consumption_elec_kwh="out_Quantity.quantity",
            ),
        },
        readings=OF_ONE,
    ),
    Case(
        "Enedis load curve: mean power in W at the end of half hours",
        "Enedis (France), `courbe de charge`",
        {
            "enedis.csv": delimited(
                rows_of(HALVES_OF_ONE, Horodate=end_of, Valeur=lambda one: f"{one.kwh * 2000:f}")
            ).encode()
        },
        {
            "interval_minutes": 30,
            "stamp": "end",
            "quantity": "power",
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": "Horodate",
                "consumption_elec_kwh": {"column": "Valeur", "factor": 0.001},
            },
        },
        readings=HALVES_OF_ONE,
    ),
    Case(
        "E-REDES: mean power of quarter hours, `00:15` to `24:00`",
        "E-REDES (Portugal), load diagrams",
        {
            "eredes.csv": delimited(
                rows_of(
                    QUARTERS,
                    CPE=lambda one: one.unit,
                    Data=lambda one: f"{one.day:%Y/%m/%d}",
                    Hora=lambda one: clock(minutes_at_end(one)),
                    kW=kilowatts,
                )
            ).encode()
        },
        {
            "interval_minutes": 15,
            "stamp": "end",
            "quantity": "power",
            "columns": columns_of("CPE", timestamp="Data", time="Hora", consumption_elec_kwh="kW"),
        },
        readings=QUARTERS,
    ),
    Case(
        "seconds since 1970",
        "exports of time series databases (InfluxDB, Home Assistant)",
        {
            "series.csv": delimited(
                rows_of(HOURS, id=lambda one: one.unit, time=lambda one: str(int(one.start.timestamp())), wh=wh), ","
            ).encode()
        },
        {
            "columns": columns_of(
                "id",
                timestamp={"column": "time", "date_format": "unix"},
                consumption_elec_kwh={"column": "wh", "factor": 0.001},
            )
        },
        readings=HOURS,
    ),
    Case(
        "milliseconds since 1970 in JSON lines",
        "exports of document databases",
        {
            "series.jsonl": b"\n".join(
                as_json({"id": one.unit, "at": int(one.start.timestamp() * 1000), "kwh": float(one.kwh)})
                for one in HOURS
            )
        },
        {"columns": columns_of("id", timestamp={"column": "at", "date_format": "unix_ms"}, consumption_elec_kwh="kwh")},
        readings=HOURS,
    ),
    Case(
        "names of time zones, CET and CEST",
        "portals that write `2024-10-27 02:00 CEST`",
        {
            "zonas.csv": delimited(
                rows_of(
                    HOURS,
                    id=lambda one: one.unit,
                    at=lambda one: f"{local(one):%Y-%m-%d %H:%M} {'CEST' if '+02:00' in start_of(one) else 'CET'}",
                    kwh=kwh,
                )
            ).encode()
        },
        {"columns": columns_of("id", timestamp="at", consumption_elec_kwh="kwh")},
        readings=HOURS,
    ),
    Case(
        "readings every minute",
        "UCI, individual household electric power consumption",
        {
            "household.txt": delimited(
                [
                    {"Date": "16/12/2006", "Time": f"17:{minute:02d}:00", "Global_active_power": "4.216"}
                    for minute in range(60)
                ]
            ).encode()
        },
        {
            "format": "csv",
            "interval_minutes": "auto",
            "quantity": "power",
            "columns": {
                "customer_id": {"value": ONE},
                "timestamp": {"column": "Date", "date_format": "%d/%m/%Y"},
                "time": "Time",
                "consumption_elec_kwh": "Global_active_power",
            },
        },
        stops="shorter than a quarter of an hour.*add them up",
    ),
    Case(
        "NEM12: rows of several kinds in one file",
        "AEMO (Australia), meter data file format",
        {
            "nem12.csv": b"100,NEM12,202411050000,MDP1,Retailer1\n200,6301011234,E1,1,E1,N1,1,KWH,30,\n300,20241104,"
            + b"0.5," * 48
            + b"A,,,\n900\n"
        },
        {"columns": columns_of("nmi", timestamp="day", consumption_elec_kwh="kwh")},
        stops="not one row fits the header.*NEM12",
    ),
    Case(
        "MSCONS: EDIFACT",
        "BDEW (Germany), MSCONS",
        {"mscons.csv": b"UNA:+.? 'UNB+UNOC:3+9900000000001:500+9900000000002:500+241104:1200+1'UNH+1+MSCONS'"},
        {"columns": columns_of("id", timestamp="day", consumption_elec_kwh="kwh")},
        stops="is EDIFACT, not CSV",
    ),
    Case(
        "readings of a register that only counts up",
        "DSMR and Linky registers, `total_increasing` of Home Assistant",
        {
            "register.csv": delimited(
                [{"id": ONE, "at": in_utc(one)["timestamp"], "kwh": str(41_000 + at)} for at, one in enumerate(OF_ONE)],
                ",",
            ).encode()
        },
        {"clock": "utc", "columns": columns_of("id", timestamp="at", consumption_elec_kwh="kwh")},
        stops="implausible.*mean_kwh_per_customer_day",
    ),
)
