"""The clocks of readings: from what a row says of its time to a key, and from the key to its day, period and place.

A key is what the row says, as a number: quarter hours since 1970 in wall-clock time (`civil`) or, marked ``UTC``, of an
instant; ``day x 128 + index`` with days since 1970, marked ``INDEX`` (`hour_index`). ``CLOSING`` marks a time of 24:00.
What a key means depends on the ``Layout``: whether a time is the start or the end of its interval, and the interval.

Days on which the clock changes are written in two ways when a time names the end of its interval: the wall clock at
that moment (2:00 stands twice in autumn), or the start's wall clock plus the interval (3:00 stands twice). Both are
read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.domain.civil_time import CANARY, DAY_SECONDS, MAINLAND, NUMBERED
from spanishgas.domain.tariff import Zone, tariff_calendar

Clock = Literal["utc", "winter", "civil", "hour_index"]
Ints = npt.NDArray[np.int64]
SLOT_MINUTES, SLOTS_PER_DAY, INDEX_SLOTS = 15, 96, 128
DAY_MINUTES = 1_440
# Clocks that are never put forward -> seconds that they are ahead of UTC.
FIXED: Final = {"utc": 0, "winter": 3_600}
NO_KEY: Final = -1
# A time between the quarter hours: readable, but of no interval.
OFF_KEY: Final = -2
LARGEST_SECOND: Final = 1e11
UNREADABLE: Final = int(np.iinfo(np.int64).min // 2)
# A number where a time should be, beyond 24.
COUNTS: Final = -3
CLOSING, UTC, INDEX = 1 << 40, 1 << 41, 1 << 42
SLOT_MASK = CLOSING - 1
# Starts on days that the clock changes, where what a time names is only known from the whole day.
BY_LABEL = 1 << 43
DAY_SHIFT, ORDER_SHIFT, PERIOD_MASK = 16, 2, 3
FIRST_YEAR, LAST_YEAR = 1990, 2100
OFFSET = re.compile(r"(?P<time>[T ]\d{2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)\s*(?P<zone>Z|z|UTC|[+-]\d{2}(?::?\d{2})?)$")
ENDS_IN_OFFSET = re.compile(f".*{OFFSET.pattern}")
MIDNIGHT_24 = re.compile(r"(?<=[T ])24(?=:?00(?!\d))")
TIME_OF_DAY = re.compile(
    r"(\d{1,2})(?:\.0|[:.hH](\d{2})?(?:[:.](\d{2})(?:\.0+)?)?|(\d{2})(\d{2})?)?(?:\s*([AaPp])\.?\s?[Mm]\.?)?"
)
# Zones that are written by their names -> offset.
ZONE_NAMES = {"CET": "+01:00", "CEST": "+02:00", "WET": "+00:00", "WEST": "+01:00", "GMT": "+00:00", "BST": "+01:00"}
ENDS_IN_ZONE = re.compile(r"(?<=\d)\s*(CES?T|WES?T|GMT|BST)$")
# How a key may stand twice on the autumn day: by the wall clock at the end, by the start, by both, or it belongs to a
# day that is counted through.
ONCE, BY_END, BY_START, BY_BOTH, COUNTED = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Layout:
    """What a time means.

    Attributes:
        stamp: Whether it names the start or the end of the interval.
        minutes: Length of the interval: 60, 30 or 15.
    """

    stamp: Literal["start", "end"] = "start"
    minutes: int = 60

    @property
    def slots(self) -> int:
        """Quarter hours of the interval."""
        return self.minutes // SLOT_MINUTES


@dataclass(frozen=True)
class HourFacts:
    """Facts of intervals, one entry per key asked for.

    Attributes:
        day: Civil day of the supply point, days since 1970; 0 where there is no such interval.
        period: Tariff period of the interval's start; 0 where there is no such interval.
        twice: Whether and how the key may stand for two intervals: one of the constants of this module.
        expected: Intervals of the civil day.
        order: Position within the civil day; ascends with time, equal for the two intervals of a doubled key.
        minutes: Length of the interval.
        start: Start in quarter hours since 1970 UTC, of whatever clock the key is; on a day that the clock changes a
            number that only equals that of the same label.
        packed: ``day``, ``order`` and ``period`` in one number: what long tables are sorted and cut by.
    """

    day: npt.NDArray[np.int32]
    period: npt.NDArray[np.int8]
    twice: npt.NDArray[np.int8]
    expected: npt.NDArray[np.int8]
    order: npt.NDArray[np.int8]
    minutes: npt.NDArray[np.int8]
    start: Ints

    @cached_property
    def packed(self) -> Ints:
        """See the class."""
        return (self.day.astype(np.int64) << DAY_SHIFT) | (self.order.astype(np.int64) << ORDER_SHIFT) | self.period

    @classmethod
    def empty(cls, size: int) -> Self:
        """Facts of keys that stand for no interval."""
        small = {name: np.zeros(size, np.int8) for name in ("period", "twice", "expected", "order", "minutes")}
        return cls(day=np.zeros(size, np.int32), start=np.zeros(size, np.int64), **small)

    @classmethod
    def stack(cls, parts: Sequence["HourFacts"]) -> Self:
        """Facts of several tables, one after the other."""
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )

    def put(self, at: "npt.NDArray[np.generic]", other: "HourFacts", of: "npt.NDArray[np.generic]") -> None:
        """Copies the facts at some positions of another table."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[at] = getattr(other, name)[of]


