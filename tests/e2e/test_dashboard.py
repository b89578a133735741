"""The dashboard in a real browser, from the risk list to a customer and the recommendation; and on a real decision."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest

from spanishgas.dashboard.data import RECOMMENDED, Published
from spanishgas.dashboard.formatting import Format
from spanishgas.dashboard.views import VIEWS
from spanishgas.dashboard.what_if import basis_of, options_of
from spanishgas.stages import recommend
from tests.dashboard import worlds
from tests.e2e.chromium import browsing, find_chromium
from tests.e2e.worlds import Retailer

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = find_chromium()
READY = "URL:"
TOKEN = "open sesame"
# What the page's own policy keeps it from, told by the browser.
WATCH = (
    "window.kept = []; document.addEventListener('securitypolicyviolation', "
    "event => window.kept.push(`${event.violatedDirective} ${event.blockedURI}`))"
)
STOPPED = "document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state') === 'notRunning'"


@pytest.fixture
def address(tmp_path: Path, empty_store: Path) -> Iterator[str]:
    """A dashboard on published tables, started as `make dashboard` does."""
    worlds.make_shop(tmp_path, empty_store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PORT": str(port),
        "SPANISHGAS_DASHBOARD_TOKEN": TOKEN,
        "SPANISHGAS_DATA_ROOT": str(tmp_path / "data"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "spanishgas.dashboard"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if READY in line:
                break
        told = line.partition(READY)[2].strip()
        assert told == f"http://127.0.0.1:{port}"
        yield told
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.drill
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_from_the_risk_list_to_a_customer_and_the_recommendation(address: str, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    (file,) = (tmp_path / "data" / "gold" / "recommendations" / f"run_date={worlds.NEWEST}").glob("*.parquet")
    table = pd.read_parquet(file, partitioning=None)
    one = table[table["action"] != "none"].sort_values("expected_margin_impact").iloc[-1]
    fmt = Format("es")
    with browsing(CHROMIUM, tmp_path / "profile") as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        page.open(f"{address}/at-risk?lang=es")
        page.wait("document.querySelector('input[type=password]')")
        page.click_on("input[type=password]")
        page.type(TOKEN)
        page.click_on("form button")
        page.wait(f"{STOPPED} && document.querySelector('[data-testid=stDataFrame] canvas td')")
        assert page.tell("document.querySelector('h1').innerText") == "Clientes en riesgo"
        # What the canvas shows is told to screen readers too, as plain values.
        cells = page.tell("[...document.querySelectorAll('[data-testid=stDataFrame] canvas td')].map(c => c.innerText)")
        riskiest = table.sort_values("risk_score").iloc[-1]
        assert cells[:2] == [riskiest["customer_id"], f"{riskiest['risk_score']:.3f}"]
        # By this tables write numbers and dates.
        assert page.tell("navigator.languages") == ["es-ES"]
        file = page.download("[data-testid=stDownloadButton] button", tmp_path)
        assert file.name == f"en-riesgo-demo-{worlds.NEWEST}.csv"
        exported = pd.read_csv(file, sep=";", decimal=",")
        wanted = table.sort_values(["risk_score", "customer_id"], ascending=[False, True])
        assert exported["Cliente"].tolist() == wanted["customer_id"].tolist()
        assert exported["Riesgo"].tolist() == wanted["risk_score"].round(3).tolist()
        page.click_on("[data-testid=stTextInput] input[aria-label='El código contiene']")
        page.type(one["customer_id"])
        page.wait(f"{STOPPED} && document.body.innerText.includes('1 de {len(table)} clientes')")
        first = "document.querySelector('[data-testid=stDataFrame] canvas td')?.innerText"
        page.wait(f"{first} === '{one['customer_id']}'")
        page.click_on("[data-testid=stDataFrame] canvas", dx=20, dy=36 + 18)  # the box before the first row
        page.wait(f"document.querySelector('h1')?.innerText === 'Cliente' && {STOPPED}")
        assert page.tell("new URL(location).pathname") == "/customer"
        assert page.tell("document.querySelector('[data-testid=stTextInput] input').value") == one["customer_id"]
        page.wait("document.querySelectorAll('[data-testid=stMetricValue]').length >= 7")
        figures = page.tell("[...document.querySelectorAll('[data-testid=stMetricValue]')].map(c => c.innerText)")
        action = {"small": "Oferta pequeña", "medium": "Oferta mediana", "large": "Oferta grande"}[one["action"]]
        brings = fmt.eur(one["expected_margin_impact"], 2)
        assert figures[:5] == [
            fmt.pct(one["risk_score"]),
            fmt.eur(one["expected_margin_month"], 2),
            f"{fmt.number(one['expected_months'], 1)} meses",
            action,
            brings,
        ]
        assert figures[5] == brings  # the what-if, with nothing changed
        for wrong in ("stException", "stAlertContentError"):
            assert page.tell(f"document.querySelectorAll('[data-testid={wrong}]').length") == 0
        for entry in VIEWS:
            page.open(f"{address}/{entry.name.replace('_', '-')}?lang=es")
            page.wait(f"document.querySelector('h1') && {STOPPED}")
            assert page.tell("window.kept") == [], entry.name
        asked = {urlsplit(one).hostname for one in page.asked if one.startswith("http")}
    assert asked == {"127.0.0.1"}  # nothing leaves this machine


@pytest.mark.decided
def test_a_what_if_with_nothing_changed_is_the_decision(retailer: Retailer) -> None:
    """With a champion, a response learned from campaigns and features, none of them made for this test."""
    outcome = retailer.run(recommend.STAGE)
    published, manifest = Published(retailer.root), outcome.manifests[0]
    assert manifest.tags["response"] == "learned"
    day = pd.Timestamp(manifest.publication.value).date()
    assert published.manifest(RECOMMENDED, day).content_hash == manifest.content_hash
    table = retailer.table(outcome, "recommendations")
    planned = table[table["planned_action"] != "none"]
    assert len(planned) > 3
    for _, row in planned.head(12).iterrows():
        options = options_of(basis_of(published, manifest, row), channel=row["planned_channel"])
        one = options[(options["action"] == row["planned_action"]) & (options["window"] == row["planned_window"])]
        assert one["value"].item() == pytest.approx(row["planned_margin_impact"], abs=1e-3)
        assert one["vetoes"].item() == ()
