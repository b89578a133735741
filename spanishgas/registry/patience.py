"""How long a tracking store is waited for while stages run: a busy one for a while, one that is gone for seconds.

MLflow tries a server again for ten minutes, answer after answer, and gives a locked SQLite file up after twenty
seconds.
"""

import logging
import re
import sqlite3
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from spanishgas.errors import SpanishGasError, TrackingError
from spanishgas.failures import free_at
from spanishgas.redaction import masked, without_secrets
from spanishgas.registry.locks import SQLITE

T = TypeVar("T")
LOGGER = logging.getLogger(__name__)
# Seconds between tries are 0, 2, 4 and 8: a server that is started again is back by then. Each try waits so long for an
# answer. MLflow's own variables of the environment win over these.
HTTP_RETRIES, HTTP_BACKOFF, HTTP_TIMEOUT_SECONDS = 4, 1, 20
# SQLite is asked in short turns, between which the process obeys signals.
LOCKED_SECONDS, TURN_SECONDS, TELL_SECONDS = 180.0, 1.0, 10.0
BUSY = re.compile(r"PRAGMA busy_timeout = \d+", re.IGNORECASE)
LOCKED = ("database is locked", "database table is locked")
TODO = "What is published stays published, and the same command goes on from there"
# What the store's own clients say -> what failed, what to do.
TROUBLES = (
    (LOCKED, "another program has held the tracking store for too long", f"See who has it open. {TODO}"),
    (
        ("disk is full", "No space left"),
        "the disk of the tracking store is full",
        f"Free space there. {TODO}",
    ),
    (
        ("readonly database", "unable to open database file", "disk I/O error"),
        "the tracking store cannot be written",
        f"Give the user who runs the stage the right to write the file and its folder. {TODO}",
    ),
    (
        ("file is not a database", "database disk image is malformed"),
        "the tracking store is damaged",
        f"Restore it from a backup. {TODO}",
    ),
)
GONE = re.compile(r"API request to .* failed with (exception|timeout|error code 5\d\d)|failed with error code 5\d\d")
GONE_KINDS = ("OperationalError", "InterfaceError", "ConnectionError", "Timeout", "MaxRetryError")


@cache
def settle() -> None:
    """Makes MLflow as patient as said above, once for the process; keeps it from printing addresses and tracebacks."""
    import mlflow.environment_variables as variables
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    for variable, default in (
        (variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES, HTTP_RETRIES),
        (variables.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR, HTTP_BACKOFF),
        (variables.MLFLOW_HTTP_REQUEST_TIMEOUT, HTTP_TIMEOUT_SECONDS),
        (variables.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT, True),
    ):
        variable.default = default
    event.listen(Engine, "do_connect", _wait_for_sqlite)
    # It logs the traceback of every error of the database, and raises it as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def trouble(error: BaseException, uri: str) -> TrackingError | None:
    """A store's failure in words, or None where an error is none of the store's.

    Args:
        error: What came up.
        uri: Address of the store.
    """
    if isinstance(error, SpanishGasError):
        return None
    chain = list(_chain(error))
    if not any(type(one).__module__.partition(".")[0] in ("mlflow", "sqlalchemy", "requests") for one in chain):
        return None
    text = " ".join(map(str, chain))
    for words, told, todo in TROUBLES:
        if any(word in text for word in words):
            if "full" in told and uri.startswith(SQLITE):
                told += free_at(uri.removeprefix(SQLITE))
            return TrackingError(told, where=masked(uri), todo=todo)
    if GONE.search(text) or any(type(one).__name__ in GONE_KINDS for one in chain):
        said = without_secrets(str(error), uri).splitlines()[0][:300]
        return TrackingError(
            f"the tracking store does not answer any more: {said}",
            where=masked(uri),
            todo=f"Check MLFLOW_TRACKING_URI and the server. {TODO}",
        )
    return None


def _chain(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _wait_for_sqlite(dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
    if dialect.name == "sqlite":
        parameters.setdefault("factory", _Connection)


def _waiting(work: Callable[[], T], connection: sqlite3.Connection) -> T:
    """What some work gives once nobody else holds the file."""
    begun, told, done = time.monotonic(), False, connection.total_changes
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            waited = time.monotonic() - begun
            # What has changed rows already must not do so again.
            if str(error) not in LOCKED or waited > LOCKED_SECONDS or connection.total_changes != done:
                raise
            if waited > TELL_SECONDS and not told:
                told = True
                LOGGER.warning("waiting for the tracking store, which another program holds")
            time.sleep(0.05)


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(factory or _Cursor)

    def commit(self) -> None:
        _waiting(super().commit, self)


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, parameters: Any = ()) -> Any:
        turn = BUSY.sub(f"PRAGMA busy_timeout = {TURN_SECONDS * 1000:.0f}", sql)
        run = super().execute
        return _waiting(lambda: run(turn, parameters), self.connection)

    def executemany(self, sql: str, parameters: Any) -> Any:
        run, rows = super().executemany, list(parameters)
        return _waiting(lambda: run(sql, rows), self.connection)
