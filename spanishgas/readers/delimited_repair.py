"""Line-by-line reading of CSV files whose quotes or line ends are broken."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from spanishgas.readers.content import REJECTED_ROW_CHARACTERS, Reject

# A quoted text longer than this many lines is taken for a quote that was never closed.
MAX_LINES_OF_A_ROW = 50


def repair_csv(file: Path, target: Path, delimiter: str, columns: int, max_rejects: int) -> list[Reject]:
    """Writes the well-formed rows of a CSV file to a clean one and returns the others.

    A row whose quote is still open at the end of its line goes on in the next lines if that gives a row of the right
    width within a few lines; else only its first line is rejected, and reading goes on with the line after it.

    Args:
        file: Plain text; bytes that are not UTF-8 make their row a reject.
        target: The clean file, with the header and one kind of line end.
        delimiter: The delimiter.
        columns: Number of columns of a row.
        max_rejects: Reading stops after so many rejects.

    Returns:
        The rejected rows, numbered from 1 after the header, rejected rows counting.
    """
    rejects: list[Reject] = []
    lines = _Lines(file)
    with target.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink, delimiter=delimiter, lineterminator="\n")
        number = -1
        while (line := lines.take()) is not None and len(rejects) < max_rejects:
            if not line.strip():
                continue
            number += 1
            row = _row(line, lines, delimiter, columns)
            fault = _fault(row, columns)
            if row is not None and fault is None:
                writer.writerow(row)
            elif fault is not None:
                reason, detail = fault
                rejects.append(Reject(number, reason, detail, line.strip("\r\n")[:REJECTED_ROW_CHARACTERS]))
    return rejects


class _Lines:
    """Lines of a file, with a look ahead."""

    def __init__(self, file: Path) -> None:
        self._source = self._read(file)
        self._ahead: deque[str] = deque()

    @staticmethod
    def _read(file: Path) -> Iterator[str]:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline=None) as handle:
            yield from handle

    def take(self) -> str | None:
        """The next line, or None at the end."""
        if self._ahead:
            return self._ahead.popleft()
        return next(self._source, None)

    def peek(self, count: int) -> list[str]:
        """Up to ``count`` lines that come next."""
        while len(self._ahead) < count and (line := next(self._source, None)) is not None:
            self._ahead.append(line)
        return list(self._ahead)[:count]

    def skip(self, count: int) -> None:
        """Passes over lines that were looked at."""
        for _ in range(count):
            self._ahead.popleft()


def _row(line: str, lines: _Lines, delimiter: str, columns: int) -> list[str] | None:
    """The row that begins with a line, or None where its quotes do not close."""
    row = _parse(line, delimiter)
    if row is not None or line.count('"') % 2 == 0:
        return row
    text = line
    for taken, following in enumerate(lines.peek(MAX_LINES_OF_A_ROW), start=1):
        text += following
        row = _parse(text, delimiter)
        if row is not None and len(row) == columns:
            lines.skip(taken)
            return row
    return None


def _parse(text: str, delimiter: str) -> list[str] | None:
    """One row of a text, or None where a quote is open or stands at a wrong place."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _fault(row: list[str] | None, columns: int) -> tuple[str, str] | None:
    if row is None:
        return "broken_quotes", "a quote is not closed, or stands at a wrong place"
    if any("\udc80" <= character <= "\udcff" for value in row for character in value):
        return "invalid_encoding", "not utf-8"
    if len(row) != columns:
        reason = "too_few_columns" if len(row) < columns else "too_many_columns"
        return reason, f"Expected Number of Columns: {columns} Found: {len(row)}"
    return None
