"""Stage `training_set`: features and outcomes of customers at risk, split for honest evaluation."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict

from spanishgas.config import LabelSettings, Settings
from spanishgas.contracts.gold import CHURN_TRAINING_DATASET, CUSTOMER_FEATURES
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.features import STAGE as FEATURES
from spanishgas.stages.places import features_at
from spanishgas.stages.silver import SILVER
from spanishgas.training import build_training_set, training_as_of

TRAINING_SET = Publication(layer="gold", name="training_set")
CUT = "data_until"
USED_SILVER = ("churn_events", "retention_offers")


class TrainingSetSettings(BaseModel):
    """What the training set depends on beside its input tables."""

    model_config = ConfigDict(frozen=True)

    labels: LabelSettings
    as_of: tuple[date, ...]
    cut: date
    begin: date | None


class TrainingSet(PlainStage):
    """Has the features of all its dates built first, as a child run, and joins them with the outcomes."""

    name = "training_set"
    spreads = True
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """Whether the split is temporal; a reader must not have to look for that."""
        return {"temporal": str(settings.labels.kind == "dated").lower()}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The features of every `as_of` of the splits."""
        days = _days(settings, store)
        return [Request(FEATURES, settings.model_copy(update={"as_of": days}))]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The training set.

        Raises:
            PublishError: Silver tables or features are not published.
        """
        silver = store.read(SILVER, made_by="silver")
        days = _days(settings, store)
        manifests: dict[str, Manifest] = {"silver": silver}
        for day in days:
            manifests[day.isoformat()] = store.read(features_at(day), made_by=f"features -P as_of={day}")
        inputs = {
            **{name: silver.tables[name].content_hash for name in USED_SILVER},
            **{day.isoformat(): manifests[day.isoformat()].tables[CUSTOMER_FEATURES.name].content_hash for day in days},
        }
        view = TrainingSetSettings(
            labels=settings.labels, as_of=days, cut=data_cut(settings, silver), begin=history_begin(silver)
        )
        return [Target(TRAINING_SET, view, inputs, manifests)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Labels, splits, joins and audits."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, TrainingSetSettings)
        engine, store = workspace.engine, workspace.store
        silver = target.manifests["silver"]
        files = [
            file
            for day in view.as_of
            for file in store.files(target.manifests[day.isoformat()], CUSTOMER_FEATURES.name)
        ]
        workspace.progress(f"labelling {len(view.as_of)} as_of dates")
        result = build_training_set(
            engine,
            silver={name: engine.scan(store.files(silver, name)) for name in USED_SILVER},
            features=engine.scan(files),
            labels=view.labels,
            cut=view.cut,
            begin=view.begin,
        )
        product = Product(
            tables={CHURN_TRAINING_DATASET.name: result.table},
            contracts={CHURN_TRAINING_DATASET.name: CHURN_TRAINING_DATASET},
            metrics={key: float(value) for key, value in result.facts.items() if isinstance(value, int | float)},
            tags={
                **{key: value for key, value in result.facts.items() if isinstance(value, str)},
                CUT: view.cut.isoformat(),
            },
        )
        report = Report(
            markdown=result.report,
            figures=result.figures,
            texts={
                "leak_audit.csv": result.audit.to_csv(index=False),
                "rows.csv": result.counts.to_csv(index=False),
                "facts.json": json.dumps(result.facts, indent=1, default=str) + "\n",
            },
            headline=result.headline,
        )
        return Build({target.publication: product}, report)


def data_cut(settings: Settings, silver: Manifest) -> date:
    """Last day that the files are complete for: as configured, else the latest dated event in the silver tables."""
    configured = settings.data.complete_until()
    return configured or date.fromisoformat(silver.tags["latest_event"])


def cut_of(training: Manifest) -> date | None:
    """Last day that the files were complete for when a training set was made; None where that is not told."""
    told = training.tags.get(CUT)
    return None if told is None else date.fromisoformat(told)


def history_begin(silver: Manifest) -> date | None:
    """First day from which prices and readings are both there; None where there are none."""
    told = silver.tags.get("history_from")
    return date.fromisoformat(told) if told else None


def _days(settings: Settings, store: TableStore) -> tuple[date, ...]:
    """All dates of the splits."""
    silver = store.read(SILVER, made_by="silver")
    return training_as_of(settings.labels, settings.data.as_of, data_cut(settings, silver), history_begin(silver))


STAGE = TrainingSet()
