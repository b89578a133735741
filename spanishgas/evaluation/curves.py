"""Curves as figures: reliability, precision and recall, and the share of leavers reached."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.evaluation.metrics import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10
MIN_BINS = 2


def reliability_table(outcome: Floats, score: Floats) -> pd.DataFrame:
    """Predicted and observed share per bin of equal mass.

    Returns:
        Columns ``rows``, ``predicted``, ``observed`` and ``error`` (standard error of the observed share).
    """
    frame = pd.DataFrame({"score": score, "outcome": outcome})
    count = max(min(BINS, frame["score"].nunique()), 1)
    place = frame["score"].rank(method="average").sub(0.5).mul(count).div(len(frame)).astype(int)
    table = frame.groupby(place).agg(
        rows=("outcome", "size"), predicted=("score", "mean"), observed=("outcome", "mean")
    )
    table["error"] = np.sqrt(table["observed"] * (1 - table["observed"]) / table["rows"])
    return table.reset_index(drop=True)


def plot_curves(outcome: Floats, scores: dict[str, Floats]) -> "Figure":
    """Reliability, precision-recall and cumulative gains of one or several scores.

    Args:
        outcome: 0 or 1 per row.
        scores: Name -> probability of 1 per row.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    reliability, tradeoff, gains = figure.subplots(1, 3)
    largest = 0.0
    for name, score in scores.items():
        table = reliability_table(outcome, score)
        largest = max(largest, float(table[["predicted", "observed"]].to_numpy().max()))
        reliability.errorbar(
            table["predicted"], table["observed"], yerr=2 * table["error"], marker="o", ms=4, label=name
        )
        precision, recall, _ = precision_recall_curve(outcome, score)
        tradeoff.plot(recall[:-1], precision[:-1], label=name)
        order = np.argsort(-score, kind="stable")
        reached = np.cumsum(outcome[order]) / max(outcome.sum(), 1)
        gains.plot(np.arange(1, len(order) + 1) / len(order), reached, label=name)
    reliability.plot([0, largest], [0, largest], color="grey", lw=0.8)
    reliability.set(title="Reliability, bins of equal mass", xlabel="predicted", ylabel="observed")
    tradeoff.axhline(float(np.mean(outcome)), color="grey", lw=0.8)
    tradeoff.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    gains.plot([0, 1], [0, 1], color="grey", lw=0.8)
    gains.set(title="Leavers reached", xlabel="share of customers, highest scores first", ylabel="share of leavers")
    # Where curves leave room: reliability rises, precision falls, gains rise.
    for axes, place in ((reliability, "upper left"), (tradeoff, "upper right"), (gains, "lower right")):
        axes.legend(fontsize=8, loc=place)
    return figure
