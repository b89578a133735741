"""Erased customers in landed files: whose rows these are, and the files without them.

Readings may name a supply point only; then the landed ``supply_points`` tell whose they are, by day. That is asked
before these rows are taken out themselves.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.bronze.land import Landed, LandedRawFile
from spanishgas.config import SourcePart
from spanishgas.domain.civil_time import NUMBERED
from spanishgas.domain.identifiers import one_spelling_of
from spanishgas.engine.cleaning import clean_file
from spanishgas.engine.finding import Finder
from spanishgas.engine.json_fields import json_field
from spanishgas.engine.session import Engine
from spanishgas.engine.suppression import Suppression

CUSTOMER, POINT, RECORD = "customer_id", "supply_point_id", "record"
HOLDINGS = "supply_points"
MIDNIGHT_24, OFFSET = r"([T ])24:", r"(:\d\d(?:\.\d+)?)\s*(?:[Zz]|[+-]\d\d:?\d\d)$"
EARLIEST, LATEST = "0001-01-01", "9999-12-31"


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


@dataclass(frozen=True)
class Held:
    """Supply points of erased customers.

    Attributes:
        days: Supply point -> first and last day (ISO 8601) that an erased customer holds it.
        customers: Who they are.
    """

    days: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    customers: frozenset[str] = frozenset()

    def joined(self, other: "Held") -> "Held":
        """What either knows."""
        points = {*self.days, *other.days}
        none: frozenset[tuple[str, str]] = frozenset()
        days = {point: self.days.get(point, none) | other.days.get(point, none) for point in points}
        return Held(days, self.customers | other.customers)


def customer_of(table: ir.Table, part: SourcePart) -> ir.StringValue | None:
    """Identifier of the customer of every landed row, as the mapping says; None where the files do not have it.

    Args:
        table: A landed file with its ``source_file``.
        part: Configuration of the files.
    """
    return _identity(table, part, CUSTOMER)


def _identity(table: ir.Table, part: SourcePart, column: str) -> ir.StringValue | None:
    text = _told(table, part, column)
    return None if text is None else one_spelling_of(text, part.identifiers)


def _told(table: ir.Table, part: SourcePart, column: str) -> ir.StringValue | None:
    """What the landed rows say of a column of the contract, as text."""
    mapping = part.mapping(column)
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
    return text.substitute(dict(mapping.codes), else_=text) if mapping.codes else text


def held_by(engine: Engine, file: Path, origin: str, part: SourcePart, erased: Suppression) -> Held:
    """Supply points of erased customers, of one landed file of ``supply_points``.

    Args:
        engine: The engine.
        file: The landed file.
        origin: Name of the raw file.
        part: Configuration of the files.
        erased: Erased customers.
    """
    table = engine.scan([file], origins=[origin])
    whose, point = customer_of(table, part), _identity(table, part, POINT)
    if whose is None or point is None:
        return Held()
    days = {name: _told(table, part, name) for name in ("valid_from", "valid_to")}
    texts = {name: ibis.null("string") if text is None else text for name, text in days.items()}
    rows = engine.frame(table.select(whose=whose, point=point, **texts).distinct()).dropna(subset=["whose", "point"])
    found = erased.matches(map(str, rows["whose"].unique()))
    rows = rows[rows["whose"].isin(found)]
    first = _days(rows["valid_from"], part, "valid_from").fillna(EARLIEST)
    last = _days(rows["valid_to"], part, "valid_to").fillna(LATEST)
    held: dict[str, frozenset[tuple[str, str]]] = {}
    for one, *span in zip(rows["point"], first, last, strict=True):
        held[str(one)] = held.get(str(one), frozenset()) | {(span[0], span[1])}
    return Held(held, frozenset(found))


def _days(texts: "pd.Series[str]", part: SourcePart, column: str) -> "pd.Series[str]":
    """The day that each text names, as ISO 8601; missing where it names none."""
    layout = part.mapping(column).date_format
    texts = texts.astype("object")
    if layout in NUMBERED:
        per_unit, first = NUMBERED[layout]
        seconds = pd.to_numeric(texts.str.replace(",", "."), errors="coerce") * per_unit + first
        moments = pd.to_datetime(seconds, unit="s", errors="coerce")
    else:
        # The day as it is written: 24:00 is of the day that it ends, an offset does not change what stands before it.
        plain = texts.str.replace(MIDNIGHT_24, r"\g<1>00:", regex=True)
        plain = plain if layout is not None and "%z" in layout else plain.str.replace(OFFSET, r"\1", regex=True)
        moments = pd.to_datetime(plain, format=layout or "ISO8601", errors="coerce")
    return moments.dt.strftime("%Y-%m-%d")


def take_out(
    engine: Engine,
    file: Path,
    origin: str,
    part: SourcePart,
    erased: Suppression,
    target: Path | None,
    held: Held | None = None,
) -> Erased | None:
    """Writes a landed file without the rows of erased customers.

    Args:
        engine: The engine.
        file: The landed file.
        origin: Name of the raw file.
        part: Configuration of the files.
        erased: Erased customers.
        target: Where to write; nothing is written where the file has none of them. None only counts.
        held: Their supply points, for rows that name nothing else.

    Returns:
        What was taken out; None where there was nothing.
    """
    table = engine.scan([file], origins=[origin])
    whose = customer_of(table, part)
    if whose is not None:
        listed = engine.frame(table.select(whose=whose).distinct())["whose"].dropna()
        found = frozenset(erased.matches(map(str, listed)))
        kept = table.filter(~whose.isin(sorted(found)).fill_null(False))
    else:
        point = _identity(table, part, POINT)
        if point is None or held is None or not held.days:
            return None
        found, kept = held.customers, _without_points(engine, table, part, point, held)
    if not found:
        return None
    total, left = engine.integer(table.count()), engine.integer(kept.count())
    if left == total:
        return None
    if target is not None:
        engine.write(kept.order_by("source_line").drop("source_file", "source_line"), target)
    return Erased(found, total - left, left)


def _without_points(engine: Engine, table: ir.Table, part: SourcePart, point: ir.StringValue, held: Held) -> ir.Table:
    """Rows without those of supply points on the days that an erased customer holds them.

    A row whose day cannot be read goes, too: nobody can say that it is of another holder.
    """
    column = next((name for name in ("timestamp", "period_end") if _told(table, part, name) is not None), None)
    told = None if column is None else _told(table, part, column)
    rows = table.mutate(_point=point, _time=ibis.literal("") if told is None else told.fill_null(""))
    named = rows.filter(rows._point.isin(sorted(held.days)))
    pairs = engine.frame(named.select("_point", "_time").distinct())
    days = pairs["_time"].map(lambda _: None) if column is None else _days(pairs["_time"], part, column)
    gone = [
        pd.isna(day) or any(first <= day <= last for first, last in held.days[one])
        for one, day in zip(pairs["_point"], days, strict=True)
    ]
    if not any(gone):  # the file has none of their readings
        return table
    listed = engine.table(pairs[gone].astype("string"))
    return rows.anti_join(listed, ["_point", "_time"]).drop("_point", "_time")


def without_erased(engine: Engine, landed: Sequence[Landed], erased: Suppression) -> list[Landed]:
    """Landed sources without erased customers, who may still be in the raw files; their files are written again.

    Args:
        engine: The engine.
        landed: All sources, as landed into a draft.
        erased: Erased customers.
    """
    if not erased.hashes:
        return list(landed)
    held = Held()
    for file in (file for source in landed if source.dataset == HOLDINGS for file in source.files):
        held = held.joined(held_by(engine, file.path, file.raw.origin, file.raw.settings, erased))
    finder = Finder(erased)
    return [
        replace(source, files=tuple(_without(engine, file, erased, held, finder) for file in source.files))
        for source in landed
    ]


def _without(engine: Engine, file: LandedRawFile, erased: Suppression, held: Held, finder: Finder) -> LandedRawFile:
    content = file.content
    named = naming(erased, held)
    rejects = tuple(one for one in content.rejects if not named.named_in(f"{one.row}\n{one.detail}"))
    digest, rows = file.content_hash, content.rows
    if len(rejects) != len(content.rejects):
        digest = hashlib.sha256(f"{digest} {sorted(one.line for one in rejects)}".encode()).hexdigest()
    scratch = file.draft.with_suffix(".erased.parquet")
    found = take_out(engine, file.path, file.raw.origin, file.raw.settings, erased, scratch, held)
    if found is not None:
        scratch.replace(file.draft)
        file = replace(file, path=file.draft, earlier=None)
        digest, rows = digest_without(digest, erased, found.customers), found.left
    elif finder.in_file(file.path) and clean_file(finder, file.path, file.draft):
        # It was landed byte by byte, with a word that no row has.
        file = replace(file, path=file.draft, earlier=None)
    left_out = len(content.rejects) - len(rejects) + (found.rows if found is not None else 0)
    notes = content.notes | ({"rows_of_erased_customers_left_out": str(left_out)} if left_out else {})
    told = replace(content, rows=rows, rejects=rejects, notes=notes)
    return replace(file, content=told, content_hash=digest)


def naming(erased: Suppression, held: Held) -> Suppression:
    """The list by which raw lines are recognised: of customers, and of their supply points."""
    return erased.including(held.days) if held.days else erased


def digest_without(digest: str, erased: Suppression, customers: Sequence[str] | frozenset[str]) -> str:
    """Digest of landed rows without some customers, of the digest with them."""
    return hashlib.sha256(f"{digest} without {erased.digest_of(customers)}".encode()).hexdigest()
