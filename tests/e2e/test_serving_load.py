"""Drills: a server under load and bad treatment. Loads are counted in requests; times are compared within one run."""

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import mlflow
import numpy as np
import psutil
import pytest

from spanishgas.models.files import CARD, digest_of
from spanishgas.registry.models import DIGEST_TAG
from tests.benchmarks.serving import Connection, post
from tests.e2e.house import AS_OF, TODAY, House, house
from tests.e2e.served import Server

__all__ = ["house"]  # a fixture
pytestmark = pytest.mark.drill
# Ten requests a second for an hour.
HOUR = 36_000
CLIENTS = 4
MOVES = 20
ADMIN = {"authorization": "Bearer admin"}


@pytest.fixture
def server(house: House, tmp_path: Path) -> Iterator[Server]:
    house.champion("1")
    more = {"WORKERS": "2", "ADMIN_TOKEN": "admin", "HEAD_SECONDS": "3"}
    with Server(house.retailer.root, house.retailer.tracking.uri, tmp_path / "cache", more) as running:
        yield running.wait()
    house.champion("1")


def metric(server: Server, start: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{server.metrics_port}/metrics").text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start))


def spoiled(house: House, folder: Path, change: Callable[[Path], object], *, is_corrupt: bool = False) -> str:
    """Registers a copy of version 2 with other files; a corrupt one's have changed since their digest was taken."""
    client = house.retailer.tracker.client
    version = house.registry.with_number("churn", "2")
    assert version is not None
    local = Path(mlflow.artifacts.download_artifacts(version.uri, dst_path=str(folder)))
    files = next(local.rglob(CARD)).parent
    change(files / CARD)
    tags = {DIGEST_TAG: digest_of(files)}
    if is_corrupt:
        change(files / CARD)
    return str(client.create_model_version("churn", str(local), tags=tags).version)


def a_space_more(card: Path) -> None:
    card.write_text(card.read_text() + " ")


def other_format(card: Path) -> None:
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format": 99}))


def other_features(card: Path) -> None:
    told = json.loads(card.read_text())
    card.write_text(card.read_text().replace(json.dumps(told["features"][0]), '"a feature of tomorrow"'))


@dataclass
class Load:
    """Clients that ask without a pause until there were so many requests.

    Attributes:
        port: Where.
        ids: Whom they ask for.
        found: Customer, version and risk of every answer.
        failed: What was no answer.
    """

    port: int
    ids: list[str]
    found: list[tuple[str, str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def ask(self, start: int, until: Callable[[], bool]) -> None:
        connection = Connection(self.port)
        payloads = [post("/score", {"customer_id": one, "explain": False}) for one in self.ids]
        place = start
        while not until():
            one = place % len(self.ids)
            place += 1
            try:
                told = json.loads(connection.ask(payloads[one]))
                self.found.append((self.ids[one], told["basis"]["model"]["version"], told["churn_score"]))
            except (OSError, RuntimeError) as error:
                self.failed.append(repr(error))
                connection = Connection(self.port)

    def start(self, until: Callable[[], bool]) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.ask, args=(17 * client, until)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads


def test_an_hour_of_requests_through_moves_of_the_champion_and_some_that_must_not_be(
    server: Server, house: House, tmp_path: Path
) -> None:
    ids = house.decisions["customer_id"].head(50).tolist()
    wanted = {}
    for number in ("1", "2"):
        house.champion(number)
        recommender = house.bundle(tmp_path / "wanted").recommender
        located = [recommender.locate(one, AS_OF) for one in ids]
        wanted[number] = dict(zip(ids, [one.risk for one in recommender.answers(located, TODAY)], strict=True))
    assert wanted["1"] != wanted["2"]
    house.champion("1")
    bad = {
        "corrupt": spoiled(house, tmp_path / "a", a_space_more, is_corrupt=True),
        "of another format": spoiled(house, tmp_path / "b", other_format),
        "of other features": spoiled(house, tmp_path / "c", other_features),
        "deleted": spoiled(house, tmp_path / "d", a_space_more),
    }
    shutil.rmtree(tmp_path / "d")
    workers = server.workers()
    load, memory = Load(server.port, ids), []
    over = threading.Event()
    threads = load.start(over.is_set)

    def refused() -> float:
        return metric(server, "spanishgas_champion_refused") + metric(
            server, 'spanishgas_bundles_total{outcome="failed"}'
        )

    def settled(condition: Callable[[], bool], what: str) -> None:
        server.client.post("/admin/refresh", headers=ADMIN)
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def serves(number: str) -> bool:
        return {one[1] for one in load.found[-200:]} == {number}

    try:
        number = "1"
        for move in range(MOVES):
            number = str(2 - move % 2)
            house.champion(number)
            settled(lambda number=number: serves(number), f"v{number} is not served")  # type: ignore[misc]
            if move % 5 == 4:
                name, wrong = list(bad.items())[move // 5]
                before = refused()
                house.champion(wrong)
                settled(lambda before=before: refused() > before, f"the champion that is {name} is not refused")  # type: ignore[misc]
                seen = len(load.found)
                settled(lambda seen=seen: len(load.found) > seen + 400, "nobody is answered")  # type: ignore[misc]
                assert {one[1] for one in load.found[seen:]} == {number}, name
            due = HOUR * (move + 1) // MOVES
            settled(lambda due=due: len(load.found) >= due, "nobody is answered")  # type: ignore[misc]
            memory.append(sum(psutil.Process(pid).memory_info().rss for pid in workers))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert load.failed == []
    assert len(load.found) >= HOUR
    assert server.workers() == workers
    for one, number, risk in load.found:
        assert risk == wanted[number][one]
    # Once every part has been loaded, memory does not grow with moves and requests.
    settled_part = np.array(memory[5:], float)
    slope = np.polyfit(np.arange(len(settled_part)), settled_part, 1)[0] * len(settled_part) / settled_part.mean()
    print(f"{len(load.found):,} answers, memory {slope:+.2%} over {len(settled_part)} moves")
    assert slope < 0.05, memory


def p99(port: int, payload: bytes, count: int) -> float:
    connection, taken = Connection(port), []
    for _ in range(count):
        started = time.perf_counter()
        connection.ask(payload)
        taken.append(time.perf_counter() - started)
    return float(np.quantile(taken, 0.99))


def test_a_thousand_connections_that_never_say_all_do_not_slow_the_others(server: Server, house: House) -> None:
    payload = post("/score", {"customer_id": house.decisions["customer_id"].iloc[0]})
    p99(server.port, payload, 300)
    halves = (b"", b"POST /score HTTP/1.1\r\nhost: x\r\nx-a: ", b"GET / HTTP/1.1\r\n", b"\r\n")
    alone, beside = [], []
    for turn in range(3):  # in turn, so that a busy machine is busy for both
        alone.append(p99(server.port, payload, 700))
        with ExitStack() as half_open:
            sockets = []
            for place in range(1000):
                sock = socket.create_connection(("127.0.0.1", server.port), timeout=60)
                sockets.append(half_open.enter_context(sock))
                sock.sendall(halves[place % len(halves)])
            beside.append(p99(server.port, payload, 700))
            if turn == 0:
                for sock in sockets:  # all are closed by the server
                    while sock.recv(4096):
                        pass
    print(f"p99 alone {np.median(alone) * 1e3:.2f} ms, beside a thousand {np.median(beside) * 1e3:.2f} ms")
    assert np.median(beside) < 2 * np.median(alone)
    assert metric(server, 'spanishgas_errors_total{kind="slow"}') >= 500


def test_slow_bodies_and_readers_take_no_place_from_the_others(server: Server, house: House) -> None:
    payload = post("/score", {"customer_id": house.decisions["customer_id"].iloc[0]})
    large = post("/score", {"customers": house.decisions["customer_id"].head(400).tolist()})
    with ExitStack() as stack:
        for place in range(200):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            if place % 2:
                sock.sendall(payload[:-3])  # a body that lacks its end
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.sendall(large if place < 20 else payload * 50)  # answers that nobody reads
        connection = Connection(server.port)
        for _ in range(300):
            assert b"churn_score" in connection.ask(payload)


def test_more_than_can_be_done_is_refused_and_told_to_come_again(house: House, tmp_path: Path) -> None:
    house.champion("1")
    payload = post("/score", {"customer_id": house.decisions["customer_id"].iloc[0]})
    with Server(house.retailer.root, house.retailer.tracking.uri, tmp_path / "cache", {"MAX_WAITING": "16"}) as server:
        server.wait()
        times: dict[str, list[float]] = {"200": [], "503": []}

        def ask(clients: int, rounds: int) -> None:
            def one() -> None:
                sock = socket.create_connection(("127.0.0.1", server.port), timeout=60)
                for _ in range(rounds):
                    started = time.perf_counter()
                    sock.sendall(payload)
                    data = b""
                    while b"\r\n\r\n" not in data:
                        data += sock.recv(65536)
                    head, _, body = data.partition(b"\r\n\r\n")
                    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
                    while len(body) < length:
                        body += sock.recv(65536)
                    status = head[9:12].decode()
                    if status == "503":
                        assert b"retry-after: 1" in head
                        assert json.loads(body)["code"] == "overloaded"
                    times[status].append(time.perf_counter() - started)
                sock.close()

            threads = [threading.Thread(target=one) for _ in range(clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        ask(16, 40)
        assert times["503"] == []
        usual = np.quantile(times["200"], 0.99)
        times["200"].clear()
        ask(200, 20)
        print(f"{len(times['200'])} answered, {len(times['503'])} refused")
        assert len(times["200"]) + len(times["503"]) == 4000
        assert times["503"]
        assert metric(server, 'spanishgas_errors_total{kind="overloaded"}') == len(times["503"])
        told = np.quantile(times["200"], 0.99)
        print(f"p99 of 16 clients {usual * 1e3:.0f} ms, of those answered among 200 {told * 1e3:.0f} ms")
