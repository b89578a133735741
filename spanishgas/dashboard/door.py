"""The dashboard's door: a token where one is set, and what browsers may do with a page.

Everything passes it, the connection that draws the pages too. A browser gives the token once, in a form, and is known
by a cookie that holds a signature and not the token; a program gives it as a bearer token.
"""

import asyncio
import hmac
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

from pydantic import SecretStr

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "spanishgas_door"
VALID_SECONDS = 12 * 3600
# A wrong token is answered this late, so that trying many takes long.
WRONG_SECONDS = 1.0
MOST_FORM_BYTES = 4096
HEALTH = "/_stcore/health"
ADDRESS = re.compile(rb"/[A-Za-z0-9._~/-]*")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    # Charts and tables are drawn by scripts that are made while the page runs; they come from here, and call here only.
    (
        b"content-security-policy",
        b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        b"style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        b"form-action 'self'; frame-ancestors 'self'",
    ),
]
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:22rem;margin:18vh auto;padding:0 1rem;color-scheme:light dark}"
    "input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.3rem 0}"
)
PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    f"<title>SpanishGas</title><style>{STYLE}</style><h1>SpanishGas</h1><form method=post><label>Token"
    "<input type=password name=token autofocus autocomplete=current-password></label>"
    "<button>Open / Abrir</button></form><p>"
)
WRONG = "That is not the token. / No es el token."


class Door:
    """Middleware around the whole dashboard.

    Args:
        app: The dashboard.
        token: What callers must know; None lets everybody in.
        clock: Seconds since 1970.
    """

    def __init__(self, app: App, token: SecretStr | None, clock: Callable[[], float] = time.time) -> None:
        self._app, self._clock = app, clock
        self._token = None if token is None else token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, asks for the token, or refuses."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in HEADERS}
                kept = [one for one in message.get("headers", ()) if one[0].lower() not in ours]
                message["headers"] = [*kept, *HEADERS]
            await send(message)

        if scope["path"] == HEALTH or self._knows(scope):
            await self._app(scope, receive, guarded)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["method"] == "POST":
            await self._enter(scope, receive, guarded)
        else:
            await _answer(guarded, 401, PAGE)

    def _knows(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        headers = dict(scope["headers"])
        if hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
            return True
        for part in headers.get(b"cookie", b"").split(b";"):
            name, _, value = part.strip().partition(b"=")
            until = value.partition(b".")[0]
            if name == COOKIE.encode() and until.isdigit() and len(until) < 12 and int(until) >= self._clock():
                return hmac.compare_digest(value, self._signed(int(until)))
        return False

    def _signed(self, until: int) -> bytes:
        assert self._token is not None
        return b"%d.%s" % (until, hmac.new(self._token, b"dashboard %d" % until, sha256).hexdigest().encode())

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes the form; who knows the token goes on to where they wanted to."""
        body, more = b"", True
        while more and len(body) <= MOST_FORM_BYTES:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        given = parse_qs(body[:MOST_FORM_BYTES].decode("latin-1")).get("token", [""])[0]
        if not hmac.compare_digest(given.encode(), self._token or b""):
            await asyncio.sleep(WRONG_SECONDS)
            await _answer(send, 401, PAGE + WRONG)
            return
        cookie = f"{COOKIE}={self._signed(int(self._clock()) + VALID_SECONDS).decode()}; Max-Age={VALID_SECONDS}"
        cookie += "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if scope.get("scheme") == "https" else "")
        # A path of this server only: with two slashes it would be another one's.
        path = scope.get("raw_path", b"/")
        known = path if ADDRESS.fullmatch(path) and not path.startswith(b"//") else b"/"
        query = scope.get("query_string", b"")
        there = known + (b"?" + query if query else b"")
        await _answer(send, 303, "", (b"location", there), (b"set-cookie", cookie.encode()))


async def _answer(send: Send, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(b"cache-control", b"no-store"), (b"connection", b"close"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
