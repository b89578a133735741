"""Long tables in pieces: the rows of scanned files as Arrow batches, worked on side by side, answered in file order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

CHUNK_ROWS = 262_144
AHEAD = 2
ALLOCATION_BYTES = 30 << 20  # glibc raises its thresholds up to 32 MiB

Result = TypeVar("Result")


@dataclass(frozen=True)
class RowGroup:
    """One row group of a Parquet file.

    Attributes:
        file: The file.
        origin: Name of the raw file behind it.
        place: Its place in the file, from 0.
        first_line: Row within the file's data of its first row, from 1.
        rows: Rows to read of it, from its first.
        number: What its chunks are known by; unique among the row groups that are read together.
    """

    file: Path
    origin: str
    place: int
    first_line: int
    rows: int
    number: int


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one row group.

    Attributes:
        origin: Name of the raw file.
        first_line: Row within the file's data of the first row, from 1.
        batch: The rows; text columns are dictionary-encoded.
        group: Number of the row group.
    """

    origin: str
    first_line: int
    batch: pa.RecordBatch
    group: int = 0


def row_groups(files: Sequence[Path], origins: Sequence[str], first_number: int = 0) -> list[RowGroup]:
    """Row groups of Parquet files, in the order of files and rows.

    Args:
        files: Parquet files.
        origins: Name of the raw file behind each.
        first_number: Number of the first row group; the others count on from it.
    """
    found: list[RowGroup] = []
    for file, origin in zip(files, origins, strict=True):
        metadata = pq.read_metadata(file)
        first_line = 1
        for place in range(metadata.num_row_groups):
            rows = metadata.row_group(place).num_rows
            found.append(RowGroup(file, origin, place, first_line, rows, first_number + len(found)))
            first_line += rows
    return found


def map_chunks(
    groups: Sequence[RowGroup], columns: Sequence[str], work: Callable[[Chunk], Result], threads: int
) -> Iterator[Result]:
    """Applies a function to the chunks of row groups.

    Row groups are read side by side; a function that spends its time in Arrow or numpy runs in parallel. At most a few
    row groups are in memory at a time.

    Args:
        groups: The row groups.
        columns: Columns to read; those that a file does not have are left out.
        work: Called once per chunk, on several threads.
        threads: Row groups read at a time.

    Yields:
        The results, in the order of the row groups and their rows.
    """
    _keep_freed_memory()
    with ThreadPoolExecutor(max_workers=threads) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        for group in groups:
            waiting.append(pool.submit(_work_on, group, columns, work))
            if len(waiting) >= threads * AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _keep_freed_memory() -> None:
    """Lets the C allocator keep freed blocks of a chunk's size instead of giving each back to the system.

    glibc sets its thresholds by the largest block freed so far; without this every array costs page faults, a quarter
    of the pass. Elsewhere it does nothing.
    """
    bytearray(ALLOCATION_BYTES)


def _work_on(group: RowGroup, columns: Sequence[str], work: Callable[[Chunk], Result]) -> list[Result]:
    schema = pq.read_schema(group.file)
    texts = [name for name in columns if name in schema.names and _is_text(schema.field(name).type)]
    first_line = group.first_line
    with pq.ParquetFile(group.file, read_dictionary=texts) as opened:
        present = [name for name in columns if name in schema.names]
        results = []
        rows = min(CHUNK_ROWS, max(group.rows, 1))
        for batch in opened.iter_batches(rows, row_groups=[group.place], columns=present, use_threads=False):
            results.append(work(Chunk(group.origin, first_line, batch, group.number)))
            first_line += batch.num_rows
            if first_line - group.first_line >= group.rows:
                break
    return results


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


class Spool:
    """Rows that may be many: kept in a scratch file, read back as a table.

    Args:
        file: Where the rows go.
        schema: Their columns.
    """

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self.file = file
        self.rows = 0
        self._schema = schema
        file.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", compression_level=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Appends rows."""
        if rows.num_rows:
            self._writer.write_table(rows.cast(self._schema))
            self.rows += rows.num_rows
