"""Folders for what is not whole yet: nobody sees them, and what a killed process has left in one goes with the next.

A folder is held by a lock on a file in it, which the system gives back when its process ends, however it ends. So a
folder that nobody holds is a leftover, whatever the clock says and whatever process has its number now.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

LOCK, MADE = "held.lock", "made"
UNFINISHED = "unfinished-"


@contextmanager
def draft_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder beside what is to be made; it goes with all that is left in it, and leftovers of its kind too.

    Args:
        parent: Where it lies; made where it is not there.
        name: What is made there: folders of one name are of one kind.

    Yields:
        The folder. What is moved out of it stays.
    """
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{name}.{UNFINISHED}"
    _remove_leftovers(parent, prefix)
    folder, lock = _held(parent, prefix)
    try:
        made = folder / MADE
        made.mkdir()
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _held(parent: Path, prefix: str) -> tuple[Path, FileLock]:
    """A new folder that this process holds."""
    while True:
        folder = parent / f"{prefix}{uuid4().hex[:8]}"
        folder.mkdir(mode=0o700)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire()
        except FileNotFoundError:  # taken for a leftover in the moment before it was held
            continue
        if folder.is_dir():
            return folder, lock
        lock.release()


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Removes folders that nobody holds."""
    for folder in sorted(parent.glob(f"{prefix}*")):
        if not folder.is_dir() or folder.is_symlink():
            continue
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except (Timeout, FileNotFoundError):  # at work, or removed by another
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
