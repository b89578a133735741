"""Duplicates: what counts as the same row twice, and which of two different rows stays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from spanishgas.contracts import Contract
from spanishgas.engine.session import Engine


@dataclass(frozen=True)
class Resolved:
    """Rows with one version per key and known-at day.

    Attributes:
        rows: The contract's columns.
        duplicates: Rows dropped because an equal one stays.
        conflicting: Rows dropped because another one has the same key and known-at day, and other values.
        counts: Further check -> rows concerned.
    """

    rows: ir.Table
    duplicates: int
    conflicting: int
    counts: Mapping[str, int] = field(default_factory=dict)


def resolve_duplicates(engine: Engine, rows: ir.Table, contract: Contract) -> Resolved:
    """Keeps one row per primary key (the known-at day is part of it).

    Equal rows collapse. Of rows with equal key and known-at day that differ, the most complete one stays (fewest
    missing values), and of equally complete ones the greatest, column by column in the contract's order: the rule looks
    at what rows say, not at where they stand, so that the order of rows and files cannot change the result. Rows with
    different known-at days are versions and all stay.

    Args:
        engine: The engine.
        rows: At least the contract's columns.
        contract: Contract of the silver table.
    """
    columns = list(contract.column_names)
    rows = rows.select(*columns)
    values = [rows[name] for name in columns if name not in contract.primary_key]
    missing = sum((value.isnull().cast("int8") for value in values), ibis.literal(0, type="int8"))
    best = [missing, *(value.desc() for value in values)]
    keyed = ibis.window(group_by=[rows[name] for name in contract.primary_key], order_by=best)
    copies = ibis.window(group_by=[rows[name] for name in columns])
    ranked = engine.materialize(rows.mutate(_rank=ibis.row_number().over(keyed), _copy=ibis.row_number().over(copies)))
    dropped = ranked.filter(ranked._rank > 0)
    total = engine.integer(dropped.count())
    equal = engine.integer(ranked.filter(ranked._copy > 0).count()) if total else 0
    return Resolved(ranked.filter(ranked._rank == 0).select(*columns), equal, total - equal)
