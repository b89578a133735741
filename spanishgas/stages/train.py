"""Stage `train`: a churn model fitted, judged, compared with the baseline, explained and registered."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from spanishgas.config import AnyModelSettings, BlendSettings, EvaluationSettings, Settings
from spanishgas.config.flat import flat, spelled
from spanishgas.contracts.gold import CHURN_TRAINING_DATASET, MODEL_PREDICTIONS
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.engine.suppression import Pseudonyms
from spanishgas.evaluation import METRICS
from spanishgas.features import declared
from spanishgas.registry import ModelPackage, ModelRegistry, RunLog
from spanishgas.registry.runs import DatasetFacts
from spanishgas.stages.base import Build, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.churn_models import (
    BASELINE,
    MODEL_BASELINE,
    MODEL_FILES,
    collect_files,
    read_rows,
    registered_name,
    with_all_windows,
)
from spanishgas.stages.datasets import facts_of
from spanishgas.stages.features import declared_extras
from spanishgas.stages.model_packages import land_files, package_of, write_baseline
from spanishgas.stages.training_set import STAGE as TRAINING_SET_STAGE
from spanishgas.stages.training_set import TRAINING_SET, cut_of
from spanishgas.stages.truth import find_truth, true_risks

if TYPE_CHECKING:
    from spanishgas.models.training_run import Known, TrainingRun
    from spanishgas.models.tuning import Trial

DIGITS = 8
PARTITION = "model"


class TrainSettings(BaseModel):
    """What a training run depends on beside its input tables."""

    model_config = ConfigDict(frozen=True)

    model: AnyModelSettings
    evaluation: EvaluationSettings
    signs: dict[str, int]
    trending: tuple[str, ...]
    is_temporal: bool
    horizon_days: int


@dataclass(frozen=True)
class Train(PlainStage):
    """Publishes the predictions of held-out rows and the model's files, and registers the model from these files.

    One partition per model and settings: trying others and coming back costs nothing.

    Attributes:
        role: Which alias the version is given: a candidate becomes ``challenger`` unless it is champion;
            the baseline keeps its own.
    """

    role: Literal["candidate", "baseline"] = "candidate"
    name: str = "train"
    module: str = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The model, and whether it is judged on later months."""
        return {"model": settings.model.kind, "temporal": str(settings.labels.kind == "dated").lower()}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """The training set of these labels, and the baseline to compare with.

        Raises:
            ConfigError: A library that the model needs is not installed.
        """
        if isinstance(settings.model, BlendSettings):
            from spanishgas.models.members import check_installed

            check_installed(settings.model.members)
        calm = settings.model_copy(update={"force": False})
        wanted = [Request(TRAINING_SET_STAGE, calm, if_stale=True)]
        if not _is_baseline(settings):
            wanted.append(Request(BASELINE_STAGE, calm.model_copy(update={"model": settings.baseline})))
        return wanted

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The model of these settings.

        Raises:
            PublishError: The training set is not published, or the baseline is not.
        """
        training = store.read(TRAINING_SET, made_by="training_set")
        manifests = {"training_set": training}
        if not _is_baseline(settings):
            baseline = trained(settings.model_copy(update={"model": settings.baseline}))
            manifests["baseline"] = store.read(baseline, made_by="train model=logistic")
        truth = find_truth(store)
        if truth is not None:
            manifests["truth"] = truth
        inputs = {"training_set": training.content_hash}
        if "baseline" in manifests:
            inputs["baseline"] = manifests["baseline"].tables[MODEL_PREDICTIONS.name].content_hash
        if truth is not None:
            inputs["truth"] = truth.content_hash
        known = known_features(settings)
        view = TrainSettings(
            model=settings.model,
            evaluation=settings.evaluation,
            signs=dict(known.signs),
            trending=known.trending,
            is_temporal=known.is_temporal,
            horizon_days=known.horizon_days,
        )
        return [Target(trained(settings), view, inputs, manifests)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Trains, judges, explains."""
        from spanishgas.models.training_run import Known, train

        (target,) = targets
        view = target.settings
        assert isinstance(view, TrainSettings)
        engine, store = workspace.engine, workspace.store
        workspace.progress("reading the training set")
        training = target.manifests["training_set"]
        table = read_rows(engine, store, training, CHURN_TRAINING_DATASET.name)
        baseline = target.manifests.get("baseline")
        truth = target.manifests.get("truth")
        run = train(
            table,
            view.model,
            view.evaluation,
            Known(view.signs, view.trending, view.is_temporal, view.horizon_days),
            threads=engine.threads,
            baseline=None if baseline is None else read_rows(engine, store, baseline, MODEL_PREDICTIONS.name),
            truth=None if truth is None else true_risks(engine, store, truth),
            journal=store.root / "gold" / "_studies" / f"{_study(view, training)}.log",
            on_trial=lambda trial: _log_trial(workspace, trial),
            progress=workspace.progress,
        )
        files = workspace.drafts[target.publication] / MODEL_FILES
        run.model.save(files)
        judged_on = run.tags["judged_on"]
        beside = write_baseline(
            workspace.drafts[target.publication] / MODEL_BASELINE,
            run.model,
            table,
            figures={
                name.removeprefix(f"{judged_on}_"): value
                for name, value in run.metrics.items()
                if name.removeprefix(f"{judged_on}_") in METRICS
            },
            judged_on=judged_on,
            cut=cut_of(training),
        )
        product = Product(
            tables={MODEL_PREDICTIONS.name: with_all_windows(run.predictions, MODEL_PREDICTIONS)},
            contracts={MODEL_PREDICTIONS.name: MODEL_PREDICTIONS},
            landed={
                MODEL_FILES: land_files(files),
                MODEL_BASELINE: land_files(beside),
            },
            metrics={**run.metrics, **(_no_gain(run) if baseline is None else {})},
            tags=run.tags,
        )
        return Build({target.publication: product}, _report(run, Pseudonyms.of(workspace.store.storage)))

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Registers the published model unless its version is there, and lets the role's alias point to it."""
        (manifest,) = manifests
        name = registered_name(settings)
        with store.lock(manifest.publication), TemporaryDirectory() as folder:
            files = collect_files(store, manifest, Path(folder) / "files")
            beside = collect_files(store, manifest, Path(folder) / "beside", MODEL_BASELINE)
            measured_on = _measured_on(store, manifest)
            run.log_datasets(measured_on.values(), "evaluation")
            package = _package(files, beside, manifest, measured_on)
            version, made = run.models.ensure(run.id, run.experiment_id, name, package)
            if self.role == "candidate":
                run.champions.challenge(version)
            if self.role == "baseline" or _is_baseline(settings):
                run.models.point(name, BASELINE, version)
        run.set_tags({"model_version": f"{name}/{version.version}", "registered": "now" if made else "before"})
        return f"{version.uri} is registered already; nothing to train"


