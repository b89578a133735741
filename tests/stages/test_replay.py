"""What worlds of a study leave when they are killed: it is out of sight at once, and goes with the next run."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from spanishgas.config import DemoData, Settings
from spanishgas.engine.store import TableStore
from spanishgas.stages import replay
from tests.stages.test_retention import publish
from tests.support import settings_at


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path / "data", "policy.replay={worlds: [interactions], seeds: [3], keep_raw: false}")


def world_of(settings: Settings) -> Settings:
    (world,) = replay._worlds(settings)
    assert isinstance(world.data, DemoData)
    return world


def landed(world: Settings) -> TableStore:
    store = TableStore(world.data.root)
    publish(store, "ingest", "run_date=2030-01-01", "bronze")
    (world.data.root / "raw").mkdir()
    (world.data.root / "raw" / "prices.csv").write_text("x\n")
    return store


def test_a_kill_in_the_middle_leaves_no_table_without_its_files(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(settings)
    store = landed(world)

    def killed(folder: Path, **_: object) -> None:
        for file in folder.rglob("*.parquet"):
            file.unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            replay.WORLD.finish(world, store, [], SimpleNamespace())  # type: ignore[arg-type]
    for manifest in (store.find(one) for one in store.publications("bronze")):
        assert manifest is not None
        assert store.missing_files(manifest) == []
    replay.WORLD.finish(world, store, [], SimpleNamespace())  # type: ignore[arg-type]
    assert sorted(folder.name for folder in world.data.root.iterdir()) == ["_locks"]


@pytest.mark.parametrize("is_replayed", [True, False])
def test_what_a_killed_world_left_goes_once_its_replay_stands(
    settings: Settings, is_replayed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(settings)
    landed(world)
    monkeypatch.setattr(replay, "_replayed", lambda _: SimpleNamespace() if is_replayed else None)
    replay.STAGE.finish(settings, TableStore(settings.data.root), [], SimpleNamespace())  # type: ignore[arg-type]
    left = {folder.name for folder in world.data.root.iterdir()}
    assert left == ({"_locks"} if is_replayed else {"_locks", "bronze", "raw"})
