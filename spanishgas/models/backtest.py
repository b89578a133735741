"""Rolling origins: how stable quality, calibration and the features that matter are over time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.config import AnyModelSettings, EvaluationSettings
from spanishgas.errors import ContractError
from spanishgas.evaluation import assess
from spanishgas.models.explain import global_table
from spanishgas.models.files import scores
from spanishgas.models.fitting import choose_features, fit
from spanishgas.models.judging import scored
from spanishgas.models.refit import learn_again
from spanishgas.models.report import markdown
from spanishgas.models.rows import Rows
from spanishgas.models.training_run import Known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A quarter of the customers tells when to stop, on the newest dates only.
HELD_OUT = 4
RECENT_DATES = 6
EXPLAINED = 2000
TOP = 10
FIGURES = ("pr_auc", "roc_auc", "recall_at_10", "calibration_slope", "observed_over_expected")


@dataclass(frozen=True)
class Backtest:
    """A backtest.

    Attributes:
        metrics: ``origin``, ``metric``, ``value``, ``lo``, ``hi``.
        features: ``origin``, ``feature``, ``mean_abs``, ``rank``.
        summary: Figures for the run.
        report: Markdown.
        figures: Name -> figure.
        headline: One line for the terminal.
    """

    metrics: pd.DataFrame
    features: pd.DataFrame
    summary: Mapping[str, float]
    report: str
    figures: Mapping[str, "Figure"]
    headline: str


def backtest(
    origins: Iterable[tuple[date, pd.DataFrame]],
    settings: AnyModelSettings,
    evaluation: EvaluationSettings,
    known: Known,
    *,
    calibrated_months: int,
    threads: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Trains at each origin on what was mature then and judges on the customers of that day.

    Args:
        origins: Origin and its rows: ``split`` is ``train`` or ``test``.
        settings: Model settings.
        evaluation: How to judge.
        known: What is known of the features beforehand.
        calibrated_months: Newest months that the refit is calibrated on.
        threads: Worker threads.
        progress: Told of each origin.

    Raises:
        ContractError: There is no origin.
    """
    told, used = [], []
    for origin, table in origins:
        progress(f"origin {origin}")
        whole = Rows.of(table)
        names = choose_features(list(whole.features.columns), settings, known.trending, is_temporal=known.is_temporal)
        rows = whole.with_features(names)
        learned, test = rows.of_split("train").followed, rows.of_split("test")
        # What becomes champion: a fit that tells when to stop, and the refit on all that is known at the origin.
        judged = fit(settings, known.signs, *_parts(learned), threads=threads)
        model, _ = learn_again(judged, learned, calibrated_months, threads=threads)
        found = assess(
            scored(test, scores(model.predict_windows(test.features), rows.names)), replicates=evaluation.replicates
        )
        told += [
            {"origin": origin, "metric": name, "value": one.value, "lo": one.lo, "hi": one.hi}
            for name, one in found.items()
        ]
        alike = test.alike
        sample = alike.take(np.arange(len(alike)) % max(len(alike) // EXPLAINED, 1) == 0)
        contributions, _ = model.contributions(sample.features)
        ranked = global_table(contributions, sample.features)
        used.append(ranked[["feature", "mean_abs"]].assign(origin=origin, rank=np.arange(1, len(ranked) + 1)))
    if not told:
        raise ContractError("there is no origin", where="backtest")
    metrics = pd.DataFrame(told)
    features = pd.concat(used, ignore_index=True)[["origin", "feature", "mean_abs", "rank"]]
    summary = _summary(metrics, features)
    figures = {"over_time": plot_over_time(metrics), "features": plot_features(features)}
    return Backtest(
        metrics,
        features,
        summary,
        _render(settings.kind, metrics, features, summary),
        figures,
        f"{metrics['origin'].nunique()} origins: PR-AUC {summary['backtest_pr_auc_min']:.3f} to "
        f"{summary['backtest_pr_auc_max']:.3f}, observed/expected "
        f"{summary['backtest_observed_over_expected_min']:.2f} to {summary['backtest_observed_over_expected_max']:.2f}",
    )


def _parts(rows: Rows) -> tuple[Rows, Rows]:
    """Rows to learn from, and those of other customers that tell when to stop."""
    customers = rows.keys["customer_id"].to_numpy(dtype=object)
    held = pd.util.hash_array(customers, hash_key="backtest-origins") % HELD_OUT == 0
    days = rows.keys["as_of"]
    recent = days.isin(sorted(days.unique())[-RECENT_DATES:]).to_numpy()
    return rows.take(~held), rows.take(held & recent)


def _summary(metrics: pd.DataFrame, features: pd.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {"origins": float(metrics["origin"].nunique())}
    for name in FIGURES:
        values = metrics.loc[metrics["metric"] == name].set_index("origin")["value"]
        found |= {
            f"backtest_{name}_mean": float(values.mean()),
            f"backtest_{name}_min": float(values.min()),
            f"backtest_{name}_max": float(values.max()),
            f"backtest_{name}_sd": float(values.std(ddof=0)),
        }
        found |= {f"backtest_{name}.{origin}": float(value) for origin, value in values.items()}
    kept = _overlap(features)
    if len(kept):
        found["backtest_top_features_kept"] = float(np.mean(kept))
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _overlap(features: pd.DataFrame) -> list[float]:
    """Share of the top features that are still top at the next origin."""
    tops = [set(group.nsmallest(TOP, "rank")["feature"]) for _, group in features.groupby("origin", sort=True)]
    return [len(one & other) / TOP for one, other in pairwise(tops)]


def plot_over_time(metrics: pd.DataFrame) -> "Figure":
    """Metrics by origin, with their intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(FIGURES), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(FIGURES)), FIGURES, strict=True):
        rows = metrics[metrics["metric"] == name]
        days = pd.to_datetime(rows["origin"])
        axes.plot(days, rows["value"], marker="o", ms=4)
        axes.fill_between(days, rows["lo"], rows["hi"], alpha=0.2)
        if name in ("calibration_slope", "observed_over_expected"):
            axes.axhline(1.0, color="grey", lw=0.8)
        axes.set_title(name)
        axes.tick_params(axis="x", rotation=60, labelsize=8)
    return figure


def plot_features(features: pd.DataFrame) -> "Figure":
    """Rank of the features that matter most, by origin."""
    from matplotlib.figure import Figure

    best = features.groupby("feature")["mean_abs"].mean().nlargest(TOP).index
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in best:
        rows = features[features["feature"] == name].sort_values("origin")
        axes.plot(pd.to_datetime(rows["origin"]), rows["rank"], marker="o", ms=4, label=name)
    axes.invert_yaxis()
    axes.set(title="Rank of the strongest features", ylabel="rank by mean absolute contribution")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _render(kind: str, metrics: pd.DataFrame, features: pd.DataFrame, summary: Mapping[str, float]) -> str:
    wide = metrics[metrics["metric"].isin(FIGURES)].copy()
    wide["told"] = [
        f"{row['value']:.3f} ({row['lo']:.3f} to {row['hi']:.3f})" if np.isfinite(row["value"]) else "not defined"
        for row in wide.to_dict("records")
    ]
    table = wide.pivot_table(index="origin", columns="metric", values="told", aggfunc="first")[list(FIGURES)]
    tops = [
        {"origin": origin, "strongest features": ", ".join(group.nsmallest(5, "rank")["feature"])}
        for origin, group in features.groupby("origin", sort=True)
    ]
    lines = [
        f"# Backtest of `{kind}`",
        "",
        "At each origin a model learns, as a champion's refit does, from all months whose outcomes were registered by "
        "then, and scores the customers of that day; 95 % intervals over customers.",
        "",
        markdown(table.reset_index()),
        "",
        "## What matters",
        "",
    ]
    if "backtest_top_features_kept" in summary:
        lines += [
            f"{summary['backtest_top_features_kept']:.0%} of the ten strongest features are among the ten strongest of "
            "the next origin as well.",
            "",
        ]
    lines += [markdown(pd.DataFrame(tops)), ""]
    return "\n".join(lines)
