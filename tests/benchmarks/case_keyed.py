"""Laying out two million customers for look-ups, beside reading the same Parquet into memory."""

import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from spanishgas.engine.keyed import KeyedTable, build_keyed
from tests.benchmarks.case_batch_score import CUSTOMERS, WIDE, prepare
from tests.benchmarks.harness import Case

LOOKUPS = 200_000
CASE = Case(
    name="keyed",
    what="lay out 2,000,000 customers x 80 features, open them, find 200,000",
    reference="the same Parquet read into one Arrow table",
    repeats=1,
    limit_mib=4096,
)
__all__ = ["CASE", "prepare", "reference", "run"]


def run(folder: Path) -> None:
    started = time.perf_counter()
    build_keyed([folder / WIDE], folder / "keyed")
    built = time.perf_counter()
    table = KeyedTable.open(folder / "keyed")
    opened = time.perf_counter()
    wanted = [f"C{number:08d}" for number in np.random.default_rng(0).integers(0, CUSTOMERS, LOOKUPS)]
    looked = time.perf_counter()
    total = 0.0
    for one in wanted:
        row = table.find(one)
        assert row >= 0
        total += float(np.nansum(table.numbers[row]))
    done = time.perf_counter()
    assert np.isfinite(total)
    print(
        f"  laid out in {built - started:.1f} s, opened in {1000 * (opened - built):.0f} ms, found and read in "
        f"{1e6 * (done - looked) / LOOKUPS:.1f} us each"
    )


def reference(folder: Path) -> None:
    assert pq.read_table(folder / WIDE).num_rows == CUSTOMERS
