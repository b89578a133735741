"""A disk that is full at one write after another, and one that may only be read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from pipelines._entry import run
from spanishgas.engine.store import TableStore
from spanishgas.stages.catalog import STAGES
from tests.e2e.test_stages import SPLIT, WORLD
from tests.faults import children
from tests.faults.scenes import contents

STEPS = ("demo_data", "ingest", "silver", "features", "training_set", "train")
ENOUGH_KIB = 1 << 18


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own in a folder; needs the right to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a disk."""
    try:
        with small_disk(folder / "tried"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def change(folder: Path, option: str) -> None:
    """Makes the disk larger, or one that may only be read."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def pipeline(disk: Path, store: Path) -> None:
    """A pipeline on the disk, as from the command line; ends the process."""
    arguments = [*WORLD, *SPLIT, f"data_root={disk / 'data'}", f"pipeline.stages=[{','.join(STEPS)}]"]
    with patch.dict(os.environ, MLFLOW_TRACKING_URI=f"sqlite:///{store / 'mlflow.db'}"):
        os.chdir(store)
        sys.exit(run("run_pipeline", STAGES, arguments))


def fill(folder: Path, step_kib: int, *, store_on_disk: bool) -> list[tuple[int, str]]:
    """Runs a pipeline on a full disk that grows a little after each failure, until it comes to its end.

    Args:
        folder: An empty folder.
        step_kib: By how much it grows.
        store_on_disk: Whether the tracking store is on it too.

    Returns:
        Size in KiB and message of each failure.
    """
    disk, said, found = folder / "disk", folder / "said.txt", []
    with small_disk(disk):
        store = disk / "store" if store_on_disk else folder / "store"
        store.mkdir()
        tables = TableStore(disk / "data")
        before: dict[str, str] = {}
        size = 0
        for _ in range(200):
            size += step_kib
            change(disk, f"size={size}k")
            code, _ = children.run(lambda: pipeline(disk, store), said)
            visible = dict(contents(tables))
            assert before.items() <= visible.items(), "what was published is gone"
            before = visible
            if not code:
                break
            told = said.read_text()
            assert code == 1, (code, told)
            assert "Traceback" not in told, told
            assert "full" in told, told
            assert "goes on from" in told, told
            found.append((size, told.strip().splitlines()[-1]))
        else:
            raise AssertionError("never came to its end")
        change(disk, f"size={ENOUGH_KIB}k")
        change(disk, "ro")
        code, _ = children.run(lambda: pipeline(disk, store), said)
        told = said.read_text()
        assert code == 1, told
        assert "Traceback" not in told, told
        assert "access is denied" in told or "cannot be written" in told or "does not answer" in told, told
        found.append((0, told.strip().splitlines()[-1]))
        assert dict(contents(tables)) == before
    return found
