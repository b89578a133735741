"""JSON: an array, lines, or documents one after another, landed as text with one column per dotted path.

Records are read one at a time, so the size of a file does not matter. A broken line costs that line; a broken array has
no lines to fall back on and is an error that says where it broke.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from spanishgas.errors import SourceError
from spanishgas.readers.content import REJECTED_ROW_CHARACTERS, Fault, FileContent, Reject, Task
from spanishgas.readers.parquet import landed_schema
from spanishgas.readers.text import plain_text
from spanishgas.readers.text_table import text_of, text_table

READ_BYTES = 1 << 20
SNIFF_LINES = 20
TELL_RECORDS = 100_000
LONGEST_RECORD_CHARACTERS = 64 << 20
TOO_DEEP = "objects or lists are nested too deeply"
# NaN and Infinity are no JSON and mean missing.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


class _Pass:
    """State of one pass over a file."""

    def __init__(self) -> None:
        self.rejects: list[Reject] = []
        self.line = 0

    def flat(self, text: str, record: Any) -> dict[str, str | None] | None:
        """One record as columns, or None where it is rejected."""
        if isinstance(record, dict):
            row: dict[str, str | None] = {}
            try:
                _flatten(record, "", row)
            except RecursionError:
                self.reject("invalid_json", TOO_DEEP, text)
                return None
            return row
        kind = "list" if isinstance(record, list) else "single value"
        self.reject("not_an_object", f"the record is a {kind}, not an object", text)
        return None

    def reject(self, reason: str, detail: str, text: str) -> None:
        self.rejects.append(Reject(self.line, reason, detail, text[:REJECTED_ROW_CHARACTERS]))


def read_records(task: Task) -> FileContent:
    """Lands a JSON file as Parquet: nested objects as one column per dotted path, lists as JSON text.

    The file is an array of objects, one object per line, objects one after another, or objects that hold the list of
    records at the part's ``records``. An empty file has no records.

    Raises:
        SourceError: The array or a document that spans lines is broken, or nested too deeply; there is no list where
            ``records`` says, or it does not say where.
    """
    state = _Pass()
    with plain_text(task) as (plain, encoding):
        layout, document = _layout(plain), None
        with text_table(task.target, task.where) as table:
            for text, document in _records(plain, layout, state, task.where):
                for record in _told(document, task.part.records, task.where):
                    row = state.flat(text, record)
                    if row is not None:
                        table.add(row)
                if state.line % TELL_RECORDS == 0:
                    task.progress(f"landing {task.where}: {state.line:,} records")
        faults = _cut_off(plain, state) if layout == "lines" else ()
    if layout != "array" and state.line == 1 and not task.part.records:
        _refuse_wrapped(document, task.where)
    rows, schema = landed_schema(task.engine, task.target)
    notes = {"layout": layout} | ({} if encoding == "utf-8-sig" else {"encoding": encoding})
    if table.mended:
        notes["texts_with_characters_that_are_none"] = str(table.mended)
    return FileContent(rows=rows, rejects=tuple(state.rejects), schema=schema, notes=notes, faults=faults)


def _told(document: Any, path: str | None, where: str) -> Iterator[Any]:
    """Records of a document: itself, or those in the lists at a path."""
    if path is None:
        yield document
        return
    yield from _below(document, path.split("."), {}, path, where)


def _below(value: Any, steps: list[str], around: dict[str, Any], path: str, where: str) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _below(one, steps, around, path, where)
    elif not steps:
        yield {**around, **value} if isinstance(value, dict) else value
    elif isinstance(value, dict) and steps[0] in value:
        beside = {key: one for key, one in value.items() if key != steps[0] and not isinstance(one, list)}
        yield from _below(value[steps[0]], steps[1:], around | beside, path, where)
    else:
        found = list(value) if isinstance(value, dict) else [type(value).__name__]
        raise SourceError(
            f"has no list of records at `records: {path}`",
            where=where,
            examples=[f"{steps[0]!r} is not among: {', '.join(map(str, found[:20])) or 'nothing'}"],
            todo="Look at what was delivered: an answer that tells of an error looks like this; else correct `records`",
        )


def _refuse_wrapped(document: Any, where: str) -> None:
    """Ends where the only record of a file holds lists of records: the file is an answer around what is meant."""
    lists = list(_lists(document, ""))
    if lists:
        raise SourceError(
            "is one object around a list of records",
            where=where,
            examples=lists,
            todo="Say where they are: `records: <path>` in the part; or put the one record into an array",
        )


def _lists(value: Any, prefix: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key, one in value.items():
        if isinstance(one, list) and any(isinstance(item, dict) for item in one):
            yield prefix + key
        else:
            yield from _lists(one, f"{prefix}{key}.")


def _flatten(record: dict[str, Any], prefix: str, row: dict[str, str | None]) -> None:
    for key, value in record.items():
        name = prefix + key
        if value is None or value.__class__ is str:
            row[name] = value
        elif value.__class__ is dict:
            _flatten(value, f"{name}.", row)
        elif value.__class__ is list:
            row[name] = json.dumps(value, ensure_ascii=False)
        else:
            row[name] = text_of(value)


def _layout(file: Path) -> str:
    """``array``, ``lines``, or ``documents`` where no single line is a record."""
    with file.open("rb") as handle:
        lines = [handle.readline(READ_BYTES).decode("utf-8-sig", errors="replace") for _ in range(SNIFF_LINES)]
    lines = [line for line in lines if line.strip()]
    if not lines:
        return "lines"
    if lines[0].lstrip().startswith("["):
        return "array"
    return "lines" if len(lines) == 1 or any(_is_object(line) for line in lines) else "documents"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _records(file: Path, layout: str, state: _Pass, where: str) -> Iterator[tuple[str, Any]]:
    """Text and value of every record that can be parsed."""
    with file.open("rb") as handle:
        if layout == "lines":
            yield from _lines(handle, state)
        else:
            yield from _documents(handle, state, where, array=layout == "array")


def _lines(handle: IO[bytes], state: _Pass) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(handle):
        try:
            text = line.decode("utf-8-sig" if number == 0 else "utf-8").strip()
        except UnicodeDecodeError as error:
            state.line += 1
            state.reject("invalid_encoding", f"no text: {error.reason}", line.decode("utf-8", "replace").strip())
            continue
        if not text:
            continue
        state.line += 1
        try:
            record, stop = _DECODER.raw_decode(text)
        except (ValueError, RecursionError) as error:
            detail = TOO_DEEP if isinstance(error, RecursionError) else f"not JSON: {error}"
            state.reject("invalid_json", detail, text)
            continue
        if stop != len(text):
            state.reject("invalid_json", f"not JSON: there is text after the object, at character {stop}", text)
            continue
        yield text, record


def _cut_off(plain: Path, state: _Pass) -> tuple[Fault, ...]:
    """Whether the last line has no end and cannot be parsed."""
    if not state.rejects or state.rejects[-1].line != state.line:
        return ()
    with plain.open("rb") as handle:
        handle.seek(-1, 2)
        ended = handle.read() in (b"\n", b"\r")
    last = state.rejects[-1]
    whole = ended or last.reason == "not_an_object"
    return () if whole else (Fault("cut_off", last.line, f"the file ends in the middle of a record: {last.detail}"),)


def _documents(handle: IO[bytes], state: _Pass, where: str, *, array: bool) -> Iterator[tuple[str, Any]]:
    """The objects in an array, or one after another, read piece by piece."""
    pieces = codecs.iterdecode(iter(lambda: handle.read(READ_BYTES), b""), "utf-8-sig", errors="surrogateescape")
    buffer, at, passed, ended = "", 0, 0, False
    step = "start" if array else "value"
    while True:
        while at < len(buffer) and buffer[at] in " \t\r\n":
            at += 1
        if at == len(buffer) and ended:
            break
        if at < len(buffer):
            if step == "start":
                at, step = at + 1, "first"
                continue
            if array and step in ("first", "comma") and buffer[at] == "]":
                step, at = "end", at + 1
                continue
            if step == "comma" and array:
                if buffer[at] != ",":
                    raise _broken(where, passed + at, state, "a comma or the array's end was expected")
                at, step = at + 1, "value"
                continue
            if step == "end":
                raise _broken(where, passed + at, state, "there is text after the array's end")
            try:
                record, stop = _DECODER.raw_decode(buffer, at)
            except RecursionError:
                raise _broken(where, passed + at, state, TOO_DEEP) from None
            except json.JSONDecodeError as error:
                if ended or len(buffer) - at > LONGEST_RECORD_CHARACTERS:
                    raise _broken(where, passed + error.pos, state, error.msg) from error
            except ValueError as error:  # a whole number of thousands of digits
                raise _broken(where, passed + at, state, str(error)) from error
            else:
                # A number at the buffer's end might go on in the next piece; objects and texts close themselves.
                if ended or stop < len(buffer) or buffer[at] in '{["':
                    state.line += 1
                    yield buffer[at:stop], record
                    at, step = stop, "comma" if array else "value"
                    continue
        piece = next(pieces, None)
        if piece is None:
            ended = True
        else:
            passed += at
            buffer, at = buffer[at:] + piece, 0
    if array and step != "end":
        raise _broken(where, passed + len(buffer), state, "the array does not end: the file is cut off")


def _broken(where: str, position: int, state: _Pass, what: str) -> SourceError:
    return SourceError(
        f"the JSON breaks at character {position:,}, after {state.line:,} whole records: {what}",
        where=where,
        todo="Write the file again to its end, or deliver one record per line, where a broken line costs only itself",
    )
