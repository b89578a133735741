"""How readings are written, by their values."""

from typing import Any

import pytest

from spanishgas.onboarding.proposal import Line, Part
from spanishgas.onboarding.readings import read_habit
from tests.onboarding.frames import group

DAYS = ["2024-05-01", "2024-05-02"]


def part(**columns: list[Any]) -> Part:
    """A part of readings whose columns have the contract's names."""
    held = group("readings.csv", **columns)
    return Part(held, {name: Line(name, {"column": name}) for name in columns})


def settings(of: Part) -> dict[str, Any]:
    habit = read_habit(of)
    assert habit.questions == []
    return habit.settings


@pytest.mark.parametrize(
    ("hours", "told", "column"),
    [
        ([f"{hour:02d}:00" for hour in range(1, 25)], {"stamp": "end"}, "time"),
        ([f"{hour}:00" for hour in range(24)], {}, "time"),
        (list(range(24)), {}, "time"),
        (list(range(1, 25)), {"clock": "hour_index"}, "hour_index"),
        (list(range(1, 97)), {"clock": "hour_index", "interval_minutes": 15}, "hour_index"),
        ([f"{half // 2}:{half % 2 * 30:02d}" for half in range(48)], {"interval_minutes": 30}, "time"),
    ],
)
def test_a_day_with_an_hour_beside_it(hours: list[Any], told: dict[str, Any], column: str) -> None:
    days = [day for day in DAYS for _ in hours]
    one = part(customer_id=["A"] * len(days), timestamp=days, time=hours * 2)
    assert settings(one) == told
    assert column in one.lines
    assert one.lines[column].raw == "time"


def test_a_distributor_that_changed_its_habit_is_found_day_by_day() -> None:
    hours = [f"{hour}:00" for hour in range(24)] + [f"{hour}:00" for hour in range(1, 25)]
    one = part(customer_id=["A"] * 48, timestamp=[DAYS[0]] * 24 + [DAYS[1]] * 24, time=hours)
    assert settings(one) == {"stamp": "auto"}


def test_the_first_and_last_times_say_start_or_end() -> None:
    starts = [f"{day} {hour:02d}:00" for day in DAYS for hour in range(24)]
    assert settings(part(customer_id=["A"] * 48, timestamp=starts)) == {}
    ends = [*starts[1:], "2024-05-03 00:00"]
    habit = read_habit(part(customer_id=["A"] * 48, timestamp=ends))
    assert habit.unsure == {"stamp": "end"}
    assert "end of its interval" in habit.questions[0]


def test_the_hour_that_wall_clocks_leave_out_tells_utc() -> None:
    day = [f"2024-03-31 {hour:02d}:00" for hour in range(24)]
    assert read_habit(part(customer_id=["A"] * 24, timestamp=day)).unsure == {"clock": "utc"}
    wall = [text for text in day if " 02:" not in text]
    assert read_habit(part(customer_id=["A"] * 23, timestamp=wall)).unsure == {}


def test_supply_points_may_differ_in_their_interval() -> None:
    hours = [f"2024-05-01 {hour:02d}:00" for hour in range(24)]
    halves = [f"2024-05-01 {half // 2:02d}:{half % 2 * 30:02d}" for half in range(48)]
    one = part(customer_id=["A"] * 24 + ["B"] * 48, timestamp=hours + halves)
    assert settings(one) == {"interval_minutes": "auto"}


def test_days_without_hours_are_no_readings() -> None:
    one = part(customer_id=["A", "A"], timestamp=DAYS)
    read_habit(one)
    assert "which column says the hour" in str(one.lines["timestamp"].question)


def test_a_power_is_told_by_its_unit() -> None:
    held = group("r.csv", id=["A"] * 24, t=[f"2024-05-01 {hour:02d}:00" for hour in range(24)], potencia_w=[500] * 24)
    lines = {
        "timestamp": Line("timestamp", {"column": "t"}),
        "consumption_elec_kwh": Line("consumption_elec_kwh", {"column": "potencia_w"}),
    }
    one = Part(held, lines)
    assert settings(one) == {"quantity": "power"}
    assert one.lines["consumption_elec_kwh"].mapping["factor"] == 0.001
