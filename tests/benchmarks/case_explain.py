"""Explaining 20,000 customers exactly, beside scoring them."""

from pathlib import Path

from tests.benchmarks.harness import Case
from tests.benchmarks.models import prepare_model, prepared_model

CASE = Case(
    name="explain",
    what="exact SHAP values of 20,000 customers, all windows",
    reference="scores of the same",
)
prepare = prepare_model


def run(folder: Path) -> None:
    model, features = prepared_model(folder)
    model.model.contributions(features)


def reference(folder: Path) -> None:
    model, features = prepared_model(folder)
    model.predict(features)
