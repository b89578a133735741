"""Landed rows in the shape that contracts speak of: only the rows that are meant, and one row per value."""

import re
from collections.abc import Mapping
from dataclasses import replace

import ibis.expr.types as ir
import ibis.selectors as s

from spanishgas.config import SourcePart, WideRows
from spanishgas.errors import SourceError
from spanishgas.readers.content import FileContent, Task
from spanishgas.readers.parquet import landed_schema


def shaped(task: Task, content: FileContent) -> FileContent:
    """A landed file with the part's ``only`` and ``wide`` applied; lines are then counted among the rows that are left.

    Raises:
        SourceError: There is no such column.
    """
    part = task.part
    if not (part.only or part.wide):
        return content
    rows = task.engine.scan([task.target])
    notes: dict[str, str] = {}
    if part.only:
        rows = _only(rows, part.only, task.where)
        passed = content.rows - task.engine.integer(rows.count())
        notes["rows_passed_over"] = str(passed)
    if part.wide is not None:
        rows = _long(rows, part.wide, task.where)
    copy = task.target.with_name(f".{task.target.name}.shaped")
    try:
        task.engine.write(rows, copy)
        copy.replace(task.target)
    finally:
        copy.unlink(missing_ok=True)
    count, schema = landed_schema(task.engine, task.target)
    return replace(content, rows=count, schema=schema, notes=content.notes | notes)


def _only(rows: ir.Table, wanted: Mapping[str, tuple[str, ...]], where: str) -> ir.Table:
    lacking = [name for name in wanted if name not in rows.columns]
    if lacking:
        raise SourceError(
            "`only` names columns that are not there",
            where=where,
            count=len(lacking),
            examples=lacking,
            todo=f"Its columns: {', '.join(rows.columns)}",
        )
    return rows.filter(
        [rows[name].cast("string").strip().isin(values).fill_null(False) for name, values in wanted.items()]
    )


def _long(rows: ir.Table, wide: WideRows, where: str) -> ir.Table:
    columns = [name for name in rows.columns if re.search(wide.columns, name)]
    if not columns:
        raise SourceError(
            f"no column fits `wide: {{columns: {wide.columns}}}`",
            where=where,
            todo=f"Its columns: {', '.join(rows.columns)}",
        )
    texts = rows.mutate(**{name: rows[name].cast("string") for name in columns})
    long = texts.pivot_longer(s.cols(*columns), names_to=wide.name, names_pattern=wide.columns, values_to=wide.value)
    return long.filter(long[wide.value].strip() != "")


def shape_of(part: SourcePart) -> tuple[object, ...]:
    """What of a part decides the shape of its landed rows."""
    only = tuple(sorted(part.only.items()))
    return (part.names, part.records, only, part.wide.model_dump_json() if part.wide is not None else None)
