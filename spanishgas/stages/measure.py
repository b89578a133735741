"""Stage `measure`: what offers did, from the hold-outs of a run and of earlier ones, once enough time has passed."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import EconomicsSettings, Settings
from spanishgas.contracts.decisions import MEASURED_EFFECT, RECOMMENDATIONS
from spanishgas.domain.kept_value import DAYS_PER_MONTH
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import ContractError
from spanishgas.policy import measurement
from spanishgas.policy.economics import Floats
from spanishgas.policy.replay import planned_change
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.earlier_runs import PREFIX, published_runs
from spanishgas.stages.places import recommended_on
from spanishgas.stages.score import PARTITION
from spanishgas.stages.silver import SILVER
from spanishgas.stages.training_set import data_cut
from spanishgas.stages.truth import find_truth, read_future
from spanishgas.training.labels import leavers

EVENTS = "churn_events"
# Metric of the run, after its prefix -> column of the table.
FIGURES = {
    "effect": "adjusted_effect",
    "lo": "adjusted_lo",
    "hi": "adjusted_hi",
    "smallest_effect": "smallest_effect",
    "runs_to_decide": "runs_to_decide",
    "expected_effect": "expected_effect",
    "true_effect": "true_effect",
    "offered": "offered",
    "held_out": "held_out",
    "runs": "runs",
    "margin_eur": "margin_eur",
    "margin_lo_eur": "margin_lo_eur",
    "margin_hi_eur": "margin_hi_eur",
    "expected_margin_eur": "expected_margin_eur",
}


class MeasureSettings(BaseModel):
    """What a measurement depends on beside the tables."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    last_day: date
    left_out: int
    cut: date
    economics: EconomicsSettings


class Measure(PlainStage):
    """One partition per run date."""

    name = "measure"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date of the recommendations."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The measurement of the run date's offers.

        Raises:
            PublishError: There are no recommendations of that day.
            ContractError: The data end before anything can have happened.
        """
        silver = store.read(SILVER, made_by="silver")
        made = store.read(
            recommended_on(settings.run_date), made_by=f"recommend -P run_date={settings.run_date.isoformat()}"
        )
        cut = data_cut(settings, silver)
        known = cut - timedelta(days=settings.labels.registration_lag_days)
        wanted = settings.policy.measured_until or settings.run_date + timedelta(days=settings.policy.holdout.days)
        last_day = min(wanted, known)
        if last_day <= settings.run_date:
            raise ContractError(
                f"leaving is known until {known} only, the offers are of {settings.run_date}",
                where="measure",
                todo="Deliver later files; for the demo retailer: data.until=... data.actions=<recommendations>",
            )
        since = settings.run_date - timedelta(days=settings.policy.measured_together_days)
        before = published_runs(store, since, settings.run_date)
        same = {day: one for day, one in before.items() if _version(one) == RECOMMENDATIONS.version}
        runs = {PREFIX + day: one for day, one in {**same, settings.run_date.isoformat(): made}.items()}
        manifests: dict[str, Manifest] = {"silver": silver, **runs}
        inputs = {
            EVENTS: silver.tables[EVENTS].content_hash,
            **{name: one.tables[RECOMMENDATIONS.name].content_hash for name, one in runs.items()},
        }
        truth = find_truth(store)
        if truth is not None:
            manifests["truth"] = truth
            inputs["truth"] = truth.content_hash
        view = MeasureSettings(
            run_date=settings.run_date,
            last_day=last_day,
            left_out=len(before) - len(same),
            cut=cut,
            economics=settings.policy.economics,
        )
        publication = Publication(
            layer="gold", name="measured", partition=f"{PARTITION}={settings.run_date.isoformat()}"
        )
        return [Target(publication, view, inputs, manifests)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Compares the arms."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, MeasureSettings)
        engine, store = workspace.engine, workspace.store
        events = engine.scan(store.files(target.manifests["silver"], EVENTS))
        known = engine.frame(leavers(events, view.cut)).set_index("customer_id")["left_on"]
        days = (view.last_day - view.run_date).days
        parts, chosen = [], 0
        for name, manifest in target.manifests.items():
            if name.startswith(PREFIX):
                table = engine.scan(store.files(manifest, RECOMMENDATIONS.name))
                columns = ("as_of", "planned_window", *measurement.READ)
                rows = engine.frame(
                    table.filter(table.planned_action != "none").select(*columns).order_by("customer_id")
                )
                true = _true_change(workspace, target, rows, days)
                parts.append(measurement.follow(rows, known, days, view.economics, true))
                chosen = len(rows)
        unknown = chosen - len(parts[-1])
        table = measurement.measure(pd.concat(parts, ignore_index=True), view.run_date)
        whole = {row["scope"]: row for row in table[table["group"] == measurement.ALL].to_dict("records")}
        own, together = whole[measurement.RUN], whole[measurement.TOGETHER]
        product = Product(
            tables={MEASURED_EFFECT.name: table[list(MEASURED_EFFECT.column_names)]},
            contracts={MEASURED_EFFECT.name: MEASURED_EFFECT},
            metrics={
                f"{prefix}_{name}": float(row[column])
                for prefix, row in (("measured", own), ("together", together))
                for name, column in FIGURES.items()
                if pd.notna(row[column])
            },
            tags={
                "verdict": str(own["verdict"]),
                "verdict_together": str(together["verdict"]),
                "last_day": view.last_day.isoformat(),
            },
        )
        report = Report(
            markdown=measurement.render(table, days, unknown, view.left_out),
            texts={"tables/measured_effect.csv": table.to_csv(index=False)},
            headline=f"until {view.last_day}: {own['verdict']}",
        )
        return Build({target.publication: product}, report)


def _version(manifest: Manifest) -> int:
    return manifest.tables[RECOMMENDATIONS.name].contract_version


def _true_change(workspace: Workspace, target: Target, rows: pd.DataFrame, days: int) -> Floats | None:
    """What the demo's truth says of the plans of a run; None where there is none."""
    if "truth" not in target.manifests or not len(rows):
        return None
    as_of = pd.Timestamp(rows["as_of"].iloc[0]).date()
    future = read_future(workspace.engine, workspace.store, target.manifests["truth"], as_of)
    if future is None:
        return None
    months = max(round(days / DAYS_PER_MONTH), 1)
    # Whom the truth does not tell of had left before the offer: nothing changes for them.
    return np.nan_to_num(planned_change(rows, future["months"], future["offers"], months))


STAGE = Measure()
