"""Where a raw file and its contract differ, with the configured mapping applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spanishgas.config import ColumnMapping, ExtraTable
from spanishgas.contracts import Column, Contract

Kind = Literal["missing_column", "missing_optional_column", "declared_absent", "unknown_column", "type_differs"]

# Inferred types that a contract type is read from without a further rule; text always needs one.
READABLE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"string", "int", "float", "bool", "date", "timestamp", "mixed", "empty"}),
    "int": frozenset({"int", "empty"}),
    "float": frozenset({"float", "int", "empty"}),
    "bool": frozenset({"bool", "int", "empty"}),
    "date": frozenset({"date", "timestamp", "empty"}),
    "timestamp": frozenset({"timestamp", "date", "empty"}),
}


@dataclass(frozen=True)
class Difference:
    """One difference between a raw file and what its reader expects.

    Attributes:
        kind: What kind of difference.
        column: Contract column, or raw column for an unknown one.
        detail: The difference in words.
    """

    kind: Kind
    column: str
    detail: str


def compare_schema(
    schema: Mapping[str, str],
    mappings: Mapping[str, ColumnMapping],
    contract: Contract | None,
    extras: ExtraTable | None = None,
) -> tuple[Difference, ...]:
    """Differences between an inferred schema and a contract, in the contract's order, unknown columns last.

    Args:
        schema: Raw column or dotted path -> inferred type.
        mappings: The part's mapping of contract columns.
        contract: The source's contract; None for a table of extra attributes.
        extras: The extra attributes, for such a table.
    """
    found: list[Difference] = []
    used: set[str] = set()
    for column in contract.columns if contract is not None else ():
        mapping = mappings.get(column.name)
        used |= _raw_columns(column.name, mapping)
        found += _compare_column(column, mapping, schema)
    if extras is not None:
        customer = mappings.get("customer_id")
        used |= _raw_columns("customer_id", customer)
        wanted = {"customer_id": next(iter(_raw_columns("customer_id", customer)), "customer_id")}
        wanted |= {name: extra.column for name, extra in extras.columns.items()}
        used |= set(wanted.values())
        found += [
            Difference("missing_column", name, f"no raw column {raw!r}")
            for name, raw in wanted.items()
            if raw not in schema
        ]
        return tuple(found)
    found += [
        Difference("unknown_column", raw, f"{kind}; no contract column is read from it")
        for raw, kind in schema.items()
        if raw not in used
    ]
    return tuple(found)


def _raw_columns(name: str, mapping: ColumnMapping | None) -> set[str]:
    """Raw columns that a contract column is read from."""
    if mapping is None:
        return {name}
    return set() if mapping.column is None else {mapping.column, *mapping.plus}


def _compare_column(column: Column, mapping: ColumnMapping | None, schema: Mapping[str, str]) -> list[Difference]:
    if mapping is not None and mapping.absent is not None:
        return [Difference("declared_absent", column.name, mapping.absent)]
    lacking = sorted(_raw_columns(column.name, mapping) - set(schema))
    if lacking:
        # A mapped column is expected, whatever the contract allows.
        kind: Kind = "missing_column" if column.required or mapping is not None else "missing_optional_column"
        return [Difference(kind, column.name, f"no raw column {', '.join(map(repr, lacking))}")]
    if mapping is not None and (mapping.column is None or mapping.codes or mapping.date_format):
        return []
    return [
        Difference("type_differs", column.name, f"{raw} looks like {schema[raw]}, the contract says {column.type}")
        for raw in sorted(_raw_columns(column.name, mapping))
        if schema[raw] not in READABLE[column.type]
    ]
