"""Curves as figures: reliability, precision and recall, and the share of leavers reached."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.evaluation.metrics import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10
MIN_BINS = 2


def reliability_table(outcome: Floats, score: Floats, weight: Floats | None = None) -> pd.DataFrame:
    """Predicted and observed share per bin of equal mass.

    Args:
        outcome: 0 or 1 per row.
        score: Probability of 1 per row.
        weight: How much each row counts; None for all alike.

    Returns:
        Columns ``rows``, ``predicted``, ``observed`` and ``error`` (standard error of the observed share).
    """
    w = np.ones(len(outcome)) if weight is None else weight
    frame = pd.DataFrame({"score": score, "predicted": w * score, "observed": w * outcome, "w": w, "w2": w**2})
    count = max(min(BINS, frame["score"].nunique()), 1)
    mass = frame.groupby("score")["w"].sum()
    middle = frame["score"].map(mass.cumsum() - mass / 2)  # of those who share a score
    place = middle.mul(count).div(w.sum()).astype(int)
    table = frame.groupby(place)[["predicted", "observed", "w", "w2"]].sum()
    shares = table[["predicted", "observed"]].div(table["w"], axis=0)
    shares.insert(0, "rows", frame.groupby(place).size())
    shares["error"] = np.sqrt(shares["observed"] * (1 - shares["observed"]) * table["w2"] / table["w"] ** 2)
    return shares.reset_index(drop=True)


def plot_curves(outcome: Floats, scores: dict[str, Floats], weight: Floats | None = None) -> "Figure":
    """Reliability, precision-recall and cumulative gains of one or several scores.

    Args:
        outcome: 0 or 1 per row.
        scores: Name -> probability of 1 per row.
        weight: How much each row counts; None for all alike.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    reliability, tradeoff, gains = figure.subplots(1, 3)
    largest = 0.0
    w = np.ones(len(outcome)) if weight is None else weight
    for name, score in scores.items():
        table = reliability_table(outcome, score, w)
        largest = max(largest, float(table[["predicted", "observed"]].to_numpy().max()))
        reliability.errorbar(
            table["predicted"], table["observed"], yerr=2 * table["error"], marker="o", ms=4, label=name
        )
        precision, recall, _ = precision_recall_curve(outcome, score, sample_weight=w)
        tradeoff.plot(recall[:-1], precision[:-1], label=name)
        order = np.argsort(-score, kind="stable")
        reached = np.cumsum((w * outcome)[order]) / max(float(w @ outcome), 1.0)
        gains.plot(np.cumsum(w[order]) / w.sum(), reached, label=name)
    reliability.plot([0, largest], [0, largest], color="grey", lw=0.8)
    reliability.set(title="Reliability, bins of equal mass", xlabel="predicted", ylabel="observed")
    tradeoff.axhline(float(np.average(outcome, weights=w)), color="grey", lw=0.8)
    tradeoff.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    gains.plot([0, 1], [0, 1], color="grey", lw=0.8)
    gains.set(title="Leavers reached", xlabel="share of customers, highest scores first", ylabel="share of leavers")
    # Where curves leave room: reliability rises, precision falls, gains rise.
    for axes, place in ((reliability, "upper left"), (tradeoff, "upper right"), (gains, "lower right")):
        axes.legend(fontsize=8, loc=place)
    return figure
