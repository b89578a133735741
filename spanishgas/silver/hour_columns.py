"""Raw columns of hourly chunks as numpy arrays, read by the same rules as every other source.

Text is dictionary-encoded: each distinct text is read once.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spanishgas.config import ColumnMapping
from spanishgas.domain.civil_time import DAY_SECONDS, NUMBERED
from spanishgas.domain.identifiers import Spelling, is_unsafe, one_spelling
from spanishgas.engine.chunks import Chunk
from spanishgas.silver.dates import DateRule
from spanishgas.silver.hour_keys import seconds_of_texts
from spanishgas.silver.numbers import numbers_of_texts
from spanishgas.silver.values import FALSE, TRUE

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Made = TypeVar("Made")
NO_DAY = int(np.iinfo(np.int32).min)
EPOCH = date(1970, 1, 1)


class Memo:
    """What was worked out for the last few dictionaries; consecutive chunks mostly share theirs."""

    def __init__(self, size: int = 6) -> None:
        self._kept: deque[tuple[object, pa.Array, object]] = deque(maxlen=size)

    def get(self, purpose: object, dictionary: pa.Array, make: Callable[[], Made]) -> Made:
        """What ``make`` gives for a dictionary, made once while the dictionary stays in use."""
        for told, known, made in tuple(self._kept):
            if told == purpose and _same(known, dictionary):
                return cast(Made, made)
        made = make()
        self._kept.appendleft((purpose, dictionary, made))
        return made


def _same(known: pa.Array, dictionary: pa.Array) -> bool:
    """Whether two dictionaries hold the same texts; chunks of one row group share theirs."""
    if len(known) != len(dictionary):
        return False
    one, other = known.buffers()[-1], dictionary.buffers()[-1]
    shared = one is not None and other is not None and one.address == other.address and one.size == other.size
    return (shared and known.offset == dictionary.offset) or bool(known.equals(dictionary))


@dataclass(frozen=True)
class Coded:
    """A column of texts.

    Attributes:
        codes: Position in ``texts`` of every row; -1 where the value is missing.
        texts: Trimmed; empty texts are None.
        array: The same texts as an array.
        dictionary: The raw texts, or None where they do not come from a column.
    """

    codes: Codes
    texts: list[str | None]
    array: pa.Array
    dictionary: pa.Array | None = None


def coded(chunk: Chunk, mapping: ColumnMapping, memo: Memo) -> Coded | None:
    """A column as codes and texts, or None where the file has no such column."""
    rows = chunk.batch.num_rows
    if mapping.value is not None:
        return _constant(rows, str(mapping.value))
    if mapping.file_pattern is not None:
        found = re.search(mapping.file_pattern, chunk.origin)
        return _constant(rows, found.group(1) if found else None)
    column = raw_column(chunk, mapping)
    if column is None:
        return None
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    indices = column.indices if column.null_count == 0 else column.indices.fill_null(-1)
    codes = indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    texts, array, lacking = memo.get((_key(mapping), "texts"), column.dictionary, lambda: _texts(column, mapping))
    if lacking is not None:
        codes = np.where((codes >= 0) & lacking[codes], np.int32(-1), codes)
    return Coded(codes, texts, array, column.dictionary)


@dataclass(frozen=True)
class Identities:
    """A column of identifiers.

    Attributes:
        coded: The column; identifiers in their one spelling.
        unsafe: Rows whose identifier nobody should carry (None: there are none).
        respelled: Rows that were written otherwise.
    """

    coded: Coded
    unsafe: Mask | None
    respelled: int


def identities(chunk: Chunk, mapping: ColumnMapping, spelling: Spelling, memo: Memo) -> Identities | None:
    """A column of customers or supply points, or None where the file has no such column."""
    found = coded(chunk, mapping, memo)
    if found is None:
        return None
    if found.dictionary is None:
        told = _identities(found.texts, spelling)
    else:
        told = memo.get((_key(mapping), "identities"), found.dictionary, lambda: _identities(found.texts, spelling))
    if told is None:
        return Identities(found, None, 0)
    texts, array, lost, unsafe, respelled = told
    known = found.codes >= 0
    safe_codes = np.maximum(found.codes, 0)
    codes = np.where(known & ~lost[safe_codes], found.codes, np.int32(-1))
    odd = known & unsafe[safe_codes]
    return Identities(
        Coded(codes, texts, array, found.dictionary),
        odd if odd.any() else None,
        int((known & respelled[safe_codes]).sum()),
    )


def _identities(
    texts: list[str | None], spelling: Spelling
) -> tuple[list[str | None], pa.Array, Mask, Mask, Mask] | None:
    """The one spelling of texts; those of which nothing is left, that are unsafe, and that were written otherwise."""
    told = [one_spelling(text, spelling) for text in texts]
    unsafe = np.array([is_unsafe(text) for text in told])
    if told == texts and not unsafe.any():
        return None
    lost = np.array([text is None for text in told])
    respelled = np.array([one != other for one, other in zip(told, texts, strict=True)])
    return told, pa.array(told, pa.string()), lost, unsafe, respelled


def _constant(rows: int, text: str | None) -> Coded:
    codes = np.full(rows, -1 if text is None else 0, np.int32)
    return Coded(codes, [text], pa.array([text], pa.string()))


def _key(mapping: ColumnMapping) -> object:
    """What decides the texts of a column; one raw column may be read in several ways."""
    return mapping.column, mapping.extract, mapping.missing, tuple(mapping.codes.items())


def _texts(column: pa.Array, mapping: ColumnMapping) -> tuple[list[str | None], pa.Array, Mask | None]:
    """Trimmed texts in the contract's words, twice, and which of them are missing."""
    texts = [(text.strip() or None) if text is not None else None for text in column.dictionary.to_pylist()]
    if mapping.extract is not None:
        pattern = re.compile(mapping.extract)
        found = [pattern.search(text) if text is not None else None for text in texts]
        texts = [
            ((one[1] or "").strip() or None) if one is not None else text
            for one, text in zip(found, texts, strict=True)
        ]
    if mapping.missing:
        texts = [None if text in mapping.missing else text for text in texts]
    if mapping.codes:
        texts = [mapping.codes.get(text, text) if text is not None else None for text in texts]
    lacking = np.array([text is None for text in texts]) if None in texts else None
    return texts, pa.array(texts, pa.string()), lacking


