"""Published tables by customer: memory-mapped files that answer for one row without an engine.

An engine takes milliseconds to begin a query; a binary search over sorted keys takes microseconds. Numbers stand row by
row, so that a customer's are in one or two pages; pages are shared by all processes that map them and read when needed.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.errors import PublishError

FORMAT = 1
CARD, KEYS, NUMBERS, WORDS = "card.json", "keys.npy", "numbers.npy", "words.npy"
KEY = "customer_id"
MISSING = -1
LONGEST_KEY = 256
BATCH_ROWS = 65_536
DAY = np.timedelta64(1, "D")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KeyedTable:
    """A table by ``customer_id``, memory-mapped and read-only.

    Attributes:
        keys: Customers in the order of their UTF-8 bytes, shape (rows,).
        numbers: Columns of numbers, shape (rows, columns): flags as 0 and 1, dates as days since 1970-01-01, NaN where
            null.
        words: Columns of text as positions in their vocabularies, -1 where null, shape (rows, columns).
        number_names: Names of the number columns.
        vocabularies: Text column -> its values.
    """

    keys: npt.NDArray[np.bytes_]
    numbers: Floats
    words: npt.NDArray[np.int32]
    number_names: tuple[str, ...]
    vocabularies: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, customer: str) -> int:
        """Row of a customer, -1 where there is none."""
        key = customer.encode()
        # As an array of the keys' own width: a longer one would have all of them copied to its width.
        row = int(np.searchsorted(self.keys, np.array(key, self.keys.dtype)))
        return row if row < len(self.keys) and self.keys[row] == key else MISSING

    def number_places(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Positions of number columns, -1 for those that are not there."""
        known = {name: place for place, name in enumerate(self.number_names)}
        return np.array([known.get(name, MISSING) for name in names], np.int64)

    def number(self, row: int, name: str) -> float:
        """One number of a row; NaN where it, or the column, is not there."""
        return float(self.numbers[row, self.number_names.index(name)]) if name in self.number_names else float("nan")

    def word(self, row: int, name: str) -> str | None:
        """One text of a row; None where it, or the column, is not there."""
        if name not in self.vocabularies:
            return None
        code = int(self.words[row, list(self.vocabularies).index(name)])
        return None if code == MISSING else self.vocabularies[name][code]

    @classmethod
    def open(cls, folder: Path) -> "KeyedTable":
        """Maps what ``build_keyed`` wrote.

        Raises:
            PublishError: It is damaged or of another format.
        """
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            if card["format"] != FORMAT:
                raise ValueError(f"format {card['format']!r}, known is {FORMAT}")
            maps = [np.load(folder / name, mmap_mode="r") for name in (KEYS, NUMBERS, WORDS)]
            if len({len(one) for one in maps}) != 1:
                raise ValueError("files of different lengths")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PublishError(
                f"a keyed table cannot be read: {error}", where=str(folder), todo="Remove the folder; it is made again"
            ) from error
        # Plain views of the maps: the map's own class takes longer for every row.
        keys, numbers, words = (np.asarray(one).view(np.ndarray) for one in maps)
        vocabularies = {name: tuple(values) for name, values in card["vocabularies"].items()}
        return cls(keys, numbers, words, tuple(card["numbers"]), vocabularies)


