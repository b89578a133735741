"""Raw JSON: an array, lines, or documents one after another, landed as one text column ``record``.

Records are read one at a time, so the size of a file does not matter. A broken line costs that line; a broken array has
no lines to fall back on and is an error that says where it broke.
"""

import codecs
import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.engine.raw_files import REJECTED_ROW_CHARACTERS, FileContent, Progress, Reject, quiet
from spanishgas.engine.session import ROW_GROUP_ROWS
from spanishgas.errors import SourceError

READ_BYTES = 1 << 20
SNIFF_LINES = 20
SCHEMA_RECORDS = 20_000
LONGEST_RECORD_CHARACTERS = 64 << 20
RECORD = pa.schema([("record", pa.string())])


class _Reader:
    """State of one pass: what to land, what to reject, and the shape seen so far."""

    def __init__(self) -> None:
        self.rejects: list[Reject] = []
        self.schema: dict[str, set[str]] = {}
        self.line = 0
        self.made_null = 0

    def take(self, text: str) -> str | None:
        """The text to land for one record's text, or None where it is rejected."""
        self.line += 1
        odd: list[str] = []
        try:
            record = json.loads(text, parse_constant=odd.append)
        except (json.JSONDecodeError, RecursionError) as error:
            self.reject("invalid_json", f"not JSON: {error}", text)
            return None
        if not isinstance(record, dict):
            self.reject("not_an_object", f"the record is a {type(record).__name__}, not an object", text)
            return None
        if self.line <= SCHEMA_RECORDS:
            _observe(record, "", self.schema)
        if odd:
            # NaN and Infinity are no JSON and mean missing; `odd.append` has made them null.
            self.made_null += 1
            return json.dumps(record)
        return text

    def reject(self, reason: str, detail: str, text: str) -> None:
        self.rejects.append(Reject(self.line, reason, detail, text[:REJECTED_ROW_CHARACTERS]))


def land_json(file: Path, target: Path, *, encoding: str = "utf-8", progress: Progress = quiet) -> FileContent:
    """Lands a JSON file, plain or gzipped, as Parquet with one column ``record``.

    Args:
        file: The raw file: an array of objects, one object per line, or objects one after another. An empty file has no
            records.
        target: The Parquet file to write.
        encoding: Text encoding.
        progress: Is told about long work.

    Raises:
        SourceError: The array or a document that spans lines is broken, or the file cannot be read.
    """
    reader = _Reader()
    rows = 0
    layout = "lines"
    try:
        with ExitStack() as stack:
            writer = stack.enter_context(pq.ParquetWriter(target, RECORD, compression="zstd"))
            batch: list[str] = []
            layout = _layout(file, encoding)
            for text in _records(file, encoding, layout, reader):
                landed = reader.take(text)
                if landed is not None:
                    batch.append(landed)
                if len(batch) == ROW_GROUP_ROWS:
                    rows += _flush(writer, batch)
                    progress(f"landing {file.name}: {rows:,} records")
            rows += _flush(writer, batch)
    except (EOFError, gzip.BadGzipFile, OSError, UnicodeError) as error:
        raise SourceError("cannot be read to its end", where=str(file), examples=[error]) from error
    notes = {"layout": layout}
    if reader.made_null:
        notes["records_with_nan_made_null"] = str(reader.made_null)
    schema = {path: _one_type(kinds) for path, kinds in sorted(reader.schema.items())}
    # A line that is cut is no JSON; an array that is cut has been refused before.
    cut_off = bool(reader.rejects) and (reader.rejects[-1].line, reader.rejects[-1].reason) == (
        reader.line,
        "invalid_json",
    )
    return FileContent(rows=rows, rejects=tuple(reader.rejects), schema=schema, notes=notes, cut_off=cut_off)


def _flush(writer: Any, batch: list[str]) -> int:
    count = len(batch)
    if batch:
        writer.write_table(pa.table({"record": pa.array(batch, pa.string())}, schema=RECORD))
        batch.clear()
    return count


