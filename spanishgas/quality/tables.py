"""Gates on tables: what became of a delivery's rows, whom they tell of, and how they compare with the last delivery."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from spanishgas.config import QualitySettings
from spanishgas.quality.base import ROUNDING, Found, Gate, at_least, at_most, percent


@dataclass(frozen=True)
class TableFacts:
    """One source of a delivery, as it was read. A figure that cannot be told is None.

    Attributes:
        source: Name of the source contract.
        extracted_on: Day of the extraction.
        rows: Rows read, those that could not be parsed among them.
        quarantined: Rows in quarantine.
        kwh: Energy of the rows that were kept, gas at its heating value.
        quarantined_kwh: Energy of the rows in quarantine.
        newest: Day of the newest event, of those that are not further ahead than allowed.
        dated: Rows with an event.
        ahead: Those of them further ahead than allowed.
        expected: Customers who ought to have a row.
        present: Those of them who have one.
        last_share: ``present / expected`` in the last delivery.
        named: Customers with a row.
        strangers: Those of them whom no customer attributes know.
        intervals: Hours with a reading, or months with a price or cost.
        intervals_expected: Those between each customer's, or province's, first and last.
        unusable: Check of the quality report -> share of rows whose value says nothing.
        levels: Figure -> level of the whole delivery.
        changes: Figure -> relative change of what the last delivery said of settled months.
        last_date: Run date of the last delivery; empty for the first.
    """

    source: str
    extracted_on: date
    rows: int = 0
    quarantined: int = 0
    kwh: float | None = None
    quarantined_kwh: float | None = None
    newest: date | None = None
    dated: int = 0
    ahead: int = 0
    expected: int | None = None
    present: int = 0
    last_share: float | None = None
    named: int | None = None
    strangers: int = 0
    intervals: int = 0
    intervals_expected: int = 0
    unusable: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, float] = field(default_factory=dict)
    last_date: str = ""


def _quarantined_rows(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.rows:
        return None
    share = facts.quarantined / facts.rows
    told = f"{facts.quarantined:,} of {facts.rows:,} rows are in quarantine ({percent(share)})"
    few = facts.quarantined <= settings.few_rows and facts.quarantined < facts.rows
    return Found(few or share <= limit, share, f"at most {percent(limit)}", told)


def _quarantined_energy(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if facts.kwh is None or facts.quarantined_kwh is None:
        return None
    total = facts.kwh + facts.quarantined_kwh
    share = facts.quarantined_kwh / total if total else 0.0
    return at_most(
        share, limit, f"{facts.quarantined_kwh:,.0f} of {total:,.0f} kWh are in quarantine ({percent(share)})"
    )


def _coverage(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.expected:
        return None
    share = facts.present / facts.expected
    told = f"{facts.present:,} of {facts.expected:,} customers have a row ({percent(share)})"
    few = facts.expected - facts.present <= settings.few_rows and facts.present > 0
    return Found(few or share >= limit, share, f"at least {percent(limit)}", told)


def _fewer_customers(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.expected or facts.last_share is None:
        return None
    share = facts.present / facts.expected
    told = f"{percent(share)} of the customers have a row, {percent(facts.last_share)} had one on {facts.last_date}"
    few = (facts.last_share - share) * facts.expected <= settings.few_rows and facts.present > 0
    fall = facts.last_share - share
    return Found(few or fall <= limit + ROUNDING, fall, f"a fall of at most {percent(limit)}", told)


def _strangers(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.named:
        return None
    share = facts.strangers / facts.named
    told = f"{facts.strangers:,} of {facts.named:,} customers with a row have no attributes ({percent(share)})"
    few = facts.strangers <= settings.few_rows and facts.strangers < facts.named
    return Found(few or share <= limit, share, f"at most {percent(limit)}", told)


def _stale(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if facts.newest is None:
        return None
    days = (facts.extracted_on - facts.newest).days
    told = f"the newest event is of {facts.newest}, {days:,} days before {facts.extracted_on}"
    return Found(days <= limit, days, f"at most {limit:g} days", told)


def _ahead(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.dated:
        return None
    share, allowed = facts.ahead / facts.dated, settings.ahead_days.get(facts.source, 0)
    far = f"more than {allowed} days after {facts.extracted_on}"
    told = f"{facts.ahead:,} of {facts.dated:,} events are {far} ({percent(share)})"
    few = facts.ahead <= settings.few_rows and facts.ahead < facts.dated
    return Found(few or share <= limit, share, f"at most {percent(limit)}", told)


def _intervals(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.intervals_expected:
        return None
    share = facts.intervals / facts.intervals_expected
    told = f"{facts.intervals:,} of {facts.intervals_expected:,} hours or months are there ({percent(share)})"
    return at_least(share, limit, told)


def _unusable(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.unusable:
        return None
    worst = max(facts.unusable, key=lambda check: facts.unusable[check])
    over = [f"{check} {percent(share)}" for check, share in facts.unusable.items() if share > limit]
    return at_most(facts.unusable[worst], limit, ", ".join(over) or f"{worst} {percent(facts.unusable[worst])}")


def _implausible(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    ranges = {name: settings.plausible.get(f"{facts.source}.{name}") for name in facts.levels}
    asked = {name: bounds for name, bounds in ranges.items() if bounds is not None}
    if not asked:
        return None
    outside = [name for name, (low, high) in asked.items() if not low <= facts.levels[name] <= high]
    shown = outside or list(asked)
    told = ", ".join(f"{name} {facts.levels[name]:.6g}" for name in shown)
    bounds = ", ".join(f"{asked[name][0]:g} to {asked[name][1]:g}" for name in shown)
    return Found(len(outside) <= limit, len(outside), bounds, told)


def _changed(facts: TableFacts, limit: float, settings: QualitySettings) -> Found | None:
    if not facts.changes:
        return None
    ordered = sorted(facts.changes, key=lambda name: -facts.changes[name])
    over = [name for name in ordered if facts.changes[name] > limit] or ordered[:1]
    shown = ", ".join(f"{name} by {percent(facts.changes[name])}" for name in over[:4])
    more = f" and {len(over) - 4} more" if len(over) > 4 else ""
    told = f"against {facts.last_date} settled months differ: {shown}{more}"
    return at_most(facts.changes[ordered[0]], limit, told)


GATES: tuple[Gate[TableFacts], ...] = (
    Gate("quarantined_rows", "Few rows are in quarantine.", _quarantined_rows),
    Gate("quarantined_energy", "Little energy is in quarantine.", _quarantined_energy),
    Gate("coverage", "Nearly every customer who is there has a row.", _coverage),
    Gate(
        "fewer_customers", "The share of customers with a row has not fallen since the last delivery.", _fewer_customers
    ),
    Gate("strangers", "Nearly every customer with a row is among the customer attributes.", _strangers),
    Gate("stale", "The newest event is not old.", _stale),
    Gate("ahead", "Few events lie ahead of the extraction.", _ahead),
    Gate(
        "intervals",
        "Nearly every hour has a reading and every month a price or cost, from the first to the last.",
        _intervals,
    ),
    Gate("unusable", "Values are in known codes and no zeros that mean missing.", _unusable),
    Gate("implausible", "Levels are those of the unit.", _implausible),
    Gate("changed", "What the last delivery said of settled months is still said.", _changed),
)
