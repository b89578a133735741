"""Faults of the machine around a stage: what readers see, what a person is told, and that the next run completes."""

import os
import subprocess
import sys
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
from tests.faults import disk
from tests.faults.scenes import contents, published
from tests.pages import ROOT
from tests.stages.toy import Toy, settings_for


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


DRILLS = {
    "lost": (),
    "password": (),
    "full": (),
    "several": (),
    "held": (),
    "each kill": ("each", "kill", "export", "--every", "16"),
    "each full": ("each", "full", "export", "--every", "16"),
    "each readonly": ("each", "readonly", "retention", "--every", "16"),
    "kills": ("--seed", "4", "--per-stage", "1", "--pipelines", "1", "ingest", "silver"),
}


@pytest.mark.drill
@pytest.mark.parametrize("name", DRILLS)
def test_long_drills_come_to_their_end(name: str, tmp_path: Path) -> None:
    """Each in a process of its own: they make copies of themselves, which a worker of the tests must not."""
    if name == "full" and not disk.may_mount(tmp_path):
        pytest.skip("needs the right to mount a disk")
    words = DRILLS[name] if name.startswith("each") else (name, *DRILLS[name])
    command = [sys.executable, "-m", "tests.faults", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
