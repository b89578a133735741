"""Workbooks (xlsx, xls, xlsb, ods): one sheet, every cell as the text that a CSV file would have."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spanishgas.errors import SourceError
from spanishgas.readers.content import FileContent, Task
from spanishgas.readers.delimited import column_names
from spanishgas.readers.parquet import landed_schema
from spanishgas.readers.text_table import text_of, text_table

Row = list[Any]


def read_workbook(task: Task) -> FileContent:
    """Lands one sheet of a workbook; rows without any value are passed over.

    Dates and times become ISO 8601, numbers keep every digit, cells with an error (``#N/A``) are missing. The text of a
    merged cell holds for every row that it covers; a merged number stands in its first row only, because twice would be
    twice as much.

    Raises:
        SourceError: The file is no workbook, is encrypted, has no such sheet, or the sheet has no header.
    """
    sheet, notes = _sheet(task)
    rows = _filled(sheet, task.part.header_row - 1)
    names = next(rows, [])
    width = max((place for place, name in enumerate(names, start=1) if name not in ("", None)), default=0)
    if not width:
        raise SourceError(
            f"row {task.part.header_row} of sheet {sheet.name!r} names no columns",
            where=task.where,
            todo="Say which `sheet` holds the data, and which `header_row` names its columns",
        )
    with text_table(task.target, task.where) as table:
        values: list[Row] = []
        for row in rows:
            if any(value not in ("", None) for value in row):
                width = max(width, max(place for place, value in enumerate(row, start=1) if value not in ("", None)))
                values.append(row)
        header = [text_of(name) or "" for name in (*names, *[""] * width)][:width]
        columns = column_names(header, task.where)
        table.declare(columns)
        for row in values:
            table.add({name: text_of(value) for name, value in zip(columns, row, strict=False)})
    count, schema = landed_schema(task.engine, task.target)
    return FileContent(rows=count, rejects=(), schema=schema, notes=notes)


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


def _sheet(task: Task) -> tuple[Any, dict[str, str]]:
    import python_calamine as calamine

    book = _opened(task.file, task.where)
    names = list(book.sheet_names)
    name = _chosen(task.part.sheet, names, task.where)
    try:
        sheet = book.get_sheet_by_name(name)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise _unreadable(error, task.where) from error
    notes = {"sheet": name}
    if len(names) > 1:
        notes["other_sheets"] = ", ".join(other for other in names if other != name)
    return sheet, notes


def _chosen(wanted: str | int | None, names: Sequence[str], where: str) -> str:
    if isinstance(wanted, str) and wanted in names:
        return wanted
    number = 1 if wanted is None else wanted
    if isinstance(number, int) and 1 <= number <= len(names):
        return names[number - 1]
    raise SourceError(
        f"has no sheet {wanted!r}",
        where=where,
        examples=list(names),
        todo="Give `sheet` by its name, or by its number from 1",
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