def build_keyed(files: Sequence[Path], folder: Path, columns: Sequence[str] | None = None) -> Path:
    """Writes a table as a keyed one, in one step: the folder is there as a whole or not at all.

    Args:
        files: Parquet files with ``customer_id``, one row per customer.
        folder: Where to; if it is there already, nothing is done.
        columns: Columns beside the key; None takes all. Memory does not grow with the rows, but for the keys.

    Raises:
        PublishError: A customer stands twice, a key is null or too long, or a column is of a type that has no place.
    """
    if (folder / CARD).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}")
    draft.mkdir()
    try:
        _write(files, draft, columns)
        try:
            draft.replace(folder)
        except OSError:  # another was faster
            if not (folder / CARD).is_file():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _write(files: Sequence[Path], draft: Path, columns: Sequence[str] | None) -> None:
    readers = [pq.ParquetFile(file) for file in files]
    schema = readers[0].schema_arrow
    wanted = [name for name in schema.names if name != KEY and (columns is None or name in columns)]
    texts = [name for name in wanted if _is_text(schema.field(name).type)]
    figures = [name for name in wanted if name not in texts]
    rows = sum(reader.metadata.num_rows for reader in readers)
    keys, order = _keys(readers, rows)
    np.save(draft / KEYS, keys)
    numbers = np.lib.format.open_memmap(draft / NUMBERS, mode="w+", dtype=np.float64, shape=(rows, len(figures)))
    words = np.lib.format.open_memmap(draft / WORDS, mode="w+", dtype=np.int32, shape=(rows, len(texts)))
    known: list[dict[str, int]] = [{} for _ in texts]
    start = 0
    for reader in readers:
        for batch in reader.iter_batches(BATCH_ROWS, columns=wanted or [KEY]):
            span: slice | npt.NDArray[np.int64] = slice(start, start + batch.num_rows)
            if order is not None:
                span = order[start : start + batch.num_rows]
            if figures:
                numbers[span] = np.column_stack([_as_numbers(batch.column(name), name) for name in figures])
            for place, name in enumerate(texts):
                words[span, place] = _as_codes(batch.column(name), known[place])
            start += batch.num_rows
    numbers.flush()
    words.flush()
    card = {
        "format": FORMAT,
        "numbers": figures,
        "vocabularies": {name: list(values) for name, values in zip(texts, known, strict=True)},
    }
    (draft / CARD).write_text(json.dumps(card), encoding="utf-8")


def _keys(readers: Sequence[pq.ParquetFile], rows: int) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int64] | None]:
    """The sorted keys, and where each row of the files goes; None where they are sorted already."""
    parts = [batch.column(0) for reader in readers for batch in reader.iter_batches(BATCH_ROWS, columns=[KEY])]
    whole = pa.chunked_array(parts, pa.string()).combine_chunks() if parts else pa.array([], pa.string())
    if whole.null_count:
        raise PublishError("rows without customer_id", where=KEY, count=whole.null_count)
    texts = [str(one).encode() for one in whole.to_pylist()]
    longest = max(map(len, texts), default=1)
    if longest > LONGEST_KEY:
        raise PublishError(f"a customer_id takes {longest} bytes; {LONGEST_KEY} are allowed", where=KEY)
    found = np.array(texts, dtype=f"S{max(longest, 1)}")
    order: npt.NDArray[np.int64] | None = None
    if rows > 1 and not (found[:-1] <= found[1:]).all():
        places = np.argsort(found, kind="stable")
        order = np.empty(rows, np.int64)
        order[places] = np.arange(rows)
        found = found[places]
    twice = found[:-1] == found[1:]
    if twice.any():
        examples = [one.decode() for one in found[:-1][twice][:3]]
        raise PublishError("a customer stands twice", where=KEY, count=int(twice.sum()), examples=examples)
    return found, order


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_numbers(column: pa.Array, name: str) -> Floats:
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        days = column.cast(pa.timestamp("s")).to_numpy(zero_copy_only=False)
        return np.where(np.isnat(days), np.nan, (days - np.datetime64(0, "s")) / DAY)
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise PublishError(f"a column of type {kind} is neither number nor text", where=name)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    return np.asarray(
        column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False), np.float64
    )


def _as_codes(column: pa.Array, known: dict[str, int]) -> npt.NDArray[np.int32]:
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    here = [known.setdefault(str(value), len(known)) for value in encoded.dictionary.to_pylist()]
    places = np.asarray(encoded.indices.fill_null(len(here)).to_numpy(zero_copy_only=False), np.int64)
    return np.array([*here, MISSING], np.int32)[places]
