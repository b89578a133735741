"""What a training set takes in memory: fitting on many rows, beside a quarter of them."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from spanishgas.config import XGBoostSettings
from spanishgas.models.fitting import fit
from spanishgas.models.rows import WINDOWS, Rows
from tests.benchmarks.harness import Case

ROWS = int(os.environ.get("ROWS", "400000"))
FEATURES = 84
TREES = 50
TABLE = "rows.parquet"
CASE = Case(
    name="train_rows",
    what=f"read and fit {ROWS:,} rows of {FEATURES} features, {TREES} trees",
    reference="a quarter of the rows",
    repeats=1,
)
SETTINGS = XGBoostSettings(rounds=TREES, stop_after=TREES)


def prepare(folder: Path) -> None:
    """Rows of which one in twenty leaves, in the columns of a training set."""
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {f"f{number}": rng.normal(size=ROWS) for number in range(FEATURES)}
    hazard = 1 / (1 + np.exp(4.2 - 0.5 * np.asarray(columns["f0"])))
    windows = (rng.uniform(size=(ROWS, len(WINDOWS))) < hazard[:, None]).astype(float)
    windows[(np.cumsum(windows, axis=1) - windows) > 0] = np.nan
    table = pd.DataFrame(
        {
            "customer_id": [f"C{number}" for number in range(ROWS)],
            "as_of": pd.Timestamp("2025-01-31"),
            "split": np.where(np.arange(ROWS) % 10 == 0, "valid", "train"),
            "left_horizon": (np.nansum(windows, axis=1) > 0).astype(float),
            **{f"left_{name}": windows[:, place] for place, name in enumerate(WINDOWS)},
            **{f"weight_{name}": 1.0 for name in WINDOWS},
            **columns,
        }
    )
    table.to_parquet(folder / TABLE, index=False, row_group_size=ROWS // 4)


def _fit(table: pd.DataFrame) -> None:
    rows = Rows.of(table)
    fit(SETTINGS, {}, rows.of_split("train"), rows.of_split("valid"), threads=2)


def run(folder: Path) -> None:
    _fit(pd.read_parquet(folder / TABLE))


def reference(folder: Path) -> None:
    import pyarrow.parquet as pq

    _fit(pq.ParquetFile(folder / TABLE).read_row_group(0).to_pandas())
