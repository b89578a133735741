"""Tariff periods and holidays against the written rule."""

from datetime import date

import pandas as pd
import pytest

from spanishgas.domain.holidays_es import fixed_national_holidays
from spanishgas.domain.tariff import Zone, tariff_calendar

PEAK_HOURS: dict[Zone, set[int]] = {
    "mainland": {10, 11, 12, 13, 18, 19, 20, 21},
    "canary": {10, 11, 12, 13, 18, 19, 20, 21},
    "ceuta_melilla": {11, 12, 13, 14, 19, 20, 21, 22},
}
HOLIDAYS = {(1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (11, 1), (12, 6), (12, 8), (12, 25)}


def test_holidays_are_the_nine_of_fixed_date() -> None:
    assert fixed_national_holidays() == HOLIDAYS


@pytest.mark.parametrize(
    ("day", "free"),
    [
        (date(2024, 8, 15), True),
        (date(2024, 3, 29), False),  # Good Friday moves
        (date(2024, 3, 19), False),  # a regional day
        (date(2023, 1, 2), False),  # the Monday after a holiday on a Sunday
    ],
)
def test_holiday(day: date, free: bool) -> None:
    assert ((day.month, day.day) in fixed_national_holidays()) is free


@pytest.mark.parametrize("zone", ["mainland", "canary", "ceuta_melilla"])
def test_periods_of_a_whole_year(zone: Zone) -> None:
    frame = tariff_calendar(pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 12, 31), zone)

    def period(row: pd.Series) -> int:
        if row["day"].weekday() >= 5 or (row["day"].month, row["day"].day) in HOLIDAYS:
            return 3
        if row["hour"] in PEAK_HOURS[zone]:
            return 1
        return 2 if row["hour"] >= 8 else 3

    assert frame["period"].tolist() == [period(row) for _, row in frame.iterrows()]
    assert frame["period"].value_counts().to_dict() == {3: 4688, 1: 2048, 2: 2048}  # 256 working days
