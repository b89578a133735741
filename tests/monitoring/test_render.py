"""Reports in Evidently: same figures, small pages, and no connection opened."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spanishgas.errors import ConfigError
from spanishgas.monitoring.render import Page, render

ROOT = Path(__file__).resolve().parents[2]
# In a process of its own, where every way to a network is an error from the first import on.
CODE = """
import socket, sys, json
def refuse(*args, **kwargs):
    raise AssertionError(f"a connection was tried: {args}")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from tests.monitoring.worlds import baseline, customers, drift
from spanishgas.monitoring.drift_report import page
from spanishgas.monitoring.render import render
assert "evidently" not in sys.modules
moved = customers(1000, 2)
moved["tenure_days"] += 30
moved["sales_channel"] = moved["sales_channel"].replace("office", "</script><b>oficina</b>")
found = drift(baseline(customers(1000, 1)), moved)
first, second = (render(page(found, "v2")) for _ in range(2))
told = json.loads(first.json)
assert first.json == second.json
print(json.dumps({
    "bytes": len(first.html), "metrics": len(told["metrics"]), "tests": len(told["tests"]),
    "checks": len(found.checks), "nan": "NaN" in first.json, "pictures": first.html.count("plotly"),
    "statuses": {status: sum(one["status"] == status for one in told["tests"])
                 for status in ("SUCCESS", "FAIL", "WARNING", "ERROR")},
    "states": {str(k): int(v) for k, v in found.checks["state"].value_counts().items()},
    "roots": len(found.roots), "alarms": len(found.alarms),
    "values": {one["config"].get("name"): one["value"] for one in told["metrics"]},
    "psi": float(found.checks.set_index(["check", "subject"]).loc[("distribution", "tenure_days"), "value"]),
    "customers": "C000001" in first.html, "markup": "<b>oficina" in first.html or "oficina" not in first.html,
}))
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    home = tmp_path_factory.mktemp("home")
    environment = {key: value for key, value in os.environ.items() if key != "DO_NOT_TRACK"}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    # Nobody was given an identity for a telemetry that is off.
    assert [path for path in home.rglob("*") if path.is_file() and "telemetry" in str(path)] == []
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.drill
def test_every_check_is_a_metric_and_a_test(rendered: dict[str, object]) -> None:
    assert rendered["tests"] == rendered["checks"]
    assert rendered["metrics"] == rendered["checks"] + 1  # type: ignore[operator]
    states = rendered["states"]
    assert rendered["statuses"] == {
        "SUCCESS": states["ok"],  # type: ignore[index]
        "FAIL": rendered["roots"],
        "WARNING": rendered["alarms"] - rendered["roots"],  # type: ignore[operator]
        "ERROR": states["unknown"],  # type: ignore[index]
    }
    assert rendered["roots"] == 2
    assert rendered["values"]["distribution of tenure_days"] == rendered["psi"]  # type: ignore[index]
    assert rendered["values"]["distribution of market_gas_cost_eur_m3"] is None  # type: ignore[index]
    assert not rendered["nan"]


def test_a_page_is_small_and_holds_no_customers(rendered: dict[str, object]) -> None:
    assert rendered["bytes"] < 6 * 2**20  # type: ignore[operator]
    assert not rendered["customers"]
    assert not rendered["markup"]


def test_without_evidently_there_is_a_word_of_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evidently", None)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    with pytest.raises(ConfigError, match=r"monitoring.evidently: .* set monitoring.evidently=none"):
        render(Page("title", "", {}, {}, [], []))
