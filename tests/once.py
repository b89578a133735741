"""Worlds that are made once per run of the suite, by whichever worker is first, and copied for whoever changes one."""

import json
import os
import shutil
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import without_tracking_variables

PUBLISHED = {"bronze", "silver", "gold"}


@dataclass(frozen=True)
class Once:
    """Worlds of one run of the suite.

    Attributes:
        folder: A folder that all workers of the run share; pytest removes it with the run's other temporary folders.
    """

    folder: Path

    @classmethod
    def of(cls, factory: pytest.TempPathFactory) -> "Once":
        base = factory.getbasetemp()
        folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"
        folder.mkdir(exist_ok=True)
        return cls(folder)

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        """Folder of a world, made now or by another worker; one that cannot be made fails everybody who needs it.

        Args:
            name: Name of the world.
            make: Fills an empty folder.
        """
        world, done, failed = (self.folder / f"{name}{end}" for end in ("", ".done", ".failed"))
        with FileLock(f"{world}.lock"):
            if failed.exists():
                pytest.fail(f"the world {name!r} could not be made:\n{failed.read_text()}", pytrace=False)
            if not done.exists():
                shutil.rmtree(world, ignore_errors=True)  # of a worker that was killed at it
                world.mkdir()
                try:
                    with without_tracking_variables():  # MLflow sets them, and the next world has another store
                        make(world)
                except BaseException:
                    failed.write_text(traceback.format_exc())
                    raise
                done.write_text(json.dumps(_files(world)))
        return world

    def changed(self) -> list[str]:
        """Files that were written to after their world was made, although others read them: as links, or in place."""
        return [
            file
            for done in sorted(self.folder.glob("*.done"))
            for file, state in json.loads(done.read_text()).items()
            if _state(done.with_suffix("") / file) != state
        ]


def hand_out(world: Path, target: Path) -> Path:
    """Copies a world's data root: tables as hard links, as whoever publishes writes new files; all else really."""

    def copy(source: str, copied: str) -> None:
        if source.endswith(".parquet") and PUBLISHED.intersection(Path(source).relative_to(world).parts):
            os.link(source, copied)
        else:
            shutil.copy2(source, copied)

    shutil.copytree(world, target, symlinks=True, copy_function=copy)
    return target


def _files(world: Path) -> dict[str, list[int]]:
    # SQLite tidies its file when the last connection closes, which may be after the world was made.
    files = (file for file in sorted(world.rglob("*")) if file.is_file() and ".db" not in file.name)
    return {str(file.relative_to(world)): _state(file) for file in files}


def _state(file: Path) -> list[int]:
    # Its bytes, not its times: who replaces a table sets the time of the files that it replaces, through links as well.
    content = file.read_bytes() if file.exists() else None
    return [] if content is None else [len(content), zlib.crc32(content)]
