"""Days that are not simply 24 hours once: repeated intervals, corrections, late arrivals, gaps.

Rules:

- Of readings of one interval with the same known-at day one stays: a measured one before an estimated one, a known
  value before a missing one, then the greater energy, then the greater gas volume. The others count as duplicates.
- An interval that the autumn clock change doubles may stand twice (once, if the day is counted through, from 1 to 25).
  Of the two ways of writing its end that way holds whose doubled label stands more often.
- A version of a day is all of the day as known on one known-at day: of every interval the reading that became known
  last. Of the two readings of a doubled interval a correction replaces the one with the same place in the order above.
"""

import ibis
import ibis.expr.types as ir

from spanishgas.engine.session import Engine
from spanishgas.silver.hour_keys import BY_BOTH, BY_END, BY_START, COUNTED
from spanishgas.silver.hour_runs import STEPS_PER_UNIT

NEVER = 2**31 - 1


def resolve_days(engine: Engine, rows: ir.Table) -> ir.Table:
    """Versions of days from their readings.

    Args:
        engine: The engine.
        rows: All readings of some units' days, in the columns of ``hour_runs.ROW_SCHEMA``.

    Returns:
        One row per customer, day and known-at day, in the columns of a run with ``duplicate_count`` and
        ``conflicting_count``, energies in millionths.
    """
    kept = engine.materialize(_placed(engine, rows))
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
        hours_seen=(readings.minutes.sum(where=used).fill_null(0) // 60).cast("int64"),
        readings=used.sum(),
        **{f"elec_p{period}": elec.sum(where=used & power & (readings.period == period)) for period in (1, 2, 3)},
        gas=gas.sum(where=used & (readings.gas > 0)),
        elec_negative=elec.sum(where=used & (readings.elec < 0)),
        elec_negative_count=(used & (readings.elec < 0)).fill_null(False).sum(),
        gas_negative=gas.sum(where=used & (readings.gas < 0)),
        gas_negative_count=(used & (readings.gas < 0)).fill_null(False).sum(),
        estimated_count=(used & readings.is_estimated).sum(),
        estimated=elec.sum(where=used & readings.is_estimated & power),
        duplicate_count=(~used).sum(),
        conflicting_count=(~used & readings.conflicting).sum(),
    )


def _steps(value: ir.FloatingValue) -> ir.FloatingValue:
    return (value * STEPS_PER_UNIT).round().cast("float64")


def _placed(engine: Engine, rows: ir.Table) -> ir.Table:
    """Readings with their place among those of one interval, and the known-at day from which another replaces them."""
    rows = _doubled(engine, rows.filter(rows.elec.notnull() | rows.gas.notnull()))
    hour = [rows.customer_id, rows.day, rows.start, rows.known_at]
    order = [rows.is_estimated, rows.elec.isnull(), rows.elec.desc(), rows.gas.isnull(), rows.gas.desc()]
    first = ibis.window(group_by=hour, order_by=order)
    ranked = rows.mutate(
        place=ibis.row_number().over(first),
        places=ibis.ifelse(rows.doubled, 2, 1),
        conflicting=(
            ~rows.elec.identical_to(rows.elec.first(include_null=True).over(first))
            | ~rows.gas.identical_to(rows.gas.first(include_null=True).over(first))
            | (rows.is_estimated != rows.is_estimated.first().over(first))
        ),
    )
    later = ibis.window(group_by=[ranked.customer_id, ranked.day, ranked.start, ranked.place], order_by=ranked.known_at)
    used = ranked.place < ranked.places
    following = ranked.known_at.lead().over(later)
    # A duplicate is never replaced: it stays counted in every later version.
    return ranked.mutate(until=ibis.ifelse(used, ibis.coalesce(following, NEVER), NEVER).cast("int32"))


def _doubled(engine: Engine, rows: ir.Table) -> ir.Table:
    """Readings with whether their interval may stand twice on its day."""
    either = rows.twice.isin([BY_END, COUNTED])
    if not engine.integer(rows.filter(either).limit(1).count()):
        return rows.mutate(doubled=rows.twice > 0)
    day = [rows.customer_id, rows.day]
    once = ibis.window(group_by=[*day, rows.known_at])
    rows = rows.mutate(
        by_end=(rows.twice == BY_END).sum().over(once),
        by_start=(rows.twice == BY_START).sum().over(once),
        counted=(rows.twice == COUNTED).any().over(group_by=day),
    )
    of_day = ibis.window(group_by=day)
    way = ibis.ifelse(rows.by_end.max().over(of_day) > rows.by_start.max().over(of_day), BY_END, BY_START)
    return rows.mutate(doubled=~rows.counted & ((rows.twice == way) | (rows.twice == BY_BOTH)))
