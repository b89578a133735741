"""The training set: features of customers at risk joined with their outcomes, split, audited and described."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import LabelSettings
from spanishgas.engine.session import Engine
from spanishgas.errors import ConfigError, SourceError
from spanishgas.training.audit import audit_features, single_feature_auc
from spanishgas.training.labels import LABEL_COLUMNS, WINDOWS, dated_labels, snapshot_labels
from spanishgas.training.report import plot_auc, plot_churn, render
from spanishgas.training.sampling import is_drawn, sampled
from spanishgas.training.split import EMBARGO, months_of, split_by_customer, split_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = ("customer_id", "as_of")
# The audit's rows are in memory of one machine: of more than these it looks at a part of the customers.
AUDITED_ROWS = 1_000_000


@dataclass(frozen=True)
class TrainingSetResult:
    """A training set.

    Attributes:
        table: Rows in the contract's columns, then the features.
        facts: Figures and facts for the run.
        counts: Rows and churners per split and `as_of`.
        audit: Findings of the leak audit.
        report: The report in Markdown.
        figures: Name -> figure.
        headline: One line for the terminal.
    """

    table: ir.Table
    facts: Mapping[str, float | int | str]
    counts: pd.DataFrame
    audit: pd.DataFrame
    report: str
    figures: Mapping[str, "Figure"]
    headline: str


def build_training_set(
    engine: Engine,
    *,
    silver: Mapping[str, ir.Table],
    features: ir.Table,
    labels: LabelSettings,
    cut: date,
    begin: date | None = None,
) -> TrainingSetResult:
    """Labels, splits, joins and audits.

    Args:
        engine: The engine.
        silver: `churn_events` and `retention_offers`.
        features: Features of all dates of the splits.
        labels: Label settings.
        cut: Last day that the files are complete for.
        begin: First day of the history that features look back on.

    Raises:
        ConfigError: There are too few months, splits are too close, or a feature to exclude does not exist.
        SourceError: There are no labels to train on.
    """
    names = [name for name in features.columns if name not in KEY]
    kept = _without(names, labels.exclude_features)
    at_risk = engine.materialize(features.select(*KEY))
    events = silver["churn_events"]
    if labels.kind == "dated":
        _require_dates(engine, events, cut)
        outcomes = dated_labels(engine, at_risk, events, silver["retention_offers"], labels, cut)
        splits = split_of(months_of(labels, cut, begin), engine)
        outcomes = outcomes.join(splits, "as_of")
    else:
        outcomes = snapshot_labels(engine, at_risk, events, labels)
        outcomes = outcomes.join(
            split_by_customer(engine, at_risk, {str(name): share for name, share in labels.shares.items()}),
            "customer_id",
        )
    outcomes = engine.materialize(outcomes)
    usable = sampled(outcomes.filter(~outcomes.without_label & ~outcomes.left_unregistered), labels.sample)
    table = engine.materialize(usable.select(*KEY, *LABEL_COLUMNS).join(features.select(*KEY, *kept), list(KEY)))
    counts = _counts(engine, table)
    facts = _facts(engine, outcomes, counts, labels)
    # Months of the embargo hold the same features of the same customers: looking at them too would tell nothing more.
    # Leavers beyond the sample would make every value look as if it told more.
    looked_at = table.filter(table.left_horizon.notnull() & (table.split != EMBARGO) & table.sampled)
    audited = _audited_share(counts, labels)
    if audited < 1:
        looked_at = looked_at.filter(is_drawn(looked_at.customer_id, audited, "audit"))
    frame = engine.frame(looked_at.select("left_horizon", *kept))
    outcome = frame.pop("left_horizon").astype("float64")
    auc = single_feature_auc(frame, outcome).sort_values(ascending=False)
    audit = audit_features(frame, outcome, labels, auc)
    constant = [name for name in kept if frame[name].isna().all()]
    facts |= {
        "features": len(kept),
        "features_without_values": len(constant),
        "audit_flags": len(audit),
        "largest_single_roc_auc": round(float(auc.iloc[0]), 4) if len(auc) else 0.5,
        "largest_single_roc_auc_feature": str(auc.index[0]) if len(auc) else "",
    }
    return TrainingSetResult(
        table=table,
        facts=facts,
        counts=counts,
        audit=audit,
        report=render(labels, cut, facts, counts, audit, auc, constant, audited),
        figures={"churn_by_as_of": plot_churn(counts), "single_feature_roc_auc": plot_auc(auc)},
        headline=_headline(counts, audit, labels),
    )


def _without(names: list[str], excluded: tuple[str, ...]) -> list[str]:
    unknown = [name for name in excluded if name not in names]
    if unknown:
        near = {name: difflib.get_close_matches(name, names, n=2) for name in unknown}
        raise ConfigError(
            "features to exclude do not exist",
            where="labels.exclude_features",
            count=len(unknown),
            examples=[f"{name} (nearest: {', '.join(found) or 'none'})" for name, found in near.items()],
        )
    return [name for name in names if name not in excluded]


def _require_dates(engine: Engine, events: ir.Table, cut: date) -> None:
    left = events.filter(events.churn)
    total = engine.integer(left.count())
    dated = engine.integer(left.filter(left.churn_date.notnull()).count())
    if total and not dated:
        raise SourceError(
            "leavers have no churn_date, so nobody can tell when they left",
            where="churn_label",
            count=total,
            todo="Use labels=snapshot, or map churn_date in conf/data/<name>.yaml",
        )
    if not engine.integer(events.count()):
        raise SourceError("there are no labels", where="churn_label", todo=f"Check the file and the data cut {cut}")


def _counts(engine: Engine, table: ir.Table) -> pd.DataFrame:
    grouped = table.group_by("split", "as_of").aggregate(
        rows=table.count(),
        stayed=table.sample_weight.sum(where=table.left_horizon == 0).round(),
        left=table.sample_weight.sum(where=table.left_horizon == 1).round(),
        censored=table.sample_weight.sum(where=table.left_horizon.isnull()).round(),
        **{f"left_{window}": table.sample_weight.sum(where=table[f"left_{window}"] == 1).round() for window in WINDOWS},
    )
    frame = engine.frame(grouped)
    frame["as_of"] = pd.to_datetime(frame["as_of"]).dt.date
    whole = [name for name in frame.columns if name not in ("split", "as_of")]
    frame[whole] = frame[whole].astype("float64").fillna(0.0).astype("int64")
    frame["churn_rate"] = frame["left"] / (frame["left"] + frame["stayed"]).where(lambda total: total > 0)
    order = frame["split"].map({"train": 0, "valid": 1, "test": 2, EMBARGO: 3})
    return frame.assign(_order=order).sort_values(["_order", "as_of"], ignore_index=True).drop(columns="_order")


def _audited_share(counts: pd.DataFrame, labels: LabelSettings) -> float:
    """Share of the customers of the training set that the audit looks at."""
    known = counts.loc[counts["split"] != EMBARGO, ["stayed", "left"]].to_numpy().sum() * labels.sample.stayers
    return min(1.0, AUDITED_ROWS / max(int(known), 1))


def _facts(
    engine: Engine, outcomes: ir.Table, counts: pd.DataFrame, labels: LabelSettings
) -> dict[str, float | int | str]:
    usable = ~outcomes.without_label & ~outcomes.left_unregistered
    row = engine.frame(
        outcomes.aggregate(
            at_risk=outcomes.count(),
            without_label=outcomes.without_label.sum(),
            left_unregistered=outcomes.left_unregistered.sum(),
            censored_by_offer=(usable & (outcomes.censored_by == "offer")).sum(),
            censored_by_maturity=(usable & (outcomes.censored_by == "maturity")).sum(),
            unknown_propensities=outcomes.unknown_propensities.sum(),
        )
    ).iloc[0]
    facts: dict[str, float | int | str] = {
        str(name): 0 if pd.isna(value) else int(value) for name, value in row.items()
    }
    for split, group in counts.groupby("split", sort=False):
        left, stayed = int(group["left"].sum()), int(group["stayed"].sum())
        facts |= {f"rows_{split}": int(group["rows"].sum()), f"churners_{split}": left}
        facts[f"churn_rate_{split}"] = left / max(left + stayed, 1)
    for split, day, rows, left in counts[["split", "as_of", "rows", "left"]].itertuples(index=False):
        facts |= {f"rows_{split}.{day}": int(rows), f"churners_{split}.{day}": int(left)}
    facts["is_temporal"] = int(labels.kind == "dated")
    facts |= {"sample_stayers": labels.sample.stayers, "sample_leavers": labels.sample.leavers}
    return facts


def _headline(counts: pd.DataFrame, audit: pd.DataFrame, labels: LabelSettings) -> str:
    per_split = [
        f"{split} {int(group['rows'].sum()):,} rows, {int(group['left'].sum()):,} leave"
        for split, group in counts.groupby("split", sort=False)
    ]
    warning = "" if labels.kind == "dated" else "; NOT a temporal split"
    return f"{'; '.join(per_split)}; {len(audit)} leak flags{warning}"
