"""Looks at the files of a folder: how they have to be read, which belong together, and a sample of their rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import SourcePart
from spanishgas.engine.embedded import EmbeddedEngine
from spanishgas.errors import SpanishGasError
from spanishgas.onboarding.encodings import begin_of, encoding_of
from spanishgas.onboarding.facts import ColumnFacts, facts_of
from spanishgas.readers import ENDINGS, NO_COLUMNS, detect_format, is_packed, is_zip, land_file, members_of, sheets_of

PROBED_BYTES = 1 << 17
SAMPLED_BYTES = 1 << 23
SAMPLED_ROWS = 60_000
SAMPLED_FILES = 6
LATEST_HEADER_ROW = 12
DELIMITERS = b",;\t|"
TEXT_ENDINGS = ("", ".txt", ".dat", ".asc", ".out", ".prn", ".export")


@dataclass(frozen=True)
class Item:
    """One file, one member of an archive, or one sheet of a workbook, and how it is read.

    Attributes:
        path: The file.
        origin: Its name below the raw folder, with its member.
        format: Format of what it holds.
        part: Settings by which it reads.
        columns: Raw columns.
    """

    path: Path
    origin: str
    format: str
    part: SourcePart
    columns: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file below the raw folder."""
        return self.origin.removesuffix(f"/{self.part.member}") if self.part.member else self.origin


@dataclass(frozen=True)
class Group:
    """Files with the same columns.

    Attributes:
        items: The files.
        columns: Raw column -> facts of its values in a sample.
        rows: Rows of the sample.
        whole: Whether the sample holds every row.
    """

    items: tuple[Item, ...]
    columns: dict[str, ColumnFacts]
    rows: int
    whole: bool

    @property
    def name(self) -> str:
        """How the group is called in questions: its file, or its first one of several."""
        first = self.items[0]
        sheet = f" (sheet {first.part.sheet})" if first.part.sheet is not None else ""
        more = f" and {len(self.items) - 1} more" if len(self.items) > 1 else ""
        return f"{first.origin}{sheet}{more}"


@dataclass
class Looked:
    """What was found in a folder.

    Attributes:
        groups: Files with the same columns, in order of their first file's name.
        unread: File -> why it cannot be read, or is left alone.
    """

    groups: list[Group] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def look(engine: EmbeddedEngine, raw: Path, scratch: Path) -> Looked:
    """Looks at every file of a folder and below; names that begin with a dot or an underscore are left out.

    Args:
        engine: The engine that reads.
        raw: The folder.
        scratch: Folder for what is read in between.
    """
    found = Looked()
    together: dict[tuple[str, str, str, int, frozenset[str]], list[Item]] = {}
    for item in _items(raw, found.unread):
        try:
            probed = _probe(engine, item, scratch)
        except SpanishGasError as error:
            found.unread[item.origin] = str(error)
            continue
        if not probed.columns:
            found.unread[item.origin] = "holds no columns"
            continue
        archive = probed.file if probed.part.member is not None or probed.part.sheet is not None else ""
        sheet = f"{archive} {probed.part.sheet}" if probed.part.sheet is not None else archive
        names = frozenset(name.casefold() for name in probed.columns)
        key = (probed.format, sheet, probed.part.encoding, probed.part.header_row, names)
        together.setdefault(key, []).append(probed)
    for items in together.values():
        sample, typed, whole = _sample(engine, items, scratch)
        found.groups.append(Group(tuple(items), facts_of(sample, typed), len(sample), whole))
    return found


