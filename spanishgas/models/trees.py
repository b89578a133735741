"""Trees of any library as trees of XGBoost: one format of files, one way to score, one to explain.

What a library is needed for is growing trees. Scoring them takes a comparison and a sum, so that a model in production
needs neither the library nor its format.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
WINDOW = "window"
NO_CHILD = -1
NO_PARENT = 2**31 - 1
# Fewer rows than this are scored by one thread: waking others takes longer than the work.
FEW_ROWS = 1000
# A leaf that no row of the training fell into still needs some weight: shares of nothing are not defined.
LEAST_WEIGHT = 0.01


@dataclass(frozen=True)
class Tree:
    """A tree; node 0 is its root. A row goes left where its value, as a float of 32 bits, is below the threshold.

    Attributes:
        left: Left child of each node, -1 of a leaf.
        right: Right child; XGBoost wants it next to the left one.
        feature: Feature that a node asks for.
        threshold: What it is compared with.
        missing_left: Whether a row without the value goes left.
        value: What a leaf adds; 0 elsewhere.
        weight: Training rows, or their weight, in each leaf.
    """

    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats32
    missing_left: npt.NDArray[np.bool_]
    value: Floats
    weight: Floats

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        """Which nodes are leaves."""
        return np.asarray(self.left == NO_CHILD)

    def below(self) -> tuple[Floats, Floats]:
        """Training rows below each node and the mean value of their leaves; children come after their parents."""
        weight = np.where(self.is_leaf, np.maximum(self.weight, LEAST_WEIGHT), 0.0).tolist()
        mean = self.value.tolist()
        left, right = self.left.tolist(), self.right.tolist()
        for node in range(len(left))[::-1]:
            if left[node] != NO_CHILD:
                one, other = left[node], right[node]
                weight[node] = weight[one] + weight[other]
                mean[node] = (mean[one] * weight[one] + mean[other] * weight[other]) / weight[node]
        return np.array(weight), np.array(mean)

    def gains(self) -> Floats:
        """How much of the values' spread each split explains: weighted sum of squares between its children."""
        weight, mean = self.below()
        found = np.zeros(len(self.left))
        inner = np.flatnonzero(~self.is_leaf)
        one, other = self.left[inner], self.right[inner]
        found[inner] = weight[one] * weight[other] / weight[inner] * (mean[one] - mean[other]) ** 2
        return found


def not_above(limits: npt.ArrayLike) -> Floats32:
    """Thresholds t with ``x < t`` where ``x <= limit``, for every x that is a float of 32 bits."""
    exact = np.asarray(limits, np.float64)
    # Libraries mark ends of a range by numbers that only 64 bits hold.
    near = np.clip(exact, np.finfo(np.float32).min, np.finfo(np.float32).max).astype(np.float32)
    with np.errstate(over="ignore"):
        near = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
        return np.asarray(np.nextafter(near, np.float32(np.inf)), np.float32)


def to_booster(trees: Sequence[Tree], names: Sequence[str]) -> "xgboost.Booster":  # type: ignore[name-defined] # noqa: F821
    """A booster whose prediction is the sum of the trees.

    Args:
        trees: At least one.
        names: Names of the features.
    """
    import xgboost

    rows = xgboost.DMatrix(np.zeros((2, len(names)), np.float32), np.zeros(2), feature_names=list(names))
    shape = xgboost.train({"objective": "reg:squarederror", "base_score": 0.0, "max_depth": 1}, rows, 1)
    told = json.loads(bytes(shape.save_raw("json")))
    model = told["learner"]["gradient_booster"]["model"]
    model["trees"] = [_told(tree, number, len(names)) for number, tree in enumerate(trees)]
    model["tree_info"] = [0] * len(trees)
    model["iteration_indptr"] = list(range(len(trees) + 1))
    model["gbtree_model_param"]["num_trees"] = str(len(trees))
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(told).encode()))
    return booster


