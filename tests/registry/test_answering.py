"""A tracking store that is away is told at once, by its address and without its password; a slow one is waited for."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipelines._entry import run
from spanishgas.config import TrackingSettings
from spanishgas.errors import TrackingError
from spanishgas.registry import Tracker, answering
from spanishgas.registry.answering import ask
from spanishgas.stages.catalog import STAGES


@pytest.fixture(autouse=True)
def nobody_has_said_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*answering.HTTP_VARIABLES, *answering.DATABASE_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def silent() -> Iterator[int]:
    """Port of a host that takes calls and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        yield int(listening.getsockname()[1])


@contextmanager
def server(status: int, after: float = 0.0) -> Iterator[int]:
    """Port of a server that answers everything alike."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(after)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(served.server_address[1])
        served.shutdown()
        thread.join()


def closed() -> int:
    """A port where nobody listens."""
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        return int(once.getsockname()[1])


def test_the_longest_wait_leaves_room_for_the_start() -> None:
    assert answering.PATIENCE_SECONDS <= 6


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
@pytest.mark.parametrize("kind", ["refused", "silent", "no such name"])
def test_who_is_away_is_named_without_the_password(
    scheme: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_tracking_variables: None
) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 1.0)
    with silent() as port:
        host = {
            "refused": f"127.0.0.1:{closed()}",
            "silent": f"127.0.0.1:{port}",
            "no such name": "tracking.invalid:5000",
        }[kind]
        settings = TrackingSettings(uri=f"{scheme}://ana:s3cr%2Ft@{host}/x", artifacts=tmp_path, experiment="e")
        with pytest.raises(TrackingError) as caught, Tracker(settings).run("silver", tags={}):
            pass
    told = str(caught.value)
    assert told.startswith(f"{scheme}://ana:***@{host}/x: the tracking store does not answer: ")
    assert "MLFLOW_TRACKING_URI" in told
    assert "s3cr" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_server_in_trouble_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "RETRIES", 0)
    with server(503) as port, pytest.raises(ConnectionError, match="status 503"):
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("status", [200, 401])
def test_who_answers_slowly_or_asks_who_we_are_is_there(status: int) -> None:
    with server(status, after=0.5) as port:
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("variable", answering.HTTP_VARIABLES)
def test_who_has_said_how_long_to_wait_waits_so_long(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 0.1)
    with server(200, after=0.5) as port:
        with pytest.raises(Exception, match=r"no answer|timed out|Max retries"):
            ask(f"http://127.0.0.1:{port}")
        monkeypatch.setenv(variable, "7")
        ask(f"http://127.0.0.1:{port}")


def test_a_timeout_in_a_databases_address_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not answering.is_patient("postgresql://db/mlflow")
    assert answering.is_patient("postgresql://db/mlflow?connect_timeout=30")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "30")
    assert answering.is_patient("postgresql://db/mlflow")
    assert not answering.is_patient("http://db")


@pytest.mark.parametrize("name", ["run_pipeline", "silver", "promote"])
def test_every_command_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(answering, "RETRIES", 0)
    address = f"http://127.0.0.1:{closed()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(tmp_path)
    stages = STAGES if name == "run_pipeline" else [one for one in STAGES if one.name == name]
    assert run(name, stages, []) == 1
    assert f"{address}: the tracking store does not answer" in capsys.readouterr().err
    # What is wrong with the settings is told all the same.
    assert run(name, stages, ["data.custmers=5"]) == 2
    assert "nearest to data.custmers: data.customers" in capsys.readouterr().err.replace("\n", " ")
