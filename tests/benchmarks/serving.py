"""Answers of a real server, beside the same code in plain FastAPI, MLflow's own scoring server, and the bare model.

On the published demo (`make demo` first). All servers run at the same time, one worker each, and are asked in turn, so
that a noisy machine is noisy for all of them. Latency is of one client on an open connection; throughput is of eight.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from tests.benchmarks.harness import LATEST, ROOT, record

ROUNDS = 1200
WARM = 60
CLIENTS = 8
BURSTS, BURST_REQUESTS = 5, 400
START_SECONDS = 90
RATIOS = {
    "/score / plain, p50": 1.3,
    "/score / plain, p99": 2.0,
    "/score with reasons / plain, p50": 1.3,
    "/score with reasons / plain, p99": 2.0,
    "V2 / score, p50": 1.8,
}


@dataclass(frozen=True)
class Point:
    """One question to one server."""

    port: int
    payloads: list[bytes]


class Connection:
    """An open connection; as little client as there can be."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, payload: bytes) -> bytes:
        """The body of the answer.

        Raises:
            RuntimeError: It is no 200.
        """
        self._socket.sendall(payload)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._received()
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head[:80]!r} {body[:300]!r}")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        wanted = int(lengths[0].split(b":")[1])
        while len(body) < wanted:
            body += self._received()
        return body

    def _received(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise RuntimeError("the connection was closed")
        return part


def post(path: str, body: object) -> bytes:
    told = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(told)}\r\n\r\n"
    return head.encode() + told


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, **more: str) -> Iterator[int]:
    """A server in a process group of its own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path, **more}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(port: int, payload: bytes, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            Connection(port).ask(payload)
            return
        except (OSError, RuntimeError):
            time.sleep(0.3)
    raise SystemExit(f"no answer: {log.read_text()[-3000:]}")


def latencies(points: dict[str, Point], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of every question, asked in turn, in another order in every round."""
    connections = {name: Connection(point.port) for name, point in points.items()}
    taken: dict[str, list[float]] = {name: [] for name in points}
    names = list(points)
    order = np.random.default_rng(0)
    for turn in range(rounds + WARM):
        for place in order.permutation(len(names)):
            name = names[place]
            payloads = points[name].payloads
            started = time.perf_counter()
            connections[name].ask(payloads[turn % len(payloads)])
            if turn >= WARM:
                taken[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in taken.items()}


def throughput(point: Point, requests: int) -> float:
    """Answers a second with eight clients."""

    def ask(start: int) -> None:
        connection = Connection(point.port)
        for turn in range(requests // CLIENTS):
            connection.ask(point.payloads[(start + turn) % len(point.payloads)])

    threads = [threading.Thread(target=ask, args=(7 * client,)) for client in range(CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return requests / (time.perf_counter() - started)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all that it has started."""
    everyone = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in everyone)


def main() -> int:
    """Measures, prints, records; 1 where a limit is exceeded."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-serving-")))
        from spanishgas.serving.bundle import Bundle
        from spanishgas.serving.publisher import Publisher
        from spanishgas.serving.settings import ServingSettings

        settings = ServingSettings.read(cache=folder / "cache")
        bundle = Bundle.load(Publisher(settings).publish())
        recommender = bundle.recommender
        days = sorted(recommender.snapshots)
        newest, older = recommender.snapshots[days[-1]], recommender.snapshots[days[-2]]
        people = [newest.customer(row) for row in range(0, len(newest.features), 10)]
        before = [older.customer(row) for row in range(0, len(older.features), 10)]
        ports = {name: free_port() for name in ("ours", "plain", "mlflow")}
        logs = {name: folder / f"{name}.log" for name in ports}
        pids = {
            "ours": stack.enter_context(
                running(
                    [sys.executable, "-m", "spanishgas.serving"],
                    logs["ours"],
                    SPANISHGAS_SERVE_HTTP_PORT=str(ports["ours"]),
                    SPANISHGAS_SERVE_GRPC_PORT="0",
                    SPANISHGAS_SERVE_METRICS_PORT="0",
                    SPANISHGAS_SERVE_CACHE=str(folder / "cache"),
                )
            ),
            "plain": stack.enter_context(
                running(
                    [
                        *(sys.executable, "-m", "uvicorn", "tests.benchmarks.plain_app:app"),
                        *("--port", str(ports["plain"]), "--log-level", "warning"),
                    ],
                    logs["plain"],
                    SPANISHGAS_SERVE_CACHE=str(folder / "cache"),
                )
            ),
            "mlflow": stack.enter_context(
                running(
                    [
                        *(
                            sys.executable,
                            "-m",
                            "mlflow",
                            "models",
                            "serve",
                            "-m",
                            f"models:/{bundle.model_name}@champion",
                        ),
                        *("--env-manager", "local", "--workers", "1", "--port", str(ports["mlflow"])),
                    ],
                    logs["mlflow"],
                    MLFLOW_TRACKING_URI=settings.tracking_uri,
                )
            ),
        }
        day = days[-2].isoformat()
        plain_score = [post("/score", {"customer_id": one}) for one in people]
        hurried = [post("/score", {"customer_id": one, "asof_date": day, "explain": False}) for one in before]
        explained = [post("/score", {"customer_id": one, "asof_date": day}) for one in before]
        tensors = [
            post(
                "/v2/models/churn/infer",
                {"inputs": [{"name": "customer_id", "datatype": "BYTES", "shape": [1, 1], "data": [one]}]},
            )
            for one in people
        ]
        invocations = [post("/invocations", body) for body in _rows(bundle, 40)]
        points = {
            "/score": Point(ports["ours"], plain_score),
            "/score, no reasons to compute": Point(ports["ours"], hurried),
            "/score, reasons computed": Point(ports["ours"], explained),
            "V2 infer": Point(ports["ours"], tensors),
            "plain FastAPI": Point(ports["plain"], plain_score),
            "plain FastAPI, no reasons to compute": Point(ports["plain"], hurried),
            "plain FastAPI, reasons computed": Point(ports["plain"], explained),
            "mlflow models serve": Point(ports["mlflow"], invocations),
        }
        for name in ("/score", "plain FastAPI", "mlflow models serve"):
            key = {"/score": "ours", "plain FastAPI": "plain", "mlflow models serve": "mlflow"}[name]
            wait_for(points[name].port, points[name].payloads[0], logs[key])
        taken = latencies(points, ROUNDS)
        taken["bare model"] = _bare(bundle, ROUNDS)
        rates: dict[str, list[float]] = {name: [] for name in ("/score", "plain FastAPI", "mlflow models serve")}
        for _ in range(BURSTS):
            for name, values in rates.items():
                few = 1 if name == "mlflow models serve" else 4
                values.append(throughput(points[name], BURST_REQUESTS * few))
        used = {}
        for name in ("/score", "/score, no reasons to compute", "/score, reasons computed"):
            connection, started = Connection(ports["ours"]), cpu_of(pids["ours"])
            for turn in range(1000):
                connection.ask(points[name].payloads[turn % len(points[name].payloads)])
            used[name] = cpu_of(pids["ours"]) - started  # milliseconds an answer
        return _report(taken, {name: statistics.median(values) for name, values in rates.items()}, used)


