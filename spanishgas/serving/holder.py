"""Holds the bundle that answers, and swaps it for another when what is served has moved on."""

import logging
import os
import signal
import threading
import time
from pathlib import Path

from spanishgas.errors import SpanishGasError
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.descriptor import Descriptor
from spanishgas.serving.observability import Observer

LOOK_SECONDS = 0.25
# A bundle that failed is tried again: files may have been mended, or a disk have been full for a moment.
RETRY_SECONDS = 5.0
log = logging.getLogger("spanishgas.serving")


class BundleHolder:
    """One reference to a whole bundle: who has taken it answers from it to the end, whatever comes after.

    Args:
        file: The descriptor that is followed.
        observer: Told of every swap, and of every bundle that could not be loaded.
    """

    def __init__(self, file: Path, observer: Observer) -> None:
        self._file = file
        self._observer = observer
        self._seen: tuple[int, int] | None = None
        self._retry_at: float | None = None
        self._told = ""
        self._stop = threading.Event()
        self.bundle: Bundle | None = None

    def look(self) -> bool:
        """Loads what the descriptor says, if it says something new; a bundle that fails is left out, and told.

        Returns:
            Whether the bundle was swapped.
        """
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return False
        seen = (status.st_mtime_ns, status.st_ino)
        is_due = self._retry_at is not None and time.monotonic() >= self._retry_at
        if seen == self._seen and not is_due:
            return False
        self._seen, self._retry_at = seen, None
        started = time.perf_counter()
        try:
            descriptor = Descriptor.read(self._file)
            if descriptor is None or (self.bundle is not None and descriptor.id == self.bundle.id):
                return False
            bundle = Bundle.load(descriptor)
        except Exception as error:  # whatever is wrong with it, the bundle before goes on and is followed by the next
            told = str(error) or repr(error)
            if told != self._told:
                log.error(
                    "the new bundle cannot be used, the old one stays: %s",
                    told,
                    exc_info=not isinstance(error, SpanishGasError),
                )
            self._told, self._retry_at = told, time.monotonic() + RETRY_SECONDS
            self._observer.failed_bundle()
            return False
        self.bundle, self._told = bundle, ""
        self._observer.swapped(bundle, time.perf_counter() - started)
        return True

    def follow(self) -> None:
        """Looks again and again, in a thread of its own, until ``stop``; ends the process when its parent is gone."""
        parent = os.getppid()

        def run() -> None:
            while not self._stop.wait(LOOK_SECONDS):
                self.look()
                if os.getppid() != parent:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return

        threading.Thread(target=run, name="bundle", daemon=True).start()

    def stop(self) -> None:
        """Ends the following."""
        self._stop.set()
