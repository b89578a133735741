"""Intervals of shares and of their difference, for counts that may be small."""

import numpy as np

Z = 1.959964


def wilson(count: float, total: float) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson, Journal of the American Statistical Association 22, 1927)."""
    share = count / total
    centre = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * np.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    return share, float(centre - half), float(centre + half)


def difference(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float, float]:
    """First share minus second, with its 95 % interval (Newcombe, Statistics in Medicine 17, 1998, method 10).

    Args:
        first: Rows concerned and all rows of one side.
        second: The same of the other.

    Returns:
        NaN where a side has no rows.
    """
    if not first[1] or not second[1]:
        return float("nan"), float("nan"), float("nan")
    one, other = wilson(*first), wilson(*second)
    found = one[0] - other[0]
    return found, *newcombe(found, one, other)


def newcombe(
    found: float, first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Bounds of a difference from two shares with their intervals; the difference need not be that of the shares."""
    (p, low, high), (q, q_low, q_high) = first, second
    lo = found - np.sqrt((p - low) ** 2 + (q_high - q) ** 2)
    hi = found + np.sqrt((high - p) ** 2 + (q - q_low) ** 2)
    return float(lo), float(hi)
