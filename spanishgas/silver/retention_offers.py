"""Silver `retention_offers`: past campaigns, with their controls."""

import ibis.expr.types as ir

from spanishgas.contracts.silver import RETENTION_OFFERS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_retention_offers(engine: Engine, mapped: Mapped) -> Resolved:
    """A row without an offer has neither channel nor window."""
    return resolve_duplicates(engine, _cleaned(mapped.rows), RETENTION_OFFERS)


def _cleaned(rows: ir.Table) -> ir.Table:
    none = rows.action == "none"
    return rows.mutate(
        channel=none.ifelse("none", rows.channel.fill_null("unknown")),
        timing_window=none.ifelse("none", rows.timing_window),
    )
