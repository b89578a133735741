"""Connections: heads that never end, heads too large, answers that nobody reads, and more of them than are taken.

uvicorn's protocol on httptools does the reading, refuses conflicting lengths and queues pipelined requests. It has no
limit for heads and no clock until a request has come: both are here, with one look at all connections a second instead
of a timer for each.
"""

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spanishgas.serving.admission import Admission
from spanishgas.serving.observability import Observer
from spanishgas.serving.settings import ServingSettings

LOOK_TICKS = 10  # of a tenth of a second


@dataclass(frozen=True)
class Limits:
    """What a connection may do.

    Attributes:
        settings: The server's settings.
        observer: Told of what is refused.
        admission: Told of requests that arrive.
    """

    settings: ServingSettings
    observer: Observer
    admission: Admission


class Connection(HttpToolsProtocol):
    """A connection with limits; ``limited`` makes the class that uvicorn is given."""

    limits: Limits

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._waits_since: float | None = None  # for a head to end
        self._unread_since: float | None = None  # an answer, by the caller
        self._chunk = self._first = self._head = 0  # bytes: of what is read now, where a head began, and after that
        self._is_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a connection, unless there are too many."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        if len(self.connections) > self.limits.settings.max_connections:
            self._refuse(503, "connections", "there are too many connections", "retry-after: 1\r\n")

    def data_received(self, data: bytes) -> None:
        """Reads on; what of a head has come is counted until it ends."""
        if self.transport.is_closing():
            return
        if self._waits_since is None and (self.cycle is None or self.cycle.response_complete):
            self._waits_since = self.loop.time()
        self._chunk = len(data)
        self._head += self._chunk
        super().data_received(data)
        if self._waits_since is not None and self._head > self.limits.settings.max_head_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._waits_since, self._first, self._head = self.loop.time(), self._chunk, 0

    def on_headers_complete(self) -> None:
        """A head has ended; one that came at once is measured as a whole."""
        most = self.limits.settings.max_head_bytes
        # Most begin and end in one small piece, and need no counting.
        is_suspect = self._first + self._head > most
        self._is_large = is_suspect and len(self.url) + sum(len(n) + len(v) for n, v in self.headers) > most
        self._waits_since = None
        if self._is_large:
            raise ValueError("the parser ends here")
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.limits.admission.arriving += 1
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or not in one way only, is refused as everything else."""
        if self._is_large:
            self._refuse_head()
        else:
            self._refuse(400, "malformed", msg)

    def pause_writing(self) -> None:
        """The caller does not read what is sent."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """The caller has read on."""
        super().resume_writing()
        self._unread_since = None

    def look(self, now: float) -> None:
        """Ends the connection where somebody has been waited for too long."""
        settings = self.limits.settings
        if self.transport.is_closing() and self._unread_since is None:
            self._unread_since = now
        if self._unread_since is not None and now - self._unread_since > settings.idle_seconds:
            self.limits.observer.refused("unread")
            self.transport.abort()
        elif self._waits_since is not None and now - self._waits_since > settings.head_seconds:
            if self._chunk:
                self._refuse(408, "slow", f"the head did not end within {settings.head_seconds:g} s")
            else:  # opened and never used, as browsers do
                self.transport.close()

    def _refuse_head(self) -> None:
        self._refuse(431, "head_too_large", f"the head is larger than {self.limits.settings.max_head_bytes:,} bytes")

    def _refuse(self, status: int, code: str, text: str, more: str = "") -> None:
        if self.transport.is_closing():
            return
        self.limits.observer.refused(code)
        body = json.dumps({"error": text, "code": code}).encode()
        fixed = b"".join(name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n{more}"
        )
        # In the middle of another answer there is no way to say why.
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(head.encode() + fixed + b"\r\n" + body)
        self.transport.close()


def limited(limits: Limits) -> type[Connection]:
    """The class of connections with these limits."""
    return type(Connection.__name__, (Connection,), {"limits": limits})


class Uvicorn(uvicorn.Server):
    """uvicorn with a look at all connections a second; signals are MLServer's to handle."""

    async def on_tick(self, counter: int) -> bool:
        """Looks at the connections."""
        if counter % LOOK_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(now)
        return await super().on_tick(counter)

    def install_signal_handlers(self) -> None:
        """Installs none."""

    def capture_signals(self) -> Any:
        """Captures none."""
        from contextlib import nullcontext

        return nullcontext()
