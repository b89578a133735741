"""Rows per month of a silver table: a file that came in half is fresh, and still wrong."""

from collections.abc import Sequence

from spanishgas.monitoring.chance import same_rate
from spanishgas.monitoring.facts import Facts, Finding

NAME = "source_rows"
MONTHS_BEFORE = 3


def check(facts: Facts) -> Sequence[Finding]:
    """Relative change of the last complete month against the three before it."""
    found = []
    for table, own in facts.settings.source_rows.items():
        if table not in facts.sources:
            continue
        limit = facts.limit(NAME) if own is None else own
        months = facts.sources[table].months
        before = list(months.values())[1 : 1 + MONTHS_BEFORE]
        if len(before) < MONTHS_BEFORE or not sum(before):
            sentence = f"fewer than {MONTHS_BEFORE} months with rows to compare with"
            found.append(Finding(NAME, table, "source", sentence, limit))
            continue
        last, usual = next(iter(months.values())), sum(before) / len(before)
        change = last / usual - 1
        sentence = f"{last:,} rows in {next(iter(months)):%Y-%m} against {usual:,.0f} a month before, {change:+.0%}"
        chance = same_rate((sum(before), float(len(before))), (last, 1.0))
        found.append(Finding(NAME, table, "source", sentence, limit, abs(change), chance, usual, float(last)))
    return found