def trained(settings: Settings) -> Publication:
    """Where the model of these settings is published."""
    described = json.dumps(settings.model.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(described.encode()).hexdigest()[:DIGITS]
    return Publication(layer="gold", name="model", partition=f"{PARTITION}={settings.model.kind}-{digest}")


def known_features(settings: Settings) -> "Known":
    """What the declarations say of the features."""
    from spanishgas.models.training_run import Known

    features = declared(settings.features.families, declared_extras(settings))
    return Known(
        {one.name: one.monotone for one in features if one.monotone},
        tuple(one.name for one in features if one.trending),
        is_temporal=settings.labels.kind == "dated",
        horizon_days=settings.labels.horizon_days,
    )


def _no_gain(run: "TrainingRun") -> dict[str, float]:
    """The baseline against itself, so that runs that are compared have the same figures."""
    return {f"{run.tags['judged_on']}_gain_{name}": 0.0 for name in METRICS}


def _is_baseline(settings: Settings) -> bool:
    return settings.model == settings.baseline


def _study(view: TrainSettings, training: Manifest) -> str:
    """Name of the search's journal: asking for more trials goes on with the same study."""
    settings = view.model.model_dump(mode="json")
    settings["tuning"].pop("trials")
    told = {"model": settings, "signs": view.signs, "trending": view.trending, "rows": training.content_hash}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _log_trial(workspace: Workspace, trial: "Trial") -> None:
    with workspace.child(f"trial {trial.number}", {"stage": "train", "trial": str(trial.number)}) as run:
        told = trial.settings.model_dump(mode="json", exclude={"tuning"})
        run.log_parameters({name: spelled(value) for name, value in flat(told, "model.")})
        run.log_metrics({**trial.metrics, "valid_window_log_loss": trial.loss})
    workspace.progress(f"trial {trial.number + 1}: log-loss {trial.loss:.5f}")


def _measured_on(store: TableStore, manifest: Manifest) -> dict[str, DatasetFacts]:
    """The rows that the model was judged on, by the begin of a figure's name; none where they are published no more."""
    training = store.find(TRAINING_SET)
    if training is None or training.content_hash != manifest.inputs["training_set"]:
        return {}
    whole = facts_of(store, training, CHURN_TRAINING_DATASET.name)
    test = replace(
        whole,
        name=f"{whole.name}/split=test",
        digest=hashlib.sha256(f"{whole.digest} test".encode()).hexdigest(),
        rows=int(training.metrics["rows_test"]),
    )
    return {"test_": test, "oof_": whole}


def _package(files: Path, beside: Path, manifest: Manifest, measured_on: Mapping[str, DatasetFacts]) -> ModelPackage:
    figures = [
        f"{label} {manifest.metrics[name]:.3f}"
        for split in ("test", "oof")
        for label, name in ((f"{split} PR-AUC", f"{split}_pr_auc"), (f"{split} ROC-AUC", f"{split}_roc_auc"))
        if name in manifest.metrics
    ]
    return package_of(
        files,
        tags={
            "fingerprint": manifest.fingerprint,
            "training_set": manifest.inputs["training_set"],
            "trained_by_run": manifest.run_id,
        },
        description=f"{', '.join(figures)}.".capitalize() if figures else "",
        beside=beside,
        metrics={name: value for name, value in manifest.metrics.items() if name.startswith(("test_", "oof_"))},
        measured_on={begin: rows.identity for begin, rows in measured_on.items()},
    )


def _report(run: "TrainingRun", called: Pseudonyms) -> Report:
    return Report(
        markdown=run.report,
        figures=run.figures,
        texts={f"tables/{name}": called.without_names(table).to_csv(index=False) for name, table in run.tables.items()},
        headline=run.headline,
    )


STAGE = Train()
BASELINE_STAGE = Train(role="baseline")
