"""What `ingest` and `silver` share about gates: their part of the report, and the memory of deliveries before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from spanishgas.config import QualitySettings
from spanishgas.contracts.silver import DELIVERY_FIGURES
from spanishgas.engine.store import Manifest, Publication, TableStore, read_frame, write_frame
from spanishgas.quality import Gate, Last, Verdict, render_verdicts, unneeded, verdicts_frame
from spanishgas.stages.base import Report

MEMORY = "silver/_meta/deliveries.parquet"
# Deliveries that are remembered: one to compare with, and some for a run date that is made again.
REMEMBERED = 40


def with_gates(
    report: Report, gates: Sequence[Gate[Any]], verdicts: Sequence[Verdict], settings: QualitySettings
) -> Report:
    """A report with what the gates found: a section, a table and a word in the headline."""
    failed = sum(not one.found.passed for one in verdicts)
    told = f"{len(verdicts) - failed} of {len(verdicts)} gates passed"
    idle = unneeded(gates, verdicts, settings)
    if idle:
        told += f" (accepted without having failed: {', '.join(idle)})"
    return replace(
        report,
        markdown=report.markdown.rstrip("\n") + "\n\n" + render_verdicts(gates, verdicts, settings),
        texts={**report.texts, "gates.csv": verdicts_frame(verdicts).to_csv(index=False)},
        headline=f"{report.headline}, {told}",
    )


def last_delivery(store: TableStore, run_date: str) -> Last | None:
    """The newest delivery before a run date that silver was published from, or None where none is remembered."""
    known = _memory(store)
    before = known[known["run_date"] < run_date]
    if before.empty:
        return None
    newest = str(before["run_date"].max())
    return Last(newest, before[before["run_date"] == newest].drop(columns="run_date"))


def remember(store: TableStore, manifest: Manifest) -> None:
    """Keeps the figures of what silver is published from."""
    run_date = manifest.tags["bronze_run_date"]
    (file,) = store.files(manifest, DELIVERY_FIGURES.name)
    with store.lock(Publication(layer="silver", name=Path(MEMORY).stem)):
        known = _memory(store)
        figures = pq.read_table(file, partitioning=None).to_pandas().assign(run_date=run_date)
        others = known[known["run_date"] != run_date]
        whole = pd.concat([others, figures], ignore_index=True) if len(others) else figures
        kept = sorted(whole["run_date"].unique())[-REMEMBERED:]
        ordered = whole[whole["run_date"].isin(kept)].sort_values(
            ["run_date", *DELIVERY_FIGURES.primary_key], ignore_index=True
        )
        if not ordered.equals(known):
            write_frame(store, MEMORY, ordered)


def _memory(store: TableStore) -> pd.DataFrame:
    known = read_frame(store, MEMORY)
    return pd.DataFrame(columns=["run_date", *DELIVERY_FIGURES.column_names]) if known is None else known
