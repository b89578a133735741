"""A backup that was taken while a pipeline ran gives the same answers elsewhere."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines import restore as restore_command
from spanishgas.engine.suppression import KEY_VARIABLE
from spanishgas.registry.copies import ADDRESSES
from spanishgas.stages import erase, recommend, score, segment
from spanishgas.stages.backup import back_up, restore
from tests.e2e.served import Server
from tests.e2e.test_erase import files_naming, named
from tests.e2e.worlds import SIZE, WIDE, WORLD, Retailer
from tests.faults.scenes import contents, published
from tests.support import quiet, without_tracking_variables

ROOT = Path(__file__).resolve().parents[2]
STAGES = (segment.STAGE, score.STAGE, recommend.STAGE)
# Where a place is told as the place that it was: a table's on the day of a run, and settings.
HISTORY = {("datasets", "dataset_source"), ("inputs", "source_id"), ("params", "value"), ("tags", "value")}


def restored(archive: Path, folder: Path) -> Retailer:
    restore(archive, folder, quiet)
    with without_tracking_variables():  # MLflow sets them, and they would lead to the store that was used before
        found = Retailer.at(folder, folder / "mlruns")
    assert found.tracker.uri == f"sqlite:///{folder / 'mlflow.db'}"
    return found


def holding(store: Path, text: str) -> set[tuple[str, str]]:
    """Tables and columns of a store in which a text stands."""
    found = set()
    with closing(sqlite3.connect(store)) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for column in [row[1] for row in connection.execute(f'pragma table_info("{table}")')]:
                where = f'instr(cast("{column}" as text), ?) > 0'
                if connection.execute(f'select 1 from "{table}" where {where}', [text]).fetchone():
                    found.add((table, column))
    return found


def artifacts_of(store: Path) -> Path:
    """The folder of the experiment's artifacts."""
    with closing(sqlite3.connect(store)) as connection:
        (found,) = connection.execute("select artifact_location from experiments where name = 'spanishgas'").fetchone()
    return Path(found.removeprefix("file://"))


def test_the_champion_scores_the_same_elsewhere_and_no_address_of_the_place_before_is_left(
    retailer: Retailer, tmp_path: Path
) -> None:
    before = retailer.run(score.STAGE).manifests[0]
    back_up(retailer.root, retailer.tracking.uri, tmp_path / "backup.tar.zst", quiet)
    elsewhere = restored(tmp_path / "backup.tar.zst", tmp_path / "a place with spaces")
    assert contents(elsewhere.store) == contents(retailer.store)
    again = elsewhere.run(score.STAGE, "force=true")
    assert again.manifests[0].content_hash == before.content_hash
    store = tmp_path / "a place with spaces" / "mlflow.db"
    was = artifacts_of(tmp_path / "mlflow.db")
    known = {(table, column) for table, column, _ in ADDRESSES}
    assert holding(tmp_path / "mlflow.db", str(was)) & known
    assert holding(store, str(was)) <= HISTORY
    assert {("runs", "artifact_uri"), ("logged_models", "artifact_location")} <= holding(store, "a%20place%20with%20sp")


@pytest.mark.few_readings
@pytest.mark.drill
def test_who_was_erased_since_is_erased_again(
    retailer: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    archive, there = tmp_path / "backup.tar.zst", tmp_path / "new"
    shutil.rmtree(retailer.root / "raw")  # the test's retailer has cut its files, which a backup takes for damage
    ids = sorted(retailer.table(retailer.run(recommend.STAGE), "recommendations")["customer_id"])[:2]
    back_up(retailer.root, retailer.tracking.uri, archive, quiet)
    retailer.run(erase.STAGE, named(retailer, tmp_path, ids), "erasure.mode=erase")
    words = [*WORLD, *SIZE, *WIDE, f"archive={archive}", f"into={there}", f"erased={retailer.root}"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    assert restore_command.main(words) == 0
    assert os.environ["MLFLOW_TRACKING_URI"].endswith("none.db")
    assert not (tmp_path / "none.db").exists()
    assert files_naming(there / "data", ids) == []
    with closing(sqlite3.connect(there / "mlflow.db")) as store:
        ran = store.execute("select count(*) from runs where name like 'erase%' and status = 'FINISHED'").fetchone()
    assert ran == (1,)


@pytest.mark.drill
def test_backups_while_a_pipeline_runs_go_on_elsewhere_to_the_same_answers(retailer: Retailer, tmp_path: Path) -> None:
    names = [stage.name for stage in STAGES]
    words = [*WORLD, *SIZE, *WIDE, f"data_root={retailer.root}", f"tracking.uri={retailer.tracking.uri}"]
    words += [f"pipeline.stages=[{','.join(names)}]", f"tracking.artifacts={tmp_path / 'mlruns'}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    seen: list[dict[str, str]] = []
    put: dict[int, Retailer] = {}
    with (tmp_path / "said.txt").open("w") as said:
        command = [sys.executable, "-m", "pipelines.run_pipeline", *words]
        pipeline = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
        while pipeline.poll() is None:
            archive, folder = tmp_path / f"{len(seen)}.tar.zst", tmp_path / f"put-{len(seen)}"
            back_up(retailer.root, retailer.tracking.uri, archive, quiet)
            there = restored(archive, folder)
            seen.append(dict(contents(there.store)))
            with closing(sqlite3.connect(folder / "mlflow.db")) as store:
                runs = {run for (run,) in store.execute("select run_uuid from runs")}
                assert store.execute("select count(*) from runs where status = 'RUNNING'").fetchone() == (0,)
            assert {manifest.run_id for manifest in published(there.store)} <= runs
            archive.unlink()
            if put.setdefault(len(seen[-1]), there) is not there:
                shutil.rmtree(folder)
    assert pipeline.returncode == 0, (tmp_path / "said.txt").read_text()
    wanted = contents(retailer.store)
    assert all(found.items() <= wanted.items() for found in seen)
    assert len(put) > 1, "no backup saw the pipeline halfway"
    print(f"{len(seen)} backups, of {sorted(put)} publications")
    middle = put[sorted(put)[len(put) // 2]]
    for stage in STAGES:
        middle.run(stage)
    assert contents(middle.store) == wanted
    customers = sorted(retailer.table(retailer.run(recommend.STAGE), "recommendations")["customer_id"])[:20]
    assert answers(retailer, tmp_path / "cache", customers) == answers(middle, tmp_path / "other_cache", customers)


def answers(retailer: Retailer, cache: Path, customers: list[str]) -> list[Any]:
    """What a server on a retailer says of customers."""
    with Server(retailer.root, retailer.tracking.uri, cache) as server:
        server.wait()
        response = server.score(customers=customers)
        assert response.status_code == 200, response.text
        found = response.json()
    assert len(found["answers"]) == len(customers)
    return list(found["answers"])
