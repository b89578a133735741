"""The clocks of hourly sources: from a raw timestamp to a key of the hour, and from the key to its day and period.

A key orders the hours of one supply point: hours since 1970 in the wall-clock time of the customer (`civil`) or in UTC
(`utc`); ``day x 32 + index`` with days since 1970 (`hour_index`). Under `civil` and `hour_index` one key of the
autumn day stands for two hours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.domain.tariff import Zone, tariff_calendar

Clock = Literal["utc", "civil", "hour_index"]
Ints = npt.NDArray[np.int64]
NO_KEY: Final = -1
INDEX_SLOTS = 32
DAY_SHIFT, ORDER_SHIFT, PERIOD_MASK = 16, 2, 3
FIRST_YEAR, LAST_YEAR = 1990, 2100
HOURS_PER_DAY = 24
OFFSET = re.compile(r"\d(?:Z|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True)
class HourFacts:
    """Facts of hours, one entry per key asked for.

    Attributes:
        day: Civil day of the supply point, days since 1970; 0 where there is no such hour.
        period: Tariff period of the hour's start; 0 where there is no such hour.
        ambiguous: Whether the key stands for two hours.
        expected: Hours of the civil day.
        order: Position within the civil day; ascends with time, equal for the two hours of an ambiguous key.
        packed: ``day``, ``order`` and ``period`` in one number: what long tables are sorted and cut by.
    """

    day: npt.NDArray[np.int32]
    period: npt.NDArray[np.int8]
    ambiguous: npt.NDArray[np.bool_]
    expected: npt.NDArray[np.int8]
    order: npt.NDArray[np.int8]

    @cached_property
    def packed(self) -> Ints:
        """See the class."""
        return (self.day.astype(np.int64) << DAY_SHIFT) | (self.order.astype(np.int64) << ORDER_SHIFT) | self.period

    @classmethod
    def empty(cls, size: int) -> Self:
        """Facts of keys that stand for no hour."""
        return cls(
            day=np.zeros(size, np.int32),
            period=np.zeros(size, np.int8),
            ambiguous=np.zeros(size, np.bool_),
            expected=np.zeros(size, np.int8),
            order=np.zeros(size, np.int8),
        )

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
    """Keys of timestamps written as text; ``NO_KEY`` where a text cannot be read in this clock.

    Under `hour_index` the texts are days, and the keys those of index 0. A UTC offset is honoured under `utc` and not
    readable under `civil`, where it would say that the clock is another.
    """
    series = pd.Series(list(texts), dtype="object")
    offset = series.str.contains(OFFSET, na=False).to_numpy(dtype=bool)
    if clock != "utc" and offset.any():
        series = series.mask(offset)
    layout = date_format or "ISO8601"
    times = pd.to_datetime(series, format=layout, errors="coerce", utc=clock == "utc")
    if clock == "utc":
        times = times.dt.tz_convert(None)
    return keys_of_seconds(times.to_numpy().astype("datetime64[s]").astype(np.int64), clock)


def keys_of_seconds(seconds: Ints, clock: Clock) -> Ints:
    """Keys of seconds since 1970 in the source's clock; ``NO_KEY`` off the full hour (or day, under `hour_index`)."""
    unit = 86_400 if clock == "hour_index" else 3600
    units, rest = np.divmod(seconds, unit)
    keys = units * (INDEX_SLOTS if clock == "hour_index" else 1)
    return np.where((rest == 0) & (units > 0), keys, NO_KEY)


def facts_of_keys(keys: Ints, zone: Zone, clock: Clock) -> HourFacts:
    """Facts of hours by their keys, for supply points of one tariff zone."""
    per_day = INDEX_SLOTS if clock == "hour_index" else HOURS_PER_DAY
    days = np.where(keys == NO_KEY, 0, keys // per_day)
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    readable = (keys != NO_KEY) & (years >= FIRST_YEAR) & (years <= LAST_YEAR)
    facts = HourFacts.empty(len(keys))
    for year in np.unique(years[readable]):
        of_year = readable & (years == year)
        first, table = _year(int(year), zone, clock)
        facts.put(of_year, table, keys[of_year] - first)
    return facts


@lru_cache(maxsize=512)
def _year(year: int, zone: Zone, clock: Clock) -> tuple[int, HourFacts]:
    """First key of a year and the facts of all its keys, by position."""
    january, december = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year}-12-31")
    first_day = int(january.astype(np.int64))
    days = int((december - january).astype(np.int64)) + 1
    # Under UTC the first and last hours of a year belong to civil days of its neighbours.
    frame = tariff_calendar(
        pd.Timestamp(january) - pd.Timedelta(days=1), pd.Timestamp(december) + pd.Timedelta(days=1), zone
    )
    day = frame["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    if clock == "hour_index":
        frame, keys = _indexed(frame, day)
        day = keys // INDEX_SLOTS
    else:
        column = "civil" if clock == "civil" else "utc"
        keys = frame[column].to_numpy().astype("datetime64[h]").astype(np.int64)
    per_day = INDEX_SLOTS if clock == "hour_index" else HOURS_PER_DAY
    first, size = first_day * per_day, days * per_day
    inside = (keys >= first) & (keys < first + size)
    at = (keys - first)[inside]
    table = HourFacts.empty(size)
    table.ambiguous[:] = np.bincount(at, minlength=size) > 1
    table.day[at] = day[inside]
    table.period[at] = frame["period"].to_numpy()[inside]
    table.expected[at] = frame["hours_expected"].to_numpy()[inside]
    table.order[at] = (frame["slot"].to_numpy() if clock == "utc" else keys % per_day)[inside]
    return first, table


def _indexed(frame: pd.DataFrame, day: Ints) -> tuple[pd.DataFrame, Ints]:
    """Keys by index of the interval's end, as distributors number them, and as plain counters from 1 to 23 or 25.

    A day with a missing or an extra hour is a Sunday: both ways of numbering give the same tariff period.
    """
    keys = day * INDEX_SLOTS + frame["end_hour"].to_numpy()
    counted = day * INDEX_SLOTS + frame["slot"].to_numpy() + 1
    new = ~np.isin(counted, keys)
    whole = pd.concat([frame, frame[new]], ignore_index=True)
    return whole, cast(Ints, np.concatenate([keys, counted[new]]))
