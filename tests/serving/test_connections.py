"""Connections under bad treatment, on a real socket before an application of a few lines."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from spanishgas.serving.admission import Admission
from spanishgas.serving.connections import Limits, Uvicorn, limited
from spanishgas.serving.observability import Observer
from spanishgas.serving.settings import ServingSettings

POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
GOOD = POST + b"content-length: 2\r\n\r\nok"
REQUESTS = {
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a length and chunks": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": POST + b"content-length: -3\r\n\r\n",
    "a length with a sign": POST + b"content-length: +3\r\n\r\nabc",
    "an endless length": POST + b"content-length: 99999999999999999999\r\n\r\n",
    "chunks not at the end": POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "something like chunks": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a folded header": POST + b"a: b\r\n c\r\n\r\n",
    "a zero in a header": POST + b"a: b\x00\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a path of other bytes": b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
}


class Served:
    """A server on a free port of this machine.

    Attributes:
        bodies: What the application has been given.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.registry, self.bodies = CollectorRegistry(), list[bytes]()
        told = ServingSettings.read(**settings)
        limits = Limits(told, Observer(folder, registry=self.registry), Admission(told))
        config = uvicorn.Config(
            self.app, port=0, http=limited(limits), interface="asgi3", ws="none", lifespan="off", log_config=None
        )
        self.server = Uvicorn(config)

    async def app(self, _: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": body[:2].ljust(2)})

    def run(self, ask: Callable[[int], Awaitable[None]]) -> None:
        async def served() -> None:
            serving = asyncio.ensure_future(self.server.serve())
            while not self.server.started:
                await asyncio.sleep(0.005)
            try:
                await asyncio.wait_for(ask(self.server.servers[0].sockets[0].getsockname()[1]), 60)
            finally:
                self.server.should_exit = True
                await serving

        asyncio.run(served())

    def refused(self, kind: str) -> float:
        return self.registry.get_sample_value("spanishgas_errors_total", {"kind": kind}) or 0.0


async def said(port: int, *parts: bytes) -> bytes:
    """What is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_what_can_be_read_in_two_ways_is_refused_and_nothing_of_it_reaches_the_application(tmp_path: Path) -> None:
    served = Served(tmp_path)

    async def ask(port: int) -> None:
        for name, request in REQUESTS.items():
            # A second request rides on the first: a smuggled one would be answered.
            answer = await said(port, request + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 "), (name, answer)
            assert answer.count(b"HTTP/1.1 ") == 1, name
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed"

    served.run(ask)
    assert not [body for body in served.bodies if b"smuggled" in body]
    assert served.refused("malformed") == len(REQUESTS)


def test_requests_that_ride_on_one_connection_are_answered_in_their_order(tmp_path: Path) -> None:
    requests = b"".join(POST + b"content-length: 2\r\n\r\n%02d" % place for place in range(50))
    served = Served(tmp_path)

    async def ask(port: int) -> None:
        answer = await said(port, requests + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        bodies = [part[:2] for part in answer.split(b"\r\n\r\n")[1:]]
        assert bodies == [*(b"%02d" % place for place in range(50)), b"  "]

    served.run(ask)


@pytest.mark.parametrize("parts", [1, 40])
def test_a_head_that_is_too_large_is_refused(tmp_path: Path, parts: int) -> None:
    served = Served(tmp_path, max_head_bytes=2048)
    head = [POST, *[b"a: %s\r\n" % (b"b" * 100)] * 40, b"\r\n"]
    large = b"x" * 5000

    async def ask(port: int) -> None:
        answer = await said(port, *([b"".join(head)] if parts == 1 else head))
        assert answer.startswith(b"HTTP/1.1 431 ")
        # A large body before it, on the same connection, is no part of a head.
        first = POST + b"content-length: 5000\r\n\r\n" + large
        answer = await said(port, first + POST + b"connection: close\r\n", b"content-length: 2\r\n\r\nok")
        assert answer.count(b"HTTP/1.1 200 ") == 2

    served.run(ask)
    assert served.refused("head_too_large") == 1


def test_heads_that_never_end_are_closed_and_the_others_are_answered_meanwhile(tmp_path: Path) -> None:
    served = Served(tmp_path, head_seconds=0.2)

    async def ask(port: int) -> None:
        half = [asyncio.ensure_future(said(port, POST + b"a: b\r\nc")) for _ in range(50)]
        after = [asyncio.ensure_future(said(port, GOOD + POST)) for _ in range(5)]  # the second one is half
        unused = asyncio.ensure_future(said(port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not all(one.done() for one in (*half, *after, unused)):
            writer.write(GOOD)
            assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.01)
        writer.close()
        assert all(one.result().startswith(b"HTTP/1.1 408 ") for one in half)
        assert all(one.result().count(b"HTTP/1.1 200 ") == 1 for one in after)
        assert unused.result() == b""

    served.run(ask)
    assert served.refused("slow") == 55


def test_more_connections_than_are_taken_are_told_so(tmp_path: Path) -> None:
    served = Served(tmp_path, max_connections=3)

    async def ask(port: int) -> None:
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in open_ones:
            writer.write(GOOD)
            await reader.readuntil(b"\r\n\r\nok")
        answer = await said(port)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        open_ones[0][1].close()
        await open_ones[0][1].wait_closed()
        while (await said(port, GOOD.replace(b"host", b"connection: close\r\nhost"))).startswith(b"HTTP/1.1 503 "):
            await asyncio.sleep(0.01)
        for _, writer in open_ones[1:]:
            writer.close()

    served.run(ask)
    assert served.refused("connections") >= 1
