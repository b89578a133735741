"""Segments as centres in a frozen scale: fitted once, refitted from where they stood, with identities that last.

Values are put on a log scale where they are amounts or counts, centred at the median and divided by the interquartile
range (``RobustScaler``), and cut at three of them; centres are those of k-means. A refresh begins at the centres before
(frozen scale, so that distances mean the same) and new centres are matched to old ones by the assignment of least
distance (Kuhn, 1955).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import SegmentationSettings
from spanishgas.errors import ContractError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CLIP = 3.0
STARTS = 10
# Amounts and counts: their ratios matter, not their differences.
LOG_ENDINGS = ("_kwh_365d", "_kw", "tenure_days")
LOG_PREFIXES = ("interactions_",)
# A flag has no spread of its own: it counts as two interquartile ranges.
FLAG_WEIGHT = 2.0


@dataclass(frozen=True)
class SegmentModel:
    """Segments.

    Attributes:
        features: What customers are grouped by.
        left_out: Features without any value when the scale was frozen.
        fill: Value of each feature where it is missing.
        centre: Median of each, on its scale.
        scale: Interquartile range of each.
        centres: Shape (segments, features), in the frozen scale.
        ids: Identity of each segment.
        names_en: Name of each, in English.
        names_es: The same in Spanish.
    """

    features: tuple[str, ...]
    left_out: tuple[str, ...]
    fill: tuple[float, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    centres: Floats
    ids: tuple[str, ...]
    names_en: tuple[str, ...]
    names_es: tuple[str, ...]

    def place(self, table: pd.DataFrame) -> Floats:
        """Customers in the frozen scale, shape (rows, features).

        Raises:
            ContractError: A feature is not there.
        """
        lacking = [name for name in self.features if name not in table.columns]
        if lacking:
            raise ContractError("features are missing", where="segmentation", count=len(lacking), examples=lacking)
        raw = _numbers(table, self.features)
        filled = np.where(np.isfinite(raw), raw, np.array(self.fill))
        return np.asarray(np.clip((filled - np.array(self.centre)) / np.array(self.scale), -CLIP, CLIP))

    def assign(self, table: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Identity of each customer's segment."""
        return np.asarray(self.ids, dtype=object)[nearest(self.place(table), self.centres)]

    @property
    def state(self) -> dict[str, Any]:
        """As plain values for JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "centres"}
        return {**fields, "centres": self.centres.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "SegmentModel":
        """Takes back what ``state`` gave."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in state.items()
        }
        values["centres"] = np.asarray(state["centres"], np.float64)
        return cls(**values)


@dataclass(frozen=True)
class Fit:
    """A fit and how it came about.

    Attributes:
        model: The segments, unnamed where they are new.
        labels: Segment of each customer, as a position in ``model.ids``.
        choice: Per candidate: ``count``, ``stability``, ``smallest_share``, ``inertia``; None for a refresh.
        inertia_ratio: Inertia over that of a fit from scratch; near 1 while the old centres still fit.
        is_large_enough: Whether the smallest segment has the share asked for.
    """

    model: SegmentModel
    labels: Ints
    choice: pd.DataFrame | None
    inertia_ratio: float
    is_large_enough: bool


def fit_segments(table: pd.DataFrame, settings: SegmentationSettings, previous: SegmentModel | None) -> Fit:
    """Fits segments, or refits those of an earlier date.

    Args:
        table: Features, one row per customer.
        settings: How to group.
        previous: Segments of an earlier date with the same features and count, or None.

    Raises:
        ContractError: A feature is not there, none has a value, or there are fewer customers than segments.
    """
    if previous is not None:
        return _refresh(table, settings, previous)
    frozen = _freeze(table, settings.features)
    points = frozen.place(table)
    counts = (settings.count,) if settings.count else settings.candidates
    if len(points) < max(counts):
        raise ContractError(f"{len(points):,} customers are fewer than {max(counts)} segments", where="segmentation")
    rows = []
    fits = {}
    for count in counts:
        fits[count] = _k_means(points, count, settings.seed)
        share = np.bincount(fits[count].labels_, minlength=count).min() / len(points)
        rows.append(
            {
                "count": count,
                "stability": stability(points, fits[count], settings),
                "smallest_share": float(share),
                "inertia": float(fits[count].inertia_),
            }
        )
    choice = pd.DataFrame(rows)
    count, is_large_enough = _choose(choice, settings)
    order = np.argsort(-np.bincount(fits[count].labels_, minlength=count), kind="stable")
    ids = tuple(f"S{place + 1}" for place in range(count))
    model = replace(
        frozen,
        centres=np.asarray(fits[count].cluster_centers_[order], np.float64),
        ids=ids,
        names_en=ids,
        names_es=ids,
    )
    return Fit(model, nearest(points, model.centres), choice, 1.0, is_large_enough)


