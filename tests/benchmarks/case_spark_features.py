"""Features of one date on Spark in this process, beside the same on the embedded engine: what a small table costs."""

from datetime import date
from pathlib import Path

from rich.console import Console

from spanishgas.config import EngineSettings
from spanishgas.engine.session import open_engine
from spanishgas.engine.store import TableStore
from spanishgas.features import build_features
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, ingest, silver
from spanishgas.stages.runner import run_stage
from spanishgas.stages.silver import SILVER
from tests.benchmarks.harness import Case
from tests.benchmarks.models import settings_of
from tests.spark import end_spark

CASE = Case(
    name="spark_features",
    what="features: one date of 3,000 customers on Spark with two cores, its start included",
    reference="the same on the embedded engine",
    repeats=1,
)


def prepare(folder: Path) -> None:
    settings = settings_of(folder)
    for stage in (demo_data.STAGE, ingest.STAGE, silver.STAGE):
        run_stage(stage, settings, Tracker(settings.tracking), console=Console(quiet=True))


def _build(folder: Path, engine_settings: EngineSettings) -> None:
    settings = settings_of(folder)
    store = TableStore(settings.data.root)
    published = store.read(SILVER, made_by="silver")
    with open_engine(engine_settings, folder / "scratch") as engine:
        tables = {name: engine.scan(store.files(published, name)) for name in published.tables}
        days = [date(2026, 1, 31)]
        result = build_features(engine, tables, days, settings.features, {}, progress=lambda _: None)
        engine.materialize(result.features)
        engine.materialize(result.margin)


def run(folder: Path) -> None:
    _build(folder, EngineSettings(kind="spark", threads=2))
    end_spark()


def reference(folder: Path) -> None:
    _build(folder, EngineSettings(threads=2))
