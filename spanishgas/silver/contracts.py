"""Silver `contracts`: contract terms, every version."""

from spanishgas.contracts.silver import CONTRACTS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_contracts(engine: Engine, mapped: Mapped) -> Resolved:
    """A product change dated after the row became known stays: features null it until it has happened."""
    return resolve_duplicates(engine, mapped.rows, CONTRACTS)
