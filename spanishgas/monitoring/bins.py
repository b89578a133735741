"""Bins of a feature: learned from a baseline, counted on any other rows, with missing values in a bin of their own.

The population stability index of two sets of shares is sum((q - p) ln(q / p)), the symmetrised Kullback-Leibler
divergence (Jeffreys, 1946; in credit scoring Siddiqi, Credit Risk Scorecards, 2006). Libraries commonly leave missing
values out of it; a feed that breaks shows there first.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BINS: Final = 10
MAX_CATEGORIES: Final = 60
MISSING, NEW, OTHER = "missing", "new", "all others"
# An empty bin counts as half a row: the index stays finite, and what is not empty stays the textbook figure.
EMPTY_ROWS: Final = 0.5
UNITS_PER_SPREAD: Final = 50
NORMAL_QUARTILES: Final = 1.349  # distance of the quartiles of a normal distribution, in standard deviations


@dataclass(frozen=True)
class Bins:
    """How the values of one feature are counted.

    Attributes:
        edges: Upper bounds of all numeric bins but the last, inclusive and ascending; None for categories.
        unit: Numbers are rounded to multiples of it before they are counted; 0 takes them as they are.
        categories: Categories with a bin each, in order; the rest of the known ones share the bin ``all others``.
        known: Every category that the baseline's rows hold, at any of their dates.
    """

    edges: tuple[float, ...] | None = None
    unit: float = 0.0
    categories: tuple[str, ...] = ()
    known: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return self.edges is not None

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each bin; missing values come last."""
        if self.edges is None:
            return (*self.categories, OTHER, NEW, MISSING)
        shown = [f"{edge:.4g}" for edge in self.edges]
        if not shown:
            return ("any value", MISSING)
        told = [f"up to {shown[0]}", *(f"{low} to {high}" for low, high in itertools.pairwise(shown))]
        if len(shown) > 1 and self.edges[0] == np.nextafter(self.edges[1], -np.inf):
            told[:2] = [f"below {shown[1]}", shown[1]]
        return (*told, f"over {shown[-1]}", MISSING)

    def count(self, values: pd.Series) -> Ints:
        """Rows per bin, shape (bins,)."""
        if self.edges is not None:
            numbers = as_numbers(values)
            known = _rounded(numbers[~np.isnan(numbers)], self.unit)
            places = np.searchsorted(np.asarray(self.edges), known, side="left")
            counts = np.bincount(places, minlength=len(self.edges) + 1)
            return np.append(counts, len(numbers) - len(known)).astype(np.int64)
        told = count_categories(values)
        listed = [told.get(name, 0) for name in self.categories]
        others = sum(rows for name, rows in told.items() if name in self.known and name not in self.categories)
        new = sum(rows for name, rows in told.items() if name not in self.known)
        return np.array([*listed, others, new, len(values) - sum(told.values())], np.int64)


def learn_bins(values: pd.Series, known: frozenset[str] = frozenset()) -> Bins:
    """Bins of equal mass for numbers, one per category for words and flags.

    Differences below a fiftieth of the spread are none: a share of hours moves by as much when a day has 23 of them,
    and where all customers have about the same value that would count as if everybody had changed. Where many rows
    share the smallest value, values below it get a bin of their own, so that they do not hide there.

    Args:
        values: The baseline's rows.
        known: Categories beyond those among ``values`` that are not new.
    """
    if is_category(values):
        told = count_categories(values)
        ordered = sorted(told, key=lambda name: (-told[name], name))[:MAX_CATEGORIES]
        return Bins(categories=tuple(sorted(ordered)), known=known | frozenset(told))
    numbers = as_numbers(values)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return Bins(edges=())
    unit = _plain_number(_spread(numbers) / UNITS_PER_SPREAD)
    numbers = _rounded(numbers, unit)
    edges = np.unique(np.quantile(numbers, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    if edges[0] == numbers.min():
        edges = np.append(np.nextafter(edges[0], -np.inf), edges)
    # The largest value as an edge is kept: what lies beyond it has a bin of its own then, for the same reason.
    return Bins(edges=tuple(float(edge) for edge in edges), unit=unit)


def _spread(numbers: Floats) -> float:
    """A standard deviation that a few huge values do not stretch."""
    low, high = np.quantile(numbers, [0.25, 0.75])
    whole = float(numbers.std())
    return min(whole, float(high - low) / NORMAL_QUARTILES) if high > low else whole


def _plain_number(value: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that is no larger; whole numbers stay whole when rounded to it."""
    if value <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)))


def _rounded(numbers: Floats, unit: float) -> Floats:
    return np.asarray(np.round(numbers / unit) * unit) if unit > 0 else numbers


def psi(reference: Sequence[int] | Ints, current: Sequence[int] | Ints) -> float:
    """Population stability index of two counts of the same bins.

    Bins that are empty on both sides add nothing; one that is empty on one side counts as half a row there.

    Returns:
        NaN where one side has no rows.
    """
    first, second = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    if not first.sum() or not second.sum():
        return float("nan")
    used = (first > 0) | (second > 0)
    p = np.maximum(first[used], EMPTY_ROWS) / first.sum()
    q = np.maximum(second[used], EMPTY_ROWS) / second.sum()
    return float(((q - p) * np.log(q / p)).sum())


def is_category(values: pd.Series) -> bool:
    """Whether a column holds words or flags rather than numbers."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return True
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    shown = values.dropna()
    return not len(shown) or isinstance(shown.iloc[0], str | bool | np.bool_)


def as_numbers(values: pd.Series) -> Floats:
    """Values as numbers; what is missing or infinite is NaN."""
    if values.dtype == np.float64:
        numbers = values.to_numpy()
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def count_categories(values: pd.Series) -> dict[str, int]:
    """Rows per category, missing ones left out."""
    return {str(name): int(rows) for name, rows in values.dropna().value_counts().items()}


def to_plain(bins: Bins) -> dict[str, Any]:
    """Bins as plain values for JSON."""
    if bins.edges is not None:
        return {"edges": list(bins.edges), "unit": bins.unit}
    return {"categories": list(bins.categories)}


def from_plain(told: Mapping[str, Any], known: frozenset[str]) -> Bins:
    """Bins from what ``to_plain`` gave."""
    if "edges" in told:
        return Bins(edges=tuple(float(edge) for edge in told["edges"]), unit=float(told["unit"]))
    return Bins(categories=tuple(told["categories"]), known=known)
