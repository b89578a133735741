"""Silver `interactions`: what customers said."""

import ibis.expr.types as ir

from spanishgas.contracts.silver import INTERACTIONS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_interactions(engine: Engine, mapped: Mapped) -> Resolved:
    """A note without text or channel is a contact all the same; a missing channel is unknown."""
    return resolve_duplicates(engine, _cleaned(mapped.rows), INTERACTIONS)


def _cleaned(rows: ir.Table) -> ir.Table:
    return rows.mutate(channel=rows.channel.fill_null("unknown"))
