"""Silver's hourly pass over 176.5 million readings, beside a plain sum over the same file."""

from datetime import date
from pathlib import Path

from spanishgas.config import EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts.sources import CONSUMPTION_HOURLY
from spanishgas.engine.session import open_engine
from spanishgas.silver.consumption_daily import build_consumption_daily
from spanishgas.silver.raw import RawPart, RawSource
from tests.benchmarks.harness import Case
from tests.benchmarks.hourly import ROWS, hourly_file, plain_sum, write_hours

CASE = Case(
    name="hourly_pass",
    what="silver: 176.5 million hourly readings to customer x day x version, checked and resolved",
    reference="DuckDB sum of both energies",
    limit=6.0,
    limit_mib=3072.0,
)


def prepare(folder: Path) -> None:
    write_hours(folder)


def run(folder: Path) -> None:
    file = hourly_file(folder)
    part = SourcePart(files="consumption_hourly")
    settings = SourceSettings(parts=(part,))
    with open_engine(EngineSettings(), folder / "scratch") as engine:
        table = engine.scan([file], origins=[file.name])
        source = RawSource(CONSUMPTION_HOURLY, settings, (RawPart(part, table),), date(2025, 1, 1))
        result = build_consumption_daily(engine, source, None, lambda _: None)
        days = engine.integer(result.daily.count())
    assert result.counts["rows"] == ROWS, result.counts
    assert days > ROWS / 25, days


reference = plain_sum