def _choose(choice: pd.DataFrame, settings: SegmentationSettings) -> tuple[int, bool]:
    """The most segments that are stable, of those whose smallest is large enough; and whether there was one."""
    large = choice[choice["smallest_share"] >= settings.min_share]
    if not len(large):
        return int(choice["count"].to_numpy()[choice["smallest_share"].argmax()]), False
    stable = large[large["stability"] >= settings.min_stability]
    if len(stable):
        return int(stable["count"].to_numpy().max()), True
    return int(large["count"].to_numpy()[large["stability"].argmax()]), True


def _refresh(table: pd.DataFrame, settings: SegmentationSettings, previous: SegmentModel) -> Fit:
    from scipy.optimize import linear_sum_assignment
    from sklearn.cluster import KMeans

    points = previous.place(table)
    count = len(previous.ids)
    moved = KMeans(count, init=previous.centres, n_init=1, random_state=settings.seed).fit(points)
    fresh = _k_means(points, count, settings.seed)
    distance = ((previous.centres[:, None, :] - moved.cluster_centers_[None, :, :]) ** 2).sum(axis=2)
    _, matched = linear_sum_assignment(distance)
    centres = np.asarray(moved.cluster_centers_[matched], np.float64)
    labels = nearest(points, centres)
    share = np.bincount(labels, minlength=count).min() / len(points)
    ratio = float(moved.inertia_ / fresh.inertia_) if fresh.inertia_ else 1.0
    return Fit(replace(previous, centres=centres), labels, None, ratio, bool(share >= settings.min_share))


def _freeze(table: pd.DataFrame, features: Sequence[str]) -> SegmentModel:
    lacking = [name for name in features if name not in table.columns]
    if lacking:
        raise ContractError("features are missing", where="segmentation", count=len(lacking), examples=lacking)
    raw = _numbers(table, features)
    usable = [
        place for place in range(len(features)) if np.isfinite(raw[:, place]).any() and np.nanstd(raw[:, place]) > 0
    ]
    if not usable:
        raise ContractError("no feature has values that differ", where="segmentation", examples=list(features))
    kept = raw[:, usable]
    low, middle, high = np.nanpercentile(kept, [25, 50, 75], axis=0)
    flags = np.array([set(np.unique(column[np.isfinite(column)])) <= {0.0, 1.0} for column in kept.T])
    spread = np.where(high > low, high - low, np.nanstd(kept, axis=0))
    return SegmentModel(
        features=tuple(features[place] for place in usable),
        left_out=tuple(name for place, name in enumerate(features) if place not in usable),
        fill=tuple(map(float, middle)),
        centre=tuple(map(float, middle)),
        scale=tuple(map(float, np.where(flags, 1 / FLAG_WEIGHT, spread))),
        centres=np.zeros((0, len(usable))),
        ids=(),
        names_en=(),
        names_es=(),
    )


def stability(points: Floats, reference: Any, settings: SegmentationSettings) -> float:
    """Mean adjusted Rand index between a fit and fits on bootstrap draws (Hennig, CSDA 52, 2007)."""
    from sklearn.metrics import adjusted_rand_score

    generator = np.random.default_rng(settings.seed)
    size = min(len(points), settings.stability_rows)
    told = generator.choice(len(points), size, replace=False)
    found = []
    for draw in range(settings.stability_draws):
        chosen = generator.integers(0, len(points), size)
        other = _k_means(points[chosen], reference.n_clusters, settings.seed + draw + 1, starts=2)
        found.append(adjusted_rand_score(reference.labels_[told], nearest(points[told], other.cluster_centers_)))
    return float(np.mean(found))


def _k_means(points: Floats, count: int, seed: int, starts: int = STARTS) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(count, n_init=starts, random_state=seed).fit(points)


def nearest(points: Floats, centres: Floats) -> Ints:
    """Position of the nearest centre."""
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)[None, :]
    return np.asarray(squares.argmin(axis=1), np.int64)


def _numbers(table: pd.DataFrame, features: Sequence[str]) -> Floats:
    columns = []
    for name in features:
        values = pd.to_numeric(table[name].astype("object"), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        is_log = name.endswith(LOG_ENDINGS) or name.startswith(LOG_PREFIXES)
        columns.append(np.log1p(np.maximum(values, 0.0)) if is_log else values)
    return np.column_stack(columns)
