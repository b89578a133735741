"""New categories: words that the champion has never seen."""

from collections.abc import Sequence

from spanishgas.monitoring.chance import all_on_one_side
from spanishgas.monitoring.facts import Facts, Finding, compared

NAME = "new_categories"
SHOWN = 3


def check(facts: Facts) -> Sequence[Finding]:
    """Share of rows in categories that none of the learned dates has."""
    found = []
    for name in compared(facts):
        if facts.reference[name].bins.is_numeric:
            continue
        watched, limit = facts.features[name], facts.limit(NAME, name)
        reason = facts.too_few(name)
        if reason:
            found.append(Finding(NAME, name, watched.family, reason, limit, is_used=watched.is_used))
            continue
        first, second = facts.reference[name], facts.current[name]
        fresh = sorted(second.fresh.items(), key=lambda one: (-one[1], one[0]))
        share = sum(second.fresh.values()) / second.rows
        shown = ", ".join(f"{category!r} {rows / second.rows:.1%}" for category, rows in fresh[:SHOWN])
        more = f" and {len(fresh) - SHOWN} more" if len(fresh) > SHOWN else ""
        tried = len(first.bins.known) + len(fresh)
        chance = all_on_one_side(fresh[0][1], second.rows / (first.rows + second.rows), tried) if fresh else 1.0
        sentence = f"never seen before: {shown}{more}" if fresh else "no category is new"
        found.append(Finding(NAME, name, watched.family, sentence, limit, share, chance, 0.0, share, watched.is_used))
    return found
