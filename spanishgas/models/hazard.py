"""Discrete-time hazards: the probability of leaving in each window, given that the customer is still there.

A customer at a date contributes one row per window in which they were at risk and followed (person-period data: Singer
and Willett, Journal of Educational Statistics 18, 1993). One binary model over these rows gives the window hazards h,
and from them the risk over the horizon, 1 - prod(1 - h): risk and timing come from one model and never contradict each
other.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from spanishgas.errors import ContractError
from spanishgas.models.calibration import WindowCalibration

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PersonPeriods:
    """Rows at risk, one per customer, date and window.

    Attributes:
        row: Position in the features.
        window: Window, from 0.
        outcome: Whether the customer left in it.
        weight: How much the row counts.
    """

    row: Ints
    window: Ints
    outcome: Floats
    weight: Floats


def person_periods(windows: Floats, weights: Floats | None = None) -> PersonPeriods:
    """Expands outcomes per window into rows at risk.

    Args:
        windows: 1 left, 0 stayed, NaN not at risk any more or not known; shape (rows, windows).
        weights: Same shape, or None for ones.

    Raises:
        ContractError: An outcome is something else, or there is none at all.
    """
    known = np.isfinite(windows)
    odd = int((known & (windows != 0) & (windows != 1)).sum())
    if odd:
        raise ContractError("an outcome is neither 0 nor 1", where="windows", count=odd)
    row, window = np.nonzero(known)
    if not len(row):
        raise ContractError("no outcome is known", where="windows", todo="Check the labels: nothing is mature")
    used = np.ones(windows.shape) if weights is None else np.where(np.isfinite(weights), weights, 1.0)
    return PersonPeriods(row, window, windows[row, window], used[row, window])


def union_of(hazards: Floats) -> Floats:
    """Probability of leaving in any window: 1 - prod(1 - h), shape (rows,)."""
    return np.asarray(-np.expm1(np.log1p(-np.clip(hazards, 0.0, 1.0 - 1e-12)).sum(axis=1)))


def calibration_of(hazards: Floats, windows: Floats, weights: Floats | None) -> WindowCalibration:
    """Calibration of uncalibrated hazards against outcomes, on the rows still at risk; all of shape (rows, windows)."""
    periods = person_periods(windows, weights)
    raw = hazards[periods.row, periods.window]
    return WindowCalibration.fit(raw, periods.window, periods.outcome, periods.weight, hazards.shape[1])


class HazardModel(BaseEstimator, ABC):  # type: ignore[misc]
    """A hazard model in scikit-learn's style.

    Fitted attributes: ``feature_names_in_``, ``n_windows_``, ``calibration_``.
    """

    feature_names_in_: npt.NDArray[np.object_]
    n_windows_: int
    calibration_: WindowCalibration

    def fit(
        self,
        features: pd.DataFrame,
        windows: Floats,
        weights: Floats | None = None,
        *,
        stopping: "Fold | None" = None,
        calibrating: "Fold | None" = None,
    ) -> "HazardModel":
        """Fits the hazards, and the calibration where there are rows for it.

        Args:
            features: One row per customer and date.
            windows: Outcomes, shape (rows, windows); see ``person_periods``.
            weights: Weights of the outcomes, same shape.
            stopping: Rows that tell when to stop; without them the model does not stop early.
            calibrating: Rows of other customers that the hazards are calibrated on; without them they are not.

        Raises:
            ContractError: Rows do not match, or nothing is known.
        """
        windows = np.asarray(windows, np.float64)
        if len(features) != len(windows):
            raise ContractError(
                f"{len(features):,} rows of features and {len(windows):,} of outcomes", where=type(self).__name__
            )
        self.feature_names_in_ = np.asarray(features.columns, dtype=object)
        self.n_windows_ = windows.shape[1]
        self.calibration_ = WindowCalibration.identity(self.n_windows_)
        self._fit(features, person_periods(windows, weights), stopping)
        if calibrating is not None:
            raw = self._hazards(calibrating.features)
            self.calibration_ = calibration_of(raw, calibrating.windows, calibrating.weights)
        return self

    def predict_windows(self, features: pd.DataFrame) -> Floats:
        """Calibrated hazard of each window, shape (rows, windows).

        Raises:
            ContractError: The model is not fitted, or features are missing.
        """
        if not hasattr(self, "n_windows_"):
            raise ContractError("is not fitted", where=type(self).__name__, todo="Call fit first")
        lacking = [name for name in self.feature_names_in_ if name not in features.columns]
        if lacking:
            raise ContractError(
                "features that the model was trained on are missing",
                where=type(self).__name__,
                count=len(lacking),
                examples=lacking,
            )
        ordered = features.loc[:, list(self.feature_names_in_)]
        return self.calibration_.apply(self._hazards(ordered))

    def predict_risk(self, features: pd.DataFrame) -> Floats:
        """Probability of leaving within the horizon, shape (rows,)."""
        return union_of(self.predict_windows(features))

    @property
    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learned, as plain values for JSON, without files of their own; see ``models.files``."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any], folder: Path) -> None:
        """Takes back what ``state`` and ``save_parts`` gave.

        Raises:
            ModelFileError: Something is missing or of another shape.
        """

    def save_parts(self, folder: Path) -> None:
        """Writes what does not go into JSON."""

    @abstractmethod
    def contributions(self, features: pd.DataFrame) -> tuple[pd.DataFrame, Floats]:
        """What each feature adds to the risk, on the log-odds of a window's calibrated hazard, mean over the windows.

        Returns:
            Contributions, one column per feature, and the base value of each row: together they add up to the mean
            log-odds of the windows.
        """

    def _mean_contributions(self, per_feature: Floats, base: Floats) -> tuple[pd.DataFrame, Floats]:
        """Contributions to the uncalibrated log-odds, as those to the calibrated ones."""
        line = self.calibration_
        frame = pd.DataFrame(line.slope * per_feature, columns=list(self.feature_names_in_))
        return frame, np.asarray(line.slope * base + np.mean(line.intercepts))

    @abstractmethod
    def _fit(self, features: pd.DataFrame, periods: PersonPeriods, stopping: "Fold | None") -> None:
        """Fits the uncalibrated hazards."""

    @abstractmethod
    def _hazards(self, features: pd.DataFrame) -> Floats:
        """Uncalibrated hazards, shape (rows, windows)."""


@dataclass(frozen=True)
class Fold:
    """Rows kept apart from the fit.

    Attributes:
        features: One row per customer and date.
        windows: Outcomes per window.
        weights: Their weights, or None.
        customers: Whom each row belongs to.
    """

    features: pd.DataFrame
    windows: Floats
    weights: Floats | None
    customers: Sequence[object]

    def parts(self) -> "tuple[Fold, Fold]":
        """Two folds of disjoint customers, by a stable hash: a quarter to stop early, the rest to calibrate.

        When to stop is told by few rows; the level of the probabilities is as exact as the rows that it is taken from.
        """
        first = (pd.util.hash_array(np.asarray(self.customers, dtype=object)) % 4) == 0
        return self._take(first), self._take(~first)

    def _take(self, chosen: npt.NDArray[np.bool_]) -> "Fold":
        weights = None if self.weights is None else self.weights[chosen]
        customers = list(np.asarray(self.customers, dtype=object)[chosen])
        return Fold(self.features[chosen], np.asarray(self.windows, np.float64)[chosen], weights, customers)
