"""The server as a whole: publishes what is served, keeps the workers alive, and ends in order.

The socket is opened here and shared by all workers: a worker that dies takes only the requests it was at with it, what
waits in the queue is answered by another. Metrics of all workers are told on one port.
"""

import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType

from prometheus_client import CollectorRegistry, Gauge

from spanishgas.errors import PromotionError, PublishError, SpanishGasError
from spanishgas.serving.observability import set_up_logging
from spanishgas.serving.publisher import Publisher
from spanishgas.serving.settings import ServingSettings

STEP_SECONDS = 0.2
# A worker that has not lived this long has crashed at its start; so many in a row are no accident.
YOUNG_SECONDS = 10.0
MOST_CRASHES = 5
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
log = logging.getLogger("spanishgas.serving")


class Launcher:
    """Runs a server until a signal ends it.

    Args:
        settings: The server's settings.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._publisher = Publisher(settings)
        self._workers: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._stopping = False
        self._crashes = 0
        self._told = ""
        self._registry = CollectorRegistry()
        self._refused = Gauge(
            "spanishgas_champion_refused",
            "1 while what the registry and the tables name cannot be served; what was served before goes on.",
            registry=self._registry,
        )

    def run(self) -> int:
        """Serves; returns the exit code: 0 after a signal, 1 where workers cannot be kept alive."""
        settings = self._settings
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        sock = _listen(settings)
        asked, ask = os.pipe()
        os.set_blocking(ask, False)
        metrics = Path(mkdtemp(prefix="spanishgas-metrics-"))
        try:
            self._publish()
            self._tell(sock)
            _serve_metrics(settings, metrics, self._registry)
            while not self._stopping:
                self._keep(sock, ask, metrics)
                if self._crashes >= MOST_CRASHES:
                    log.error("workers end as soon as they begin; giving up")
                    break
                self._wait(asked)
            self._end()
        finally:
            shutil.rmtree(metrics, ignore_errors=True)
            sock.close()
        return 0 if self._stopping else 1

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._stopping = True

    def _publish(self) -> None:
        """Brings up to date what is served; what fails is told, and tried again."""
        try:
            descriptor = self._publisher.publish()
        except SpanishGasError as error:
            self._refused.set(1)
            expected = isinstance(error, PromotionError | PublishError)
            if str(error) != self._told:
                log.log(logging.WARNING if expected else logging.ERROR, "nothing new can be served: %s", error)
            self._told = str(error)
            return
        except Exception as error:  # the registry may be away for a while; what is served stays
            self._refused.set(1)
            if repr(error) != self._told:
                log.exception("the registry or the tables cannot be read; what is served stays")
            self._told = repr(error)
            return
        self._refused.set(0)
        text = f"{descriptor.model_name} v{descriptor.model_version}, features of {descriptor.dates[-1].as_of}"
        if text != self._told:
            log.info("to be served: %s", text, extra={"facts": {"bundle": descriptor.id}})
        self._told = text

    def _tell(self, sock: socket.socket) -> None:
        host, port = sock.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        print(f"SpanishGas serves on http://{name}:{port} ({self._told})", flush=True)  # noqa: T201 - for whoever starts it
        print(f"  POST /score, /v2/models/churn/infer; described on http://{name}:{port}/docs", flush=True)  # noqa: T201

    def _keep(self, sock: socket.socket, ask: int, metrics: Path) -> None:
        """Starts workers that are missing."""
        from prometheus_client import multiprocess

        for pid, (worker, since) in list(self._workers.items()):
            code = worker.poll()
            if code is None:
                if time.monotonic() - since > YOUNG_SECONDS:
                    self._crashes = 0
                continue
            del self._workers[pid]
            multiprocess.mark_process_dead(pid, str(metrics))  # type: ignore[no-untyped-call]
            young = time.monotonic() - since < YOUNG_SECONDS
            self._crashes = self._crashes + 1 if young else 0
            log.error("a worker ended and is replaced", extra={"facts": {"pid": pid, "code": code}})
        while len(self._workers) < self._settings.workers and not self._stopping:
            if self._crashes >= MOST_CRASHES:
                return
            command = [
                *(sys.executable, "-m", "spanishgas.serving.worker"),
                *("--socket", str(sock.fileno()), "--refresh", str(ask), "--descriptor", str(self._publisher.file)),
            ]
            worker = subprocess.Popen(
                command,
                pass_fds=(sock.fileno(), ask),
                env={**os.environ, **_as_environment(self._settings), METRICS_VARIABLE: str(metrics)},
            )
            self._workers[worker.pid] = (worker, time.monotonic())

    def _wait(self, asked: int) -> None:
        """Until the next look is due, somebody asks for one, a worker ends, or the end."""
        due = time.monotonic() + self._settings.poll_seconds
        while time.monotonic() < due and not self._stopping:
            if any(worker.poll() is not None for worker, _ in self._workers.values()):
                return
            ready, _, _ = select.select([asked], [], [], STEP_SECONDS)
            if ready:
                os.read(asked, 4096)
                break
        if not self._stopping:
            self._publish()

    def _end(self) -> None:
        """Lets the workers finish what is open."""
        for worker, _ in self._workers.values():
            worker.terminate()
        deadline = time.monotonic() + self._settings.drain_seconds + 5
        for worker, _ in self._workers.values():
            try:
                worker.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def _as_environment(settings: ServingSettings) -> dict[str, str]:
    """Settings that were given otherwise than by the environment, for the workers."""
    from spanishgas.serving.settings import PREFIX

    told = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value is not None:
            text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
            told[f"{PREFIX}{name.upper()}"] = text
    return told


def _listen(settings: ServingSettings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.http_port))
        sock.listen(2048)
    except OSError as error:
        raise PublishError(
            f"cannot listen: {error.strerror}",
            where=f"{settings.host}:{settings.http_port}",
            todo="Choose another port: SPANISHGAS_SERVE_HTTP_PORT, or `make serve PORT=...`",
        ) from error
    sock.set_inheritable(True)
    return sock


def _serve_metrics(settings: ServingSettings, folder: Path, registry: CollectorRegistry) -> None:
    if not settings.metrics_port:
        return
    from prometheus_client import start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    try:
        start_http_server(settings.metrics_port, settings.host, registry)
    except OSError as error:
        raise PublishError(
            f"cannot tell metrics: {error.strerror}",
            where=f"{settings.host}:{settings.metrics_port}",
            todo="Choose another port: SPANISHGAS_SERVE_METRICS_PORT; 0 leaves metrics out",
        ) from error


def main() -> int:
    """Reads the environment and serves."""
    try:
        settings = ServingSettings.read()
        set_up_logging()
        return Launcher(settings).run()
    except SpanishGasError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
