"""Batch scoring of two million customers from their features on disk, beside one frame of a tenth of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import EngineSettings
from spanishgas.engine.session import open_engine
from spanishgas.scoring.batch import ranked, score_table
from tests.benchmarks.harness import Case
from tests.benchmarks.models import prepare_model, prepared_model

CUSTOMERS = 2_000_000
PART = 10
CHUNK_ROWS = 50_000
WIDE = "wide.parquet"
CASE = Case(
    name="batch_score",
    what="score 2,000,000 customers from Parquet to Parquet, ranked and sorted",
    reference="200,000 of them read into one frame, scored at once, sorted",
    repeats=1,
    limit=12.0,
    limit_mib=4096,
)


def prepare(folder: Path) -> None:
    """Repeats the demo's customers under other names, in row groups as they are published."""
    prepare_model(folder)
    _, features = prepared_model(folder)
    table = pa.Table.from_pandas(features, preserve_index=False)
    rows = len(features)
    with pq.ParquetWriter(folder / WIDE, table.schema.append(pa.field("customer_id", pa.string()))) as writer:
        for start in range(0, CUSTOMERS, rows):
            ids = np.char.mod("C%08d", np.arange(start, start + rows))
            writer.write_table(table.append_column("customer_id", pa.array(ids)), row_group_size=122_880)


def run(folder: Path) -> None:
    model, _ = prepared_model(folder)
    with open_engine(EngineSettings(), folder / "scratch") as engine:
        features = engine.scan([folder / WIDE])
        scored, _ = score_table(engine, features, model.model.columns_, model.predict, CHUNK_ROWS, lambda _: None)
        engine.write(ranked(scored), folder / "scores.parquet", order_by=["customer_id"])


def reference(folder: Path) -> None:
    model, _ = prepared_model(folder)
    frame = pq.read_table(folder / WIDE).slice(0, CUSTOMERS // PART).to_pandas()
    scores = model.predict(frame).assign(customer_id=frame["customer_id"])
    scores["risk_rank"] = scores["risk"].rank(ascending=False, method="first").astype(np.int64)
    pd.DataFrame(scores).sort_values("customer_id").to_parquet(folder / "whole.parquet")
