"""Metrics of probabilities against outcomes, for many weightings of the same rows at once.

A weighting is how often each row counts: ones for the plain figure, multiplicities for a bootstrap replicate. Rows are
sorted once and every weighting is a cumulative sum over that order. Tied scores share their place: rows within a tie
count in proportion, so that the order of rows cannot matter.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
METRICS: Final = (
    "pr_auc",
    "roc_auc",
    "recall_at_10",
    "precision_at_10",
    "lift_at_10",
    "brier",
    "log_loss",
    "ece",
    "calibration_slope",
    "observed_over_expected",
)
TOP_SHARE = 0.10
ECE_BINS = 10
CLIP = 1e-6
NEWTON_STEPS = 30
NEWTON_TOLERANCE = 1e-9


def measure(outcome: Floats, score: Floats, weights: Floats) -> dict[str, Floats]:
    """All metrics, one value per weighting.

    Args:
        outcome: 0 or 1, shape (rows,).
        score: Probabilities of 1, shape (rows,).
        weights: Non-negative, shape (weightings, rows).

    Returns:
        Metric name -> shape (weightings,). NaN where a metric is not defined: one class only, or no rows.
        ``pr_auc`` is average precision; ``ece`` the expected calibration error over ten bins of equal mass;
        ``calibration_slope`` that of a logistic regression of the outcome on the score's logit (Cox, Biometrika 45,
        1958); the ``_at_10`` metrics look at the tenth of the weight with the highest scores.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return {**_ranking(outcome, score, weights), **_calibration(outcome, score, weights)}


def _ranking(outcome: Floats, score: Floats, weights: Floats) -> dict[str, Floats]:
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    sorted_weights = weights[:, order]
    positives = np.cumsum(sorted_weights * outcome[order], axis=1)[:, ends]
    everybody = np.cumsum(sorted_weights, axis=1)[:, ends]
    zero = np.zeros((len(weights), 1))
    positives, everybody = np.hstack([zero, positives]), np.hstack([zero, everybody])
    total, count = positives[:, -1], everybody[:, -1]
    precision = np.divide(positives, everybody, out=np.zeros_like(positives), where=everybody > 0)
    pr_auc = (np.diff(positives, axis=1) * precision[:, 1:]).sum(axis=1) / total
    negatives = everybody - positives
    area = (np.diff(negatives, axis=1) * (positives[:, 1:] + positives[:, :-1]) / 2).sum(axis=1)
    roc_auc = area / (total * negatives[:, -1])
    top = TOP_SHARE * count
    found = np.array([np.interp(limit, x, y) for limit, x, y in zip(top, everybody, positives, strict=True)])
    recall, precise = found / total, found / top
    one_class = (total == 0) | (total == count)
    undefined = np.where(one_class, np.nan, 1.0)
    return {
        "pr_auc": pr_auc * undefined,
        "roc_auc": roc_auc * undefined,
        "recall_at_10": recall * undefined,
        "precision_at_10": precise * undefined,
        "lift_at_10": precise / (total / count) * undefined,
    }


def _calibration(outcome: Floats, score: Floats, weights: Floats) -> dict[str, Floats]:
    total = weights.sum(axis=1)
    safe = np.clip(score, CLIP, 1 - CLIP)
    losses = -(outcome * np.log(safe) + (1 - outcome) * np.log(1 - safe))
    order = np.argsort(score, kind="stable")
    bins = np.empty(len(score), np.int64)
    bins[order] = np.arange(len(score)) * ECE_BINS // max(len(score), 1)
    # Rows with one score are in one bin, that of the first of them.
    _, first, inverse = np.unique(score, return_index=True, return_inverse=True)
    bins = np.minimum.reduceat(bins[order], np.searchsorted(score[order], score[first]))[inverse]
    gaps = weights * (outcome - score)[None, :]
    ece = sum(np.abs(gaps[:, bins == place].sum(axis=1)) for place in range(ECE_BINS)) / total
    logit = np.log(safe / (1 - safe))
    return {
        "brier": weights @ ((outcome - score) ** 2) / total,
        "log_loss": weights @ losses / total,
        "ece": np.asarray(ece, np.float64),
        "calibration_slope": _slopes(outcome, logit, weights),
        "observed_over_expected": (weights @ outcome) / (weights @ score),
    }


def _slopes(outcome: Floats, logit: Floats, weights: Floats) -> Floats:
    """Slope of each weighting; each begins where the one before ended, which saves half of the steps."""
    found, start = np.empty(len(weights)), None
    for place, row in enumerate(weights):
        line = calibration_line(outcome, logit, row, start)
        found[place] = line[1]
        start = line if np.isfinite(line[1]) else None
    return found


def calibration_line(
    outcome: Floats, logit: Floats, weight: Floats, start: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Intercept and slope of a logistic regression of the outcome on one variable, by Newton's method.

    Args:
        outcome: 0 or 1.
        logit: The variable.
        weight: Non-negative.
        start: Intercept and slope to begin with; None begins with no slope.

    Returns:
        NaN for both where they do not exist: one class, or a constant variable.
    """
    used = weight > 0
    y, x, w = outcome[used], logit[used], weight[used]
    if not len(y) or y.min() == y.max() or x.min() == x.max():
        return float("nan"), float("nan")
    total = w.sum()
    centre = float((w * x).sum() / total)
    z = x - centre
    scale = float(np.sqrt((w * z * z).sum() / total)) or 1.0
    z /= scale
    share = float((w * y).sum() / total)
    level, slope = np.log(share / (1 - share)), 0.0
    if start is not None:
        level, slope = start[0] + start[1] * centre, start[1] * scale
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(level + slope * z)))
        residual, curve = w * (y - p), w * p * (1 - p)
        by_level, by_slope = residual.sum(), (residual * z).sum()
        of_z = curve * z
        first, cross, second = curve.sum(), of_z.sum(), (of_z * z).sum()
        determinant = first * second - cross * cross
        if abs(determinant) < 1e-12:
            return float("nan"), float("nan")
        step = (
            (by_level * second - by_slope * cross) / determinant,
            (by_slope * first - by_level * cross) / determinant,
        )
        level, slope = level + np.clip(step[0], -2.0, 2.0), slope + np.clip(step[1], -2.0, 2.0)
        if max(abs(step[0]), abs(step[1])) < NEWTON_TOLERANCE:
            break
    slope /= scale
    return float(level - slope * centre), float(slope)
