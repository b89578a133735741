"""Seconds from a click to a page, in a real browser, with 20,000 customers: `python -m tests.benchmarks.page_times`."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from spanishgas.config import TrackingSettings
from spanishgas.dashboard.views import VIEWS
from tests.benchmarks.harness import ROOT
from tests.dashboard import worlds
from tests.e2e.chromium import Page, browsing, find_chromium

HEADS = {"at_risk": "Clientes en riesgo"}
CUSTOMERS, DAYS, ROUNDS = 20_000, 60, 5
STOPPED = "document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'"


def main() -> int:
    chromium = find_chromium()
    if chromium is None:
        print("Chromium is not installed", file=sys.stderr)
        return 2
    with TemporaryDirectory(prefix="pages-", dir=_scratch()) as scratch:
        folder = Path(scratch)
        environment = _prepare(folder)
        started = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "spanishgas.dashboard"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            address = next(line.partition("URL:")[2].strip() for line in server.stdout if "URL:" in line)
            print(f"{'address told after':34}{time.perf_counter() - started:6.2f} s")
            with browsing(chromium, folder / "profile") as page:
                _measure(page, address)
        finally:
            server.terminate()
            server.wait()
    return 0


def _prepare(folder: Path) -> dict[str, str]:
    tracking = TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "mlruns", experiment="spanishgas"
    )
    run_id = worlds.make_registry(tracking)
    worlds.publish_retailer(folder / "data", run_id=run_id, customers=CUSTOMERS, days=DAYS)
    for day in worlds.RUN_DATES:
        worlds.publish_monitoring(folder / "data", day, run_id=run_id)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        **os.environ,
        "PORT": str(port),
        "SPANISHGAS_DATA_ROOT": str(folder / "data"),
        "MLFLOW_TRACKING_URI": tracking.uri,
    }


def _measure(page: Page, address: str) -> None:
    """The first page, then every page by a click in the navigation: the first time, and the median of later times."""
    started = time.perf_counter()
    page.open(f"{address}/?lang=es")
    page.wait(f"document.querySelectorAll('[data-testid=stMetric]').length === 6 && {STOPPED}")
    print(f"{'first page':34}{time.perf_counter() - started:6.2f} s")
    times: dict[str, list[float]] = {entry.name: [] for entry in VIEWS}
    for _ in range(ROUNDS + 1):
        for entry in (*VIEWS[1:], VIEWS[0]):
            title, head = entry.titles[1], HEADS.get(entry.name, entry.titles[1])
            started = time.perf_counter()
            links = "[...document.querySelectorAll('[data-testid=stSidebarNavLink]')]"
            page.tell(f"{links}.find(link => link.innerText.includes('{title}')).click()")
            page.wait(f"document.querySelector('h1')?.innerText === '{head}' && {STOPPED}")
            times[entry.name].append(time.perf_counter() - started)
    for name, (first, *later) in times.items():
        print(f"{name:20}first {first:8.2f} s   again {statistics.median(later):6.2f} s")


def _scratch() -> Path:
    folder = ROOT / "data" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    shutil.rmtree(_scratch() / "pages", ignore_errors=True)
    raise SystemExit(main())
