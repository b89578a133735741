"""Drift of 200,000 customers x 84 features: counting, every check, the report in Evidently."""

from datetime import date
from pathlib import Path

import pandas as pd

from spanishgas.monitoring.baseline import Baseline
from tests.benchmarks.harness import Case
from tests.monitoring.worlds import baseline, customers, drift

CASE = Case(
    name="drift",
    what="drift of 200,000 customers x 84 features against a baseline: counts, 203 checks, the page in Evidently",
    reference="imports, and reading the same file",
    limit=3.0,
)
ROWS = 200_000
MAX_PAGE_MIB = 6.0


def prepare(folder: Path) -> None:
    (folder / "baseline.json").write_text(baseline(customers(20_000, 1), date(2025, 1, 31)).to_json())
    customers(ROWS, 2).to_parquet(folder / "today.parquet")


def run(folder: Path) -> None:
    from spanishgas.monitoring.drift_report import page
    from spanishgas.monitoring.render import render

    told = Baseline.from_json((folder / "baseline.json").read_text(), "here")
    found = drift(told, pd.read_parquet(folder / "today.parquet"))
    drawn = render(page(found, "version 1"))
    assert len(drawn.html) < MAX_PAGE_MIB * 2**20


def reference(folder: Path) -> None:
    import evidently  # noqa: F401

    pd.read_parquet(folder / "today.parquet")
