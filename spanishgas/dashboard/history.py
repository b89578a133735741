"""How the figures of the overview moved over the last run dates."""

from dataclasses import dataclass
from datetime import date

import pandas as pd

from spanishgas.dashboard.data import RECOMMENDED, SCORES, Published
from spanishgas.engine.store import Manifest

LAST = 12


@dataclass(frozen=True)
class RunFigures:
    """Figures of one run date; None where what they come from is not published.

    Attributes:
        run_date: The date.
        customers: Active customers.
        high: Customers in the bucket of highest risk.
        expected_leavers: Sum of the probabilities of leaving.
        margin_at_risk: EUR per month expected to be lost within the horizon: the sum of risk times expected margin.
        offers: Offers made.
        held_out: Customers held out.
        spend: Expected spend in EUR.
        budget: Budget that the period had left for the run, in EUR.
        impact: Expected change of the margin in EUR, all costs taken off.
        model_version: Version that scored.
        as_of: Date of the features.
        response: ``learned`` or ``assumed``; empty without a decision.
        created_at: When it was published, UTC.
    """

    run_date: date
    customers: int
    high: int | None
    expected_leavers: float
    margin_at_risk: float | None
    offers: float | None
    held_out: float | None
    spend: float | None
    budget: float | None
    impact: float | None
    model_version: str
    as_of: str
    response: str
    created_at: str


def figures_of(published: Published, day: date) -> RunFigures | None:
    """Figures of a run date; None where neither scores nor recommendations are published.

    Raises:
        PublishError: A table is damaged.
    """
    recommended, scored = published.find(RECOMMENDED, day), published.find(SCORES, day)
    if recommended is not None:
        return _of_recommendations(published, recommended, day)
    if scored is None:
        return None
    risk = published.table(scored, "scoring", ["risk"])["risk"]
    return RunFigures(
        run_date=day,
        customers=len(risk),
        high=None,
        expected_leavers=float(risk.sum()),
        margin_at_risk=None,
        offers=None,
        held_out=None,
        spend=None,
        budget=None,
        impact=None,
        model_version=scored.tags.get("model_version", ""),
        as_of=scored.tags.get("as_of", ""),
        response="",
        created_at=scored.created_at,
    )


def _of_recommendations(published: Published, manifest: Manifest, day: date) -> RunFigures:
    table = published.table(manifest, "recommendations", ["risk_score", "risk_bucket", "expected_margin_month"])
    told, tags = manifest.metrics, manifest.tags
    return RunFigures(
        run_date=day,
        customers=len(table),
        high=int((table["risk_bucket"] == "high").sum()),
        expected_leavers=float(table["risk_score"].sum()),
        margin_at_risk=float((table["risk_score"] * table["expected_margin_month"]).sum()),
        offers=told.get("offers"),
        held_out=told.get("held_out"),
        spend=told.get("spend_eur"),
        budget=told.get("budget_eur"),
        impact=told.get("expected_margin_impact_eur"),
        model_version=tags.get("model_version", ""),
        as_of=tags.get("as_of", ""),
        response=tags.get("response", ""),
        created_at=manifest.created_at,
    )


def last_runs(published: Published, until: date) -> list[RunFigures]:
    """Figures of the last run dates up to a day, oldest first."""
    days = [day for day in published.run_dates() if day <= until][-LAST:]
    return [found for day in days if (found := figures_of(published, day)) is not None]


def as_table(runs: list[RunFigures]) -> pd.DataFrame:
    """The same as a table, a row per run date."""
    return pd.DataFrame([vars(run) for run in runs])
