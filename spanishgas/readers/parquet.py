"""Parquet: copied byte by byte, after a look at its footer; and what the columns of any landed file hold."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.engine.delimited import looks_of_texts
from spanishgas.engine.embedded import EmbeddedEngine
from spanishgas.errors import SourceError
from spanishgas.readers.content import PROGRESS_SECONDS, FileContent, Progress, Task, quiet

COPY_BYTES = 64 << 20


def read_parquet(task: Task) -> FileContent:
    """Lands a Parquet file as it is.

    Raises:
        SourceError: The file is no Parquet, or not whole: its footer is written last.
    """
    rows, schema = look_at(task.file, task.where)
    copy_bytes(task.file, task.target, task.progress)
    return FileContent(rows=rows, rejects=(), schema=schema, notes={})


def look_at(file: Path, where: str) -> tuple[int, dict[str, str]]:
    """Rows of a Parquet file, and column -> type as its footer tells.

    Raises:
        SourceError: The file is no Parquet, or not whole.
    """
    try:
        metadata = pq.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            "is no readable Parquet file",
            where=where,
            examples=[str(error).splitlines()[0]],
            todo="Check that the file was written to its end",
        ) from error
    return metadata.num_rows, {field.name: _type_name(field.type) for field in schema}


def landed_schema(engine: EmbeddedEngine, landed: Path) -> tuple[int, dict[str, str]]:
    """Rows of a landed file, and column -> type, for texts what they look like."""
    rows, schema = look_at(landed, str(landed))
    texts = [name for name, kind in schema.items() if kind == "string"]
    return rows, schema | looks_of_texts(engine, landed, texts)


def _type_name(kind: Any) -> str:
    types = pa.types
    if types.is_dictionary(kind):
        return _type_name(kind.value_type)
    tests: Sequence[tuple[str, Callable[[Any], bool]]] = (
        ("bool", types.is_boolean),
        ("int", types.is_integer),
        ("float", lambda found: types.is_floating(found) or types.is_decimal(found)),
        ("date", types.is_date),
        ("timestamp", types.is_timestamp),
        ("string", lambda found: types.is_string(found) or types.is_large_string(found)),
        ("empty", types.is_null),
        ("nested", types.is_nested),
    )
    return next((name for name, test in tests if test(kind)), str(kind))


def copy_bytes(file: Path, target: Path, progress: Progress = quiet) -> None:
    """Copies a file inside the kernel; the copy lives on when the original is overwritten in place."""
    size, done, told = file.stat().st_size, 0, time.monotonic()
    with file.open("rb") as source, target.open("wb") as sink:
        while done < size:
            copied = _copy_some(source.fileno(), sink.fileno(), COPY_BYTES)
            if not copied:
                raise SourceError("became shorter while it was copied", where=str(file), todo="Run again")
            done += copied
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                progress(f"copying {file.name}: {done / size:.0%} of {size / 2**20:,.0f} MiB")


def _copy_some(source: int, sink: int, count: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, sink, count)
        except OSError:  # not between these two file systems
            return os.sendfile(sink, source, None, count)
    return os.write(sink, os.read(source, count))
