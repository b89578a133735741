"""Raw CSV: landed with every column as text, malformed rows apart with line and reason.

The engine parses; a file whose quotes or line ends are broken is first read line by line, so that one stray quote costs
its own row and not the rest of the file.
"""

import csv
import gzip
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from spanishgas.engine.csv_repair import repair_csv
from spanishgas.engine.raw_files import (
    PROGRESS_SECONDS,
    REJECTED_ROW_CHARACTERS,
    FileContent,
    Progress,
    Reject,
    quiet,
)
from spanishgas.engine.session import ROW_GROUP_ROWS, Engine, quoted
from spanishgas.errors import SourceError

DELIMITERS = (",", ";", "\t", "|")
SNIFF_BYTES = 1 << 16
SCHEMA_ROWS = 20_000
MAX_REJECTS = 100_000
COPY_BYTES = 1 << 22
REASONS = {
    "MISSING COLUMNS": "too_few_columns",
    "TOO MANY COLUMNS": "too_many_columns",
    "UNQUOTED VALUE": "broken_quotes",
    "LINE SIZE OVER MAXIMUM": "line_too_long",
    "INVALID ENCODING": "invalid_encoding",
}
# The engine knows no other name for plain UTF-8; everything else is rewritten as UTF-8 first.
UTF8 = ("utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii")


@dataclass(frozen=True)
class Header:
    """First line of a CSV file.

    Attributes:
        columns: Column names; blank ones are numbered.
        delimiter: The delimiter.
    """

    columns: tuple[str, ...]
    delimiter: str


class _BrokenLayoutError(Exception):
    """The engine cannot tell where rows end."""


def land_csv(
    engine: Engine,
    file: Path,
    target: Path,
    *,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    progress: Progress = quiet,
) -> FileContent:
    """Lands a CSV file, plain or gzipped, as Parquet with every column as text; an empty field is null.

    Args:
        engine: The engine that reads and writes.
        file: The raw file; its first line names the columns.
        target: The Parquet file to write.
        delimiter: The delimiter, or None to detect it among comma, semicolon, tab and bar.
        encoding: Text encoding.
        progress: Is told about long work.

    Raises:
        SourceError: The file is empty, its header names a column twice, it cannot be read to its end, or more rows are
            malformed than a file that follows its configuration can have.
    """
    with _plain_text(file, target.parent, encoding, progress) as plain:
        header = read_header(plain, delimiter, where=str(file))
        notes = {"delimiter": header.delimiter}
        try:
            rejects = _copy(engine, plain, target, header, progress, file)
        except _BrokenLayoutError:
            progress(f"{file.name}: quotes or line ends are broken, reading line by line")
            mended = target.with_name(f".{target.name}.{uuid4().hex[:8]}.csv")
            try:
                rejects = repair_csv(plain, mended, header.delimiter, len(header.columns), MAX_REJECTS)
                _copy(engine, mended, target, header, progress, file)
            finally:
                mended.unlink(missing_ok=True)
            notes["read"] = "line by line"
        cut_off = _ends_within_row(plain, header)
    if len(rejects) >= MAX_REJECTS:
        ((reason, _),) = Counter(reject.reason for reject in rejects).most_common(1)
        raise SourceError(
            "more rows are malformed than the file's configuration can be right about",
            where=str(file),
            count=len(rejects),
            examples=[f"line {reject.line}: {reject.detail}" for reject in rejects[:3]],
            todo=f"Check delimiter ({header.delimiter!r}) and encoding ({encoding}); mostly {reason}",
        )
    ((rows,),) = engine.run_sql(f"SELECT count(*) FROM read_parquet({quoted(str(target))}, hive_partitioning=false)")
    return FileContent(
        rows=int(rows),
        rejects=tuple(rejects),
        schema=_infer_types(engine, target, header.columns),
        notes=notes,
        cut_off=cut_off,
    )


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
    chosen = delimiter or max(DELIMITERS, key=lambda candidate: len(_first_row(text, candidate)))
    names = [name.strip() for name in _first_row(text, chosen)]
    columns = tuple(name or f"column_{number}" for number, name in enumerate(names, start=1))
    folded = Counter(name.casefold() for name in columns)
    twice = [name for name in columns if folded[name.casefold()] > 1]
    if twice:
        raise SourceError(
            "the header names a column more than once", where=where, examples=twice, todo="Rename one of them"
        )
    return Header(columns, chosen)


def _ends_within_row(file: Path, header: Header) -> bool:
    """Whether the last line has neither an end nor as many fields as the header."""
    with file.open("rb") as handle:
        handle.seek(max(0, file.stat().st_size - SNIFF_BYTES))
        last = handle.read().replace(b"\r", b"\n").rpartition(b"\n")[2].decode("utf-8", errors="replace")
    return bool(last.strip()) and len(_first_row(last, header.delimiter)) < len(header.columns)


def _first_row(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter), [])


