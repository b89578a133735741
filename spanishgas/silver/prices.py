"""Silver `prices`: what customers pay, by the first day on which it applies."""

from spanishgas.contracts.silver import PRICES
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_prices(engine: Engine, mapped: Mapped) -> Resolved:
    """Zeros that mean missing are null already, implausible prices too, and counted; the others stay as told."""
    return resolve_duplicates(engine, mapped.rows, PRICES)
