"""Faults of the machine around a stage: what readers see, what a person is told, and that the next run completes."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanishgas.config import TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.failures import explain
from spanishgas.registry import Tracker
from spanishgas.registry.processes import STARTED_TAG, is_dead, process_tags
from spanishgas.stages.runner import run_stage
from tests.e2e.test_stages import ALONE
from tests.faults import children, disk, kills, server
from tests.faults.scenes import contents, published
from tests.stages.toy import Toy, settings_for
from tests.support import without_tracking_variables


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    if not disk.may_mount(tmp_path):
        pytest.skip("needs the right to mount a disk")
    folder = tmp_path / "disk"
    with disk.small_disk(folder):
        disk.change(folder, "size=1m")
        yield folder


def test_a_disk_that_is_full_at_any_write_shows_nothing_half_made(small: Path, tracking: TrackingSettings) -> None:
    settings, tracker = settings_for(small, tracking), Tracker(tracking)
    store, failed = TableStore(settings.data.root), []
    filler = small / "filler"
    for left_kib in range(0, 40, 4):
        filler.write_bytes(b"")
        free = os.statvfs(small)
        filler.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - left_kib * 1024))
        try:
            run_stage(Toy(), settings, tracker)
        except Exception as error:
            failed.append(str(explain(error)))
            assert contents(store) == {}
            continue
        break
    assert len(failed) >= 2
    assert all("the disk is full" in told and "Free space there" in told for told in failed), failed
    assert len(contents(store)) == 1


def test_a_disk_that_may_only_be_read_is_told_and_changes_nothing(small: Path, tracking: TrackingSettings) -> None:
    settings, tracker = settings_for(small, tracking), Tracker(tracking)
    run_stage(Toy(), settings, tracker)
    before = contents(TableStore(settings.data.root))
    disk.change(small, "ro")
    with pytest.raises(OSError, match="Read-only") as caught:
        run_stage(Toy(factor=3), settings, tracker)
    assert "access is denied" in str(explain(caught.value))
    assert contents(TableStore(settings.data.root)) == before


def test_a_clock_that_is_set_back_changes_nothing(
    tmp_path: Path, tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, tracker, stage = settings_for(tmp_path, tracking), Tracker(tracking), Toy()
    first = run_stage(stage, settings, tracker)
    year = 365 * 86400
    monkeypatch.setattr(time, "time", lambda now=time.time: now() - year)
    again = run_stage(stage, settings, tracker)
    assert again.cached
    other = run_stage(Toy(factor=3), settings, tracker)
    (visible,) = published(TableStore(settings.data.root))
    assert (visible.fingerprint, other.cached) == (other.manifests[0].fingerprint, False)
    assert visible.fingerprint != first.manifests[0].fingerprint
    assert contents(TableStore(settings.data.root))
    assert {tracker.client.get_run(one.run_id).info.status for one in (first, again, other)} == {"FINISHED"}


def test_a_run_at_work_is_not_taken_for_dead_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = process_tags()
    monkeypatch.setattr("psutil.Process.create_time", lambda _: 1.0)
    assert not is_dead(tags)
    assert is_dead({**tags, STARTED_TAG: "1 ticks"})


@pytest.mark.drill
def test_stages_and_pipelines_killed_at_random_come_to_the_same_tables(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10_000)
    print(f"seed {seed}")
    killed = kills.drill(tmp_path, seed, 1, 4, ("ingest", "silver", "training_set", "train"))
    assert len(killed) == 8


@pytest.mark.drill
@pytest.mark.parametrize(
    ("harm", "step", "stop"), [(signal.SIGKILL, "silver", False), (signal.SIGSTOP, "silver", True)]
)
def test_a_server_that_is_lost_is_told_within_seconds(
    tmp_path: Path, harm: signal.Signals, step: str, stop: bool
) -> None:
    children.load()
    with without_tracking_variables():
        seconds = server.lose(tmp_path, harm, step, stop)
    assert seconds < (server.STOPPED_SECONDS if stop else server.TOLD_SECONDS)


@pytest.mark.drill
def test_a_password_shows_nowhere_in_a_whole_pipeline(tmp_path: Path) -> None:
    children.load()
    stages = [stage.name for stage in ALONE if stage.name != "backtest"]
    said, data, served = tmp_path / "said.txt", tmp_path / "data", tmp_path / "server"
    with without_tracking_variables(), server.serving(served) as running:
        children.must(server.pipeline(running, tmp_path, *stages), said)
        assert set(running.runs()) == {"FINISHED"}
    assert b"c4nary" in running.address.encode()
    assert len([file for file in data.rglob("*") if file.is_file()]) > len(stages)
    assert server.canary_in([said, data, served]) == []


@pytest.mark.drill
@pytest.mark.parametrize("store_on_disk", [False, True])
def test_a_pipeline_on_a_disk_that_is_always_full_comes_to_its_end(tmp_path: Path, store_on_disk: bool) -> None:
    if not disk.may_mount(tmp_path):
        pytest.skip("needs the right to mount a disk")
    children.load()
    with without_tracking_variables():
        assert len(disk.fill(tmp_path, 1500, store_on_disk=store_on_disk)) > 2
