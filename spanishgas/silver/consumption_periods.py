"""Silver `consumption_periods`: energy over stated periods."""

from dataclasses import replace

import ibis
import ibis.expr.types as ir

from spanishgas.contracts import sources
from spanishgas.contracts.silver import CONSUMPTION_PERIODS
from spanishgas.domain.exact import exact_sum
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates

POINT = "supply_point_id"
PERIOD = ("customer_id", "period_start", "period_end")
ENERGIES = ("consumption_elec_kwh", "consumption_gas_m3")
OF_POINTS = CONSUMPTION_PERIODS.model_copy(
    update={
        "columns": (sources.SUPPLY_POINT_ID, *CONSUMPTION_PERIODS.columns),
        "primary_key": (POINT, *CONSUMPTION_PERIODS.primary_key),
    }
)


def build_consumption_periods(engine: Engine, mapped: Mapped) -> Resolved:
    """Periods are kept as they are: nothing is spread over days that nobody measured.

    Supply points of one customer add up where their periods are the same.
    """
    found = resolve_duplicates(engine, mapped.rows, OF_POINTS)
    if not engine.integer(found.rows.filter(found.rows[POINT].notnull()).limit(1).count()):
        return replace(found, rows=found.rows.select(*CONSUMPTION_PERIODS.column_names))
    return replace(found, rows=engine.materialize(_added_up(found.rows)))


def _added_up(rows: ir.Table) -> ir.Table:
    """Every version of a customer's period: of each supply point what was known of it then."""
    versions = rows.select(*PERIOD, as_known_at="known_at").distinct()
    same = [versions[name] == rows[name] for name in PERIOD]
    joined = versions.join(rows, [*same, rows.known_at <= versions.as_known_at], rname="{name}_of_point")
    newest = ibis.window(
        group_by=[*(joined[name] for name in PERIOD), joined.as_known_at, joined[POINT]],
        order_by=joined.known_at.desc(),
    )
    ranked = joined.mutate(rank=ibis.row_number().over(newest))
    latest = ranked.filter(ranked["rank"] == 0)
    sums = latest.group_by(*PERIOD, known_at=latest.as_known_at).aggregate(
        **{name: exact_sum(latest[name]) for name in ENERGIES}
    )
    return sums.select(*CONSUMPTION_PERIODS.column_names)
