"""What a reader is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spanishgas.config import SourcePart
from spanishgas.engine.embedded import EmbeddedEngine

Format = Literal["csv", "json", "parquet", "excel", "sql"]
Progress = Callable[[str], None]

REJECTED_ROW_CHARACTERS = 2_000
PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Reject:
    """A row that cannot be parsed at all.

    Attributes:
        line: Row within the file's data, from 1; rejected rows count.
        reason: Stable code of the reason.
        detail: What was wrong, in words.
        row: The raw text, cut where it is very long.
    """

    line: int
    reason: str
    detail: str
    row: str


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file as a whole, although its rows could be landed.

    Attributes:
        reason: ``cut_off``: the file ends in the middle of a row, or where a spreadsheet ends. ``no_rows``: it has no
            data, or only a header.
        line: Row within the file's data where it shows, from 1; 0 where it is no row.
        detail: What was found, in words.
    """

    reason: Literal["cut_off", "no_rows"]
    line: int
    detail: str


@dataclass(frozen=True)
class FileContent:
    """What landing one raw file found in it.

    Attributes:
        rows: Rows landed.
        rejects: Rows that could not be parsed.
        schema: Raw column, or dotted path of a nested field -> inferred type.
        notes: Facts about how the file had to be read, such as a detected delimiter.
        faults: What is wrong with the file as a whole.
    """

    rows: int
    rejects: tuple[Reject, ...]
    schema: dict[str, str]
    notes: dict[str, str]
    faults: tuple[Fault, ...] = ()

    @property
    def cut_off(self) -> bool:
        """Whether rows are missing at the end of the file."""
        return any(fault.reason == "cut_off" for fault in self.faults)


def quiet(_: str) -> None:
    """Progress for nobody."""


@dataclass(frozen=True)
class Task:
    """One file for a reader.

    Attributes:
        engine: The engine that reads and writes.
        file: The file, unpacked.
        target: The Parquet file to write, rows in raw order.
        part: How the file is to be read.
        where: The raw file's name, for messages.
        progress: Is told about long work.
    """

    engine: EmbeddedEngine
    file: Path
    target: Path
    part: SourcePart
    where: str
    progress: Progress = quiet


Reader = Callable[[Task], FileContent]
