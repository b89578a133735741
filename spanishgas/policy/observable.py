"""What features could tell of the truth at best: the ground truth itself, regressed on what is known of customers.

No policy sees moods and habits that nobody records. Between our policy and the oracle this draws the line of what a
better model, or more campaigns to learn from, could still bring.
"""

import numpy as np
import pandas as pd

from spanishgas.policy.economics import Floats, Response

FOLDS = 3
TREES = 60
LEAF = 5
CHANCE = (0.01, 0.99)


def numeric(features: pd.DataFrame) -> pd.DataFrame:
    """Features as numbers: words by their place in the alphabet, which trees can cut; gaps stay."""
    found = {}
    for name in features.columns.drop(["customer_id", "as_of"], errors="ignore"):
        values = features[name]
        if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
            found[name] = values.astype("float64")
        elif pd.api.types.is_datetime64_any_dtype(values.dtype):
            found[name] = values.astype("int64").astype("float64")
        else:
            codes = values.astype("string").astype("category").cat.codes.astype("float64")
            found[name] = codes.where(codes >= 0)
    return pd.DataFrame(found, index=features.index)


def regressed(known: pd.DataFrame, wanted: Floats, *, seed: int) -> Floats:
    """Predictions of every column for every row, by trees that have not seen the row.

    Args:
        known: What may be known, shape (rows, features).
        wanted: What is to be told, shape (rows, columns).
        seed: Seed of folds and trees.
    """
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.model_selection import KFold

    centre, scale = wanted.mean(axis=0), wanted.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    told = np.empty_like(wanted)
    for seen, unseen in KFold(FOLDS, shuffle=True, random_state=seed).split(wanted):
        trees = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, max_features=0.3, random_state=seed, n_jobs=-1).fit(
            known.iloc[seen], (wanted[seen] - centre) / scale
        )
        told[unseen] = trees.predict(known.iloc[unseen]).reshape(len(unseen), -1) * scale + centre
    return told


def observable(
    known: pd.DataFrame, hazards: Floats, margin: Floats, bill: Floats, response: Response, *, seed: int
) -> tuple[Floats, Floats, Floats, Response]:
    """Window hazards, margin, bill and response as far as features tell.

    Args:
        known: What may be known of the customers, shape (customers, features).
        hazards: Their true monthly hazards.
        margin: Their true margin of each month in EUR.
        bill: Their true bill of each month in EUR.
        response: Their true response.
        seed: Seed of folds and trees.

    Returns:
        Hazards of the windows, shape (customers, windows), margin and bill, shape (customers,), and the response, whose
        ratios are the mean over those who accept and those who do not, as campaigns tell it.
    """
    count, *shape = response.acceptance.shape
    windows = shape[1]
    parts = [
        np.log(np.clip(hazards[:, :windows], 1e-6, 1.0)),
        margin.mean(axis=1)[:, None],
        bill.mean(axis=1)[:, None],
        response.acceptance.reshape(count, -1),
        np.log(response.mean_ratio.reshape(count, -1)),
    ]
    told = regressed(known, np.hstack(parts), seed=seed)
    ends = np.cumsum([part.shape[1] for part in parts])
    log_hazards, margins, bills, acceptance, log_ratio = np.split(told, ends[:-1], axis=1)
    risk = np.exp(log_hazards)
    # The mean of a logarithm is below the logarithm of the mean: the level is put right.
    risk *= hazards[:, :windows].mean(axis=0) / risk.mean(axis=0)
    both = np.exp(log_ratio).reshape(count, *shape)
    chance = np.clip(acceptance, *CHANCE).reshape(count, *shape)
    return np.clip(risk, 0.0, 1.0), margins[:, 0], bills[:, 0], Response(chance, both, both)
