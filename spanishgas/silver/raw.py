"""What silver reads: landed sources, with the configuration that says how to read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Self

import ibis
import ibis.expr.types as ir

from spanishgas.config import SourcePart, SourceSettings
from spanishgas.contracts import Contract
from spanishgas.readers import NO_COLUMNS

PROVENANCE = ("source_file", "source_line")


@dataclass(frozen=True)
class RawPart:
    """One set of landed files.

    Attributes:
        settings: Where the files came from, and the column mapping.
        table: Raw columns beside ``source_file`` and ``source_line``; those of text formats are text.
        seen: Day -> raw files that were first landed on it, before the extraction: they did not change since.
        digests: Raw file -> digest of the bytes that it was landed as, where that is known.
    """

    settings: SourcePart
    table: ir.Table
    seen: Mapping[date, Sequence[str]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def extracted_on(self, rows: ir.Table, otherwise: date) -> ir.DateValue:
        """Day on which every row was extracted.

        Args:
            rows: Rows of the table, with their ``source_file``.
            otherwise: The day of files that are new or changed.
        """
        day: ir.DateValue = ibis.literal(otherwise)
        for seen, files in sorted(self.seen.items()):
            day = ibis.ifelse(rows.source_file.isin(list(files)), ibis.literal(seen), day)
        return day

    def without_table(self) -> Self:
        """The part without its rows, which belong to one engine's session."""
        return replace(self, table=None)

    @property
    def has_columns(self) -> bool:
        """Whether the files name any column; JSON files without a single record do not."""
        return not set(self.table.columns) <= {NO_COLUMNS, *PROVENANCE}


@dataclass(frozen=True)
class RawSource:
    """One source of a data set.

    Attributes:
        contract: What the source promises.
        settings: Its configuration.
        parts: Its landed files; none where the source is absent.
        extracted_on: When its undated rows were extracted, those of files that were seen before left aside.
    """

    contract: Contract
    settings: SourceSettings
    parts: tuple[RawPart, ...]
    extracted_on: date

    def with_columns(self) -> Self:
        """The source without parts that hold nothing at all."""
        return replace(self, parts=tuple(part for part in self.parts if part.has_columns))

    def without_tables(self) -> Self:
        """The source without its rows."""
        return replace(self, parts=tuple(part.without_table() for part in self.parts))
