"""How the values of a mapped column are to be read: formats of dates, decimal marks, units, codes, zeros."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.contracts import Column
from spanishgas.onboarding.facts import NEARLY_ALL, ColumnFacts
from spanishgas.onboarding.fitting import codes_of
from spanishgas.onboarding.proposal import CONTRACTS, Line, Part
from spanishgas.onboarding.words import meanings, plain, tokens

VARIABLE_PRICES = ("variable_price_tier", "gas_variable_price")
SAME_CUSTOMERS = 0.9
UNIT_WORDS = ("cent", "eur", "mwh", "kwh", "wh", "kw", "w", "m3", "month", "year")


def read_values(source: str, part: Part, day_formats: Collection[str]) -> None:
    """Completes the lines of a part with what the values of its columns show.

    Args:
        source: Name of the source.
        part: The part; its lines are changed.
        day_formats: Formats of dates that other columns of the folder leave no doubt about.
    """
    contract = CONTRACTS[source]
    for line in part.lines.values():
        if line.raw is None or line.raw not in part.group.columns or not part.group.columns[line.raw].texts:
            continue
        facts, column = part.group.columns[line.raw], contract.column(line.column)
        if column.type in ("date", "timestamp"):
            _read_days(line, facts, day_formats)
        elif column.type == "float":
            if not part.complete:
                _read_unit(line, facts, column)
        elif column.type == "bool" or column.domain is not None:
            _read_codes(part, line, facts, column)
    _read_decimals(source, part)
    if source == "price_history" and not part.complete:
        _read_zeros(part)


def definite_day_formats(columns: Sequence[ColumnFacts]) -> set[str]:
    """Ways of writing days that columns leave no doubt about."""
    return {
        facts.dates.format.split(" ")[0]
        for facts in columns
        if facts.dates is not None and facts.dates.format and not facts.dates.others
    }


def _read_days(line: Line, facts: ColumnFacts, day_formats: Collection[str]) -> None:
    told = facts.dates
    if told is None or facts.typed or told.format is None:
        return
    day, _, time = told.format.partition(" ")
    open_formats = [name for name in (day, *told.others) if name in day_formats]
    if told.others and len(open_formats) != 1:
        line.question = (
            f"is `{line.raw}` written as {day} or as {' or '.join(told.others)}? Both fit, as in {facts.texts[0]!r}"
        )
    elif told.others:
        day = open_formats[0]
        line.reasons.append(f"read as {day}, like other columns of these files")
    line.mapping["date_format"] = f"{day} {time}".strip()


def _read_decimals(source: str, part: Part) -> None:
    """The decimal mark of the part where all its numbers show the same, of its columns where they differ."""
    contract = CONTRACTS[source]
    numbers = {
        line.column: (line, part.group.columns[name])
        for line in part.lines.values()
        for name in [line.raw, *line.mapping.get("plus", ())]
        if name in part.group.columns and contract.column(line.column).type == "float"
    }
    marks = {facts.numbers.decimal for _, facts in numbers.values() if facts.numbers is not None} - {None}
    if marks == {"comma"}:
        part.settings["decimal"] = "comma"
        return
    for line, facts in numbers.values():
        told = facts.numbers
        if told is None:
            continue
        if len(marks) > 1 and told.decimal is not None:
            line.mapping["decimal"] = told.decimal
        if told.ambiguous and not marks:
            example = next(text for text in facts.texts if "." in text or "," in text)
            line.question = (
                f"does `{example}` in `{line.raw}` mean a thousand and more, or {example.replace(',', '.')}?"
            )


def _read_unit(line: Line, facts: ColumnFacts, column: Column) -> None:
    """The factor to the contract's unit, as the name says it and the size of the values agrees."""
    told, level = facts.numbers, meanings().levels.get(column.name)
    if told is None or "factor" in line.mapping:
        return
    known = [(words, factor) for words, factor in meanings().units.get(column.unit or "", ())]
    said = {meaning for token in tokens(str(line.raw)) for meaning in token.means if token.means[meaning] == 1.0}
    said &= set(UNIT_WORDS)
    mine = set(plain((column.unit or "").replace("/", " ")).split())
    named = next(
        ((words, factor) for words, factor in known if set(words) <= said and not _own(said, mine, words)), None
    )
    if named is None:
        if level and told.median and not level[0] <= told.median <= level[1]:
            fitting = [factor for _, factor in known if level[0] <= told.median * factor <= level[1]]
            options = " or ".join(
                f"`factor: {factor:g}` ({told.median * factor:g})" for factor in dict.fromkeys(fitting)
            )
            line.question = (
                f"in which unit is `{line.raw}`? The contract asks for {column.unit}; {facts.range()}, median "
                f"{told.median:g}, usual are {level[0]:g} to {level[1]:g}"
                + (f"; that would be {options}" if options else "")
            )
        return
    words, factor = named
    fits = level is None or not told.median or level[0] <= told.median * factor <= level[1]
    line.mapping["factor"] = factor
    if fits:
        line.reasons.append(f"its name says {' and '.join(words)}: times {factor:g} gives {column.unit}")
    else:
        line.question = (
            f"is `{line.raw}` told per {' '.join(words)}? Its name says so, but {facts.range()}, times {factor:g} "
            f"would be no usual {column.unit}"
        )


