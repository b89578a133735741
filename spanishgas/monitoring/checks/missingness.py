"""Missingness: the share of rows without a value.

A check of its own: from 2 % to 7 % missing adds only 0.065 to the PSI.
"""

from collections.abc import Sequence

from spanishgas.monitoring.chance import same_share
from spanishgas.monitoring.facts import Facts, Finding, compared

NAME = "missingness"


def check(facts: Facts) -> Sequence[Finding]:
    """Absolute change of the missing share, per feature."""
    found = []
    for name in compared(facts):
        watched, limit = facts.features[name], facts.limit(NAME, name)
        reason = facts.too_few(name)
        if reason:
            found.append(Finding(NAME, name, watched.family, reason, limit, is_used=watched.is_used))
            continue
        first, second = facts.reference[name], facts.current[name]
        before, now = first.missing / first.rows, second.missing / second.rows
        found.append(
            Finding(
                NAME,
                name,
                watched.family,
                f"{now:.1%} missing against {before:.1%}{facts.against(name)}",
                limit,
                abs(now - before),
                same_share((first.missing, first.rows), (second.missing, second.rows)),
                before,
                now,
                watched.is_used,
            )
        )
    return found
