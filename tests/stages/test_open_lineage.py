"""Stages tell whoever listens what they read and publish, and fail for nobody who does not."""

import json
import socket
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from spanishgas.config import TrackingSettings
from spanishgas.errors import ContractError
from spanishgas.registry import Tracker
from spanishgas.stages import open_lineage
from spanishgas.stages.pages import PAGES, Page
from spanishgas.stages.runner import run_stage
from tests.stages.toy import Toy, settings_for


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "toy", Page(settings=("run_date", "as_of")))  # type: ignore[arg-type]
    monkeypatch.setattr(open_lineage, "_silent", set())


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Events that a small receiver was sent, with their path and token."""
    events: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            events.append({"path": self.path, "token": self.headers.get("Authorization"), **body})
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "key")
    yield events
    server.shutdown()
    server.server_close()


def test_a_run_is_told_from_its_start_to_its_end(
    tmp_path: Path, tracking: TrackingSettings, heard: list[dict[str, Any]]
) -> None:
    settings = settings_for(tmp_path, tracking)
    outcome = run_stage(Toy(), settings, Tracker(tracking))
    assert [one["eventType"] for one in heard] == ["START", "COMPLETE"]
    assert {one["run"]["runId"] for one in heard} == {str(uuid.UUID(outcome.run_id))}
    assert {(one["path"], one["token"]) for one in heard} == {("/api/v1/lineage", "Bearer key")}
    assert heard[1]["job"] == {"namespace": "spanishgas", "name": "toy.toy"}
    assert heard[1]["outputs"] == [{"namespace": "spanishgas", "name": "gold/doubles/asof_date=2026-01-31"}]
    assert heard[0]["outputs"] == []


def test_a_run_that_fails_is_told_too(
    tmp_path: Path, tracking: TrackingSettings, heard: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ContractError("is broken", where="toy")

    monkeypatch.setattr(Toy, "build", fail)
    with pytest.raises(ContractError):
        run_stage(Toy(), settings_for(tmp_path, tracking), Tracker(tracking))
    assert [one["eventType"] for one in heard] == ["START", "FAIL"]


def test_whoever_does_not_answer_costs_no_run_and_is_asked_once(
    tmp_path: Path, tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://user:hidden@127.0.0.1:{taken.getsockname()[1]}")
        settings = settings_for(tmp_path, tracking)
        for _ in range(2):
            assert run_stage(Toy(), settings, Tracker(tracking)).manifests
    told = capsys.readouterr().err
    assert told.count("no OpenLineage events are sent") == 1
    assert "hidden" not in told


def test_it_can_be_turned_off_and_takes_no_other_address(
    tmp_path: Path, tracking: TrackingSettings, heard: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    open_lineage.Events("toy", "0" * 32, said.append).send("START")
    assert heard == said == []
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "false")
    monkeypatch.setenv("OPENLINEAGE_URL", "file:///etc")
    open_lineage.Events("toy", "0" * 32, said.append).send("START")
    assert len(said) == 1
    assert "neither http nor https" in said[0]
