"""The embedded engine: DuckDB in this process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from spanishgas.engine.chunks import Chunk, Result
from spanishgas.engine.content import digest_of_files, hash_file
from spanishgas.engine.partitions import Partition, map_partitions
from spanishgas.engine.session import LEAST_MEMORY_MIB, ROW_GROUP_ROWS, Engine, need_files

BY_NAME = "union_by_name=true, hive_partitioning=false"


class EmbeddedEngine(Engine):
    """An embedded DuckDB session behind Ibis."""

    def __init__(self, settings: EngineSettings, scratch: Path) -> None:
        super().__init__(settings, scratch)
        self.workers = settings.workers

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
        if "_backend" in self.__dict__:
            self._backend.disconnect()

    def scan(self, files: Sequence[Path], *, origins: Sequence[str] | None = None) -> ir.Table:
        need_files(files)
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
        arrow = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
        return self._backend.create_table(self.fresh_name("frame"), arrow, temp=True)

    def view(self, rows: pa.Table) -> ir.Table:
        name = self.fresh_name("view")
        self._backend.con.register(name, rows)
        return self._backend.table(name)

    def empty(self, schema: Mapping[str, str]) -> ir.Table:
        return self._backend.create_table(self.fresh_name("empty"), schema=ibis.schema(dict(schema)), temp=True)

    def stage(self, expression: ir.Table) -> ir.Table:
        name = self.fresh_name("stage")
        self.run_sql(f"CREATE TEMP VIEW {name} AS {self._backend.compile(expression)}")
        return self._backend.table(name, database=("temp", "main"))

    def materialize(self, expression: ir.Table) -> ir.Table:
        return self._backend.create_table(self.fresh_name("step"), expression, temp=True)

    def carried_forward(
        self, table: ir.Table, columns: Sequence[str], *, within: Sequence[str], order: str
    ) -> ir.Table:
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
        files, origins = self.files_of(table)
        made: list[Path] = []
        self._scratch.mkdir(parents=True, exist_ok=True)
        for file, origin in zip(files, origins, strict=True):
            rows = self.scan([file], origins=[origin])
            made.append(self._scratch / f"{self.fresh_name('reshaped')}.parquet")
            self.write(change(rows.order_by(rows.source_line)), made[-1])
        return self.scan(made, origins=origins)

    def map_partitions(
        self, partitions: Sequence[Partition], work: Callable[[Engine, Partition], Result]
    ) -> Iterator[Result]:
        shares = 2 * self.settings.workers
        settings = self.settings.model_copy(
            update={
                "workers": 1,
                "threads": max(1, self.threads // self.settings.workers),
                "memory_limit_mib": max(LEAST_MEMORY_MIB, self.settings.memory_limit_mib // shares),
            }
        )
        return map_partitions(
            partitions, work, open_embedded, settings, self.scratch("partitions"), self.settings.workers
        )

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        frame: pd.DataFrame = self._backend.execute(expression)
        return frame

    def integer(self, scalar: ir.IntegerScalar) -> int:
        return int(self._backend.execute(scalar))

    def arrow(self, expression: ir.Table) -> pa.Table:
        return self._backend.to_pyarrow(expression)

    def write(self, expression: ir.Table, file: Path, *, order_by: Sequence[str] = ()) -> list[Path]:
        ordered = expression.order_by([expression[name] for name in order_by]) if order_by else expression
        self._backend.to_parquet(ordered, file, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        return [file]

    def map_rows(self, table: ir.Table, change: Callable[[Engine, ir.Table], ir.Table]) -> ir.Table:
        return change(self, table)

    def map_to_table(
        self,
        table: ir.Table,
        columns: Sequence[str],
        work: Callable[[Chunk], tuple[pa.Table, Result]],
        schema: pa.Schema,
        heard: Callable[[Result, int], None],
    ) -> ir.Table:
        with self.spool(schema) as spool:
            for rows, told in self.map_chunks(table, columns, work):
                spool.add(rows)
                heard(told, spool.rows)
        return self.spooled(spool)

    def content_hash(self, files: Sequence[Path]) -> tuple[str, int]:
        with ThreadPoolExecutor(max_workers=self.threads) as pool:
            return digest_of_files(files, list(pool.map(hash_file, files)))

    def column_types(self, file: Path) -> dict[str, str]:
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
def open_embedded(settings: EngineSettings, scratch: Path) -> Iterator[EmbeddedEngine]:
    """An embedded session, whatever engine is set, closed at the end, whatever happens."""
    engine = EmbeddedEngine(settings, scratch)
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
