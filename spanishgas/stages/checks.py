"""Does a table keep its contract? By pandera while it fits a frame, by counts in the engine beyond."""

import ibis.expr.types as ir

from spanishgas.contracts import Contract
from spanishgas.contracts.checks import check_frame
from spanishgas.engine.counts import check_by_counts
from spanishgas.engine.session import Engine

MAX_FRAME_ROWS = 1_000_000


def check_table(engine: Engine, contract: Contract, table: ir.Table) -> None:
    """Checks a table against its contract.

    Raises:
        ContractError: It breaks the contract; the message lists every kind of violation with its count.
    """
    if engine.integer(table.count()) <= MAX_FRAME_ROWS:
        check_frame(contract, engine.frame(table))
    else:
        check_by_counts(engine, contract, table)
