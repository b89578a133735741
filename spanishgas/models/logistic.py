"""The interpretable baseline: a logistic regression on person-periods with readable coefficients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from spanishgas.models.encoding import Encoding
from spanishgas.models.hazard import Floats, Fold, HazardModel, PersonPeriods

LIMIT = 4.0
ARRAYS = {
    "centre_": np.float64,
    "scale_": np.float64,
    "flagged_": np.int64,
    "means_": np.float64,
    "coefficients_": np.float64,
    "intercepts_": np.float64,
}


class LogisticHazard(HazardModel):
    """Logistic hazards.

    Numbers are centred at the median and scaled by the interquartile range, cut at four of them, missing ones set to
    the median with a flag of their own; words become one flag each. Effects are shared by the windows, which have
    intercepts of their own.

    Args:
        c: Inverse strength of the ridge penalty.
        max_iter: Iterations of the solver.
    """

    def __init__(self, c: float = 0.1, max_iter: int = 500) -> None:
        self.c = c
        self.max_iter = max_iter

    def _fit(self, features: pd.DataFrame, periods: PersonPeriods, stopping: Fold | None) -> None:  # noqa: ARG002
        self.encoding_ = Encoding.learn(features)
        raw = self.encoding_.numbers(features)
        known = np.isfinite(raw).any(axis=0)
        self.centre_, self.scale_ = np.zeros(raw.shape[1]), np.ones(raw.shape[1])
        self.centre_[known] = np.nanmedian(raw[:, known], axis=0)
        low, high = np.nanpercentile(raw[:, known], [25, 75], axis=0)
        spread = np.where(high > low, high - low, np.nanstd(raw[:, known], axis=0))
        self.scale_[known] = np.where(spread > 0, spread, 1.0)
        self.flagged_ = np.flatnonzero(~np.isfinite(raw).all(axis=0) & known)
        design = self._design(raw)
        self.means_ = design.mean(axis=0)
        matrix = np.hstack([design[periods.row], np.eye(self.n_windows_)[periods.window]])
        solver = LogisticRegression(C=self.c, max_iter=self.max_iter, fit_intercept=False)
        solver.fit(matrix, periods.outcome, sample_weight=periods.weight)
        self.n_iter_ = int(solver.n_iter_.max())
        self.coefficients_ = np.asarray(solver.coef_[0, : design.shape[1]])
        self.intercepts_ = np.asarray(solver.coef_[0, design.shape[1] :])

    def _hazards_of(self, numbers: Floats) -> Floats:
        effect = np.zeros(len(numbers))
        # Term by term: the order in which a product of matrices adds up hangs on how many rows there are, and no risk
        # may hang on who is scored beside them.
        for values, coefficient in zip(self._design(numbers).T, self.coefficients_, strict=True):
            effect += values * coefficient
        return np.asarray(1 / (1 + np.exp(-(effect[:, None] + self.intercepts_[None, :]))))

    def _design(self, raw: Floats) -> Floats:
        missing = ~np.isfinite(raw)
        scaled = np.clip((np.where(missing, self.centre_, raw) - self.centre_) / self.scale_, -LIMIT, LIMIT)
        words = [place for place, name in enumerate(self.encoding_.names) if name in self.encoding_.words]
        numbers = [place for place in range(raw.shape[1]) if place not in words]
        flags = [
            (raw[:, place] == code).astype(np.float64)
            for place in words
            for code in range(len(self.encoding_.words[self.encoding_.names[place]]))
        ]
        parts = [scaled[:, numbers], missing[:, self.flagged_].astype(np.float64)]
        return np.hstack([*parts, np.column_stack(flags)] if flags else parts)

    @property
    def state(self) -> dict[str, Any]:
        """Coefficients and scaling as plain values."""
        arrays = {name: getattr(self, name).tolist() for name in ARRAYS}
        return {"encoding": self.encoding_.state, **arrays}

    def restore(self, state: Mapping[str, Any], folder: Path) -> None:  # noqa: ARG002
        """Takes back the coefficients."""
        self.encoding_ = Encoding.restore(state["encoding"])
        for name, type_ in ARRAYS.items():
            setattr(self, name, np.asarray(state[name], type_))

    def _contributions_of(self, numbers: Floats) -> tuple[Floats, Floats]:
        """A term's coefficient times its distance from the term's mean in training, summed per feature."""
        distance = (self._design(numbers) - self.means_) * self.coefficients_
        owners = self._owners()
        per_feature = np.zeros((len(numbers), len(self.encoding_.names)))
        for term, owner in enumerate(owners):
            per_feature[:, owner] += distance[:, term]
        return per_feature, np.full(len(numbers), self.means_ @ self.coefficients_ + self.intercepts_.mean())

    def _owners(self) -> list[int]:
        """Position of the feature that each term of the design belongs to."""
        names, words = self.encoding_.names, self.encoding_.words
        return [
            *(place for place, name in enumerate(names) if name not in words),
            *(int(place) for place in self.flagged_),
            *(place for place, name in enumerate(names) if name in words for _ in words[name]),
        ]

    @property
    def design_names(self) -> list[str]:
        """Name of every coefficient."""
        names, words = self.encoding_.names, self.encoding_.words
        return [
            *(name for name in names if name not in words),
            *(f"{names[place]} is missing" for place in self.flagged_),
            *(f"{name} = {word}" for name in names if name in words for word in words[name]),
        ]

    def own_importance(self) -> tuple[pd.DataFrame, str]:
        """Odds ratios of its terms."""
        return self.coefficients(), "odds ratio per interquartile range, or per flag"

    def coefficients(self) -> pd.DataFrame:
        """Coefficients as odds ratios per interquartile range (or per flag), strongest first.

        Returns:
            Columns ``term``, ``coefficient``, ``odds_ratio``.
        """
        table = pd.DataFrame({"term": self.design_names, "coefficient": self.coefficients_})
        table["odds_ratio"] = np.exp(table["coefficient"])
        return table.sort_values("coefficient", key=lambda values: -values.abs(), ignore_index=True)
