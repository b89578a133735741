"""Members of a blend: who grows trees, and what is taken of it.

Each learns from the same rows of 32-bit floats, so that its trees decide alike in ``models.trees``. Libraries are
needed to learn; a fitted blend is scored without them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from spanishgas.errors import ConfigError
from spanishgas.models.trees import NO_CHILD, Floats, Floats32, Tree, not_above

FOREST = "extra_trees"
# What is installed by the extra `blend`.
EXTRA = ("lightgbm", "catboost")


@dataclass(frozen=True)
class Sample:
    """Rows to learn from or to stop by.

    Attributes:
        rows: Shape (rows, features), NaN where a value is missing.
        outcome: 0 or 1.
        weight: How much each row counts.
    """

    rows: Floats32
    outcome: Floats
    weight: Floats


@dataclass(frozen=True)
class Growth:
    """How trees are grown; see ``BlendHazard``."""

    max_depth: int
    learning_rate: float
    rounds: int
    stop_after: int
    min_child_weight: float
    subsample: float
    colsample: float
    l2: float
    forest_trees: int
    forest_leaves: int
    signs: tuple[int, ...]
    seed: int
    threads: int


@dataclass(frozen=True)
class Grown:
    """What a member has learned.

    Attributes:
        trees: Its trees; their sum and the offset are its log-odds, those of extra trees a probability.
        offset: What is added to the trees.
    """

    trees: tuple[Tree, ...]
    offset: float = 0.0


def check_installed(members: Sequence[str]) -> None:
    """Sees that the libraries of the members are there.

    Raises:
        ConfigError: One of them is not installed.
    """
    missing = [name for name in members if name in EXTRA and not _is_there(name)]
    if missing:
        raise ConfigError(
            "need libraries that are not installed",
            where="model.members",
            examples=missing,
            todo="pip install 'spanishgas[blend]', or do without: model.members=[xgboost,extra_trees]",
        )


def _is_there(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ValueError:  # it was kept from being imported
        return False


def grow(member: str, train: Sample, later: Sample | None, growth: Growth) -> Grown:
    """Fits one member.

    Args:
        member: Its name.
        train: Rows to learn from.
        later: Rows that tell when to stop; None takes all rounds. Extra trees do not stop early.
        growth: How.
    """
    return GROWERS[member](train, later, growth)


def _xgboost(train: Sample, later: Sample | None, growth: Growth) -> Grown:
    import xgboost

    parameters = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": growth.max_depth,
        "learning_rate": growth.learning_rate,
        "min_child_weight": growth.min_child_weight,
        "subsample": growth.subsample,
        "colsample_bytree": growth.colsample,
        "lambda": growth.l2,
        "monotone_constraints": growth.signs,
        "seed": growth.seed,
        "nthread": growth.threads,
    }
    rows = xgboost.DMatrix(train.rows, train.outcome, weight=train.weight)
    stop: dict[str, Any] = {}
    if later is not None:
        held = xgboost.DMatrix(later.rows, later.outcome, weight=later.weight)
        stop = {"evals": [(held, "later")], "early_stopping_rounds": growth.stop_after, "verbose_eval": False}
    booster = xgboost.train(parameters, rows, growth.rounds, **stop)
    if later is not None:
        booster = booster[: booster.best_iteration + 1]
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    start = float(np.ravel(json.loads(learner["learner_model_param"]["base_score"]))[0])
    trees = learner["gradient_booster"]["model"]["trees"]
    return Grown(tuple(map(_of_xgboost, trees)), float(np.log(start / (1 - start))))


def _of_xgboost(told: Mapping[str, Any]) -> Tree:
    left = np.array(told["left_children"], np.int64)
    condition = np.array(told["split_conditions"], np.float32)
    return Tree(
        left=left,
        right=np.array(told["right_children"], np.int64),
        feature=np.array(told["split_indices"], np.int64),
        threshold=condition,
        missing_left=np.array(told["default_left"], np.bool_),
        value=np.where(left == NO_CHILD, condition.astype(np.float64), 0.0),
        weight=np.array(told["sum_hessian"], np.float64),
    )


def _lightgbm(train: Sample, later: Sample | None, growth: Growth) -> Grown:
    import lightgbm

    parameters = {
        "objective": "binary",
        "metric": "binary_logloss",
        # Leaves are split where most is gained, whatever the depth: half as many as a full tree of that depth has.
        "num_leaves": 2 ** max(growth.max_depth - 1, 1),
        "learning_rate": growth.learning_rate,
        "min_sum_hessian_in_leaf": growth.min_child_weight,
        "min_data_in_leaf": 1,
        "bagging_fraction": growth.subsample,
        "bagging_freq": 1,
        "feature_fraction": growth.colsample,
        "lambda_l2": growth.l2,
        "monotone_constraints": list(growth.signs),
        "feature_pre_filter": False,
        "deterministic": True,
        "force_col_wise": True,
        "seed": growth.seed,
        "num_threads": growth.threads,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(train.rows, train.outcome, weight=train.weight, params=parameters)
    stop: dict[str, Any] = {}
    if later is not None:
        stop = {
            "valid_sets": [lightgbm.Dataset(later.rows, later.outcome, weight=later.weight, reference=rows)],
            "callbacks": [lightgbm.early_stopping(growth.stop_after, verbose=False)],
        }
    booster = lightgbm.train(parameters, rows, growth.rounds, **stop)
    told = booster.dump_model(num_iteration=booster.best_iteration if later is not None else None)
    return Grown(tuple(_of_lightgbm(tree["tree_structure"]) for tree in told["tree_info"]))


def _of_lightgbm(root: Mapping[str, Any]) -> Tree:
    nodes = _by_level(root)
    place = {id(node): number for number, node in enumerate(nodes)}

    def each(split: Callable[[Mapping[str, Any]], Any], leaf: Any) -> list[Any]:
        return [split(node) if "left_child" in node else leaf for node in nodes]

    return Tree(
        left=np.array(each(lambda node: place[id(node["left_child"])], NO_CHILD), np.int64),
        right=np.array(each(lambda node: place[id(node["right_child"])], NO_CHILD), np.int64),
        feature=np.array(each(lambda node: node["split_feature"], 0), np.int64),
        threshold=not_above(each(lambda node: node["threshold"], 0.0)),
        # A feature that was never missing in training is taken for zero where it is.
        missing_left=np.array(
            each(lambda n: n["default_left"] if n["missing_type"] == "NaN" else n["threshold"] >= 0, False), np.bool_
        ),
        value=np.array([node.get("leaf_value", 0.0) for node in nodes], np.float64),
        weight=np.array([node.get("leaf_count", 0) for node in nodes], np.float64),
    )


def _by_level(root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Nodes with children side by side."""
    found = [root]
    for node in found:  # grows while it is gone through
        found += [node[side] for side in ("left_child", "right_child") if side in node]
    return found


