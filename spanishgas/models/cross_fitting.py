"""Out-of-fold scores: every customer is scored by a model that has not seen them.

For sources with one snapshot, where there is no later month to judge on. Everything that is learned, settings, rounds
and calibration among it, is learned inside the fold: a search outside of it flatters (Varma and Simon, BMC
Bioinformatics 7, 2006).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spanishgas.config import ModelSettings, OutOfFoldSettings
from spanishgas.errors import ConfigError
from spanishgas.evaluation import measure
from spanishgas.models.fitting import fit_parts
from spanishgas.models.hazard import Floats, HazardModel, Ints, calibration_of
from spanishgas.models.rows import Rows
from spanishgas.models.tuning import search

INNER_FOLDS = 5


@dataclass(frozen=True)
class OutOfFold:
    """Scores of all rows, once per seed.

    Attributes:
        hazards: Shape (seeds, rows, windows).
        table: Figures per seed: ``seed``, ``roc_auc``, ``pr_auc``.
    """

    hazards: Floats
    table: pd.DataFrame


def out_of_fold(
    settings: ModelSettings,
    signs: Mapping[str, int],
    rows: Rows,
    told: pd.DataFrame,
    oof: OutOfFoldSettings,
    *,
    threads: int,
    progress: Callable[[str], None],
) -> OutOfFold:
    """Cross-fits over customers, stratified by the outcome.

    Args:
        settings: Model settings; searched inside each fold where ``oof.trials`` is not 0.
        signs: Feature -> sign of its effect.
        rows: Rows with the features to use.
        told: All features of the same rows, for ``oof.group_by``.
        oof: Folds, seeds, groups, trials.
        threads: Worker threads.
        progress: Told of each fold.

    Raises:
        ConfigError: A column to group by does not exist.
    """
    groups = _groups(rows, told, oof.group_by)
    known = np.isfinite(rows.outcome)
    hazards = np.full((oof.seeds, len(rows), len(rows.names)), np.nan)
    figures = []
    for seed in range(oof.seeds):
        folds = split_folds(np.where(known, rows.outcome, 0.0), groups, oof.folds, seed)
        for fold in range(oof.folds):
            progress(f"seed {seed + 1} of {oof.seeds}, fold {fold + 1} of {oof.folds}")
            inside, outside = rows.take(folds != fold), rows.take(folds == fold)
            model = _fit_inside(settings, signs, inside, groups[folds != fold], oof.trials, seed, threads=threads)
            hazards[seed, folds == fold] = model.predict_windows(outside.features)
        risk = 1 - np.prod(1 - hazards[seed], axis=1)
        found = measure(rows.outcome[known], risk[known], rows.weight[known][None])
        figures.append({"seed": seed, "roc_auc": float(found["roc_auc"][0]), "pr_auc": float(found["pr_auc"][0])})
    return OutOfFold(hazards, pd.DataFrame(figures))


def _fit_inside(
    settings: ModelSettings,
    signs: Mapping[str, int],
    rows: Rows,
    groups: Ints,
    trials: int,
    seed: int,
    *,
    threads: int,
) -> HazardModel:
    """Fits on all rows, with settings, rounds and calibration learned by cross-fitting among these rows.

    A search judges its trials on one inner fold. The settings found are then cross-fitted: the rounds are the mean of
    those that each inner fold stopped at, the calibration is that of the inner out-of-fold hazards.
    """
    inner = split_folds(rows.outcome, groups, INNER_FOLDS, seed)

    def fitted(tried: ModelSettings, fold: int) -> HazardModel:
        stopping = rows.take(inner == fold).fold
        return fit_parts(tried, signs, rows.take(inner != fold), stopping, threads=threads)

    if trials:
        settings = search(settings, lambda tried: fitted(tried, 0), rows.take(inner == 0), trials=trials).best
    hazards = np.full(rows.windows.shape, np.nan)
    trees = []
    for fold in range(INNER_FOLDS):
        model = fitted(settings, fold)
        hazards[inner == fold] = model.predict_windows(rows.features[inner == fold])
        trees.append(model.trees)
    mean = {name: int(np.mean([one[name] for one in trees])) for name in trees[0]}
    whole = fit_parts(settings, signs, rows, trees=mean, threads=threads)
    whole.calibration_ = calibration_of(hazards, rows.windows, rows.weights)
    return whole


def split_folds(outcome: Floats, groups: Ints, folds: int, seed: int) -> Ints:
    """Fold of each row: rows of one group share a fold, and the outcome is spread evenly."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = len(np.unique(groups)) == len(groups)
    splitter = (StratifiedKFold if alone else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    place = np.empty(len(outcome), np.int64)
    for fold, (_, chosen) in enumerate(splitter.split(np.zeros(len(outcome)), outcome, None if alone else groups)):
        place[chosen] = fold
    return place


def _groups(rows: Rows, told: pd.DataFrame, names: tuple[str, ...]) -> Ints:
    unknown = [name for name in names if name not in told.columns]
    if unknown:
        raise ConfigError("are no features", where="evaluation.oof.group_by", examples=unknown)
    if not names:
        return np.asarray(pd.factorize(rows.keys["customer_id"])[0], np.int64)
    values = told[list(names)].astype("string").fillna("").agg("|".join, axis=1)
    return np.asarray(pd.factorize(values)[0], np.int64)
