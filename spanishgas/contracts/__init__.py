"""What every table promises: sources, bronze, silver and gold."""

from spanishgas.contracts.base import Column, Contract, KnownAt
from spanishgas.contracts.bronze import BRONZE_TABLES
from spanishgas.contracts.decisions import POLICY_TABLES
from spanishgas.contracts.gold import GOLD_TABLES as MODEL_TABLES
from spanishgas.contracts.monitoring import MONITORING_TABLES
from spanishgas.contracts.silver import SILVER_TABLES
from spanishgas.contracts.sources import SOURCES

GOLD_TABLES: tuple[Contract, ...] = (*MODEL_TABLES, *POLICY_TABLES, *MONITORING_TABLES)
ALL_CONTRACTS: tuple[Contract, ...] = (*SOURCES, *BRONZE_TABLES, *SILVER_TABLES, *GOLD_TABLES)

__all__ = [
    "ALL_CONTRACTS",
    "BRONZE_TABLES",
    "GOLD_TABLES",
    "SILVER_TABLES",
    "SOURCES",
    "Column",
    "Contract",
    "KnownAt",
    "find_contract",
]


def find_contract(layer: str, name: str) -> Contract:
    """The contract of a table.

    Raises:
        KeyError: No contract has that layer and name.
    """
    for contract in ALL_CONTRACTS:
        if contract.layer == layer and contract.name == name:
            return contract
    raise KeyError(f"no contract for {layer} table {name!r}")
