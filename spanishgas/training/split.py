"""Splits: by `as_of` with an embargo, or by customer where a source has one snapshot only."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import ibis
import ibis.expr.types as ir

from spanishgas.config import LabelSettings
from spanishgas.domain.civil_time import add_months, month_end, month_ends, month_start
from spanishgas.engine.session import Engine
from spanishgas.errors import ConfigError

ORDER = ("train", "valid", "test")
# Months whose outcomes reach into those of the next split: nobody is judged on them, a refit learns from them.
EMBARGO = "embargo"
HASH_DIGITS = 15


def training_as_of(labels: LabelSettings, snapshot: date, cut: date, begin: date | None) -> tuple[date, ...]:
    """All `as_of` dates of the training set.

    Args:
        labels: Label settings.
        snapshot: The data set's own `as_of`, used where there is one snapshot only.
        cut: Last day that the files are complete for.
        begin: First day of the history that features look back on; None where it is not known.
    """
    if labels.kind == "snapshot":
        return (snapshot,)
    return tuple(sorted(day for days in months_of(labels, cut, begin).values() for day in days))


def months_of(labels: LabelSettings, cut: date, begin: date | None) -> dict[str, tuple[date, ...]]:
    """Month ends of train, valid and test, and those between them under ``embargo``; one rule for all who train.

    Splits lie apart by at least horizon + registration lag: without that embargo the outcomes of one split would reach
    into the features of the next. Months that are named by date have none under ``embargo``.

    Args:
        labels: Label settings, dated.
        cut: Last day that the files are complete for, or what a backtest takes for it.
        begin: First day of the history that features look back on; None where it is not known.

    Raises:
        ConfigError: There are not enough months, the wanted ones are not mature, or named splits are too close.
    """
    if labels.split.is_by_date:
        return _named(labels)
    newest = _newest(labels, cut)
    found = _counted(labels, newest)
    first = first_month(labels, begin)
    found["train"] = tuple(day for day in found["train"] if day >= first)
    if not found["train"]:
        raise _too_few(labels, newest, first)
    named = {day for days in found.values() for day in days}
    between = tuple(day for day in month_ends(found["train"][0], newest) if day not in named)
    return {**found, EMBARGO: between}


def learned_months(labels: LabelSettings, cut: date, begin: date | None) -> tuple[date, ...]:
    """Months that a refit at a data cut learns from: those of all splits and between them, as far as there are any."""
    newest, first = last_month_end(mature_until(labels, cut)), first_month(labels, begin)
    if not labels.split.is_by_date:
        first = max(first, _counted(labels, newest)["train"][0])
    return month_ends(first, newest) if newest >= first else ()


def _counted(labels: LabelSettings, newest: date) -> dict[str, tuple[date, ...]]:
    """Months of train, valid and test, counted back from the newest, however far history reaches."""
    test = _before(newest, labels.split.test_months)
    valid = _before(_last_before(test[0], labels), labels.split.valid_months)
    train = _before(_last_before(valid[0], labels), labels.split.train_months)
    return {"train": train, "valid": valid, "test": test}


def mature_until(labels: LabelSettings, cut: date) -> date:
    """The last day whose outcomes over the whole horizon are known at a data cut."""
    return cut - timedelta(days=labels.horizon_days + labels.registration_lag_days)


def first_month(labels: LabelSettings, begin: date | None) -> date:
    """The first `as_of` that is worth learning from.

    Raises:
        ConfigError: Nothing tells.
    """
    if labels.split.is_by_date:
        return month_end(_date_of(labels.split.train.first))
    if begin is None:
        raise ConfigError(
            "nobody knows where the history of prices and readings begins",
            where="labels.split",
            todo="Give months by date: labels.split.train, .valid and .test",
        )
    return month_end(add_months(begin, labels.split.warmup_months) - timedelta(days=1))


def split_of(months: Mapping[str, Sequence[date]], engine: Engine) -> ir.Table:
    """``as_of`` and ``split`` of every date."""
    rows = [{"as_of": day, "split": name} for name, days in months.items() for day in days]
    return engine.materialize(ibis.memtable(rows, schema={"as_of": "date", "split": "string"}))


def _embargo(labels: LabelSettings) -> timedelta:
    return timedelta(days=labels.split.embargo_days or labels.horizon_days + labels.registration_lag_days)


def _newest(labels: LabelSettings, cut: date) -> date:
    """The newest month of test."""
    latest = last_month_end(mature_until(labels, cut))
    wanted = labels.split.months_before_cut
    if wanted is None:
        return latest
    chosen = last_month_end(add_months(last_month_end(cut), -wanted))
    if chosen > latest:
        raise ConfigError(
            f"the outcomes of {chosen} are not mature at the data cut {cut}",
            where="labels.split.months_before_cut",
            todo=f"Let it be null, which takes {latest}, or more than {wanted}",
        )
    return chosen


def _last_before(later: date, labels: LabelSettings) -> date:
    """The newest month end that an embargo keeps apart from the first month of the next split."""
    return last_month_end(later - _embargo(labels))


def last_month_end(day: date) -> date:
    """The last month end at or before a day."""
    return day if day == month_end(day) else month_start(day) - timedelta(days=1)


def _before(last: date, months: int) -> tuple[date, ...]:
    """So many month ends up to one."""
    return month_ends(add_months(last, 1 - months), last)


def _too_few(labels: LabelSettings, newest: date, first: date) -> ConfigError:
    """How many mature months there are, and how many the splits need at least."""
    split = labels.split
    there = len(month_ends(first, newest)) if newest >= first else 0
    needed = len(month_ends(_counted(labels, newest)["train"][-1], newest))
    return ConfigError(
        f"{there} months from {first} to {newest} have known outcomes and {split.warmup_months} months of history "
        f"before them; train, valid and test need {needed}, with an embargo of {_embargo(labels).days} days between",
        where="labels.split",
        todo=(
            "Bring more history, or take a shorter labels.horizon_days, fewer labels.split.test_months, .valid_months "
            "or .warmup_months; labels=snapshot splits by customer instead"
        ),
    )


def _named(labels: LabelSettings) -> dict[str, tuple[date, ...]]:
    """Months by date, checked."""
    ranges = {name: getattr(labels.split, name) for name in ORDER}
    found = {name: month_ends(_date_of(one.first), _date_of(one.last)) for name, one in ranges.items()}
    empty = [name for name, days in found.items() if not days]
    if empty:
        raise ConfigError("has no month in its range", where="labels.split", examples=empty)
    for earlier, later in pairwise(ORDER):
        last, first, embargo = found[earlier][-1], found[later][0], _embargo(labels)
        if first < last + embargo:
            raise ConfigError(
                f"{earlier} ends on {last} and {later} begins on {first}: less than the embargo of {embargo.days} days",
                where="labels.split",
                todo=f"Let {later} begin on or after {last + embargo}, or let {earlier} end earlier",
            )
    return {**found, EMBARGO: ()}


def _date_of(day: date | None) -> date:
    assert day is not None
    return day


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
