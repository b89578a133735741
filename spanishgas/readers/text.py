"""Text files of any encoding as plain UTF-8, which is what the parsers read."""

import codecs
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from spanishgas.readers.content import Task

COPY_CHARACTERS = 1 << 22
LOOKED_AT_BYTES = 1 << 12
# The longest first: the mark of UTF-16 is the beginning of that of UTF-32.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes that are no text in the file's encoding become this byte, which is none in UTF-8: the row is rejected later.
NO_TEXT = "spanishgas-no-text"
codecs.register_error(NO_TEXT, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


def encoding_of(file: Path, told: str) -> str:
    """Encoding of a text file: that of its mark, else UTF-16 where every second byte is zero, else the one told.

    Args:
        file: The file.
        told: The configured encoding.
    """
    with file.open("rb") as handle:
        head = handle.read(LOOKED_AT_BYTES)
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    if _is_utf8(told):
        # ASCII texts in UTF-16 without a mark; no text in UTF-8 holds zeros.
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > len(head) // 4:
            return "utf-16-le" if odd > even else "utf-16-be"
        return "utf-8-sig"
    return told


def _is_utf8(name: str) -> bool:
    return codecs.lookup(name).name in ("utf-8", "utf-8-sig", "ascii")


@contextmanager
def plain_text(
    task: Task, passed_lines: int = 0, first_line: Callable[[str], str] | None = None
) -> Iterator[tuple[Path, str]]:
    """The file itself where it is plain UTF-8, else a copy that is, and its encoding.

    Args:
        task: The file.
        passed_lines: Lines at its beginning that are left out.
        first_line: Makes, of the first line that is left, a line that is put before it.
    """
    encoding = encoding_of(task.file, task.part.encoding)
    if _is_utf8(encoding) and not passed_lines and first_line is None:
        yield task.file, encoding
        return
    copy = task.target.parent / f".{task.target.name}.{uuid4().hex[:8]}.utf8"
    task.progress(f"reading {task.where} as {encoding}")
    try:
        with (
            task.file.open("rb") as source,
            io.TextIOWrapper(source, encoding=encoding, errors=_errors(encoding), newline="") as text,
            copy.open("wb") as sink,
        ):
            for _ in range(passed_lines):
                text.readline()
            if first_line is not None:
                line = text.readline()
                sink.write((first_line(line) + line).encode("utf-8", errors="surrogateescape"))
            while piece := text.read(COPY_CHARACTERS):
                sink.write(piece.encode("utf-8", errors="surrogateescape"))
        yield copy, encoding
    finally:
        copy.unlink(missing_ok=True)


def _errors(encoding: str) -> str:
    return "surrogateescape" if _is_utf8(encoding) else NO_TEXT