def shown(rows: pa.RecordBatch) -> list[dict[str, object]]:
    """Rows for the quarantine; days and instants as text, because those of files may lie beyond Python's calendar."""
    columns = [column.cast(pa.string()) if pa.types.is_temporal(column.type) else column for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, rows.schema.names).to_pylist()  # type: ignore[no-any-return]


def raw_column(chunk: Chunk, mapping: ColumnMapping) -> pa.Array | None:
    """The raw column that a mapping names, if the file has it."""
    if mapping.column is None or mapping.column not in chunk.batch.schema.names:
        return None
    return chunk.batch.column(mapping.column)


def numbers(chunk: Chunk, mapping: ColumnMapping, memo: Memo) -> tuple[Floats, Mask | None] | None:
    """A column of numbers, NaN where missing, and the rows with a text that is no number (None: there are none)."""
    found = _plain_numbers(chunk, mapping, memo)
    if found is None:
        return None
    values, unreadable = found
    for name in mapping.plus:
        added = _plain_numbers(chunk, mapping.model_copy(update={"column": name}), memo)
        if added is None:
            return None
        values = values + added[0]
        odd = [one for one in (unreadable, added[1]) if one is not None]
        unreadable = np.logical_or.reduce(odd) if odd else None
    if mapping.factor != 1.0:
        values = values * mapping.factor
    if mapping.zero == "missing":
        values = np.where(values == 0.0, np.nan, values)
    return values, unreadable


def _plain_numbers(chunk: Chunk, mapping: ColumnMapping, memo: Memo) -> tuple[Floats, Mask | None] | None:
    """Numbers as they stand in one raw column, or in the name of the file."""
    if mapping.value is not None:
        return np.full(chunk.batch.num_rows, float(str(mapping.value))), None
    column = raw_column(chunk, mapping)
    if column is not None and not (mapping.extract or _is_text(column.type)):
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False), None
    found = coded(chunk, mapping, memo)
    if found is None:
        return None
    read = numbers_of_texts(found.texts, mapping.decimal)
    known = found.codes >= 0
    values = np.where(known, read[found.codes] if len(read) else np.nan, np.nan)
    odd = known & np.isnan(values)
    return values, odd if odd.any() else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _filled(column: pa.Array, value: object) -> pa.Array:
    return column.fill_null(value) if column.null_count else column


