"""Rows of a training set as a model takes them: keys, features, outcomes per window and over the horizon."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.errors import ContractError
from spanishgas.models.hazard import Floats, Fold

WINDOWS = ("0_30", "30_60", "60_90")
WHOLE = "horizon"
NOT_FEATURES = (
    "customer_id",
    "as_of",
    "split",
    *(f"left_{window}" for window in WINDOWS),
    "left_horizon",
    "churn_reason",
    "followup_days",
    "censored_by",
    *(f"weight_{window}" for window in WINDOWS),
    "left_day",
    "observed_days",
    "sampled",
    "sample_weight",
)


def column_types(features: pd.DataFrame) -> dict[str, Literal["double", "boolean", "string", "any"]]:
    """What a registered model says that it takes, by feature.

    Flags of which some are missing are ``any``, and so is a column without any value: MLflow's server would take a
    missing boolean for False.
    """
    return {str(name): _column_type(features[name]) for name in features.columns}


def _column_type(values: "pd.Series[float]") -> Literal["double", "boolean", "string", "any"]:
    if pd.api.types.is_bool_dtype(values.dtype) and not values.isna().any():
        return "boolean"
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return "double"
    return "string" if any(isinstance(value, str) for value in values) else "any"


def _numbers(table: pd.DataFrame, name: str, otherwise: float) -> Floats:
    if name not in table.columns:
        return np.full(len(table), otherwise)
    return np.asarray(table[name].astype("float64"), np.float64)


@dataclass(frozen=True)
class Rows:
    """Rows of a training set.

    Attributes:
        keys: ``customer_id``, ``as_of``, ``split``.
        features: One column per feature.
        names: Names of the windows; a source without churn dates has one, ``horizon``.
        windows: 1 left, 0 stayed, NaN not at risk or not known; shape (rows, windows).
        weights: How much each outcome counts: inverse probability that its row is in the training set and was followed
            through the window; same shape.
        outcome: 1 left within the horizon, 0 stayed, NaN not known; shape (rows,).
        weight: Weight of the outcome: that of the last window followed.
        left_day: Days until the customer left, beyond the horizon too; NaN where not known to have; shape (rows,).
        observed_days: Days that leaving is known for; shape (rows,).
        sampled: Whether a row stands for everybody alike; the others are there because they leave. Shape (rows,).
    """

    keys: pd.DataFrame
    features: pd.DataFrame
    names: tuple[str, ...]
    windows: Floats
    weights: Floats
    outcome: Floats
    weight: Floats
    left_day: Floats
    observed_days: Floats
    sampled: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Rows":
        """Takes a training set apart; without ``observed_days`` nobody was followed beyond the horizon.

        Raises:
            ContractError: No outcome is known.
        """
        outcome: Floats = np.asarray(table["left_horizon"].astype("float64"), np.float64)
        stands_for = _numbers(table, "sample_weight", 1.0)[:, None]
        used = tuple(window for window in WINDOWS if table[f"left_{window}"].notna().any())
        if used:
            windows = table[[f"left_{window}" for window in used]].astype("float64").to_numpy()
            weights = stands_for * table[[f"weight_{window}" for window in used]].astype("float64").to_numpy()
        else:
            windows, weights = outcome[:, None], np.where(np.isfinite(outcome)[:, None], stands_for, np.nan)
        if not np.isfinite(windows).any():
            raise ContractError("no outcome is known", where="training set", todo="Check the labels: nothing is mature")
        features = table.drop(columns=[name for name in NOT_FEATURES if name in table.columns])
        last = pd.DataFrame(weights).ffill(axis=1).iloc[:, -1].fillna(1.0).to_numpy(np.float64)
        keys = table[["customer_id", "as_of", "split"]].assign(as_of=pd.to_datetime(table["as_of"]).dt.date)
        return cls(
            keys.reset_index(drop=True),
            features.reset_index(drop=True),
            used or (WHOLE,),
            windows,
            weights,
            outcome,
            last,
            _numbers(table, "left_day", np.nan),
            _numbers(table, "observed_days", 0.0),
            _numbers(table, "sampled", 1.0) > 0,
        )

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Rows":
        """Some of the rows, by a mask or by positions."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return Rows(
            self.keys.iloc[places].reset_index(drop=True),
            self.features.iloc[places].reset_index(drop=True),
            self.names,
            self.windows[places],
            self.weights[places],
            self.outcome[places],
            self.weight[places],
            self.left_day[places],
            self.observed_days[places],
            self.sampled[places],
        )

    @property
    def followed(self) -> "Rows":
        """Rows of which at least one window is known."""
        return self.take(np.flatnonzero(np.isfinite(self.windows).any(axis=1)))

    @property
    def alike(self) -> "Rows":
        """Rows whose features are those of everybody."""
        return self.take(self.sampled)

    def of_split(self, split: str) -> "Rows":
        """Rows of one split."""
        return self.take((self.keys["split"] == split).to_numpy())

    @property
    def learned(self) -> "Rows":
        """Rows that a judged model sees in some way: `valid` stops the training and calibrates."""
        return self.take(self.keys["split"].isin(("train", "valid")).to_numpy())

    @property
    def customers_digest(self) -> str:
        """Digest of whose rows these are."""
        customers = sorted({str(customer) for customer in self.keys["customer_id"]})
        return hashlib.sha256("\n".join(customers).encode()).hexdigest()

    def with_features(self, names: Sequence[str]) -> "Rows":
        """The same rows with some of the features."""
        return replace(self, features=self.features.loc[:, list(names)])

    @property
    def fold(self) -> Fold:
        """As rows that a fit keeps apart."""
        return Fold(self.features, self.windows, self.weights, list(self.keys["customer_id"]))
