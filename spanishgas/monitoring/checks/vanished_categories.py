"""Vanished categories: words that the baseline has and nobody has now."""

from collections.abc import Sequence

from spanishgas.monitoring.chance import all_on_one_side
from spanishgas.monitoring.facts import Facts, Finding, compared

NAME = "vanished_categories"


def check(facts: Facts) -> Sequence[Finding]:
    """Share of the baseline's rows in the largest category that is gone."""
    found = []
    for name in compared(facts):
        first, second = facts.reference[name], facts.current[name]
        if first.bins.is_numeric:
            continue
        watched, limit = facts.features[name], facts.limit(NAME, name)
        reason = facts.too_few(name)
        if reason:
            found.append(Finding(NAME, name, watched.family, reason, limit, is_used=watched.is_used))
            continue
        gone = [
            (int(before), category)
            for category, before, now in zip(first.bins.categories, first.counts, second.counts, strict=False)
            if before and not now
        ]
        rows, category = max(gone, default=(0, ""))
        share = rows / first.rows
        other_side = first.rows / (first.rows + second.rows)
        chance = all_on_one_side(rows, other_side, len(first.bins.categories)) if rows else 1.0
        sentence = f"{category!r} had {share:.1%}{facts.against(name)} and is gone" if rows else "no category is gone"
        found.append(Finding(NAME, name, watched.family, sentence, limit, share, chance, share, 0.0, watched.is_used))
    return found
