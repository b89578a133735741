"""The dashboard's door: who is let in, where they come out, and what browsers are told."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from spanishgas.dashboard import door
from spanishgas.dashboard.door import COOKIE, HEADERS, VALID_SECONDS, Door


class House:
    """A door before a page; ``now`` is the time of day."""

    def __init__(self, token: str | None = "open sesame") -> None:
        self.now, self.inside = 1000.0, 0
        self.door = Door(self.app, None if token is None else SecretStr(token), lambda: self.now)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOWALL")]})
        await send({"type": "http.response.body", "body": b"customers"})

    def ask(
        self, path: bytes = b"/", method: str = "GET", body: bytes = b"", query: bytes = b"", **headers: str
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        kind = "websocket" if method == "WS" else "http"
        scope = {
            "type": kind,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "method": method,
        }
        scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
        asyncio.run(self.door(scope, receive, send))
        if kind == "websocket":
            return (101 if sent[0]["type"] == "websocket.accept" else 403), {}, b""
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    def enter(self, **more: Any) -> dict[bytes, bytes]:
        status, headers, _ = self.ask(method="POST", body=b"token=open+sesame", **more)
        assert status == 303
        return headers


def test_without_the_token_nobody_sees_a_page_a_file_or_the_connection_that_draws() -> None:
    house = House()
    for path in (b"/", b"/customer", b"/static/a.js", b"/media/a.csv", b"/_stcore/host-config", b"/_stcore/health/x"):
        status, _, body = house.ask(path)
        assert status == 401
        assert b"customers" not in body
    assert house.ask(b"/_stcore/stream", "WS")[0] == 403
    assert house.inside == 0
    assert house.ask(b"/_stcore/health")[0] == 200


def test_who_gives_the_token_goes_on_and_is_known_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "WRONG_SECONDS", 0)
    house = House()
    assert house.ask(method="POST", body=b"token=open")[0] == 401
    headers = house.enter(path=b"/customer", query=b"date=2026-01-31")
    assert headers[b"location"] == b"/customer?date=2026-01-31"
    cookie, _, flags = headers[b"set-cookie"].decode().partition(";")
    assert "HttpOnly" in flags
    assert "SameSite=Lax" in flags
    assert "sesame" not in cookie
    assert house.ask(cookie=f"a=b; {cookie}")[0] == 200
    assert house.ask(b"/_stcore/stream", "WS", cookie=cookie)[0] == 101
    house.now += VALID_SECONDS + 1
    assert house.ask(cookie=cookie)[0] == 401


@pytest.mark.parametrize("value", ["", "9999999999", "9999999999.", "99999999999999999999.ab", "x.y", "-1.ab", "²."])
def test_a_cookie_of_ones_own_making_opens_nothing(value: str) -> None:
    assert House().ask(cookie=f"{COOKIE}={value}")[0] == 401


def test_a_cookie_of_another_token_opens_nothing() -> None:
    cookie = House().enter()[b"set-cookie"].decode().partition(";")[0]
    assert House("another token").ask(cookie=cookie)[0] == 401


@pytest.mark.parametrize("path", [b"//evil.example/", b"/\\evil.example", b"/a\r\nset-cookie: x", b"/%0d%0a"])
def test_nobody_is_led_elsewhere(path: bytes) -> None:
    assert House().enter(path=path)[b"location"] == b"/"


def test_programs_give_the_token_with_every_request_and_without_one_everybody_is_let_in() -> None:
    assert House().ask(authorization="Bearer open sesame")[0] == 200
    assert House().ask(authorization="Bearer open")[0] == 401
    assert House(None).ask()[0] == 200
    assert House(None).ask(b"/_stcore/stream", "WS")[0] == 101


def test_browsers_are_told_what_they_may_do_with_every_answer() -> None:
    for house, given in ((House(), {}), (House(None), {})):
        _, headers, _ = house.ask(**given)
        assert {name: headers[name] for name, _ in HEADERS} == dict(HEADERS)
        assert b"X-Frame-Options" not in headers
