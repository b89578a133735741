"""One more day on two years of readings: landed, cleaned and made features of, beside the whole load with that day."""

import os
import resource
import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb
from rich.console import Console

from spanishgas.config import Settings, TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, features, ingest, silver
from spanishgas.stages.base import Stage
from spanishgas.stages.runner import run_stage
from tests.benchmarks.harness import Case
from tests.support import settings_at

CUSTOMERS = int(os.environ.get("CUSTOMERS", "3000"))
CASE = Case(
    name="new_day",
    what=f"one new day of {CUSTOMERS:,} customers: ingest, silver, features of one date",
    reference="ingest, silver and features of one date for two years with that day",
    repeats=1,
)
DAY_BEFORE, DAY = date(2026, 1, 30), date(2026, 1, 31)
QUIET = Console(quiet=True)


def prepare(folder: Path) -> None:
    made = _settings(folder / "before", DAY)
    run_stage(demo_data.STAGE, made, _tracker(folder / "before"), console=QUIET)
    current = folder / "before" / "data" / "raw" / "current"
    whole = current / "consumption_hourly"
    by_month = folder / "readings"
    by_month.mkdir()
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = true")
        rows = f"read_parquet('{whole}/*.parquet')"
        months = connection.execute(
            f"SELECT DISTINCT date_trunc('month', timestamp::TIMESTAMP)::DATE FROM {rows} ORDER BY 1"
        ).fetchall()
        for (first,) in months:
            last = (first + timedelta(days=31)).replace(day=1)
            _copy(connection, rows, first, min(last, DAY), by_month / f"{first:%Y-%m}.parquet")
        _copy(connection, rows, DAY, DAY + timedelta(days=1), folder / "new_day.parquet")
    shutil.rmtree(whole)
    shutil.move(by_month, whole)
    _run(folder / "before", DAY_BEFORE)


def _copy(connection: duckdb.DuckDBPyConnection, rows: str, first: date, after: date, target: Path) -> None:
    connection.execute(
        f"COPY (SELECT * FROM {rows} WHERE timestamp::TIMESTAMP >= DATE '{first}' "
        f"AND timestamp::TIMESTAMP < DATE '{after}' ORDER BY customer_id, timestamp) TO '{target}' (FORMAT parquet)"
    )


def run(folder: Path) -> None:
    now = folder / "now"
    shutil.rmtree(now, ignore_errors=True)
    shutil.copytree(folder / "before", now, copy_function=os.link, symlinks=True)
    for name in ("mlflow.db",):  # written in place
        (now / name).unlink()
        shutil.copy2(folder / "before" / name, now / name)
    shutil.copy2(folder / "new_day.parquet", now / "data" / "raw" / "current" / "consumption_hourly")
    _tell("a new day", _run(now, DAY))


def reference(folder: Path) -> None:
    whole = folder / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    raw = whole / "data" / "raw" / "current"
    shutil.copytree(folder / "before" / "data" / "raw" / "current", raw, copy_function=os.link)
    shutil.copy2(folder / "new_day.parquet", raw / "consumption_hourly")
    shutil.copy2(folder / "before" / "mlflow.db", whole / "mlflow.db")
    _tell("the whole", _run(whole, DAY))
    _compare(folder)


def _compare(folder: Path) -> None:
    """Both ways give the same days; undated rows are known since they were landed first, and that is a day earlier."""
    one, other = (TableStore(folder / name / "data").read(silver.SILVER, made_by="silver") for name in ("now", "whole"))
    looked_at = ("consumption_daily", "quarantine", "quality")
    differing = [name for name in looked_at if one.tables[name].content_hash != other.tables[name].content_hash]
    assert not differing, differing


def _run(folder: Path, day: date) -> dict[str, float]:
    """CPU seconds of each stage."""
    told = {}
    stages: Mapping[str, Stage] = {"ingest": ingest.STAGE, "silver": silver.STAGE, "features": features.STAGE}
    for name, stage in stages.items():
        before = _cpu()
        run_stage(stage, _settings(folder, day), _tracker(folder), console=QUIET)
        told[name] = _cpu() - before
    return told


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _tell(what: str, stages: Mapping[str, float]) -> None:
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())
    print(f"  {what}: {told}; together {sum(stages.values()):.2f} CPU s without the start of the process")


def _settings(folder: Path, day: date) -> Settings:
    made = settings_at(
        folder / "data",
        f"data.customers={CUSTOMERS}",
        "data.start=2024-02-01",
        f"data.end={DAY}",
        f"run_date={day + timedelta(days=1)}",
        f"as_of={day}",
        # What is looked at here is the cost.
        "quality.accept=[changed]",
        "quality.reason=bench",
    )
    return made.model_copy(update={"tracking": _tracking(folder)})


def _tracking(folder: Path) -> TrackingSettings:
    return TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "mlruns", experiment="spanishgas"
    )


def _tracker(folder: Path) -> Tracker:
    folder.mkdir(parents=True, exist_ok=True)
    return Tracker(_tracking(folder))
