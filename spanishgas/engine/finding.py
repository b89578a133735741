"""Where erased customers are still named: every file is read, whatever it is packed in, and its words are looked up.

Words are compared by their keyed hashes, so that the search needs no names; what a run was made with instead of a name,
its pseudonym, is found by the same hashes. Who has the names gives them too: then bytes are searched for them, in
whatever they stand.
"""

import bz2
import csv
import gzip
import io
import lzma
import mmap
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.engine.suppression import Suppression

CUSTOMER_COLUMNS = ("customer_id", "customer", "pseudonym")
# What words stand between in tables, JSON, Markdown and sentences; then, what they are made of.
BETWEEN = re.compile(r"[\s,;|\"'{}\[\]()<>`*!?=:\x00-\x1f]+")
WITHIN = re.compile(r"[/\\@#&.%+~]+")
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
PRINTABLE = re.compile(rb"[\x20-\x7e\xc2-\xf4\x80-\xbf]{4,}")
# A customer in JSON, and a word that is no part of another.
OF_CUSTOMER = re.compile(rf'"(?:{"|".join(CUSTOMER_COLUMNS)})"\s*:\s*"?([^",}}\s]+)')
ALONE = "(?<![0-9A-Za-z])(?:{})(?![0-9A-Za-z])"
# Digits alone, and short words, are also counts, years and names of columns.
SHORTEST_WORD, SHORTEST_NUMBER, SURELY_NO_WORD = 4, 8, 16
MOST_KNOWN = 2_000_000
ROWS_AT_ONCE = 262_144
DEEPEST = 4
SQLITE, ZIP, PARQUET, NUMPY = b"SQLite format 3\x00", b"PK\x03\x04", b"PAR1", b"\x93NUMPY"
UNPACKED = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}
ZSTD = b"\x28\xb5\x2f\xfd"


def is_distinctive(word: str) -> bool:
    """Whether a word is so made that finding it in a text means a customer rather than a number or a common word."""
    if word.isdigit():
        return len(word) >= SHORTEST_NUMBER
    if len(word) >= SURELY_NO_WORD:
        return True
    return len(word) >= SHORTEST_WORD and any(letter.isdigit() for letter in word)


