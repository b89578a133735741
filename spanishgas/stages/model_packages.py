"""What is written, published and registered of a churn model: its files, and what it learned from."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from spanishgas.contracts.gold import CHURN_TRAINING_DATASET
from spanishgas.monitoring.baseline import FILE, build_baseline
from spanishgas.registry import LEARNED_TAG, ModelPackage
from spanishgas.stages.base import LandedFile
from spanishgas.training.sampling import are_alike

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel

REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "xgboost-cpu")
LABELS = CHURN_TRAINING_DATASET.column_names


def land_files(folder: Path) -> list[LandedFile]:
    """The files of a draft's folder."""
    return [LandedFile.of(file, folder) for file in sorted(folder.iterdir())]


def write_baseline(
    folder: Path,
    model: "ChurnModel",
    table: pd.DataFrame,
    *,
    figures: Mapping[str, float],
    judged_on: str,
    cut: date | None,
) -> Path:
    """Writes what a model learned from, for drift to be told against; returns the folder.

    Args:
        folder: Where to.
        model: The model.
        table: The training set.
        figures: What it, or the version that was judged in its place, reached before its promotion.
        judged_on: Split that these are of.
        cut: Last day that the files were complete for; None where that is not told.
    """
    days = pd.to_datetime(table["as_of"]).dt.strftime("%Y-%m-%d")
    baseline = build_baseline(
        # In one snapshot the split is by customer, at random: those of test are of the same kind, and as many are
        # scored.
        # Features of leavers beyond the sample are not those of everybody.
        table[days.isin(model.facts["learned_as_of"]) & are_alike(table)],
        [name for name in table.columns if name not in LABELS],
        lambda rows: model.predict(rows[list(model.model.columns_)])["risk"],
        figures=figures,
        judged_on=judged_on,
        horizon_days=model.facts["horizon_days"],
        data_until=cut,
    )
    folder.mkdir(parents=True)
    (folder / FILE).write_text(baseline.to_json(), encoding="utf-8")
    return folder


def package_of(
    files: Path,
    *,
    tags: Mapping[str, str],
    description: str,
    beside: Path,
    metrics: Mapping[str, float] | None = None,
    measured_on: Mapping[str, tuple[str, str]] | None = None,
) -> ModelPackage:
    """What is registered of a model.

    Args:
        files: Folder of its files.
        tags: Facts of the version, beside those that its card tells.
        description: What its page says beside what it was trained on.
        beside: Folder of what it learned from.
        metrics: Figures for its page.
        measured_on: Begin of a figure's name -> name and digest of the rows that it was measured on.
    """
    from spanishgas.models import ChurnModel
    from spanishgas.models.files import LOADER, digest_of

    model = ChurnModel.load(files)
    facts = model.facts
    days, learned = facts["train_as_of"], max(facts["learned_as_of"])
    return ModelPackage(
        files=files,
        digest=digest_of(files),
        loader=LOADER,
        inputs=facts["types"],
        outputs=("risk", *(f"hazard_{window}" for window in model.windows)),
        example=pd.DataFrame(facts["example"]),
        requirements=REQUIREMENTS,
        parameters={
            name: json.dumps(value) if isinstance(value, dict | list) else str(value)
            for name, value in facts["settings"].items()
        },
        metrics=metrics or {},
        tags={"kind": model.kind, LEARNED_TAG: learned, **tags},
        measured_on=measured_on or {},
        description=(
            f"`{model.kind}`, trained on {facts['rows_train']:,} rows of {days[0]} to {days[-1]}; the youngest row "
            f"that it learned from is of {learned}. Window hazards and their union; calibrated. {description}"
        ),
        beside=beside,
    )
