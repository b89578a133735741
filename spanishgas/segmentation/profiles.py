"""What the segments are: how they differ from everybody, how many leave, what they earn, and a name in plain words."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.segmentation.model import Floats, SegmentModel
from spanishgas.segmentation.words import words_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 5
# A driver is worth a word from this distance on.
NOTED = 0.35
FIRST_WORDS, MAX_WORDS = 2, 5
# From here on the heat map is too dark for black figures.
DARK = 1.3
MARGIN = "margin_eur_month_12m"


def profile(model: SegmentModel, table: pd.DataFrame, segments: npt.NDArray[np.object_]) -> pd.DataFrame:
    """Mean of each feature per segment, and how far it stands from everybody's.

    Returns:
        ``segment_id``, ``feature``, ``mean``, ``overall_mean``, ``z``: distance of the means in standard deviations, on
        the scale that customers are grouped on: a few huge consumers do not hide how the others differ.
    """
    rows = []
    placed = model.place(table)
    for place, name in enumerate(model.features):
        values = pd.to_numeric(table[name].astype("object"), errors="coerce").astype("float64").to_numpy()
        points = placed[:, place]
        for segment in model.ids:
            mine = segments == segment
            z = (points[mine].mean() - points.mean()) / points.std() if mine.any() and points.std() > 0 else 0.0
            rows.append((segment, name, _mean(values[mine]), _mean(values), float(z)))
    return pd.DataFrame(rows, columns=["segment_id", "feature", "mean", "overall_mean", "z"])


def _mean(values: npt.NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def drivers(profiles: pd.DataFrame, segment: str, count: int = TOP) -> pd.DataFrame:
    """The features that set a segment apart most."""
    own = profiles[profiles["segment_id"] == segment]
    return own.reindex(own["z"].abs().sort_values(ascending=False, kind="stable").index).head(count)


def name_segments(model: SegmentModel, profiles: pd.DataFrame) -> SegmentModel:
    """Gives every segment a name of its own: its strongest drivers in words, as many as it takes to tell it apart."""
    chosen: dict[str, list[tuple[str, bool]]] = {}
    lengths: dict[str, int] = {}
    for segment in model.ids:
        strongest = drivers(profiles, segment, MAX_WORDS)
        chosen[segment] = [(str(row["feature"]), row["z"] > 0) for row in strongest.to_dict("records")]
        lengths[segment] = min(max(int((strongest["z"].abs() >= NOTED).sum()), 1), FIRST_WORDS)
    for _ in range(MAX_WORDS):
        names = {segment: _phrase(chosen[segment][: lengths[segment]], "en") for segment in model.ids}
        twice = [segment for segment in model.ids if list(names.values()).count(names[segment]) > 1]
        if not twice:
            break
        lengths |= {segment: lengths[segment] + 1 for segment in twice}
    english = [_phrase(chosen[segment][: lengths[segment]], "en") for segment in model.ids]
    spanish = [_phrase(chosen[segment][: lengths[segment]], "es") for segment in model.ids]
    return replace(model, names_en=_distinct(english, model.ids), names_es=_distinct(spanish, model.ids))


def _distinct(names: list[str], ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} ({id_})" if names.count(name) > 1 else name for name, id_ in zip(names, ids, strict=True))


def _phrase(parts: list[tuple[str, bool]], language: str) -> str:
    words = [getattr(words_of(feature), f"{'high' if is_high else 'low'}_{language}") for feature, is_high in parts]
    text = ", ".join(words)
    return text[:1].upper() + text[1:]


def summary(
    model: SegmentModel,
    table: pd.DataFrame,
    segments: npt.NDArray[np.object_],
    past: pd.DataFrame | None,
) -> pd.DataFrame:
    """One row per segment.

    Args:
        model: The named segments.
        table: Features at the date.
        segments: Identity of each row's segment.
        past: Rows of a training set, features and ``left_horizon``; None where there is none.

    Returns:
        ``segment_id``, ``name_en``, ``name_es``, ``customers``, ``share``, ``margin_eur_month`` (mean), and
        ``churn_rate``: the share that left within the horizon among earlier customers who looked like this, with their
        number ``churn_rows``.
    """
    seen = model.assign(past) if past is not None and len(past) else np.array([], dtype=object)
    left = np.array([]) if past is None else past["left_horizon"].to_numpy(np.float64)
    margin: Floats = (
        pd.to_numeric(table[MARGIN].astype("object"), errors="coerce").to_numpy(np.float64, na_value=np.nan)
        if MARGIN in table.columns
        else np.full(len(table), np.nan)
    )
    rows = []
    for place, segment in enumerate(model.ids):
        mine = segments == segment
        alike = left[seen == segment]
        known = margin[mine][np.isfinite(margin[mine])]
        rows.append(
            {
                "segment_id": segment,
                "name_en": model.names_en[place],
                "name_es": model.names_es[place],
                "customers": int(mine.sum()),
                "share": float(mine.mean()),
                "margin_eur_month": float(known.mean()) if len(known) else float("nan"),
                "churn_rate": float(alike.mean()) if len(alike) else float("nan"),
                "churn_rows": len(alike),
            }
        )
    return pd.DataFrame(rows)


def plot_profiles(model: SegmentModel, profiles: pd.DataFrame) -> "Figure":
    """The profiles as a heat map of z-scores."""
    from matplotlib.figure import Figure

    grid = profiles.pivot_table(index="feature", columns="segment_id", values="z", dropna=False)
    grid = grid.loc[list(model.features), list(model.ids)]
    figure = Figure(figsize=(2.2 + 1.5 * len(model.ids), 1.6 + 0.38 * len(model.features)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid.to_numpy(), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    names = dict(zip(model.ids, model.names_en, strict=True))
    labels = [f"{segment}\n" + names[segment].replace(", ", ",\n") for segment in model.ids]
    axes.set_xticks(range(len(model.ids)), labels, fontsize=8)
    axes.set_yticks(range(len(model.features)), list(model.features), fontsize=8)
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        colour = "white" if abs(value) > DARK else "black"
        axes.text(column, row, f"{value:+.1f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, ax=axes, label="standard deviations from everybody")
    return figure
