"""Rows of a rolling origin: what could be learned on a day, and what became of the customers of that day."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import BacktestSettings, LabelSettings
from spanishgas.domain.civil_time import month_ends
from spanishgas.engine.session import Engine
from spanishgas.errors import ConfigError
from spanishgas.training.labels import LABEL_COLUMNS, dated_labels

KEY = ("customer_id", "as_of")


def origins(settings: BacktestSettings, labels: LabelSettings, cut: date) -> tuple[date, ...]:
    """The origins.

    Raises:
        ConfigError: There are none, or the outcomes of the last are not mature.
    """
    if labels.kind != "dated" or settings.first is None or settings.last is None:
        raise ConfigError(
            "there is nothing to roll over",
            where="evaluation.backtest",
            todo="A backtest needs dated labels, and evaluation.backtest.first and last",
        )
    days = month_ends(settings.first, settings.last)[:: settings.every]
    latest = cut - timedelta(days=labels.horizon_days + labels.registration_lag_days)
    if not days or days[-1] > latest:
        raise ConfigError(
            f"the outcomes of {days[-1] if days else 'no month'} are not mature at the data cut {cut}",
            where="evaluation.backtest.last",
            todo=f"Let it be at or before {latest}",
        )
    return days


def history(origin: date, settings: BacktestSettings, labels: LabelSettings, begin: date) -> tuple[date, ...]:
    """`as_of` dates before an origin of which at least the first window was mature then, the newest last.

    Args:
        origin: The origin.
        settings: How far to look back.
        labels: Windows and lag.
        begin: First `as_of` with features worth learning from.
    """
    latest = origin - timedelta(days=labels.window_days + labels.registration_lag_days)
    days = tuple(day for day in month_ends(begin, latest) if day <= latest) if latest >= begin else ()
    return days[-settings.history_months :]


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
        joined = usable.select(*KEY, *columns).join(rows, list(KEY))
        parts.append(joined.mutate(split=ibis.literal(split)))
    # Put together before they are frames: what is null for a whole part keeps its type.
    return engine.frame(ibis.union(*parts).order_by("as_of", "customer_id"))