def _catboost(train: Sample, later: Sample | None, growth: Growth) -> Grown:
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=growth.rounds,
        learning_rate=growth.learning_rate,
        depth=growth.max_depth,
        l2_leaf_reg=growth.l2,
        bootstrap_type="Bernoulli",
        subsample=growth.subsample,
        rsm=growth.colsample,
        boosting_type="Plain",
        monotone_constraints=list(growth.signs) if any(growth.signs) else None,
        random_seed=growth.seed,
        thread_count=growth.threads,
        allow_writing_files=False,
        verbose=False,
    )
    rows = catboost.Pool(train.rows, train.outcome, weight=train.weight)
    if later is None:
        model.fit(rows)
    else:
        held = catboost.Pool(later.rows, later.outcome, weight=later.weight)
        model.fit(rows, eval_set=held, early_stopping_rounds=growth.stop_after, use_best_model=True)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        model.save_model(str(file), format="json")
        told = json.loads(file.read_text(encoding="utf-8"))
    scale, start = told["scale_and_bias"]
    features = told["features_info"]["float_features"]
    right = [one["nan_value_treatment"] == "AsTrue" for one in features]
    places = [one["flat_feature_index"] for one in features]
    trees = [_of_catboost(tree, scale, places, right) for tree in told["oblivious_trees"]]
    return Grown(tuple(trees), float(np.ravel(start)[0]))


def _of_catboost(told: Mapping[str, Any], scale: float, places: Sequence[int], right: Sequence[bool]) -> Tree:
    """An oblivious tree, which asks one question per level, written out; the last question is the first of the way."""
    splits = (told["splits"] or [])[::-1]
    depth = len(splits)
    inner = 2**depth - 1
    nodes = np.arange(2 * inner + 1)
    is_inner = nodes < inner
    level = np.minimum(np.log2(nodes + 1).astype(np.int64), max(depth - 1, 0))
    # A leaf's number has a bit per split, that of the last question the highest.
    value = np.zeros(len(nodes))
    value[inner:] = scale * np.array(told["leaf_values"])
    weight = np.zeros(len(nodes))
    weight[inner:] = told["leaf_weights"]
    index = np.array([split["float_feature_index"] for split in splits] or [0], np.int64)
    border = not_above([split["border"] for split in splits] or [0.0])
    return Tree(
        left=np.where(is_inner, 2 * nodes + 1, NO_CHILD),
        right=np.where(is_inner, 2 * nodes + 2, NO_CHILD),
        feature=np.array(places, np.int64)[index][level],
        threshold=border[level],
        missing_left=~np.array(right, np.bool_)[index][level],
        value=value,
        weight=weight,
    )


def _extra_trees(train: Sample, later: Sample | None, growth: Growth) -> Grown:  # noqa: ARG001
    """Extremely randomised trees (Geurts et al., Machine Learning 63, 2006); the mean of their leaves' rates."""
    from sklearn.ensemble import ExtraTreesClassifier

    rate = float(np.average(train.outcome, weights=train.weight))
    # As many rows as have the least hessian where risks are average.
    rows = max(int(np.ceil(growth.min_child_weight / (rate * (1 - rate)))), 1)
    forest = ExtraTreesClassifier(
        growth.forest_trees,
        max_leaf_nodes=growth.forest_leaves,
        min_samples_leaf=min(rows, max(len(train.rows) // 4, 1)),
        random_state=growth.seed,
        n_jobs=growth.threads,
    )
    forest.fit(train.rows, train.outcome.astype(int), train.weight)
    return Grown(tuple(_of_forest(one.tree_, rate, growth.forest_trees) for one in forest.estimators_))


def _of_forest(tree: Any, rate: float, trees: int) -> Tree:
    left = np.asarray(tree.children_left, np.int64)
    weight = np.asarray(tree.weighted_n_node_samples, np.float64)
    # One row of average risk is added to each leaf: no leaf is certain.
    leaving = (tree.value[:, 0, -1] * weight + rate) / (weight + 1)
    return Tree(
        left=left,
        right=np.asarray(tree.children_right, np.int64),
        feature=np.maximum(np.asarray(tree.feature, np.int64), 0),
        threshold=not_above(tree.threshold),
        missing_left=np.asarray(tree.missing_go_to_left, np.bool_),
        value=np.where(left == NO_CHILD, leaving / trees, 0.0),
        weight=weight,
    )


GROWERS: dict[str, Callable[[Sample, Sample | None, Growth], Grown]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    FOREST: _extra_trees,
}
