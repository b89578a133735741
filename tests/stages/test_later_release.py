"""What a later release has written is refused with a message, and never taken for damaged and made again."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from spanishgas import __version__
from spanishgas.config import TrackingSettings
from spanishgas.engine.integrity import SEAL, sealed
from spanishgas.engine.store import FORMAT, TableStore
from spanishgas.errors import ContractError, LaterReleaseError, PublishError
from spanishgas.registry import Tracker
from spanishgas.stages import runner
from spanishgas.stages.base import Target
from spanishgas.stages.runner import run_stage
from tests.faults.scenes import published
from tests.stages.toy import CONTRACT, Toy, ToySettings, settings_for

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def run(tmp_path: Path, tracking: TrackingSettings) -> Callable[..., None]:
    tracker, settings = Tracker(tracking), settings_for(tmp_path, tracking)

    def once(factor: int = 2, *, force: bool = False) -> None:
        run_stage(Toy(factor=factor), settings.model_copy(update={"force": force}), tracker)

    once()
    return once


def manifest_file(folder: Path) -> Path:
    (file,) = (folder / "data" / "gold" / "_meta" / "toy").glob("*.json")
    return file


def rewrite(file: Path, change: Change) -> bytes:
    """Lets a manifest say something else, and seals it as whoever wrote it would have."""
    told = json.loads(file.read_bytes())
    del told[SEAL]
    change(told)
    file.write_text(sealed(json.dumps(told)))
    return file.read_bytes()


def later_format(told: dict[str, Any]) -> None:
    told |= {"format": FORMAT + 1, "release": "9.1.0", "something_new": [1]}


def later_contract(told: dict[str, Any]) -> None:
    told["tables"]["doubles"]["contract_version"] = CONTRACT.version + 1


def test_what_is_published_says_its_format_and_release(run: Callable[..., None], tmp_path: Path) -> None:
    (found,) = published(TableStore(tmp_path / "data"))
    assert (found.format, found.release) == (FORMAT, __version__)
    file = manifest_file(tmp_path)
    rewrite(file, lambda told: [told.pop("format"), told.pop("release")])  # as the release before wrote it
    (before,) = published(TableStore(tmp_path / "data"))
    assert before == found.model_copy(update={"release": ""})


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("change", [later_format, later_contract])
def test_it_is_refused_and_stays_what_it_is(
    run: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
    factor: int,
    force: bool,
) -> None:
    monkeypatch.setattr(runner, "_contract_or_none", lambda *_: CONTRACT)
    file = manifest_file(tmp_path)
    later = rewrite(file, change)
    before = sorted((tmp_path / "data" / "gold" / "doubles").rglob("*.parquet"))
    told = r"format 2 by SpanishGas 9\.1\.0" if change is later_format else r"doubles v2 \(now v1\)"
    with pytest.raises(LaterReleaseError, match=rf"{told}.*restore the backup from before the upgrade"):
        run(factor, force=force)
    assert file.read_bytes() == later
    assert sorted((tmp_path / "data" / "gold" / "doubles").rglob("*.parquet")) == before


def test_a_damaged_manifest_is_no_later_one(run: Callable[..., None], tmp_path: Path) -> None:
    file = manifest_file(tmp_path)
    rewrite(file, later_format)
    file.write_text(file.read_text().replace("9.1.0", "9.1.1"))
    with pytest.raises(PublishError, match="the manifest is damaged"):
        published(TableStore(tmp_path / "data"))
    run()
    assert len(published(TableStore(tmp_path / "data"))) == 1


@pytest.mark.parametrize(("version", "error"), [(2, LaterReleaseError), (0, ContractError)])
def test_an_input_of_another_contract_says_which_way(
    run: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    error: type[Exception],
) -> None:
    monkeypatch.setattr(runner, "_contract_or_none", lambda *_: CONTRACT)
    (found,) = published(TableStore(tmp_path / "data"))
    table = found.tables["doubles"].model_copy(update={"contract_version": version})
    manifest = found.model_copy(update={"tables": {"doubles": table}})
    with pytest.raises(error, match=rf"doubles v{version} \(now v1\)"):
        runner._check_versions(Target(found.publication, ToySettings(factor=1), {}, {"toy": manifest}))


def test_a_tracking_store_of_a_later_mlflow_is_refused(
    tmp_path: Path, empty_store: Path, no_tracking_variables: None
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(empty_store, file)
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("update alembic_version set version_num = 'fedcba987654'")
    before = file.read_bytes()
    tracking = TrackingSettings(uri=f"sqlite:///{file}", artifacts=tmp_path / "mlruns", experiment="spanishgas")
    with pytest.raises(LaterReleaseError, match=r"of a later MLflow than .*fedcba987654 is not known"):
        _ = Tracker(tracking).client
    assert file.read_bytes() == before


def test_a_tracking_store_of_an_earlier_mlflow_says_how_it_is_upgraded(
    tmp_path: Path, empty_store: Path, no_tracking_variables: None
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(empty_store, file)
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("update alembic_version set version_num = '451aebb31d03'")  # one that MLflow has known for long
    tracking = TrackingSettings(uri=f"sqlite:///{file}", artifacts=tmp_path / "mlruns", experiment="spanishgas")
    with pytest.raises(Exception, match=r"of an earlier MLflow.*Take a backup.*mlflow db upgrade sqlite:///"):
        _ = Tracker(tracking).client
