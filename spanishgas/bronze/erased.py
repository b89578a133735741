"""Erased customers in landed files: whose rows these are, and the files without them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import ibis.expr.types as ir

from spanishgas.bronze.land import Landed, LandedRawFile
from spanishgas.config import SourcePart
from spanishgas.domain.identifiers import one_spelling_of
from spanishgas.engine.json_fields import json_field
from spanishgas.engine.session import Engine
from spanishgas.engine.suppression import Suppression

CUSTOMER, RECORD = "customer_id", "record"


@dataclass(frozen=True)
class Erased:
    """What was taken out of a landed file.

    Attributes:
        customers: Who.
        rows: Rows taken out.
        left: Rows left.
    """

    customers: frozenset[str]
    rows: int
    left: int


def customer_of(table: ir.Table, part: SourcePart) -> ir.StringValue | None:
    """Identifier of the customer of every landed row, as the mapping says; None where the files do not have it.

    Args:
        table: A landed file with its ``source_file``.
        part: Configuration of the files.
    """
    mapping = part.mapping(CUSTOMER)
    found: ir.Value
    if mapping.value is not None:
        found = ibis.literal(str(mapping.value))
    elif mapping.file_pattern is not None:
        found = table.source_file.re_extract(mapping.file_pattern, 1)
    elif mapping.column is None:
        return None
    elif mapping.column in table.columns:
        found = table[mapping.column].cast("string")
    elif RECORD in table.columns:  # JSON as it was landed by earlier versions
        found = json_field(table[RECORD], mapping.column)
    else:
        return None
    text = found.strip().nullif("")
    if mapping.extract is not None:
        text = ibis.ifelse(text.re_search(mapping.extract), text.re_extract(mapping.extract, 1).strip(), text)
    text = text.substitute(dict(mapping.codes), else_=text) if mapping.codes else text
    return one_spelling_of(text, part.identifiers)


def take_out(
    engine: Engine, file: Path, origin: str, part: SourcePart, erased: Suppression, target: Path | None
) -> Erased | None:
    """Writes a landed file without the rows of erased customers.

    Args:
        engine: The engine.
        file: The landed file.
        origin: Name of the raw file.
        part: Configuration of the files.
        erased: Erased customers.
        target: Where to write; nothing is written where the file has none of them. None only counts.

    Returns:
        What was taken out; None where there was nothing.
    """
    table = engine.scan([file], origins=[origin])
    whose = customer_of(table, part)
    if whose is None:
        return None
    listed = engine.frame(table.select(whose=whose).distinct())["whose"].dropna()
    found = erased.matches(map(str, listed))
    if not found:
        return None
    kept = table.filter(~whose.isin(sorted(found)).fill_null(False)).drop("source_file", "source_line")
    total, left = engine.integer(table.count()), engine.integer(kept.count())
    if target is not None:
        engine.write(kept, target)
    return Erased(frozenset(found), total - left, left)


def without_erased(engine: Engine, landed: Landed, erased: Suppression) -> Landed:
    """A landed source without erased customers, who may still be in the raw files; its files are written again.

    Args:
        engine: The engine.
        landed: The source, as landed into a draft.
        erased: Erased customers.
    """
    if not erased.hashes:
        return landed
    return replace(landed, files=tuple(_without(engine, file, erased) for file in landed.files))


def _without(engine: Engine, file: LandedRawFile, erased: Suppression) -> LandedRawFile:
    content = file.content
    rejects = tuple(one for one in content.rejects if not erased.named_in(f"{one.row}\n{one.detail}"))
    digest, rows = file.content_hash, content.rows
    if len(rejects) != len(content.rejects):
        digest = hashlib.sha256(f"{digest} {sorted(one.line for one in rejects)}".encode()).hexdigest()
    scratch = file.path.with_suffix(".erased.parquet")
    found = take_out(engine, file.path, file.raw.origin, file.raw.settings, erased, scratch)
    if found is not None:
        scratch.replace(file.path)
        digest, rows = digest_without(digest, erased, found.customers), found.left
    left_out = len(content.rejects) - len(rejects) + (found.rows if found is not None else 0)
    notes = content.notes | ({"rows_of_erased_customers_left_out": str(left_out)} if left_out else {})
    told = replace(content, rows=rows, rejects=rejects, notes=notes)
    return replace(file, content=told, content_hash=digest)


def digest_without(digest: str, erased: Suppression, customers: Sequence[str] | frozenset[str]) -> str:
    """Digest of landed rows without some customers, of the digest with them."""
    return hashlib.sha256(f"{digest} without {erased.digest_of(customers)}".encode()).hexdigest()