class Finder:
    """Looks for customers in values, texts and files.

    Args:
        erased: The list, by which everybody on it is found.
        named: Those of them whose names are known.
    """

    def __init__(self, erased: Suppression, named: Iterable[str] = ()) -> None:
        self._erased = erased
        self._named = {one.strip() for one in named}
        self._others: set[str] = set()
        self._telling = sorted(one for one in self._named if is_distinctive(one))
        self._bytes = [re.compile(ALONE.format(re.escape(one)).encode()) for one in self._telling]
        self._texts = re.compile(ALONE.format("|".join(map(re.escape, self._telling)))) if self._telling else None

    @property
    def is_idle(self) -> bool:
        """Whether there is nobody to look for."""
        return not self._erased.hashes and not self._named

    def among(self, values: Iterable[object]) -> set[str]:
        """Those of the values that are one of the customers, or a pseudonym of one; for columns of customers."""
        words = {str(value).strip() for value in values if value is not None} - self._others
        found = (words & self._named) | self._erased.matches(words) | self._erased.pseudonyms_in(words)
        if len(self._others) > MOST_KNOWN:
            self._others.clear()
        self._others |= words - found
        return found

    def in_text(self, text: str) -> set[str]:
        """Words of a text that are one of the customers; words that may be anything are not looked up."""
        if "\\u" in text:
            text = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        found = self.among(word for word in set(_words(text)) if is_distinctive(word))
        found |= self.among(OF_CUSTOMER.findall(text))
        return found | (set(self._texts.findall(text)) if self._texts is not None else set())

    def in_file(self, file: Path) -> bool:
        """Whether a file names one of the customers, its name included.

        A file that cannot be read as what it seems to be is searched as bytes.
        """
        if self.in_text(file.name):
            return True
        if not file.stat().st_size:
            return False
        with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if any(pattern.search(data) for pattern in self._bytes):
                return True
            if data[: len(SQLITE)] == SQLITE:
                return self._in_database(file)
            if data[: len(PARQUET)] == PARQUET:
                return self._in_parquet(file)
            if file.suffix == ".csv" and self.among(_customers_of(file)):
                return True
            return self._in_content(data[:], 0)

    def _in_content(self, data: bytes, depth: int) -> bool:
        """Whether bytes name somebody, unpacked as far as they are packed."""
        if any(pattern.search(data) for pattern in self._bytes):
            return True
        if depth < DEEPEST:
            with suppress(OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException):
                return any(self._in_content(one, depth + 1) for one in _unpacked(data))
        with suppress(ValueError, pa.ArrowException, OSError):
            if data[: len(PARQUET)] == PARQUET:
                return self._in_parquet(io.BytesIO(data))
            if data[: len(NUMPY)] == NUMPY:
                values = np.load(io.BytesIO(data), allow_pickle=False)
                return bool(self.among(_texts(values))) if values.dtype.kind in "SU" else False
        try:
            return bool(self.in_text(data.decode()))
        except UnicodeDecodeError:
            return bool(self.in_text("\n".join(run[0].decode(errors="replace") for run in PRINTABLE.finditer(data))))

    def _in_parquet(self, source: Path | io.BytesIO) -> bool:
        with pq.ParquetFile(source) as file:
            names = [field.name for field in file.schema_arrow if _holds_words(field)]
            told = " ".join(str(text, errors="replace") for text in (file.schema_arrow.metadata or {}).values())
            if self.in_text(told):
                return True
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=names) if names else ():
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    values = column.unique()
                    if pa.types.is_dictionary(values.type):
                        values = values.dictionary
                    texts = values.to_pylist()
                    if self.among(texts) if name in CUSTOMER_COLUMNS else self.in_values(texts):
                        return True
        return False

    def in_values(self, values: Iterable[object]) -> set[str]:
        """Who is named in values of any column: as the whole value, or as a word of it."""
        return self.in_text("\n".join(str(value) for value in values if value is not None))

    def _in_database(self, file: Path) -> bool:
        with (
            suppress(sqlite3.DatabaseError),
            closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as one,
        ):
            one.text_factory = lambda data: data.decode(errors="replace")
            for table, column in _columns(one):
                rows = one.execute(f'select distinct "{column}" from "{table}"')
                texts = [str(value, errors="replace") if isinstance(value, bytes) else value for (value,) in rows]
                if self.in_values(value for value in texts if isinstance(value, str)):
                    return True
        data = file.read_bytes()  # what was deleted and not overwritten
        return bool(self.in_text("\n".join(run[0].decode(errors="replace") for run in PRINTABLE.finditer(data))))


def _words(text: str) -> Iterator[str]:
    for word in set(BETWEEN.split(text)):
        yield word
        bare = word.strip(".-_/\\")
        yield bare
        parts = WITHIN.split(bare)
        if len(parts) > 1:
            yield from parts
            yield bare.rpartition(".")[0]


def _customers_of(file: Path) -> Iterator[str]:
    """Values of the columns of customers in a CSV file."""
    with suppress(csv.Error), file.open(encoding="utf-8", errors="replace", newline="") as handle:
        for row in csv.DictReader(handle):
            yield from (str(row[name]) for name in CUSTOMER_COLUMNS if row.get(name))


def _unpacked(data: bytes) -> list[bytes]:
    """What is packed in some bytes.

    Raises:
        ValueError: Nothing is.
    """
    if data[: len(ZIP)] == ZIP:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return ["\n".join(archive.namelist()).encode(), *(archive.read(name) for name in archive.namelist())]
    if data[: len(ZSTD)] == ZSTD:
        with pa.input_stream(io.BytesIO(data), compression="zstd") as stream:
            return [stream.read()]
    for begin, unpack in UNPACKED.items():
        if data[: len(begin)] == begin:
            return [unpack(data)]
    raise ValueError("not packed")


def _texts(values: "np.ndarray[tuple[int, ...], np.dtype[np.bytes_ | np.str_]]") -> Iterator[str]:
    for value in values.ravel().tolist():
        yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _holds_words(field: pa.Field) -> bool:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if field.name in CUSTOMER_COLUMNS:
        return True
    return not (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_boolean(kind)
    )


def _columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    return [(table, row[1]) for table in tables for row in database.execute(f'pragma table_info("{table}")')]
