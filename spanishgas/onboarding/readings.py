"""How meter readings are written: hour or number of the interval, start or end, minutes, clock, energy or power."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.onboarding.facts import TIME, ColumnFacts
from spanishgas.onboarding.proposal import Line, Part
from spanishgas.onboarding.words import stands_for

INTERVALS = {24: 60, 25: 60, 48: 30, 50: 30, 96: 15, 100: 15}
MINUTES = {60: {0}, 30: {0, 30}, 15: {0, 15, 30, 45}}


@dataclass
class Habit:
    """How the readings of a part are written.

    Attributes:
        settings: `clock`, `stamp`, `interval_minutes`, `quantity`, where they are not the default.
        reasons: Why.
        unsure: Settings that are only likely.
        questions: What is to be decided.
    """

    settings: dict[str, Any]
    reasons: list[str]
    unsure: dict[str, Any]
    questions: list[str]


def read_habit(part: Part) -> Habit:
    """How the readings of a part are written; `time` becomes `hour_index` where it is the number of an interval.

    Args:
        part: A part of `consumption_hourly` with `timestamp`; its lines are changed.
    """
    habit = Habit({}, [], {}, [])
    _quantity(part, habit)
    stamp, time = part.lines.get("timestamp"), part.lines.get("time")
    if stamp is None or stamp.raw not in part.group.columns:
        return habit
    days = part.group.columns[stamp.raw]
    if days.dates is not None and days.dates.has_time:
        if time is not None:
            del part.lines["time"]  # the timestamp has it already
        return _of_timestamps(part, days, habit)
    if time is None or time.raw not in part.group.columns or time.question:
        if time is None:
            habit.questions.append(
                f"`{stamp.raw}` has days without a time: which column says the hour? Daily energy is none, "
                "consumption_periods takes energy of whole periods"
            )
            stamp.question = stamp.question or habit.questions.pop()
        return habit
    hours = part.group.columns[time.raw]
    if hours.numbers is not None and hours.numbers.whole and not hours.time_share:
        return _of_numbers(part, time, hours, habit)
    return _of_times(part, days, hours, habit)


def _quantity(part: Part, habit: Habit) -> None:
    line = part.lines.get("consumption_elec_kwh")
    if line is None or line.raw is None:
        return
    says = {word for word in ("kwh", "wh", "mwh", "kw", "w") if stands_for(line.raw, word)}
    if says & {"kw", "w"} and not says & {"kwh", "wh", "mwh"}:
        habit.settings["quantity"] = "power"
        if says == {"w"}:
            line.mapping["factor"] = 0.001
        habit.reasons.append(f"`{line.raw}` names a power")


def _of_numbers(part: Part, time: Line, hours: ColumnFacts, habit: Habit) -> Habit:
    """A column of whole numbers: hours of a day, or numbers of its intervals."""
    told = hours.numbers
    assert told is not None
    if told.low >= 1 and told.high in INTERVALS:
        del part.lines["time"]
        part.lines["hour_index"] = Line("hour_index", time.mapping, [*time.reasons, f"numbers from 1 to {told.high:g}"])
        habit.settings |= {"clock": "hour_index"}
        _interval(habit, INTERVALS[int(told.high)])
        habit.reasons.append(f"`{hours.name}` counts the intervals of a day from 1 to {told.high:g}")
    elif told.low == 0 and told.high == 23:
        habit.reasons.append(f"`{hours.name}` names hours by their start, 0 to 23")
    elif told.low == 0 and told.high == 24:
        habit.settings["stamp"] = "auto"
        habit.reasons.append(f"`{hours.name}` has 0 as well as 24: found day by day")
    else:
        time.question = f"which hours does `{hours.name}` name? {hours.range()}; days have 0 to 23 or 1 to 24"
    return habit


def _of_times(part: Part, days: ColumnFacts, hours: ColumnFacts, habit: Habit) -> Habit:
    """A day with a time of day beside it."""
    clock = hours.values.str.extract(r"^(\d{1,2}):?(\d{2})")
    hour, minute = pd.to_numeric(clock[0]), pd.to_numeric(clock[1])
    place = days.values.fillna("") + _ids(part)
    late, early = set(place[hour == 24]), set(place[(hour == 0) & (minute == 0)])
    if late and early - late:
        habit.settings["stamp"] = "auto"
        habit.reasons.append("some days know 24:00 and others 0:00: found day by day")
    elif late:
        habit.settings["stamp"] = "end"
        habit.reasons.append("times of 24:00 name the end of an interval")
    elif early:
        habit.reasons.append("times from 0:00 on, never 24:00, name the start of an interval")
    else:
        _ask_for_stamp(habit, f"`{hours.name}` has neither 0:00 nor 24:00")
    _minutes(habit, minute, _ids(part))
    return habit


def _of_timestamps(part: Part, stamps: ColumnFacts, habit: Habit) -> Habit:
    """Day and time in one column."""
    told = stamps.dates
    assert told is not None
    parsed = stamps.values.str.extract(TIME.pattern)
    hour, minute = pd.to_numeric(parsed[0]).fillna(0), pd.to_numeric(parsed[1]).fillna(0)
    ids = _ids(part)
    _minutes(habit, minute, ids)
    frame = pd.DataFrame({"id": ids, "day": stamps.as_days(), "minutes": hour * 60 + minute}).dropna()
    if (hour == 24).any():
        habit.settings["stamp"] = "end"
        habit.reasons.append("times of 24:00 name the end of an interval")
    else:
        _first_and_last(habit, frame, stamps)
    if not told.has_offset:
        _clock(habit, frame, stamps)
    return habit


def _first_and_last(habit: Habit, frame: pd.DataFrame, stamps: ColumnFacts) -> None:
    """Start or end, by the first and last reading of each supply point: deliveries begin and end with whole days."""
    length = 60 if (frame["minutes"] % 60 == 0).all() else 30 if (frame["minutes"] % 30 == 0).all() else 15
    ordered = frame.sort_values(["id", "day", "minutes"], kind="stable").groupby("id")["minutes"]
    first, last = ordered.first(), ordered.last()
    starts = int((first == 0).sum() + (last == 1440 - length).sum())
    ends = int((first == length).sum() + (last == 0).sum())
    if starts > 2 * ends:
        habit.reasons.append("readings of a supply point begin at 0:00 and end before midnight: named by their start")
    elif ends > 2 * starts:
        habit.unsure["stamp"] = "end"
        habit.questions.append(
            f"does a time in `{stamps.name}` name the end of its interval? Deliveries begin with {length} minutes past "
            "midnight and end at 0:00, as if it did; without `stamp: end` every reading is an interval late"
        )
    else:
        _ask_for_stamp(habit, f"the first and last times in `{stamps.name}` do not tell")


def _ask_for_stamp(habit: Habit, why: str) -> None:
    habit.unsure["stamp"] = "end"
    habit.questions.append(f"does a time name the start (as is read now) or the end of its interval? {why}")


def _clock(habit: Habit, frame: pd.DataFrame, stamps: ColumnFacts) -> None:
    """Wall clock or UTC, by the hour that does not exist on the day on which summer time begins."""
    years = frame["day"].dt.year.unique()
    springs = [pd.Timestamp(_last_sunday(int(year), 3)) for year in years]
    seen = frame[frame["day"].isin(springs)]
    places = seen.groupby(["id", "day"])["minutes"]
    whole = places.transform("count") >= 20
    if not whole.any():
        habit.reasons.append("taken for wall-clock time; the sample has no day on which summer time begins")
        return
    missing = seen[whole].assign(two=lambda rows: (rows["minutes"] >= 120) & (rows["minutes"] < 180))
    share = float(missing.groupby(["id", "day"])["two"].any().mean())
    if share < 0.5:
        habit.reasons.append("wall-clock time: 2:00 is missing on the day on which summer time begins")
    else:
        habit.unsure["clock"] = "utc"
        habit.questions.append(
            f"is `{stamps.name}` in UTC, or in winter time all year (`clock: winter`)? When summer time begins "
            "2:00 is there, as on no wall clock"
        )


def _minutes(habit: Habit, minute: "pd.Series[float]", ids: "pd.Series[str]") -> None:
    """The interval by the minutes that occur, for all supply points or found for each."""
    found = {int(one) for one in minute.dropna().unique()}
    length = next((length for length, allowed in MINUTES.items() if found <= allowed), None)
    if length is None:
        habit.questions.append(
            f"how long are the intervals? Readings at minutes {', '.join(map(str, sorted(found)[:8]))}"
        )
        return
    if length != 60:
        finer = (minute % (length * 2) != 0).groupby(ids).any()
        if not finer.all():
            habit.settings["interval_minutes"] = "auto"
            habit.reasons.append("supply points differ in their interval: found for each")
            return
    _interval(habit, length)


def _interval(habit: Habit, length: int) -> None:
    if length != 60:
        habit.settings["interval_minutes"] = length
    habit.reasons.append(f"intervals of {length} minutes")


def _ids(part: Part) -> "pd.Series[str]":
    """Supply point or customer of every row; the same for all where the files do not say."""
    for name in ("supply_point_id", "customer_id"):
        line = part.lines.get(name)
        if line is not None and line.raw in part.group.columns:
            return part.group.columns[line.raw].values.fillna("")
    return pd.Series(np.repeat("", part.group.rows))


def _last_sunday(year: int, month: int) -> date:
    day = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return day - timedelta(days=(day.weekday() + 1) % 7)
