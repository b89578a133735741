"""Does a frame keep its contract? pandera is the judge; all violations are told at once."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from spanishgas.contracts.base import Column, Contract
from spanishgas.errors import ContractError

if TYPE_CHECKING:
    import pandera.pandas as pa

EXAMPLES = 3


def schema_for(contract: Contract) -> "pa.DataFrameSchema":
    """The pandera schema of a contract; open contracts allow further columns."""
    import pandera.pandas as pa

    columns: dict[str, Any] = {}
    for column in contract.columns:
        checks = [pa.Check(_type_check(column), name=f"is {column.type}", ignore_na=True)]
        if column.domain is not None:
            checks.append(pa.Check.isin(list(column.domain)))
        if column.minimum is not None:
            checks.append(pa.Check.ge(column.minimum))
        if column.maximum is not None:
            checks.append(pa.Check.le(column.maximum))
        columns[column.name] = pa.Column(None, checks, nullable=column.nullable, required=True)
    return pa.DataFrameSchema(columns, strict=not contract.open, unique=None, name=contract.name)


def check_frame(contract: Contract, frame: pd.DataFrame) -> None:
    """Checks a frame against its contract.

    Args:
        contract: The promise.
        frame: The table, one row per ``contract.grain``.

    Raises:
        ContractError: It breaks the contract. Missing and unexpected columns, wrong types, nulls, domains, ranges and a
            repeated key are all told at once, each with its count and a few examples.
    """
    import pandera.pandas as pa

    faults: list[str] = []
    total = 0
    cause: Exception | None = None
    try:
        schema_for(contract).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cause = error
        cases = error.failure_cases
        for (column, check), rows in cases.groupby(["column", "check"], dropna=False, sort=True):
            examples = ", ".join(map(str, rows["failure_case"].head(EXAMPLES)))
            faults.append(f"{column}: {check}, {len(rows):,} rows, e.g. {examples}")
            total += len(rows)
    key = list(contract.primary_key)
    if all(name in frame.columns for name in key):
        repeated = frame.duplicated(key, keep="first")
        if repeated.any():
            examples = "; ".join(map(str, frame.loc[repeated, key].head(EXAMPLES).itertuples(index=False, name=None)))
            faults.append(
                f"key ({', '.join(key)}) stands more than once: {int(repeated.sum()):,} rows, e.g. {examples}"
            )
            total += int(repeated.sum())
    if faults:
        raise ContractError(
            "breaks its contract: " + "; ".join(faults),
            where=f"{contract.layer} {contract.name} v{contract.version}",
            count=total,
            todo="This is a fault of the stage that made the table, or its contract must change",
        ) from cause


def _type_check(column: Column) -> Any:
    def check(series: "pd.Series[Any]") -> bool:
        values = series.dropna()
        if values.empty:
            return True
        kind = pd.api.types.infer_dtype(values, skipna=True)
        if column.type == "int" and kind == "floating":
            # How a frame holds integers beside missing values.
            return bool((values % 1 == 0).all())
        return kind in _KINDS[column.type]

    return check


_KINDS = {
    "string": {"string", "empty"},
    "int": {"integer"},
    "float": {"floating", "integer", "mixed-integer-float"},
    "bool": {"boolean"},
    "date": {"date", "datetime64", "datetime"},
    "timestamp": {"datetime64", "datetime"},
}
