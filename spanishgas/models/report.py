"""The report of a training run, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.evaluation import METRICS, Interval
from spanishgas.models.judging import COMPARED, Judgement, Versus

SHOWN = 15


def render(
    *,
    kind: str,
    facts: Mapping[str, Any],
    judgements: Sequence[Judgement],
    ceiling: float | None,
    against: Versus | None,
    importance: pd.DataFrame,
    importance_means: str,
    explained: pd.DataFrame,
    notes: Sequence[str],
    seeds: pd.DataFrame | None = None,
) -> str:
    """The report.

    Args:
        kind: Name of the model.
        facts: What it was trained on.
        judgements: One per split, the one that counts last.
        ceiling: Share of what the true probabilities reach, in a demo world.
        against: The comparison with the baseline.
        importance: The model's own account of its features.
        importance_means: How to read it.
        explained: Global SHAP table.
        notes: What a reader must know.
        seeds: Out-of-fold figures per seed.
    """
    lines = [f"# Churn model `{kind}`", ""]
    if against is not None:
        lines += [against.sentence, ""]
    lines += [f"> {note}" for note in notes] + ([""] if notes else [])
    lines += [
        f"Trained on {facts['rows_train']:,} rows with {facts['features']} features, "
        f"{facts['leavers_train']:,} leave. {facts['how']}",
        "",
        "## Figures",
        "",
        "| metric | " + " | ".join(judgement.split for judgement in judgements) + " |",
        "| --- | " + " | ".join("---:" for _ in judgements) + " |",
    ]
    lines += [
        f"| {name} | " + " | ".join(_interval(judgement.figures[name]) for judgement in judgements) + " |"
        for name in METRICS
    ]
    lines += ["", "Brackets: 95 % intervals, bootstrap over customers.", ""]
    if ceiling is not None:
        lines += [
            f"Share of the ceiling: {ceiling:.1%} of what the demo world's true probabilities reach in PR-AUC on the "
            "test rows, above chance. The rest is what no file tells.",
            "",
        ]
    if seeds is not None:
        lines += ["## Per seed", "", markdown(seeds), ""]
    for judgement in judgements:
        lines += [f"## Calibration by window, {judgement.split}", "", _calibration(judgement.windows, "window"), ""]
    last = judgements[-1]
    lines += [f"## By month and group, {last.split}", "", _groups(last.groups), ""]
    if against is not None:
        lines += [
            f"## Against the baseline, {last.split}",
            "",
            "| metric | baseline | candidate | difference | 95 % interval |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {name} | {one.first:.4f} | {one.second:.4f} | {one.difference:+.4f} | {one.lo:+.4f} to {one.hi:+.4f} |"
            for name in COMPARED
            for one in [against.differences[name]]
        ]
        lines += ["", "Paired bootstrap over customers: both scores on the same draws.", ""]
    lines += [f"## What the model uses ({importance_means})", "", markdown(importance.head(SHOWN)), ""]
    lines += [
        "## What moves the scores",
        "",
        "Mean absolute contribution to the log-odds of leaving in a window; direction: rank correlation of value and "
        "contribution.",
        "",
        markdown(explained.head(SHOWN)),
        "",
    ]
    return "\n".join(lines)


def markdown(table: pd.DataFrame) -> str:
    """A frame as a Markdown table; numbers with four digits."""
    head = "| " + " | ".join(map(str, table.columns)) + " |"
    rule = "| " + " | ".join("---:" if pd.api.types.is_numeric_dtype(table[name]) else "---" for name in table) + " |"
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join([head, rule, *rows])


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "" if not np.isfinite(value) else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _interval(one: Interval) -> str:
    if not np.isfinite(one.value):
        return "not defined"
    return f"{one.value:.4f}" + (f" ({one.lo:.4f} to {one.hi:.4f})" if np.isfinite(one.lo) else "")


def _calibration(windows: pd.DataFrame, key: str) -> str:
    lines = [
        f"| {key} | rows | leave | observed | expected | observed / expected | slope | ECE | ROC-AUC |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row[key]} | {row['rows']:,} | {row['leavers']:,} | {row['observed']:.4f} | {row['expected']:.4f} "
        f"| {_of(row, 'observed_over_expected', 2)} | {_of(row, 'calibration_slope', 2)} | {_of(row, 'ece', 4)} "
        f"| {_of(row, 'roc_auc', 3)} |"
        for row in windows.to_dict("records")
    ]
    return "\n".join(lines)


def _of(row: Mapping[Any, Any], name: str, digits: int) -> str:
    return short_interval(Interval(row[name], row[f"{name}_lo"], row[f"{name}_hi"]), digits)


def short_interval(one: Interval, digits: int) -> str:
    """A figure with its interval; empty where it is not defined."""
    if not np.isfinite(one.value):
        return ""
    spread = f" ({one.lo:.{digits}f} to {one.hi:.{digits}f})" if np.isfinite(one.lo) else ""
    return f"{one.value:.{digits}f}{spread}"


def _groups(groups: pd.DataFrame) -> str:
    named = groups.assign(name=groups["group"] + " = " + groups["value"])
    return _calibration(named.drop(columns=["group", "value"]), "name")
