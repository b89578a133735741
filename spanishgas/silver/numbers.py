"""Numbers written as text: decimal marks, marks of thousands, and what a lone mark means."""

import re
from collections.abc import Sequence
from typing import Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd

DecimalMark = Literal["auto", "point", "comma"]
# No quantity of anything here is larger, and whole millionths of it still fit 64 bits.
LARGEST = 1e12
EXPONENT = r"([eE][+-]?\d+)?"
# Spaces (also the ones that do not break) and apostrophes stand between thousands only.
SPACED = r"^[+-]?\d{1,3}([ '’\x{00a0}\x{202f}]\d{3})+([.,]\d+)?$"
SPACES = r"[ '’\x{00a0}\x{202f}]"
# SAP writes the sign behind.
MINUS_BEHIND = r"^(\d[\d.,]*)-$"
COMMA = r"^[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+" + EXPONENT + "$"
POINT = r"^[+-]?(\d*|\d{1,3}(,\d{3})+)\.\d+" + EXPONENT + "$"
POINTS_ONLY = r"^[+-]?\d{1,3}(\.\d{3})+$"
COMMAS_ONLY = r"^[+-]?\d{1,3}(,\d{3})+$"
PLAIN = r"^[+-]?\d+" + EXPONENT + "$"
MANY = ("(\\.\\d{3})+$", "(\\.\\d{3}){2,}$"), ("(,\\d{3})+$", "(,\\d{3}){2,}$")
# No number of anything; pandas reads beyond its tables where an exponent does not fit 32 bits, and the process dies.
HUGE_EXPONENT = re.compile(r"[eE][+-]?\d{4,}")
# Decimal mark -> patterns of texts, and the mark of thousands to take out; a comma that is left is the decimal mark.
# Under ``auto`` a lone mark is a decimal one, so only repeated marks are thousands.
RULES: dict[DecimalMark, tuple[tuple[str, str], ...]] = {
    "auto": (
        (COMMA, "."),
        (POINT, ","),
        (POINTS_ONLY.replace(*MANY[0]), "."),
        (COMMAS_ONLY.replace(*MANY[1]), ","),
    ),
    "comma": ((COMMA, "."), (POINTS_ONLY, "."), (PLAIN, ".")),
    "point": ((POINT, ","), (COMMAS_ONLY, ","), (PLAIN, ",")),
}


def number_of_text(text: ir.StringValue, decimal: DecimalMark) -> ir.FloatingValue:
    """The number that a trimmed text stands for, null where it stands for none."""
    text = text.re_replace(MINUS_BEHIND, r"-\1")
    direct = text.try_cast("float64")
    spaced = text.re_search(SPACED)
    joined = ibis.ifelse(spaced, text.re_replace(SPACES, ""), text)
    mended = ibis.cases(
        *((joined.re_search(pattern), joined.replace(mark, "").replace(",", ".")) for pattern, mark in RULES[decimal]),
        else_=ibis.ifelse(spaced, joined, ibis.null("string")),
    )
    read = mended.try_cast("float64")
    return ibis.coalesce(direct, read) if decimal == "auto" else read


def numbers_of_texts(texts: Sequence[str | None], decimal: DecimalMark = "auto") -> npt.NDArray[np.float64]:
    """The same for distinct texts at once: NaN where one stands for none, or for one beyond ``LARGEST``."""
    series = pd.Series(list(texts), dtype="object")
    if HUGE_EXPONENT.search("\n".join(text for text in texts if text)):
        series = series.map(lambda text: None if text and HUGE_EXPONENT.search(text) else text)
    series = series.str.replace(MINUS_BEHIND, r"-\1", regex=True)
    direct = pd.to_numeric(series, errors="coerce").astype("float64")
    odd = series.notna() if decimal != "auto" else direct.isna() & series.notna()
    if odd.any():
        mended = series[odd].map(lambda text: _plain(text, decimal))
        direct[odd] = pd.to_numeric(mended, errors="coerce").astype("float64")
    values = direct.to_numpy(dtype=np.float64)
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _plain(text: str, decimal: DecimalMark) -> str | None:
    spaced = re.match(_python(SPACED), text) is not None
    joined = re.sub(_python(SPACES), "", text) if spaced else text
    for pattern, mark in RULES[decimal]:
        if re.match(pattern, joined):
            return joined.replace(mark, "").replace(",", ".")
    return joined if spaced else None


def _python(pattern: str) -> str:
    """A pattern of the engine in Python's grammar, which writes characters by number in another way."""
    return re.sub(r"\\x\{([0-9a-f]{4})\}", r"\\u\1", pattern)
