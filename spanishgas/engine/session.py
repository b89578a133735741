"""The engine's session: where table expressions run, how large they may grow, and how they reach disk."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from spanishgas.config import EngineSettings
from spanishgas.engine.chunks import Chunk, Result, RowGroup, Spool, map_chunks, row_groups
from spanishgas.engine.partitions import Partition
from spanishgas.errors import PublishError

LEAST_MEMORY_MIB = 256
ROW_GROUP_ROWS = 122_880


class Engine(ABC):
    """Where Ibis expressions run: embedded DuckDB, or Spark.

    Rooms write Ibis expressions and never see the backend; what must be said in an engine's own dialect is said in
    this package. Both engines give the same rows, to the last bit.

    Args:
        settings: Threads, memory, and for Spark the cluster.
        scratch: Folder for what does not fit into memory; made when needed. All machines of a cluster see it.

    Attributes:
        workers: Processes that work on partitions side by side.
    """

    workers: int = 1

    def __init__(self, settings: EngineSettings, scratch: Path) -> None:
        self.settings = settings
        self.threads = settings.threads or os.cpu_count() or 1
        self._scratch = scratch
        self._names = 0
        self._scanned: dict[str, tuple[tuple[Path, ...], tuple[str, ...]]] = {}

    @abstractmethod
    def close(self) -> None:
        """Ends the session and frees its memory."""

    @abstractmethod
    def scan(self, files: Sequence[Path], *, origins: Sequence[str] | None = None) -> ir.Table:
        """A table over Parquet files of one schema, read when it is used.

        Args:
            files: At least one file.
            origins: Name of the raw file behind each file; adds ``source_file`` (that name) and ``source_line`` (row in
                the file, from 1).

        Raises:
            PublishError: No file is given.
        """

    @abstractmethod
    def table(self, frame: pd.DataFrame | pa.Table) -> ir.Table:
        """A table over an in-memory frame."""

    @abstractmethod
    def view(self, rows: pa.Table) -> ir.Table:
        """A table over Arrow data, not copied where the engine can do without; it lives as long as the session."""

    @abstractmethod
    def empty(self, schema: Mapping[str, str]) -> ir.Table:
        """A table without rows; column name -> Ibis type."""

    @abstractmethod
    def stage(self, expression: ir.Table) -> ir.Table:
        """A step of a long expression under a name of its own, computed when it is used.

        Without it everything that uses a column repeats how the column is made, and so does what uses that.
        """

    @abstractmethod
    def materialize(self, expression: ir.Table) -> ir.Table:
        """Computes an expression once; later uses read the result, which goes to disk when it is large."""

    @abstractmethod
    def carried_forward(
        self, table: ir.Table, columns: Sequence[str], *, within: Sequence[str], order: str
    ) -> ir.Table:
        """Fills missing values from the last known one before, never from a later one; computed when it is used.

        Args:
            table: Rows; (within, order) is unique.
            columns: What to fill.
            within: Columns that name rows that belong together.
            order: Column to go by.

        Returns:
            The table with ``<column>_carried`` for each column.
        """

    @abstractmethod
    def map_rows(self, table: ir.Table, change: Callable[["Engine", ir.Table], ir.Table]) -> ir.Table:
        """Changes rows, each by itself, whatever the others are.

        Args:
            table: A table from ``scan`` with origins.
            change: Given an engine and the rows of some files as a table of it, the changed rows as another. Spark
                runs it on its workers, with an embedded engine: it and what it holds must be picklable.

        Returns:
            The changed rows of all files; with the embedded engine computed when they are used.
        """

    @abstractmethod
    def map_to_table(
        self,
        table: ir.Table,
        columns: Sequence[str],
        work: Callable[[Chunk], tuple[pa.Table, Result]],
        schema: pa.Schema,
        heard: Callable[[Result, int], None],
    ) -> ir.Table:
        """Applies a function to consecutive rows of a table from ``scan``; memory does not grow with the table.

        Args:
            table: The table.
            columns: Columns to read.
            work: Rows -> rows of ``schema``, and something to tell. Spark runs it on its workers: it must be picklable.
            schema: Of the result.
            heard: Given what is told and the rows made so far.
        """

    @abstractmethod
    def map_partitions(
        self, partitions: Sequence[Partition], work: Callable[["Engine", Partition], Result]
    ) -> Iterator[Result]:
        """Applies a function to partitions of work, with several ``workers`` side by side.

        Each has an embedded session of its own, so that nothing of one stays in memory with the next; see
        ``partitions.map_partitions``.
        """

    @abstractmethod
    def reshape(self, table: ir.Table, change: Callable[[ir.Table], ir.Table]) -> ir.Table:
        """A table from ``scan`` with other columns, as a table from ``scan``: ``map_chunks`` can read it.

        Args:
            table: The table; it was given origins.
            change: Makes the new columns of the rows of one file, row by row.
        """

    @abstractmethod
    def frame(self, expression: ir.Table) -> pd.DataFrame:
        """Computes an expression into a frame. Only for results of a bounded size."""

    @abstractmethod
    def integer(self, scalar: ir.IntegerScalar) -> int:
        """Computes a scalar expression, such as a count."""

    @abstractmethod
    def arrow(self, expression: ir.Table) -> pa.Table:
        """Computes an expression into an Arrow table. Only for results of a bounded size."""

    @abstractmethod
    def write(self, expression: ir.Table, file: Path, *, order_by: Sequence[str] = ()) -> list[Path]:
        """Computes an expression into zstd Parquet, sorted where an order is given.

        Args:
            expression: The rows.
            file: Where the rows go; of a table that is worked on in parts the first part.
            order_by: Columns to sort by.

        Returns:
            The files, in the order of their rows: one, or several beside each other with numbered names.
        """

    @abstractmethod
    def content_hash(self, files: Sequence[Path]) -> tuple[str, int]:
        """Digest and row count of the rows in Parquet files, see ``content``: equal for equal rows, on every engine."""

    @abstractmethod
    def column_types(self, file: Path) -> dict[str, str]:
        """Column name -> type of a Parquet file, in the words of the embedded engine."""

    def fresh_name(self, stem: str) -> str:
        """A name that nothing in the session has yet; only for code inside this package."""
        self._names += 1
        return f"{stem}_{self._names}"

    def files_of(self, table: ir.Table) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """Files behind a table from ``scan``, and the raw file behind each; for code inside this package."""
        return self._scanned[table.op().name]

    def row_groups(self, table: ir.Table, first_number: int = 0) -> list[RowGroup]:
        """Row groups of a table from ``scan``; see ``chunks.row_groups``."""
        files, origins = self.files_of(table)
        return row_groups(files, origins, first_number)

    def map_chunks(
        self, rows: ir.Table | Sequence[RowGroup], columns: Sequence[str], work: Callable[[Chunk], Result]
    ) -> Iterator[Result]:
        """Applies a function in this process to consecutive rows of a table from ``scan``, or of some row groups.

        See ``chunks.map_chunks``.
        """
        groups = self.row_groups(rows) if isinstance(rows, ir.Table) else rows
        return map_chunks(groups, columns, work, self.threads)

    def scratch(self, stem: str) -> Path:
        """A path below the scratch folder that nothing has yet."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch / self.fresh_name(stem)

    @contextmanager
    def spool(self, schema: pa.Schema) -> Iterator[Spool]:
        """Collects rows that may be many; ``spooled`` reads them back once the block is left."""
        with Spool(self._scratch / f"{self.fresh_name('spool')}.parquet", schema) as spool:
            yield spool

    def spooled(self, spool: Spool) -> ir.Table:
        """The rows of a finished spool."""
        return self.scan([spool.file])


@contextmanager
def open_engine(settings: EngineSettings, scratch: Path) -> Iterator[Engine]:
    """A session of the engine that is set, closed at the end, whatever happens.

    Raises:
        ConfigError: Spark is set, and it or Java is not installed.
    """
    if settings.kind == "spark":
        from spanishgas.engine.spark import SparkEngine

        engine: Engine = SparkEngine(settings, scratch)
    else:
        from spanishgas.engine.embedded import EmbeddedEngine

        engine = EmbeddedEngine(settings, scratch)
    try:
        yield engine
    finally:
        engine.close()


def need_files(files: Sequence[Path]) -> None:
    """Refuses a scan of nothing; only for code inside this package.

    Raises:
        PublishError: No file is given.
    """
    if not files:
        raise PublishError("there is no file to read", todo="Run the stage that writes the table")
