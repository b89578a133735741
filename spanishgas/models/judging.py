"""A fitted model on rows it has not learned from: figures under the names of runs, tables, curves, a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from spanishgas.evaluation import Comparison, Interval, Scored, assess, by_group, by_window, compare, named
from spanishgas.evaluation.curves import plot_curves
from spanishgas.models.hazard import Floats
from spanishgas.models.rows import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Calibration is lost severely when the slope leaves this range, or equal-mass ECE grows, beyond noise, by more than
# this share of the base rate.
SLOPE_RANGE = (0.7, 1.4)
ECE_SHARE = 0.1
COMPARED = ("pr_auc", "recall_at_10", "roc_auc", "log_loss", "ece", "calibration_slope", "observed_over_expected")


@dataclass(frozen=True)
class Judgement:
    """How a model did on one split.

    Attributes:
        split: Name of the split.
        figures: Metric -> value with interval.
        windows: Calibration and ranking per window.
        groups: The same by feature values and by month.
        curves: Reliability, precision-recall, gains.
    """

    split: str
    figures: Mapping[str, Interval]
    windows: pd.DataFrame
    groups: pd.DataFrame
    curves: "Figure"

    @property
    def metrics(self) -> dict[str, float]:
        """Figures under the names of runs, the windows' calibration among them."""
        found = named(self.split, self.figures)
        for row in self.windows.to_dict("records"):
            if row["window"] in ("horizon",):
                continue
            for name in ("observed_over_expected", "calibration_slope", "ece"):
                if np.isfinite(row[name]):
                    found[f"{self.split}_{name}_{row['window']}"] = float(row[name])
        return found


def scored(rows: Rows, scores: pd.DataFrame) -> Scored:
    """Scores beside what happened.

    Args:
        rows: Rows of a training set.
        scores: ``risk`` and ``hazard_<window>`` of the same rows, in the same order.
    """
    return Scored(
        rows.keys["customer_id"].to_numpy(dtype=object),
        rows.keys["as_of"].to_numpy(dtype=object),
        scores["risk"].to_numpy(np.float64),
        rows.outcome,
        rows.weight,
        {
            name: (scores[f"hazard_{name}"].to_numpy(np.float64), rows.windows[:, place], rows.weights[:, place])
            for place, name in enumerate(rows.names)
            if len(rows.names) > 1
        },
    )


def judge(
    split: str, found: Scored, groups: Mapping[str, Sequence[object]], *, replicates: int, label: str
) -> Judgement:
    """All figures of one split.

    Args:
        split: Its name.
        found: Scores beside what happened.
        groups: Feature -> value of each row.
        replicates: Bootstrap replicates.
        label: The model's name in the curves.
    """
    known = found.known
    return Judgement(
        split,
        assess(found, replicates=replicates),
        by_window(found, replicates=replicates),
        by_group(found, groups, replicates=replicates),
        plot_curves(found.outcome[known], {label: found.risk[known]}, found.weight[known]),
    )


@dataclass(frozen=True)
class Versus:
    """A candidate against the baseline on the same rows.

    Attributes:
        differences: Metric -> candidate minus baseline, by a paired bootstrap over customers.
        outcome: ``better``, ``not better``, or ``better but badly calibrated``.
        sentence: The verdict in words.
        curves: Both in one figure.
    """

    differences: Mapping[str, Comparison]
    outcome: Literal["better", "not better", "better but badly calibrated"]
    sentence: str
    curves: "Figure"


def versus(found: Scored, baseline_risk: Floats, *, names: tuple[str, str], replicates: int, seed: int = 0) -> Versus:
    """Compares a candidate with the baseline and says whether it outperforms without severe loss of calibration.

    Args:
        found: The candidate's scores.
        baseline_risk: The baseline's scores of the same rows.
        names: Baseline, candidate.
        replicates: Bootstrap replicates.
        seed: Their seed.
    """
    known = found.known
    outcome = found.outcome[known]
    differences = compare(
        outcome,
        baseline_risk[known],
        found.risk[known],
        found.customers[known],
        weight=found.weight[known],
        replicates=replicates,
        seed=seed,
    )
    gains = [name for name in ("pr_auc", "recall_at_10") if differences[name].lo > 0]
    slope, ece = differences["calibration_slope"].second, differences["ece"]
    base = float(np.average(outcome, weights=found.weight[known]))
    losses = []
    if not SLOPE_RANGE[0] <= slope <= SLOPE_RANGE[1]:
        losses.append(f"its calibration slope of {slope:.2f} lies outside {SLOPE_RANGE[0]} to {SLOPE_RANGE[1]}")
    if ece.lo > 0 and ece.difference > ECE_SHARE * base:
        losses.append(f"its ECE grows by {ece.difference:.4f}, more than a tenth of the base rate {base:.4f}")
    told = ", ".join(
        f"{_words(name)} {differences[name].second:.4f} against {differences[name].first:.4f} "
        f"({differences[name].difference:+.4f}, 95 %: {differences[name].lo:+.4f} to {differences[name].hi:+.4f})"
        for name in ("pr_auc", "recall_at_10")
    )
    baseline, candidate = names
    if not gains:
        verdict = f"{candidate} does **not** outperform {baseline} beyond noise: {told}."
        result: Literal["better", "not better", "better but badly calibrated"] = "not better"
    elif losses:
        verdict = f"{candidate} ranks better than {baseline}, but **loses calibration**: {'; '.join(losses)}. {told}."
        result = "better but badly calibrated"
    else:
        beyond = " and ".join(_words(name) for name in gains)
        verdict = (
            f"{candidate} **outperforms** {baseline} on {beyond} beyond noise, without severe loss of calibration: "
            f"{told}; calibration slope {slope:.2f}, ECE {ece.second:.4f} against {ece.first:.4f}."
        )
        result = "better"
    both = {baseline: baseline_risk[known], candidate: found.risk[known]}
    return Versus(differences, result, verdict, plot_curves(outcome, both, found.weight[known]))


def _words(metric: str) -> str:
    return {"pr_auc": "PR-AUC", "recall_at_10": "recall at 10 %"}[metric]
