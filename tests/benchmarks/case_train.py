"""Fitting the default model on the demo's training set, beside bare XGBoost on a matrix that is ready."""

from pathlib import Path

import numpy as np

from spanishgas.config import XGBoostSettings
from spanishgas.models.fitting import fit
from spanishgas.models.hazard import person_periods
from spanishgas.stages.train import known_features
from tests.benchmarks.harness import Case
from tests.benchmarks.models import prepare_training_set, settings_of, training_rows

ROUNDS = 300
CASE = Case(
    name="train",
    what=f"fit and calibrate: {ROUNDS} trees on the demo's training set",
    reference="xgboost.train alone on the same rows at risk",
)
prepare = prepare_training_set
SETTINGS = XGBoostSettings(rounds=ROUNDS, stop_after=ROUNDS)


def run(folder: Path) -> None:
    train, valid = training_rows(folder)
    fit(SETTINGS, known_features(settings_of(folder)).signs, train, valid, threads=2)


def reference(folder: Path) -> None:
    import xgboost

    train, _ = training_rows(folder)
    periods = person_periods(train.windows, train.weights)
    numbers = train.features.select_dtypes(["number", "bool"]).to_numpy(np.float64, na_value=np.nan)
    matrix = xgboost.DMatrix(np.column_stack([numbers[periods.row], periods.window]), periods.outcome)
    parameters = {
        "objective": "binary:logistic",
        "max_depth": SETTINGS.max_depth,
        "learning_rate": SETTINGS.learning_rate,
        "min_child_weight": SETTINGS.min_child_weight,
        "subsample": SETTINGS.subsample,
        "colsample_bytree": SETTINGS.colsample,
        "nthread": 2,
    }
    xgboost.train(parameters, matrix, ROUNDS)
