"""What a pass over readings leaves to the next one, so that a delivery costs what it brings and not the history.

A day is made from the landed files that hold readings of it (and, where supply points are added up, of the days before
it that tell which supply points to expect). A day of the same files, read in the same way, is the same day: it is taken
from what is published. All others are made anew, from only those row groups that hold readings of them. Nothing here
names a customer or a file: landed files are known by their digests.
"""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import ibis.expr.types as ir

from spanishgas.silver.hour_days import COUNTS, Checks
from spanishgas.silver.hour_ranges import PassCounts
from spanishgas.silver.supply_points import SILENT_DAYS

EPOCH = date(1970, 1, 1)
# A day of several supply points is made from the readings of so many days before it, too.
LOOKED_BACK = SILENT_DAYS + 1
Days = frozenset[int]


@dataclass(frozen=True)
class FileFacts:
    """What a pass found in one landed file.

    Attributes:
        groups: Civil days (days since 1970) that the rows of each row group are of.
        counts: What was counted.
    """

    groups: tuple[Days, ...]
    counts: PassCounts

    @property
    def days(self) -> Days:
        """Civil days that its rows are of."""
        return frozenset().union(*self.groups)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        one = self.counts
        return {
            "groups": [_spans(days) for days in self.groups],
            "read": one.read,
            "sentinels": one.sentinels,
            "respelled": one.respelled,
            "readable": one.readable,
            "energies": one.energies,
            "reasons": dict(one.reasons),
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From JSON."""
        rest = {name: told[name] for name in ("read", "sentinels", "respelled", "readable", "energies")}
        counts = PassCounts(**rest, reasons=Counter(told["reasons"]))
        return cls(tuple(_days(spans) for spans in told["groups"]), counts)


@dataclass(frozen=True)
class DayFacts:
    """A published day.

    Attributes:
        made_from: Digest of all that it is made from.
        checks: Readings concerned by each check of ``COUNTS``, in their order.
    """

    made_from: str
    checks: tuple[int, ...]


@dataclass(frozen=True)
class Facts:
    """What a pass leaves to the next one.

    Attributes:
        base: Digest of the code and of how the readings are read.
        zones: Digest of the customers outside the mainland's tariff zone.
        files: Digest of a landed file -> what was found in it; without files that contradict the settings.
        days: Day (days since 1970) -> what is published of it.
    """

    base: str
    zones: str
    files: Mapping[str, FileFacts]
    days: Mapping[int, DayFacts]

    def packed(self) -> bytes:
        """As compressed JSON."""
        told = {
            "base": self.base,
            "zones": self.zones,
            "files": {key: one.told() for key, one in self.files.items()},
            "days": {str(day): [one.made_from, *one.checks] for day, one in self.days.items()},
        }
        return gzip.compress(json.dumps(told).encode(), mtime=0)

    @classmethod
    def unpacked(cls, content: bytes) -> Self | None:
        """From compressed JSON; None where it is damaged: everything is then made anew."""
        try:
            told = json.loads(gzip.decompress(content))
            files = {str(key): FileFacts.of(one) for key, one in told["files"].items()}
            days = {int(day): DayFacts(str(one[0]), tuple(map(int, one[1:]))) for day, one in told["days"].items()}
            return cls(told["base"], told["zones"], files, days)
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError):
            return None

    def months(self) -> dict[str, str]:
        """Month -> digest of all that its published days are made from."""
        return months_of({day: one.made_from for day, one in self.days.items()})


@dataclass(frozen=True)
class Before:
    """What is published, and what the pass that made it has left.

    Attributes:
        facts: What it has left.
        months: Digest of what a month is made from -> the month's published days.
        customers: Published rows of silver ``customers``.
        rejected: Published rows of the quarantine; their lines are counted as they were landed.
    """

    facts: Facts
    months: Mapping[str, Path]
    customers: ir.Table
    rejected: ir.Table


@dataclass(frozen=True)
class Keeping:
    """Days are published by month, and those that did not change are not made again.

    Attributes:
        code: Digest of the code.
        folder: Where the days of months that are made are written to.
        before: What is published; None where nothing of it can be used.
    """

    code: str
    folder: Path
    before: Before | None = None


@dataclass(frozen=True)
class Month:
    """The days of one month.

    Attributes:
        made_from: Digest of all that they are made from; None where nobody can tell.
        file: Where they are.
        earlier: Digest under which they are published already; None where they were written anew.
    """

    made_from: str | None
    file: Path
    earlier: str | None = None


@dataclass
class Wanted:
    """Which days are to be made.

    Attributes:
        made_from: Day -> digest of what it is made from now.
        dirty: Days to be made.
        needed: Days whose readings are needed for that.
    """

    made_from: dict[int, str] = field(default_factory=dict)
    dirty: Days = frozenset()
    needed: Days = frozenset()


def wanted_days(
    base: str,
    zones: str,
    files: Mapping[str, Days],
    known: Iterable[str],
    before: Before | None,
    look_back: int,
) -> Wanted:
    """Finds the days that are to be made.

    Args:
        base: See ``Facts``.
        zones: See ``Facts``.
        files: Digest of each landed file -> days that its rows are of.
        known: Files that are not read anew.
        before: What is published.
        look_back: Days before a day that it is made from, too.
    """
    touching: dict[int, set[str]] = {}
    for key, days in files.items():
        for day in days:
            touching.setdefault(day, set()).add(key)
    reused, found = frozenset(known), Wanted()
    usable: Mapping[int, DayFacts] = {}
    if before is not None:
        there = {month for month, digest in before.facts.months().items() if digest in before.months}
        usable = {day: one for day, one in before.facts.days.items() if month_of(day) in there}
    dirty: set[int] = set()
    for day in sorted(touching):
        keys = frozenset().union(*(touching.get(one, ()) for one in range(day - look_back, day + 1)))
        found.made_from[day] = _digest(base, zones, day, *sorted(keys))
        told = usable.get(day)
        is_same = told is not None and before is not None and keys <= reused
        if not is_same or told.made_from != _digest(base, before.facts.zones, day, *sorted(keys)):  # type: ignore[union-attr]
            dirty.add(day)
    found.dirty = frozenset(dirty)
    found.needed = frozenset(one for day in dirty for one in range(day - look_back, day + 1) if one in touching)
    return found


def month_of(day: int) -> str:
    """Month (``YYYY-MM``) of a day since 1970."""
    return (EPOCH + timedelta(days=day)).isoformat()[:7]


def months_of(days: Mapping[int, str]) -> dict[str, str]:
    """Month -> digest of its days, given that of each day."""
    found: dict[str, list[str]] = {}
    for day in sorted(days):
        found.setdefault(month_of(day), []).append(f"{day}:{days[day]}")
    return {month: _digest(month, *told) for month, told in found.items()}


def name_of(months: Iterable[str]) -> str:
    """Name of what is left beside a table, by what each of its months is made from."""
    return _digest(*sorted(months))


def checks_of(checks: Checks, day: int) -> tuple[int, ...]:
    """A day's readings concerned by each check."""
    return tuple(checks[day, check] for check in COUNTS)


def digest_of(*told: object) -> str:
    """Digest of some values by how they are written."""
    return _digest(*(repr(one) for one in told))


def _digest(*told: object) -> str:
    return hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()[:40]


def _spans(days: Days) -> list[list[int]]:
    """Days as first and last days of what is without a gap."""
    found: list[list[int]] = []
    for day in sorted(days):
        if found and day == found[-1][1] + 1:
            found[-1][1] = day
        else:
            found.append([day, day])
    return found


def _days(spans: Sequence[Sequence[int]]) -> Days:
    return frozenset(day for first, last in spans for day in range(first, last + 1))