def _items(raw: Path, unread: dict[str, str]) -> Iterator[Item]:
    """Everything that may hold rows."""
    for path in sorted(path for path in raw.rglob("*") if path.is_file()):
        relative = path.relative_to(raw)
        if any(part.startswith((".", "_")) for part in relative.parts):
            continue
        origin = relative.as_posix()
        if is_zip(path.name):
            try:
                names = members_of(path, None)
            except SpanishGasError as error:
                unread[origin] = str(error)
                continue
            for name in names:
                told = detect_format(name)
                if told is not None:
                    yield Item(path, f"{origin}/{name}", told, SourcePart(files=origin, member=name))
                else:
                    unread[f"{origin}/{name}"] = "its ending tells no format"
            continue
        told = detect_format(path.name)
        if told is None and not _is_table(path):
            unread[origin] = f"its ending tells no format, and it is no table of text; known are {' '.join(ENDINGS)}"
        elif told == "excel":
            try:
                sheets = sheets_of(path)
            except SpanishGasError as error:
                unread[origin] = str(error)
                continue
            for name in sheets:
                yield Item(path, origin, told, SourcePart(files=origin, sheet=name if len(sheets) > 1 else None))
        else:
            part = SourcePart(files=origin) if told is not None else SourcePart(files=origin, format="csv")
            yield Item(path, origin, told or "csv", part)


def _is_table(path: Path) -> bool:
    """Whether a file of no known ending is lines of text with something between the columns."""
    if path.suffix.lower() not in TEXT_ENDINGS:
        return False
    with path.open("rb") as handle:
        begin = handle.read(4096)
    first = begin.split(b"\n")[0]
    return sum(first.count(bytes([mark])) for mark in DELIMITERS) > 0


def _probe(engine: EmbeddedEngine, item: Item, scratch: Path) -> Item:
    """The file with the settings by which it reads and with its columns."""
    part = item.part
    if item.format in ("csv", "json") and not is_packed(part.member or ""):
        encoding = encoding_of(item.path, part.member)
        part = part if encoding is None else part.model_copy(update={"encoding": encoding})
    blank = _blank_lines(begin_of(item.path, part.member), part.encoding) if item.format == "csv" else ()
    for row in (row for row in range(1, LATEST_HEADER_ROW + 1) if row not in blank):
        told = replace(item, part=part.model_copy(update={"header_row": row}))
        try:
            frame, _ = _read(engine, told, scratch, PROBED_BYTES)
        except SpanishGasError:
            if row == 1:
                raise
            continue
        if item.format not in ("csv", "excel") or _is_header([str(name) for name in frame.columns], row):
            return replace(told, columns=tuple(map(str, frame.columns)))
    frame, _ = _read(engine, replace(item, part=part), scratch, PROBED_BYTES)
    return replace(item, part=part, columns=tuple(map(str, frame.columns)))


def _blank_lines(begin: bytes, encoding: str) -> tuple[int, ...]:
    """Numbers of the first lines of a text that have nothing in them: none of them names columns."""
    told = "utf-16" if begin.startswith((b"\xff\xfe", b"\xfe\xff")) else encoding
    lines = begin.decode(told, errors="replace").splitlines()[:LATEST_HEADER_ROW]
    return tuple(number for number, line in enumerate(lines, start=1) if not line.strip())


def _is_header(columns: Sequence[str], row: int) -> bool:
    """Whether names are those of columns: several, few blank ones (below the first row none), and few numbers."""
    blank = sum(str(name).startswith("column_") and str(name)[7:].isdigit() for name in columns)
    numbers = sum(str(name).replace(",", "").replace(".", "").lstrip("-").isdigit() for name in columns)
    return len(columns) > 1 and (2 * blank < len(columns) if row == 1 else not blank) and 2 * numbers < len(columns)


