"""Locks in an object store: leases, which end by themselves where their holder is gone.

A lease is an object that is only ever written by conditional writes, so that of several who want it one gets it. Its
holder renews it; whoever waits takes it over once it has stood unchanged for its whole term by their own clock, so that
clocks of machines are never compared. A lease alone cannot keep out a holder that was stopped for longer than its term
and goes on: the manifest's conditional write does that, as it names the version that was seen under the lease.
"""

import getpass
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from spanishgas.engine.storage import Storage
from spanishgas.errors import LockTimeoutError, LostRaceError, PublishError, StorageError

TERM_SECONDS = 30.0
RENEWALS = 3  # per term
LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.1, 2.0


@dataclass
class Lease:
    """A lease that is held.

    Attributes:
        storage: Where it lies.
        name: Name of its object.
        what: What it locks, for messages.
        term_seconds: How long it holds without a renewal.
        token: Tells this holder from all others.
        version: Version of its object.
        renewed_at: When the last write that succeeded was begun, by this machine's monotonic clock.
        is_lost: Whether another has taken it over.
    """

    storage: Storage
    name: str
    what: str
    term_seconds: float
    token: str
    version: str
    renewed_at: float
    is_lost: bool = False
    _end: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Makes sure that nobody else can hold it now.

        Raises:
            PublishError: It was lost: this process was stopped, or cut off from the store, for longer than its term.
        """
        if not self.is_lost and time.monotonic() - self.renewed_at > self.term_seconds / 2:
            self._renew()  # the thread that renews it was kept from it
        if self.is_lost or time.monotonic() - self.renewed_at > self.term_seconds:
            raise PublishError(
                "the lock was lost: this run was stopped, or cut off from the store, for longer than "
                f"{self.term_seconds:.0f} s; nothing of it is visible",
                where=self.what,
                todo="Run the same command again",
            )

    def _renew(self) -> None:
        with self._writing:
            begun = time.monotonic()
            try:
                self.version = self.storage.put_if(self.name, _content(self.token, self.term_seconds), self.version)
                self.renewed_at = begun
            except LostRaceError:
                self._find_again()
            except StorageError:  # tried again until the term is over
                pass

    def _find_again(self) -> None:
        """Looks who has it: an answer to a write of this holder may have been lost."""
        with suppress(StorageError):
            found = self.storage.get(self.name)
            if found is not None and _read(found.data).get("token") == self.token:
                self.version = found.version
            else:
                self.is_lost = True

    def _keep(self) -> None:
        while not self._end.wait(self.term_seconds / RENEWALS) and not self.is_lost:
            self._renew()

    def _release(self) -> None:
        self._end.set()
        if not self.is_lost:
            with self._writing, suppress(LostRaceError, StorageError):
                self.storage.put_if(self.name, _content(None, self.term_seconds), self.version)


@contextmanager
def held(
    storage: Storage, name: str, what: str, *, wait_seconds: float, term_seconds: float = TERM_SECONDS
) -> Iterator[Lease]:
    """Holds a lease, and renews it meanwhile.

    Args:
        storage: Where it lies.
        name: Name of its object.
        what: What it locks, for messages.
        wait_seconds: How long to wait for another holder.
        term_seconds: After how long without a renewal another may take it over.

    Raises:
        LockTimeoutError: Another holds it for too long.
        StorageError: The store cannot be reached.
    """
    lease = _take(storage, name, what, wait_seconds, term_seconds)
    keeper = threading.Thread(target=lease._keep, name=f"lease {what}", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        lease._release()
        keeper.join()


def _take(storage: Storage, name: str, what: str, wait_seconds: float, term_seconds: float) -> Lease:
    token, begun, pause = uuid4().hex, time.monotonic(), LOOK_SECONDS
    seen, since, holder = "", begun, "another run"
    while True:
        asked = time.monotonic()
        found = storage.get(name)
        if found is None:
            version, is_free = None, True
        else:
            told = _read(found.data)
            if found.version != seen:
                seen, since = found.version, asked
            holder = str(told.get("holder") or "another run")
            over = asked - since > float(told.get("term_seconds") or term_seconds)
            version, is_free = found.version, told.get("token") is None or over or _is_gone(told)
        if is_free:
            written = time.monotonic()
            with suppress(LostRaceError):
                version = storage.put_if(name, _content(token, term_seconds), version)
                return Lease(storage, name, what, term_seconds, token, version, written)
        waited = time.monotonic() - begun
        if waited > wait_seconds:
            raise LockTimeoutError(
                f"another run has been publishing it for more than {wait_seconds:.0f} s: {holder}",
                where=what,
                todo="Wait for that run to end, or stop it, then run again",
            )
        time.sleep(min(pause, max(wait_seconds - waited, 0.01)))
        pause = min(pause * 1.5, LONGEST_LOOK_SECONDS, term_seconds / RENEWALS)


def _content(token: str | None, term_seconds: float) -> bytes:
    """What a lease's object says; every writing is another, so that its version tells whether it was renewed."""
    told: dict[str, Any] = {"token": token, "written": uuid4().hex, "term_seconds": term_seconds}
    if token is not None:
        told |= {"holder": _holder(), "machine": _machine(), **_process()}
    return json.dumps(told).encode()


def _read(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except ValueError:
        return {"token": "damaged"}  # taken over once it has stood for its term
    return told if isinstance(told, dict) else {"token": "damaged"}


def _holder() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = str(os.getuid())
    return f"{user} on {socket.gethostname()}, process {os.getpid()}"


def _process() -> dict[str, float]:
    return {"pid": os.getpid(), "started_at": psutil.Process().create_time()}


@cache
def _machine() -> str:
    """Tells this machine since its start, and this space of process numbers, from all others; empty where unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _is_gone(told: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended: nobody needs to wait for its term then."""
    if not _machine() or told.get("machine") != _machine():
        return False
    try:
        process = psutil.Process(int(told["pid"]))
        return abs(process.create_time() - float(told["started_at"])) > 1.0 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (KeyError, ValueError, TypeError, psutil.Error):
        return False