def keys_of_texts(texts: Sequence[str | None], clock: Clock, date_format: str | None) -> Ints:
    """Keys of times written as text: ``NO_KEY`` where a text cannot be read, ``OFF_KEY`` between quarter hours.

    A UTC offset is honoured under every clock. Under `hour_index` the texts are days, and the keys those of index 0.
    """
    series = pd.Series(list(texts), dtype="object")
    if clock == "hour_index":
        return keys_of_days(days_of_texts(texts, date_format))
    closing = series.str.contains(MIDNIGHT_24, na=False).to_numpy(dtype=bool)
    if closing.any():
        series = series.str.replace(MIDNIGHT_24, "00", regex=True)
    seconds, zoned = seconds_of_texts(list(series), date_format)
    seconds = np.where(closing, seconds + DAY_SECONDS, seconds)
    seconds = np.where(zoned, seconds, seconds - FIXED.get(clock, 0))
    keys = keys_of_seconds(seconds, "civil")
    readable = keys >= 0
    keys[readable & (zoned | (clock in FIXED))] |= UTC
    keys[readable & closing] |= CLOSING
    return keys


def days_of_texts(texts: Sequence[str | None], date_format: str | None) -> Ints:
    """Days since 1970 of texts, ``NO_KEY`` where one is no day; an instant is the civil day that begins with it."""
    seconds, zoned = seconds_of_texts(list(texts), date_format)
    days, rest = np.divmod(seconds, DAY_SECONDS)
    days = np.where((rest == 0) & (days > 0), days, NO_KEY)
    if zoned.any():
        days[zoned] = days_of_instants(seconds[zoned])
    return days


def days_of_instants(seconds: Ints) -> Ints:
    """Civil days, mainland's or else the Canary Islands', that begin with some instants; ``NO_KEY`` where none does."""
    instants = pd.Series(pd.to_datetime(np.maximum(seconds, 0), unit="s", utc=True))
    days = np.full(len(instants), NO_KEY, np.int64)
    for timezone in (CANARY, MAINLAND):
        civil = instants.dt.tz_convert(timezone).dt.tz_localize(None)
        whole, rest = np.divmod(civil.to_numpy().astype("datetime64[s]").astype(np.int64), DAY_SECONDS)
        days = np.where((rest == 0) & (seconds > 0), whole, days)
    return days


