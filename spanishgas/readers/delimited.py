"""CSV: landed with every column as text, malformed rows apart with line and reason.

The engine parses; a file whose quotes or line ends are broken is first read line by line, so that one stray quote costs
its own row and not the rest of the file.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from spanishgas.engine.delimited import BrokenLayoutError, copy_delimited
from spanishgas.errors import SourceError
from spanishgas.readers.content import REJECTED_ROW_CHARACTERS, Fault, FileContent, Reject, Task
from spanishgas.readers.delimited_repair import repair_csv
from spanishgas.readers.parquet import landed_schema
from spanishgas.readers.text import plain_text

DELIMITERS = (",", ";", "\t", "|")
SNIFF_BYTES = 1 << 16
TAIL_BYTES = 1 << 14
MAX_REJECTS = 100_000
CUT_REASONS = ("too_few_columns", "broken_quotes", "invalid_encoding")
COMPARED_CHARACTERS = REJECTED_ROW_CHARACTERS // 2
# How files begin that are no tables. Some tables have names of columns in angle brackets.
NO_TABLES = {
    "XML or HTML": re.compile(r"\s*<(\?xml|!|html|[^,;|\t<>]+>\s*<)", re.IGNORECASE),
    "EDIFACT": re.compile(r"\s*(UNA:|UNB\+)"),
    "JSON": re.compile(r"\s*(\{|\[\s*\{)"),
}
# A line by which Excel is told the delimiter.
HINT = re.compile(rb"^(?:\xef\xbb\xbf)?\"?sep=(.)\"?[ \t]*\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Header:
    """First line of a CSV file.

    Attributes:
        columns: Column names; blank ones are numbered.
        delimiter: The delimiter.
    """

    columns: tuple[str, ...]
    delimiter: str


def read_delimited(task: Task) -> FileContent:
    """Lands a CSV file as Parquet with every column as text; an empty field is null.

    Raises:
        SourceError: The file is empty, its header names a column twice, or more rows are malformed than a file that
            follows its configuration can have.
    """
    names, delimiter = task.part.names, task.part.delimiter
    passed = task.part.header_row if names else task.part.header_row - 1
    hinted = _hint(task.file) if not passed else None
    if hinted is not None:
        passed, delimiter = 1, delimiter or hinted
    named = None if not names else lambda line: _line_of_names(names, line, delimiter, task.where)
    with plain_text(task, passed, named) as (plain, encoding):
        header = read_header(plain, delimiter, where=task.where)
        notes = {"delimiter": header.delimiter}
        if encoding != "utf-8-sig":
            notes["encoding"] = encoding
        rejects, mended = _land(task, plain, header)
        if mended:
            notes["read"] = "line by line"
        rows, schema = landed_schema(task.engine, task.target)
        faults = _cut_off(plain, rejects, rows)
    if rejects and not rows and not faults:
        _refuse_misfit(rejects, header, task.where)
    if len(rejects) >= MAX_REJECTS:
        ((reason, _),) = Counter(reject.reason for reject in rejects).most_common(1)
        raise SourceError(
            "more rows are malformed than the file's configuration can be right about",
            where=task.where,
            count=len(rejects),
            examples=[f"line {reject.line}: {reject.detail}" for reject in rejects[:3]],
            todo=f"Check delimiter ({header.delimiter!r}) and encoding ({encoding}); mostly {reason}",
        )
    return FileContent(rows=rows, rejects=tuple(rejects), schema=schema, notes=notes, faults=faults)


def _refuse_misfit(rejects: Sequence[Reject], header: Header, where: str) -> None:
    """Ends where not one row fits the header: the file is not what it is taken for."""
    reasons = Counter(reject.reason for reject in rejects)
    raise SourceError(
        f"not one row fits the header of {len(header.columns)} columns",
        where=where,
        count=len(rejects),
        examples=[f"{reason} ({count:,} rows)" for reason, count in reasons.most_common()],
        todo=f"Check the `delimiter` ({header.delimiter!r}; values that hold it need quotes), `header_row` and "
        "`names`; what has rows of several kinds, such as NEM12, has to be converted first",
    )


def _land(task: Task, plain: Path, header: Header) -> tuple[list[Reject], bool]:
    """Writes the rows; the malformed ones, and whether the file had to be read line by line."""
    try:
        return _copy(task, plain, header), False
    except BrokenLayoutError:
        task.progress(f"{task.where}: quotes or line ends are broken, reading line by line")
    mended = task.target.with_name(f".{task.target.name}.{uuid4().hex[:8]}.csv")
    try:
        rejects = repair_csv(plain, mended, header.delimiter, len(header.columns), MAX_REJECTS)
        _copy(task, mended, header)
    except BrokenLayoutError as error:
        raise SourceError(
            "its lines cannot be told from each other: it holds bytes that no text file has, or is packed or damaged",
            where=task.where,
            todo="Have it delivered again; give a packed file its ending (.gz, .zip), a workbook its own",
        ) from error
    finally:
        mended.unlink(missing_ok=True)
    return rejects, True


def _copy(task: Task, file: Path, header: Header) -> list[Reject]:
    mib = task.file.stat().st_size / 2**20
    found = copy_delimited(
        task.engine,
        file,
        task.target,
        columns=header.columns,
        delimiter=header.delimiter,
        max_rejects=MAX_REJECTS,
        where=task.where,
        told=lambda share: task.progress(f"landing {task.where}: {share:.0%} of {mib:,.0f} MiB"),
    )
    return [Reject(row.line, row.reason, row.detail, row.text[:REJECTED_ROW_CHARACTERS]) for row in found]


def _hint(file: Path) -> str | None:
    with file.open("rb") as handle:
        found = HINT.match(handle.read(16))
    return found.group(1).decode("ascii", "replace") if found else None


def _line_of_names(names: Sequence[str], line: str, delimiter: str | None, where: str) -> str:
    """A header with some names for rows such as ``line``; columns beyond them have no name.

    Raises:
        SourceError: There are more names than columns.
    """
    chosen = delimiter or _delimiter(line)
    columns = len(_first_row(line, chosen)) if line.strip() else len(names)
    if columns < len(names):
        raise SourceError(
            f"has {columns} columns, and `names` names {len(names)}",
            where=where,
            examples=[line.strip()[:200]],
            todo="Name the columns in their order, and check the `delimiter`",
        )
    sink = io.StringIO()
    csv.writer(sink, delimiter=chosen, lineterminator="\n").writerow([*names, *[""] * (columns - len(names))])
    return sink.getvalue()


def _delimiter(text: str) -> str:
    return max(DELIMITERS, key=lambda candidate: len(_first_row(text, candidate)))


def read_header(file: Path, delimiter: str | None, *, where: str) -> Header:
    """Column names and delimiter of a plain UTF-8 file.

    Args:
        file: The file.
        delimiter: The delimiter, or None: the one that divides the header into most columns.
        where: The raw file's name, for messages.

    Raises:
        SourceError: There is no header, or it names a column twice.
    """
    with file.open("rb") as handle:
        text = handle.read(SNIFF_BYTES).decode("utf-8-sig", errors="replace")
    if not text.strip():
        raise SourceError(
            "is empty: it has not even a header", where=where, todo="Deliver it again, or say that the source is absent"
        )
    _refuse_no_table(text, where)
    chosen = delimiter or _delimiter(text)
    return Header(column_names(_first_row(text, chosen), where), chosen)


def _refuse_no_table(text: str, where: str) -> None:
    """Ends where the beginning of a file is that of something else."""
    found = next((kind for kind, start in NO_TABLES.items() if start.match(text)), None)
    if found is not None:
        raise SourceError(
            f"is {found}, not CSV",
            where=where,
            examples=[text.strip()[:80].splitlines()[0]],
            todo="Have it delivered as CSV or JSON, or convert it; JSON needs its ending, or `format: json`. A page "
            "with an error, in the place of the file, looks like this too",
        )


def column_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Names of a header in one spelling, blank ones numbered.

    Spreadsheets write blanks that do not break, and some systems an accent as a character of its own.

    Raises:
        SourceError: A name stands twice; the engine does not tell upper from lower case.
    """
    told = [" ".join(unicodedata.normalize("NFC", name).split()) for name in names]
    columns = tuple(name or f"column_{number}" for number, name in enumerate(told, start=1))
    folded = Counter(name.casefold() for name in columns)
    twice = [name for name in columns if folded[name.casefold()] > 1]
    if twice:
        raise SourceError(
            "the header names a column more than once",
            where=where,
            examples=twice,
            todo="Give the part's `names`, one per column in order, and `header_row: 0` where it is a row of data",
        )
    return columns


def _first_row(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter), [])


def _cut_off(plain: Path, rejects: Sequence[Reject], rows: int) -> tuple[Fault, ...]:
    """Whether a file ends in the middle of a row: its last line has no end and is malformed; or it ends in zeros.

    A file cut off after a line, or within its last value, cannot be told from a whole one.
    """
    with plain.open("rb") as handle:
        size = handle.seek(0, io.SEEK_END)
        handle.seek(max(0, size - TAIL_BYTES))
        tail = handle.read()
    if tail.rstrip(b"\r\n").endswith(b"\0"):
        return (Fault("cut_off", rows + len(rejects), "the file ends in zeros: it was not written to its end"),)
    if not rejects or tail.endswith((b"\n", b"\r")):
        return ()
    last = rejects[-1]
    line = re.split(rb"[\r\n]", tail)[-1].decode("ascii", errors="ignore").strip()
    shown = last.row.encode("ascii", errors="ignore").decode().replace("?", "")
    if last.reason not in CUT_REASONS or line.replace("?", "")[:COMPARED_CHARACTERS] not in shown:
        return ()
    return (Fault("cut_off", last.line, f"the file ends in the middle of a row: {last.detail}"),)
