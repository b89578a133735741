"""Landing of 176.5 million hourly readings, hashed and copied, beside a plain sum over the same file."""

from pathlib import Path

from spanishgas.bronze import land_source
from spanishgas.bronze.locate import RawFile
from spanishgas.config import EngineSettings, SourcePart
from spanishgas.contracts.sources import CONSUMPTION_HOURLY
from spanishgas.engine.session import open_engine
from spanishgas.readers import HashCache
from tests.benchmarks.harness import Case
from tests.benchmarks.hourly import ROWS, hourly_file, plain_sum, write_hours

CASE = Case(
    name="ingest",
    what="ingest: 176.5 million hourly readings hashed, landed and compared with their contract",
    reference="DuckDB sum of both energies",
    limit_mib=3072.0,
)


def prepare(folder: Path) -> None:
    write_hours(folder)


def run(folder: Path) -> None:
    file = hourly_file(folder)
    raw = RawFile(CONSUMPTION_HOURLY.name, 0, file, file.name, "parquet", SourcePart(files="consumption_hourly"))
    landed = folder / "landed"
    with open_engine(EngineSettings(), folder / "scratch") as engine:
        hashes = HashCache(folder / "no" / "cache.json")
        found = land_source(engine, [raw], landed, contract=CONSUMPTION_HOURLY, hashes=hashes)
    assert found.rows == ROWS, found.rows
    for path in landed.glob("*"):
        path.unlink()


reference = plain_sum
