"""Explaining 20,000 customers exactly, beside the approximation along the decision paths."""

from pathlib import Path

from spanishgas.models import XGBoostHazard
from tests.benchmarks.harness import Case
from tests.benchmarks.models import prepare_model, prepared_model

CASE = Case(
    name="explain",
    what="exact SHAP values of 20,000 customers, all windows",
    reference="approximate contributions of the same",
)
prepare = prepare_model


def run(folder: Path) -> None:
    model, features = prepared_model(folder)
    model.model.contributions(features)


def reference(folder: Path) -> None:
    model, features = prepared_model(folder)
    assert isinstance(model.model, XGBoostHazard)
    model.model.contributions(features, approximate=True)
