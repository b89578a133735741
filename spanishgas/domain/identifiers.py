"""Identifiers of customers and supply points: one spelling of each, and those that nobody should carry.

The same rule stands here twice, for texts in memory and as a table expression; a test holds them to each other.
"""

import re
from typing import Final, Literal

import ibis.expr.types as ir

Spelling = Literal["folded", "as_written"]

# Spaces of every kind, marks without width, marks of the writing direction, byte order marks, soft hyphens.
_INVISIBLE: Final = (
    "\u0020\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_EDGES: Final = "\t\n\v\f\r\x1c-\x1f\x85"
INVISIBLE: Final = re.compile(f"[{_INVISIBLE}]+")
EDGES: Final = re.compile(f"^[{_EDGES}{_INVISIBLE}]+|[{_EDGES}{_INVISIBLE}]+$")
# Control characters would break reports and logs; slashes and dots would leave the folder when a file is named by an
# id; a number that a spreadsheet has rounded (1.23457E+15) is that of several customers.
UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]|\.\.|^\.$|^\d([.,]\d+)?[eE][+]\d+$")
# A supply point (CUPS): ES, 16 digits and two letters; two more characters tell a point of measurement apart.
CUPS: Final = re.compile(r"^(ES\d{16}[A-Z]{2})\d[A-Z]$")
_PLAIN: Final = re.compile(r"[0-9A-Z_-]{1,19}")
# Letters that are folded; what lies beyond has no one capital that all engines agree on.
_SMALL: Final = "abcdefghijklmnopqrstuvwxyzáàéèíïóòúüñç"
_CAPITALS: Final = _SMALL.upper()
_TO_CAPITALS: Final = str.maketrans(_SMALL, _CAPITALS)


def one_spelling(text: str | None, spelling: Spelling) -> str | None:
    """The identifier in its one spelling; None where nothing is left of it.

    Args:
        text: As written.
        spelling: ``folded``: without spaces and invisible marks, in capitals, a CUPS without its point of measurement;
            ``as_written``: only what is invisible at its ends is taken off.
    """
    if text is None or _PLAIN.fullmatch(text):
        return text
    bare = EDGES.sub("", text)
    if spelling == "folded":
        bare = CUPS.sub(r"\1", INVISIBLE.sub("", bare).translate(_TO_CAPITALS))
    return bare or None


def is_unsafe(text: str | None) -> bool:
    """Whether an identifier holds control characters, could be taken for a path, or was rounded by a spreadsheet."""
    return text is not None and UNSAFE.search(text) is not None


def one_spelling_of(text: ir.StringValue, spelling: Spelling) -> ir.StringValue:
    """``one_spelling`` as an expression."""
    bare = text.re_replace(_re2(EDGES.pattern), "")
    if spelling == "folded":
        bare = bare.re_replace(_re2(INVISIBLE.pattern), "").translate(_SMALL, _CAPITALS)
        bare = bare.re_replace(_re2(CUPS.pattern), r"\1")
    return bare.nullif("")


def is_unsafe_value(text: ir.StringValue) -> ir.BooleanValue:
    """``is_unsafe`` as an expression."""
    return text.re_search(_re2(UNSAFE.pattern))


def _re2(pattern: str) -> str:
    """The pattern with every character that is not plain written by its number: engines read those alike."""
    named = pattern.replace(r"\v", "\v").replace(r"\f", "\f")
    return "".join(char if " " < char < "\x7f" else f"\\x{{{ord(char):04X}}}" for char in named)
