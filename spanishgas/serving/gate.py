"""What every request passes before it reaches a handler: size, encoding, token, request id; and what it leaves."""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from starlette.responses import Response

from spanishgas.serving.errors import GENERIC, KIND, REQUEST_ID, problem
from spanishgas.serving.observability import Observer
from spanishgas.serving.settings import ServingSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS = 15.0
HEALTH = ("/v2/health/live", "/v2/health/ready")
CONTROL = re.compile(r"^/v2/repository/models/[^/]+/(load|unload)$|^/admin/")
KNOWN_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
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

    Args:
        app: The application.
        settings: Limits and tokens.
        observer: Told of every request.
    """

    def __init__(self, app: App, settings: ServingSettings, observer: Observer) -> None:
        self._app, self._settings, self._observer = app, settings, observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if KNOWN_ID.match(given) else uuid4().hex
        route = next((name for pattern, name in ROUTES if pattern.match(scope["path"])), "other")
        status, kind, is_begun = 500, "", False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status, is_begun
            if message["type"] == "http.response.start":
                status, is_begun = int(message["status"]), True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            body, refusal = b"", self._refusal(scope, headers)
            if refusal is None:
                body, refusal = await self._body(headers, receive)
            if refusal is not None:
                kind = refusal.kind
                await refusal.response(scope, receive, answer)
                return
            scope[REQUEST_ID] = request_id
            await self._app(scope, _replay(body, receive), answer)
            kind = scope.get(KIND, "") or ("" if status < 400 else f"http_{status}")
        except asyncio.CancelledError:
            kind = "cancelled"
            raise
        except Exception:
            log.exception("a request failed", extra={"facts": {"request_id": request_id, "route": route}})
            status, kind = 500, "internal"
            if not is_begun:
                await problem(500, "internal", GENERIC, request_id=request_id)(scope, receive, answer)
        finally:
            self._observer.request(route, status, time.perf_counter() - started, request_id, kind)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Refusal | None:
        """Why a request is refused before its body is looked at."""
        path = scope["path"]
        settings = self._settings
        if CONTROL.match(path):
            if settings.admin_token is None:
                return Refusal("refused", problem(403, "refused", "control calls are off"))
            if not _has(headers, settings.admin_token):
                return _unauthorised()
        elif settings.token is not None and path not in HEALTH and not _has(headers, settings.token):
            return _unauthorised()
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"identity", b""):
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
        try:
            async with asyncio.timeout(BODY_SECONDS):
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
        except TimeoutError:
            text = f"the body did not arrive within {BODY_SECONDS:.0f} s"
            return b"", Refusal("slow", problem(408, "slow", text, headers={"connection": "close"}))


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _has(headers: dict[bytes, bytes], token: SecretStr) -> bool:
    wanted = f"Bearer {token.get_secret_value()}".encode()
    return hmac.compare_digest(headers.get(b"authorization", b""), wanted)


def _unauthorised() -> Refusal:
    text = "a bearer token is needed"
    return Refusal("unauthorised", problem(401, "unauthorised", text, headers={"www-authenticate": "Bearer"}))


def _too_large(most: int) -> Refusal:
    text = f"the body is larger than {most:,} bytes"
    return Refusal("too_large", problem(413, "too_large", text, headers={"connection": "close"}))
