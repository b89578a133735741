"""Silver's hourly pass on Spark in this process, beside the same on the embedded engine."""

from datetime import date
from pathlib import Path

from spanishgas.config import EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts.sources import CONSUMPTION_HOURLY
from spanishgas.engine.session import open_engine
from spanishgas.silver.consumption_daily import build_consumption_daily
from spanishgas.silver.raw import RawPart, RawSource
from tests.benchmarks.harness import Case
from tests.benchmarks.hourly import ROWS, hourly_file, write_hours
from tests.spark import end_spark

CASE = Case(
    name="spark_hours",
    what="silver: 176.5 million hourly readings to days on Spark with two cores, its start included",
    reference="the same on the embedded engine",
    repeats=1,
    limit=4.0,
)
prepare = write_hours


def run(folder: Path) -> None:
    _pass(folder, EngineSettings(kind="spark", threads=2))
    end_spark()


def reference(folder: Path) -> None:
    _pass(folder, EngineSettings(threads=2))


def _pass(folder: Path, settings: EngineSettings) -> None:
    file = hourly_file(folder)
    part = SourcePart(files="consumption_hourly")
    with open_engine(settings, folder / "scratch") as engine:
        table = engine.scan([file], origins=[file.name])
        source = RawSource(CONSUMPTION_HOURLY, SourceSettings(parts=(part,)), (RawPart(part, table),), date(2025, 1, 1))
        result = build_consumption_daily(engine, source, None, lambda _: None)
        days = engine.integer(result.daily.count())
    assert result.counts["rows"] == ROWS, result.counts
    assert days > ROWS / 25, days
