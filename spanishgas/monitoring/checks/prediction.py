"""Prediction: the PSI of the champion's risks, today's beside those of the rows that it learned from."""

from collections.abc import Sequence

from spanishgas.monitoring.baseline import RISK
from spanishgas.monitoring.bins import psi
from spanishgas.monitoring.chance import same_shares
from spanishgas.monitoring.facts import Facts, Finding, finite

NAME = "prediction"


def check(facts: Facts) -> Sequence[Finding]:
    """PSI of the risk."""
    limit, first, second = facts.limit(NAME), facts.reference[RISK], facts.current[RISK]
    before, now = finite(first.mean), finite(second.mean)
    reason = facts.too_few(RISK)
    if reason:
        return [Finding(NAME, RISK, NAME, reason, limit, None, None, before, now)]
    index = psi(first.counts, second.counts)
    sentence = f"PSI {index:.3f}, mean risk {now or 0:.2%} against {before or 0:.2%}"
    chance = same_shares(first.counts, second.counts)
    return [Finding(NAME, RISK, NAME, sentence, limit, index, chance, before, now)]
