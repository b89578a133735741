"""What becomes champion where the judged model stands for its recipe: made with the comparison, registered if passed.

The comparison publishes the refit's files, so that a version that was deleted is registered again from them.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import ModelFileError
from spanishgas.registry import (
    JUDGED_TAG,
    JUDGED_VERSION_TAG,
    LEARNED_TAG,
    ModelRegistry,
    ModelVersion,
    RunLog,
    Verdict,
)
from spanishgas.registry.champions import ROLLED_BACK_TAG
from spanishgas.stages.base import LandedFile
from spanishgas.stages.churn_models import collect_files, fetch_baseline
from spanishgas.stages.model_packages import land_files, package_of, write_baseline
from spanishgas.stages.training_set import cut_of

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel

REFIT_FILES, REFIT_BASELINE = "refit_files", "refit_baseline"


def judged_for(models: ModelRegistry, version: ModelVersion) -> ModelVersion:
    """The version that is judged in place of another: that which a refit was judged as, else the version itself."""
    digest = version.tags.get(JUDGED_TAG)
    return version if not digest else models.with_digest(version.name, digest) or version


def write_refit(
    folder: Path,
    models: ModelRegistry,
    version: ModelVersion,
    judged: "ChurnModel",
    table: pd.DataFrame,
    training: Manifest,
    *,
    threads: int,
) -> Mapping[str, list[LandedFile]]:
    """Refits a judged model and writes its files, and what it learned from, into a draft.

    Raises:
        ContractError: The training set lacks what the model needs.
    """
    from spanishgas.models.refit import refit

    model = refit(judged, version.digest, table, threads=threads)
    files = folder / REFIT_FILES
    model.save(files)
    figures, judged_on = _figures(models, version)
    beside = write_baseline(
        folder / REFIT_BASELINE, model, table, figures=figures, judged_on=judged_on, cut=cut_of(training)
    )
    return {REFIT_FILES: land_files(files), REFIT_BASELINE: land_files(beside)}


def deployed(store: TableStore, manifest: Manifest, run: RunLog, verdict: Verdict) -> Verdict:
    """The verdict on a judged version, handed down to its refit, which is registered unless it is there.

    The verdict stays as it is where it says no, where the comparison made no refit, and where the judged version was
    rolled back: its refit would bring it back by another name.
    """
    judged = verdict.candidate
    away = judged.tags.get(ROLLED_BACK_TAG) and not verdict.forced
    if REFIT_FILES not in manifest.tables or not (verdict.passed or verdict.forced) or away:
        return verdict
    with store.lock(manifest.publication), TemporaryDirectory() as folder:
        files = collect_files(store, manifest, Path(folder) / "files", REFIT_FILES)
        beside = collect_files(store, manifest, Path(folder) / "beside", REFIT_BASELINE)
        package = package_of(
            files,
            tags={
                "fingerprint": manifest.fingerprint,
                "training_set": manifest.inputs["training_set"],
                "trained_by_run": manifest.run_id,
                JUDGED_VERSION_TAG: judged.version,
                JUDGED_TAG: judged.digest,
                "verdict": "passed" if verdict.passed else "forced",
                "verdict_reason": verdict.reason,
            },
            beside=beside,
            description=f"The recipe of v{judged.version}, which was judged in its place. {verdict.reason}",
        )
        version, _ = run.models.ensure(run.id, run.experiment_id, judged.name, package)
    until = version.tags[LEARNED_TAG]
    told = f"v{version.version} is the recipe of v{judged.version}, learned from all rows until {until}."
    return replace(verdict, candidate=version, reason=f"{verdict.reason.rstrip('.')}. {told}")


def _figures(models: ModelRegistry, version: ModelVersion) -> tuple[Mapping[str, float], str]:
    """What the judged version reached, and on which split; a version of an earlier release does not tell."""
    with TemporaryDirectory() as folder:
        try:
            told = fetch_baseline(models, version, Path(folder))
        except ModelFileError:
            return {}, ""
    return told.figures, told.judged_on
