"""Work in processes that begin at once: copies of this one, with all libraries loaded, that can be killed."""

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

# What stages load when they need it. Loaded once here, a child spends its time on its stage; nothing is computed here,
# as threads do not live on in a copy.
HEAVY = (
    *("mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("alembic.script", "sqlalchemy", "xgboost", "sklearn.linear_model", "scipy.optimize", "matplotlib.figure"),
    *("ibis.backends.duckdb", "pyarrow.parquet", "optuna", "evidently"),
)
POLL_SECONDS = 0.005
LONGEST_SECONDS = 900.0


class ChildError(Exception):
    """A child ended otherwise than it should; holds what it said."""


def load() -> None:
    """Loads what children need."""
    for name in HEAVY:
        importlib.import_module(name)


def run(work: Callable[[], object], said: Path, *, kill_after: float | None = None) -> tuple[int, float]:
    """Does some work in a child.

    Args:
        work: The work.
        said: File for what it writes to the terminal.
        kill_after: Seconds until it gets SIGKILL; None lets it end.

    Returns:
        Its status as ``os.waitstatus_to_exitcode`` tells it, negative where a signal ended it, and its seconds.
    """
    begun = time.monotonic()
    child = os.fork()
    if not child:
        _work(work, said)
    deadline = begun + (LONGEST_SECONDS if kill_after is None else kill_after)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), time.monotonic() - begun
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return os.waitstatus_to_exitcode(status), time.monotonic() - begun
        time.sleep(POLL_SECONDS)


def must(work: Callable[[], object], said: Path) -> float:
    """Does some work in a child that has to end well; returns its seconds.

    Raises:
        ChildError: It does not.
    """
    code, seconds = run(work, said)
    if code:
        raise ChildError(f"ended with {code}: {said.read_text()[-3000:]}")
    return seconds


def _work(work: Callable[[], object], said: Path) -> None:
    """The child's whole life; never returns."""
    code = 1
    try:
        # Never closed: this process ends without cleaning up, as what there is to clean up is its parent's.
        file = said.open("w", buffering=1)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file  # under pytest they are others
        work()
        code = 0
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
