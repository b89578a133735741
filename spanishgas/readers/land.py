"""One way for every raw file into Parquet: unpack, read, and say what is wrong with the file as a whole."""

from dataclasses import replace
from pathlib import Path

from spanishgas.config import SourcePart
from spanishgas.engine.embedded import EmbeddedEngine
from spanishgas.readers.content import Fault, FileContent, Format, Progress, Task, quiet
from spanishgas.readers.formats import READERS
from spanishgas.readers.packed import unpacked
from spanishgas.readers.shape import shaped

# Rows that a sheet can hold: what was longer when it was opened in a spreadsheet ends there.
ROWS_OF_A_SHEET = (65_536, 1_048_576)


def land_file(
    engine: EmbeddedEngine,
    file: Path,
    target: Path,
    *,
    format: Format,  # noqa: A002 - the settings' own name for it
    part: SourcePart,
    member: str | None = None,
    where: str | None = None,
    progress: Progress = quiet,
) -> FileContent:
    """Lands one raw file as one Parquet file, rows in raw order: text formats as text, typed ones with their types.

    Args:
        engine: The engine that reads and writes.
        file: The raw file.
        target: The Parquet file to write.
        format: Format of the raw file, or of the member.
        part: How it is to be read.
        member: Its path in a zip archive, or None.
        where: Name of the raw file, for messages; None: its path.
        progress: Is told about long work.

    Raises:
        SourceError: The file as a whole cannot be read as its format says.
    """
    name = where or (f"{file}/{member}" if member else str(file))
    limit = part.unpacked_limit_mib
    with unpacked(file, member, target.parent, limit_mib=limit, where=name, progress=progress) as plain:
        task = Task(engine, plain, target, part, name, progress)
        content = READERS[format](task)
        faults = (*content.faults, *_full(content, format, part))
        content = replace(shaped(task, content), faults=faults)
    if content.rows or content.rejects:
        return content
    return replace(content, faults=(*content.faults, Fault("no_rows", 0, "there is not one row of data")))


def _full(content: FileContent, format_: Format, part: SourcePart) -> tuple[Fault, ...]:
    """Whether a file is exactly as long as a sheet can be."""
    if format_ not in ("csv", "excel"):
        return ()
    rows = content.rows + len(content.rejects)
    if rows + part.header_row not in ROWS_OF_A_SHEET:
        return ()
    what = "the file ends where a spreadsheet ends: rows beyond it were lost when it was saved"
    return (Fault("cut_off", rows, what),)
