"""How likely a difference is by chance alone: the part of an alarm that keeps a calm day silent.

Every check of a run date that compares samples hands in a p-value; Holm's step-down procedure (Scandinavian Journal of
Statistics 6, 1979) holds the chance of any false alarm among all of them at the level, whatever depends on what. Rows
of the two sides are taken as independent; most customers are on both, which makes the p-values too large, not too
small.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, chi2, hypergeom

from spanishgas.monitoring.bins import Floats, Ints

# Least rows expected on either side for the chi-square approximation (Cochran, Biometrics 10, 1954).
EXPECTED = 5.0


def same_shares(reference: Ints, current: Ints) -> float:
    """P-value of two counts of the same bins coming from one distribution (Pearson's chi-square, homogeneity).

    Bins that are too rare for the approximation are put together, the rarest first.

    Returns:
        1 where less than two bins are left.
    """
    table = np.vstack([reference, current]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    total = table.sum()
    least = table.sum(axis=1).min() / total if total else 0.0
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    while table.shape[1] > 1 and table[:, 0].sum() * least < EXPECTED:
        joined = table[:, 0] + table[:, 1]
        table = np.column_stack([joined, table[:, 2:]])
        table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    if table.shape[1] < 2:
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, table.shape[1] - 1))


def same_share(first: tuple[int, int], second: tuple[int, int]) -> float:
    """P-value of two shares being equal: Fisher's exact test, both sides, by doubling.

    Args:
        first: Rows concerned and all rows of one side.
        second: The same of the other.
    """
    (x, n), (y, m) = first, second
    if not n or not m:
        return 1.0
    low = float(hypergeom.cdf(y, n + m, x + y, m))
    high = float(hypergeom.sf(y - 1, n + m, x + y, m))
    return min(1.0, 2 * min(low, high))


def all_on_one_side(rows: int, share: float, tried: int) -> float:
    """P-value of all rows of a category being on one side, for the most telling of ``tried`` categories.

    Args:
        rows: Rows of the category, all of them on one side.
        share: Share of all rows that this side has.
        tried: Categories that it was picked from.
    """
    return float(min(1.0, tried * share**rows))


def same_rate(first: tuple[int, float], second: tuple[int, float]) -> float:
    """P-value of two event counts having one rate: the conditional binomial test of two Poisson counts.

    Args:
        first: Events, and the time that they were counted over.
        second: The same of the other side.
    """
    (x, time), (y, other) = first, second
    if not x + y:
        return 1.0
    share = other / (time + other)
    low, high = float(binom.cdf(y, x + y, share)), float(binom.sf(y - 1, x + y, share))
    return min(1.0, 2 * min(low, high))


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """P-values adjusted for being many: significant at the level where at most the level (Holm, 1979).

    Args:
        p_values: NaN where a check has none; these stay NaN and are not counted.
    """
    given = np.asarray(p_values, np.float64)
    adjusted = np.full(len(given), np.nan)
    known: npt.NDArray[np.int64] = np.flatnonzero(np.isfinite(given))
    order = known[np.argsort(given[known], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
