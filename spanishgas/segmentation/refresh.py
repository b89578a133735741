"""One refresh of the segments: fit, name, describe, and how far identities were kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.config import SegmentationSettings
from spanishgas.segmentation.model import SegmentModel, fit_segments
from spanishgas.segmentation.profiles import drivers, name_segments, plot_profiles, profile, summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From this inertia ratio on, segments begun anew would fit clearly better.
WORN_OUT = 1.05


@dataclass(frozen=True)
class Refresh:
    """Segments of one date.

    Attributes:
        model: The segments.
        assigned: ``customer_id``, ``as_of``, ``segment_id``, ``segment_name``.
        profiles: Of ``profiles.profile``.
        summary: Of ``profiles.summary``.
        metrics: Figures for the run.
        report: Markdown.
        figures: Name -> figure.
        headline: One line for the terminal.
    """

    model: SegmentModel
    assigned: pd.DataFrame
    profiles: pd.DataFrame
    summary: pd.DataFrame
    metrics: Mapping[str, float]
    report: str
    figures: Mapping[str, "Figure"]
    headline: str


def refresh(
    table: pd.DataFrame,
    settings: SegmentationSettings,
    *,
    previous: SegmentModel | None,
    before: pd.DataFrame | None,
    past: pd.DataFrame | None,
) -> Refresh:
    """Fits or refits the segments of one date.

    Args:
        table: Features at the date: ``customer_id``, ``as_of`` and the features.
        settings: How to group.
        previous: Segments of the date before; None begins anew.
        before: Who was in which segment then: ``customer_id``, ``segment_id``.
        past: Rows of a training set, for the churn rates.
    """
    fitted = fit_segments(table, settings, previous)
    ids = np.asarray(fitted.model.ids, dtype=object)[fitted.labels]
    profiles = profile(fitted.model, table, ids)
    model = name_segments(fitted.model, profiles) if previous is None else fitted.model
    told = summary(model, table, ids, past)
    names = dict(zip(model.ids, model.names_en, strict=True))
    assigned = table[["customer_id", "as_of"]].assign(segment_id=ids, segment_name=[names[segment] for segment in ids])
    metrics = {
        "segments": float(len(model.ids)),
        "smallest_share": float(told["share"].min()),
        "inertia_ratio": fitted.inertia_ratio,
    }
    if fitted.choice is not None:
        chosen = fitted.choice[fitted.choice["count"] == len(model.ids)].iloc[0]
        metrics["stability"] = float(chosen["stability"])
    if before is not None:
        metrics |= _kept(assigned, before)
    report = _render(model, told, profiles, fitted.choice, metrics, settings, is_large_enough=fitted.is_large_enough)
    headline = f"{len(model.ids)} segments, the smallest {told['share'].min():.1%}"
    if "kept_share" in metrics:
        headline += f"; {metrics['kept_share']:.1%} of the customers kept theirs"
    return Refresh(
        model, assigned, profiles, told, metrics, report, {"profiles": plot_profiles(model, profiles)}, headline
    )


def _kept(assigned: pd.DataFrame, before: pd.DataFrame) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score

    both = assigned.merge(before[["customer_id", "segment_id"]], on="customer_id", suffixes=("", "_before"))
    if not len(both):
        return {}
    return {
        "kept_customers": float(len(both)),
        "kept_share": float((both["segment_id"] == both["segment_id_before"]).mean()),
        "adjusted_rand_index": float(adjusted_rand_score(both["segment_id_before"], both["segment_id"])),
    }


def _render(
    model: SegmentModel,
    told: pd.DataFrame,
    profiles: pd.DataFrame,
    choice: pd.DataFrame | None,
    metrics: Mapping[str, float],
    settings: SegmentationSettings,
    *,
    is_large_enough: bool,
) -> str:
    lines = ["# Segments", ""]
    if not is_large_enough:
        lines += [
            f"> **A segment is smaller than {settings.min_share:.0%} of the customers**; no number of them avoids it.",
            "",
        ]
    if metrics["inertia_ratio"] > WORN_OUT:
        lines += [
            f"> Segments begun anew would fit {metrics['inertia_ratio'] - 1:.1%} closer: consider "
            "`segmentation.restart=true`, which gives up the identities.",
            "",
        ]
    if model.left_out:
        lines += [f"> Without any value, or the same for all, and so left out: {', '.join(model.left_out)}.", ""]
    lines += [
        "| segment | name | nombre | customers | share | churn rate | margin EUR/month |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['segment_id']} | {row['name_en']} | {row['name_es']} | {row['customers']:,} | {row['share']:.1%} "
        f"| {_or_unknown(row['churn_rate'], '.2%')} | {_or_unknown(row['margin_eur_month'], '.2f')} |"
        for row in told.to_dict("records")
    ]
    lines += [
        "",
        "Churn rate: share that left within the horizon among the training set's customers who looked like this.",
        "",
        "## Top drivers",
        "",
    ]
    for segment in model.ids:
        lines += [f"### {segment}", "", "| feature | mean | everybody | z |", "| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {row['feature']} | {row['mean']:.4g} | {row['overall_mean']:.4g} | {row['z']:+.2f} |"
            for row in drivers(profiles, segment).to_dict("records")
        ]
        lines.append("")
    if choice is not None:
        lines += [
            "## How many segments",
            "",
            "| segments | stability (mean adjusted Rand index) | smallest share |",
            "| ---: | ---: | ---: |",
        ]
        lines += [
            f"| {row['count']:.0f} | {row['stability']:.3f} | {row['smallest_share']:.1%} |"
            for row in choice.to_dict("records")
        ]
    elif "kept_share" in metrics:
        lines += [
            "## Against the date before",
            "",
            f"{metrics['kept_share']:.2%} of {metrics['kept_customers']:,.0f} customers kept their segment; adjusted "
            f"Rand index {metrics['adjusted_rand_index']:.3f}.",
        ]
    return "\n".join(lines) + "\n"


def _or_unknown(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "unknown"
