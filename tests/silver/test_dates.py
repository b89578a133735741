"""Days that stand for no date, and days that cannot be, in every type that files have them in."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spanishgas.config import ColumnMapping, EngineSettings, SourcePart
from spanishgas.engine.chunks import Chunk
from spanishgas.engine.session import open_engine
from spanishgas.silver.dates import SENTINELS, DateRule
from spanishgas.silver.hour_columns import NO_DAY, Memo, days, shown
from spanishgas.silver.numbers import DecimalMark, number_of_text, numbers_of_texts
from spanishgas.silver.values import as_date

MADRID = "Europe/Madrid"
RULE = DateRule.of(SourcePart(files="x", sentinel_dates=(date(2050, 1, 1),), first_year=1950, last_year=2060))
USUAL, EARLY, LATE = date(2024, 2, 29), date(1949, 12, 31), date(2061, 1, 1)
NOTHING = (*SENTINELS, date(2050, 1, 1))


def judged(folder: Path, values: pa.Array, date_format: str | None = None) -> list[str]:
    """What is thought of every value: ``none``, ``impossible``, ``unreadable``, or the day."""
    with open_engine(EngineSettings(threads=1), folder / "scratch") as engine:
        table = engine.table(pa.table({"n": range(len(values)), "x": values}))
        read = engine.stage(table.mutate(day=as_date(table.x, date_format, MADRID)))
        told = read.select(
            "n", none=RULE.stands_for_none(read.x, read.day), bad=RULE.impossible(read.day), day=read.day.cast("string")
        )
        rows = engine.frame(told.order_by("n")).to_dict("records")
    return ["none" if row["none"] else "impossible" if row["bad"] else row["day"] or "unreadable" for row in rows]


def test_texts_in_every_layout(tmp_path: Path) -> None:
    texts = [
        text
        for day in NOTHING
        for text in (day.isoformat(), f"{day.isoformat()} 00:00:00", f"{day:%d/%m}/{day.year:04d}")
    ]
    texts += [
        "0000-00-00",
        "00/00/0000",
        "0000-00-00 00:00:00",
        "00000000",
        "0",
        "99991231",
        "31.12.9999",
        "12/31/9999",
    ]
    assert judged(tmp_path, pa.array(texts)) == ["none"] * len(texts)
    others = ["2024-02-29", "1949-12-31", "2061-01-01T10:00", "9998-01-01", "2024-02-30", "10:00", "01/02/2024"]
    wanted = ["2024-02-29", "impossible", "impossible", "impossible", "unreadable", "unreadable", "unreadable"]
    assert judged(tmp_path, pa.array(others)) == wanted
    told = ["29/02/2024", "31/12/9999", "00/00/0000", "31/12/1949", "9999-12-31"]
    assert judged(tmp_path, pa.array(told), "%d/%m/%Y") == ["2024-02-29", "none", "none", "impossible", "none"]


def test_days_and_instants_of_typed_files(tmp_path: Path) -> None:
    given: list[Any] = [*NOTHING, USUAL, EARLY, LATE]
    wanted = ["none"] * len(NOTHING) + ["2024-02-29", "impossible", "impossible"]
    assert judged(tmp_path, pa.array(given, pa.date32())) == wanted
    instants = [datetime(day.year, day.month, day.day, 12) for day in given]  # noqa: DTZ001 - as files have them
    for unit in ("s", "ms", "us"):
        assert judged(tmp_path, pa.array(instants, pa.timestamp(unit))) == wanted
    zoned = pa.array([253_402_300_799, 0], pa.int64()).cast(pa.timestamp("s", tz="UTC"))
    assert judged(tmp_path, zoned) == ["none", "1970-01-01"]
    # The infinite dates of a database, and a day of the year 12000.
    beyond = pa.array([2**31 - 1, -(2**31) + 1, 3_663_750], pa.int32()).cast(pa.date32())
    assert judged(tmp_path, beyond) == ["none"] * 3


ARRIVALS = [
    pa.array(["2024-02-29", "9999-12-31", "0000-00-00", "31/12/9999", "1949-01-01", "soon", None]),
    pa.array(
        [date(2024, 2, 29), date(9999, 12, 31), date(1, 1, 1), date(2050, 1, 1), date(1949, 1, 1), None], pa.date32()
    ),
    pa.array([date(2024, 2, 29), date(9999, 12, 31), date(1, 1, 1), date(2050, 1, 1), LATE, None]).cast(
        pa.timestamp("us")
    ),
]


@pytest.mark.parametrize("column", ARRIVALS, ids=["text", "date", "timestamp"])
def test_arrivals_of_readings(column: pa.Array) -> None:
    chunk = Chunk("x", 1, pa.RecordBatch.from_arrays([column], ["recorded_at"]))
    found = days(chunk, ColumnMapping(column="recorded_at"), Memo(), RULE)
    assert found is not None
    assert found.sentinels == 3
    assert found.impossible is not None
    assert np.flatnonzero(found.impossible).tolist() == [4]
    assert (found.unreadable is not None) == (column.type == pa.string())
    assert found.values.tolist() == [(USUAL - date(1970, 1, 1)).days] + [NO_DAY] * (len(column) - 1)


def test_a_row_with_a_day_beyond_the_calendar_can_be_shown() -> None:
    days_beyond = pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32())
    rows = shown(pa.RecordBatch.from_arrays([days_beyond, pa.array([1, 2])], ["day", "n"]))
    assert rows == [{"day": "<value out of range: 2147483647>", "n": 1}, {"day": "1970-01-01", "n": 2}]


NUMBERS: list[tuple[DecimalMark, str, float | None]] = [
    ("auto", "1.5", 1.5),
    ("auto", "1.234", 1.234),
    ("auto", "1,234", 1.234),
    ("auto", "1.234,5", 1234.5),
    ("auto", "1,234.5", 1234.5),
    ("auto", "1.234.567", 1234567.0),
    ("auto", "-1,234,567", -1234567.0),
    ("auto", "1 234,5", 1234.5),
    ("auto", "1\u00a0234\u202f567", 1234567.0),
    ("auto", "1'234.5", 1234.5),
    ("auto", ",5", 0.5),
    ("auto", "12.34,5", None),
    ("auto", "1.2.3", None),
    ("auto", "1 2", None),
    ("auto", "1e-3", 0.001),
    ("comma", "1.234", 1234.0),
    ("comma", "1,234", 1.234),
    ("comma", "1234", 1234.0),
    ("comma", "1.5", None),
    ("comma", "2,5E-3", 0.0025),
    ("comma", "1,234.5", None),
    ("point", "1,234", 1234.0),
    ("point", "1.234", 1.234),
    ("point", "1,5", None),
    ("point", "1 234.5", 1234.5),
]


@pytest.mark.parametrize("decimal", ["auto", "comma", "point"])
def test_numbers_in_expressions_and_in_arrays(decimal: DecimalMark, tmp_path: Path) -> None:
    texts = [text for mark, text, _ in NUMBERS if mark == decimal]
    wanted = [number for mark, _, number in NUMBERS if mark == decimal]
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        table = engine.table(pa.table({"n": range(len(texts)), "x": texts}))
        frame = engine.frame(table.select("n", y=number_of_text(table.x, decimal)).order_by("n"))
    assert [None if np.isnan(value) else value for value in frame["y"]] == wanted
    assert [None if np.isnan(value) else value for value in numbers_of_texts(texts, decimal)] == wanted


@pytest.mark.parametrize("decimal", ["auto", "comma", "point"])
def test_an_identifier_with_a_huge_exponent_is_no_number(decimal: DecimalMark) -> None:
    """Beyond 32 bits pandas would not raise but end the process."""
    read = numbers_of_texts(["1", "123e2147483648", None, "1,5E3000000000"], decimal)
    assert [None if np.isnan(value) else value for value in read] == [1.0, None, None, None]