def _own(said: set[str], mine: set[str], words: Sequence[str]) -> bool:
    """Whether a name says the contract's own unit rather than the other one."""
    return set(words) < said & mine and len(said & mine) > len(words)


def _read_codes(part: Part, line: Line, facts: ColumnFacts, column: Column) -> None:
    """Raw values that stand for the contract's words; those of which nobody knows what they mean are a question."""
    if column.type == "bool" and facts.flag_share >= NEARLY_ALL:
        _read_blanks(line, facts)
        return
    told = codes_of(facts, column)
    given = dict(line.mapping.get("codes", {}))
    open_values = [text for text in told if told[text] is None and text not in given]
    codes = {text: code for text, code in told.items() if code is not None and _needs(text, code, column)}
    codes = {**codes, **given} if part.layout else {**_siblings(column, codes), **codes}
    if codes:
        line.mapping["codes"] = codes
    if not open_values:
        return
    listed = ", ".join(repr(text[:40]) for text in open_values[:8])
    allowed = "yes or no" if column.type == "bool" else f"one of {', '.join(column.domain or ())}"
    share = facts.share([text in open_values for text in facts.texts])
    question = f"what do {listed} in `{line.raw}` mean ({share:.1%} of the rows)? The contract knows {allowed}"
    if column.type == "bool" or column.outside == "quarantine" or share > 0.5:
        line.question = question
    else:
        line.open.append(f"{question}; until then they are unknown")


def _read_blanks(line: Line, facts: ColumnFacts) -> None:
    """A column of which only one answer is written, and which is blank else."""
    if len(facts.texts) == 1 and facts.missing > 0.02:
        line.open.append(f"does a blank in `{line.raw}` mean the opposite of {facts.texts[0]!r}? It is read as unknown")


def _needs(text: str, code: str, column: Column) -> bool:
    """Whether silver would not read the value as this code by itself."""
    if column.name == "province_code":
        return not plain(text).removesuffix(".0").isdigit()
    return text != code


def _siblings(column: Column, codes: Mapping[str, str]) -> dict[str, str]:
    """Words for the answer that a sample of readings does not show, spelled as those that it shows."""
    if column.type != "bool" or len(set(codes.values())) != 1:
        return {}
    spell = (
        str.upper
        if all(text.isupper() for text in codes)
        else str.title
        if all(text.istitle() for text in codes)
        else str
    )
    short = all(len(text) == 1 for text in codes)
    (seen,) = set(codes.values())
    return {
        spell(word): code
        for code, words in meanings().codes.get(column.name, {}).items()
        for word in words
        if code != seen and (len(word) == 1) == short
    }


def _read_zeros(part: Part) -> None:
    """Whether a zero is a price: it is where a customer never has another, and missing where others surround it."""
    prices = [line for line in part.lines.values() if line.column.startswith(VARIABLE_PRICES) and line.raw]
    customer = part.lines.get("customer_id")
    if customer is None or customer.raw is None:
        return
    ids = part.group.columns[customer.raw].values
    shares = {line.column: _among_others(ids, part.group.columns[str(line.raw)]) for line in prices}
    known = [share for share in shares.values() if share is not None]
    missing = bool(known) and max(known) >= SAME_CUSTOMERS
    for line in prices:
        share = shares[line.column]
        if share is None and missing:
            line.mapping["zero"] = "missing"
            line.reasons.append("a zero is a missing price, as in the other prices of these files")
        elif share is not None and share >= SAME_CUSTOMERS:
            line.mapping["zero"] = "missing"
            line.reasons.append(
                f"a zero is a missing price: {share:.0%} of the zeros stand among other prices of the customer"
            )
        elif share is not None and share > 1 - SAME_CUSTOMERS:
            line.open.append(
                f"is a zero in `{line.raw}` a price of zero or a missing price? {share:.0%} of the zeros stand among "
                "other prices of the customer; they are read as prices (`zero: missing` reads them as missing)"
            )
        elif share is not None:
            line.reasons.append("a zero is a value: these customers have no other price in this period")


def _among_others(ids: "pd.Series[str]", facts: ColumnFacts) -> float | None:
    """Share of the zeros that stand beside other values of the same customer; None where there are no zeros."""
    values = facts.as_numbers(facts.mark())
    zero = values == 0
    if not zero.any():
        return None
    others = set(ids[~zero & ~np.isnan(values)].dropna())
    return float(ids[zero].isin(others).mean())


def tidy(mapping: Mapping[str, Any]) -> Any:
    """A mapping as a configuration says it shortest: a name alone where nothing else is said."""
    return mapping["column"] if set(mapping) == {"column"} else dict(mapping)
