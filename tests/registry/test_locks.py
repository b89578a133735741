"""Locks: one holder at a time, given back by the dead, and no promotion without one that all share."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from spanishgas.errors import TrackingError
from spanishgas.registry.locks import LOCK_VARIABLE, exclusive, lock_address


@pytest.mark.parametrize("scheme", ["sqlite:///", "file://"])
def test_one_holder_at_a_time(tmp_path: Path, scheme: str) -> None:
    address = f"{scheme}{tmp_path}/store"
    with exclusive(address, "churn"):
        with (
            pytest.raises(TrackingError, match="held by another for more than 0 s"),
            exclusive(address, "churn", wait_seconds=0.1),
        ):
            pass
        with exclusive(address, "churn-powerco", wait_seconds=0.1):
            pass
    with exclusive(address, "churn", wait_seconds=0.1):
        pass


def _hold(address: str, ready: Path) -> None:
    with exclusive(address, "churn"):
        ready.touch()
        time.sleep(60)


def test_the_dead_hold_nothing(tmp_path: Path) -> None:
    address, ready = f"sqlite:///{tmp_path}/store", tmp_path / "ready"
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(address, ready))
    holder.start()
    while not ready.exists():
        time.sleep(0.02)
    assert holder.pid is not None
    os.kill(holder.pid, 9)
    holder.join()
    with exclusive(address, "churn", wait_seconds=5):
        pass


def test_a_server_offers_no_lock_of_its_own() -> None:
    with pytest.raises(TrackingError, match="docs/team_server"), exclusive("http://127.0.0.1:5000", "churn"):
        pass


def test_what_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOCK_VARIABLE, raising=False)
    assert lock_address("sqlite:///mlflow.db", None) == "sqlite:///mlflow.db"
    assert lock_address("http://server", "postgresql://db/mlflow") == "postgresql://db/mlflow"
    monkeypatch.setenv(LOCK_VARIABLE, "file:///shared/lock")
    assert lock_address("http://server", "postgresql://db/mlflow") == "file:///shared/lock"


def test_no_password_in_an_error() -> None:
    with (
        pytest.raises(TrackingError, match="database does not answer") as error,
        exclusive("postgresql://promoter:hush@127.0.0.1:1/mlflow", "churn"),
    ):
        pass
    assert "hush" not in str(error.value)
    with pytest.raises(TrackingError) as refused, exclusive("mysql://promoter:hush@db/mlflow", "churn"):
        pass
    assert "hush" not in str(refused.value)
