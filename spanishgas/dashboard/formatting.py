"""Numbers, euros, shares and dates the way a Spanish or an English reader writes them.

The rules are those of the Unicode locale data for ``es`` and ``en``, which browsers follow too: Spanish has a comma for
decimals and a space that does not break before a unit. One is not: there Spanish groups thousands from five digits on,
which charts cannot do and invoices do not; here four digits are grouped too, in texts, charts and tables alike.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd

from spanishgas.domain.spreadsheets import harmless

Language = Literal["en", "es"]
SPACE = "\u00a0"
NOTHING = "–"
TIME_ZONE = ZoneInfo("Europe/Madrid")
MONTHS: dict[Language, tuple[str, ...]] = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"),
}
LONG_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "es": (
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ),
}
DAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "es": ("domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"),
}
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~:$-])")


@dataclass(frozen=True)
class Format:
    """How values are written in one language.

    Attributes:
        language: The language.
    """

    language: Language

    def number(self, value: Any, digits: int = 0, *, sign: bool = False) -> str:
        """A number with so many decimals; a dash where there is none.

        Args:
            value: The number.
            digits: Decimals.
            sign: Write a plus before what is positive.
        """
        if _is_missing(value):
            return NOTHING
        text = f"{abs(float(value)):,.{digits}f}"
        is_zero = not any(letter in "123456789" for letter in text)
        if self.language == "es":
            whole, _, decimals = text.partition(".")
            whole = whole.replace(",", ".")
            text = f"{whole},{decimals}" if decimals else whole
        mark = "" if is_zero else "-" if float(value) < 0 else "+" if sign else ""
        return mark + text

    def eur(self, value: Any, digits: int = 0, *, sign: bool = False) -> str:
        """An amount in euros."""
        text = self.number(value, digits, sign=sign)
        if text == NOTHING:
            return text
        if self.language == "es":
            return f"{text}{SPACE}€"
        return f"{text[0]}€{text[1:]}" if text[0] in "+-" else f"€{text}"

    def pct(self, share: Any, digits: int = 1, *, sign: bool = False) -> str:
        """A share of one as a percentage."""
        text = self.number(None if _is_missing(share) else 100 * float(share), digits, sign=sign)
        return text if text == NOTHING else text + (f"{SPACE}%" if self.language == "es" else "%")

    def unit(self, value: Any, unit: str, digits: int = 0) -> str:
        """A number with its unit."""
        text = self.number(value, digits)
        return text if text == NOTHING else f"{text}{SPACE}{unit}"

    def interval(self, value: Any, lo: Any, hi: Any, digits: int = 3) -> str:
        """A figure with its interval, where it has one."""
        if _is_missing(lo) or _is_missing(hi):
            return self.number(value, digits)
        to = "a" if self.language == "es" else "to"
        return f"{self.number(value, digits)} ({self.number(lo, digits)} {to} {self.number(hi, digits)})"

    def day(self, value: Any) -> str:
        """A day: ``9 Feb 2026``, ``9 feb 2026``."""
        if _is_missing(value):
            return NOTHING
        found = pd.Timestamp(value)
        return f"{found.day}{SPACE}{MONTHS[self.language][found.month - 1]}{SPACE}{found.year}"

    def month(self, value: Any) -> str:
        """A month: ``Feb 2026``, ``feb 2026``."""
        if _is_missing(value):
            return NOTHING
        found = pd.Timestamp(value)
        return f"{MONTHS[self.language][found.month - 1]}{SPACE}{found.year}"

    def moment(self, value: Any) -> str:
        """A moment, told in UTC, on a Spanish clock."""
        if _is_missing(value) or value == "":
            return NOTHING
        found = datetime.fromisoformat(str(value))
        local = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(TIME_ZONE)
        return f"{self.day(local.date())}, {local:%H:%M}"

    def listed(self, parts: Sequence[str]) -> str:
        """Words in a row: ``a, b and c``, ``a, b y c``."""
        if len(parts) < 2:
            return "".join(parts)
        last = parts[-1]
        joint = "and" if self.language == "en" else "e" if last.lower().startswith(("i", "hi")) else "y"
        return f"{', '.join(parts[:-1])} {joint} {last}"

    @property
    def chart_locale(self) -> dict[str, dict[str, Any]]:
        """What charts need to write numbers and dates this way: the ``locale`` of a Vega configuration."""
        is_spanish = self.language == "es"
        return {
            "number": {
                "decimal": "," if is_spanish else ".",
                "thousands": "." if is_spanish else ",",
                "grouping": [3],
                "currency": ["", f"{SPACE}€"] if is_spanish else ["€", ""],
                "percent": f"{SPACE}%" if is_spanish else "%",
            },
            "time": {
                "dateTime": "%A, %e %B %Y, %X",
                "date": "%d/%m/%Y",
                "time": "%H:%M:%S",
                "periods": ["AM", "PM"],
                "days": list(DAYS[self.language]),
                "shortDays": [day[:3] for day in DAYS[self.language]],
                "months": list(LONG_MONTHS[self.language]),
                "shortMonths": list(MONTHS[self.language]),
            },
        }

    def csv(self, table: pd.DataFrame) -> bytes:
        """A table as a file that a spreadsheet of this language opens as numbers, accents included."""
        separator, decimal = (";", ",") if self.language == "es" else (",", ".")
        # Of whoever names a customer or a segment: not to be calculated by the spreadsheet that opens it.
        safe = table.map(lambda value: harmless(value) if isinstance(value, str) else value)
        text: str = safe.to_csv(index=False, sep=separator, decimal=decimal)
        return text.encode("utf-8-sig")


def plain(text: object) -> str:
    """A text of a table or of somebody's as Markdown that shows it as it is: no link, no picture, no colour."""
    return MARKDOWN.sub(r"\\\1", str(text)).replace("\n", " ")


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    return isinstance(value, float) and not math.isfinite(value)


def as_day(value: Any) -> date:
    """A day of a table or a partition as a date."""
    return pd.Timestamp(value).date()
