"""Civil time against the standard library's time zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from spanishgas.domain.civil_time import CANARY, MAINLAND, add_months, day_end, hour_calendar, month_ends

ZONES = st.sampled_from([MAINLAND, CANARY])
DAYS = st.dates(date(2005, 1, 1), date(2035, 12, 31))


def slow_calendar(first: date, last: date, timezone: str) -> pd.DataFrame:
    """One instant after the other, asking the time zone what the clock on the wall shows."""
    zone = ZoneInfo(timezone)
    instant = datetime(first.year, first.month, first.day, tzinfo=zone).astimezone(UTC)
    rows: list[dict[str, object]] = []
    while (local := instant.astimezone(zone)).date() <= last:
        later = (instant + timedelta(hours=1)).astimezone(zone)
        rows.append(
            {
                "utc": instant.replace(tzinfo=None),
                "civil": local.replace(tzinfo=None),
                "day": datetime(local.year, local.month, local.day),  # noqa: DTZ001
                "hour": local.hour,
                "end_hour": later.hour or 24,
                "slot": sum(row["day"] == datetime(local.year, local.month, local.day) for row in rows),  # noqa: DTZ001
            }
        )
        instant += timedelta(hours=1)
    frame = pd.DataFrame(rows)
    frame["hours_expected"] = frame.groupby("day")["slot"].transform("max") + 1
    return frame


@settings(max_examples=25, deadline=None)
@given(first=DAYS, length=st.integers(0, 4), timezone=ZONES)
def test_calendar_equals_the_slow_one(first: date, length: int, timezone: str) -> None:
    last = first + timedelta(days=length)
    assert_frame_equal(
        hour_calendar(first, last, timezone), slow_calendar(first, last, timezone), check_dtype=False, check_exact=True
    )


@pytest.mark.parametrize("timezone", [MAINLAND, CANARY])
@pytest.mark.parametrize("day", [date(2024, 3, 31), date(2024, 10, 27), date(2024, 1, 1)])
def test_calendar_of_the_days_that_matter(day: date, timezone: str) -> None:
    around = day - timedelta(days=1), day + timedelta(days=1)
    assert_frame_equal(
        hour_calendar(*around, timezone), slow_calendar(*around, timezone), check_dtype=False, check_exact=True
    )


def test_hours_of_the_autumn_day_as_distributors_number_them() -> None:
    numbers = hour_calendar(date(2022, 10, 30), date(2022, 10, 30))["end_hour"].tolist()
    assert numbers == [1, 2, 2, *range(3, 25)]


def test_hours_of_the_spring_day_as_distributors_number_them() -> None:
    numbers = hour_calendar(date(2023, 3, 26), date(2023, 3, 26))["end_hour"].tolist()
    assert numbers == [1, *range(3, 25)]


def test_a_year_has_two_days_that_are_not_24_hours_long() -> None:
    frame = hour_calendar(date(2024, 1, 1), date(2024, 12, 31))
    odd = frame.loc[frame["hours_expected"] != 24, ["day", "hours_expected"]].drop_duplicates()
    assert odd.to_numpy().tolist() == [[pd.Timestamp("2024-03-31"), 23], [pd.Timestamp("2024-10-27"), 25]]
    assert len(frame) == 8784
    assert frame["utc"].is_unique


@given(day=DAYS, timezone=ZONES)
def test_day_end_is_the_first_instant_of_the_next_day(day: date, timezone: str) -> None:
    end = day_end(day, timezone)
    assert end.astimezone(ZoneInfo(timezone)).date() == day + timedelta(days=1)
    assert (end - timedelta(microseconds=1)).astimezone(ZoneInfo(timezone)).date() == day


@given(day=DAYS, months=st.integers(-40, 40))
def test_add_months_keeps_the_day_where_the_month_has_it(day: date, months: int) -> None:
    assert add_months(day, months) == (pd.Timestamp(day) + pd.DateOffset(months=months)).date()


def test_month_ends() -> None:
    assert month_ends(date(2023, 12, 15), date(2024, 3, 1)) == (
        date(2023, 12, 31),
        date(2024, 1, 31),
        date(2024, 2, 29),
        date(2024, 3, 31),
    )
    assert month_ends(date(2024, 3, 1), date(2024, 2, 28)) == ()
