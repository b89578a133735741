"""Scoring 20,000 customers at once, beside one at a time for a hundredth of them."""

from pathlib import Path

from tests.benchmarks.harness import Case
from tests.benchmarks.models import prepare_model, prepared_model

PART = 100
CASE = Case(
    name="score",
    what="score 20,000 customers: three windows and their union",
    reference="200 of them, one at a time",
)
prepare = prepare_model


def run(folder: Path) -> None:
    model, features = prepared_model(folder)
    model.predict(features)


def reference(folder: Path) -> None:
    model, features = prepared_model(folder)
    for row in range(len(features) // PART):
        model.predict(features.iloc[[row]])
