"""How supply points' times are written, found from the times themselves: the interval, and the stamp.

A day is looked at on its own, because habits change: a distributor turns from hours to quarter hours, or from
0:00 - 23:00 to 1:00 - 24:00. A day that does not tell (too few readings) is taken as the supply point's last day before
it that does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanishgas.silver.hour_keys import (
    CLOSING,
    INDEX,
    INDEX_SLOTS,
    SLOT_MASK,
    SLOTS_PER_DAY,
    Ints,
    Layout,
    written_days,
)
from spanishgas.silver.hour_times import Times
from spanishgas.silver.supply_points import DAY_BITS, Units

# What a time tells of its day.
QUARTERS, HALVES, CLOSES, OPENS = 1, 2, 4, 8
# So many readings, all on the full hour, are no quarter hours of which three in four are lost.
TELLING = 12
INTERVALS = (60, 30, 15)
USUAL_INDEX = {60: 23, 30: 46, 15: 92}


@dataclass(frozen=True)
class Seen:
    """What a chunk's times tell.

    Attributes:
        units: Unit of each code.
        codes: Unit of every stretch of rows of one unit and day.
        days: Its day, as written.
        tells: What its times tell, as bits.
        rows: Its rows.
        index: Its largest index, 0 where there is none.
    """

    units: list[str]
    codes: Ints
    days: Ints
    tells: npt.NDArray[np.int8]
    rows: Ints
    index: Ints


def look(units: Units, times: Times) -> Seen:
    """What the times of a chunk tell."""
    readable = (units.codes >= 0) & (times.keys[times.hour] >= 0)
    codes, hour = units.codes[readable], times.hour[readable]
    days = written_days(times.keys, times.ahead)[hour].astype(np.int64)
    if not len(codes):
        none = np.zeros(0, np.int64)
        return Seen([], none, none, none.astype(np.int8), none, none)
    starts = np.concatenate([[0], np.flatnonzero((codes[1:] != codes[:-1]) | (days[1:] != days[:-1])) + 1])
    used, place = np.unique(codes[starts], return_inverse=True)
    tells, index = _told(times.keys, times.ahead)
    return Seen(
        units=[str(units.texts[code]) for code in used],
        codes=place.astype(np.int64),
        days=days[starts],
        tells=np.bitwise_or.reduceat(tells[hour], starts),
        rows=np.diff(np.append(starts, len(codes))),
        index=np.maximum.reduceat(index[hour], starts),
    )


def _told(keys: Ints, ahead: int) -> tuple[npt.NDArray[np.int8], Ints]:
    """What each key tells, and its index."""
    slots, by_index = keys & SLOT_MASK, keys & INDEX > 0
    closing = keys & CLOSING > 0
    tells = (
        QUARTERS * (slots % 2 == 1) + HALVES * (slots % 4 == 2) + CLOSES * closing
        + OPENS * (~closing & ((slots + ahead) % SLOTS_PER_DAY == 0))
    )  # fmt: skip
    usable = (keys >= 0) & ~by_index
    return np.where(usable, tells, 0).astype(np.int8), np.where(by_index & (keys >= 0), slots % INDEX_SLOTS, 0)


@dataclass(frozen=True)
class Habits:
    """How the times of units' days are written.

    Attributes:
        numbers: Number of each unit.
        packed: Unit and day as written, packed, ascending.
        layout: Its layout, as a position in ``layouts``.
        layouts: The layouts found.
    """

    numbers: Mapping[str, int]
    packed: Ints
    layout: npt.NDArray[np.int8]
    layouts: tuple[Layout, ...]

    def of_rows(self, units: Units, times: Times) -> npt.NDArray[np.int8]:
        """Layout of every row."""
        if not len(units.codes):
            return np.zeros(0, np.int8)
        number = np.array([self.numbers.get(text or "", -1) for text in units.texts] or [-1], np.int64)
        days = written_days(times.keys, times.ahead)[times.hour]
        codes = units.codes
        starts = np.concatenate([[0], np.flatnonzero((codes[1:] != codes[:-1]) | (days[1:] != days[:-1])) + 1])
        wanted = (number[np.maximum(codes[starts], 0)] << DAY_BITS) + days[starts]
        place = np.minimum(np.searchsorted(self.packed, wanted), len(self.packed) - 1)
        found = np.where(self.packed[place] == wanted, self.layout[place], 0).astype(np.int8)
        return np.repeat(found, np.diff(np.append(starts, len(codes))))


@dataclass(frozen=True)
class Found:
    """What was found of all units' days, one entry per unit and day as written, ascending.

    Attributes:
        units: Units by number.
        unit: Number of the unit.
        day: Days since 1970.
        minutes: Interval.
        told: Whether the day itself tells the interval.
        unclear: Whether neither it nor a day before it does.
        ends: Whether times name the ends.
        closes: Whether 24:00 stands on the day.
        opens: Whether 0:00 does.
        stamp_unclear: Whether nothing tells the stamp.
    """

    units: list[str]
    unit: Ints
    day: Ints
    minutes: Ints
    told: npt.NDArray[np.bool_]
    unclear: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.bool_]
    closes: npt.NDArray[np.bool_]
    opens: npt.NDArray[np.bool_]
    stamp_unclear: npt.NDArray[np.bool_]

    def habits(self, layouts: Iterable[Layout], minutes: Ints, ends: npt.NDArray[np.bool_]) -> Habits:
        """Habits with the given interval and stamp of every day."""
        known = tuple(layouts)
        layout = np.zeros(len(minutes), np.int8)
        for number, one in enumerate(known):
            layout[(minutes == one.minutes) & (ends == (one.stamp == "end"))] = number
        numbers = {unit: number for number, unit in enumerate(self.units)}
        return Habits(numbers, (self.unit << DAY_BITS) + self.day, layout, known)


def find(seen: Iterable[Seen]) -> Found:
    """Puts together what the chunks tell, and lets days that do not tell follow those before them."""
    numbers: dict[str, int] = {}
    stretches: list[tuple[Ints, npt.NDArray[np.int8], Ints, Ints]] = []
    for one in seen:
        number = np.array([numbers.setdefault(unit, len(numbers)) for unit in one.units], np.int64)
        if len(one.codes):
            stretches.append(((number[one.codes] << DAY_BITS) + one.days, one.tells, one.rows, one.index))
    if not stretches:
        none, false = np.zeros(0, np.int64), np.zeros(0, np.bool_)
        return Found([], none, none, none, false, false, false, false, false, false)
    packed, tells, rows, index = (np.concatenate(column) for column in zip(*stretches, strict=True))
    order = np.argsort(packed, kind="stable")
    packed, tells, rows, index = packed[order], tells[order], rows[order], index[order]
    starts = np.concatenate([[0], np.flatnonzero(packed[1:] != packed[:-1]) + 1])
    packed, tells = packed[starts], np.bitwise_or.reduceat(tells, starts)
    rows, index = np.add.reduceat(rows, starts), np.maximum.reduceat(index, starts)
    unit, day = np.divmod(packed, 1 << DAY_BITS)
    minutes = np.where((tells & QUARTERS > 0) | (index > 50), 15, np.where((tells & HALVES > 0) | (index > 25), 30, 60))
    usual = np.select([minutes == one for one in INTERVALS], [USUAL_INDEX[one] for one in INTERVALS])
    told = np.where(index > 0, index >= usual, (minutes < 60) | (rows >= TELLING))
    before = _last_before(told, unit)
    minutes = np.where(told | (before < 0), minutes, np.minimum(minutes, minutes[before]))
    closes, opens = tells & CLOSES > 0, tells & OPENS > 0
    says = closes | opens
    nearest = _last_before(says, unit)
    # The first days of a delivery may begin in the middle: there the next day that tells has to do.
    later = len(unit) - 1 - _last_before(says[::-1], unit[::-1])[::-1]
    nearest = np.where(nearest >= 0, nearest, np.where(later < len(unit), later, -1))
    ends = np.where(nearest >= 0, closes[nearest], False)
    return Found(list(numbers), unit, day, minutes, told, ~told & (before < 0), ends, closes, opens, nearest < 0)


def _last_before(flags: npt.NDArray[np.bool_], unit: Ints) -> Ints:
    """Position of the last flagged entry of the same unit, up to and with each; -1 where there is none."""
    last = np.maximum.accumulate(np.where(flags, np.arange(len(flags)), -1))
    return np.where((last >= 0) & (unit[last] == unit), last, -1)
