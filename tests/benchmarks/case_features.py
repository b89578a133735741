"""Features of 12 dates in one pass, beside the naive way: one date after the other."""

from datetime import date
from pathlib import Path

from rich.console import Console

from spanishgas.config import EngineSettings
from spanishgas.domain.civil_time import month_ends
from spanishgas.engine.session import open_engine
from spanishgas.engine.store import TableStore
from spanishgas.features import build_features
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, ingest, silver
from spanishgas.stages.runner import run_stage
from spanishgas.stages.silver import SILVER
from tests.benchmarks.harness import Case
from tests.benchmarks.models import settings_of

DATES = month_ends(date(2025, 2, 28), date(2026, 1, 31))
CASE = Case(
    name="features",
    what="features: 12 dates of 3,000 customers in one pass",
    reference="the same, one date at a time",
    repeats=1,
)


def prepare(folder: Path) -> None:
    settings = settings_of(folder)
    for stage in (demo_data.STAGE, ingest.STAGE, silver.STAGE):
        run_stage(stage, settings, Tracker(settings.tracking), console=Console(quiet=True))


def build(folder: Path, passes: list[tuple[date, ...]], engine_settings: EngineSettings | None = None) -> None:
    settings = settings_of(folder)
    store = TableStore(settings.data.root)
    published = store.read(SILVER, made_by="silver")
    for days in passes:
        with open_engine(engine_settings or settings.engine, folder / "scratch") as engine:
            tables = {name: engine.scan(store.files(published, name)) for name in published.tables}
            result = build_features(engine, tables, days, settings.features, {}, progress=lambda _: None)
            engine.materialize(result.features)
            engine.materialize(result.margin)


def run(folder: Path) -> None:
    build(folder, [DATES])


def reference(folder: Path) -> None:
    build(folder, [(day,) for day in DATES])