def minutes_of_texts(texts: Sequence[str | None]) -> Ints:
    """Minutes of the day of times such as `1`, `01:00`, `013000`, `1:00 PM` and `24:00`; -1 where a text is none.

    A number that is no time but could be that of an interval in its day, such as `25`, is ``COUNTS``.
    """
    return np.array([_minutes(text) for text in texts], np.int64)


def _minutes(text: str | None) -> int:
    found = TIME_OF_DAY.fullmatch(text) if text is not None else None
    if found is None:
        return -1
    hours, minutes, seconds = int(found[1]), int(found[2] or found[4] or 0), int(found[3] or found[5] or 0)
    if found[6] is not None:
        if not 1 <= hours <= 12:
            return -1
        hours = hours % 12 + (12 if found[6] in "Pp" else 0)
    total = hours * 60 + minutes
    if minutes >= 60 or seconds >= 60 or total > DAY_MINUTES:
        return COUNTS if text is not None and text.isdecimal() and len(text) == 2 else -1
    # A time with seconds lies between the quarter hours, whatever its minutes are.
    return total if seconds == 0 else 1


def seconds_of_texts(texts: Sequence[str | None], date_format: str | None) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Seconds since 1970, hugely negative where unreadable, and which texts are instants with an offset."""
    if date_format in NUMBERED:
        return _seconds_of_numbers(texts, date_format)
    given = pd.Series(list(texts), dtype="object")
    series = given.str.replace(ENDS_IN_ZONE, lambda zone: ZONE_NAMES[zone[1]], regex=True)
    zoned = series.str.fullmatch(ENDS_IN_OFFSET, na=False).to_numpy(dtype=bool)
    by_format = date_format is not None and "%z" in date_format
    seconds = np.full(len(series), np.iinfo(np.int64).min)
    for of_kind, utc in ((zoned, True), (~zoned, False)):
        if of_kind.any():
            layout, meant = date_format or "ISO8601", series[of_kind]
            if utc and date_format is not None and not by_format:
                layout, meant = f"{date_format}%z", meant.str.replace(OFFSET, r"\g<time>\g<zone>", regex=True)
            times = pd.to_datetime(meant, format=layout, errors="coerce", utc=utc or by_format)
            times = times.dt.tz_convert(None) if times.dt.tz is not None else times
            read = times.to_numpy()
            whole = read.astype("datetime64[s]").astype(np.int64)
            # A fraction of a second is between the quarter hours too.
            seconds[of_kind] = np.where(
                read.astype("datetime64[us]").astype(np.int64) % 1_000_000 != 0, whole | 1, whole
            )
    unreadable = seconds < 0
    return np.where(unreadable, UNREADABLE, seconds), zoned | by_format


def _seconds_of_numbers(texts: Sequence[str | None], date_format: str) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The same of times that are numbers; those of spreadsheets are exact to the minute only."""
    per_unit, first = NUMBERED[date_format]
    numbers = pd.to_numeric(pd.Series(list(texts), dtype="object").str.replace(",", "."), errors="coerce")
    told = numbers.to_numpy(dtype=np.float64) * per_unit
    told = np.round(told / 60) * 60 if date_format == "excel" else told
    known = np.abs(told) < LARGEST_SECOND
    seconds = np.where(known, np.where(known, told, 0).astype(np.int64) + first, UNREADABLE)
    return np.where(seconds < 0, UNREADABLE, seconds), np.full(len(texts), date_format != "excel")


def keys_of_seconds(seconds: Ints, clock: Clock) -> Ints:
    """Keys of seconds since 1970 in the source's clock."""
    slots, rest = np.divmod(seconds - FIXED.get(clock, 0), SLOT_MINUTES * 60)
    keys = slots | UTC if clock in FIXED else slots
    return np.where(slots <= 0, NO_KEY, np.where(rest == 0, keys, OFF_KEY))


def keys_of_days(days: Ints) -> Ints:
    """Keys of index 0 of some days."""
    return np.where(days > 0, (days * INDEX_SLOTS) | INDEX, NO_KEY)


