"""Digest of rows: a function of the rows alone, the same on every engine, in any order of rows, columns and files.

Every value is brought to one form per kind (whole numbers to 64 bits, decimals and floats to doubles, instants to
microseconds in UTC, text to text) and hashed; the hashes of a row's values are mixed with their columns' names, and
those of all rows are summed and combined by exclusive or. Rows can therefore be hashed anywhere and in any parts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Hashes = npt.NDArray[np.uint64]
MASK = 2**64 - 1
NULL = np.uint64(0x9E3779B97F4A7C15)
TYPES = pa.types


@dataclass(frozen=True)
class RowsHash:
    """Hash of some rows; those of parts add up to that of the whole.

    Attributes:
        rows: Rows.
        total: Sum of the rows' hashes, of 64 bits.
        mixed: Exclusive or of the rows' hashes.
    """

    rows: int = 0
    total: int = 0
    mixed: int = 0

    def __add__(self, other: Self) -> "RowsHash":
        return RowsHash(self.rows + other.rows, (self.total + other.total) & MASK, self.mixed ^ other.mixed)

    def told(self) -> str:
        """As a text, to be kept with what was hashed."""
        return f"{self.rows}:{self.total:x}:{self.mixed:x}"

    @classmethod
    def of(cls, text: str) -> "RowsHash":
        """From such a text.

        Raises:
            ValueError: It is none.
        """
        rows, total, mixed = text.split(":")
        return cls(int(rows), int(total, 16), int(mixed, 16))

    def digest(self, schema: pa.Schema) -> str:
        """The digest of the rows and of the kinds of their columns."""
        kinds = sorted((field.name, kind_of(field.type)) for field in schema)
        return hashlib.sha256(repr((kinds, self.rows, self.total, self.mixed)).encode()).hexdigest()


def kind_of(type_: pa.DataType) -> str:
    """What a column holds, whatever its width: ``int``, ``float``, ``bool``, ``string``, ``date``, ``timestamp``."""
    if TYPES.is_dictionary(type_):
        return kind_of(type_.value_type)
    if TYPES.is_boolean(type_):
        return "bool"
    if TYPES.is_integer(type_):
        return "int"
    if TYPES.is_floating(type_) or TYPES.is_decimal(type_):
        return "float"
    if TYPES.is_date(type_):
        return "date"
    if TYPES.is_timestamp(type_):
        return "timestamp" if type_.tz is None else "instant"
    if TYPES.is_string(type_) or TYPES.is_large_string(type_) or TYPES.is_string_view(type_) or TYPES.is_null(type_):
        return "string"
    return str(type_)


def hash_rows(rows: pa.RecordBatch) -> RowsHash:
    """Hash of a batch of rows."""
    count = rows.num_rows
    if not count:
        return RowsHash()
    found = np.zeros(count, np.uint64)
    for field, column in zip(rows.schema, rows.columns, strict=True):
        found += _mix(_values(column) ^ np.uint64(_seed(field.name)))
    found = _mix(found)
    total = int(found.sum(dtype=np.uint64))
    return RowsHash(count, total, int(np.bitwise_xor.reduce(found)))


def hash_file(file: Path) -> RowsHash:
    """Hash of the rows of a Parquet file; a row group is in memory at a time."""
    found = RowsHash()
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches():
            found += hash_rows(batch)
    return found


def digest_of_files(files: Sequence[Path], hashes: Sequence[RowsHash]) -> tuple[str, int]:
    """Digest and row count of all rows in Parquet files, given the hash of each; a column may be lacking in some."""
    whole = sum(hashes, RowsHash())
    schema = pa.unify_schemas([pq.read_schema(file).remove_metadata() for file in files], promote_options="permissive")
    return whole.digest(schema), whole.rows


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _mix(values: Hashes) -> Hashes:
    """Finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit of the input moves every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _values(column: pa.Array) -> Hashes:
    """Hash of every value; a null has one of its own."""
    kind = kind_of(column.type)
    if kind == "float":
        numbers = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0  # -0.0 is 0.0
        numbers = np.where(np.isnan(numbers), np.nan, numbers)  # one bit pattern
        found = _mix(numbers.view(np.uint64))
    elif kind in ("int", "bool", "date", "timestamp", "instant"):
        found = _mix(_whole(column, kind).view(np.uint64))
    else:
        found = _texts(column)
    if column.null_count:
        found = np.where(column.is_null().to_numpy(zero_copy_only=False), NULL, found)
    return found


def _whole(column: pa.Array, kind: str) -> npt.NDArray[np.int64]:
    if TYPES.is_dictionary(column.type):
        column = column.dictionary_decode()
    if TYPES.is_uint64(column.type):
        whole: npt.NDArray[np.int64] = (
            column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64).view(np.int64)
        )
        return whole
    if kind == "bool":
        column = column.cast(pa.int8())
    elif kind == "date":
        column = column.cast(pa.date32()).cast(pa.int32())
    elif kind in ("timestamp", "instant"):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    numbers: npt.NDArray[np.int64] = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64)


def _texts(column: pa.Array) -> Hashes:
    if not TYPES.is_dictionary(column.type):
        text = kind_of(column.type) == "string" and not TYPES.is_null(column.type)
        column = (
            column.cast(pa.large_string()) if text else pa.array(map(_written, column), pa.large_string())
        ).dictionary_encode()
    distinct = np.array(
        [text if text is not None else "" for text in column.dictionary.to_pylist()] or [""], dtype=object
    )
    hashed: Hashes = pd.util.hash_array(distinct, categorize=False)
    found: Hashes = hashed[pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)]
    return found


def _written(value: pa.Scalar) -> str | None:
    """A value of another kind, such as a list, as text."""
    return None if not value.is_valid else repr(value.as_py())
