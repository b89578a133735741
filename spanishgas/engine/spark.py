"""The engine on Spark: table expressions as Spark SQL, and partitions of work on the workers of a cluster.

What is done row by row (reading raw columns, readings to days, scoring) is the embedded engine's own code, run on the
workers; what joins and aggregates is Spark SQL. All machines see the same folders: the data root and the scratch
folder below it.
"""

import atexit
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from socket import gethostname
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import EngineSettings
from spanishgas.engine.chunks import Chunk, Result, RowGroup, Spool, map_chunks
from spanishgas.engine.content import RowsHash, digest_of_files, hash_file
from spanishgas.engine.dialect import Dialect, spark_strings
from spanishgas.engine.embedded import EmbeddedEngine, open_embedded
from spanishgas.engine.partitions import Partition
from spanishgas.engine.session import LEAST_MEMORY_MIB, ROW_GROUP_ROWS, Engine, need_files
from spanishgas.errors import ConfigError, SpanishGasError, WorkerError

# A table of fewer rows is one file.
ROWS_PER_FILE = 2_000_000
# The same everywhere, whatever the cluster's own settings are.
FIXED = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}


class SparkEngine(Engine):
    """A session on Spark behind Ibis; one Spark application serves all sessions of a process."""

    def __init__(self, settings: EngineSettings, scratch: Path) -> None:
        super().__init__(settings, scratch.resolve())
        self._prefix = f"s{uuid4().hex[:8]}"
        self._views: list[str] = []
        self._local = EmbeddedEngine(settings, self._scratch / "local")

    @cached_property
    def _backend(self) -> Any:
        session = _session(self.settings)
        if not _is_one_machine(session.sparkContext.master):
            self._require_shared_folder(session)
        return _backend_of(session)

    @property
    def _spark(self) -> Any:
        return self._backend._session

    @property
    def workers(self) -> int:  # type: ignore[override]
        return int(self._spark.sparkContext.defaultParallelism)

    def _require_shared_folder(self, session: Any) -> None:
        """Refuses workers that do not see the scratch folder, before they write files that nobody finds.

        Raises:
            ConfigError: A worker does not see it, or cannot run this package.
        """
        mark = self.scratch("seen")
        mark.touch()
        tasks = session.sparkContext.defaultParallelism
        try:
            seen = session.sparkContext.parallelize(range(tasks), tasks).map(_Looking(mark)).collect()
        except Exception as error:
            raise ConfigError(
                f"Spark's workers cannot run this package: {_told(error)}",
                where="engine.master",
                todo="Every machine needs this package's environment under the same path: see docs/cluster.md",
            ) from error
        blind = sorted({host for host, found in seen if not found})
        if blind:
            raise ConfigError(
                f"workers do not see {mark.parent}, where tables are made",
                where="engine.master",
                count=len(blind),
                examples=blind,
                todo="All machines of a cluster need the data root under the same path; of an object store, "
                "storage.cache has to be a folder that they share: see docs/cluster.md",
            )
        mark.unlink()

    def close(self) -> None:
        self._local.close()
        if "_backend" in self.__dict__:
            for name in self._views:
                self._spark.catalog.dropTempView(name)

    def fresh_name(self, stem: str) -> str:
        return f"{self._prefix}_{super().fresh_name(stem)}"

    def _named(self, rows: Any, stem: str) -> ir.Table:
        """A Spark data frame as a table under a name of its own."""
        name = self.fresh_name(stem)
        rows.createOrReplaceTempView(name)
        self._views.append(name)
        return self._backend.table(name)

    def _rows(self, expression: ir.Table) -> Any:
        """An expression as a Spark data frame."""
        self._backend._run_pre_execute_hooks(expression)
        return self._spark.sql(spark_strings(self._backend.compile(expression)))

    def scan(self, files: Sequence[Path], *, origins: Sequence[str] | None = None) -> ir.Table:
        need_files(files)
        return self._scan(files, origins)

    def _scan(self, files: Sequence[Path], origins: Sequence[str] | None, types: pa.Schema | None = None) -> ir.Table:
        table = self._named(self._read(files, origins, types), "scan")
        self._scanned[table.op().name] = tuple(files), tuple(origins or map(str, files))
        return table

    def _read(self, files: Sequence[Path], origins: Sequence[str] | None, types: pa.Schema | None) -> Any:
        """Parquet files by the names of their columns; where types differ, in the type that holds both."""
        groups: dict[pa.Schema, list[Path]] = {}
        for file in files:
            schema = pq.read_schema(file).remove_metadata()
            groups.setdefault(schema, []).append(file)
        if types is None and len(groups) > 1:
            types = pa.unify_schemas(list(groups), promote_options="permissive")
        name_of = dict(zip(files, origins, strict=True)) if origins is not None else {}
        parts = [self._read_alike(group, types, name_of, schema) for schema, group in groups.items()]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.unionByName(part)
        return whole

    def _read_alike(
        self, files: Sequence[Path], types: pa.Schema | None, name_of: Mapping[Path, str], schema: pa.Schema
    ) -> Any:
        from pyspark.sql import functions as f
        from pyspark.sql.pandas.types import from_arrow_type

        rows = self._spark.read.parquet(*map(_address, files))
        columns = [f.col(f"`{name.replace('`', '``')}`") for name in rows.columns]
        if types is not None:
            told = set(schema.names)
            columns = [
                (f.col(f"`{one.name}`") if one.name in told else f.lit(None))
                .cast(from_arrow_type(one.type, prefer_timestamp_ntz=True))
                .alias(one.name)
                for one in types
            ]
        if not name_of:
            return rows.select(*columns)
        # Spark tells where a row came from as an address, in which `+` stands for itself.
        pairs = [f.lit(text) for file in files for text in (f"file:{file.resolve()}", name_of[file])]
        path = f.url_decode(f.replace(f.col("_metadata.file_path"), f.lit("+"), f.lit("%2B")))
        return rows.select(
            *columns,
            f.element_at(f.create_map(*pairs), path).alias("source_file"),
            (f.col("_metadata.row_index") + 1).cast("long").alias("source_line"),
        )

    def table(self, frame: pd.DataFrame | pa.Table) -> ir.Table:
        return self.view(frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False))

    def view(self, rows: pa.Table) -> ir.Table:
        file = self.scratch("frame").with_suffix(".parquet")
        pq.write_table(_plain(rows), file, compression="zstd", compression_level=1)
        return self.scan([file])

    def empty(self, schema: Mapping[str, str]) -> ir.Table:
        return self.view(ibis.schema(dict(schema)).to_pyarrow().empty_table())

    def stage(self, expression: ir.Table) -> ir.Table:
        return self._named(self._rows(expression), "stage")

    def materialize(self, expression: ir.Table) -> ir.Table:
        folder = self.scratch("step")
        self._rows(expression).write.parquet(_address(folder), compression="zstd")
        schema = self._backend.SCHEMAS.from_ibis(expression.schema())
        rows = self._spark.read.schema(schema).parquet(_address(folder))
        return self._named(rows, "step")

    def carried_forward(
        self, table: ir.Table, columns: Sequence[str], *, within: Sequence[str], order: str
    ) -> ir.Table:
        from pyspark.sql import Window
        from pyspark.sql import functions as f

        so_far = Window.partitionBy(*within).orderBy(order).rowsBetween(Window.unboundedPreceding, Window.currentRow)
        filled = {f"{name}_carried": f.last(name, ignorenulls=True).over(so_far) for name in columns}
        return self._named(self._rows(table).withColumns(filled), "carried")

    def map_rows(self, table: ir.Table, change: Callable[[Engine, ir.Table], ir.Table]) -> ir.Table:
        name = table.op().name if hasattr(table.op(), "name") else None
        if name in self._scanned:
            files, origins = self.files_of(table)
            parts = [
                _Rows((file,), (origin,), change, self.scratch("rows"))
                for file, origin in zip(files, origins, strict=True)
            ]
        else:
            parts = [
                _Rows((file,), None, change, self.scratch("rows"))
                for file in self.write(table, self.scratch("rows").with_suffix(".parquet"))
            ]
        changed = list(self.map_partitions(parts, _change_rows))
        # What the workers wrote may be of a narrower or wider type than what the expression promises.
        return self._scan([file for file, _ in changed], None, changed[0][1])

    def map_to_table(
        self,
        table: ir.Table,
        columns: Sequence[str],
        work: Callable[[Chunk], tuple[pa.Table, Result]],
        schema: pa.Schema,
        heard: Callable[[Result, int], None],
    ) -> ir.Table:
        parts = [
            _Chunks(group, tuple(columns), work, schema, self.scratch("chunks")) for group in self.row_groups(table)
        ]
        files, rows = [], 0
        for file, told in self.map_partitions(parts, _work_on_chunks):
            files.append(file)
            for count, one in told:
                rows += count
                heard(one, rows)
        if not files:
            return self.view(schema.empty_table())
        return self.scan(files)

    def map_partitions(
        self, partitions: Sequence[Partition], work: Callable[[Engine, Partition], Result]
    ) -> Iterator[Result]:
        if not partitions:
            return
        settings = self.settings.model_copy(
            update={
                "kind": "duckdb",
                "workers": 1,
                "threads": 1,
                "memory_limit_mib": max(LEAST_MEMORY_MIB, self.settings.memory_limit_mib // (2 * self.workers)),
            }
        )
        task = _Task(work, settings, self.scratch("partitions"))
        jobs = self._spark.sparkContext.parallelize(list(enumerate(partitions)), len(partitions))
        try:
            results = jobs.map(task).collect()
        except Exception as error:
            raise _failed(error) from error
        for done in results:
            if isinstance(done.result, SpanishGasError) and done.failed:
                raise done.result
            yield done.result

    def reshape(self, table: ir.Table, change: Callable[[ir.Table], ir.Table]) -> ir.Table:
        files, origins = self.files_of(table)
        made = self._local.reshape(self._local.scan(files, origins=origins), change)
        files, origins = self._local.files_of(made)
        return self.scan(files, origins=origins)

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        frame = self._local.frame(self._local.view(self.arrow(expression)))
        for name in _sums(expression):
            # As the embedded engine gives a sum over nothing.
            frame[name] = pd.Series([None if pd.isna(one) else int(one) for one in frame[name]], dtype=object)
        return frame

    def integer(self, scalar: ir.IntegerScalar) -> int:
        ((value,),) = self._rows(scalar.as_table()).collect()
        return int(value)

    def arrow(self, expression: ir.Table) -> pa.Table:
        rows = self._rows(expression).toArrow()
        return rows.cast(expression.schema().to_pyarrow())

    def write(self, expression: ir.Table, file: Path, *, order_by: Sequence[str] = ()) -> list[Path]:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = self._rows(expression)
        if order_by:
            from pyspark.sql import functions as f

            rows = rows.orderBy(*(f.col(name).asc_nulls_last() for name in order_by))
        writing = _Writing(file, expression.schema().to_pyarrow())
        parts = rows.mapInArrow(writing, "place int, file string, rows long").collect()
        # A task that was tried again wrote a file of its own each time; only what was told counts.
        told = sorted((part.place, Path(part.file)) for part in parts if part.rows)
        if not told:
            pq.write_table(writing.schema.empty_table(), file, compression="zstd")
            return [file]
        return _joined(
            [path for _, path in told],
            [part.rows for part in sorted(parts, key=lambda one: one.place) if part.rows],
            file,
        )

    def content_hash(self, files: Sequence[Path]) -> tuple[str, int]:
        if len(files) == 1:
            return self._local.content_hash(files)
        found: list[RowsHash] = list(self.map_partitions(list(files), _hash))
        return digest_of_files(files, found)

    def column_types(self, file: Path) -> dict[str, str]:
        return self._local.column_types(file)


def _sums(expression: ir.Table) -> list[str]:
    """Columns of an aggregation that are sums of whole numbers."""
    metrics = getattr(expression.op(), "metrics", {})
    return [
        name for name, one in metrics.items() if isinstance(one, ibis.expr.operations.Sum) and one.dtype.is_integer()
    ]


class _Looking:
    """Whether a worker sees a file, and which machine it is on."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, _: int) -> tuple[str, bool]:
        return gethostname(), self.file.exists()


def _hash(_: Engine, file: Path) -> RowsHash:
    return hash_file(file)


class _Rows:
    """Files whose rows are changed one by one."""

    def __init__(
        self,
        files: tuple[Path, ...],
        origins: tuple[str, ...] | None,
        change: Callable[[Engine, ir.Table], ir.Table],
        target: Path,
    ) -> None:
        self.files, self.origins, self.change, self.target = files, origins, change, target


def _change_rows(engine: Engine, part: _Rows) -> tuple[Path, pa.Schema]:
    file = part.target.with_name(f"{part.target.name}-{uuid4().hex[:8]}.parquet")
    changed = part.change(engine, engine.scan(part.files, origins=part.origins))
    engine.write(changed, file)
    return file, changed.schema().to_pyarrow()


class _Chunks:
    """A row group whose rows go through a function."""

    def __init__(
        self,
        group: RowGroup,
        columns: tuple[str, ...],
        work: Callable[[Chunk], tuple[pa.Table, Any]],
        schema: pa.Schema,
        target: Path,
    ) -> None:
        self.group, self.columns, self.work, self.schema, self.target = group, columns, work, schema, target


def _work_on_chunks(_: Engine, part: _Chunks) -> tuple[Path, list[tuple[int, Any]]]:
    file = part.target.with_name(f"{part.target.name}-{uuid4().hex[:8]}.parquet")
    told = []
    with Spool(file, part.schema) as spool:
        for rows, one in map_chunks([part.group], part.columns, part.work, 1):
            spool.add(rows)
            told.append((rows.num_rows, one))
    return file, told


class _Done:
    def __init__(self, result: Any, *, failed: bool = False) -> None:
        self.result, self.failed = result, failed


class _Task:
    """What a worker does with a partition: the work, with an embedded session of its own."""

    def __init__(self, work: Callable[[Engine, Any], Any], settings: EngineSettings, scratch: Path) -> None:
        self.work, self.settings, self.scratch = work, settings, scratch

    def __call__(self, job: tuple[int, Any]) -> _Done:
        number, partition = job
        scratch = self.scratch / f"{number}-{uuid4().hex[:8]}"
        try:
            with open_embedded(self.settings, scratch) as engine:
                return _Done(self.work(engine, partition))
        except SpanishGasError as error:
            return _Done(error, failed=True)
        finally:
            rmtree(scratch, ignore_errors=True)


class _Writing:
    """Writes the rows of a task to a file of its own, and tells which."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self.file, self.schema = file, schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        task = TaskContext.get()
        place = task.partitionId() if task is not None else 0
        file = self.file.with_name(f"{self.file.stem}-{place:05d}-{uuid4().hex[:8]}.parquet")
        rows = 0
        writer: pq.ParquetWriter | None = None
        try:
            for group in _groups(batches, self.schema):
                writer = writer or pq.ParquetWriter(file, self.schema, compression="zstd")
                writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
                rows += group.num_rows
        finally:
            if writer is not None:
                writer.close()
        yield pa.RecordBatch.from_pydict(
            {"place": pa.array([place], pa.int32()), "file": [str(file)], "rows": pa.array([rows], pa.int64())}
        )


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches put together to row groups of a usual size."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= ROW_GROUP_ROWS:
            yield pa.Table.from_batches(waiting).cast(schema)
            waiting, rows = [], 0
    if rows:
        yield pa.Table.from_batches(waiting).cast(schema)


def _joined(files: Sequence[Path], rows: Sequence[int], target: Path) -> list[Path]:
    """Small files put together in their order, under the target's name and numbered ones beside it."""
    made: list[Path] = []
    writer: pq.ParquetWriter | None = None
    filled = 0
    for file, count in zip(files, rows, strict=True):
        if writer is not None and filled + count > ROWS_PER_FILE:
            writer.close()
            writer = None
        with pq.ParquetFile(file) as opened:
            if writer is None:
                made.append(target if not made else target.with_name(f"{target.stem}-{len(made):05d}{target.suffix}"))
                writer, filled = pq.ParquetWriter(made[-1], opened.schema_arrow, compression="zstd"), 0
            for batch in opened.iter_batches(ROW_GROUP_ROWS):
                writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
        filled += count
        file.unlink()
    if writer is not None:
        writer.close()
    return made


def _plain(rows: pa.Table) -> pa.Table:
    """Columns in types that Spark reads: no dictionaries, no nanoseconds, no null type."""
    fields = []
    for field in rows.schema:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_null(kind):
            kind = pa.string()
        if pa.types.is_timestamp(kind):
            kind = pa.timestamp("us", kind.tz)
        if pa.types.is_large_string(kind):
            kind = pa.string()
        fields.append(pa.field(field.name, kind))
    return rows.cast(pa.schema(fields))


def _address(file: Path) -> str:
    """A path as Spark takes it: as it is, but for what it would take as a pattern."""
    return "file://" + re.sub(r"([\\*?\[\]{}])", r"\\\1", str(file.resolve()))


def _failed(error: Exception) -> WorkerError:
    return WorkerError(
        "a task on Spark's workers failed, though Spark tried it again",
        where=_told(error),
        todo="Look at the workers' logs; where memory was short, give them more or set engine.memory_limit_mib lower",
    )


def _told(error: Exception) -> str:
    """The line of a long error that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next(
        (line for line in reversed(lines) if "Error" in line and "at org." not in line), lines[0] if lines else ""
    )
    return told[:300]


def _session(settings: EngineSettings) -> Any:
    """The Spark session of this process, started when there is none."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigError(
            "engine=spark needs PySpark, which is not installed",
            where="engine.kind",
            todo="Run `make spark`, or install spanishgas[spark]; Java 17 must be there too",
        ) from error
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    threads = settings.threads or os.cpu_count() or 1
    builder = SparkSession.builder.appName("spanishgas")
    further = dict(one.split("=", 1) for one in settings.spark)
    master = settings.master or further.get("spark.master") or f"local[{threads}]"
    told = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": f"{settings.driver_memory_mib}m",
        **(_on_one_machine(threads) if _is_one_machine(master) else {}),
        **FIXED,
        **further,
    }
    builder = builder.master(master)
    for name, value in told.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        raise ConfigError(
            f"Spark does not start: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            where=settings.master or "local",
            todo="Java 17 must be installed and the master be reached: see docs/cluster.md",
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    atexit.register(session.stop)
    return session


def _is_one_machine(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def _on_one_machine(threads: int) -> dict[str, str]:
    """Settings of Spark inside this process, which nobody else talks to, and which lives for one stage or a few.

    A stage is some hundred statements, most of them over small tables. Compiling a second time, and better, what plans
    them takes more processor time than the whole rest, and large tables are worked on by Python's side. A cluster
    keeps Spark's own settings: its executors live long.
    """
    return {
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(max(2 * threads, 8)),
    }


def _backend_of(session: Any) -> Any:
    """Ibis's backend on a session, speaking our dialect."""
    from ibis.backends.pyspark import Backend
    from ibis.backends.pyspark.datatypes import PySparkSchema

    class OurBackend(Backend):  # type: ignore[misc]
        compiler = Dialect()
        SCHEMAS = PySparkSchema

        def _register_in_memory_table(self, op: Any) -> None:
            rows = _plain(op.data.to_pyarrow(op.schema))
            self._session.createDataFrame(rows, schema=PySparkSchema.from_ibis(op.schema)).createOrReplaceTempView(
                op.name
            )

    assert ibis.pyspark is not None  # loading it registers its options, which the compiler reads
    backend = OurBackend()
    backend.do_connect(session)
    for name, value in FIXED.items():
        session.conf.set(name, value)
    return backend
