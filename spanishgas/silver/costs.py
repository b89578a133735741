"""Silver `costs`: what energy costs the retailer, by province and month."""

from dataclasses import replace

import ibis.expr.types as ir

from spanishgas.contracts.silver import COSTS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_costs(engine: Engine, mapped: Mapped) -> Resolved:
    """Months are told by their first day, whatever day the file writes."""
    rows = mapped.rows
    late = engine.integer((rows.month.day() != 1).sum().fill_null(0))
    return replace(resolve_duplicates(engine, _cleaned(rows), COSTS), counts={"month_begins_late": late})


def _cleaned(rows: ir.Table) -> ir.Table:
    return rows.mutate(month=rows.month.truncate("M").cast("date"))
