"""Root alarms and those that follow from them: one thing that breaks should be told as one thing.

An alarm follows from another where it is declared to: by the features' own declarations (what is made from a table
follows from the table, predictions from the features that the champion uses), by what a check means (a renamed
category is a new one, a vanished one and a shifted distribution), or by ``monitoring.drift.dependants``. Everything
else is a root.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from spanishgas.monitoring.checks import (
    distribution,
    freshness,
    missingness,
    new_categories,
    prediction,
    rows,
    source_rows,
    vanished_categories,
)
from spanishgas.monitoring.facts import Finding, Watched

# Of one feature: check -> checks of the same feature that follow from it.
OF_ONE_FEATURE: Mapping[str, tuple[str, ...]] = {
    missingness.NAME: (distribution.NAME,),
    new_categories.NAME: (vanished_categories.NAME, distribution.NAME),
    vanished_categories.NAME: (distribution.NAME,),
}
OF_TABLES = (freshness.NAME, source_rows.NAME)


def find_roots(
    alarms: Sequence[Finding], features: Mapping[str, Watched], declared: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The root that each alarm hangs on.

    Args:
        alarms: The alarms, causes before effects.
        features: What is declared of the features.
        declared: ``check:subject`` -> features or patterns that follow from it.

    Returns:
        ``check:subject`` of each alarm -> that of its root; a root hangs on itself. Of several causes the first counts.
    """
    known = {alarm.key: alarm for alarm in alarms}
    causes = {
        key: [other.key for other in alarms if other.key != key and _follows(alarm, other, features, declared)]
        for key, alarm in known.items()
    }

    order = list(known)
    found = {}
    for key in order:
        above = _ancestors(key, causes)
        free = [one for one in order if one in above and not causes[one]]
        # Where declarations run in a circle, its first alarm is the root of all.
        found[key] = free[0] if free else next(one for one in order if one in {*above, key})
    return found


def _ancestors(key: str, causes: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """All that an alarm follows from, directly or through others."""
    seen: set[str] = set()
    ahead = list(causes[key])
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            ahead += causes[one]
    return frozenset(seen)


def _follows(
    alarm: Finding, cause: Finding, features: Mapping[str, Watched], declared: Mapping[str, Sequence[str]]
) -> bool:
    """Whether an alarm is declared to follow from another."""
    if alarm.check == prediction.NAME:
        return cause.check in (*OF_TABLES, rows.NAME) or cause.is_used
    if cause.check in OF_TABLES:
        of_feature = alarm.subject in features and cause.subject in features[alarm.subject].tables
        return of_feature or (alarm.check == source_rows.NAME and alarm.subject == cause.subject)
    if alarm.subject == cause.subject:
        return alarm.check in OF_ONE_FEATURE.get(cause.check, ())
    return alarm.subject in features and _matches(alarm.subject, declared.get(cause.key, ()))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
