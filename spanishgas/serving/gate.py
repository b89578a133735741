"""What every request passes before it reaches a handler: size, encoding, token, room, deadline; and what it leaves."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from spanishgas.serving.admission import LATER, Admission
from spanishgas.serving.errors import GENERIC, KIND, REQUEST_ID, problem
from spanishgas.serving.observability import Observer
from spanishgas.serving.settings import ServingSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = ("/v2/health/live", "/v2/health/ready")
PLAIN = (b"identity", b"")
CONTROL = re.compile(r"^/v2/repository/models/[^/]+/(load|unload)$|^/admin/")
KNOWN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ROUTES = (
    (re.compile(r"^/score$"), "/score"),
    (re.compile(r"^/v2/models/[^/]+(/versions/[^/]+)?/infer$"), "/v2/models/infer"),
    (re.compile(r"^/v2/health/"), "/v2/health"),
    (re.compile(r"^/v2(/|$)"), "/v2"),
    (re.compile(r"^/(docs|openapi\.json)$"), "/docs"),
    (re.compile(r"^/admin/"), "/admin"),
)
log = logging.getLogger("spanishgas.serving")


@dataclass(frozen=True)
class Refusal:
    """Why a request goes no further, and what its caller is told."""

    kind: str
    response: Response


class Gate:
    """Middleware around the whole application.

    The body is read here, up to its limit, before anything looks at it: chunked or not, a caller cannot make the server
    hold more than that. Compressed bodies are refused unread.

    Then whoever has arrived by now is counted before anybody is answered: beyond the number that may wait, callers are
    told to come again while that still costs little, instead of all being answered late.

    Args:
        app: The application.
        settings: Limits.
        observer: Told of every request.
        admission: Tokens, rates and room.
    """

    def __init__(self, app: App, settings: ServingSettings, observer: Observer, admission: Admission) -> None:
        self._app, self._settings, self._observer, self._admission = app, settings, observer, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        self._admission.arriving -= 1
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if KNOWN_ID.fullmatch(given) else uuid4().hex
        route = next((name for pattern, name in ROUTES if pattern.match(scope["path"])), "other")
        status, kind, is_begun = 500, "", False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status, is_begun
            if message["type"] == "http.response.start":
                status, is_begun = int(message["status"]), True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        refusal, is_inside = self._refusal(scope, headers), False
        clock = asyncio.timeout(self._settings.body_seconds)
        try:
            async with clock:
                body = b""
                if refusal is None:
                    body, refusal = await self._body(headers, receive)
                if refusal is None and scope["path"] not in HEALTH:
                    is_inside = self._admission.enter()
                    refusal = None if is_inside else _overloaded()
                if refusal is None:
                    if self._admission.arriving:  # they are counted before this one is answered
                        await asyncio.sleep(0)
                    clock.reschedule(asyncio.get_running_loop().time() + self._settings.deadline_seconds)
                    scope[REQUEST_ID] = request_id
                    await self._app(scope, _replay(body, receive), answer)
                    kind = scope.get(KIND, "") or ("" if status < 400 else f"http_{status}")
        except asyncio.CancelledError:
            kind = "cancelled"
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and clock.expired():
                refusal = _late(self._settings.deadline_seconds) if is_inside else _slow(self._settings.body_seconds)
            else:
                log.exception("a request failed", extra={"facts": {"request_id": request_id, "route": route}})
                refusal = Refusal("internal", problem(500, "internal", GENERIC, request_id=request_id))
            kind, status = refusal.kind, refusal.response.status_code
        finally:
            if is_inside:
                self._admission.leave()
            try:
                if refusal is not None:
                    kind = refusal.kind
                    if not is_begun:
                        await refusal.response(scope, receive, answer)
            finally:
                self._observer.request(route, status, time.perf_counter() - started, request_id, kind)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Refusal | None:
        """Why a request is refused before its body is looked at."""
        path = scope["path"]
        given = headers.get(b"authorization", b"")
        if CONTROL.match(path):
            if not self._admission.has_admin:
                return Refusal("refused", problem(403, "refused", "control calls are off"))
            if not self._admission.is_admin(given):
                return _unauthorised()
        elif path not in HEALTH:
            caller = self._admission.caller(given, (scope.get("client") or ("",))[0])
            if caller is None:
                return _unauthorised()
            if not self._admission.rate.takes(caller):
                return Refusal("rate", problem(429, "rate", "too many requests; come again later", headers=LATER))
        # Of a header that stands twice every value counts: who reads the body may go by another one.
        if any(name == b"content-encoding" and value.strip().lower() not in PLAIN for name, value in scope["headers"]):
            text = "compressed bodies are not taken; send the body as it is"
            headers_back = {"accept-encoding": "identity", "connection": "close"}
            return Refusal("compressed", problem(415, "compressed", text, headers=headers_back))
        return None

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> tuple[bytes, Refusal | None]:
        most = self._settings.max_body_bytes
        told = headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told) > most:
            return b"", _too_large(most)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"", Refusal("disconnected", problem(400, "disconnected", "the caller has gone"))
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                return b"", _too_large(most)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts), None


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _unauthorised() -> Refusal:
    text = "a bearer token is needed"
    return Refusal("unauthorised", problem(401, "unauthorised", text, headers={"www-authenticate": "Bearer"}))


def _too_large(most: int) -> Refusal:
    text = f"the body is larger than {most:,} bytes"
    return Refusal("too_large", problem(413, "too_large", text, headers={"connection": "close"}))


def _slow(seconds: float) -> Refusal:
    text = f"the body did not arrive within {seconds:g} s"
    return Refusal("slow", problem(408, "slow", text, headers={"connection": "close"}))


def _overloaded() -> Refusal:
    return Refusal("overloaded", problem(503, "overloaded", "too many requests at a time; come again", headers=LATER))


def _late(seconds: float) -> Refusal:
    text = f"there was no answer within {seconds:g} s; ask for fewer customers, or come again"
    return Refusal("late", problem(503, "late", text, headers=LATER))