def _open(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb")  # type: ignore[return-value]


def _layout(file: Path, encoding: str) -> str:
    """``array``, ``lines``, or ``documents`` where no single line is a record."""
    with _open(file) as handle:
        lines = [_without_mark(handle.readline(READ_BYTES), encoding) for _ in range(SNIFF_LINES)]
    lines = [line for line in lines if line.strip()]
    if not lines:
        return "lines"
    if lines[0].lstrip().startswith("["):
        return "array"
    return "lines" if len(lines) == 1 or any(_is_object(line) for line in lines) else "documents"


def _without_mark(line: bytes, encoding: str) -> str:
    return line.decode(encoding, errors="replace").lstrip("\ufeff")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (json.JSONDecodeError, RecursionError):
        return False


def _records(file: Path, encoding: str, layout: str, reader: _Reader) -> Iterator[str]:
    with _open(file) as handle:
        if layout == "lines":
            yield from _lines(handle, encoding, reader)
        else:
            yield from _documents(handle, encoding, str(file), array=layout == "array")


def _lines(handle: IO[bytes], encoding: str, reader: _Reader) -> Iterator[str]:
    for number, line in enumerate(handle):
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            reader.line += 1
            reader.reject(
                "invalid_encoding", f"not {encoding}: {error.reason}", line.decode(encoding, "replace").strip()
            )
            continue
        text = (text.lstrip("\ufeff") if number == 0 else text).strip()
        if text:
            yield text


def _documents(handle: IO[bytes], encoding: str, where: str, *, array: bool) -> Iterator[str]:
    """Texts of the objects in an array, or one after another, read piece by piece."""
    pieces = codecs.iterdecode(iter(lambda: handle.read(READ_BYTES), b""), encoding)
    decoder = json.JSONDecoder()
    buffer, at, passed, number, ended = "", 0, 0, 0, False
    state = "start" if array else "value"
    while True:
        while at < len(buffer) and buffer[at] in " \t\r\n\ufeff":
            at += 1
        if at == len(buffer) and ended:
            break
        if at < len(buffer):
            if state == "start":
                at, state = at + 1, "first"
                continue
            if array and state in ("first", "comma") and buffer[at] == "]":
                state, at = "end", at + 1
                continue
            if state == "comma" and array:
                if buffer[at] != ",":
                    raise _broken(where, passed + at, number, "a comma or the array's end was expected")
                at, state = at + 1, "value"
                continue
            if state == "end":
                raise _broken(where, passed + at, number, "there is text after the array's end")
            try:
                _, stop = decoder.raw_decode(buffer, at)
            except json.JSONDecodeError as error:
                if ended or len(buffer) - at > LONGEST_RECORD_CHARACTERS:
                    raise _broken(where, passed + error.pos, number, error.msg) from error
            else:
                # A number at the buffer's end might go on in the next piece; objects and texts close themselves.
                if ended or stop < len(buffer) or buffer[at] in '{["':
                    number += 1
                    yield buffer[at:stop]
                    at, state = stop, "comma" if array else "value"
                    continue
        piece = next(pieces, None)
        if piece is None:
            ended = True
        else:
            passed += at
            buffer, at = buffer[at:] + piece, 0
    if array and state != "end":
        raise _broken(where, passed + len(buffer), number, "the array does not end")


def _broken(where: str, position: int, number: int, what: str) -> SourceError:
    return SourceError(
        f"the JSON breaks at character {position:,}, after {number:,} whole records: {what}",
        where=where,
        todo="Write the file again to its end, or deliver one record per line, where a broken line costs only itself",
    )


def _observe(value: dict[str, Any], prefix: str, schema: dict[str, set[str]]) -> None:
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, dict):
            _observe(inner, f"{path}.", schema)
        else:
            schema.setdefault(path, set()).add(_type_name(inner))


def _type_name(value: object) -> str:
    if isinstance(value, str):
        return "string"
    if value is None:
        return "empty"
    return {bool: "bool", int: "int", float: "float", list: "nested"}[type(value)]


def _one_type(kinds: set[str]) -> str:
    seen = kinds - {"empty"}
    if not seen:
        return "empty"
    if seen == {"int", "float"}:
        return "float"
    return next(iter(seen)) if len(seen) == 1 else "mixed"
