"""A small world of features, outcomes per window and true hazards, for tests of models."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.models import MODELS, HazardModel
from spanishgas.models.hazard import Fold

ROWS = 6000
WINDOWS = ("0_30", "30_60", "60_90")
SMALL: dict[str, dict[str, Any]] = {"blend": {"rounds": 120, "learning_rate": 0.1, "forest_trees": 60}}


def world(rows: int = ROWS, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]:
    """Features, outcomes per window, true hazards and customers."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "price": rng.normal(size=rows),
            "tenure": rng.exponential(5, rows),
            "noise": rng.normal(size=rows),
            "channel": rng.choice(["web", "shop", "phone"], rows, p=[0.5, 0.3, 0.2]),
            "business": rng.uniform(size=rows) < 0.2,
            "empty": np.nan,
        }
    )
    frame.loc[rng.uniform(size=rows) < 0.1, "price"] = np.nan
    effect = 0.8 * frame["price"].fillna(0) - 0.12 * frame["tenure"] + 0.7 * (frame["channel"] == "phone")
    logit = effect.to_numpy()[:, None] + np.array([-2.8, -2.6, -3.0])[None, :]
    hazards = 1 / (1 + np.exp(-logit))
    windows = (rng.uniform(size=hazards.shape) < hazards).astype(float)
    gone = np.cumsum(windows, axis=1) - windows
    windows[gone > 0] = np.nan
    windows[rng.uniform(size=rows) < 0.05, 2] = np.nan
    return frame, windows, hazards, [f"C{number % (rows // 3)}" for number in range(rows)]


def small(name: str, **settings: object) -> HazardModel:
    """A model that is not fitted; a blend, of which the trees take longest, has few of them."""
    return MODELS[name](**{**SMALL.get(name, {}), **settings})


@cache
def fitted(name: str, **settings: object) -> tuple[HazardModel, pd.DataFrame]:
    """A fitted model, which nobody changes, and the features that it learned from; equal ones are fitted once."""
    return fit_again(name, **settings)


def fit_again(name: str, **settings: object) -> tuple[HazardModel, pd.DataFrame]:
    """The same, learned anew."""
    features, windows, _, _customers = world()
    later = world(seed=1)
    model = small(name, **settings)
    stopping, calibrating = Fold(later[0], later[1], None, later[3]).parts()
    return model.fit(features, windows, stopping=stopping, calibrating=calibrating), features


def training_table(rows: int = 3000, seed: int = 0) -> pd.DataFrame:
    """A training set in the contract's columns: two train dates, one valid, one test."""
    parts = []
    days = {"train": ["2024-04-30", "2024-05-31"], "valid": ["2024-10-31"], "test": ["2025-03-31"]}
    for split, split_days in days.items():
        for day in split_days:
            features, windows, _, customers = world(rows, seed + len(parts))
            known = np.isfinite(windows).all(axis=1) | (np.nansum(windows, axis=1) == 1)
            table = features.assign(
                customer_id=[f"{name}-{number // (rows // 3)}" for number, name in enumerate(customers)],
                as_of=pd.Timestamp(day).date(),
                split=split,
                left_horizon=np.where(known, (np.nansum(windows, axis=1) > 0).astype(float), np.nan),
                churn_reason=None,
                followup_days=90,
                censored_by=None,
                **{f"left_{name}": windows[:, number] for number, name in enumerate(WINDOWS)},
                **{
                    f"weight_{name}": np.where(np.isfinite(windows[:, number]), 1.0, np.nan)
                    for number, name in enumerate(WINDOWS)
                },
            )
            parts.append(table)
    return pd.concat(parts, ignore_index=True)
