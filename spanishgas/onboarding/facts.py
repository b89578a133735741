"""What the values of a raw column are: dates and how they are written, numbers and their decimal mark, flags."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.silver.numbers import DecimalMark, numbers_of_texts
from spanishgas.silver.values import FALSE, TRUE

NEARLY_ALL = 0.95
PROBED = 2_000
CUPS = re.compile(r"^ES\d{16}[A-Z]{2}(\d[A-Z])?$", re.IGNORECASE)
ISO = re.compile(r"^\d{4}-\d{1,2}(-\d{1,2}([ T].*)?)?$")
TIME = re.compile(r"[ T]+(\d{1,2}):(\d{2})(:\d{2}(\.\d+)?)?")
TIME_OF_DAY = re.compile(r"^(\d{1,2}):?(\d{2})(:\d{2})?$")
OFFSET = re.compile(r"([+-]\d{2}:?\d{2}|Z)$")
# Ways of writing a day beside ISO 8601, with what has to be known of its parts; two that fit alike are a question.
DAY_FORMATS: tuple[tuple[str, str], ...] = (
    ("%Y/%m/%d", r"^(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})$"),
    ("%d/%m/%Y", r"^(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})$"),
    ("%m/%d/%Y", r"^(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})$"),
    ("%d-%m-%Y", r"^(?P<d>\d{1,2})-(?P<m>\d{1,2})-(?P<y>\d{4})$"),
    ("%m-%d-%Y", r"^(?P<m>\d{1,2})-(?P<d>\d{1,2})-(?P<y>\d{4})$"),
    ("%d.%m.%Y", r"^(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})$"),
    ("%d/%m/%y", r"^(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{2})$"),
    ("%m/%d/%y", r"^(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{2})$"),
    ("%d-%m-%y", r"^(?P<d>\d{1,2})-(?P<m>\d{1,2})-(?P<y>\d{2})$"),
    ("%Y%m%d", r"^(?P<y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})$"),
    ("%m/%Y", r"^(?P<m>\d{1,2})/(?P<y>\d{4})$"),
    ("%m-%Y", r"^(?P<m>\d{1,2})-(?P<y>\d{4})$"),
    ("%Y/%m", r"^(?P<y>\d{4})/(?P<m>\d{1,2})$"),
    ("%Y%m", r"^(?P<y>(?:19|20)\d{2})(?P<m>\d{2})$"),
)
SENTINEL_YEARS = (1901, 2100)


@dataclass(frozen=True)
class Dates:
    """How the dates of a column are written.

    Attributes:
        format: strptime format; None for ISO 8601 and typed dates.
        others: Formats that fit all values just as well.
        first: Earliest day, sentinels left out.
        last: Latest day.
        has_time: Whether a time of day that is not always midnight is written with it.
        has_offset: Whether times carry their offset to UTC.
    """

    format: str | None
    others: tuple[str, ...]
    first: date | None
    last: date | None
    has_time: bool
    has_offset: bool


@dataclass(frozen=True)
class Numbers:
    """How the numbers of a column are written and where they lie.

    Attributes:
        decimal: Mark that the values show, or None where none does.
        ambiguous: Values whose one mark may as well stand for thousands: ``1.234``.
        low: Smallest value.
        high: Largest value.
        median: Median of those that are not zero.
        whole: Whether all are whole numbers.
        zeros: Share of zeros.
    """

    decimal: DecimalMark | None
    ambiguous: int
    low: float
    high: float
    median: float
    whole: bool
    zeros: float


@dataclass(frozen=True, eq=False)
class ColumnFacts:
    """A raw column of a sample.

    Attributes:
        name: Its name.
        values: Every value as trimmed text, None where missing.
        typed: Whether the file itself says the type; texts of such columns are ours.
    """

    name: str
    values: "pd.Series[str]"
    typed: bool = False

    @cached_property
    def every(self) -> "pd.Series[int]":
        """Distinct value -> rows, most frequent first."""
        return self.values.dropna().value_counts()

    @cached_property
    def counts(self) -> "pd.Series[int]":
        """The same of at most some thousand values: the most frequent ones, and some of the others."""
        rest = self.every[PROBED:]
        return self.every if rest.empty else pd.concat([self.every[:PROBED], rest[:: max(1, len(rest) // PROBED)]])

    @cached_property
    def texts(self) -> list[str]:
        """The values of ``counts``."""
        return [str(text) for text in self.counts.index]

    @cached_property
    def distinct(self) -> list[str]:
        """All distinct values."""
        return [str(text) for text in self.every.index]

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return float(self.values.isna().mean()) if len(self.values) else 1.0

    @cached_property
    def flag_share(self) -> float:
        """Share of values that read as yes or no."""
        return self.share([text.lower() in (*TRUE, *FALSE) for text in self.texts])

    @cached_property
    def cups_share(self) -> float:
        """Share of values that are a CUPS."""
        return self.share([CUPS.match(text.replace(" ", "")) is not None for text in self.texts])

    @cached_property
    def time_share(self) -> float:
        """Share of values that are a time of day."""
        return self.share([TIME_OF_DAY.match(text) is not None and ":" in text for text in self.texts])

    @cached_property
    def numbers(self) -> Numbers | None:
        """The numbers, where nearly all values are some."""
        return _numbers(self)

    @cached_property
    def dates(self) -> Dates | None:
        """The dates, where nearly all values are some."""
        return _dates(self)

    @cached_property
    def length(self) -> float:
        """Mean length of the texts."""
        return float(np.mean([len(text) for text in self.texts])) if self.texts else 0.0

    def share(self, fits: Sequence[bool]) -> float:
        """Share of the rows with a value whose text fits, told per distinct text."""
        total = int(self.counts.sum())
        return float(self.counts[np.asarray(fits, dtype=bool)].sum() / total) if total else 0.0

    def mark(self) -> DecimalMark:
        """Decimal mark by which the numbers are to be read."""
        return self.numbers.decimal or "auto" if self.numbers else "auto"

    def as_numbers(self, decimal: DecimalMark = "auto") -> npt.NDArray[np.float64]:
        """Every row's number, NaN where there is none."""
        read = dict(zip(self.distinct, numbers_of_texts(self.distinct, decimal), strict=True))
        return np.asarray(self.values.map(read), dtype=np.float64)

    def as_days(self) -> "pd.Series[pd.Timestamp]":
        """Every row's day, missing where it cannot be read."""
        told = self.dates
        days = days_of(self.distinct, told.format if told else None)
        return pd.to_datetime(self.values.map(dict(zip(self.distinct, days, strict=True))), errors="coerce")

    def range(self) -> str:
        """What is seen of the values, for questions: a range, or the most frequent ones."""
        if self.dates is not None and self.dates.first is not None:
            return f"{self.dates.first} to {self.dates.last} seen"
        if self.numbers is not None and self.flag_share < NEARLY_ALL:
            return f"{self.numbers.low:g} to {self.numbers.high:g} seen"
        shown = ", ".join(repr(text[:40]) for text in self.texts[:6])
        return f"{shown}{' and others' if len(self.texts) > 6 else ''} seen" if shown else "no value seen"


