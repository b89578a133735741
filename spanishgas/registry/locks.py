"""One at a time, for everybody who shares a tracking store: a file next to SQLite, an advisory lock in PostgreSQL.

Both are given back by the system when their holder dies, so that no lock is ever left behind.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from filelock import FileLock, Timeout

from spanishgas.errors import TrackingError
from spanishgas.redaction import masked, without_secrets
from spanishgas.registry.answering import in_time

LOCK_VARIABLE = "SPANISHGAS_LOCK_URI"
SQLITE = "sqlite:///"
POLL_SECONDS = 0.1
WAIT_SECONDS = 120.0


def lock_address(uri: str, configured: str | None) -> str:
    """What is locked: the shared lock where one is named, else the store itself."""
    return os.environ.get(LOCK_VARIABLE) or configured or uri


@contextmanager
def exclusive(address: str, name: str, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Holds a lock.

    Args:
        address: ``sqlite:///...`` or ``file:///...``: a file beside it; ``postgresql...://``: an advisory lock there.
        name: Name of the lock; others do not wait for it.
        wait_seconds: How long to wait for whoever holds it.

    Raises:
        TrackingError: It is held for longer, the database does not answer, or the address offers no lock.
    """
    scheme = urlparse(address).scheme.partition("+")[0]
    if scheme in ("sqlite", "file"):
        path = address.removeprefix(SQLITE) if scheme == "sqlite" else unquote(urlparse(address).path)
        with _file_lock(Path(path), name, wait_seconds):
            yield
    elif scheme in ("postgresql", "postgres"):
        with _advisory_lock(address, name, wait_seconds):
            yield
    else:
        raise TrackingError(
            f"offers no lock that all who promote share ({name})",
            where=masked(address),
            todo=f"Set {LOCK_VARIABLE} or tracking.lock to the server's database (postgresql://...), or to a file "
            "(file:///...) where everybody promotes from one machine; see docs/team_server.md",
        )


@contextmanager
def _file_lock(file: Path, name: str, wait_seconds: float) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f"{file.name}-{name}.lock"))
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise _timeout(str(file), name, wait_seconds) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory_lock(address: str, name: str, wait_seconds: float) -> Iterator[None]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    where = masked(address)
    key = int.from_bytes(hashlib.sha256(f"spanishgas {name}".encode()).digest()[:8], "big", signed=True)
    try:
        engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        connection = in_time(address, engine.connect)
    except (SQLAlchemyError, ImportError, TimeoutError) as error:
        raise TrackingError(
            f"the database does not answer: {without_secrets(str(error), address)}",
            where=where,
            todo=f"Check the address, and that its driver is installed ({LOCK_VARIABLE}, tracking.lock)",
        ) from error
    with connection:
        deadline = time.monotonic() + wait_seconds
        while not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": key}).scalar():
            if time.monotonic() > deadline:
                raise _timeout(where, name, wait_seconds)
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": key})


def _timeout(where: str, name: str, wait_seconds: float) -> TrackingError:
    return TrackingError(
        f"the lock {name!r} has been held by another for more than {wait_seconds:.0f} s",
        where=where,
        todo="Wait for it, then run this again",
    )
