"""A model that is ready to be registered."""

from pathlib import Path

from spanishgas.models import ChurnModel
from spanishgas.models.files import LOADER, digest_of
from spanishgas.models.rows import column_types
from spanishgas.registry import ModelPackage
from tests.models.worlds import WINDOWS, fitted


def package(folder: Path, kind: str = "xgboost", loader: str = LOADER) -> tuple[ChurnModel, ModelPackage]:
    estimator, features = fitted(kind, **({"rounds": 20} if kind == "xgboost" else {}))
    model = ChurnModel(kind, estimator, WINDOWS)
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
        tags={"kind": kind},
        measured_on={"test_": ("gold/rows", "d" * 36)},
    )
