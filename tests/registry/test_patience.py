"""A busy tracking store is waited for, one that is gone is named within seconds, and what was made stays."""

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest

from spanishgas.config import TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.errors import SourceError, TrackingError
from spanishgas.registry import Tracker, patience
from spanishgas.stages.runner import run_stage
from tests.stages.toy import Toy, settings_for


@contextmanager
def held(tracking: TrackingSettings, seconds: float | None = None) -> Iterator[None]:
    """Somebody else holds the store's file, for a while or all the time."""
    holder = sqlite3.connect(tracking.uri.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    freeing = threading.Timer(seconds or 0.0, holder.rollback)
    if seconds:
        freeing.start()
    try:
        yield
    finally:
        if seconds:
            freeing.join()
        holder.close()


def test_a_stage_waits_for_whoever_holds_the_store(
    tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(patience, "TELL_SECONDS", 0.2)
    tracker = Tracker(tracking)
    with tracker.run("silver", tags={}) as run, held(tracking, 0.8):
        run.set_tags({"told": "late"})
    assert tracker.client.get_run(run.id).data.tags["told"] == "late"
    assert tracker.client.get_run(run.id).info.status == "FINISHED"
    assert caplog.messages == ["waiting for the tracking store, which another program holds"]


def test_who_holds_it_for_too_long_is_told_and_no_traceback_is_shown(
    tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(patience, "LOCKED_SECONDS", 0.2)
    tracker = Tracker(tracking)
    assert tracker.client is not None
    with (
        held(tracking),
        pytest.raises(TrackingError, match=r"sqlite:.*mlflow\.db: another program has held the tracking store"),
        tracker.run("silver", tags={}),
    ):
        pass
    assert "Traceback" not in "".join(capfd.readouterr())


def test_rows_are_not_written_twice_by_a_wait(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", factory=patience._Connection)
    connection.execute("CREATE TABLE t (n INTEGER)")
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        connection.execute("INSERT INTO t VALUES (1)")
        raise sqlite3.OperationalError("database is locked")

    with pytest.raises(sqlite3.OperationalError):
        patience._waiting(work, connection)
    assert len(calls) == 1


@pytest.fixture
def gone() -> Callable[[], Exception]:
    """What MLflow's client raises where nobody listens."""

    def ask() -> Exception:
        with socket.socket() as once:
            once.bind(("127.0.0.1", 0))
            port = once.getsockname()[1]
        client = mlflow.MlflowClient(f"http://ana:c4nary-secret@127.0.0.1:{port}")
        with pytest.raises(mlflow.exceptions.MlflowException) as caught:
            client.get_run("0" * 32)
        return caught.value

    return ask


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_goes_away_is_named_once_and_what_was_made_stays(
    tmp_path: Path, tracking: TrackingSettings, gone: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, tracker = settings_for(tmp_path, tracking), Tracker(tracking)
    lost, asked = gone(), []

    def away(*_: object, **__: object) -> None:
        asked.append(1)
        raise lost

    client = tracker.client
    with monkeypatch.context() as patch:
        patch.setattr(TableStore, "_show", _then(TableStore._show, lambda: _cut(patch, client, away)))
        with (
            pytest.raises(TrackingError, match="does not answer any more") as caught,
            tracker.run("all", tags={}) as all_,
        ):
            run_stage(Toy(), settings, tracker, parent=all_)
    assert len(asked) == 1
    assert "c4nary" not in str(caught.value)
    assert "the same command goes on from there" in str(caught.value)
    again = run_stage(Toy(), settings, Tracker(tracking))
    assert again.cached


def _then(work: Callable[..., None], after: Callable[[], None]) -> Callable[..., None]:
    def both(*given: object, **named: object) -> None:
        work(*given, **named)
        after()

    return both


def _cut(patch: pytest.MonkeyPatch, client: object, away: Callable[..., None]) -> None:
    for name in ("log_batch", "log_text", "set_terminated", "log_inputs", "get_run", "create_run"):
        patch.setattr(client, name, away)


@pytest.mark.usefixtures("impatient")
def test_only_the_stores_own_errors_are_taken_for_its(gone: Callable[[], Exception]) -> None:
    told = patience.trouble(gone(), "http://ana:c4nary-secret@127.0.0.1:5000")
    assert told is not None
    assert str(told).startswith("http://ana:***@127.0.0.1:5000: the tracking store does not answer any more")
    assert "c4nary" not in str(told)
    assert patience.trouble(ValueError("no"), "sqlite:///x") is None
    assert patience.trouble(OSError("database is locked"), "sqlite:///x") is None
    source = SourceError("cannot be read")
    source.__cause__ = gone()
    assert patience.trouble(source, "sqlite:///x") is None
    unknown = mlflow.exceptions.MlflowException("no such run")
    assert patience.trouble(unknown, "sqlite:///x") is None


def test_a_lost_server_is_waited_for_as_long_as_it_takes_to_start_again_and_no_longer() -> None:
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES as RETRIES

    patience.settle()
    pauses = [0.0, *(patience.HTTP_BACKOFF * 2.0**number for number in range(1, patience.HTTP_RETRIES))]
    assert 10 <= sum(pauses) <= 20
    assert RETRIES.default == patience.HTTP_RETRIES
