"""What a training set has to say about itself."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from spanishgas.config import LabelSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 25
COLOURS = {"train": "#4c78a8", "valid": "#f58518", "test": "#54a24b", "embargo": "#bab0ac"}


def render(
    labels: LabelSettings,
    cut: date,
    facts: Mapping[str, float | int | str],
    counts: pd.DataFrame,
    audit: pd.DataFrame,
    auc: "pd.Series[float]",
    constant: Sequence[str],
    audited: float = 1.0,
) -> str:
    """The report in Markdown; ``audited`` is the share of the customers that the audit looked at."""
    lines = ["# Training set", ""]
    if labels.kind == "snapshot":
        lines += [
            "> **This split is not temporal.** The source has one snapshot and no churn dates: customers are split by",
            "> a stable hash. Figures on the test split say how well customers of the same moment are told apart, not",
            "> how well next quarter's leavers are foretold. There is one window, of "
            f"{labels.horizon_days} days; timing is unknown.",
            "",
        ]
    else:
        lines += [
            f"Horizon {labels.horizon_days} days in windows of {labels.window_days}; registration lag "
            f"{labels.registration_lag_days} days; data complete until {cut}.",
            "",
        ]
    if labels.sample.stayers < 1:
        lines += [
            f"**A sample**: all rows of {labels.sample.stayers:.4g} of the customers, and rows that leave of "
            f"{labels.sample.leavers:.4g} of them. `stayed`, `left`, `censored` and the churn rate stand for "
            "everybody; `rows` are those that are there.",
            "",
        ]
    lines += [
        "| split | as_of | rows | stayed | left | censored | churn rate |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['split']} | {row['as_of']} | {row['rows']:,} | {row['stayed']:,} | {row['left']:,} "
        f"| {row['censored']:,} | {row['churn_rate']:.2%} |"
        for row in counts.to_dict("records")
    ]
    lines += [
        "",
        "## Who is not in it, or only in part",
        "",
        f"- {facts['left_unregistered']:,} rows: had left already, not registered yet at `as_of`; excluded.",
        f"- {facts['without_label']:,} rows: customers without a label; excluded.",
        f"- {facts['censored_by_offer']:,} rows: follow-up ends at a retention offer.",
        f"- {facts['censored_by_maturity']:,} rows: a window was not mature at the data cut; unknown, not negative.",
        f"- {facts['unknown_propensities']:,} controls without a propensity: they weigh 1.",
        "",
        "## Leak audit",
        "",
        f"Flags features whose ROC-AUC alone is above {labels.audit_max_roc_auc:g}, and values or bins of "
        f"{labels.audit_min_rows} rows or more with churn above {labels.audit_max_churn:g} or below "
        f"{labels.audit_min_churn:g}. `chance` is the probability of the like at the average churn rate: a flag with a "
        "chance of some percent is what small bins do; one with none is to be explained before anything is trained.",
        "",
    ]
    if audited < 1:
        lines += [f"It looked at {audited:.2%} of the customers, with all their rows.", ""]
    if audit.empty:
        lines.append("No flags.")
    else:
        lines += ["| feature | check | value | rows | churn | chance |", "| --- | --- | --- | ---: | ---: | ---: |"]
        lines += [
            f"| {row['feature']} | {row['check']} | {row['value']} | {row['rows']:,} | {row['churn']:.3f} "
            f"| {'' if pd.isna(row['chance']) else format(row['chance'], '.1e')} |"
            for row in audit.head(SHOWN * 2).to_dict("records")
        ]
    lines += ["", "Largest ROC-AUC of single features:", "", "| feature | ROC-AUC |", "| --- | ---: |"]
    lines += [f"| {name} | {value:.3f} |" for name, value in zip(map(str, auc.index[:10]), auc.head(10), strict=True)]
    if constant:
        lines += ["", f"{len(constant)} features have no values in this data set: {', '.join(constant)}."]
    return "\n".join(lines) + "\n"


def plot_churn(counts: pd.DataFrame) -> "Figure":
    """Churn rate and rows by `as_of`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    rate, rows = figure.subplots(1, 2)
    labels = [str(day) for day in counts["as_of"]]
    colours = [COLOURS[split] for split in counts["split"]]
    if len(set(counts["as_of"])) == 1:
        labels = list(counts["split"])
    for axes, values, title in ((rate, counts["churn_rate"], "churn rate"), (rows, counts["rows"], "rows")):
        axes.bar(range(len(counts)), values, color=colours)
        axes.set_xticks(range(len(counts)), labels, rotation=90, fontsize=7)
        axes.set_title(title)
    for split in dict.fromkeys(counts["split"]):
        rows.bar(0, 0, color=COLOURS[split], label=split)
    rows.legend(fontsize=8)
    return figure


def plot_auc(auc: "pd.Series[float]") -> "Figure":
    """ROC-AUC of the features that tell most on their own."""
    from matplotlib.figure import Figure

    top = auc.head(SHOWN)[::-1]
    figure = Figure(figsize=(7, 0.8 + 0.24 * max(len(top), 1)), layout="constrained")
    axes = figure.subplots()
    axes.barh(top.index, top.to_numpy(), color="#4c78a8")
    axes.set_xlim(0.5, 1.0)
    axes.set_xlabel("ROC-AUC of the feature alone")
    return figure
