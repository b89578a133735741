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
class Chunk:
    """Consecutive rows of one file.

    Attributes:
        origin: Name of the raw file.
        first_line: Row within the file's data of the first row, from 1.
        batch: The rows; text columns are dictionary-encoded.
    """

    origin: str
    first_line: int
    batch: pa.RecordBatch


def map_chunks(
    files: Sequence[Path],
    origins: Sequence[str],
    columns: Sequence[str],
    work: Callable[[Chunk], Result],
    threads: int,
) -> Iterator[Result]:
    """Applies a function to the chunks of Parquet files.

    Row groups are read side by side; a function that spends its time in Arrow or numpy runs in parallel. At most a few
    row groups are in memory at a time.

    Args:
        files: Parquet files.
        origins: Name of the raw file behind each.
        columns: Columns to read; those that a file does not have are left out.
        work: Called once per chunk, on several threads.
        threads: Row groups read at a time.

    Yields:
        The results, in the order of files and rows.
    """
    _keep_freed_memory()
    tasks = _tasks(files, origins)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        for file, origin, group, first_line in tasks:
            waiting.append(pool.submit(_work_on, file, origin, group, first_line, columns, work))
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


def _tasks(files: Sequence[Path], origins: Sequence[str]) -> Iterator[tuple[Path, str, int, int]]:
    for file, origin in zip(files, origins, strict=True):
        metadata = pq.read_metadata(file)
        first_line = 1
        for group in range(metadata.num_row_groups):
            yield file, origin, group, first_line
            first_line += metadata.row_group(group).num_rows


def _work_on(
    file: Path, origin: str, group: int, first_line: int, columns: Sequence[str], work: Callable[[Chunk], Result]
) -> list[Result]:
    schema = pq.read_schema(file)
    texts = [name for name in columns if name in schema.names and _is_text(schema.field(name).type)]
    with pq.ParquetFile(file, read_dictionary=texts) as opened:
        present = [name for name in columns if name in schema.names]
        results = []
        for batch in opened.iter_batches(CHUNK_ROWS, row_groups=[group], columns=present, use_threads=False):
            results.append(work(Chunk(origin, first_line, batch)))
            first_line += batch.num_rows
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
