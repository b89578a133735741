"""Rows of texts as Parquet, whatever columns turn up on the way; and values of all kinds as text."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.engine.session import ROW_GROUP_ROWS
from spanishgas.errors import SourceError

MAX_COLUMNS = 10_000
# Column of a file without any columns, which Parquet cannot hold.
NO_COLUMNS = "no_columns"


class TextTable:
    """Collects rows and writes them in row groups; see ``text_table``.

    Args:
        target: The Parquet file to write.
        where: The raw file's name, for messages.

    Attributes:
        mended: Texts in which something that is no character was replaced.
    """

    def __init__(self, target: Path, where: str) -> None:
        self.mended = 0
        self.parts: list[Path] = []
        self._target, self._where = target, where
        self._columns: dict[str, list[str | None]] = {}
        self._waiting = 0
        self._writer: Any = None
        self._written: tuple[str, ...] = ()

    def add(self, row: Mapping[str, str | None]) -> None:
        """Appends a row; columns that it does not have are null in it.

        Raises:
            SourceError: There are more columns than a table has.
        """
        columns, waiting = self._columns, self._waiting
        for name, value in row.items():
            values = columns.get(name)
            if values is None:
                values = columns[name] = [None] * waiting
                if len(columns) > MAX_COLUMNS:
                    raise SourceError(
                        f"has more than {MAX_COLUMNS:,} columns: it names by keys what are values",
                        where=self._where,
                        todo="Deliver one record per row, with the same keys in each",
                    )
            values.append(value)
        self._waiting += 1
        if len(row) < len(columns):
            for values in columns.values():
                if len(values) < self._waiting:
                    values.append(None)
        if self._waiting == ROW_GROUP_ROWS:
            self.flush()

    def declare(self, names: tuple[str, ...]) -> None:
        """Names columns before any row has them."""
        for name in names:
            self._columns.setdefault(name, [None] * self._waiting)

    def flush(self) -> None:
        """Writes what waits; new columns begin a new part."""
        names = tuple(self._columns)
        if self._writer is None or names != self._written:
            self.close()
            self.parts.append(self._target.with_name(f".{self._target.name}.part{len(self.parts)}"))
            self._writer = pq.ParquetWriter(self.parts[-1], _schema(names), compression="zstd")
            self._written = names
        table = pa.table({name: self._array(self._columns[name]) for name in names}, schema=_schema(names))
        self._writer.write_table(table)
        self._columns, self._waiting = {name: [] for name in names}, 0

    def _array(self, values: list[str | None]) -> Any:
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:  # halves of a pair of surrogates
            plain = [None if text is None else text.encode("utf-8", "replace").decode() for text in values]
            self.mended += sum(one != other for one, other in zip(plain, values, strict=True))
            return pa.array(plain, pa.string())

    def close(self) -> None:
        """Closes the part that is written to."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@contextmanager
def text_table(target: Path, where: str) -> Iterator[TextTable]:
    """Collects rows of texts into one Parquet file, columns in the order in which they turn up.

    Args:
        target: The Parquet file to write.
        where: The raw file's name, for messages.
    """
    table = TextTable(target, where)
    try:
        yield table
        if not table._columns:
            table.declare((NO_COLUMNS,))
        if table._waiting or not table.parts or tuple(table._columns) != table._written:
            table.flush()
        table.close()
        _join(table.parts, tuple(table._columns), target)
    finally:
        table.close()
        for part in table.parts:
            part.unlink(missing_ok=True)


def _schema(names: tuple[str, ...]) -> Any:
    return pa.schema([(name, pa.string()) for name in names])


def _join(parts: list[Path], names: tuple[str, ...], target: Path) -> None:
    """One file of the parts, whose columns are the first ones of the last part's."""
    if len(parts) == 1:
        parts[0].replace(target)
        return
    schema = _schema(names)
    with ExitStack() as stack:
        writer = stack.enter_context(pq.ParquetWriter(target, schema, compression="zstd"))
        for part in parts:
            opened = stack.enter_context(pq.ParquetFile(part))
            for group in range(opened.num_row_groups):
                rows = opened.read_row_group(group)
                lacking = [pa.nulls(rows.num_rows, pa.string())] * (len(names) - rows.num_columns)
                writer.write_table(pa.table([*rows.columns, *lacking], schema=schema))


def text_of(value: object) -> str | None:
    """A value as a CSV file would write it: ISO 8601, a point as decimal mark, every digit.

    Args:
        value: What a workbook or a database gives; empty text is missing.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _text_of_float(value)
    if isinstance(value, Decimal):
        return _text_of_decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _text_of_duration(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)


def _text_of_float(value: float) -> str | None:
    if math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _text_of_decimal(value: Decimal) -> str | None:
    return None if value.is_nan() else f"{value:f}"


def _text_of_duration(value: timedelta) -> str:
    """Hours may pass 24: a workbook's 24:00 is a duration."""
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
