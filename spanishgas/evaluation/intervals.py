"""Intervals by a bootstrap over customers, and paired comparisons of two scores.

A customer's rows at several dates are no independent observations: replicates draw customers with replacement and take
all of their rows (cluster bootstrap: Davison and Hinkley, 1997, section 3.8). Intervals are percentiles.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.errors import ContractError
from spanishgas.evaluation.metrics import METRICS, Floats, measure

REPLICATES = 200
CONFIDENCE = 0.95
# Weightings computed at a time; bounds memory at about this many times the rows.
BATCH = 50


class Interval(NamedTuple):
    """A figure with its interval."""

    value: float
    lo: float
    hi: float


class Comparison(NamedTuple):
    """One score against another on the same rows, second minus first."""

    first: float
    second: float
    difference: float
    lo: float
    hi: float

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.lo > 0 or self.hi < 0


def evaluate(
    outcome: Sequence[float] | Floats,
    score: Sequence[float] | Floats,
    customers: Sequence[object] | npt.NDArray[np.object_] | None = None,
    *,
    weight: Sequence[float] | Floats | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Interval]:
    """All metrics of one score.

    Args:
        outcome: 0 or 1 per row.
        score: Probability of 1 per row.
        customers: Whom each row belongs to; None takes every row for a customer of its own.
        weight: How much each row counts; None counts every row once.
        replicates: Bootstrap replicates; 0 gives NaN intervals.
        seed: Seed of the replicates.

    Raises:
        ContractError: Rows do not match, an outcome is not 0 or 1, or a score is no probability.
    """
    y, (p,), w, draws = _prepare(outcome, [score], customers, weight, replicates, seed)
    plain = measure(y, p, w[None, :])
    replicated = _replicated(y, p, w, draws)
    return {name: Interval(float(plain[name][0]), *_bounds(replicated[name])) for name in METRICS}


def compare(
    outcome: Sequence[float] | Floats,
    first: Sequence[float] | Floats,
    second: Sequence[float] | Floats,
    customers: Sequence[object] | npt.NDArray[np.object_] | None = None,
    *,
    weight: Sequence[float] | Floats | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Differences of all metrics, second minus first, on the same replicates; see ``evaluate`` for the arguments."""
    y, (one, other), w, draws = _prepare(outcome, [first, second], customers, weight, replicates, seed)
    plain_one, plain_other = measure(y, one, w[None, :]), measure(y, other, w[None, :])
    drawn_one, drawn_other = _replicated(y, one, w, draws), _replicated(y, other, w, draws)
    result = {}
    for name in METRICS:
        a, b = float(plain_one[name][0]), float(plain_other[name][0])
        result[name] = Comparison(a, b, b - a, *_bounds(drawn_other[name] - drawn_one[name]))
    return result


def _prepare(
    outcome: Sequence[float] | Floats,
    scores: Sequence[Sequence[float] | Floats],
    customers: Sequence[object] | npt.NDArray[np.object_] | None,
    weight: Sequence[float] | Floats | None,
    replicates: int,
    seed: int,
) -> tuple[Floats, list[Floats], Floats, npt.NDArray[np.int64]]:
    y = np.asarray(outcome, np.float64)
    found = [np.asarray(score, np.float64) for score in scores]
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    codes = np.arange(len(y)) if customers is None else pd.factorize(np.asarray(customers, object))[0]
    lengths = {len(y), len(w), len(codes), *(len(score) for score in found)}
    if len(lengths) != 1 or not len(y):
        raise ContractError(
            f"needs the same rows everywhere, and at least one, not {sorted(lengths)}", where="evaluation"
        )
    odd = int((~np.isin(y, (0.0, 1.0))).sum())
    if odd:
        raise ContractError(
            "an outcome is neither 0 nor 1", where="evaluation", count=odd, todo="Leave out censored rows"
        )
    for score in found:
        outside = int((~((score >= 0.0) & (score <= 1.0))).sum())
        if outside:
            raise ContractError("a score is no probability", where="evaluation", count=outside)
    people = int(codes.max()) + 1
    generator = np.random.default_rng(seed)
    # How often each customer is drawn, per replicate, spread to the rows.
    draws = generator.multinomial(people, np.full(people, 1.0 / people), size=replicates)
    return y, found, w, draws[:, codes]


def _replicated(y: Floats, p: Floats, w: Floats, draws: npt.NDArray[np.int64]) -> dict[str, Floats]:
    parts = [measure(y, p, w * draws[start : start + BATCH]) for start in range(0, len(draws), BATCH)]
    if not parts:
        return {name: np.full(1, np.nan) for name in METRICS}
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def _bounds(values: Floats) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = 100 * (1 - CONFIDENCE) / 2
    lo, hi = np.percentile(known, [tail, 100 - tail])
    return float(lo), float(hi)
