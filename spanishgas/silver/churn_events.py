"""Silver `churn_events`: who left, when, and when it became known."""

import ibis
import ibis.expr.types as ir

from spanishgas.contracts.silver import CHURN_EVENTS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_churn_events(engine: Engine, mapped: Mapped) -> Resolved:
    """A leaver without a reason left for an unknown one; a customer who stays has none."""
    return resolve_duplicates(engine, _cleaned(mapped.rows), CHURN_EVENTS)


def _cleaned(rows: ir.Table) -> ir.Table:
    left = rows.churn.fill_null(False)
    return rows.mutate(reason=left.ifelse(rows.reason.fill_null("unknown"), ibis.null("string")))
