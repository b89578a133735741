"""Contract checks by counts in the engine, for tables that are too large for a frame."""

import ibis
import ibis.expr.types as ir

from spanishgas.contracts import Contract
from spanishgas.engine.session import Engine
from spanishgas.errors import ContractError


def check_by_counts(engine: Engine, contract: Contract, table: ir.Table) -> None:
    """Checks names, nulls, domains, ranges and the key's uniqueness, values in one pass over the table.

    Raises:
        ContractError: It breaks the contract; the message lists every kind of violation with its count.
    """
    missing = [name for name in contract.column_names if name not in table.columns]
    unexpected = [name for name in table.columns if name not in contract.column_names and not contract.open]
    faults = [f"no column {name}" for name in missing] + [f"unexpected column {name}" for name in unexpected]
    counts: dict[str, ir.IntegerScalar] = {}
    for column in contract.columns:
        if column.name in missing:
            continue
        value = table[column.name]
        if not column.nullable:
            counts[f"{column.name} is null"] = value.isnull().sum()
        if column.domain is not None:
            counts[f"{column.name} outside its domain"] = (value.notnull() & value.notin(column.domain)).sum()
        if column.minimum is not None:
            counts[f"{column.name} below {column.minimum:g}"] = (value < column.minimum).sum()
        if column.maximum is not None:
            counts[f"{column.name} above {column.maximum:g}"] = (value > column.maximum).sum()
    total = 0
    if counts:
        row = engine.frame(table.aggregate(**counts)).iloc[0]
        for what, count in row.items():
            if count:
                faults.append(f"{what}: {int(count):,} rows")
                total += int(count)
    if not missing:
        grouped = table.group_by(list(contract.primary_key)).aggregate(rows=ibis._.count())
        count = engine.integer(grouped.filter(grouped.rows > 1).count())
        if count:
            faults.append(f"key ({', '.join(contract.primary_key)}) stands more than once: {count:,} keys")
            total += count
    if faults:
        raise ContractError(
            "breaks its contract: " + "; ".join(faults),
            where=f"{contract.layer} {contract.name} v{contract.version}",
            count=total or None,
            todo="This is a fault of the stage that made the table, or its contract must change",
        )
