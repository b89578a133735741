"""Stage `measure`: what a run's offers did, from its hold-out, once enough time has passed."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import EconomicsSettings, Settings
from spanishgas.contracts.decisions import MEASURED_EFFECT, RECOMMENDATIONS
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import ContractError
from spanishgas.policy import measurement
from spanishgas.policy.replay import planned_change
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.places import recommended_on
from spanishgas.stages.score import PARTITION
from spanishgas.stages.silver import SILVER
from spanishgas.stages.training_set import data_cut
from spanishgas.stages.truth import find_truth, read_future
from spanishgas.training.labels import leavers

EVENTS = "churn_events"


class MeasureSettings(BaseModel):
    """What a measurement depends on beside the tables."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    last_day: date
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
        manifests: dict[str, Manifest] = {"silver": silver, "recommendations": made}
        inputs = {
            EVENTS: silver.tables[EVENTS].content_hash,
            "recommendations": made.tables[RECOMMENDATIONS.name].content_hash,
        }
        truth = find_truth(store)
        if truth is not None:
            manifests["truth"] = truth
            inputs["truth"] = truth.content_hash
        view = MeasureSettings(
            run_date=settings.run_date, last_day=last_day, cut=cut, economics=settings.policy.economics
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
        rows = engine.frame(
            engine.scan(store.files(target.manifests["recommendations"], RECOMMENDATIONS.name)).order_by("customer_id")
        )
        events = engine.scan(store.files(target.manifests["silver"], EVENTS))
        known = engine.frame(leavers(events, view.cut)).set_index("customer_id")["left_on"]
        left = (pd.to_datetime(known) > pd.Timestamp(view.run_date)) & (
            pd.to_datetime(known) <= pd.Timestamp(view.last_day)
        )
        true = None
        if "truth" in target.manifests:
            future = read_future(engine, store, target.manifests["truth"], pd.Timestamp(rows["as_of"].iloc[0]).date())
            if future is not None:
                months = max(round((view.last_day - view.run_date).days / 30.44), 1)
                # Whom the truth does not tell of had left before the offer: nothing changes for them.
                true = np.nan_to_num(planned_change(rows, future["months"], future["offers"], months))
        table = measurement.measure(rows, left, None, true)
        unknown = int((rows["planned_action"] != "none").sum() - table["offered"].iloc[0] - table["held_out"].iloc[0])
        whole = table.iloc[0]
        metrics = {
            f"measured_{name}": float(whole[name])
            for name in ("effect", "lo", "hi", "true_effect", "offered", "held_out")
            if np.isfinite(float(whole[name]))
        }
        product = Product(
            tables={MEASURED_EFFECT.name: table[list(MEASURED_EFFECT.column_names)]},
            contracts={MEASURED_EFFECT.name: MEASURED_EFFECT},
            metrics=metrics,
            tags={"verdict": str(whole["verdict"]), "last_day": view.last_day.isoformat()},
        )
        report = Report(
            markdown=measurement.render(table, view.last_day, unknown),
            texts={"tables/measured_effect.csv": table.to_csv(index=False)},
            headline=f"until {view.last_day}: {whole['verdict']}",
        )
        return Build({target.publication: product}, report)


STAGE = Measure()
