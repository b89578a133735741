"""Which process and user a run belongs to, so that a run whose process died can be told from one still at work."""

import getpass
import os
import socket
from collections.abc import Mapping

import psutil

HOST_TAG = "process.host"
PID_TAG = "process.pid"
STARTED_TAG = "process.started"


def process_tags() -> dict[str, str]:
    """Tags that identify this process; a process id alone is used again by the system."""
    process = psutil.Process()
    return {
        HOST_TAG: socket.gethostname(),
        PID_TAG: str(os.getpid()),
        STARTED_TAG: f"{process.create_time():.2f}",
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
    try:
        process = psutil.Process(int(tags[PID_TAG]))
        return f"{process.create_time():.2f}" != tags.get(STARTED_TAG)
    except psutil.NoSuchProcess:
        return True
