"""Freshness: how old the newest known row of each silver table is on the run date."""

from collections.abc import Sequence

from spanishgas.monitoring.facts import Facts, Finding

NAME = "freshness"


def check(facts: Facts) -> Sequence[Finding]:
    """Days beyond what each table is allowed; a rule, without chance."""
    found = []
    for table, allowed in facts.settings.freshness_days.items():
        if table not in facts.sources:
            continue  # the retailer does not have it
        newest, limit = facts.sources[table].newest, facts.limit(NAME)
        if newest is None:
            sentence = f"no row is known by {facts.run_date}"
            found.append(Finding(NAME, table, "source", sentence, limit))
            continue
        age = (facts.run_date - newest).days
        sentence = f"the newest row is of {newest}, {age} days before the run date; {allowed} are allowed"
        found.append(
            Finding(NAME, table, "source", sentence, limit, float(age - allowed), None, float(allowed), float(age))
        )
    return found
