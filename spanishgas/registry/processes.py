"""Which process and user a run belongs to, so that a run whose process died can be told from one still at work."""

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

HOST_TAG = "process.host"
PID_TAG = "process.pid"
STARTED_TAG = "process.started"
BOOT, TICKS = "/proc/sys/kernel/random/boot_id", " ticks"


def process_tags() -> dict[str, str]:
    """Tags that identify this process; a process id alone is used again by the system."""
    return {
        HOST_TAG: socket.gethostname(),
        PID_TAG: str(os.getpid()),
        STARTED_TAG: _started(os.getpid()),
    }


def user_name() -> str:
    """The system's name of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def is_dead(tags: Mapping[str, str]) -> bool:
    """Whether the process behind these tags ran on this machine and is gone.

    Runs without process tags, or of other machines, are never called dead: it cannot be known from here.
    """
    if tags.get(HOST_TAG) != socket.gethostname() or PID_TAG not in tags:
        return False
    pid, told = int(tags[PID_TAG]), tags.get(STARTED_TAG, "")
    try:
        if not told.endswith(TICKS):  # of an earlier release, or of a system that counts no ticks
            return f"{psutil.Process(pid).create_time():.2f}" != told
        return _started(pid) != told
    except psutil.NoSuchProcess:
        return True


def _started(pid: int) -> str:
    """When a process was started, in ticks of the machine's uptime: a time of day would change with the clock.

    Raises:
        psutil.NoSuchProcess: It is gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{Path(BOOT).read_text(encoding='utf-8').strip()} {fields[19]}{TICKS}"
    except (OSError, IndexError):
        return f"{psutil.Process(pid).create_time():.2f}"