def _told(tree: Tree, number: int, features: int) -> dict[str, Any]:
    count = len(tree.left)
    inner = np.flatnonzero(~tree.is_leaf)
    parents = np.full(count, NO_PARENT, np.int64)
    parents[tree.left[inner]] = inner
    parents[tree.right[inner]] = inner
    return {
        "base_weights": _exact(tree.value),
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": tree.missing_left.astype(int).tolist(),
        "id": number,
        "left_children": tree.left.tolist(),
        "loss_changes": [0.0] * count,
        "parents": parents.tolist(),
        "right_children": tree.right.tolist(),
        "split_conditions": _exact(np.where(tree.is_leaf, tree.value, tree.threshold)),
        "split_indices": np.where(tree.is_leaf, 0, tree.feature).tolist(),
        "split_type": [0] * count,
        "sum_hessian": _exact(tree.below()[0]),
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(features),
            "num_nodes": str(count),
            "size_leaf_vector": "1",
        },
    }


def _exact(values: npt.ArrayLike) -> list[float]:
    """Numbers whose shortest decimals are read back as the same floats of 32 bits."""
    return [float(text) for text in np.asarray(values, np.float32).astype(str)]


class WindowTrees:
    """Trees that ask for the window as their last feature, safe to score with from several threads.

    Args:
        booster: The trees.
        names: Names of the features, the window among them.
    """

    def __init__(self, booster: "xgboost.Booster", names: Sequence[str], threads: int) -> None:  # type: ignore[name-defined] # noqa: F821
        self.booster = booster
        self.booster.set_param({"nthread": threads})
        # A copy for one thread: changing the number of threads is not safe while others score.
        self.single = booster.copy()
        self.single.set_param({"nthread": 1})
        self.names = list(names)

    @classmethod
    def load(cls, file: Path, names: Sequence[str], threads: int) -> "WindowTrees":
        """Reads what ``save`` wrote."""
        import xgboost

        booster = xgboost.Booster({"nthread": threads})
        booster.load_model(file)
        return cls(booster, names, threads)

    def save(self, file: Path) -> None:
        """Writes the trees in XGBoost's binary JSON."""
        self.booster.save_model(file)

    def values(self, numbers: Floats, windows: int) -> Floats:
        """What the trees say of each row in each window, shape (rows, windows)."""
        count = len(numbers)
        if count < FEW_ROWS:
            # All windows in one call; a row's score does not depend on its neighbours.
            found = self.single.inplace_predict(_stacked(numbers, windows))
            return np.asarray(found.reshape(windows, count).T, np.float64)
        each = [
            self.booster.inplace_predict(np.column_stack([numbers, np.full(count, float(window))]))
            for window in range(windows)
        ]
        return np.column_stack(each).astype(np.float64)

    def contributions(self, numbers: Floats, windows: int, *, by_path: bool = False) -> list[Floats32]:
        """What each feature adds: SHAP values (exact: Lundberg et al., Nature Machine Intelligence 2, 2020).

        Args:
            numbers: Features without the window, shape (rows, features).
            windows: Number of windows.
            by_path: Follow each row's way down instead (Saabas), which takes as long as a score.

        Returns:
            For each window an array of shape (rows, features, the window and the base value).
        """
        import xgboost

        def told(rows: Floats) -> Floats32:
            few = len(rows) < FEW_ROWS
            matrix = xgboost.DMatrix(rows, feature_names=self.names, nthread=1 if few else None)
            trees = self.single if few else self.booster
            return np.asarray(trees.predict(matrix, pred_contribs=True, approx_contribs=by_path))

        count = len(numbers)
        if count * windows < FEW_ROWS:
            return list(np.split(told(_stacked(numbers, windows)), windows))
        return [told(np.column_stack([numbers, np.full(count, float(window))])) for window in range(windows)]


def _stacked(numbers: Floats, windows: int) -> Floats:
    """All rows in the first window, then all in the second, and so on."""
    window = np.repeat(np.arange(windows, dtype=np.float64), len(numbers))
    return np.column_stack([np.tile(numbers, (windows, 1)), window])
