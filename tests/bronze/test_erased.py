"""Whose a landed row is, by every way that a configuration can say it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.bronze import take_out
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
