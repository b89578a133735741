"""Whether a tracking store answers at all, told within seconds: MLflow's own client tries again for minutes."""

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

T = TypeVar("T")
# A server that is up answers its first request in a fraction of this, a busy one within it.
PATIENCE_SECONDS = 5.0
RETRIES = 2
SERVER_ERROR = 500
# Who sets one of these has said how long to wait; nothing is cut short then.
HTTP_VARIABLES = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")
DATABASE_VARIABLES = ("PGCONNECT_TIMEOUT",)
CONNECT_TIMEOUT = "connect_timeout"
USER_VARIABLE, PASSWORD_VARIABLE = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


def ask(address: str) -> None:
    """Asks a server, or connects to a database, once; a file is not asked.

    Args:
        address: Of the tracking store.

    Raises:
        Exception: It cannot be reached, does not answer in time, or answers with a server's error.
    """
    scheme = urlsplit(address).scheme.partition("+")[0]
    if scheme in ("http", "https"):
        in_time(address, lambda: _ask_server(address))
    elif scheme in ("postgresql", "postgres", "mysql", "mssql"):
        in_time(address, lambda: _ask_database(address))


def in_time(address: str, call: Callable[[], T]) -> T:
    """What a call to an address gives.

    It runs in a thread that is left behind when time is up: a name server that says nothing keeps a call from ending
    whatever its own limits are.

    Raises:
        TimeoutError: Time is up. What the call raises is passed on.
    """
    found: list[T] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            found.append(call())
        except BaseException as error:
            faults.append(error)

    seconds = None if is_patient(address) else PATIENCE_SECONDS
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if faults:
        raise faults[0]
    if not found:
        raise TimeoutError(f"no answer within {seconds:.0f} seconds")
    return found[0]


def is_patient(address: str) -> bool:
    """Whether somebody has said how long to wait for this address."""
    parts = urlsplit(address)
    names = HTTP_VARIABLES if parts.scheme in ("http", "https") else DATABASE_VARIABLES
    return any(os.environ.get(name) for name in names) or CONNECT_TIMEOUT in parse_qs(parts.query)


def _ask_server(address: str) -> bool:
    """By MLflow's own request: with its credentials, certificates and proxies."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    own: dict[str, Any] = (
        {} if is_patient(address) else {"timeout": PATIENCE_SECONDS, "max_retries": RETRIES, "backoff_factor": 1}
    )
    answer = http_request(  # type: ignore[no-untyped-call]
        get_default_host_creds(address),  # type: ignore[no-untyped-call]
        "/api/2.0/mlflow/experiments/search",
        "POST",
        json={"max_results": 1},
        raise_on_status=False,
        **own,
    )
    if answer.status_code >= SERVER_ERROR:
        raise ConnectionError(f"status {answer.status_code} {answer.reason or ''}".rstrip())
    return True


def _ask_database(address: str) -> bool:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with create_engine(address, poolclass=NullPool).connect():
        return True


def without_credentials(address: str) -> str:
    """A server's address without user and password, which MLflow is given by its own variables of the environment.

    What it never sees in an address it prints nowhere and keeps with no run. Other addresses stay as they are.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.password:
        return address
    os.environ[USER_VARIABLE], os.environ[PASSWORD_VARIABLE] = unquote(parts.username or ""), unquote(parts.password)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
