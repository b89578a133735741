"""Civil time: days have 23, 24 or 25 hours, and an hour of wall-clock time can stand twice."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

MAINLAND = "Europe/Madrid"
CANARY = "Atlantic/Canary"
DAY_SECONDS = 86_400
# Dates that are numbers -> seconds of their unit, and the second since 1970 that their zero is.
NUMBERED = {"excel": (float(DAY_SECONDS), -25_569 * DAY_SECONDS), "unix": (1.0, 0), "unix_ms": (0.001, 0)}


def hour_calendar(first: date, last: date, timezone: str = MAINLAND) -> pd.DataFrame:
    """Every hour of a range of civil days.

    Args:
        first: First civil day.
        last: Last civil day (inclusive).
        timezone: IANA name of the civil time.

    Returns:
        One row per hour, in order: ``utc`` (start of the hour, naive UTC), ``civil`` (start in wall-clock time, naive;
        the autumn hour stands twice), ``day`` (civil day, midnight), ``hour`` (wall-clock hour of the start), ``slot``
        (position within the civil day, from 0), ``end_hour`` (wall-clock hour of the end, 1 to 24, as distributors
        number hours: 2 stands twice on the autumn day and is missing on the spring day), ``hours_expected`` (23, 24 or
        25).
    """
    start = pd.Timestamp(first, tz=timezone)
    end = pd.Timestamp(last + timedelta(days=1), tz=timezone)
    local = pd.date_range(start.tz_convert("UTC"), end.tz_convert("UTC"), freq="h", inclusive="left").tz_convert(
        timezone
    )
    frame = pd.DataFrame(
        {
            "utc": local.tz_convert("UTC").tz_localize(None),
            "civil": local.tz_localize(None),
            "day": local.tz_localize(None).normalize(),
            "hour": local.hour.astype("int64"),
        }
    )
    ends = (local + pd.Timedelta(hours=1)).hour.astype("int64")
    frame["end_hour"] = ends.where(ends > 0, 24)
    frame["slot"] = frame.groupby("day").cumcount()
    frame["hours_expected"] = frame.groupby("day")["slot"].transform("size")
    return frame


def day_end(day: date, timezone: str = MAINLAND) -> datetime:
    """The instant, in UTC, at which a civil day is over: what happens at it belongs to the next day."""
    midnight = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(timezone))
    return midnight.astimezone(UTC)


def month_end(day: date) -> date:
    """Last day of the month that a day stands in."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def month_start(day: date) -> date:
    """First day of the month that a day stands in."""
    return day.replace(day=1)


def add_months(day: date, months: int) -> date:
    """The same day some months later or earlier; a day that the month does not have becomes its last."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def month_ends(first: date, last: date) -> tuple[date, ...]:
    """Last days of the months from that of ``first`` to that of ``last``."""
    found: list[date] = []
    day = month_start(first)
    while day <= last:
        found.append(month_end(day))
        day = add_months(day, 1)
    return tuple(found)
