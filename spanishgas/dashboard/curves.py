"""Curves of compared models, drawn from published scores and the outcomes of the frozen rows."""

import numpy as np
import pandas as pd
import streamlit as st

from spanishgas.dashboard.data import TRAINING, Published
from spanishgas.engine.store import Manifest
from spanishgas.evaluation.curves import reliability_table

KEY = ["customer_id", "as_of"]
POINTS = 200


def scored_rows(published: Published, contest: Manifest) -> pd.DataFrame | None:
    """Scores of every contender beside what happened; None where the training set is no longer the one compared on.

    Returns:
        Columns ``contender``, ``risk`` and ``left`` (0 or 1).
    """
    training = published.find(TRAINING)
    if training is None or contest.inputs.get("training_set") != training.content_hash:
        return None
    return _joined(contest.content_hash, training.content_hash, published, contest, training)


@st.cache_data(max_entries=4, show_spinner=False)
def _joined(
    contest_hash: str, training_hash: str, _published: Published, _contest: Manifest, _training: Manifest
) -> pd.DataFrame:
    scores = _published.table(_contest, "promotion_scores", [*KEY, "contender", "risk"])
    outcomes = _published.table(_training, "churn_training_dataset", [*KEY, "split", "left_horizon"])
    known = outcomes[(outcomes["split"] == "test") & outcomes["left_horizon"].notna()]
    rows = scores.merge(known[[*KEY, "left_horizon"]], on=KEY, validate="many_to_one")
    rows["left"] = rows["left_horizon"].astype("float64")
    return rows[["contender", "risk", "left"]]


def reliability(rows: pd.DataFrame) -> pd.DataFrame:
    """Predicted and observed share per bin of equal mass, with two standard errors; a row per contender and bin."""
    parts = []
    for name, part in rows.groupby("contender"):
        table = reliability_table(part["left"].to_numpy(np.float64), part["risk"].to_numpy(np.float64))
        table["lo"] = (table["observed"] - 2 * table["error"]).clip(lower=0)
        table["hi"] = table["observed"] + 2 * table["error"]
        parts.append(table.assign(contender=name))
    return pd.concat(parts, ignore_index=True)


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of leavers among the riskiest, by share of customers: columns ``contender``, ``customers``, ``leavers``."""
    parts = []
    for name, part in rows.groupby("contender"):
        left = part["left"].to_numpy(np.float64)[np.argsort(-part["risk"].to_numpy(np.float64), kind="stable")]
        reached = np.append(0.0, np.cumsum(left) / max(left.sum(), 1.0))
        share = np.arange(len(left) + 1) / max(len(left), 1)
        at = np.linspace(0, 1, POINTS + 1)
        parts.append(pd.DataFrame({"contender": name, "customers": at, "leavers": np.interp(at, share, reached)}))
    return pd.concat(parts, ignore_index=True)
