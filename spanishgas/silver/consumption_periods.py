"""Silver `consumption_periods`: energy over stated periods."""

from spanishgas.contracts.silver import CONSUMPTION_PERIODS
from spanishgas.engine.session import Engine
from spanishgas.silver.mapping import Mapped
from spanishgas.silver.versions import Resolved, resolve_duplicates


def build_consumption_periods(engine: Engine, mapped: Mapped) -> Resolved:
    """Periods are kept as they are: nothing is spread over days that nobody measured."""
    return resolve_duplicates(engine, mapped.rows, CONSUMPTION_PERIODS)
