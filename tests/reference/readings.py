"""Readings and how people write them, the slow way: one interval at a time, with the standard library's clock."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.reference.daily import MADRID, period_of


@dataclass(frozen=True)
class Interval:
    """One true reading: its start as an instant, its length, its energy in kWh."""

    unit: str
    start: datetime
    minutes: int
    kwh: Decimal

    @property
    def day(self) -> date:
        """Civil day that the interval begins on."""
        return self.start.astimezone(MADRID).date()


def intervals_of(day: date, minutes: int, zone: ZoneInfo = MADRID) -> Iterator[datetime]:
    """Starts of all intervals of a civil day: of 23, 24 or 25 hours."""
    moment = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    after = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
    while moment < after:
        yield moment
        moment += timedelta(minutes=minutes)


def energy_by_day(readings: list[Interval]) -> dict[tuple[str, date], dict[str, Decimal]]:
    """Unit and civil day -> energy in all and by tariff period, and minutes covered."""
    result: dict[tuple[str, date], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for reading in readings:
        of_day = result[reading.unit, reading.day]
        local = reading.start.astimezone(MADRID).replace(tzinfo=None)
        of_day["kwh"] += reading.kwh
        of_day[f"p{period_of(local)}"] += reading.kwh
        of_day["minutes"] += reading.minutes
    return result


# Ways of writing. Each gives the raw columns that say when the reading was.


def civil_start(reading: Interval) -> dict[str, str]:
    return {"timestamp": f"{reading.start.astimezone(MADRID):%Y-%m-%d %H:%M:%S}"}


def civil_end_next_midnight(reading: Interval) -> dict[str, str]:
    """The wall clock when the interval ends; midnight belongs to the next day."""
    return {"timestamp": f"{(reading.start + timedelta(minutes=reading.minutes)).astimezone(MADRID):%Y-%m-%d %H:%M}"}


def _label(reading: Interval, *, by_start: bool) -> tuple[date, int]:
    """Day and minutes of the end: the start's wall clock plus the interval, or the wall clock at the end."""
    local = reading.start.astimezone(MADRID).replace(tzinfo=None)
    if not by_start:
        end = (reading.start + timedelta(minutes=reading.minutes)).astimezone(MADRID).replace(tzinfo=None)
        minutes = end.hour * 60 + end.minute
        return local.date(), 1440 if end.date() != local.date() else minutes
    return local.date(), local.hour * 60 + local.minute + reading.minutes


def day_and_end(reading: Interval, *, by_start: bool) -> dict[str, str]:
    """As Datadis writes: a day, and the end of the interval until 24:00."""
    day, minutes = _label(reading, by_start=by_start)
    return {"timestamp": f"{day:%Y/%m/%d}", "time": f"{minutes // 60:02d}:{minutes % 60:02d}"}


def text_until_24(reading: Interval) -> dict[str, str]:
    day, minutes = _label(reading, by_start=True)
    return {"timestamp": f"{day} {minutes // 60:02d}:{minutes % 60:02d}:00"}


def day_and_start(reading: Interval) -> dict[str, str]:
    local = reading.start.astimezone(MADRID)
    return {"timestamp": f"{local:%Y/%m/%d}", "time": f"{local.hour}:{local.minute:02d}"}


def with_offset(reading: Interval) -> dict[str, str]:
    return {"timestamp": reading.start.astimezone(MADRID).isoformat()}


def end_with_offset(reading: Interval) -> dict[str, str]:
    return {"timestamp": (reading.start + timedelta(minutes=reading.minutes)).astimezone(MADRID).isoformat()}


def in_utc(reading: Interval) -> dict[str, str]:
    return {"timestamp": f"{reading.start:%Y-%m-%d %H:%M}"}


def index_counted(reading: Interval) -> dict[str, str]:
    """Number of the interval within its day, counted through: to 23, 24 or 25 hours."""
    midnight = datetime.combine(reading.day, time(), tzinfo=MADRID)
    passed = (reading.start - midnight.astimezone(UTC)) / timedelta(minutes=reading.minutes)
    return {"timestamp": f"{reading.day}", "hour_index": str(int(passed) + 1)}


def index_by_clock(reading: Interval, *, by_start: bool) -> dict[str, str]:
    """Number of the interval by the wall clock: one stands twice in autumn, one is missing in spring."""
    day, minutes = _label(reading, by_start=by_start)
    return {"timestamp": f"{day}T00:00:00", "hour_index": str(minutes // reading.minutes)}
