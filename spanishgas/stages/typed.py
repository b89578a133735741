"""Frames in a contract's columns and types: a table without rows must have types too."""

from datetime import date
from typing import Final

import pandas as pd

from spanishgas.contracts import Contract

TYPES: Final = {
    "string": "string",
    "int": "Int64",
    "float": "float64",
    "bool": "bool",
    "date": "datetime64[ns]",
    "timestamp": "datetime64[ns]",
}


def typed(table: pd.DataFrame, contract: Contract, run_date: date) -> pd.DataFrame:
    """A table of a run date as its contract has it.

    Args:
        table: Its columns but for ``run_date``; others are dropped.
        contract: The contract.
        run_date: The run date.
    """
    whole = (
        table.assign(run_date=pd.Timestamp(run_date)) if len(table) else table.reindex(columns=contract.column_names)
    )
    types = {column.name: TYPES[column.type] for column in contract.columns}
    return whole[list(types)].astype(types).reset_index(drop=True)
