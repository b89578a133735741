"""Every page of the dashboard for 20,000 customers, drawn twice without a browser, beside its start."""

import importlib
import os
from pathlib import Path

from spanishgas.config import TrackingSettings
from spanishgas.dashboard.__main__ import load
from spanishgas.registry import Reader
from tests.benchmarks.harness import Case
from tests.dashboard import worlds

CUSTOMERS, DAYS = 20_000, 60
CASE = Case(
    name="dashboard",
    what="draw seven pages of the dashboard for 20,000 customers, the first time and again",
    reference="load what pages need, and ask the registry once",
    limit=4.0,
    limit_mib=1024,
)


def prepare(folder: Path) -> None:
    run_id = worlds.make_registry(_tracking(folder))
    worlds.publish_retailer(folder / "data", run_id=run_id, customers=CUSTOMERS, days=DAYS)
    for day in worlds.RUN_DATES:
        worlds.publish_monitoring(folder / "data", day, run_id=run_id)


def run(folder: Path) -> None:
    reference(folder)
    from spanishgas.dashboard.views import VIEWS
    from spanishgas.dashboard.without_browser import page

    os.environ["SPANISHGAS_DATA_ROOT"] = str(folder / "data")
    os.environ["MLFLOW_TRACKING_URI"] = _tracking(folder).uri
    for _ in range(2):
        for entry in VIEWS:
            drawn = page(entry.name, timeout=300).run()
            assert not drawn.exception
            assert not drawn.error, [one.value for one in drawn.error]


def reference(folder: Path) -> None:
    load()
    importlib.import_module("spanishgas.dashboard.without_browser")
    assert len(Reader(_tracking(folder)).versions("churn")) == 3


def _tracking(folder: Path) -> TrackingSettings:
    return TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "mlruns", experiment="spanishgas"
    )
