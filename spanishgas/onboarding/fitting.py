"""Whether the values of a raw column can be those of a column of a contract, and how much they speak for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from spanishgas.contracts import Column
from spanishgas.onboarding.facts import NEARLY_ALL, ColumnFacts
from spanishgas.onboarding.words import meanings, plain

FEW_CODES = 40
# Columns whose values are words of the contract, or a free text.
FREE_TEXT = "interaction_summary"
FLAG = "flag"


@dataclass(frozen=True)
class Fit:
    """What the values say.

    Attributes:
        share: From 0 (cannot be) to 1 (all of it fits).
        tells: Whether the values are such as hardly another column has.
        reason: What they show, in words.
    """

    share: float
    tells: bool = False
    reason: str = ""


NOT = Fit(0.0)


def fit_of_values(facts: ColumnFacts, column: Column) -> Fit:
    """How well the values of a raw column fit a column of a contract.

    A column without any value fits everything half-way: it says nothing.
    """
    if not facts.texts:
        return Fit(0.5, reason="no value in the sample")
    if column.name in ("customer_id", "supply_point_id"):
        return _identifier(facts)
    if column.type == "date":
        return NOT if facts.dates is None else Fit(1.0, reason=facts.range())
    if column.type == "timestamp":
        return _timestamp(facts)
    if column.name == "time":
        return _time(facts)
    if column.type == "bool":
        return _flag(facts, column)
    if column.type in ("float", "int"):
        return _number(facts, column)
    if column.domain is not None:
        return _code(facts, column)
    return _text(facts, column)


def words_of(column: Column) -> dict[str, str]:
    """Word that stands for a code of a column, in small letters -> the code; of the dictionary and the contract."""
    dictionary = meanings().codes
    known: dict[str, str] = {}
    if column.type == "bool":
        names: tuple[str, ...] = (FLAG, column.name)
    else:
        names = (column.name,)
        known = {plain(code): code for code in column.domain or ()}
    for name in names:
        for code, words in dictionary.get(name, {}).items():
            if column.domain is None or code in column.domain:
                known |= {plain(word): code for word in words}
    return known


def codes_of(facts: ColumnFacts, column: Column) -> Mapping[str, str | None]:
    """Raw value -> code of the contract, None for those that no word stands for."""
    known = words_of(column)
    found: dict[str, str | None] = {}
    for text in facts.texts[:500]:
        bare = plain(text)
        if column.name == "province_code":
            number = bare.removesuffix(".0").lstrip("0")
            found[text] = number.zfill(2) if number.isdigit() and 1 <= int(number) <= 52 else known.get(bare)
        else:
            found[text] = known.get(bare, known.get(bare.replace("_", " ")))
    return found


def _identifier(facts: ColumnFacts) -> Fit:
    if facts.cups_share >= NEARLY_ALL:
        return Fit(1.0, True, "CUPS")
    if facts.dates is not None or facts.missing > 0.05:
        return Fit(0.1)
    if facts.numbers is not None and not facts.numbers.whole:
        return NOT
    if len(facts.values) > 50 and len(facts.texts) <= 2:
        # One meter's readings name one; yes and no are no names.
        return Fit(0.3 if facts.flag_share else 0.8, reason=facts.range())
    return Fit(1.0 if facts.length <= 40 else 0.4, reason=f"{len(facts.distinct):,} different ones in the sample")


def _timestamp(facts: ColumnFacts) -> Fit:
    told = facts.dates
    if told is None:
        return NOT
    if told.has_time:
        return Fit(1.0, True, facts.range())
    return Fit(0.85, reason=facts.range())


def _time(facts: ColumnFacts) -> Fit:
    if facts.time_share >= NEARLY_ALL:
        return Fit(1.0, True, facts.range())
    told = facts.numbers
    if told is None or not told.whole or told.low < 0 or told.high > 100 or len(facts.texts) < 12:
        return NOT
    return Fit(1.0, told.high in (23, 24, 25, 48, 50, 96, 100), facts.range())


def _flag(facts: ColumnFacts, column: Column) -> Fit:
    if facts.flag_share >= NEARLY_ALL and len(facts.texts) <= 6:
        return Fit(1.0, reason=facts.range())
    if len(facts.texts) > FEW_CODES:
        return NOT
    told = codes_of(facts, column)
    share = facts.share([told.get(text) is not None for text in facts.texts])
    if share >= NEARLY_ALL:
        return Fit(1.0, reason=facts.range())
    return Fit(0.7, reason=facts.range()) if len(facts.texts) == 2 else Fit(0.3 * share)


def _number(facts: ColumnFacts, column: Column) -> Fit:
    told = facts.numbers
    if told is None or (facts.dates is not None and not facts.typed):
        return NOT
    if column.type == "int":
        return NOT  # an hour's number is read as `time` until its values are looked at
    level = meanings().levels.get(column.name)
    if level is None or not told.median:
        return Fit(0.9, reason=facts.range())
    low, high = level
    if low <= told.median <= high:
        return Fit(1.0, reason=f"median {told.median:g} {column.unit or ''}".strip())
    return Fit(0.8, reason=f"median {told.median:g}, which is no usual {column.unit or 'value'}")


def _code(facts: ColumnFacts, column: Column) -> Fit:
    if len(facts.texts) > 500:
        return NOT
    told = codes_of(facts, column)
    share = facts.share([told.get(text) is not None for text in facts.texts])
    if share >= 0.9:
        several = len(facts.texts) > 1 and column.name != "province_code"
        return Fit(1.0, several or len(facts.texts) > 12, facts.range())
    if len(facts.texts) <= FEW_CODES and facts.numbers is None and facts.dates is None:
        return Fit(0.7 if share else 0.6, reason=facts.range())
    return Fit(0.2 if facts.dates is None else 0.0)


def _text(facts: ColumnFacts, column: Column) -> Fit:
    if facts.dates is not None:
        return NOT
    if column.name == FREE_TEXT:
        return Fit(1.0, facts.length > 25, f"texts of {facts.length:.0f} characters") if facts.length > 8 else Fit(0.4)
    if column.name == "region":
        return Fit(1.0 if facts.numbers is None and len(facts.texts) <= 60 else 0.2, reason=facts.range())
    repeated = len(facts.distinct) < 0.9 * len(facts.values) or len(facts.values) < 20
    return Fit(1.0 if repeated else 0.6, reason=facts.range())
