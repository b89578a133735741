"""A real server on a prepared retailer, and what tests ask it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Server:
    """A server in a process of its own.

    Attributes:
        root: Data root.
        uri: Store of the registry.
        cache: Folder of the server's tables.
        more: Further settings.
    """

    root: Path
    uri: str
    cache: Path
    more: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Server":
        self.port, self.grpc_port, self.metrics_port = free_port(), free_port(), free_port()
        told = {
            "DATA_ROOT": str(self.root),
            "TRACKING_URI": self.uri,
            "CACHE": str(self.cache),
            "HTTP_PORT": str(self.port),
            "GRPC_PORT": str(self.grpc_port),
            "METRICS_PORT": str(self.metrics_port),
            "POLL_SECONDS": "0.3",
            "TODAY": "2024-12-10",
            **self.more,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        environment |= {f"SPANISHGAS_SERVE_{name}": value for name, value in told.items()}
        environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.cache.mkdir(parents=True, exist_ok=True)
        self.log = (self.cache / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spanishgas.serving"],
            cwd=self.cache,
            env=environment,
            stdout=self.log,
            stderr=self.log,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.cache, ignore_errors=True)

    @property
    def told(self) -> str:
        """What the server has written so far."""
        return (self.cache / "server.log").read_text()

    def wait(self, status: int = 200, path: str = "/v2/health/ready") -> "Server":
        """Waits until a path answers with a status."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.told
            try:
                if self.client.get(path).status_code == status:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.told)

    def score(self, **request: object) -> httpx.Response:
        return self.client.post("/score", json=request)

    def workers(self) -> list[int]:
        """Processes that answer."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        return [int(one) for one in found]
