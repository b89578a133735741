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
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length

from spanishgas.errors import ContractError
from spanishgas.models.calibration import WindowCalibration
from spanishgas.models.encoding import Encoding

LIKELIER = 0.5
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


class HazardModel(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A hazard model in scikit-learn's style; with one outcome per row it is a binary classifier like any other.

    Fitted attributes: ``feature_names_in_`` (frames only), ``n_features_in_``, ``classes_``, ``n_windows_``,
    ``calibration_``.
    """

    feature_names_in_: npt.NDArray[np.object_]
    n_features_in_: int
    classes_: npt.NDArray[Any]
    columns_: tuple[str, ...]
    encoding_: Encoding
    n_windows_: int
    calibration_: WindowCalibration

    def fit(
        self,
        features: pd.DataFrame | npt.ArrayLike,
        y: npt.ArrayLike,
        weights: Floats | None = None,
        *,
        stopping: "Fold | None" = None,
        calibrating: "Fold | None" = None,
    ) -> "HazardModel":
        """Fits the hazards, and the calibration where there are rows for it.

        Args:
            features: One row per customer and date; a frame, or an array of numbers.
            y: Outcomes of the windows, shape (rows, windows), see ``person_periods``; or two classes, shape (rows,).
            weights: Weights of the outcomes, same shape.
            stopping: Rows that tell when to stop; without them the model does not stop early.
            calibrating: Rows of other customers that the hazards are calibrated on; without them they are not.

        Raises:
            ContractError: Rows do not match, or nothing is known.
        """
        frame = self._learn_columns(features)
        outcomes = self._outcomes(y)
        check_consistent_length(frame, outcomes)
        self.n_windows_ = outcomes.shape[1]
        self.calibration_ = WindowCalibration.identity(self.n_windows_)
        self._fit(frame, person_periods(outcomes, weights), stopping)
        if calibrating is not None:
            raw = self._hazards(calibrating.features)
            self.calibration_ = calibration_of(raw, calibrating.windows, calibrating.weights)
        return self

    def _learn_columns(self, features: "pd.DataFrame | npt.ArrayLike") -> pd.DataFrame:
        if not isinstance(features, pd.DataFrame):
            numbers = check_array(features, dtype=np.float64, ensure_all_finite="allow-nan", estimator=self)
            features = pd.DataFrame(numbers, columns=[f"x{place}" for place in range(numbers.shape[1])])
        else:
            self.feature_names_in_ = np.asarray(features.columns, dtype=object)
            features = features.set_axis(features.columns.map(str), axis=1)
        self.columns_ = tuple(map(str, features.columns))
        self.n_features_in_ = len(self.columns_)
        return features

    def _outcomes(self, windows: npt.ArrayLike) -> Floats:
        """Outcomes of windows as they are; two classes as 0 and 1."""
        if windows is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        told = np.asarray(windows)
        if told.dtype.kind == "f" and np.isinf(told).any():
            raise ValueError("Input y contains infinity: an outcome is 0, 1 or missing")
        if told.ndim == 1 and told.dtype.kind == "f" and np.isnan(told).any():
            raise ValueError("Input y contains NaN: outcomes that may be unknown come as columns, one per window")
        if (told.ndim == 2 and told.shape[1] > 1) or (told.dtype.kind == "f" and not np.isfinite(told).all()):
            self.classes_ = np.array([0, 1])
            return np.asarray(told, np.float64)
        flat = told.ravel()
        check_classification_targets(flat)
        if type_of_target(flat) not in ("binary",):
            raise ValueError("Only binary classification is supported. The type of the target is not binary.")
        self.classes_, codes = np.unique(flat, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        return np.asarray(codes, np.float64)[:, None]

    def _as_frame(self, features: "pd.DataFrame | npt.ArrayLike") -> pd.DataFrame:
        if isinstance(features, pd.DataFrame):
            return features.set_axis(features.columns.map(str), axis=1)
        numbers = check_array(features, dtype=np.float64, ensure_all_finite="allow-nan", estimator=self)
        if numbers.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {numbers.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input"
            )
        return pd.DataFrame(numbers, columns=list(self.columns_))

    def __sklearn_tags__(self) -> Any:
        """Tags: two classes, missing values allowed."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def predict_proba(self, features: pd.DataFrame | npt.ArrayLike) -> Floats:
        """Probability of staying and of leaving within the horizon, shape (rows, 2)."""
        risk = self.predict_risk(features)
        return np.column_stack([1 - risk, risk])

    def predict(self, features: pd.DataFrame | npt.ArrayLike) -> npt.NDArray[Any]:
        """The likelier class of each row. Rank by the risk instead: leaving is rarely the likelier one."""
        is_leaving = self.predict_risk(features) > LIKELIER
        return np.asarray(self.classes_[is_leaving.astype(int)])

    def predict_windows(self, features: pd.DataFrame | npt.ArrayLike) -> Floats:
        """Calibrated hazard of each window, shape (rows, windows).

        Raises:
            NotFittedError: The model is not fitted.
            ContractError: Features are missing.
        """
        if not hasattr(self, "n_windows_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit first")
        features = self._as_frame(features)
        lacking = [name for name in self.columns_ if name not in features.columns]
        if lacking:
            raise ContractError(
                "features that the model was trained on are missing",
                where=type(self).__name__,
                count=len(lacking),
                examples=lacking,
            )
        return self.windows_of(self.encoding_.numbers(features))

    def windows_of(self, numbers: Floats) -> Floats:
        """Calibrated hazards of encoded rows, shape (rows, windows): no frame is made for one customer.

        Args:
            numbers: Features in the order of ``columns_``, as ``Encoding.numbers`` gives them.
        """
        return self.calibration_.apply(self._hazards_of(numbers))

    def predict_risk(self, features: pd.DataFrame | npt.ArrayLike) -> Floats:
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

    @property
    def trees(self) -> dict[str, int]:
        """What grew trees -> how many were kept; empty where nothing stops early."""
        return {}

    def settle(self, trees: Mapping[str, int]) -> None:
        """Fixes how many trees the next fit takes, where no rows are to tell when to stop.

        Args:
            trees: As ``trees`` tells them of a fitted model of the same kind.
        """

    @abstractmethod
    def own_importance(self) -> tuple[pd.DataFrame, str]:
        """The model's own account of what matters, and how to read it.

        Returns:
            A feature or term and a figure, the largest first.
        """

    def told_how(self) -> str:
        """How it was learned, in words for a report; empty where there is nothing to tell."""
        return ""

    def contributions(self, features: pd.DataFrame) -> tuple[pd.DataFrame, Floats]:
        """What each feature adds to the risk, on the log-odds of a window's calibrated hazard, mean over the windows.

        Returns:
            Contributions, one column per feature, and the base value of each row: together they add up to the mean
            log-odds of the windows.
        """
        added, base = self.contributions_of(self.encoding_.numbers(features))
        return pd.DataFrame(added, columns=list(self.columns_)), base

    def contributions_of(self, numbers: Floats) -> tuple[Floats, Floats]:
        """The same for rows that are encoded already; contributions of shape (rows, features).

        Args:
            numbers: Features in the order of ``columns_``, as ``Encoding.numbers`` gives them.
        """
        added, base = self._contributions_of(numbers)
        line = self.calibration_
        return line.slope * added, np.asarray(line.slope * base + np.mean(line.intercepts))

    @abstractmethod
    def _fit(self, features: pd.DataFrame, periods: PersonPeriods, stopping: "Fold | None") -> None:
        """Fits the uncalibrated hazards."""

    def _hazards(self, features: pd.DataFrame) -> Floats:
        """Uncalibrated hazards, shape (rows, windows)."""
        return self._hazards_of(self.encoding_.numbers(features))

    @abstractmethod
    def _hazards_of(self, numbers: Floats) -> Floats:
        """Uncalibrated hazards of encoded rows, shape (rows, windows)."""

    @abstractmethod
    def _contributions_of(self, numbers: Floats) -> tuple[Floats, Floats]:
        """What each feature of encoded rows adds to the uncalibrated log-odds, and the base value of each row."""


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
