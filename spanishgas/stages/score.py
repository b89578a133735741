"""Stage `score`: the champion's risk of every customer on a run date."""

import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field

from spanishgas.config import EconomicsSettings, Settings
from spanishgas.contracts.decisions import CUSTOMER_SCORES
from spanishgas.contracts.gold import CUSTOMER_FEATURES
from spanishgas.engine.store import TableStore
from spanishgas.engine.suppression import Pseudonyms
from spanishgas.errors import PublishError
from spanishgas.registry import ModelRegistry
from spanishgas.scoring.batch import ranked, score_table
from spanishgas.scoring.outlook import OutlookModel
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.churn_models import CHAMPION_MODEL, champion_of, fetch_model
from spanishgas.stages.features import STAGE as FEATURES
from spanishgas.stages.places import features_at, scores_on

PARTITION = "run_date"
TOP = 20


class ScoreSettings(BaseModel):
    """What scores depend on beside the features and the champion; how many rows go at a time changes none."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    as_of: date
    economics: EconomicsSettings
    chunk_rows: int = Field(exclude=True)


def features_for(settings: Settings, store: TableStore) -> date:
    """The newest published date of features at or before the run date.

    Raises:
        PublishError: There is none, or it is too old.
    """
    found = store.newest("gold", "features", settings.run_date)
    if found is None:
        raise PublishError(
            f"no features are published at or before the run date {settings.run_date}",
            where="gold/features",
            todo=f"Run `{FEATURES.name} -P as_of=...` first",
        )
    newest = date.fromisoformat(found.value)
    age, allowed = (settings.run_date - newest).days, settings.scoring.max_feature_age_days
    if age > allowed:
        raise PublishError(
            f"the newest features before the run date {settings.run_date} are of {newest}, {age} days old; "
            f"{allowed} are allowed",
            where="gold/features",
            todo=f"Run `{FEATURES.name} -P as_of=...` for a newer date, or raise scoring.max_feature_age_days",
        )
    return newest


class Score(PlainStage):
    """One partition per run date."""

    name = "score"
    spreads = True
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The scores of the run date.

        Raises:
            PublishError: No features are published that are new enough.
            PromotionError: There is no champion.
        """
        as_of = features_for(settings, store)
        champion = champion_of(settings, models)
        features = store.read(features_at(as_of), made_by=f"{FEATURES.name} -P as_of={as_of}")
        inputs = {"features": features.tables[CUSTOMER_FEATURES.name].content_hash, CHAMPION_MODEL: champion.digest}
        view = ScoreSettings(
            run_date=settings.run_date,
            as_of=as_of,
            economics=settings.policy.economics,
            chunk_rows=settings.scoring.chunk_rows,
        )
        return [Target(scores_on(settings.run_date), view, inputs, {"features": features}, {CHAMPION_MODEL: champion})]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Scores chunk by chunk."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, ScoreSettings)
        engine, store = workspace.engine, workspace.store
        version = target.models[CHAMPION_MODEL]
        manifest = target.manifests["features"]
        total = manifest.tables[CUSTOMER_FEATURES.name].rows
        started = time.perf_counter()
        with TemporaryDirectory() as folder:
            model, _ = fetch_model(workspace.models, version, Path(folder))
        features = engine.scan(store.files(manifest, CUSTOMER_FEATURES.name))
        outlook = OutlookModel(model, view.economics, view.as_of)
        scored, latency = score_table(
            engine,
            features,
            outlook.columns(features.columns),
            outlook.predict,
            view.chunk_rows,
            lambda rows: workspace.progress(f"scored {rows:,} of {total:,} customers"),
        )
        table = _scores(scored, view, version.version, version.digest, target.inputs["features"])
        seconds = time.perf_counter() - started
        top = engine.frame(table.order_by("risk_rank").limit(TOP))
        told = table.aggregate(risk=table.risk.mean(), months=table.expected_months.mean())
        mean, months = (float(value or 0.0) for value in engine.frame(told).iloc[0])
        metrics = {
            "customers": float(total),
            "rows_per_second": total / max(seconds, 1e-9),
            "mean_risk": mean,
            "mean_expected_months": months,
            **latency.metrics,
        }
        product = Product(
            tables={CUSTOMER_SCORES.name: table},
            contracts={CUSTOMER_SCORES.name: CUSTOMER_SCORES},
            order_by={CUSTOMER_SCORES.name: ["customer_id"]},
            metrics=metrics,
            tags={
                "as_of": view.as_of.isoformat(),
                "model_version": version.version,
                "model_digest": version.digest,
                "features_hash": target.inputs["features"],
            },
        )
        told = Pseudonyms.of(workspace.store.storage).without_names(top)
        lines = [
            f"# Scores of {view.run_date}",
            "",
            f"**{total:,} customers** active on {view.as_of}, by version {version.version} of the churn model; mean "
            f"risk {mean:.2%}; without offers they are expected to stay {months:.1f} of the next "
            f"{view.economics.horizon_months} months.",
            "",
            f"{metrics['rows_per_second']:,.0f} rows a second, "
            f"{latency.metrics.get('latency_ms_per_thousand_p50', 0):.1f} ms per thousand in the model.",
            "",
            "| rank | pseudonym | risk |",
            "| ---: | --- | ---: |",
            *(f"| {row.risk_rank} | {row.pseudonym} | {row.risk:.1%} |" for row in told.itertuples()),
            "",
        ]
        report = Report(
            markdown="\n".join(lines),
            headline=(
                f"{total:,} customers of {view.as_of} by model v{version.version}, mean risk {mean:.2%}, "
                f"{metrics['rows_per_second']:,.0f} rows/s"
            ),
        )
        return Build({target.publication: product}, report)


def _scores(scored: ir.Table, view: ScoreSettings, version: str, digest: str, features_hash: str) -> ir.Table:
    """Scored rows in the contract's columns."""
    whole = ranked(scored).mutate(
        run_date=ibis.literal(view.run_date),
        as_of=ibis.literal(view.as_of),
        model_version=ibis.literal(version),
        model_digest=ibis.literal(digest),
        features_hash=ibis.literal(features_hash),
    )
    return whole.select(*CUSTOMER_SCORES.column_names)


STAGE = Score()