@contextmanager
def _plain_text(file: Path, scratch: Path, encoding: str, progress: Progress) -> Iterator[Path]:
    """The file itself where it is plain UTF-8, else a copy that is; a gzip is checked to its end on the way."""
    zipped = file.name.lower().endswith(".gz")
    if not zipped and encoding.lower() in UTF8:
        yield file
        return
    copy = scratch / f".{file.name}.{uuid4().hex[:8]}.utf8.csv"
    try:
        progress(f"unpacking {file.name}" if zipped else f"reading {file.name} as {encoding}")
        with _opened(file, zipped) as source, copy.open("wb") as sink:
            if encoding.lower() in UTF8:
                while chunk := source.read(COPY_BYTES):
                    sink.write(chunk)
            else:
                with io.TextIOWrapper(source, encoding=encoding, errors="replace", newline="") as text:
                    while piece := text.read(COPY_BYTES):
                        sink.write(piece.encode("utf-8"))
        yield copy
    except (EOFError, gzip.BadGzipFile) as error:
        raise SourceError(
            "the gzip file does not reach its end", where=str(file), examples=[error], todo="Deliver it again"
        ) from error
    except LookupError as error:
        raise SourceError(f"no such text encoding: {encoding}", where=str(file)) from error
    finally:
        copy.unlink(missing_ok=True)


def _opened(file: Path, zipped: bool) -> IO[bytes]:
    return gzip.open(file, "rb") if zipped else file.open("rb")  # type: ignore[return-value]


def _copy(engine: Engine, file: Path, target: Path, header: Header, progress: Progress, shown: Path) -> list[Reject]:
    """Streams the rows into Parquet and returns the malformed ones."""
    errors, scans = engine.fresh_name("reject_errors"), engine.fresh_name("reject_scans")
    columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header.columns)
    import duckdb

    statement = (
        f"COPY (SELECT * FROM read_csv({quoted(str(file))}, auto_detect=false, header=true, "
        f"delim={quoted(header.delimiter)}, quote='\"', escape='\"', columns={{{columns}}}, store_rejects=true, "
        f"rejects_table={quoted(errors)}, rejects_scan={quoted(scans)}, rejects_limit={MAX_REJECTS})) "
        f"TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    try:
        with _watched(engine, shown, progress):
            engine.run_sql(statement)
        found = engine.run_sql(
            f"SELECT line, error_type::VARCHAR, string_agg(error_message, '; '), any_value(csv_line) FROM {errors} "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
    except duckdb.Error as error:
        if "state machine" in str(error) or "quote" in str(error):
            raise _BrokenLayoutError from error
        raise SourceError(
            "cannot be read as CSV", where=str(shown), examples=[str(error).splitlines()[0]], todo="Check the file"
        ) from error
    finally:
        for name in (errors, scans):
            engine.run_sql(f"DROP TABLE IF EXISTS {name}")
    if any("\n" in (text or "").rstrip("\r\n") for _, kind, _, text in found if kind == "UNQUOTED VALUE"):
        raise _BrokenLayoutError
    # Line 1 is the header.
    return [
        Reject(
            line=int(line) - 1,
            reason=REASONS.get(kind, "malformed_row"),
            detail=detail,
            row=(text or "")[:REJECTED_ROW_CHARACTERS],
        )
        for line, kind, detail, text in found
    ]


@contextmanager
def _watched(engine: Engine, file: Path, progress: Progress) -> Iterator[None]:
    """Tells how far the engine is while it works on one file."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(PROGRESS_SECONDS):
            share = engine.progress()
            if share is not None:
                progress(f"landing {file.name}: {share:.0%} of {file.stat().st_size / 2**20:,.0f} MiB")

    watcher = threading.Thread(target=watch, name="landing-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _infer_types(engine: Engine, landed: Path, columns: tuple[str, ...]) -> dict[str, str]:
    """What the texts of each column look like in the first rows."""
    tests = (("int", "BIGINT"), ("float", "DOUBLE"), ("date", "DATE"), ("timestamp", "TIMESTAMP"))
    wanted: list[str] = []
    for name in columns:
        column = '"' + name.replace('"', '""') + '"'
        wanted.append(f"count({column})")
        wanted += [f"count(TRY_CAST({column} AS {kind}))" for _, kind in tests]
        wanted.append(f"count(*) FILTER (lower({column}) IN ('true', 'false'))")
    source = f"(SELECT * FROM read_parquet({quoted(str(landed))}, hive_partitioning=false) LIMIT {SCHEMA_ROWS})"
    (counts,) = engine.run_sql(f"SELECT {', '.join(wanted)} FROM {source}")
    schema: dict[str, str] = {}
    width = len(tests) + 2
    for number, name in enumerate(columns):
        filled, *passed = counts[number * width : (number + 1) * width]
        kinds = [*(kind for kind, _ in tests), "bool"]
        fits = [kind for kind, count in zip(kinds, passed, strict=True) if count == filled]
        schema[name] = "empty" if filled == 0 else fits[0] if fits else "string"
    return schema
