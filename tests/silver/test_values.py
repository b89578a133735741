"""Raw values to typed ones: numbers, flags, dates and codes as files write them."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.config import ColumnMapping, EngineSettings
from spanishgas.contracts import Column
from spanishgas.engine.session import open_engine
from spanishgas.silver.values import as_bool, as_date, as_number, typed_value

MADRID = "Europe/Madrid"


def read(folder: Path, values: list[Any], rule: Any, kind: Any = None) -> list[Any]:
    with open_engine(EngineSettings(threads=1), folder) as engine:
        table = engine.table(pa.table({"n": range(len(values)), "x": pa.array(values, kind or pa.string())}))
        frame = engine.frame(table.select("n", y=rule(table.x)).order_by("n"))
    return [None if pd.isna(value) else value for value in frame["y"]]


def test_numbers(tmp_path: Path) -> None:
    texts = ["1.5", " 2 ", "3,25", "1.234,5", "-0,5", "1,234.5", "x", "", None, "nan", "inf", "1e-3"]
    assert read(tmp_path, texts, as_number) == [
        1.5,
        2.0,
        3.25,
        1234.5,
        -0.5,
        1234.5,
        None,
        None,
        None,
        None,
        None,
        0.001,
    ]
    assert read(tmp_path, [True, False], as_number, pa.bool_()) == [1.0, 0.0]


def test_flags(tmp_path: Path) -> None:
    texts = ["1", "0", "Sí", "NO", "t", "false", "yes", "2", None]
    assert read(tmp_path, texts, as_bool) == [True, False, True, False, True, False, True, None, None]


def test_dates(tmp_path: Path) -> None:
    texts = [
        "2024-02-29",
        "2023-02-29",
        "2024-2-5",
        "2024-03",
        "2024-01-02 23:59:59",
        "2024-01-02T10:00Z",
        "01/02/2024",
    ]
    found = read(tmp_path, texts, lambda value: as_date(value, None, MADRID))
    days = [None if day is None else pd.Timestamp(day).date() for day in found]
    assert days == [
        date(2024, 2, 29),
        None,
        date(2024, 2, 5),
        date(2024, 3, 1),
        date(2024, 1, 2),
        date(2024, 1, 2),
        None,
    ]


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("%d/%m/%Y", "05/03/2024"),
        ("%d.%m.%y", "5.3.24"),
        ("%Y%m%d", "20240305"),
        ("%d/%m/%Y %H:%M", "05/03/2024 10:30"),
    ],
)
def test_dates_by_a_stated_format(layout: str, text: str, tmp_path: Path) -> None:
    found = read(tmp_path, [text, "nonsense", "2024-03-05"], lambda value: as_date(value, layout, MADRID))
    assert pd.Timestamp(found[0]).date() == date(2024, 3, 5)
    assert found[1:] == [None, None]


def test_an_instant_is_a_day_of_civil_time(tmp_path: Path) -> None:
    instants = [pd.Timestamp("2024-06-30 22:30", tz="UTC"), pd.Timestamp("2024-06-30 21:30", tz="UTC")]
    found = read(tmp_path, instants, lambda value: as_date(value, None, MADRID), pa.timestamp("us", "UTC"))
    assert [pd.Timestamp(day).date() for day in found] == [date(2024, 7, 1), date(2024, 6, 30)]


def test_units_codes_and_whole_numbers(tmp_path: Path) -> None:
    price = Column(name="price", type="float", description="Price.")
    cents = ColumnMapping(column="x", factor=0.01)
    assert read(tmp_path, ["12"], lambda value: typed_value(value, price, cents, MADRID)) == [0.12]
    channel = Column(name="channel", type="string", description="Channel.")
    words = ColumnMapping(column="x", codes={"T": "telemarketing"})
    assert read(tmp_path, ["T", "x"], lambda value: typed_value(value, channel, words, MADRID)) == [
        "telemarketing",
        "x",
    ]
    count = Column(name="count", type="int", description="Count.")
    plain = ColumnMapping(column="x")
    assert read(tmp_path, ["3", "3.5"], lambda value: typed_value(value, count, plain, MADRID)) == [3, None]
    province = Column(name="province_code", type="string", description="Province.")
    found = read(tmp_path, ["8", "8.0", "28", "28.0"], lambda value: typed_value(value, province, plain, MADRID))
    assert found == ["08", "08", "28", "28"]
