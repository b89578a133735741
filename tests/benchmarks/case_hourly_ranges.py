"""Silver's hourly pass over two billion readings: peak memory is that of a range of customers, whatever the size.

Fewer readings: ``READINGS=500000000``, beside ``make bench CASE=hourly_ranges``.
"""

import os
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts.sources import CONSUMPTION_HOURLY
from spanishgas.domain.civil_time import hour_calendar
from spanishgas.engine.session import open_engine
from spanishgas.silver.consumption_daily import build_consumption_daily
from spanishgas.silver.raw import RawPart, RawSource
from tests.benchmarks.harness import Case

CASE = Case(
    name="hourly_ranges",
    what="silver: two billion hourly readings to customer x day x version, in ranges of customers, sorted and written",
    reference="DuckDB sum of both energies",
    repeats=1,
    limit_mib=4096.0,
)
YEAR = (date(2024, 1, 1), date(2024, 12, 31))
CUSTOMERS_PER_FILE = 20_000
# Of a file, and the beginning of its customers' names.
NAME = "CUST{:04d}"
# Values that meters tell: few, so that two billion readings are gigabytes and not tens of them.
LEVELS = 512


def wanted() -> int:
    """Readings to make."""
    return int(os.environ.get("READINGS", "2000000000"))


def prepare(folder: Path) -> None:
    """Writes files of 20,000 customers' year each, in the order of customers and times, as meters deliver it.

    All files hold the readings of the first, under other names: to draw and compress each takes ten times as long.
    """
    hours = hour_calendar(*YEAR)
    days = hours["day"].to_numpy().astype("datetime64[D]").astype(np.int32)
    told = pa.array(hours["civil"].dt.strftime("%Y-%m-%d %H:%M:%S").to_list()).dictionary_encode()
    arrival, known = np.unique(days + 1, return_inverse=True)
    levels = np.round(np.random.default_rng(7).gamma(1.5, 0.3, LEVELS), 3)
    (folder / "raw").mkdir()
    customers = -(-wanted() // len(hours))
    first = folder / "raw" / f"{NAME.format(0)}.parquet"
    _write_file(first, min(customers, CUSTOMERS_PER_FILE), told, (arrival, known), levels)
    content = first.read_bytes()
    for number in range(1, -(-customers // CUSTOMERS_PER_FILE)):
        name = NAME.format(number)
        (folder / "raw" / f"{name}.parquet").write_bytes(content.replace(NAME.format(0).encode(), name.encode()))


def _write_file(
    file: Path,
    customers: int,
    told: pa.DictionaryArray,
    arrival: tuple[np.ndarray, np.ndarray],
    levels: np.ndarray,
) -> None:
    rng = np.random.default_rng(1)
    hours, at_once = len(told), 100
    energies = pa.array(levels)
    days = pa.array(arrival[0]).cast(pa.date32())
    writer = None
    for first in range(0, customers, at_once):
        names = [f"{NAME.format(0)}{number:05d}" for number in range(first, min(first + at_once, customers))]
        count = len(names)
        columns = {
            "customer_id": _coded(np.repeat(np.arange(count), hours), pa.array(names)),
            "timestamp": _coded(np.tile(told.indices.to_numpy(), count), told.dictionary),
            "consumption_elec_kwh": _coded(rng.integers(0, LEVELS, count * hours), energies),
            "consumption_gas_m3": _coded(np.repeat(rng.integers(0, LEVELS, count * hours // 24), 24), energies),
            "is_estimated": pa.array(np.repeat(rng.random(count * hours // 24) < 0.03, 24)),
            "recorded_at": _coded(np.tile(arrival[1], count), days),
        }
        table = pa.table(columns).cast(_schema())
        # Names stay as they are, so that other files can have others.
        packed = {name: "none" if name == "customer_id" else "zstd" for name in table.schema.names}
        writer = writer or pq.ParquetWriter(file, table.schema, compression=packed)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _coded(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), values)


def _schema() -> pa.Schema:
    texts = {"customer_id": pa.dictionary(pa.int32(), pa.string()), "timestamp": pa.dictionary(pa.int32(), pa.string())}
    energies = {name: pa.float64() for name in ("consumption_elec_kwh", "consumption_gas_m3")}
    return pa.schema({**texts, **energies, "is_estimated": pa.bool_(), "recorded_at": pa.date32()})


def run(folder: Path) -> None:
    files = sorted((folder / "raw").glob("*.parquet"))
    part = SourcePart(files="raw")
    settings = SourceSettings(parts=(part,))
    with open_engine(EngineSettings(), folder / "scratch") as engine:
        table = engine.scan(files, origins=[file.name for file in files])
        source = RawSource(CONSUMPTION_HOURLY, settings, (RawPart(part, table),), date(2025, 1, 1))
        result = build_consumption_daily(engine, source, None, lambda _: None)
        days = engine.integer(result.daily.count())
    read = result.counts["rows"]
    assert read >= wanted(), read
    # The year has 366 days, one of 23 hours and one of 25.
    assert days * 24 == read, (days, read)
    assert result.counts["gap_hours"] == 0, result.counts


def reference(folder: Path) -> None:
    """What a bare scan of both energies costs."""
    with duckdb.connect() as connection:
        connection.execute(
            f"SELECT sum(consumption_elec_kwh), sum(consumption_gas_m3) FROM read_parquet('{folder}/raw/*.parquet')"
        ).fetchall()
