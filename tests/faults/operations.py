"""Harm at the n-th operation on files: a kill, a full disk or one that may only be read, at each of them in turn.

Python tells of every file that it opens, renames or removes before it does so (audit hooks), and whoever hears of it
may raise or die. What libraries write by themselves (DuckDB, Arrow, SQLite) is not told: small disks are for these.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

Harm = Literal["kill", "full", "readonly"]
ERRORS = {"full": errno.ENOSPC, "readonly": errno.EROFS}
# What needs space on a disk, and what changes it without.
MAKING = ("open", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.fsync")
REMOVING = ("os.remove", "os.rmdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class Operations:
    """Counts what this process changes below some folders, and does harm; only for a process that ends afterwards.

    Attributes:
        folders: The folders.
        harm: What is done.
        at: At which operation, counted from 1; 0 for none.
        once: Whether only that one fails, or every one from there on.
        seen: What was done so far, as ``event path``.
    """

    folders: Sequence[Path]
    harm: Harm = "kill"
    at: int = 0
    once: bool = False
    seen: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begins to count; it cannot be ended."""
        whole, sync = tuple(str(folder) for folder in self.folders), os.fsync

        def fsync(handle: Any) -> None:
            number = handle if isinstance(handle, int) else handle.fileno()
            self._count("os.fsync", str(Path(f"/proc/self/fd/{number}").readlink()), whole)
            sync(handle)

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open":
                path, mode, flags = arguments
                if not (set(mode or "") & set("wax+") or int(flags or 0) & WRITING):
                    return
            elif event not in MAKING and event not in REMOVING:
                return
            path = arguments[1] if event == "os.rename" else arguments[0]
            if isinstance(path, str | bytes | os.PathLike):
                self._count(event, os.fsdecode(path), whole)

        os.fsync = fsync
        sys.addaudithook(hear)

    def _count(self, event: str, path: str, whole: tuple[str, ...]) -> None:
        is_removal = event in REMOVING
        # Whole folders are removed by names that are relative to them.
        inside = path.startswith(whole) if Path(path).is_absolute() else is_removal
        changes_nothing = event == "os.mkdir" and Path(path).is_dir()
        needs_no_space = is_removal and self.harm == "full"
        if not inside or changes_nothing or needs_no_space or (event == "os.fsync" and self.harm == "kill"):
            return
        self.seen.append(f"{event} {path}")
        if self.at and (len(self.seen) == self.at or (len(self.seen) > self.at and not self.once)):
            self._do(path)

    def _do(self, path: str) -> NoReturn:
        if self.harm == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        number = ERRORS[self.harm]
        raise OSError(number, os.strerror(number), path)


def watched(work: Callable[[], object], operations: Operations, told: Path | None = None) -> Callable[[], None]:
    """Work that is watched; afterwards a file tells what was done, line by line."""

    def watching() -> None:
        operations.watch()
        try:
            work()
        finally:
            if told is not None:
                lines = list(operations.seen)
                told.write_text("".join(f"{line}\n" for line in lines))

    return watching
