"""Batch scoring: a table of features through a model, a chunk of customers at a time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from spanishgas.domain.survival import OUTLOOK
from spanishgas.engine.chunks import Chunk
from spanishgas.engine.session import Engine

WINDOWS = ("hazard_0_30", "hazard_30_60", "hazard_60_90")
NUMBERS = ("risk", *WINDOWS, *OUTLOOK)
SCHEMA = pa.schema([("customer_id", pa.string()), *((name, pa.float64()) for name in NUMBERS)])

Predict = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Latency:
    """How long the model took.

    Attributes:
        parts: Rows and seconds of each call, reading apart; calls may run side by side.
    """

    parts: list[tuple[int, float]] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float]:
        """How long a thousand rows took, in the middle call and in a slow one; nothing without rows."""
        if not self.parts:
            return {}
        rows, seconds = np.array(self.parts).T
        per_thousand = 1e6 * seconds / rows
        return {
            "latency_ms_per_thousand_p50": float(np.median(per_thousand)),
            "latency_ms_per_thousand_p95": float(np.quantile(per_thousand, 0.95)),
        }


def score_table(
    engine: Engine,
    features: ir.Table,
    columns: Sequence[str],
    predict: Predict,
    rows: int,
    progress: Callable[[int], None],
) -> tuple[ir.Table, Latency]:
    """Scores of a table from ``Engine.scan``; what is in memory at a time does not grow with the table.

    Args:
        engine: The session that scanned it.
        features: ``customer_id`` and the model's features.
        columns: The features that are read.
        predict: Features -> ``risk``, the hazards that the model tells, and the outlook.
        rows: Rows given to the model at a time. No score depends on it.
        progress: Told how many rows are scored.

    Returns:
        Rows of ``SCHEMA``, and how long the model took; what it does not tell is null.
    """
    latency = Latency()

    def heard(calls: list[tuple[int, float]], done: int) -> None:
        latency.parts.extend(calls)
        progress(done)

    scored = engine.map_to_table(features, ["customer_id", *columns], _Scoring(predict, rows), SCHEMA, heard)
    return scored, latency


class _Scoring:
    """Scores the rows of a chunk; an object, because a worker can be handed it."""

    def __init__(self, predict: Predict, rows: int) -> None:
        self.predict, self.rows = predict, rows

    def __call__(self, chunk: Chunk) -> tuple[pa.Table, list[tuple[int, float]]]:
        calls: list[tuple[int, float]] = []
        parts = [_score(part, self.predict, calls) for part in _parts(chunk.batch, self.rows)]
        return pa.concat_tables(parts) if parts else SCHEMA.empty_table(), calls


def ranked(scored: ir.Table) -> ir.Table:
    """Scores with ``risk_rank``: 1 for the riskiest; of equal risks, by customer."""
    rank = ibis.row_number().over(order_by=[scored.risk.desc(), scored.customer_id]) + 1
    return scored.mutate(risk_rank=rank.cast("int64"))


def _parts(batch: pa.RecordBatch, rows: int) -> Iterator[pd.DataFrame]:
    for start in range(0, batch.num_rows, rows):
        frame = batch.slice(start, rows).to_pandas()
        for name in frame.columns[frame.dtypes == "category"]:
            frame[name] = frame[name].astype(object)
        yield frame


def _score(frame: pd.DataFrame, predict: Predict, calls: list[tuple[int, float]]) -> pa.Table:
    started = time.perf_counter()
    told = predict(frame.drop(columns="customer_id"))
    calls.append((len(frame), time.perf_counter() - started))
    count = len(frame)
    arrays = [pa.array(frame["customer_id"], pa.string())]
    arrays += [
        pa.array(told[name].to_numpy(np.float64), from_pandas=True) if name in told else pa.nulls(count, pa.float64())
        for name in NUMBERS
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
