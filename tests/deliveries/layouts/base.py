"""What a case is, true readings for it, and small ways of writing files."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.reference.daily import MADRID
from tests.reference.readings import Interval, end_with_offset, intervals_of, with_offset

# The 23-hour day, the 25-hour day and a working day of 2024.
DAYS = (date(2024, 3, 31), date(2024, 10, 27), date(2024, 11, 4))
ONE, OTHER = "ES0031405000000001JN", "ES0021000000000002TB"
HOURLY = "consumption_hourly"
Row = dict[str, str]
Files = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A layout or a fault.

    Attributes:
        name: What it is.
        origin: Where it is from.
        files: Name of each raw file -> its bytes.
        told: How the files are read: a part of the source, or several.
        stops: What the message says that ends it; empty where it is read.
        readings: What the files of readings are true of.
        rows: What the rows of another source are read as: some columns of each, in the contract's words.
        counted: Rows in quarantine by reason, and findings of the quality report, of what is read all the same.
        source: Name of the source contract.
        last_rows: Rows of the delivery before.
        beside: Other sources of the delivery: name -> the source's configuration.
    """

    name: str
    origin: str
    files: Files
    told: Mapping[str, Any] | Sequence[Mapping[str, Any]] = field(default_factory=dict)
    stops: str = ""
    readings: Sequence[Interval] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    counted: Mapping[str, int] = field(default_factory=dict)
    source: str = HOURLY
    last_rows: int | None = None

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Parts of the source's configuration."""
        told = [self.told] if isinstance(self.told, Mapping) else self.told
        default = {"files": next(iter(self.files))} if len(self.files) == 1 else {"files": "*"}
        return [{**({} if "sql" in one else default), **one} for one in told]


def true_readings(
    minutes: int = 60, units: Sequence[str] = (ONE, OTHER), days: Sequence[date] = DAYS
) -> list[Interval]:
    """Readings of supply points, no two alike."""
    return [
        Interval(unit, start, minutes, Decimal(1 + (at * 7919 + place * 131) % 3000) / 1000)
        for at, unit in enumerate(units)
        for day in days
        for place, start in enumerate(intervals_of(day, minutes))
    ]


HOURS, HALVES, QUARTERS = true_readings(60), true_readings(30), true_readings(15)
OF_ONE = [one for one in HOURS if one.unit == ONE]
HALVES_OF_ONE = [one for one in HALVES if one.unit == ONE]
Value = Callable[[Interval], str]


def comma(number: Decimal) -> str:
    return f"{number:f}".replace(".", ",")


def kwh(one: Interval) -> str:
    return f"{one.kwh:f}"


def kwh_comma(one: Interval) -> str:
    return comma(one.kwh)


def wh(one: Interval) -> str:
    return f"{one.kwh * 1000:f}"


def kilowatts(one: Interval) -> str:
    return f"{one.kwh * 60 / one.minutes:f}"


def local(one: Interval) -> datetime:
    """Wall clock at the start, without zone."""
    return one.start.astimezone(MADRID).replace(tzinfo=None)


def minutes_at_end(one: Interval) -> int:
    """Minutes of the day at the end by the start's clock: to 24:00."""
    return local(one).hour * 60 + local(one).minute + one.minutes


def start_of(one: Interval) -> str:
    """ISO 8601 with offset."""
    return with_offset(one)["timestamp"]


def end_of(one: Interval) -> str:
    """ISO 8601 with offset."""
    return end_with_offset(one)["timestamp"]


def clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def number_in_day(one: Interval) -> int:
    """Number of the interval, counted through: to 23, 24 or 25 hours."""
    return list(intervals_of(one.day, one.minutes)).index(one.start) + 1


def rows_of(readings: Sequence[Interval], **columns: Value) -> list[Row]:
    return [{name.replace("__", " "): value(one) for name, value in columns.items()} for one in readings]


def delimited(
    rows: Sequence[Mapping[str, object]], delimiter: str = ";", end: str = "\n", before: str = "", header: bool = True
) -> str:
    """CSV text; ``end`` may begin with a delimiter too many."""
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=delimiter, lineterminator=end)
    if header:
        writer.writerow(rows[0])
    writer.writerows([["" if value is None else value for value in row.values()] for row in rows])
    return before + sink.getvalue()


def as_json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def energy_column(column: str = "kwh", **told: object) -> dict[str, object]:
    return {"consumption_elec_kwh": {"column": column, **told} if told else column}


def columns_of(unit: str, **others: object) -> dict[str, object]:
    """Mapping of a file of readings: the supply point is the customer."""
    return {"customer_id": unit, **others}
