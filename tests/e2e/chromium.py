"""Headless Chromium, driven through its DevTools protocol: open, wait for what a page shows, type, click."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--window-size=1440,1000",
    "--remote-debugging-port=0",
)
PATIENCE = 60
# Resolves once an expression is true, whenever the page changes; rejects when patience is at its end.
WAIT = """new Promise((done, failed) => {{
  const met = () => {{ try {{ return ({condition}); }} catch (error) {{ return false; }} }};
  if (met()) return done(true);
  const watch = new MutationObserver(() => {{ if (met()) {{ watch.disconnect(); done(true); }} }});
  watch.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
  setTimeout(() => met() ? done(true) : failed(new Error('not within {seconds} s: ' + document.body.innerText)),
    {seconds} * 1000);
}})"""


def find_chromium() -> str | None:
    """Path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab.

    Attributes:
        asked: Addresses that the tab asked for, in order.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol and waits for its answer."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = self._receive()
            if "method" in told:
                self._events.append(told)
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                return dict(told["result"])

    def open(self, address: str) -> None:
        """Opens an address."""
        self.call("Page.navigate", url=address)

    def tell(self, expression: str) -> Any:
        """Value of an expression in the page, or of the promise that it is."""
        told = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"].get("exception", {}).get("description")
        return told["result"].get("value")

    def wait(self, condition: str) -> None:
        """Waits until an expression is true, on the next page where this one is left meanwhile."""
        for again in (True, True, False):
            try:
                self.tell(WAIT.format(condition=condition, seconds=PATIENCE))
                return
            except AssertionError as error:
                if not again or "navigated" not in str(error):
                    raise

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click_on(self, selector: str, *, dx: float | None = None, dy: float | None = None) -> None:
        """Clicks into an element: its middle, or so far from its upper left corner."""
        where = f"document.querySelector({json.dumps(selector)})"
        self.tell(f"{where}.scrollIntoView({{block: 'center'}})")
        box = self.tell(f"{where}.getBoundingClientRect().toJSON()")
        across, down = box["width"] / 2 if dx is None else dx, box["height"] / 2 if dy is None else dy
        self.click(box["x"] + across, box["y"] + down)

    def type(self, text: str) -> None:
        """Types into what has the focus, and Enter."""
        self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)

    def download(self, selector: str, folder: Path) -> Path:
        """Clicks on what downloads a file, and waits until it is there whole."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True)
        self._events.clear()
        self.click_on(selector)
        begun = self._wait_for("Browser.downloadWillBegin")
        self._wait_for("Browser.downloadProgress", state="completed")
        return folder / str(begun["suggestedFilename"])

    def _wait_for(self, method: str, **wanted: Any) -> dict[str, Any]:
        """The parameters of the first event of a kind, of those seen and those to come."""
        while True:
            for told in self._events:
                found = dict(told["params"])
                if told["method"] == method and all(found.get(name) == value for name, value in wanted.items()):
                    return found
            self._events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        told = json.loads(self._socket.recv(timeout=2 * PATIENCE))
        if told.get("method") == "Network.requestWillBeSent":
            self.asked.append(told["params"]["request"]["url"])
        return dict(told)

    def picture(self, file: Path) -> None:
        """What the window shows, as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browsing(chromium: str, profile: Path) -> Iterator[Page]:
    """A browser with one tab; it and its profile are gone at the end."""
    from websockets.sync.client import connect

    process = subprocess.Popen(
        [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("DevTools listening on"):
                port = line.split("127.0.0.1:")[1].split("/")[0]
                break
        else:
            raise AssertionError("Chromium ended before it was ready")
        with urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE) as answer:
            (tab, *_) = [one for one in json.load(answer) if one["type"] == "page"]
        with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
        if process.stderr is not None:
            process.stderr.close()
        shutil.rmtree(profile, ignore_errors=True)
