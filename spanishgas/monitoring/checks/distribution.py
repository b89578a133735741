"""Distribution: the PSI of every feature, missing values a bin of their own."""

from collections.abc import Sequence

from spanishgas.monitoring.bins import psi
from spanishgas.monitoring.chance import same_shares
from spanishgas.monitoring.facts import Facts, Finding, compared, finite

NAME = "distribution"


def check(facts: Facts) -> Sequence[Finding]:
    """PSI per feature; unknown where the season or the kind of feature does not let it be compared."""
    found = []
    for name in compared(facts):
        watched, limit = facts.features[name], facts.limit(NAME, name)
        first, second = facts.reference[name], facts.current[name]
        before, now = finite(first.mean), finite(second.mean)
        reason = facts.too_few(name) or facts.not_comparable(name)
        if reason:
            found.append(Finding(NAME, name, watched.family, reason, limit, None, None, before, now, watched.is_used))
            continue
        index = psi(first.counts, second.counts)
        means = "" if before is None or now is None else f", mean {now:.4g} against {before:.4g}"
        sentence = f"PSI {index:.3f}{means}{facts.against(name)}"
        chance = same_shares(first.counts, second.counts)
        found.append(Finding(NAME, name, watched.family, sentence, limit, index, chance, before, now, watched.is_used))
    return found
