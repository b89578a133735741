"""Rows: how many customers are scored, beside how many the champion learned from at a date."""

from collections.abc import Sequence

from spanishgas.monitoring.baseline import RISK
from spanishgas.monitoring.chance import same_rate
from spanishgas.monitoring.facts import Facts, Finding

NAME = "rows"
SUBJECT = "customers"


def check(facts: Facts) -> Sequence[Finding]:
    """Relative change of the rows."""
    before, now, limit = facts.reference[RISK].rows, facts.current[RISK].rows, facts.limit(NAME)
    if not before:
        return [Finding(NAME, SUBJECT, "table", "the baseline has no rows", limit)]
    change = now / before - 1
    sentence = f"{now:,} customers against {before:,} in the baseline, {change:+.0%}"
    chance = same_rate((before, 1.0), (now, 1.0))
    return [Finding(NAME, SUBJECT, "table", sentence, limit, abs(change), chance, float(before), float(now))]
