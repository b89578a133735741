"""What silver reads: landed sources, with the configuration that says how to read them."""

from dataclasses import dataclass
from datetime import date

import ibis.expr.types as ir

from spanishgas.config import SourcePart, SourceSettings
from spanishgas.contracts import Contract

RECORD = "record"
PROVENANCE = ("source_file", "source_line")


@dataclass(frozen=True)
class RawPart:
    """One set of landed files.

    Attributes:
        settings: Where the files came from, and the column mapping.
        table: Raw columns beside ``source_file`` and ``source_line``; JSON is one text column ``record``.
    """

    settings: SourcePart
    table: ir.Table

    @property
    def is_json(self) -> bool:
        """Whether the rows are JSON records."""
        return RECORD in self.table.columns and set(self.table.columns) <= {RECORD, *PROVENANCE}


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
