"""One engine session: where table expressions run, how large they may grow, and how they reach disk."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from spanishgas.config import EngineSettings
from spanishgas.engine.chunks import Chunk, Result, RowGroup, Spool, map_chunks, row_groups
from spanishgas.engine.partitions import Partition, map_partitions
from spanishgas.errors import PublishError

ROW_GROUP_ROWS = 122_880
LEAST_MEMORY_MIB = 256
BY_NAME = "union_by_name=true, hive_partitioning=false"


class Engine:
    """An embedded DuckDB session behind Ibis.

    Rooms write Ibis expressions and never see the backend; what must be said in the engine's own dialect is said here.

    Args:
        settings: Threads and memory.
        scratch: Folder for what does not fit into memory; made when needed.
    """

    def __init__(self, settings: EngineSettings, scratch: Path) -> None:
        self.settings = settings
        self.threads = settings.threads or os.cpu_count() or 1
        self._scratch = scratch
        self._names = 0
        self._scanned: dict[str, tuple[tuple[Path, ...], tuple[str, ...]]] = {}

    @cached_property
    def _backend(self) -> Backend:
        """Opened when it is first used: a session that only reads chunks needs none."""
        backend = ibis.duckdb.connect(
            threads=self.threads,
            memory_limit=f"{self.settings.memory_limit_mib}MiB",
            temp_directory=str(self._scratch),
        )
        # Workers would draw their bars over each other, and over the stage's own line.
        backend.raw_sql("SET enable_progress_bar_print = false")
        return backend

    def close(self) -> None:
        """Ends the session and frees its memory."""
        if "_backend" in self.__dict__:
            self._backend.disconnect()

    def fresh_name(self, stem: str) -> str:
        """A name that nothing in the session has yet; only for code inside this package."""
        self._names += 1
        return f"{stem}_{self._names}"

    def scan(self, files: Sequence[Path], *, origins: Sequence[str] | None = None) -> ir.Table:
        """A table over Parquet files of one schema, read when it is used.

        Args:
            files: At least one file.
            origins: Name of the raw file behind each file; adds ``source_file`` (that name) and ``source_line`` (row in
                the file, from 1).

        Raises:
            PublishError: No file is given.
        """
        if not files:
            raise PublishError("there is no file to read", todo="Run the stage that writes the table")
        listed = "[" + ", ".join(quoted(str(file)) for file in files) + "]"
        name = self.fresh_name("scan")
        if origins is not None:
            pairs = ", ".join(
                f"{quoted(str(file))}: {quoted(origin)}" for file, origin in zip(files, origins, strict=True)
            )
            body = (
                "SELECT * EXCLUDE (filename, file_row_number), "
                f"MAP {{{pairs}}}[filename] AS source_file, file_row_number + 1 AS source_line "
                f"FROM read_parquet({listed}, filename=true, file_row_number=true, {BY_NAME})"
            )
        else:
            body = f"SELECT * FROM read_parquet({listed}, {BY_NAME})"
        self.run_sql(f"CREATE TEMP VIEW {name} AS {body}")
        self._scanned[name] = tuple(files), tuple(origins or map(str, files))
        return self._backend.table(name, database=("temp", "main"))

    def table(self, frame: pd.DataFrame | pa.Table) -> ir.Table:
        """A table over an in-memory frame."""
        arrow = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
        return self._backend.create_table(self.fresh_name("frame"), arrow, temp=True)

    def view(self, rows: pa.Table) -> ir.Table:
        """A table over Arrow data that is not copied; it lives as long as the session."""
        name = self.fresh_name("view")
        self._backend.con.register(name, rows)
        return self._backend.table(name)

    def empty(self, schema: Mapping[str, str]) -> ir.Table:
        """A table without rows; column name -> Ibis type."""
        return self._backend.create_table(self.fresh_name("empty"), schema=ibis.schema(dict(schema)), temp=True)

    def stage(self, expression: ir.Table) -> ir.Table:
        """A step of a long expression under a name of its own, computed when it is used.

        Without it everything that uses a column repeats how the column is made, and so does what uses that.
        """
        name = self.fresh_name("stage")
        self.run_sql(f"CREATE TEMP VIEW {name} AS {self._backend.compile(expression)}")
        return self._backend.table(name, database=("temp", "main"))

    def materialize(self, expression: ir.Table) -> ir.Table:
        """Computes an expression once; later uses read the result, which spills to disk when it is large."""
        return self._backend.create_table(self.fresh_name("step"), expression, temp=True)

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
        # Ibis cannot say that nulls are passed over in a window.
        filled = ", ".join(
            f"last_value({identifier(name)} IGNORE NULLS) OVER so_far AS {identifier(name + '_carried')}"
            for name in columns
        )
        name = self.fresh_name("carried")
        self.run_sql(
            f"CREATE TEMP VIEW {name} AS SELECT *, {filled} FROM ({self._backend.compile(table)}) "
            f"WINDOW so_far AS (PARTITION BY {', '.join(map(identifier, within))} ORDER BY {identifier(order)} "
            "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        )
        return self._backend.table(name, database=("temp", "main"))

    def reshape(self, table: ir.Table, change: Callable[[ir.Table], ir.Table]) -> ir.Table:
        """A table from ``scan`` with other columns, as a table from ``scan``: ``map_chunks`` can read it.

        Args:
            table: The table; it was given origins.
            change: Makes the new columns of the rows of one file, row by row.
        """
        files, origins = self._scanned[table.op().name]
        made: list[Path] = []
        self._scratch.mkdir(parents=True, exist_ok=True)
        for file, origin in zip(files, origins, strict=True):
            rows = self.scan([file], origins=[origin])
            made.append(self._scratch / f"{self.fresh_name('reshaped')}.parquet")
            self.write(change(rows.order_by(rows.source_line)), made[-1])
        return self.scan(made, origins=origins)

    def row_groups(self, table: ir.Table, first_number: int = 0) -> list[RowGroup]:
        """Row groups of a table from ``scan``; see ``chunks.row_groups``."""
        files, origins = self._scanned[table.op().name]
        return row_groups(files, origins, first_number)

    def map_chunks(
        self, rows: ir.Table | Sequence[RowGroup], columns: Sequence[str], work: Callable[[Chunk], Result]
    ) -> Iterator[Result]:
        """Applies a function to consecutive rows of a table from ``scan``, or of some row groups of it.

        See ``chunks.map_chunks``.
        """
        groups = self.row_groups(rows) if isinstance(rows, ir.Table) else rows
        return map_chunks(groups, columns, work, self.threads)

    def map_partitions(
        self, partitions: Sequence[Partition], work: Callable[["Engine", Partition], Result]
    ) -> Iterator[Result]:
        """Applies a function to partitions of work, with ``engine.workers`` above 1 in worker processes.

        Each has a session of its own, so that nothing of one stays in memory with the next; see
        ``partitions.map_partitions``.
        """
        shares = 2 * self.settings.workers
        settings = self.settings.model_copy(
            update={
                "workers": 1,
                "threads": max(1, self.threads // self.settings.workers),
                "memory_limit_mib": max(LEAST_MEMORY_MIB, self.settings.memory_limit_mib // shares),
            }
        )
        return map_partitions(
            partitions, work, open_engine, settings, self.scratch("partitions"), self.settings.workers
        )

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

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        """Computes an expression into a frame. Only for results of a bounded size."""
        frame: pd.DataFrame = self._backend.execute(expression)
        return frame

    def integer(self, scalar: ir.IntegerScalar) -> int:
        """Computes a scalar expression, such as a count."""
        return int(self._backend.execute(scalar))

    def arrow(self, expression: ir.Table) -> pa.Table:
        """Computes an expression into an Arrow table. Only for results of a bounded size."""
        return self._backend.to_pyarrow(expression)

    def write(self, expression: ir.Table, file: Path, *, order_by: Sequence[str] = ()) -> None:
        """Computes an expression into one zstd Parquet file, sorted where an order is given."""
        ordered = expression.order_by([expression[name] for name in order_by]) if order_by else expression
        self._backend.to_parquet(ordered, file, compression="zstd", row_group_size=ROW_GROUP_ROWS)

    def content_hash(self, files: Sequence[Path]) -> tuple[str, int]:
        """Digest and row count of the logical rows in Parquet files; the order of rows and files does not matter."""
        listed = "[" + ", ".join(quoted(str(file)) for file in files) + "]"
        source = f"read_parquet({listed}, {BY_NAME})"
        columns = self.run_sql(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {source}) ORDER BY 1")
        names = ", ".join(identifier(name) for name, _ in columns)
        ((rows, total, mixed),) = self.run_sql(
            f"SELECT count(*), sum(hash({names})::HUGEINT)::VARCHAR, bit_xor(hash({names}))::VARCHAR FROM {source}"
        )
        text = repr((columns, rows, total, mixed))
        return hashlib.sha256(text.encode()).hexdigest(), int(rows)

    def column_types(self, file: Path) -> dict[str, str]:
        """Column name -> engine type of a Parquet file."""
        rows = self.run_sql(
            "SELECT column_name, column_type FROM "
            f"(DESCRIBE SELECT * FROM read_parquet({quoted(str(file))}, {BY_NAME}))"
        )
        return {str(name): str(kind) for name, kind in rows}

    def progress(self) -> float | None:
        """Share done of the statement that runs now, from 0 to 1, or None where the engine cannot tell."""
        percent = float(self._backend.con.query_progress())
        return percent / 100.0 if percent >= 0.0 else None

    def run_sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement in the engine's own dialect; only for code inside this package."""
        cursor = self._backend.raw_sql(statement)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


@contextmanager
def open_engine(settings: EngineSettings, scratch: Path) -> Iterator[Engine]:
    """An engine session that is closed at the end, whatever happens."""
    engine = Engine(settings, scratch)
    try:
        yield engine
    finally:
        engine.close()


def identifier(name: str) -> str:
    """A column's name in the engine's dialect; only for code inside this package."""
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """A text as a literal of the engine's dialect; only for code inside this package."""
    return "'" + text.replace("'", "''") + "'"
