"""What every request passes, without a server: the application behind the gate is a few lines."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from spanishgas.serving.admission import MOST_CALLERS, Admission, RateLimit
from spanishgas.serving.gate import Gate
from spanishgas.serving.observability import Observer
from spanishgas.serving.settings import ServingSettings


class Asked:
    """A request to a gate, and its answer."""

    def __init__(self, *headers: tuple[bytes, bytes], path: str = "/score", client: str = "1.2.3.4") -> None:
        self.scope = {"type": "http", "path": path, "method": "POST", "headers": list(headers), "client": (client, 1)}
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def code(self) -> str:
        return str(json.loads(self.sent[1]["body"])["code"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


class House:
    """A gate before an application that does as it is told."""

    def __init__(self, folder: Path, work: Callable[[], Awaitable[object]] | None = None, **settings: object) -> None:
        self.registry, self.work = CollectorRegistry(), work
        told = ServingSettings.read(**settings)
        self.admission = Admission(told)
        self.gate = Gate(self.app, told, Observer(folder, registry=self.registry), self.admission)

    async def app(self, _: Any, __: Any, send: Any) -> None:
        if self.work is not None:
            await self.work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, *asked: Asked) -> None:
        self.admission.arriving += len(asked)
        await asyncio.gather(*(self.gate(one.scope, one.receive, one.send) for one in asked))

    def refused(self, kind: str) -> float:
        return self.registry.get_sample_value("spanishgas_errors_total", {"kind": kind}) or 0.0


def test_more_than_may_wait_are_told_to_come_again(tmp_path: Path) -> None:
    house = House(tmp_path, max_waiting=10)
    asked = [Asked() for _ in range(100)]
    asyncio.run(house.ask(*asked))
    assert Counter(one.status for one in asked) == {200: 10, 503: 90}
    refused = next(one for one in asked if one.status == 503)
    assert (refused.code, refused.headers[b"retry-after"]) == ("overloaded", b"1")
    assert house.refused("overloaded") == 90
    # Those who come afterwards find room again.
    later = Asked()
    asyncio.run(house.ask(later))
    assert later.status == 200


def test_health_is_told_however_much_there_is_to_do(tmp_path: Path) -> None:
    house = House(tmp_path, max_waiting=1, rate_per_second=1, token="mine")
    asked = [Asked(path="/v2/health/ready") for _ in range(20)]
    asyncio.run(house.ask(*asked))
    assert {one.status for one in asked} == {200}


def test_an_answer_that_takes_too_long_ends_at_its_deadline_and_leaves_its_place(tmp_path: Path) -> None:
    house = House(tmp_path, lambda: asyncio.Event().wait(), deadline_seconds=0.01, max_waiting=1)
    for _ in range(3):
        asked = Asked()
        asyncio.run(house.ask(asked))
        assert (asked.status, asked.code, asked.headers[b"retry-after"]) == (503, "late", b"1")
    assert house.refused("late") == 3


def test_a_body_that_does_not_arrive_is_not_waited_for_and_takes_no_place(tmp_path: Path) -> None:
    house = House(tmp_path, body_seconds=0.01, max_waiting=1)

    class Slow(Asked):
        async def receive(self) -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

    slow, quick = [Slow() for _ in range(5)], Asked()
    asyncio.run(house.ask(*slow, quick))
    assert {(one.status, one.code) for one in slow} == {(408, "slow")}
    assert quick.status == 200


def test_a_timeout_of_the_application_is_its_own_fault(tmp_path: Path) -> None:
    async def fail() -> None:
        raise TimeoutError

    asked = Asked()
    asyncio.run(House(tmp_path, fail).ask(asked))
    assert (asked.status, asked.code) == (500, "internal")


def test_each_token_and_without_tokens_each_address_has_a_rate_of_its_own(tmp_path: Path) -> None:
    house = House(tmp_path, token="one, two", rate_per_second=2)
    asked = [Asked((b"authorization", f"Bearer {token}".encode())) for token in ("one", "one", "one", "two", "three")]
    asyncio.run(house.ask(*asked))
    assert [one.status for one in asked] == [200, 200, 429, 200, 401]
    assert (asked[2].code, asked[2].headers[b"retry-after"]) == ("rate", b"1")
    house = House(tmp_path, rate_per_second=1)
    asked = [Asked(client=address) for address in ("a", "a", "b")]
    asyncio.run(house.ask(*asked))
    assert [one.status for one in asked] == [200, 429, 200]


def test_a_rate_fills_up_with_time_and_remembers_so_many_callers() -> None:
    now = [0.0]
    rate = RateLimit(2, lambda: now[0])
    assert [rate.takes("a") for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [rate.takes("a") for _ in range(2)] == [True, False]
    now[0] = 100
    assert [rate.takes("a") for _ in range(3)] == [True, True, False]
    for place in range(MOST_CALLERS + 5):
        rate.takes(f"address {place}")
    assert len(rate._callers) == MOST_CALLERS
    assert all(RateLimit(0).takes("a") for _ in range(1000))


def test_of_a_header_that_stands_twice_every_value_counts(tmp_path: Path) -> None:
    for values in ((b"gzip", b"identity"), (b"identity", b"gzip"), (b"GZIP",)):
        asked = Asked(*((b"content-encoding", value) for value in values))
        asyncio.run(House(tmp_path).ask(asked))
        assert (asked.status, asked.code) == (415, "compressed")


@pytest.mark.parametrize("given", ["a\nb", "a\x1b[31m", "x" * 65, "", "a b"])
def test_a_request_id_that_could_harm_a_log_is_replaced(tmp_path: Path, given: str) -> None:
    asked = Asked((b"x-request-id", given.encode()))
    asyncio.run(House(tmp_path).ask(asked))
    assert len(asked.headers[b"x-request-id"]) == 32
