"""A model that is ready to be registered."""

from pathlib import Path

import pandas as pd

from spanishgas.models import ChurnModel
from spanishgas.models.files import LOADER, digest_of
from spanishgas.models.rows import column_types
from spanishgas.registry import ModelPackage
from tests.models.worlds import WINDOWS, fitted


def small(kind: str = "xgboost") -> tuple[ChurnModel, pd.DataFrame]:
    """A quickly fitted model, and the features that it has learned from."""
    estimator, features = fitted(kind, **({"rounds": 20} if kind == "xgboost" else {}))
    return ChurnModel(kind, estimator, WINDOWS), features


def package(
    folder: Path,
    kind: str = "xgboost",
    loader: str = LOADER,
    made: tuple[ChurnModel, pd.DataFrame] | None = None,
) -> tuple[ChurnModel, ModelPackage]:
    """A model, and what is registered of it; its files are written to a folder."""
    model, features = made or small(kind)
    model.save(folder)
    return model, ModelPackage(
        files=folder,
        digest=digest_of(folder),
        loader=loader,
        inputs=column_types(features),
        outputs=("risk", *(f"hazard_{window}" for window in WINDOWS)),
        example=features.head(2),
        requirements=("numpy",),
        metrics={"test_pr_auc": 0.5},
        tags={"kind": model.kind},
        measured_on={"test_": ("gold/rows", "d" * 36)},
    )
