"""Stage `backtest`: the model trained at each of many dates and judged on what came after."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import AnyModelSettings, EvaluationSettings, LabelSettings, Settings
from spanishgas.contracts.gold import BACKTEST_FEATURES, BACKTEST_METRICS, CUSTOMER_FEATURES
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.features import STAGE as FEATURES
from spanishgas.stages.places import features_at
from spanishgas.stages.silver import SILVER
from spanishgas.stages.train import known_features, trained
from spanishgas.stages.training_set import USED_SILVER, data_cut, history_begin
from spanishgas.training.origins import origin_rows, origins
from spanishgas.training.split import learned_months


class BacktestStageSettings(BaseModel):
    """What a backtest depends on beside its input tables."""

    model_config = ConfigDict(frozen=True)

    model: AnyModelSettings
    evaluation: EvaluationSettings
    labels: LabelSettings
    cut: date
    origins: dict[date, tuple[date, ...]]
    signs: dict[str, int]
    trending: tuple[str, ...]


class BacktestStage(PlainStage):
    """Publishes the figures of every origin, one partition per model and settings."""

    name = "backtest"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The model."""
        return {"model": settings.model.kind}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The features of every date that is learned from or judged on."""
        days = _days(_origins(settings, store.read(SILVER, made_by="silver")))
        return [Request(FEATURES, settings.model_copy(update={"as_of": days, "force": False}), if_stale=True)]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """One backtest.

        Raises:
            PublishError: Silver tables or features are not published.
        """
        silver = store.read(SILVER, made_by="silver")
        rolled = _origins(settings, silver)
        manifests: dict[str, Manifest] = {"silver": silver}
        for day in _days(rolled):
            manifests[day.isoformat()] = store.read(features_at(day), made_by=f"features -P as_of={day}")
        inputs = {
            **{name: silver.tables[name].content_hash for name in USED_SILVER},
            **{
                day: manifest.tables[CUSTOMER_FEATURES.name].content_hash
                for day, manifest in manifests.items()
                if day != "silver"
            },
        }
        known = known_features(settings)
        view = BacktestStageSettings(
            model=settings.model,
            evaluation=settings.evaluation,
            labels=settings.labels,
            cut=data_cut(settings, silver),
            origins=rolled,
            signs=dict(known.signs),
            trending=known.trending,
        )
        return [Target(_publication(settings), view, inputs, manifests)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Rolls over the origins."""
        from spanishgas.models.backtest import backtest
        from spanishgas.models.training_run import Known

        (target,) = targets
        view = target.settings
        assert isinstance(view, BacktestStageSettings)
        found = backtest(
            _rows(workspace, target, view),
            view.model,
            view.evaluation,
            Known(view.signs, view.trending, is_temporal=True, horizon_days=view.labels.horizon_days),
            calibrated_months=view.labels.split.valid_months,
            threads=workspace.engine.threads,
            progress=workspace.progress,
        )
        product = Product(
            tables={BACKTEST_METRICS.name: found.metrics, BACKTEST_FEATURES.name: found.features},
            contracts={BACKTEST_METRICS.name: BACKTEST_METRICS, BACKTEST_FEATURES.name: BACKTEST_FEATURES},
            metrics=found.summary,
        )
        report = Report(
            markdown=found.report,
            figures=found.figures,
            texts={
                "tables/backtest_metrics.csv": found.metrics.to_csv(index=False),
                "tables/backtest_features.csv": found.features.to_csv(index=False),
            },
            headline=found.headline,
        )
        return Build({target.publication: product}, report)


def _rows(workspace: Workspace, target: Target, view: BacktestStageSettings) -> Iterator[tuple[date, pd.DataFrame]]:
    engine, store = workspace.engine, workspace.store
    silver = target.manifests["silver"]
    tables = {name: engine.scan(store.files(silver, name)) for name in USED_SILVER}
    files = [
        file
        for name, manifest in target.manifests.items()
        if name != "silver"
        for file in store.files(manifest, CUSTOMER_FEATURES.name)
    ]
    features = engine.scan(files)
    for origin, learned in view.origins.items():
        yield origin, origin_rows(engine, features, tables, view.labels, origin, learned, view.cut)


def _origins(settings: Settings, silver: Manifest) -> dict[date, tuple[date, ...]]:
    """Origin -> months that are learned from at it."""
    cut, begin, labels = data_cut(settings, silver), history_begin(silver), settings.labels
    rolled = origins(settings.evaluation.backtest, labels, cut, begin)
    return {origin: learned_months(labels, origin, begin) for origin in rolled}


def _days(rolled: Mapping[date, Sequence[date]]) -> tuple[date, ...]:
    return tuple(sorted({*rolled, *(day for days in rolled.values() for day in days)}))


def _publication(settings: Settings) -> Publication:
    """One partition per model, its settings and the rolling origins."""
    described = json.dumps(settings.evaluation.backtest.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(described.encode()).hexdigest()[:4]
    return Publication(layer="gold", name="backtest", partition=f"{trained(settings).partition}-{digest}")


STAGE = BacktestStage()
