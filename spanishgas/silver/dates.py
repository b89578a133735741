"""Dates that mean nothing, and dates that cannot be.

Systems that know no empty date write a day that nobody means, the first or the last that they can: a sentinel. It is
read as missing, and counted. Any other day outside the years that a part of a source states is impossible.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Self

import ibis
import ibis.expr.types as ir

from spanishgas.config import SourcePart

SENTINELS = (
    date(1, 1, 1),
    date(1753, 1, 1),  # the first day of SQL Server
    date(1899, 12, 30),  # day 0 of Excel
    date(1899, 12, 31),
    date(1900, 1, 1),
    date(2999, 12, 31),
    date(3000, 1, 1),
    date(9999, 1, 1),
    date(9999, 12, 31),
)
LAYOUTS = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y%m%d")
# 0000-00-00, 00/00/0000 00:00:00, 0
ZEROS = r"^[-/.:T ]*0[-/.:T 0]*$"
TIME = r"[ T]\d{1,2}:.*$"


@dataclass(frozen=True)
class DateRule:
    """Which days mean nothing, and which can be.

    Attributes:
        sentinels: Days that stand for no date.
        first: First day that is possible.
        last: Last day that is possible.
    """

    sentinels: tuple[date, ...]
    first: date
    last: date

    @classmethod
    def of(cls, part: SourcePart) -> Self:
        """The rule of a part of a source."""
        sentinels = tuple(dict.fromkeys((*SENTINELS, *part.sentinel_dates)))
        return cls(sentinels, date(part.first_year, 1, 1), date(part.last_year, 12, 31))

    @cached_property
    def texts(self) -> frozenset[str]:
        """Sentinels in every layout that they are written in."""
        return frozenset(_written(day, layout) for day in self.sentinels for layout in LAYOUTS)

    def is_sentinel(self, text: str) -> bool:
        """Whether a text stands for no date."""
        return re.match(ZEROS, text) is not None or re.sub(TIME, "", text) in self.texts

    def stands_for_none(self, raw: ir.Value, day: ir.DateValue) -> ir.BooleanValue:
        """Which raw values stand for no date; ``day`` is what was read of them.

        What lies beyond the calendar, such as the infinite dates of databases, stands for no date, too.
        """
        found = day.isin(self.sentinels) | (day > date.max) | (day < date.min)
        if raw.type().is_string():
            text = raw.strip()
            found = found.fill_null(False) | text.re_search(ZEROS)
            found = found | text.re_replace(TIME, "").isin(sorted(self.texts))
        return found.fill_null(False)

    def impossible(self, day: ir.DateValue) -> ir.BooleanValue:
        """Which days lie outside the years that are possible."""
        return ((day < ibis.literal(self.first)) | (day > ibis.literal(self.last))).fill_null(False)


def _written(day: date, layout: str) -> str:
    # The platform's own strftime does not pad years everywhere.
    parts = {"%Y": f"{day.year:04d}", "%m": f"{day.month:02d}", "%d": f"{day.day:02d}"}
    for directive, text in parts.items():
        layout = layout.replace(directive, text)
    return layout
