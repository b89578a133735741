"""Erased customers taken out of texts and files that are no published tables: records go, words are made unreadable."""

import csv
import errno
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.engine.finding import ALONE, CUSTOMER_COLUMNS, ROWS_AT_ONCE, Finder

BLOT = "[erased]"
TEXTS = (".csv", ".json", ".jsonl", ".md", ".txt", ".html", ".yaml", ".yml", ".log", "")


@dataclass(frozen=True)
class Cleaned:
    """A text without the customers.

    Attributes:
        text: What is left.
        records: Records taken out.
        words: Words made unreadable.
    """

    text: str
    records: int = 0
    words: int = 0

    @property
    def taken(self) -> int:
        """Records and words."""
        return self.records + self.words


def clean_text(finder: Finder, text: str, name: str) -> Cleaned:
    """Takes customers out of a text.

    Args:
        finder: Knows the customers.
        text: The text.
        name: Name of its file. Of CSV, JSON lines and lists of JSON records whole records go, of Markdown rows of
            tables; anywhere else the words that name somebody are replaced.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".csv":
        try:
            return _clean_csv(finder, text)
        except csv.Error:
            return _without_lines(text, lambda line: bool(finder.in_text(line)))
    if suffix == ".jsonl":
        return _without_lines(text, lambda line: bool(finder.in_text(line)))
    if suffix == ".json":
        try:
            told = json.loads(text)
        except ValueError:
            return _clean_lines(finder, text)
        counts = Counter[str]()
        kept = _clean_value(finder, told, counts)
        cleaned = json.dumps(kept, indent=1, ensure_ascii=False) + "\n" if counts else text
        return Cleaned(cleaned, counts["records"], counts["words"])
    return _clean_lines(finder, text)


@dataclass(frozen=True)
class Taken:
    """What was taken out of a file.

    Attributes:
        records: Records.
        words: Words made unreadable, and words of a Parquet dictionary that no row has.
    """

    records: int = 0
    words: int = 0

    def __bool__(self) -> bool:
        return bool(self.records or self.words)


def clean_file(finder: Finder, file: Path, target: Path | None = None) -> Taken | None:
    """Takes customers out of a file; what it is replaced by is there in one step.

    Args:
        finder: Knows the customers.
        file: Text, or a Parquet table.
        target: Where to write; None replaces the file. Nothing is written where nothing is taken out.

    Returns:
        What was taken out; None for a file of another kind.
    """
    target = file if target is None else target
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        if file.suffix == ".parquet":
            taken = _clean_parquet(finder, file, draft)
        elif file.suffix.lower() in TEXTS:
            with file.open(encoding="utf-8", newline="") as handle:
                cleaned = clean_text(finder, handle.read(), file.name)
            taken = Taken(cleaned.records, cleaned.words)
            with draft.open("w", encoding="utf-8", newline="") as handle:
                handle.write(cleaned.text)
                handle.flush()
                os.fsync(handle.fileno())
        else:
            return None
        if taken:
            draft.replace(target)
        return taken
    except UnicodeDecodeError:
        return None
    finally:
        draft.unlink(missing_ok=True)


def replace_by(file: Path, target: Path) -> None:
    """Puts a file in the place of another in one step, from whatever disk it is."""
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
        try:
            shutil.copyfile(file, draft)
            with draft.open("rb") as handle:
                os.fsync(handle.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def _clean_csv(finder: Finder, text: str) -> Cleaned:
    lines = text.splitlines(keepends=True)
    reader = csv.reader(lines)
    kept: list[str] = []
    places: list[int] = []
    taken, begin = 0, 0
    for number, record in enumerate(reader):
        if number == 0:
            places = [place for place, name in enumerate(record) if name in CUSTOMER_COLUMNS]
        whose = [record[place] for place in places if place < len(record)] if number else []
        if finder.among(whose) or finder.in_values(record):
            taken += 1
        else:
            kept += lines[begin : reader.line_num]
        begin = reader.line_num
    return Cleaned("".join(kept), taken)


def _without_lines(text: str, names: Callable[[str], bool]) -> Cleaned:
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not names(line)]
    return Cleaned("".join(kept), len(lines) - len(kept))


def _clean_lines(finder: Finder, text: str) -> Cleaned:
    kept, records, replaced = [], 0, 0
    for line in text.splitlines(keepends=True):
        words = finder.in_text(line)
        if words and line.lstrip().startswith("|"):
            records += 1
            continue
        replaced += len(words)
        for word in sorted(words, key=len, reverse=True):
            line = re.sub(ALONE.format(re.escape(word)), BLOT, line)
        kept.append(line)
    return Cleaned("".join(kept), records, replaced)


def _clean_value(finder: Finder, value: Any, counts: Counter[str]) -> Any:
    """A JSON value without customers; counts what is taken out."""
    if isinstance(value, str):
        cleaned = _clean_lines(finder, value)
        if cleaned.taken:
            counts["words"] += cleaned.taken
        return cleaned.text
    if isinstance(value, list):
        kept = [one for one in value if not (isinstance(one, dict) and _names(finder, one))]
        if len(kept) < len(value):
            counts["records"] += len(value) - len(kept)
        return [_clean_value(finder, one, counts) for one in kept]
    if isinstance(value, dict):
        return {_clean_value(finder, key, counts): _clean_value(finder, one, counts) for key, one in value.items()}
    return value


def _names(finder: Finder, record: dict[str, Any]) -> bool:
    """Whether a JSON record is of one of the customers; lists in it have records of their own."""
    whose = [value for name, value in record.items() if name in CUSTOMER_COLUMNS and isinstance(value, str | int)]
    texts = [value for value in record.values() if isinstance(value, str)]
    below = [value for value in record.values() if isinstance(value, dict)]
    return bool(finder.among(whose) or finder.in_values(texts)) or any(_names(finder, one) for one in below)


def _clean_parquet(finder: Finder, file: Path, draft: Path) -> Taken:
    records, words = 0, 0
    with pq.ParquetFile(file) as source, pq.ParquetWriter(draft, source.schema_arrow, compression="zstd") as writer:
        for batch in source.iter_batches(ROWS_AT_ONCE):
            kept = batch.filter(_kept(finder, batch))
            records += len(batch) - len(kept)
            kept, dropped = _without_unused(finder, kept)
            words += dropped
            writer.write_batch(kept)
    return Taken(records, words)


def _without_unused(finder: Finder, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """The same rows; of words that are stored as codes, those that name somebody and that no row has go."""
    columns, dropped = [], 0
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_dictionary(field.type):
            named = _named(finder, field.name, column.dictionary.to_pylist())
            if named:
                dropped += len(named)
                column = column.cast(field.type.value_type).dictionary_encode().cast(field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema), dropped


def _kept(finder: Finder, batch: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    kept = pa.array([True] * len(batch), pa.bool_())
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        words = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        if not (name in CUSTOMER_COLUMNS or _is_text(words.type.value_type)):
            continue
        values = words.dictionary.to_pylist()
        named = _named(finder, name, values)
        hits = pa.array([value in named for value in values], pa.bool_())
        kept = pc.and_(kept, pc.invert(pc.fill_null(hits.take(words.indices), False)))
    return kept


def _named(finder: Finder, column: str, values: Sequence[object]) -> set[object]:
    if column in CUSTOMER_COLUMNS:
        found = finder.among(values)
        return {value for value in values if value is not None and str(value).strip() in found}
    if not finder.in_values(values):
        return set()
    return {value for value in values if value is not None and finder.in_text(str(value))}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
