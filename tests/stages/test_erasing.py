"""Erasing where readings name a supply point only: what is landed goes, and does not come back."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from spanishgas.contracts.bronze import REJECTED_ROW
from spanishgas.engine.finding import Finder
from spanishgas.engine.session import open_engine
from spanishgas.engine.store import DataFile, Manifest, Publication, PublishedTable, TableStore
from spanishgas.engine.suppression import FOLDER, Suppression
from spanishgas.stages import erasing, ingest
from spanishgas.stages.erasing import Erasing, Found, erase_everywhere
from spanishgas.stages.runner import run_stage
from tests.deliveries.outcomes import QuietTracker
from tests.support import load_data, settings_at

POINTS = "cups,customer_id\nES0031405000000001JN,C1\nES0021000000000002TB,C2\n"
LINES = "ES0031405000000001JN,2024-03-05 01:00,0.5\nES0021000000000002TB,2024-03-05 01:00,0.7\n"
BROKEN = "ES0031405000000001JN,2024-03-05\n"


@pytest.fixture
def data(tmp_path: Path) -> Any:
    (tmp_path / "points.csv").write_text(POINTS)
    (tmp_path / "readings.csv").write_text("cups,timestamp,consumption_elec_kwh\n" + LINES + BROKEN)
    absent = {name: {"absent": "readings only"} for name in load_data("data=meters", tmp_path).sources}
    columns = {"customer_id": {"absent": "told by supply_points"}, "supply_point_id": "cups"}
    sources = {
        **absent,
        "consumption_hourly": {"parts": [{"files": "readings.csv", "columns": columns}]},
        "supply_points": {"parts": [{"files": "points.csv", "columns": {"supply_point_id": "cups"}}]},
    }
    told = load_data("data=meters", tmp_path).model_dump() | {
        "raw": tmp_path,
        "sources": sources,
        "root": tmp_path / "d",
    }
    return type(load_data("data=meters", tmp_path)).model_validate(told)


def landed(store: TableStore, name: str) -> list[str]:
    (publication,) = store.publications("bronze")
    manifest = store.find(publication)
    assert manifest is not None
    return [str(cups) for file in store.files(manifest, name) for cups in pd.read_parquet(file).iloc[:, 0]]


def test_whose_supply_points_these_are_is_known_after_a_kill_too(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The landing that tells it goes first; a raw line in a table after it names nothing but the supply point."""
    settings = settings_at(tmp_path, "data=meters").model_copy(update={"data": data, "force": True})
    store, tracker = TableStore(data.root), QuietTracker()
    run_stage(ingest.STAGE, settings, tracker, console=Console(quiet=True))
    line = "ES0031405000000001JN,2024-03-05"
    publication = Publication(layer="silver", name="silver")
    with store.lock(publication), store.draft(publication) as draft:
        rows = pd.DataFrame([dict.fromkeys(column.name for column in REJECTED_ROW) | {"row": line, "detail": "cut"}])
        rows.to_parquet(draft.file("quarantine"))
        table = PublishedTable(
            files=(DataFile(path="quarantine/00000.parquet"),), rows=1, content_hash="q", contract_version=1,
            columns=dict.fromkeys(rows.columns, "VARCHAR"),
        )  # fmt: skip
        draft.commit(fingerprint="f" * 64, inputs={}, tables={"quarantine": table}, metrics={}, tags={}, run_id="r")
    erased = Suppression.of(data.root).including(["C1"])
    erased.save()

    def erase() -> Any:
        with open_engine(settings.engine, tmp_path / "scratch") as engine:
            wanted = Erasing(engine, store, data, erased, "run", dry=False, finder=Finder(erased), scratch=tmp_path)
            return erase_everywhere(wanted)

    after_the_landing = erasing._erase_from

    def killed(wanted: Erasing, manifest: Manifest, found: Found) -> None:
        if manifest.publication.layer == "silver":
            raise KeyboardInterrupt
        after_the_landing(wanted, manifest, found)

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_erase_from", killed)
        with pytest.raises(KeyboardInterrupt):
            erase()
    assert landed(store, "supply_points") == ["ES0021000000000002TB"]
    assert erase().rows == {"silver/quarantine": 1}
    assert {file.name for file in (data.root / FOLDER).iterdir()} == {"customers.json", "key"}
    assert line.encode() not in b"".join(file.read_bytes() for file in data.root.rglob("*") if file.is_file())


def test_rows_that_name_only_a_supply_point_are_erased_and_kept_out(data: Any, tmp_path: Path) -> None:
    settings = settings_at(tmp_path, "data=meters").model_copy(update={"data": data, "force": True})
    store, tracker = TableStore(data.root), QuietTracker()
    quiet = Console(quiet=True)
    run_stage(ingest.STAGE, settings, tracker, console=quiet)
    both = ["ES0031405000000001JN", "ES0021000000000002TB"]
    assert landed(store, "consumption_hourly") == both
    erased = Suppression.of(data.root).including(["C1"])
    erased.save()
    with open_engine(settings.engine, tmp_path / "scratch") as engine:
        found = erase_everywhere(
            Erasing(engine, store, data, erased, "run", dry=False, finder=Finder(erased), scratch=tmp_path)
        )
    assert found.rows == {"bronze/consumption_hourly": 1, "bronze/supply_points": 1, "bronze/rejects": 1}
    assert landed(store, "consumption_hourly") == landed(store, "supply_points") == both[1:]
    run_stage(ingest.STAGE, settings, tracker, console=quiet)
    assert landed(store, "consumption_hourly") == landed(store, "supply_points") == both[1:]
    assert landed(store, "rejects") == []
