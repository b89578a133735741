"""Silver `customer_extras`: columns beyond the contracts, one row per customer and attribute."""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from spanishgas.config import ExtraColumn, ExtraTable
from spanishgas.contracts.silver import CUSTOMER_EXTRAS
from spanishgas.engine.session import Engine
from spanishgas.errors import ContractError
from spanishgas.silver.mapping import Mapped, empty_quarantine, one_identity
from spanishgas.silver.raw import RawPart
from spanishgas.silver.values import as_bool, as_number, as_text, raw_value
from spanishgas.silver.versions import Resolved, resolve_duplicates

ALWAYS = date(1900, 1, 1)


def build_customer_extras(engine: Engine, mapped: Mapped) -> Resolved:
    """One row per customer, attribute and known-at day."""
    return resolve_duplicates(engine, mapped.rows, CUSTOMER_EXTRAS)


def map_extras(engine: Engine, extras: Sequence[tuple[ExtraTable, RawPart]], extracted_on: date) -> Mapped:
    """Reads declared attributes into long form.

    An attribute is known from the extraction on; a static one always. A number that cannot be read is null, and counted
    as ``missing_extra``; a row without customer is rejected.

    Args:
        engine: The engine.
        extras: The tables and their landed files.
        extracted_on: When they were extracted, those of files that were seen before left aside.

    Raises:
        ContractError: A declared column is not in the files.
    """
    if not extras:
        names = {column.name: "string" for column in CUSTOMER_EXTRAS.columns}
        schema = names | {"number": "float64", "known_at": "date", "source_file": "string", "source_line": "int64"}
        return Mapped(engine.empty(schema), empty_quarantine(engine), 0)
    tables: list[ir.Table] = []
    rejected: list[ir.Table] = []
    read = respelled = 0
    for extra, part in extras:
        mapping = extra.part.mapping("customer_id")
        customer = raw_value(part, mapping)
        lacking = [column.column for column in extra.columns.values() if column.column not in part.table.columns]
        if customer is None or lacking:
            raise ContractError(
                "declared extra columns are not in the files",
                where=extra.part.place,
                count=len(lacking) or None,
                examples=lacking or ["customer_id"],
                todo="Correct conf/data/<name>.yaml, extras",
            )
        whose, unsafe = one_identity(customer, part.settings.identifiers)
        reason = ibis.cases(
            (whose.isnull(), "missing_customer_id"), (unsafe, "unsafe_customer_id"), else_=ibis.null("string")
        )
        known = reason.isnull()
        respelled += engine.integer(part.table.filter(known & (whose != as_text(customer))).count())
        read += engine.integer(part.table.count())
        for name, column in extra.columns.items():
            tables.append(_long(part, whose, name, column, extracted_on).filter(known))
        rejected.append(
            part.table.filter(~known).select(
                source=ibis.literal("customer_extras"),
                source_file=part.table.source_file,
                source_line=part.table.source_line,
                reason=reason,
                detail=as_text(customer),
                row=ibis.null("string"),
                energy_kwh=ibis.null("float64"),
            )
        )
    rows = engine.materialize(ibis.union(*tables))
    missing = engine.integer(rows.filter(rows.number.isnull() & rows.text.isnull()).count())
    return Mapped(rows, ibis.union(*rejected), read, {"missing_extra": missing, "respelled_customer_id": respelled})


def _long(part: RawPart, customer: ir.StringValue, name: str, column: ExtraColumn, extracted_on: date) -> ir.Table:
    raw = part.table[column.column]
    number: ir.Value = ibis.null("float64")
    text: ir.Value = ibis.null("string")
    if column.type == "float":
        number = as_number(raw, part.settings.decimal)
    elif column.type == "bool":
        number = as_bool(raw).cast("float64")
    else:
        text = as_text(raw)
    return part.table.select(
        customer_id=customer,
        name=ibis.literal(name),
        number=number,
        text=text,
        known_at=ibis.literal(ALWAYS) if column.known_at == "static" else part.extracted_on(part.table, extracted_on),
        source_file=part.table.source_file,
        source_line=part.table.source_line,
    )
