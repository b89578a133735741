"""What silver reads: landed sources, with the configuration that says how to read them."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Self

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
    """

    settings: SourcePart
    table: ir.Table

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
        extracted_on: When its undated rows were extracted.
    """

    contract: Contract
    settings: SourceSettings
    parts: tuple[RawPart, ...]
    extracted_on: date

    def with_columns(self) -> Self:
        """The source without parts that hold nothing at all."""
        return replace(self, parts=tuple(part for part in self.parts if part.has_columns))
