"""Earlier published runs, as a decision sees them: who was offered something or held out, and what is committed.

A run sees the run dates before its own, never its own or later ones, so that a date decided again comes out the same.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import PolicySettings
from spanishgas.contracts.decisions import RECOMMENDATIONS
from spanishgas.engine.session import Engine
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.policy.economics import Floats
from spanishgas.policy.period import COMMITTING, Period, cancelled, committed
from spanishgas.scoring.standing import departures, withheld_offers

PREFIX = "recommendations "


def earlier_runs(policy: PolicySettings, run_date: date, store: TableStore) -> dict[str, Manifest]:
    """Runs whose offers or hold-outs may still be in force, or whose money is of the same period, by prefix and day."""
    in_force = timedelta(days=max(policy.holdout.days, policy.guardrails.rest_days_after_offer))
    since = min(run_date - in_force + timedelta(days=1), Period.of(run_date, policy.budget.period).first)
    return {PREFIX + day: one for day, one in published_runs(store, since, run_date).items()}


def later_runs(policy: PolicySettings, run_date: date, store: TableStore) -> list[str]:
    """Later run dates of the same period, which were decided without what this one is about to publish."""
    last = Period.of(run_date, policy.budget.period).last
    return list(published_runs(store, run_date + timedelta(days=1), last + timedelta(days=1)))


def published_runs(store: TableStore, since: date, until: date) -> dict[str, Manifest]:
    """Published recommendations by run date, from the first day on and before the other, in order."""
    found = {}
    for publication in store.partitions("gold", "recommendations"):
        if since.isoformat() <= publication.value < until.isoformat():
            manifest = store.find(publication)
            if manifest is not None and not store.missing_files(manifest):
                found[publication.value] = manifest
    return found


def offered_before(
    engine: Engine, store: TableStore, manifests: Mapping[str, Manifest], run_date: date
) -> pd.DataFrame | None:
    """Days since the last offer and the last hold-out of earlier runs; None where there are none."""
    parts = []
    for name, manifest in manifests.items():
        if name.startswith(PREFIX):
            rows = engine.scan(store.files(manifest, RECOMMENDATIONS.name))
            planned = rows.filter(rows.planned_action != "none")
            parts.append(engine.frame(planned.select("customer_id", "run_date", "is_held_out")))
    if not parts:
        return None
    rows = pd.concat(parts, ignore_index=True)
    rows["days"] = (pd.Timestamp(run_date) - pd.to_datetime(rows["run_date"])).dt.days.astype("float64")
    held = rows["is_held_out"].astype(bool)
    return (
        pd.DataFrame(
            {
                "days_since_offer": rows[~held].groupby("customer_id")["days"].min(),
                "days_since_held_out": rows[held].groupby("customer_id")["days"].min(),
            }
        )
        .rename_axis("customer_id")
        .reset_index()
    )


def committed_before(
    engine: Engine,
    store: TableStore,
    manifests: Mapping[str, Manifest],
    silver: Mapping[str, ir.Table],
    policy: PolicySettings,
    run_date: date,
) -> Floats:
    """What earlier runs of the period took of budget and capacities, cancelled offers not counted."""
    first = PREFIX + Period.of(run_date, policy.budget.period).first.isoformat()
    parts = [pd.DataFrame(columns=list(COMMITTING))]
    for name, manifest in manifests.items():
        if name.startswith(PREFIX) and name >= first:
            rows = engine.scan(store.files(manifest, RECOMMENDATIONS.name))
            parts.append(engine.frame(rows.filter(rows.action != "none").select(*COMMITTING)))
    offers = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    if len(offers):
        left = engine.frame(departures(silver["churn_events"], run_date)).set_index("customer_id")["left_on"]
        struck = engine.frame(withheld_offers(silver["retention_offers"], run_date))
        offers = offers[~cancelled(offers, left, struck)]
    return committed(offers, policy)
