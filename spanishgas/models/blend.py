"""A blend: several kinds of trees on person-periods, the mean of their log-odds, calibrated together.

What the kinds get wrong differs, so that their mean errs less than each. Whoever learned them, trees are kept and
scored as in ``models.trees``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.models.encoding import Encoding
from spanishgas.models.hazard import Floats, Fold, HazardModel, PersonPeriods, person_periods
from spanishgas.models.members import FOREST, Growth, Sample, check_installed, grow
from spanishgas.models.trees import WINDOW, Tree, WindowTrees, to_booster

BOOSTED, FOREST_FILE = "boosted.ubj", "forest.ubj"
SAME = 1e-9


class BlendHazard(HazardModel):
    """Hazards whose log-odds are the mean of those of the members.

    Boosted members tell their log-odds themselves; extra trees tell a probability, of which the log-odds are taken.
    Reasons: those of boosted members are exact SHAP values of their log-odds. Those of extra trees are told on the
    probability by the way down each tree, and scaled to the log-odds; splits of extra trees come in random order, over
    which SHAP values would be the mean. All together add up to the score.

    Args:
        members: Names of the members, at least one.
        max_depth: Depth of boosted trees; of LightGBM's, which have no depth, half the leaves of such a tree.
        learning_rate: Shrinkage.
        rounds: Most boosted trees of a member; early stopping on later rows takes fewer.
        stop_after: Rounds without improvement before stopping.
        min_child_weight: Least hessian of a leaf; of extra trees as many rows of average risk. CatBoost has no such.
        subsample: Share of rows per boosted tree.
        colsample: Share of features per boosted tree; of CatBoost's per level.
        l2: Ridge penalty of leaf values.
        forest_trees: Extra trees.
        forest_leaves: Most leaves of an extra tree.
        monotone: Feature -> sign of its effect where that is known beforehand; binds the boosted members.
        seed: Seed of the sampling.
        threads: Worker threads.
        settled: Member -> its trees, where no rows are to tell when to stop.
    """

    def __init__(
        self,
        members: Sequence[str] = ("xgboost", "extra_trees"),
        max_depth: int = 6,
        learning_rate: float = 0.05,
        rounds: int = 1000,
        stop_after: int = 40,
        min_child_weight: float = 1.0,
        subsample: float = 0.8,
        colsample: float = 0.5,
        l2: float = 3.0,
        forest_trees: int = 200,
        forest_leaves: int = 1000,
        monotone: Mapping[str, int] | None = None,
        seed: int = 0,
        threads: int = 2,
        settled: Mapping[str, int] | None = None,
    ) -> None:
        self.members = members
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.rounds = rounds
        self.stop_after = stop_after
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample = colsample
        self.l2 = l2
        self.forest_trees = forest_trees
        self.forest_leaves = forest_leaves
        self.monotone = monotone
        self.seed = seed
        self.threads = threads
        self.settled = settled

    def _fit(self, features: pd.DataFrame, periods: PersonPeriods, stopping: Fold | None) -> None:
        check_installed(self.members)
        self.encoding_ = Encoding.learn(features)
        train = self._sample(features, periods)
        later = None
        if stopping is not None:
            later = self._sample(stopping.features, person_periods(stopping.windows, stopping.weights))
        grown = {name: grow(name, train, later, self._growth(name)) for name in self.members}
        self.trees_ = {name: len(one.trees) for name, one in grown.items()}
        self.offset_ = float(sum(one.offset for one in grown.values()))
        boosted = [tree for name, one in grown.items() if name != FOREST for tree in one.trees]
        self.boosted_ = self._window_trees(boosted)
        self.forest_ = self._window_trees(grown[FOREST].trees if FOREST in grown else ())
        shares = np.mean([_shares(one.trees, len(self._names())) for one in grown.values()], axis=0)
        self.importance_ = {name: float(share) for name, share in zip(self._names(), shares, strict=True) if share}

    def _window_trees(self, trees: Sequence[Tree]) -> WindowTrees | None:
        return WindowTrees(to_booster(trees, self._names()), self._names(), self.threads) if trees else None

    def _sample(self, features: pd.DataFrame, periods: PersonPeriods) -> Sample:
        rows = np.column_stack([self.encoding_.numbers(features)[periods.row], periods.window])
        return Sample(rows.astype(np.float32), periods.outcome, periods.weight)

    def _growth(self, member: str) -> Growth:
        signs = self.monotone or {}
        return Growth(
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            rounds=(self.settled or {}).get(member, self.rounds),
            stop_after=self.stop_after,
            min_child_weight=self.min_child_weight,
            subsample=self.subsample,
            colsample=self.colsample,
            l2=self.l2,
            forest_trees=self.forest_trees,
            forest_leaves=self.forest_leaves,
            signs=(*(int(signs.get(name, 0)) for name in self.encoding_.names), 0),
            seed=self.seed,
            threads=self.threads,
        )

    def _names(self) -> list[str]:
        return [*self.encoding_.names, WINDOW]

    @property
    def trees(self) -> dict[str, int]:
        """Trees of each member."""
        return dict(self.trees_)

    def settle(self, trees: Mapping[str, int]) -> None:
        """Takes so many trees of each member, whatever later rows would say."""
        self.settled = dict(trees)

    def _hazards_of(self, numbers: Floats) -> Floats:
        total = np.full((len(numbers), self.n_windows_), self.offset_)
        if self.boosted_ is not None:
            total += self.boosted_.values(numbers, self.n_windows_)
        if self.forest_ is not None:
            total += _logit(self.forest_.values(numbers, self.n_windows_))
        return np.asarray(1 / (1 + np.exp(-total / len(self.members))))

    def _contributions_of(self, numbers: Floats) -> tuple[Floats, Floats]:
        total = np.zeros((len(numbers), len(self.encoding_.names) + 2))
        if self.boosted_ is not None:
            for part in self.boosted_.contributions(numbers, self.n_windows_):
                total += part
        if self.forest_ is not None:
            for part in self.forest_.contributions(numbers, self.n_windows_, by_path=True):
                total += _on_log_odds(part.astype(np.float64))
        total /= self.n_windows_
        total[:, -1] += self.offset_
        total /= len(self.members)
        # What the window itself adds belongs to no feature of the customer.
        return total[:, :-2], np.asarray(total[:, -2] + total[:, -1])

    @property
    def state(self) -> dict[str, Any]:
        """Encoding, offset and what matters; the trees have files of their own."""
        return {
            "encoding": self.encoding_.state,
            "trees": self.trees_,
            "offset": self.offset_,
            "importance": self.importance_,
        }

    def save_parts(self, folder: Path) -> None:
        """Writes boosted and extra trees in XGBoost's binary JSON."""
        for name, trees in ((BOOSTED, self.boosted_), (FOREST_FILE, self.forest_)):
            if trees is not None:
                trees.save(folder / name)

    def restore(self, state: Mapping[str, Any], folder: Path) -> None:
        """Takes back what was learned; no library of a member is needed."""
        self.encoding_ = Encoding.restore(state["encoding"])
        self.trees_ = {str(name): int(count) for name, count in state["trees"].items()}
        self.offset_ = float(state["offset"])
        self.importance_ = {str(name): float(share) for name, share in state["importance"].items()}
        has_boosted, has_forest = set(self.members) != {FOREST}, FOREST in self.members
        self.boosted_ = WindowTrees.load(folder / BOOSTED, self._names(), self.threads) if has_boosted else None
        self.forest_ = WindowTrees.load(folder / FOREST_FILE, self._names(), self.threads) if has_forest else None

    def own_importance(self) -> tuple[pd.DataFrame, str]:
        """Shares of what the members' splits explain."""
        return self.importance(), "share of what splits explain, mean over the members"

    def told_how(self) -> str:
        """Trees of each member, and signs that bind the boosted ones."""
        told = ", ".join(f"{count} of {name}" for name, count in self.trees_.items())
        return f"Trees: {told}; {len(self.monotone or {})} bound signs."

    def importance(self) -> pd.DataFrame:
        """Mean over the members of each feature's share of the gain, largest first; columns ``feature``, ``gain``."""
        table = pd.DataFrame({"feature": list(self.importance_), "gain": list(self.importance_.values())})
        return table.sort_values("gain", ascending=False, ignore_index=True)


def _shares(trees: Sequence[Tree], features: int) -> Floats:
    """Share of each feature in what splits explain of a member's values: members count alike, whatever their scale."""
    found = np.zeros(features)
    for tree in trees:
        found += np.bincount(tree.feature, tree.gains(), features)
    return np.asarray(found / max(found.sum(), np.finfo(np.float64).tiny), np.float64)


def _on_log_odds(added: Floats) -> Floats:
    """What is added to a probability as what is added to its log-odds: all by one factor, so that it adds up."""
    base = added[:, -1]
    moved = added[:, :-1].sum(axis=1)
    start = _logit(base)
    still = np.abs(moved) < SAME
    slope: Floats = np.where(
        still, 1 / (base * (1 - base)), (_logit(base + moved) - start) / np.where(still, 1.0, moved)
    )
    return np.asarray(np.column_stack([added[:, :-1] * slope[:, None], start]), np.float64)


def _logit(probability: Floats) -> Floats:
    """Log-odds; no leaf is certain, so that no mean of leaves is."""
    return np.asarray(np.log(probability / (1 - probability)), np.float64)
