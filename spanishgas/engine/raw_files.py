"""Raw files: which there are, what they hold, and how they become Parquet without losing or changing a row.

One entrance for every format. A landed file holds the raw rows in their raw order: CSV with every column as text, JSON
as one text column ``record``, Parquet as it is. What the values mean is decided later, by the mapping to the contract.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.engine.session import Engine
from spanishgas.engine.store import read_json, write_atomically
from spanishgas.errors import SourceError

Format = Literal["csv", "json", "parquet"]
Progress = Callable[[str], None]

ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".json": "json",
    ".json.gz": "json",
    ".jsonl": "json",
    ".jsonl.gz": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
REJECTED_ROW_CHARACTERS = 2_000
HASH_CHUNK_BYTES = 1 << 20
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
class FileContent:
    """What landing one raw file found in it.

    Attributes:
        rows: Rows landed.
        rejects: Rows that could not be parsed.
        schema: Raw column, or dotted path of a nested field -> inferred type.
        notes: Facts about how the file had to be read, such as a detected delimiter.
        cut_off: Whether the file ends in the middle of a row.
    """

    rows: int
    rejects: tuple[Reject, ...]
    schema: dict[str, str]
    notes: dict[str, str]
    cut_off: bool = False


def quiet(_: str) -> None:
    """Progress for nobody."""


def detect_format(file: Path) -> Format | None:
    """The format that a file's ending stands for, or None where it stands for none."""
    name = file.name.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending):
            return ENDINGS[ending]
    return None


def find_files(raw: Path, pattern: str) -> list[Path]:
    """Data files that a path, glob or folder below the raw folder stands for, sorted by name.

    A folder stands for every data file in it and below; names that begin with a dot or an underscore are left out, as
    other writers use them for what is not data.

    Args:
        raw: The data set's raw folder.
        pattern: Relative to it, or absolute.
    """
    anchor = Path(pattern)
    base, relative = (Path(anchor.anchor), anchor.relative_to(anchor.anchor)) if anchor.is_absolute() else (raw, anchor)
    direct = base / relative
    if direct.is_file():
        return [direct]
    if direct.is_dir():
        below = direct.rglob("*")
        return sorted(file for file in below if _is_data(file.relative_to(direct)) and detect_format(file))
    found = [path for path in base.glob(str(relative)) if _is_data(Path(path.name))]
    nested = [file for folder in found if folder.is_dir() for file in find_files(base, str(folder.relative_to(base)))]
    return sorted({*(path for path in found if path.is_file()), *nested})


def _is_data(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


def names_in(folder: Path) -> list[str]:
    """Names of what lies in a folder, sorted; empty where there is no such folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class HashCache:
    """SHA-256 of raw files, computed once for every state of a file.

    A file's state is its real path, size and modification time in nanoseconds.

    Args:
        file: Where digests are kept between runs; damaged or absent content is made again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        kept = read_json(file)
        self._kept: dict[str, str] = kept if isinstance(kept, dict) else {}
        self._changed = False

    def digest(self, file: Path, progress: Progress = quiet) -> str:
        """The digest of a file's bytes.

        Raises:
            SourceError: The file cannot be read, or changes while it is read.
        """
        before = self._state(file)
        if before not in self._kept:
            digest = _sha256(file, progress)
            if self._state(file) != before:
                raise SourceError(
                    "changed while it was read", where=str(file), todo="Run again when the file is complete"
                )
            path = before.split("|")[0]
            self._kept = {key: value for key, value in self._kept.items() if key.split("|")[0] != path}
            self._kept[before] = digest
            self._changed = True
        return self._kept[before]

    def save(self) -> None:
        """Keeps the digests for the next run."""
        if self._changed:
            import json

            write_atomically(self._file, json.dumps(self._kept, indent=0, sort_keys=True))
            self._changed = False

    @staticmethod
    def _state(file: Path) -> str:
        try:
            status = file.stat()
        except OSError as error:
            raise SourceError("cannot be read", where=str(file), examples=[error.strerror]) from error
        return f"{os.path.realpath(file)}|{status.st_size}|{status.st_mtime_ns}"


def _sha256(file: Path, progress: Progress) -> str:
    digest, size, done = hashlib.sha256(), file.stat().st_size, 0
    told = time.monotonic()
    try:
        with file.open("rb", buffering=0) as handle:
            while chunk := handle.read(HASH_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                if time.monotonic() - told > PROGRESS_SECONDS:
                    told = time.monotonic()
                    progress(f"hashing {file.name}: {done / size:.0%} of {size / 2**20:,.0f} MiB")
    except OSError as error:
        raise SourceError("cannot be read", where=str(file), examples=[error.strerror]) from error
    return digest.hexdigest()


def land_file(
    engine: Engine,
    file: Path,
    target: Path,
    *,
    format: Format,  # noqa: A002 - the settings' own name for it
    delimiter: str | None = None,
    encoding: str = "utf-8",
    progress: Progress = quiet,
) -> FileContent:
    """Lands one raw file as one Parquet file, rows in raw order.

    Args:
        engine: The engine that reads and writes.
        file: The raw file.
        target: The Parquet file to write.
        format: Format of the raw file.
        delimiter: CSV delimiter, or None to detect it.
        encoding: Text encoding of CSV and JSON files.
        progress: Is told about long work.

    Raises:
        SourceError: The file as a whole cannot be read as its format says.
    """
    from spanishgas.engine.raw_csv import land_csv
    from spanishgas.engine.raw_json import land_json

    if format == "parquet":
        return _land_parquet(file, target, progress)
    if format == "json":
        return land_json(file, target, encoding=encoding, progress=progress)
    return land_csv(engine, file, target, delimiter=delimiter, encoding=encoding, progress=progress)


def _land_parquet(file: Path, target: Path, progress: Progress) -> FileContent:
    """Copies a Parquet file byte by byte, after a look at its footer."""
    try:
        metadata = pq.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            "is no readable Parquet file",
            where=str(file),
            examples=[str(error).splitlines()[0]],
            todo="Check that the file was written to its end",
        ) from error
    copy_bytes(file, target, progress)
    return FileContent(
        rows=metadata.num_rows,
        rejects=(),
        schema={field.name: arrow_type_name(field.type) for field in schema},
        notes={},
    )


def copy_bytes(file: Path, target: Path, progress: Progress = quiet) -> None:
    """Copies a file inside the kernel; the copy lives on when the original is overwritten in place."""
    size, done, told = file.stat().st_size, 0, time.monotonic()
    with file.open("rb") as source, target.open("wb") as sink:
        while done < size:
            copied = _copy_some(source.fileno(), sink.fileno(), 64 * HASH_CHUNK_BYTES)
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


def arrow_type_name(kind: Any) -> str:
    """The inferred type that a Parquet column's Arrow type stands for."""
    types = pa.types
    if types.is_dictionary(kind):
        return arrow_type_name(kind.value_type)
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