def flags(chunk: Chunk, mapping: ColumnMapping, memo: Memo) -> tuple[Mask, Mask | None] | None:
    """A column of flags, false where missing, and the rows with a text that is no flag."""
    column = raw_column(chunk, mapping)
    if mapping.value is None and column is None:
        return None
    if column is not None and pa.types.is_boolean(column.type):
        return _filled(column, False).to_numpy(zero_copy_only=False), None
    found = coded(chunk, mapping, memo)
    assert found is not None
    lowered = [text.lower() if text is not None else "" for text in found.texts]
    truth = np.array([text in TRUE for text in lowered], dtype=bool)
    odd = np.array([text not in TRUE and text not in FALSE and text != "" for text in lowered], dtype=bool)
    if not found.texts:
        return np.zeros(len(found.codes), np.bool_), None
    known = found.codes >= 0
    unreadable = known & odd[found.codes]
    return known & truth[found.codes], unreadable if unreadable.any() else None


@dataclass(frozen=True)
class Days:
    """A column of days.

    Attributes:
        values: Days since 1970; ``NO_DAY`` where missing, unreadable or impossible.
        unreadable: Rows with a text that is no day; None: there are none.
        impossible: Rows outside the years that can be; None: there are none.
        sentinels: Rows whose day stands for no date.
    """

    values: Codes
    unreadable: Mask | None
    impossible: Mask | None
    sentinels: int


def days(chunk: Chunk, mapping: ColumnMapping, memo: Memo, rule: DateRule) -> Days | None:
    """A column of days, or None where the file has no such column."""
    column = raw_column(chunk, mapping)
    none = odd = None
    if column is not None and pa.types.is_date32(column.type):
        values = _filled(column.cast(pa.int32()), NO_DAY).to_numpy(zero_copy_only=False)
    elif column is not None and (pa.types.is_timestamp(column.type) or pa.types.is_date64(column.type)):
        read = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        whole = _filled(read, NO_DAY * DAY_SECONDS).to_numpy(zero_copy_only=False) // DAY_SECONDS
        values = np.clip(whole, NO_DAY, -(NO_DAY + 1)).astype(np.int32)
    else:
        found = coded(chunk, mapping, memo)
        if found is None:
            return None
        values, none, odd = _days_of_texts(found, mapping, rule)
    return _judged(values, none, odd, rule)


def _days_of_texts(found: Coded, mapping: ColumnMapping, rule: DateRule) -> tuple[Codes, Mask, Mask]:
    """Days of texts, which of them stand for no date, and which are unreadable."""
    if mapping.date_format in NUMBERED:
        seconds, _ = seconds_of_texts(found.texts, mapping.date_format)
        read_days = np.where(seconds < 0, NO_DAY, seconds // DAY_SECONDS).astype(np.int32)
    else:
        times = pd.to_datetime(
            pd.Series(found.texts, dtype="object"), format=mapping.date_format or "ISO8601", errors="coerce", utc=False
        )
        whole = times.to_numpy().astype("datetime64[D]").astype(np.int64)
        read_days = np.where(times.isna(), NO_DAY, whole).astype(np.int32)
    nothing = np.array([text is not None and rule.is_sentinel(text) for text in found.texts], np.bool_)
    known = found.codes >= 0
    if not len(read_days):
        return np.full(len(known), NO_DAY, np.int32), known & False, known & False
    none = known & nothing[found.codes]
    values = np.where(known & ~none, read_days[found.codes], NO_DAY).astype(np.int32)
    return values, none, known & ~none & (values == NO_DAY)


def _judged(values: Codes, none: Mask | None, odd: Mask | None, rule: DateRule) -> Days:
    """Days without those that mean nothing or cannot be."""
    first, last = ((day - EPOCH).days for day in (rule.first, rule.last))
    sentinels = [(day - EPOCH).days for day in rule.sentinels]
    found = int(none.sum()) if none is not None else 0
    unreadable = odd if odd is not None and odd.any() else None
    usual = len(values) == 0 or (first <= values.min() and values.max() <= last)
    if usual and not any(first <= day <= last for day in sentinels):
        return Days(values, unreadable, None, found)
    given = values != NO_DAY
    nothing = given & np.isin(values, sentinels)
    outside = given & ~nothing & ((values < first) | (values > last))
    values = np.where(outside | nothing, NO_DAY, values).astype(np.int32)
    return Days(values, unreadable, outside if outside.any() else None, found + int(nothing.sum()))
