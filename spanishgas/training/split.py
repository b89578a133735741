"""Splits: by `as_of` with an embargo, or by customer where a source has one snapshot only."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import ibis
import ibis.expr.types as ir

from spanishgas.config import LabelSettings
from spanishgas.domain.civil_time import month_ends
from spanishgas.engine.session import Engine
from spanishgas.errors import ConfigError

ORDER = ("train", "valid", "test")
HASH_DIGITS = 15


def training_as_of(labels: LabelSettings, snapshot: date) -> tuple[date, ...]:
    """All `as_of` dates of the training set.

    Args:
        labels: Label settings.
        snapshot: The data set's own `as_of`, used where there is one snapshot only.
    """
    if labels.kind == "snapshot":
        return (snapshot,)
    return tuple(sorted(day for days in dates_by_split(labels).values() for day in days))


def dates_by_split(labels: LabelSettings) -> dict[str, tuple[date, ...]]:
    """Month ends of every split, checked: in temporal order, apart by at least horizon + registration lag.

    Without that embargo the outcomes of one split would reach into the features of the next.

    Raises:
        ConfigError: A split has no month end, or two splits are too close.
    """
    found = {name: month_ends(labels.split[name].first, labels.split[name].last) for name in ORDER}  # type: ignore[index]
    empty = [name for name, days in found.items() if not days]
    if empty:
        raise ConfigError("has no month in its range", where="labels.split", examples=empty)
    embargo = timedelta(days=labels.horizon_days + labels.registration_lag_days)
    for earlier, later in pairwise(ORDER):
        last, first = found[earlier][-1], found[later][0]
        if first < last + embargo:
            raise ConfigError(
                f"{earlier} ends on {last} and {later} begins on {first}: less than the embargo of {embargo.days} days",
                where="labels.split",
                todo=f"Let {later} begin on or after {last + embargo}, or let {earlier} end earlier",
            )
    return found


def split_by_date(engine: Engine, labels: LabelSettings) -> ir.Table:
    """``as_of`` and ``split`` of every date."""
    rows = [{"as_of": day, "split": name} for name, days in dates_by_split(labels).items() for day in days]
    return engine.materialize(ibis.memtable(rows, schema={"as_of": "date", "split": "string"}))


def split_by_customer(engine: Engine, customers: ir.Table, shares: Mapping[str, float]) -> ir.Table:
    """``customer_id`` and ``split`` by a stable hash of the customer.

    The same customer falls into the same split in every run, on every machine, whoever else there is.

    Args:
        engine: The engine.
        customers: Column ``customer_id``.
        shares: Split -> share; they sum to 1.
    """
    import pandas as pd

    found = engine.frame(customers.select("customer_id").distinct().order_by("customer_id"))
    found["split"] = [_split_of(str(customer), shares) for customer in found["customer_id"]]
    return engine.table(found if len(found) else pd.DataFrame({"customer_id": pd.Series(dtype=str), "split": ""}))


def _split_of(customer: str, shares: Mapping[str, float]) -> str:
    digest = hashlib.sha256(customer.encode()).hexdigest()[:HASH_DIGITS]
    place = int(digest, 16) / 16**HASH_DIGITS
    names: Sequence[str] = [name for name in ORDER if name in shares]
    reached = 0.0
    for name in names:
        reached += shares[name]
        if place < reached:
            return name
    return names[-1]