def _sample(engine: EmbeddedEngine, items: Sequence[Item], scratch: Path) -> tuple[pd.DataFrame, dict[str, bool], bool]:
    """Rows of some of the files as texts, which columns are typed, and whether these are all rows."""
    step = max(1, -(-len(items) // SAMPLED_FILES))
    chosen = [*items[::step]] if items[-1] in items[::step] else [*items[::step], items[-1]]
    frames: list[pd.DataFrame] = []
    typed: dict[str, bool] = {}
    whole = len(chosen) == len(items)
    names = {name.casefold(): name for name in items[0].columns}
    for item in chosen:
        frame, kinds = _read(engine, item, scratch, SAMPLED_BYTES // len(chosen))
        whole &= len(frame) <= SAMPLED_ROWS // len(chosen) and item.path.stat().st_size <= SAMPLED_BYTES // len(chosen)
        frame = frame.rename(columns={name: names.get(str(name).casefold(), str(name)) for name in frame.columns})
        frames.append(_blocks(frame, SAMPLED_ROWS // len(chosen)))
        typed |= {names.get(name.casefold(), name): kind for name, kind in kinds.items()}
    return pd.concat(frames, ignore_index=True), typed, whole


def _blocks(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """So many rows of a frame, from its beginning, its middle and its end: neighbours stay neighbours."""
    if len(frame) <= rows:
        return frame
    third, middle = rows // 3, len(frame) // 2
    return pd.concat([frame[:third], frame[middle : middle + third], frame[-third:]], ignore_index=True)


def _read(engine: EmbeddedEngine, item: Item, scratch: Path, size: int) -> tuple[pd.DataFrame, dict[str, bool]]:
    """Rows of a file as texts, and which of its columns are typed."""
    if item.format == "parquet" and item.part.member is None and not is_packed(item.path.name):
        return _texts(_some_rows(item.path))
    target = scratch / f"{uuid4().hex}.parquet"
    cut = scratch / f"{uuid4().hex}.csv"
    try:
        path, member = item.path, item.part.member
        plain = item.format == "csv" and member is None and not is_packed(path.name)
        if plain and path.stat().st_size > size and not encoding_is_wide(path):
            cut.write_bytes(_cut(path, size, item.part.header_row))
            path = cut
        land_file(engine, path, target, format=item.format, part=item.part, member=member, where=item.origin)  # type: ignore[arg-type]
        frame, kinds = _texts(_some_rows(target))
        return frame, kinds if item.format == "parquet" else {}
    finally:
        target.unlink(missing_ok=True)
        cut.unlink(missing_ok=True)


def encoding_is_wide(path: Path) -> bool:
    """Whether a text file has two or four bytes for a character, so that it cannot be cut at line ends."""
    with path.open("rb") as handle:
        return handle.read(4).startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff"))


def _cut(path: Path, size: int, header_row: int) -> bytes:
    """Whole lines of a large file: its header, and blocks from its beginning, middle and end."""
    whole, third = path.stat().st_size, size // 3
    with path.open("rb") as handle:
        parts = [b"".join(handle.readline() for _ in range(header_row)) + handle.read(third) + handle.readline()]
        for start in (max(handle.tell(), whole // 2), max(handle.tell(), whole - third)):
            handle.seek(start)
            handle.readline()
            parts.append(handle.read(third) + handle.readline())
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts if part)


def _some_rows(file: Path) -> pa.Table:
    """Rows of the first, the middle and the last row group."""
    source = pq.ParquetFile(file)
    groups = sorted({0, source.num_row_groups // 2, source.num_row_groups - 1}) if source.num_row_groups else []
    tables = [source.read_row_group(number).slice(0, SAMPLED_ROWS) for number in groups if number >= 0]
    return pa.concat_tables(tables) if tables else source.schema_arrow.empty_table()


def _texts(table: pa.Table) -> tuple[pd.DataFrame, dict[str, bool]]:
    while any(pa.types.is_struct(one.type) for one in table.schema):
        table = table.flatten()
    kinds = {one.name: not _is_text(one.type) for one in table.schema}
    texts: dict[str, Any] = {}
    for name in table.column_names:
        if name == NO_COLUMNS:
            continue
        try:
            column = pd.Series(table[name].cast(pa.string()).to_pandas(), dtype="object")
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists and binaries are no columns of ours
            continue
        column = column.str.strip()
        column[column.isna() | (column == "")] = None
        texts[name] = column
    return pd.DataFrame(texts), kinds


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_null(value))
