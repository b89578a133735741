"""Delimited text through the engine's own parser: rows into Parquet as text, malformed ones apart."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spanishgas.engine.embedded import EmbeddedEngine, quoted
from spanishgas.engine.session import ROW_GROUP_ROWS
from spanishgas.errors import SourceError

TELL_SECONDS = 1.0
LOOKED_AT_ROWS = 20_000
REASONS = {
    "MISSING COLUMNS": "too_few_columns",
    "TOO MANY COLUMNS": "too_many_columns",
    "UNQUOTED VALUE": "broken_quotes",
    "LINE SIZE OVER MAXIMUM": "line_too_long",
    "INVALID ENCODING": "invalid_encoding",
}
# What a text looks like -> when it does. A cast alone rounds fractions to whole numbers and cuts times off dates.
LOOKS = {
    "int": "regexp_full_match(trim({column}), '[+-]?[0-9]+')",
    "float": "TRY_CAST({column} AS DOUBLE) IS NOT NULL",
    "date": "{column} SIMILAR TO ' *[0-9]+-[0-9]+-[0-9]+ *' AND TRY_CAST({column} AS DATE) IS NOT NULL",
    "timestamp": "{column} LIKE '%-%-%' AND TRY_CAST({column} AS TIMESTAMP) IS NOT NULL",
    "bool": "lower({column}) IN ('true', 'false')",
}


@dataclass(frozen=True)
class Malformed:
    """A row that does not fit its file.

    Attributes:
        line: Row after the header, from 1.
        reason: Stable code of the reason.
        detail: The engine's words.
        text: The raw text.
    """

    line: int
    reason: str
    detail: str
    text: str


class BrokenLayoutError(Exception):
    """The engine cannot tell where rows end."""


def copy_delimited(
    engine: EmbeddedEngine,
    file: Path,
    target: Path,
    *,
    columns: Sequence[str],
    delimiter: str,
    max_rejects: int,
    where: str,
    told: Callable[[float], None],
) -> list[Malformed]:
    """Streams the rows of a delimited UTF-8 file with a header into Parquet, every column as text.

    Args:
        engine: The engine.
        file: The file; an empty field is null.
        target: The Parquet file to write.
        columns: Names of the columns, in the file's order.
        delimiter: The delimiter.
        max_rejects: So many malformed rows are kept at most.
        where: The raw file's name, for messages.
        told: Is told the share done, about once a second.

    Returns:
        The malformed rows, by line.

    Raises:
        BrokenLayoutError: Quotes or line ends are broken in a way that hides rows.
        SourceError: The file cannot be read for another reason.
    """
    import duckdb

    errors, scans = engine.fresh_name("reject_errors"), engine.fresh_name("reject_scans")
    named = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in columns)
    statement = (
        f"COPY (SELECT * FROM read_csv({quoted(str(file))}, auto_detect=false, header=true, "
        f"delim={quoted(delimiter)}, quote='\"', escape='\"', columns={{{named}}}, store_rejects=true, "
        f"rejects_table={quoted(errors)}, rejects_scan={quoted(scans)}, rejects_limit={max_rejects})) "
        f"TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    try:
        with _watched(engine, told):
            engine.run_sql(statement)
        found = engine.run_sql(
            f"SELECT line, error_type::VARCHAR, string_agg(error_message, '; '), any_value(csv_line) FROM {errors} "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
    except duckdb.Error as error:
        if "state machine" in str(error) or "quote" in str(error):
            raise BrokenLayoutError from error
        raise SourceError(
            "cannot be read as CSV", where=where, examples=[str(error).splitlines()[0]], todo="Check the file"
        ) from error
    finally:
        for name in (errors, scans):
            engine.run_sql(f"DROP TABLE IF EXISTS {name}")
    if any("\n" in (text or "").rstrip("\r\n") for _, kind, _, text in found if kind == "UNQUOTED VALUE"):
        raise BrokenLayoutError
    # Line 1 is the header.
    return [
        Malformed(int(line) - 1, REASONS.get(kind, "malformed_row"), detail, text or "")
        for line, kind, detail, text in found
    ]


@contextmanager
def _watched(engine: EmbeddedEngine, told: Callable[[float], None]) -> Iterator[None]:
    """Tells how far the engine is while it works on one statement."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(TELL_SECONDS):
            share = engine.progress()
            if share is not None:
                told(share)

    watcher = threading.Thread(target=watch, name="landing-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def looks_of_texts(engine: EmbeddedEngine, file: Path, columns: Sequence[str]) -> dict[str, str]:
    """What the texts in the first rows of a Parquet file look like: column -> type, ``empty`` without any text."""
    if not columns:
        return {}
    wanted: list[str] = []
    for name in columns:
        column = '"' + name.replace('"', '""') + '"'
        wanted.append(f"count({column})")
        wanted += [f"count(*) FILTER ({test.format(column=column)})" for test in LOOKS.values()]
    source = f"(SELECT * FROM read_parquet({quoted(str(file))}, hive_partitioning=false) LIMIT {LOOKED_AT_ROWS})"
    (counts,) = engine.run_sql(f"SELECT {', '.join(wanted)} FROM {source}")
    looks: dict[str, str] = {}
    width = len(LOOKS) + 1
    for number, name in enumerate(columns):
        filled, *passed = counts[number * width : (number + 1) * width]
        fits = [kind for kind, count in zip(LOOKS, passed, strict=True) if count == filled]
        looks[name] = "empty" if filled == 0 else fits[0] if fits else "string"
    return looks