def facts_of(sample: pd.DataFrame, typed: Mapping[str, bool]) -> dict[str, ColumnFacts]:
    """Facts of every column of a sample of texts."""
    return {str(name): ColumnFacts(str(name), sample[name], typed.get(str(name), False)) for name in sample.columns}


def days_of(texts: Sequence[str], date_format: str | None) -> list[date | None]:
    """Days of texts, whatever time stands beside them; None where one is no day."""
    layout = (date_format or "").split(" ")[0]
    pattern = re.compile(dict(DAY_FORMATS).get(layout, r"^(?P<y>\d{4})-(?P<m>\d{1,2})(-(?P<d>\d{1,2}))?$"))
    known: dict[str, date | None] = {}
    found = []
    for text in texts:
        part = _day_part(text)
        if part not in known:
            known[part] = _day(pattern.match(part))
        found.append(known[part])
    return found


def _day(match: re.Match[str] | None) -> date | None:
    parts = match.groupdict() if match else {}
    try:
        year = parts["y"]
        return date(int(year) + (2000 if len(year) == 2 else 0), int(parts["m"]), int(parts.get("d") or 1))
    except (KeyError, ValueError):
        return None


def _day_part(text: str) -> str:
    return re.split(r"[ T]", text.strip(), maxsplit=1)[0]


