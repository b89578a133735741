"""Whose a landed row is, by every way that a configuration can say it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.bronze import held_by, naming, take_out
from spanishgas.config import EngineSettings, SourcePart
from spanishgas.engine.session import Engine, open_engine
from spanishgas.engine.suppression import Suppression

ORIGIN = "meter_C1.csv"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(EngineSettings(threads=1), tmp_path / "scratch") as opened:
        yield opened


def record(customer: str | None, number: int) -> str:
    return json.dumps({"customer": {"id": customer}, "n": number})


@pytest.mark.parametrize(
    ("rows", "columns", "left"),
    [
        ({"customer_id": ["C1", "C2", None, " C1 "], "n": [1, 2, 3, 4]}, {}, [2, 3]),
        ({"customer_id": ["c1", "C2", "\ufeffC\u00a01", "C1\t"], "n": [1, 2, 3, 4]}, {}, [2]),
        ({"id": [1, 2, 1], "n": [1, 2, 3]}, {"customer_id": {"column": "id", "codes": {"1": "C1"}}}, [2]),
        ({"record": [record("C1", 1), record("C2", 2), record(None, 3)]}, {"customer_id": "customer.id"}, [2, 3]),
        ({"n": [1, 2]}, {"customer_id": {"file_pattern": r"meter_(\w+)\.csv"}}, []),
        ({"n": [1, 2]}, {"customer_id": {"value": "C1"}}, []),
    ],
)
def test_rows_of_erased_customers_are_taken_out_and_all_others_stay_in_order(
    tmp_path: Path, engine: Engine, rows: dict[str, list[object]], columns: dict[str, object], left: list[int]
) -> None:
    file, target = tmp_path / "00000.parquet", tmp_path / "out.parquet"
    before = pd.DataFrame(rows)
    before.to_parquet(file, index=False)
    part = SourcePart.model_validate({"files": "x", "columns": columns})
    erased = Suppression.of(tmp_path).including(["C1"])
    found = take_out(engine, file, ORIGIN, part, erased, target)
    assert found is not None
    after = pd.read_parquet(target)
    assert list(after.columns) == list(before.columns)
    numbers = after["n"] if "n" in after else after["record"].map(lambda text: json.loads(text)["n"])
    assert numbers.tolist() == left
    assert (found.rows, found.left, found.customers) == (len(before) - len(left), len(left), {"C1"})


@pytest.mark.parametrize("columns", [{}, {"customer_id": {"absent": "prices of everybody"}}])
def test_files_without_any_of_them_are_left_alone(tmp_path: Path, engine: Engine, columns: dict[str, object]) -> None:
    file, target = tmp_path / "00000.parquet", tmp_path / "out.parquet"
    pd.DataFrame({"customer_id": ["C2", "C11"]}).to_parquet(file, index=False)
    part = SourcePart.model_validate({"files": "x", "columns": columns})
    assert take_out(engine, file, "prices.csv", part, Suppression.of(tmp_path).including(["C1"]), target) is None
    assert not target.exists()


HOLDERS = {
    "cups": ["ES0031405000000001JN0F", "ES0031405000000001JN", "ES0021000000000002TB", "es0021000000000003aa"],
    "holder": ["C1", "C2", "C2", "C1"],
    "from": ["", "01/02/2024", "", "31/12/2023"],
    "to": ["31/01/2024", "31/12/9999", "", ""],
}
HELD = SourcePart.model_validate(
    {
        "files": "x",
        "columns": {
            "supply_point_id": "cups",
            "customer_id": "holder",
            "valid_from": {"column": "from", "date_format": "%d/%m/%Y"},
            "valid_to": {"column": "to", "date_format": "%d/%m/%Y"},
        },
    }
)
READINGS = {
    "punto": ["ES0031405000000001JN", " es0031405000000001jn1p", "ES0031405000000001JN", "ES0021000000000002TB",
              "ES0021000000000003AA", "ES0031405000000001JN", None],
    "at": ["2024-01-31 24:00", "2024-01-05T01:00:00+01:00", "2024-02-01 01:00", "2024-01-05 01:00",
           "2024-07-01 01:00", "who knows", "2024-01-05 01:00"],
    "n": [1, 2, 3, 4, 5, 6, 7],
}  # fmt: skip


def test_readings_that_name_a_supply_point_only_go_on_the_days_that_it_was_held(tmp_path: Path, engine: Engine) -> None:
    points, file, target = tmp_path / "points.parquet", tmp_path / "00000.parquet", tmp_path / "out.parquet"
    pd.DataFrame(HOLDERS).to_parquet(points, index=False)
    pd.DataFrame(READINGS).to_parquet(file, index=False)
    erased = Suppression.of(tmp_path).including(["C1"])
    held = held_by(engine, points, "points.csv", HELD, erased)
    columns = {"customer_id": {"absent": "told by supply_points"}, "supply_point_id": "punto", "timestamp": "at"}
    part = SourcePart.model_validate({"files": "x", "columns": columns})
    found = take_out(engine, file, "readings.csv", part, erased, target, held)
    assert found is not None
    assert (found.rows, found.left, found.customers) == (4, 3, {"C1"})
    assert pd.read_parquet(target)["n"].tolist() == [3, 4, 7]
    told = naming(erased, held)
    assert told.named_in("ES0021000000000003AA;2024-07-01;x")
    assert not told.named_in("ES0021000000000002TB;2024-07-01;x")
    nobody = held_by(engine, points, "points.csv", HELD, Suppression.of(tmp_path).including(["C9"]))
    assert take_out(engine, file, "readings.csv", part, erased, None, nobody) is None
