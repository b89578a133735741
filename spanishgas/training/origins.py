"""Rows of a rolling origin: what could be learned on a day, and what became of the customers of that day."""

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import BacktestSettings, LabelSettings
from spanishgas.domain.civil_time import add_months, month_ends
from spanishgas.engine.session import Engine
from spanishgas.errors import ConfigError
from spanishgas.training.labels import LABEL_COLUMNS, dated_labels
from spanishgas.training.sampling import sampled
from spanishgas.training.split import last_month_end, learned_months, mature_until

KEY = ("customer_id", "as_of")


def origins(settings: BacktestSettings, labels: LabelSettings, cut: date, begin: date | None) -> tuple[date, ...]:
    """The origins, oldest first.

    Args:
        settings: How many, or from when to when.
        labels: Label settings.
        cut: Last day that the files are complete for.
        begin: First day of the history that features look back on.

    Raises:
        ConfigError: There are none, or the outcomes of the last are not mature.
    """
    if labels.kind != "dated":
        raise ConfigError(
            "there is nothing to roll over", where="evaluation.backtest", todo="A backtest needs dated labels"
        )
    latest = mature_until(labels, cut)
    if settings.first is None or settings.last is None:
        newest = last_month_end(latest)
        days = month_ends(add_months(newest, 1 - settings.months), newest)[:: -settings.every][::-1]
        least = labels.split.valid_months + 1
        days = tuple(day for day in days if len(learned_months(labels, day, begin)) >= least)
        if not days:
            raise ConfigError(
                f"at no origin up to {newest} are there {least} months to learn from",
                where="evaluation.backtest",
                todo="Bring more history, or a shorter labels.horizon_days",
            )
        return days
    days = month_ends(settings.first, settings.last)[:: settings.every]
    if not days or days[-1] > latest:
        raise ConfigError(
            f"the outcomes of {days[-1] if days else 'no month'} are not mature at the data cut {cut}",
            where="evaluation.backtest.last",
            todo=f"Let it be at or before {latest}",
        )
    return days


def origin_rows(
    engine: Engine,
    features: ir.Table,
    silver: Mapping[str, ir.Table],
    labels: LabelSettings,
    origin: date,
    learned: Sequence[date],
    cut: date,
) -> pd.DataFrame:
    """Rows of one origin, in the columns of a training set.

    Rows to learn from carry the outcomes that were known at the origin, registration lag included: later windows are
    unknown, as they were then. Rows to judge on carry what is known at the data cut.

    Returns:
        ``split`` is ``train`` or ``test``.
    """
    parts = []
    for split, days, known in (("train", list(learned), origin), ("test", [origin], cut)):
        rows = features.filter(features.as_of.isin(days))
        at_risk = engine.materialize(rows.select(*KEY))
        outcomes = dated_labels(engine, at_risk, silver["churn_events"], silver["retention_offers"], labels, known)
        usable = outcomes.filter(~outcomes.without_label & ~outcomes.left_unregistered).drop(
            "without_label", "left_unregistered", "unknown_propensities"
        )
        columns = [name for name in LABEL_COLUMNS if name != "split"]
        usable = sampled(usable, labels.sample)
        joined = usable.select(*KEY, *columns).join(rows, list(KEY))
        parts.append(joined.mutate(split=ibis.literal(split)))
    # Put together before they are frames: what is null for a whole part keeps its type.
    return engine.frame(ibis.union(*parts).order_by("as_of", "customer_id"))
