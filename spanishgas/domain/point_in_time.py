"""What could be known when: the one place that compares event and known-at times with `as_of`.

A row is visible at `as_of` when its event and its known-at day are both at or before it. Of several visible rows of one
thing the last holds. Rows that are not visible have no influence at all, not even by hiding others.
"""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

NEVER = date(9999, 12, 31)


def with_visibility(
    table: ir.Table, *, event: str | None, key: Sequence[str], order: Sequence[str] = ("known_at",)
) -> ir.Table:
    """Adds the days between which each row is the one that holds.

    Args:
        table: Rows with ``known_at`` (date, not null).
        event: Date column of the event, or None for undated facts. A null event counts as having happened.
        key: What rows are versions of.
        order: Of the visible rows with one key the last in this order holds; (key, order) is unique.

    Returns:
        The table with ``visible_from`` (inclusive) and ``visible_until`` (exclusive), both dates. A row that is never
        the one that holds has ``visible_until`` at or before ``visible_from``.
    """
    happened = table.known_at if event is None else table[event]
    table = table.mutate(visible_from=ibis.greatest(table.known_at, ibis.coalesce(happened, table.known_at)))
    later = ibis.window(group_by=list(key), order_by=[table[name] for name in order], rows=(1, None))
    return table.mutate(visible_until=ibis.coalesce(table.visible_from.min().over(later), ibis.literal(NEVER)))


def visible_at(dates: ir.Table, rows: ir.Table) -> ir.Table:
    """The rows that hold at each date.

    Args:
        dates: One row per cutoff, column ``as_of``; further columns are carried along.
        rows: A table from ``with_visibility``.

    Returns:
        ``dates`` x rows, without the two visibility columns.
    """
    joined = dates.join(rows, [rows.visible_from <= dates.as_of, rows.visible_until > dates.as_of])
    return joined.drop("visible_from", "visible_until")


def days_between(later: ir.DateValue, earlier: ir.DateValue) -> ir.IntegerValue:
    """Days from one date to another, negative when they stand the other way round."""
    return later.delta(earlier, unit="day")
