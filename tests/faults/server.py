"""A tracking server that is lost before, in and after a run, or only hangs; and a password that must show nowhere."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import mlflow

from spanishgas.engine.store import TableStore
from tests.e2e.test_stages import SPLIT, WORLD
from tests.faults.scenes import contents
from tests.postgres import free_port

CANARY = "c4nary%2Fpassword"
STEPS = ("demo_data", "ingest", "silver", "features")
# A refused connection is tried again for fifteen seconds, a stop obeyed within three; the rest is for a busy machine.
TOLD_SECONDS, STOPPED_SECONDS = 45.0, 15.0
BEGUN_SECONDS = 30.0  # until a process has loaded what it needs
LONGEST_SECONDS = 900.0


@dataclass
class Server:
    """An MLflow server that can be lost and come back.

    Attributes:
        folder: Holds its database and artifacts.
        port: Where it listens.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """With user and password."""
        return f"http://ana:{CANARY}@127.0.0.1:{self.port}"

    @property
    def plain(self) -> str:
        """Without them."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'served.db'}"]
        command += ["--artifacts-destination", str(self.folder / "served")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder)
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"{self.plain}/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError((self.folder / "server.log").read_text()[-2000:])
        self.runs()  # its first answer loads what the others need

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to it and its workers."""
        assert self.process is not None
        with suppress(ProcessLookupError):  # gone already
            os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()

    def runs(self) -> list[str]:
        """How its runs stand."""
        client = mlflow.MlflowClient(self.plain)
        experiments = [one.experiment_id for one in client.search_experiments()]
        return [one.info.status for one in client.search_runs(experiments)]


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server that runs while the block does."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.send(signal.SIGKILL)


def begin(server: Server, folder: Path, said: Path, *stages: str) -> "subprocess.Popen[bytes]":
    """Begins a pipeline on the server, as from the command line.

    Args:
        server: The server.
        folder: Folder of the data root.
        said: File for what it writes to the terminal.
        stages: Its stages.
    """
    arguments = [*WORLD, *SPLIT, f"data_root={folder / 'data'}", f"pipeline.stages=[{','.join(stages)}]"]
    command = [sys.executable, "-m", "pipelines.run_pipeline", *arguments]
    environment = {"MLFLOW_TRACKING_URI": server.address, "SPANISHGAS_LOCK_URI": (folder / "promote.lock").as_uri()}
    with said.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | environment)


def complete(server: Server, folder: Path, said: Path, *stages: str) -> None:
    """Runs a pipeline that has to end well."""
    assert begin(server, folder, said, *stages).wait(LONGEST_SECONDS) == 0, said.read_text()[-3000:]


def lose(folder: Path, harm: signal.Signals, step: str, stop: bool) -> float:
    """Harms the server while a step is at work; then the same command has to complete.

    Args:
        folder: An empty folder.
        harm: SIGKILL or SIGSTOP, for the server.
        step: The step.
        stop: Whether the pipeline is told to stop then, instead of being left to find out.

    Returns:
        Seconds from the harm, or from the stop, to the pipeline's end.
    """
    said = folder / "said.txt"
    with serving(folder / "server") as server:
        child = begin(server, folder, said, *STEPS)
        while f"] {step} ..." not in said.read_text() and child.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        server.send(harm)
        if stop:
            time.sleep(1.0)
            child.terminate()
        begun = time.monotonic()
        code = child.wait(LONGEST_SECONDS)
        seconds = time.monotonic() - begun
        told = said.read_text()
        assert code == (143 if stop else 1), (code, told[-2000:])
        assert "Traceback" not in told, told
        if not stop:
            assert "the tracking store does not answer any more" in told, told
            assert f"http://ana:***@127.0.0.1:{server.port}" in told
        kept = contents(TableStore(folder / "data"))
        server.send(signal.SIGCONT) if harm == signal.SIGSTOP else server.start()
        complete(server, folder, said, *STEPS)
        after = contents(TableStore(folder / "data"))
        assert kept.items() <= after.items()
        assert "RUNNING" not in server.runs()
    assert canary_in([said, folder / "data", folder / "server" / "served", folder / "server" / "served.db"]) == []
    return seconds


def away(folder: Path) -> list[float]:
    """A server that is not there before a run, and one that is lost after a run: the next one says so, and keeps all.

    Args:
        folder: An empty folder.

    Returns:
        Seconds that each of the two took to say it.
    """
    said, step, store, seconds = folder / "said.txt", STEPS[0], TableStore(folder / "data"), []

    def refused(server: Server, kept: Mapping[str, str]) -> None:
        begun = time.monotonic()
        code = begin(server, folder, said, step).wait(LONGEST_SECONDS)
        seconds.append(time.monotonic() - begun)
        told = said.read_text()
        assert code == 1, (code, told)
        assert "Traceback" not in told, told
        assert f"http://ana:***@127.0.0.1:{server.port}" in told, told
        assert contents(store) == kept
        assert canary_in([said]) == []

    refused(Server(folder), {})
    with serving(folder / "server") as server:
        complete(server, folder, said, step)
        made = contents(store)
        assert made
        server.send(signal.SIGKILL)
        refused(server, made)
        server.start()
        complete(server, folder, said, step)
        assert contents(store) == made
        assert set(server.runs()) == {"FINISHED"}
    return seconds


def canary_in(places: Sequence[Path]) -> list[str]:
    """Files that hold the password in any form."""
    needles = [b"c4nary"]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    assert files
    return [str(file) for file in files if file.is_file() and any(one in file.read_bytes() for one in needles)]
