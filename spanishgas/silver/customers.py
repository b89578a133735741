"""Silver `customers`: who the customers are, every version."""

from spanishgas.contracts.silver import CUSTOMERS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_customers(engine: Engine, mapped: Mapped) -> Resolved:
    """Text of regions is kept as it is; sales channels and provinces are in the contract's words already."""
    return resolve_duplicates(engine, mapped.rows, CUSTOMERS)