def keys_of_days_and_minutes(days: Ints, minutes: Ints, clock: Clock) -> Ints:
    """Keys of days since 1970 and minutes of the day, 24:00 among them."""
    slots, rest = np.divmod(days * DAY_MINUTES + minutes - FIXED.get(clock, 0) // 60, SLOT_MINUTES)
    keys = slots | (UTC if clock in FIXED else 0) | np.where(minutes == DAY_MINUTES, CLOSING, 0)
    return np.where((days <= 0) | (minutes < 0), NO_KEY, np.where(rest == 0, keys, OFF_KEY))


def written_days(keys: Ints, ahead: int = 0) -> npt.NDArray[np.int32]:
    """The day that a row itself names, days since 1970: 24:00 belongs to the day that it ends.

    Args:
        keys: The keys.
        ahead: Quarter hours that the clock is ahead of them.
    """
    slots = (keys & SLOT_MASK) + ahead
    days = np.where(keys & INDEX, slots // INDEX_SLOTS, (slots - (keys & CLOSING > 0)) // SLOTS_PER_DAY)
    return np.where(keys < 0, 0, days).astype(np.int32)


def fault_of_keys(keys: Ints, layout: Layout) -> "npt.NDArray[np.object_]":
    """Why keys that stand for no interval do so."""
    slots = keys & SLOT_MASK
    index = slots % INDEX_SLOTS
    off = np.where(keys & INDEX, index > 25 * 60 // layout.minutes, slots % layout.slots != 0)
    reasons = np.where(off, "off_interval", "invalid_timestamp")
    reasons = np.where((keys & CLOSING > 0) & (layout.stamp == "start"), "off_stamp", reasons)
    return np.where(keys == OFF_KEY, "off_interval", np.where(keys == NO_KEY, "invalid_timestamp", reasons))


def facts_of_keys(keys: Ints, zone: Zone, layout: Layout) -> HourFacts:
    """Facts of intervals by their keys, for supply points of one tariff zone."""
    facts = HourFacts.empty(len(keys))
    readable = (keys >= 0) & ((keys & CLOSING == 0) | (layout.stamp == "end"))
    slots = keys & SLOT_MASK
    for mark in (0, UTC, INDEX):
        of_kind = readable & (keys & (UTC | INDEX) == mark)
        if not of_kind.any():
            continue
        per_day = INDEX_SLOTS if mark == INDEX else SLOTS_PER_DAY
        years = (slots // per_day).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        for year in np.unique(years[of_kind]):
            if FIRST_YEAR <= year <= LAST_YEAR:
                at = np.flatnonzero(of_kind & (years == year))
                first, table = _year(int(year), zone, mark, layout)
                facts.put(at, table, slots[at] - first)
    return facts


@dataclass(frozen=True)
class _Intervals:
    """All intervals of a year and of the days around it, in order; see ``hour_calendar``."""

    utc: Ints
    civil: Ints
    day: Ints
    place: Ints
    expected: Ints
    period: Ints


def _intervals(year: int, zone: Zone, minutes: int) -> _Intervals:
    # Under UTC the first and last hours of a year belong to civil days of its neighbours.
    frame = tariff_calendar(pd.Timestamp(year - 1, 12, 31), pd.Timestamp(year + 1, 1, 1), zone)
    parts, slots = 60 // minutes, minutes // SLOT_MINUTES
    part = np.tile(np.arange(parts), len(frame))

    def repeated(name: str, kind: str, factor: int) -> Ints:
        return np.repeat(frame[name].to_numpy().astype(kind).astype(np.int64) * factor, parts)

    return _Intervals(
        utc=repeated("utc", "datetime64[h]", 4) + part * slots,
        civil=repeated("civil", "datetime64[h]", 4) + part * slots,
        day=repeated("day", "datetime64[D]", 1),
        place=repeated("slot", "int64", parts) + part,
        expected=repeated("hours_expected", "int64", parts),
        period=repeated("period", "int64", 1),
    )


@lru_cache(maxsize=512)
def _year(year: int, zone: Zone, mark: int, layout: Layout) -> tuple[int, HourFacts]:
    """First slot of a year and the facts of all its slots, by position."""
    of = _intervals(year, zone, layout.minutes)
    per_day = INDEX_SLOTS if mark == INDEX else SLOTS_PER_DAY
    if mark == UTC:
        rows = np.arange(len(of.utc))
        slots = of.utc + (layout.slots if layout.stamp == "end" else 0)
        twice, order = np.zeros(len(rows), np.int8), of.place
    else:
        slots, rows, twice = _labels(of, layout.slots, "end" if mark == INDEX else layout.stamp)
        order = (slots - of.day[rows] * SLOTS_PER_DAY) // layout.slots
    start = of.utc[rows]
    if mark == INDEX or (mark == 0 and layout.stamp == "end"):
        changes = of.expected[rows] != 24 * 60 // layout.minutes
        start = np.where(changes, BY_LABEL + slots, start)
    if mark == INDEX:
        slots = of.day[rows] * INDEX_SLOTS + order
        slots, rows, twice, order, start = _counted(of, slots, rows, twice, order, start)
    january = np.datetime64(f"{year}-01-01").astype("datetime64[D]").astype(np.int64)
    days = int(np.datetime64(f"{year + 1}-01-01").astype("datetime64[D]").astype(np.int64) - january)
    first, size = int(january) * per_day, days * per_day
    # The first of two intervals stands for a doubled key.
    inside = np.flatnonzero((slots >= first) & (slots < first + size))[::-1]
    at, of_rows = slots[inside] - first, rows[inside]
    table = HourFacts.empty(size)
    table.day[at] = of.day[of_rows]
    table.period[at] = of.period[of_rows]
    table.expected[at] = of.expected[of_rows]
    table.minutes[at] = layout.minutes
    table.twice[at] = twice[inside]
    table.order[at] = order[inside]
    table.start[at] = start[inside]
    return first, table


def _labels(of: _Intervals, slots: int, stamp: str) -> tuple[Ints, Ints, npt.NDArray[np.int8]]:
    """Wall-clock labels of intervals, in both ways of writing them; the interval of each; how it may stand twice."""
    rows = np.arange(len(of.civil))
    if stamp == "start":
        return of.civil, rows, np.where(_stands_twice(of.civil, of.civil), BY_START, ONCE).astype(np.int8)
    by_start = of.civil + slots
    by_end = np.append(of.civil[1:], of.civil[-1] + slots)
    new = np.flatnonzero(~np.isin(by_end, by_start))
    labels = np.concatenate([by_start, by_end[new]])
    twice = BY_START * _stands_twice(labels, by_start) + BY_END * _stands_twice(labels, by_end)
    return labels, np.concatenate([rows, new]), twice.astype(np.int8)


def _stands_twice(labels: Ints, among: Ints) -> npt.NDArray[np.bool_]:
    known, counts = np.unique(among, return_counts=True)
    return np.isin(labels, known[counts > 1])


def _counted(
    of: _Intervals, slots: Ints, rows: Ints, twice: npt.NDArray[np.int8], order: Ints, start: Ints
) -> tuple[Ints, Ints, npt.NDArray[np.int8], Ints, Ints]:
    """Adds the indices of days that are counted through: to 25 hours on the autumn day.

    A day with a missing or an extra hour is a Sunday: every way of numbering gives the same tariff period.
    """
    counted = of.day * INDEX_SLOTS + of.place + 1
    new = np.flatnonzero(~np.isin(counted, slots))
    return (
        np.concatenate([slots, counted[new]]),
        np.concatenate([rows, new]),
        np.concatenate([twice, np.full(len(new), COUNTED, np.int8)]),
        np.concatenate([order, of.place[new] + 1]),
        np.concatenate([start, BY_LABEL + of.day[new] * SLOTS_PER_DAY + SLOTS_PER_DAY + of.place[new]]),
    )
