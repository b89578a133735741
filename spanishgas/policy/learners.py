"""Other learners of what offers do: a doubly robust learner and a causal forest, of a kept library.

They take plain arrays and run on any randomised campaign: covariates, what was given, the outcome, and weights that are
inverse to the chance of it. What they find is a change of probability for every row. For a decision it becomes the same
plain coefficients as those of ``effects``, by a weighted least-squares line through it, so that nobody who decides or
serves needs the library; how much of what was found the line keeps is told.

Doubly robust learner: Kennedy, Towards optimal doubly robust estimation of heterogeneous causal effects, 2023. Causal
forest: Athey, Tibshirani and Wager, Generalized random forests, Annals of Statistics 47, 2019; both as in EconML.
"""

from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spanishgas.errors import ConfigError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Learner = Literal["dr_learner", "causal_forest"]
FOLDS = 3
TREES = 240
LEAST_LEAF = 30
# Of a probability that is hardly there no ratio can be told.
LEAST_RISK = 0.01
# Rows that a coefficient of the line is held to zero by.
HELD = 20.0


def check_installed(learner: str) -> None:
    """Sees that the library of a learner is there.

    Raises:
        ConfigError: It is not installed.
    """
    if learner != "posterior" and find_spec("econml") is None:
        raise ConfigError(
            f"{learner} needs a library that is not installed",
            where="policy.response.learned.learner",
            examples=["econml"],
            todo="pip install 'spanishgas[causal]', or do without: policy.response.learned.learner=posterior",
        )


def effects_by(
    learner: Learner,
    covariates: Floats,
    nuisance: Floats,
    given: Ints,
    outcome: Floats,
    weight: Floats,
    actions: int,
    *,
    seed: int = 0,
) -> Floats:
    """Change of the probability of the outcome that each action makes for each row.

    Args:
        learner: The doubly robust learner with a linear last stage, or the causal forest.
        covariates: What the effect may depend on, shape (rows, columns); one column at least.
        nuisance: What else the outcome may depend on, shape (rows, columns).
        given: Position of the action; -1 for none.
        outcome: 0 or 1.
        weight: Inverse to the chance of what was given, of mean one within an action.
        actions: How many actions there are; an action that was given to nobody changes nothing.
        seed: Seed of folds and trees.

    Returns:
        Shape (rows, actions).
    """
    found = np.zeros((len(given), actions))
    arms = [action for action in range(actions) if (given == action).any()]
    if not arms or not (given == -1).any():
        return found
    model = _model(learner, seed)
    model.fit(outcome, given + 1, X=covariates, W=nuisance, sample_weight=weight)
    for action in arms:
        found[:, action] = np.asarray(model.effect(covariates, T0=0, T1=action + 1)).ravel()
    return found


def line_through(ratio: Floats, prior: Floats, covariates: Floats, risk: Floats) -> tuple[Floats, Floats, float]:
    """A line through log hazard ratios: one step per action and one slope per covariate.

    Args:
        ratio: Log hazard ratios that were found, shape (rows, actions).
        prior: Those that are assumed, same shape; the line tells what is added to them.
        covariates: Shape (rows, columns).
        risk: Weight of each row.

    Returns:
        Steps of the actions, slopes of the covariates, and the share of the variance of what was found, beyond the
        actions' means, that the line keeps.
    """
    rows, actions = ratio.shape
    flags = np.kron(np.eye(actions), np.ones((rows, 1)))
    design = np.hstack([flags, np.tile(covariates, (actions, 1))])
    target, weight = (ratio - prior).T.ravel(), np.tile(risk / risk.mean(), actions)
    held = np.diag(np.r_[np.zeros(actions), np.full(covariates.shape[1], HELD)])
    square = (design * weight[:, None]).T @ design + held
    line = np.linalg.lstsq(square, design.T @ (weight * target), rcond=None)[0]
    mean = np.linalg.lstsq((flags * weight[:, None]).T @ flags, flags.T @ (weight * target), rcond=None)[0]
    left = weight @ (target - design @ line) ** 2
    whole = weight @ (target - flags @ mean) ** 2
    return line[:actions], line[actions:], float(1 - left / whole) if whole > 0 else 1.0


def _model(learner: Learner, seed: int) -> Any:
    from econml.dml import CausalForestDML
    from econml.dr import LinearDRLearner
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression

    # Whoever is weighed by the inverse of the chance was given each action alike: a plain model of it is enough.
    chance = LogisticRegression(C=0.1, max_iter=1000)
    forest: dict[str, Any] = {"n_estimators": 60, "min_samples_leaf": LEAST_LEAF, "random_state": seed, "n_jobs": 1}
    if learner == "dr_learner":
        regression = ExtraTreesRegressor(**forest)
        return LinearDRLearner(
            model_propensity=chance, model_regression=regression, min_propensity=0.02, cv=FOLDS, random_state=seed
        )
    return CausalForestDML(
        model_y=ExtraTreesClassifier(**forest),
        model_t=chance,
        discrete_outcome=True,
        discrete_treatment=True,
        n_estimators=TREES,
        min_samples_leaf=LEAST_LEAF,
        cv=FOLDS,
        random_state=seed,
        n_jobs=1,
    )
