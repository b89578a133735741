"""Workbooks (xlsx, xls, xlsb, ods): sheets of the same columns, every cell as the text that a CSV file would have."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from spanishgas.errors import SourceError
from spanishgas.readers.content import FileContent, Task
from spanishgas.readers.delimited import column_names
from spanishgas.readers.parquet import landed_schema
from spanishgas.readers.text_table import TextTable, text_of, text_table

Row = list[Any]


def read_workbook(task: Task) -> FileContent:
    """Lands sheets of a workbook; rows without any value are passed over.

    Dates and times become ISO 8601, numbers keep every digit, cells with an error (``#N/A``) are missing. The text of a
    merged cell holds for every row that it covers; a merged number stands in its first row only, because twice would be
    twice as much.

    Raises:
        SourceError: The file is no workbook, is encrypted, has no such sheet, a sheet has no header, or it is not told
            which of several sheets with the same header are meant.
    """
    book = _opened(task.file, task.where)
    chosen = _chosen(task.part.sheet, list(book.sheet_names), task.where)
    others = [name for name in book.sheet_names if name not in chosen]
    with text_table(task.target, task.where) as table:
        headers = [_land(task, book, name, table) for name in chosen]
    if task.part.sheet is None:
        _refuse_doubt(task, book, headers[0], others)
    count, schema = landed_schema(task.engine, task.target)
    notes = {"sheet": ", ".join(chosen)} | ({"other_sheets": ", ".join(others)} if others else {})
    return FileContent(rows=count, rejects=(), schema=schema, notes=notes)


def _land(task: Task, book: Any, name: str, table: TextTable) -> tuple[str, ...]:
    """Adds the rows of one sheet; its columns."""
    rows = _rows(task, book, name)
    names, width = next(rows, ([], 0))
    if not width:
        raise SourceError(
            f"row {task.part.header_row} of sheet {name!r} names no columns",
            where=task.where,
            todo="Say which `sheet` holds the data, and which `header_row` names its columns",
        )
    values: list[Row] = []
    for row, filled in rows:
        if filled:
            width = max(width, filled)
            values.append(row)
    header = [text_of(one) or "" for one in (*names, *[""] * width)][:width]
    columns = column_names(header, task.where)
    table.declare(columns)
    for row in values:
        table.add({column: text_of(value) for column, value in zip(columns, row, strict=False)})
    return columns


def _rows(task: Task, book: Any, name: str) -> Iterator[tuple[Row, int]]:
    """The header of a sheet and its rows, each with the number of its last column that holds something."""
    part = task.part
    passed = part.header_row if part.names else part.header_row - 1
    if part.names:
        yield list(part.names), len(part.names)
    for row in _filled(_sheet(task, book, name), passed):
        yield row, max((place for place, value in enumerate(row, start=1) if value not in ("", None)), default=0)


def _refuse_doubt(task: Task, book: Any, columns: tuple[str, ...], others: Sequence[str]) -> None:
    """Ends where further sheets hold rows of the same columns: one month per sheet is one delivery."""
    alike = []
    for name in others:
        rows = _rows(task, book, name)
        header, width = next(rows, ([], 0))
        same = [text_of(one) for one in header[:width]] == list(columns)[:width]
        if width and same and any(filled for _, filled in rows):
            alike.append(name)
    if alike:
        raise SourceError(
            "other sheets have the same columns, and nothing says which of them are meant",
            where=task.where,
            count=len(alike),
            examples=alike,
            todo="Say `sheet: '*'` for all of them, or `sheet` with a name, a glob, or `sheet: 1` for the first",
        )


def sheets_of(file: Path) -> list[str]:
    """Names of the sheets of a workbook, in their order.

    Raises:
        SourceError: The file is no workbook, or is encrypted.
    """
    return list(_opened(file, file.name).sheet_names)


def _opened(file: Path, where: str) -> Any:
    import python_calamine as calamine

    try:
        return calamine.CalamineWorkbook.from_path(str(file))
    except calamine.PasswordError as error:
        raise SourceError("is encrypted", where=where, todo="Save it without a password") from error
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise _unreadable(error, where) from error


def _unreadable(error: Exception, where: str) -> SourceError:
    return SourceError(
        "is no readable workbook",
        where=where,
        examples=[str(error).splitlines()[0] if str(error) else type(error).__name__],
        todo="Save it again as xlsx, or deliver CSV",
    )


def _sheet(task: Task, book: Any, name: str) -> Any:
    import python_calamine as calamine

    try:
        return book.get_sheet_by_name(name)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise _unreadable(error, task.where) from error


def _chosen(wanted: str | int | None, names: Sequence[str], where: str) -> list[str]:
    if isinstance(wanted, str):
        found = [name for name in names if name == wanted] or [name for name in names if fnmatchcase(name, wanted)]
        if found:
            return found
    number = 1 if wanted is None else wanted
    if isinstance(number, int) and 1 <= number <= len(names):
        return [names[number - 1]]
    raise SourceError(
        f"has no sheet {wanted!r}",
        where=where,
        examples=list(names),
        todo="Give `sheet` by its name, by a glob on names, or by its number from 1",
    )


def _filled(sheet: Any, passed: int) -> Iterator[Row]:
    """Rows of a sheet, after so many at its top, with the texts of merged cells in every row that they cover."""
    merged: dict[int, list[tuple[int, int]]] = {}
    for (first, column), (last, _) in sheet.merged_cell_ranges or ():
        for row in range(first + 1, last + 1):
            merged.setdefault(row, []).append((first, column))
    texts: dict[tuple[int, int], str] = {}
    wanted = {place for places in merged.values() for place in places}
    for number, row in enumerate(sheet.to_python(skip_empty_area=False)):
        for place in merged.get(number, ()):
            if place in texts:
                row[place[1]] = texts[place]
        for column, value in enumerate(row) if wanted else ():
            if (number, column) in wanted and isinstance(value, str) and value:
                texts[number, column] = value
        if number >= passed:
            yield row
