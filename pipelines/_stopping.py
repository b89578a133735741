"""A stop that is obeyed at once, whatever the process is waiting for."""

import os
import signal
import sys
import threading
import time
from functools import cache
from typing import NoReturn

# The end is tidy where it comes so soon: the run is marked, drafts are removed. Else the system takes back locks and
# memory, the next start marks the run, and nothing half-made is visible: it is as if the process had been killed.
GRACE_SECONDS = 3.0
CODE = 128 + signal.SIGTERM


@cache
def obey_sigterm() -> None:
    """Lets SIGTERM end the process: at the next line of Python, or after the grace period without one.

    A library that waits for a server or computes for minutes does not come to a line of Python, so that a thread is
    told of the signal by the system as well.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, _leave)
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_insist, args=(heard,), name="obey-sigterm", daemon=True).start()


def _leave(*_: object) -> NoReturn:
    sys.exit(CODE)


def _insist(heard: int) -> None:
    while number := os.read(heard, 1):
        if number[0] == signal.SIGTERM:
            time.sleep(GRACE_SECONDS)
            os._exit(CODE)