def _rows(bundle: object, count: int) -> list[object]:
    """Feature rows as MLflow's server takes them."""
    recommender = bundle.recommender  # type: ignore[attr-defined]
    snapshot = recommender.snapshots[max(recommender.snapshots)]
    names = list(bundle.inputs)  # type: ignore[attr-defined]
    found = []
    for row in range(count):
        values: list[object] = []
        for name in names:
            if bundle.inputs[name] == "text":  # type: ignore[attr-defined]
                values.append(snapshot.features.word(row, name))
            else:
                number = snapshot.features.number(row, name)
                values.append(None if np.isnan(number) else number)
        found.append({"dataframe_split": {"columns": names, "data": [values]}})
    return found


def _bare(bundle: object, rounds: int) -> np.ndarray:
    recommender = bundle.recommender  # type: ignore[attr-defined]
    day = max(recommender.snapshots)
    rows = recommender._encoders[day].numbers(np.arange(200))
    model: Callable[[np.ndarray], object] = recommender.hazards_of
    taken = []
    for turn in range(rounds + WARM):
        row = rows[turn % len(rows)][None, :]
        started = time.perf_counter()
        model(row)
        taken.append(time.perf_counter() - started)
    return np.array(taken[WARM:])


def _report(taken: dict[str, np.ndarray], rates: dict[str, float], used: dict[str, float]) -> int:
    p50 = {name: float(np.quantile(values, 0.5)) * 1e3 for name, values in taken.items()}
    p99 = {name: float(np.quantile(values, 0.99)) * 1e3 for name, values in taken.items()}
    print(f"{'':40} {'p50, ms':>9} {'p99, ms':>9} {'8 clients, /s':>14} {'CPU, ms':>8}")
    for name in taken:
        rate = f"{rates[name]:14,.0f}" if name in rates else " " * 14
        cpu = f"{used[name]:8.2f}" if name in used else ""
        print(f"{name:40} {p50[name]:9.2f} {p99[name]:9.2f} {rate} {cpu}")
    ratios = {
        "/score / plain, p50": p50["/score"] / p50["plain FastAPI"],
        "/score / plain, p99": p99["/score"] / p99["plain FastAPI"],
        "/score, no reasons / plain, p50": p50["/score, no reasons to compute"]
        / p50["plain FastAPI, no reasons to compute"],
        "/score, no reasons / plain, p99": p99["/score, no reasons to compute"]
        / p99["plain FastAPI, no reasons to compute"],
        "/score with reasons / plain, p50": p50["/score, reasons computed"] / p50["plain FastAPI, reasons computed"],
        "/score with reasons / plain, p99": p99["/score, reasons computed"] / p99["plain FastAPI, reasons computed"],
        "V2 / score, p50": p50["V2 infer"] / p50["/score"],
        "rate / mlflow models serve": rates["/score"] / rates["mlflow models serve"],
    }
    over = False
    for name, value in ratios.items():
        limit = RATIOS.get(name)
        is_over = (limit is not None and value > limit) or (name.startswith("rate") and value < 4)
        over |= is_over
        told = "" if limit is None else f"  limit {limit:g}"
        print(f"{name:40} {value:9.2f}{told}{'  EXCEEDED' if is_over else ''}")
    record([{"name": "serving", "p50_ms": p50, "p99_ms": p99, "rates": rates, "cpu_ms": used, "ratios": ratios}])
    print(f"figures: {LATEST}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
