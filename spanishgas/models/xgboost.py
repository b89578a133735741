"""Boosted trees on person-periods: the window is a feature, so that effects may differ between windows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spanishgas.models.bins import binned
from spanishgas.models.encoding import Encoding
from spanishgas.models.hazard import Floats, Fold, HazardModel, PersonPeriods, person_periods
from spanishgas.models.trees import WINDOW, WindowTrees

if TYPE_CHECKING:
    import xgboost

TREES = "trees.ubj"


class XGBoostHazard(HazardModel):
    """Hazards by gradient boosting (Chen and Guestrin, KDD 2016), log-loss, no class weights: they ruin calibration.

    Args:
        max_depth: Depth of a tree.
        learning_rate: Shrinkage.
        rounds: Most trees; early stopping on later rows takes fewer.
        stop_after: Rounds without improvement before stopping.
        min_child_weight: Least hessian of a leaf.
        subsample: Share of rows per tree.
        colsample: Share of features per tree.
        l2: Ridge penalty of leaf values.
        monotone: Feature -> sign of its effect where that is known beforehand.
        seed: Seed of the sampling.
        threads: Worker threads; results do not depend on them.
    """

    def __init__(
        self,
        max_depth: int = 3,
        learning_rate: float = 0.05,
        rounds: int = 600,
        stop_after: int = 40,
        min_child_weight: float = 20.0,
        subsample: float = 0.8,
        colsample: float = 0.5,
        l2: float = 5.0,
        monotone: Mapping[str, int] | None = None,
        seed: int = 0,
        threads: int = 2,
    ) -> None:
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.rounds = rounds
        self.stop_after = stop_after
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.l2 = l2
        self.monotone = monotone
        self.seed = seed
        self.threads = threads

    def _fit(self, features: pd.DataFrame, periods: PersonPeriods, stopping: Fold | None) -> None:
        import xgboost

        self.encoding_ = Encoding.learn(features)
        signs = self.monotone or {}
        constraints = [int(signs.get(name, 0)) for name in self.encoding_.names] + [0]
        parameters = {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "lambda": self.l2,
            "monotone_constraints": tuple(constraints),
            "seed": self.seed,
            "nthread": self.threads,
        }
        train = self._matrix(features, periods)
        if stopping is None:
            self._keep(xgboost.train(parameters, train, self.rounds))
            return
        later = self._matrix(stopping.features, person_periods(stopping.windows, stopping.weights), train)
        booster = xgboost.train(
            parameters,
            train,
            self.rounds,
            evals=[(later, "stopping")],
            early_stopping_rounds=self.stop_after,
            verbose_eval=False,
        )
        self._keep(booster[: booster.best_iteration + 1])

    def _keep(self, booster: "xgboost.Booster") -> None:
        self.window_trees_ = WindowTrees(booster, self._names(), self.threads)

    @property
    def booster_(self) -> "xgboost.Booster":
        """The trees."""
        booster: xgboost.Booster = self.window_trees_.booster
        return booster

    @property
    def trees(self) -> dict[str, int]:
        """Trees that early stopping kept."""
        return {"xgboost": self.booster_.num_boosted_rounds()}

    def settle(self, trees: Mapping[str, int]) -> None:
        """Takes so many trees."""
        self.rounds = trees["xgboost"]

    def _matrix(
        self,
        features: pd.DataFrame,
        periods: PersonPeriods,
        bins: "xgboost.DMatrix | None" = None,
    ) -> "xgboost.DMatrix":
        numbers = self.encoding_.small_numbers(features)
        return binned(numbers, periods, self._names(), bins)

    def _names(self) -> list[str]:
        return [*self.encoding_.names, WINDOW]

    def _hazards_of(self, numbers: Floats) -> Floats:
        return self.window_trees_.values(numbers, self.n_windows_)

    @property
    def state(self) -> dict[str, Any]:
        """The encoding; the trees have a file of their own."""
        return {"encoding": self.encoding_.state}

    def save_parts(self, folder: Path) -> None:
        """Writes the trees in XGBoost's binary JSON."""
        self.window_trees_.save(folder / TREES)

    def restore(self, state: Mapping[str, Any], folder: Path) -> None:
        """Takes back the encoding and the trees."""
        self.encoding_ = Encoding.restore(state["encoding"])
        self.window_trees_ = WindowTrees.load(folder / TREES, self._names(), self.threads)

    def _contributions_of(self, numbers: Floats) -> tuple[Floats, Floats]:
        """SHAP values of the trees, mean over windows."""
        total = np.zeros((len(numbers), len(self.encoding_.names) + 2))
        for part in self.window_trees_.contributions(numbers, self.n_windows_):
            total += part
        total /= self.n_windows_
        # What the window itself adds belongs to no feature of the customer.
        return total[:, :-2], np.asarray(total[:, -2] + total[:, -1])

    def own_importance(self) -> tuple[pd.DataFrame, str]:
        """Shares of the gain of its trees."""
        return self.importance(), "share of the total gain"

    def told_how(self) -> str:
        """Trees, their depth, and signs that bind them."""
        trees, bound = self.booster_.num_boosted_rounds(), len(self.monotone or {})
        return f"{trees} trees of depth {self.max_depth}, {bound} bound signs."

    def importance(self) -> pd.DataFrame:
        """Share of the total gain per feature, largest first; columns ``feature``, ``gain``."""
        gains = self.booster_.get_score(importance_type="total_gain")
        table = pd.DataFrame({"feature": list(gains), "gain": list(gains.values())})
        table["gain"] /= table["gain"].sum()
        return table.sort_values("gain", ascending=False, ignore_index=True)
