"""Days that are not simply 24 hours once: repeated hours, corrections, late arrivals, gaps.

Rules:

- Of readings of one hour with the same known-at day one stays: a measured one before an estimated one, a known value
  before a missing one, then the greater energy, then the greater gas volume. The others are counted as duplicates.
- An hour that the autumn clock change doubles may stand twice (once, if the day is counted from 1 to 25).
- A version of a day is all of the day as known on one known-at day: of every hour the reading that became known last.
  Of the two readings of a doubled hour a correction replaces the one with the same place in the order above.
"""

import ibis
import ibis.expr.types as ir

from spanishgas.engine.session import Engine
from spanishgas.silver.hour_keys import INDEX_SLOTS, Clock
from spanishgas.silver.hour_runs import STEPS_PER_UNIT

NEVER = 2**31 - 1


def resolve_days(engine: Engine, rows: ir.Table, clock: Clock) -> ir.Table:
    """Versions of days from their readings.

    Args:
        engine: The engine.
        rows: All readings of some customer-days, in the columns of ``hour_runs.ROW_SCHEMA``.
        clock: Clock of the keys.

    Returns:
        One row per customer, day and known-at day, in the columns of a run with ``duplicate_count`` and
        ``conflicting_count``, energies in millionths.
    """
    kept = engine.materialize(_placed(rows, clock))
    versions = kept.select("customer_id", "day", as_known_at="known_at").distinct()
    readings = versions.join(
        kept,
        [
            versions.customer_id == kept.customer_id,
            versions.day == kept.day,
            kept.known_at <= versions.as_known_at,
            kept.until > versions.as_known_at,
        ],
        rname="{name}_right",
    )
    used = readings.place < readings.places
    power = readings.elec > 0
    elec, gas = _steps(readings.elec), _steps(readings.gas)
    return readings.group_by("customer_id", "day", known_at="as_known_at").aggregate(
        hours_expected=readings.hours_expected.max(),
        hours_seen=used.sum(),
        **{f"elec_p{period}": elec.sum(where=used & power & (readings.period == period)) for period in (1, 2, 3)},
        gas=gas.sum(where=used & (readings.gas > 0)),
        elec_negative=elec.sum(where=used & (readings.elec < 0)),
        elec_negative_count=(used & (readings.elec < 0)).sum(),
        gas_negative=gas.sum(where=used & (readings.gas < 0)),
        gas_negative_count=(used & (readings.gas < 0)).sum(),
        estimated_count=(used & readings.is_estimated).sum(),
        estimated=elec.sum(where=used & readings.is_estimated & power),
        duplicate_count=(~used).sum(),
        conflicting_count=(~used & readings.conflicting).sum(),
    )


def _steps(value: ir.FloatingValue) -> ir.FloatingValue:
    return (value * STEPS_PER_UNIT).round().cast("float64")


def _placed(rows: ir.Table, clock: Clock) -> ir.Table:
    """Readings with their place among those of one hour, and the known-at day from which another one replaces them."""
    rows = rows.filter(rows.elec.notnull() | rows.gas.notnull())
    customer_day = [rows.customer_id, rows.day]
    hour = [*customer_day, rows.key, rows.known_at]
    order = [rows.is_estimated, rows.elec.isnull(), rows.elec.desc(), rows.gas.isnull(), rows.gas.desc()]
    doubled = rows.ambiguous
    if clock == "hour_index":
        counted = (rows.key % INDEX_SLOTS == 25).any().over(group_by=customer_day)
        doubled = doubled & ~counted
    first = ibis.window(group_by=hour, order_by=order)
    ranked = rows.mutate(
        place=ibis.row_number().over(first),
        places=ibis.ifelse(doubled, 2, 1),
        conflicting=(
            ~rows.elec.identical_to(rows.elec.first(include_null=True).over(first))
            | ~rows.gas.identical_to(rows.gas.first(include_null=True).over(first))
            | (rows.is_estimated != rows.is_estimated.first().over(first))
        ),
    )
    later = ibis.window(group_by=[ranked.customer_id, ranked.day, ranked.key, ranked.place], order_by=ranked.known_at)
    used = ranked.place < ranked.places
    following = ranked.known_at.lead().over(later)
    # A duplicate is never replaced: it stays counted in every later version.
    return ranked.mutate(until=ibis.ifelse(used, ibis.coalesce(following, NEVER), NEVER).cast("int32"))
