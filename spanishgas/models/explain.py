"""Why a score is what it is: what each feature adds, for all customers and for one."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.models.encoding import Encoding
from spanishgas.models.hazard import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 20
# Columns named apart in `per_customer`.
REASONS = 3


def global_table(contributions: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Features by how far they move the log-odds.

    Args:
        contributions: Of ``HazardModel.contributions``.
        features: The rows that they belong to.

    Returns:
        ``feature``, ``mean_abs`` (mean absolute contribution, log-odds), ``direction`` (rank correlation of value and
        contribution: +1 where more of it always means more risk; NaN for words).
    """
    numbers = pd.DataFrame(Encoding.learn(features).numbers(features), columns=features.columns)
    words = Encoding.learn(features).words
    rows = [
        {
            "feature": name,
            "mean_abs": float(contributions[name].abs().mean()),
            "direction": float("nan") if name in words else _rank_correlation(numbers[name], contributions[name]),
        }
        for name in contributions.columns
    ]
    return pd.DataFrame(rows).sort_values(["mean_abs", "feature"], ascending=[False, True], ignore_index=True)


def _rank_correlation(values: "pd.Series[float]", added: "pd.Series[float]") -> float:
    known = values.notna().to_numpy()
    one, other = values[known].rank().to_numpy(), added.to_numpy()[known]
    ranks = pd.Series(other).rank().to_numpy()
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(ranks) == 0:
        return float("nan")
    return float(np.corrcoef(one, ranks)[0, 1])


def per_customer(keys: pd.DataFrame, risk: Floats, contributions: pd.DataFrame, reasons: int = REASONS) -> pd.DataFrame:
    """The features that raise and lower each customer's risk most.

    Returns:
        ``customer_id``, ``as_of``, ``risk``, and ``raises_<n>``, ``raises_<n>_by``, ``lowers_<n>``, ``lowers_<n>_by``
        (log-odds); null where fewer features raise or lower it.
    """
    values = contributions.to_numpy()
    names = np.asarray(contributions.columns, dtype=object)
    table = keys[["customer_id", "as_of"]].assign(risk=risk).reset_index(drop=True)
    count = min(reasons, len(names))
    rows = np.arange(len(values))[:, None]
    for word, sign in (("raises", 1.0), ("lowers", -1.0)):
        signed = sign * values
        best = np.argpartition(-signed, count - 1, axis=1)[:, :count]
        best = best[rows, np.argsort(-signed[rows, best], axis=1, kind="stable")]
        for place in range(count):
            added = values[rows[:, 0], best[:, place]]
            counts = sign * added > 0
            table[f"{word}_{place + 1}"] = np.where(counts, names[best[:, place]], np.array(None, dtype=object))
            table[f"{word}_{place + 1}_by"] = np.where(counts, added, np.nan)
    return table


def plot_summary(contributions: pd.DataFrame, base: Floats, features: pd.DataFrame) -> "Figure":
    """SHAP summary: one dot per customer and feature, coloured by the feature's value."""
    import shap
    from matplotlib import pyplot

    numbers = Encoding.learn(features).numbers(features)
    explanation = shap.Explanation(
        values=contributions.to_numpy(),
        base_values=base,
        data=numbers,
        feature_names=list(contributions.columns),
    )
    backend = pyplot.get_backend()
    pyplot.switch_backend("agg")
    try:
        pyplot.figure()
        # shap colours by quantiles, which a feature without any value has not.
        numbers[:, ~np.isfinite(numbers).any(axis=0)] = 0.0
        axes = shap.plots.beeswarm(explanation, max_display=SHOWN, show=False, plot_size=(9, 7))
        figure = axes.figure
        axes.set_xlabel("added to the log-odds of leaving in a window")
        pyplot.close(figure)
    finally:
        pyplot.switch_backend(backend)
    return figure  # type: ignore[no-any-return]


def plot_importance(table: pd.DataFrame, title: str) -> "Figure":
    """The strongest entries as bars."""
    from matplotlib.figure import Figure

    shown = table.head(SHOWN).iloc[::-1]
    name, value = shown.columns[:2]
    figure = Figure(figsize=(8, 0.3 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.barh(shown[name], shown[value], color=np.where(shown[value] >= 0, "#c44e52", "#4c72b0"))
    axes.axvline(0, color="grey", lw=0.8)
    axes.set_title(title)
    return figure
