"""Rows of a database as Parquet: any SQLAlchemy address, read in chunks as text, or an ADBC driver, as typed batches.

The address, with what it holds of credentials, comes from the environment. It is in no setting and no message: what a
driver says is told with every part of the address blotted out.
"""

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import SqlSource
from spanishgas.errors import SourceError
from spanishgas.readers.content import FileContent, Progress, Task, quiet
from spanishgas.readers.delimited import column_names
from spanishgas.readers.parquet import landed_schema, read_parquet
from spanishgas.readers.text_table import text_of, text_table

SQLALCHEMY = "sqlalchemy"
BLOT = "***"
SHORTEST_SECRET = 3
# SQLAlchemy's own default for these needs a driver that is not ours.
DIALECTS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
EXTRAS = "Install the driver: spanishgas[team] (PostgreSQL), [adbc], [snowflake], [bigquery], [sqlserver] or [oracle]"


def read_fetched(task: Task) -> FileContent:
    """Lands rows that were fetched from a database."""
    content = read_parquet(task)
    _, schema = landed_schema(task.engine, task.target)
    assert task.part.sql is not None
    return FileContent(rows=content.rows, rejects=(), schema=schema, notes={"driver": task.part.sql.driver})


def fetch(source: SqlSource, target: Path, *, where: str, progress: Progress = quiet) -> None:
    """Reads a table or query into one Parquet file, a chunk at a time.

    Args:
        source: What to read; its address is taken from the environment.
        target: The Parquet file to write.
        where: Name for messages.
        progress: Is told about long work.

    Raises:
        SourceError: There is no address, no driver for it, or the database refuses.
    """
    address = os.environ.get(source.address_env, "").strip()
    if not address:
        raise SourceError(
            f"the environment variable {source.address_env} does not hold the database's address",
            where=where,
            todo=f"export {source.address_env}=postgresql://user:password@host/database, or what the driver asks for",
        )
    read = _by_sqlalchemy if source.driver == SQLALCHEMY else _by_adbc
    # Raised outside of the handlers: what a driver raised must not hang on the error, as it may hold the address.
    try:
        read(source, address, target, where, progress)
        return
    except SourceError:
        raise
    except ModuleNotFoundError as error:
        what, said, todo = f"there is no driver for this address ({error.name})", "", EXTRAS
    except Exception as error:  # each driver has errors of its own
        what, said = "the database cannot be read", _blotted(f"{type(error).__name__}: {error}", address)
        todo = f"Check {source.address_env}, the table or query, and what its user may read"
    raise SourceError(what, where=where, examples=[said.splitlines()[0]] if said else [], todo=todo)


def _blotted(text: str, address: str) -> str:
    """A driver's words without any part of the address."""
    parts = {address}
    try:
        options = json.loads(address)
        parts |= {str(value) for value in options.values()} if isinstance(options, dict) else set()
    except ValueError:
        pass
    try:
        split = urlsplit(address)
        told = [
            split.username,
            split.password,
            split.netloc,
            *(one.partition("=")[2] for one in split.query.split("&")),
        ]
        parts |= {one for one in told if one}
        parts |= {part for one in told if one for part in one.split("@")}
    except ValueError:
        pass
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        if len(part) >= SHORTEST_SECRET:
            text = text.replace(part, BLOT)
    return text


def _by_sqlalchemy(source: SqlSource, address: str, target: Path, where: str, progress: Progress) -> None:
    """Values as text, as a CSV file would have them: a column of Python values has no one type."""
    import sqlalchemy as sa

    url = sa.make_url(address)
    url = url.set(drivername=DIALECTS.get(url.drivername, url.drivername))
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection, text_table(target, where) as table:
            options: dict[str, Any] = {"stream_results": True, "max_row_buffer": source.fetch_rows}
            if connection.dialect.name == "postgresql":
                options["postgresql_readonly"] = True
            connection = connection.execution_options(**options, no_parameters=True)
            statement = source.query or f"select * from {_quoted(source.table or '', connection.dialect)}"
            rows = connection.exec_driver_sql(statement)
            names = column_names(tuple(rows.keys()), where)
            table.declare(names)
            done = 0
            for chunk in rows.partitions(source.fetch_rows):
                for row in chunk:
                    table.add(dict(zip(names, map(_text, row), strict=True)))
                done += len(chunk)
                progress(f"fetching {where}: {done:,} rows")
    finally:
        engine.dispose()


def _quoted(table: str, dialect: Any) -> str:
    quote = dialect.identifier_preparer.quote_identifier if dialect is not None else _ansi
    return ".".join(quote(part) for part in table.split("."))


def _ansi(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str | None:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else text_of(value)


def _by_adbc(source: SqlSource, address: str, target: Path, where: str, progress: Progress) -> None:
    """Batches with the database's types; what silver could not read exactly becomes text."""
    statement = source.query or f"select * from {_quoted(source.table or '', None)}"
    with _connected(source.driver, address) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        batches = cursor.fetch_record_batch()
        names = column_names(batches.schema.names, where)
        writer, done = None, 0
        try:
            for batch in _or_empty(batches):
                rows = pa.table([_plain(column) for column in batch.columns], names=list(names))
                writer = writer or pq.ParquetWriter(target, rows.schema, compression="zstd")
                writer.write_table(rows.cast(writer.schema))
                done += rows.num_rows
                progress(f"fetching {where}: {done:,} rows")
        finally:
            if writer is not None:
                writer.close()


def _or_empty(batches: Any) -> Iterator[Any]:
    """The batches, or an empty one where there is none: a table without rows has columns, too."""
    empty = True
    for batch in batches:
        empty = False
        yield batch
    if empty:
        yield pa.RecordBatch.from_arrays([pa.array([], field.type) for field in batches.schema], schema=batches.schema)


@contextmanager
def _connected(driver: str, address: str) -> Iterator[Any]:
    """A connection by the driver's own package, else by its name among the drivers installed on the machine."""
    options: dict[str, str] = {"uri": address}
    if address.startswith("{"):
        options = {str(key): str(value) for key, value in json.loads(address).items()}
    package = f"adbc_driver_{driver}"
    if importlib.util.find_spec(package) is not None:
        dbapi = importlib.import_module(f"{package}.dbapi")
        uri = [options.pop("uri")] if "uri" in options else []
        opened = dbapi.connect(*uri, db_kwargs=options)
    else:
        dbapi = importlib.import_module("adbc_driver_manager.dbapi")
        opened = dbapi.connect(driver=driver, db_kwargs=options)
    with opened as connection:
        yield connection


def _plain(column: Any) -> Any:
    """A column in a type that the rest reads: exact numbers, times of day and nested values as text."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if types.is_date64(kind):
        return column.cast(pa.date32())
    kept = (types.is_boolean, types.is_integer, types.is_floating, types.is_date32, types.is_timestamp, types.is_string)
    if any(test(kind) for test in kept):
        return column
    as_text = (types.is_large_string, types.is_string_view, types.is_null, types.is_decimal)
    if any(test(kind) for test in as_text):
        return column.cast(pa.string())
    return pa.array([_text(value) for value in column.to_pylist()], pa.string())