def _dates(facts: ColumnFacts) -> Dates | None:
    texts = facts.texts
    if not texts or facts.share([len(text) >= 6 for text in texts]) < NEARLY_ALL:
        return None
    iso = facts.share([ISO.match(text) is not None for text in texts])
    fitting: list[str | None] = [None] if iso >= NEARLY_ALL else []
    if not fitting:
        bare = facts.numbers is not None and facts.numbers.whole
        for name, _ in DAY_FORMATS:
            if bare and name == "%Y%m" and len(texts) > 600:
                continue
            if facts.share([day is not None for day in days_of(texts, name)]) >= NEARLY_ALL:
                fitting.append(name)
    if not fitting:
        return None
    day = _likelier(facts, fitting)
    first, last = SENTINEL_YEARS
    plausible = [one for one in days_of(facts.distinct, day) if one is not None and first < one.year < last]
    times = [match.group(0) for match in map(TIME.search, texts) if match]
    midnight = all(re.fullmatch(r"[ T]+0{1,2}:00(:00(\.0+)?)?", time) for time in times)
    layout = day if day is None or not times else f"{day} {_time_format(times)}"
    others = tuple(str(name) for name in fitting if name != day and name is not None)
    return Dates(
        format=layout,
        others=_really_other(facts, day, others),
        first=min(plausible, default=None),
        last=max(plausible, default=None),
        has_time=bool(times) and not midnight,
        has_offset=facts.share([OFFSET.search(text) is not None and ":" in text for text in texts]) >= NEARLY_ALL,
    )


def _time_format(times: Sequence[str]) -> str:
    longest = max(times, key=len)
    if longest.count(":") == 1:
        return "%H:%M"
    return "%H:%M:%S.%f" if "." in longest else "%H:%M:%S"


def _likelier(facts: ColumnFacts, fitting: Sequence[str | None]) -> str | None:
    """Of several formats, the one by which days are the first of many months; else the first, the Spanish one."""
    firsts = [(sum(day is not None and day.day == 1 for day in days_of(facts.texts, name)), name) for name in fitting]
    best = max(count for count, _ in firsts)
    always = [name for count, name in firsts if count == best == len(facts.texts)]
    return always[0] if len(always) == 1 and len(facts.texts) > 1 else fitting[0]


def _really_other(facts: ColumnFacts, day: str | None, others: Sequence[str]) -> tuple[str, ...]:
    """Formats by which the days would be other days, and no less likely ones."""
    mine = days_of(facts.texts, day)
    firsts = all(one is None or one.day == 1 for one in mine) and len(mine) > 1
    return tuple(name for name in others if not firsts and days_of(facts.texts, name) != mine)


def _numbers(facts: ColumnFacts) -> Numbers | None:
    texts = facts.texts
    if not texts:
        return None
    read = {mark: numbers_of_texts(texts, mark) for mark in ("auto", "comma", "point")}
    if facts.share(list(~np.isnan(read["auto"]))) < NEARLY_ALL:
        return None
    comma = sum(_decimal(text, ",", ".") for text in texts)
    point = sum(_decimal(text, ".", ",") for text in texts)
    lone = sum(re.fullmatch(r"[+-]?[1-9]\d{0,2}([.,])\d{3}", text) is not None for text in texts)
    decimal: DecimalMark | None = None
    if bool(comma) != bool(point):
        decimal = "comma" if comma else "point"
    values = read[decimal or "auto"]
    weights = facts.counts.to_numpy()
    good = ~np.isnan(values)
    values, weights = values[good], weights[good]
    if not len(values):
        return None
    filled = np.repeat(values, np.minimum(weights, 1000))
    nonzero = np.abs(filled[filled != 0])
    return Numbers(
        decimal=None if facts.typed else decimal,
        ambiguous=0 if facts.typed or decimal else lone,
        low=float(values.min()),
        high=float(values.max()),
        median=float(np.median(nonzero)) if len(nonzero) else 0.0,
        whole=bool((values == np.rint(values)).all()),
        zeros=float(weights[values == 0].sum() / weights.sum()),
    )


def _decimal(text: str, mark: str, other: str) -> bool:
    """Whether a mark in a number can only be the decimal one."""
    if text.count(mark) != 1 or other in text.partition(mark)[2]:
        return False
    before, _, after = text.lstrip("+-").partition(mark)
    return other in before or not (len(after) == 3 and re.fullmatch(r"[1-9]\d{0,2}", before) is not None)


__all__ = ["NEARLY_ALL", "ColumnFacts", "Dates", "Numbers", "days_of", "facts_of"]
