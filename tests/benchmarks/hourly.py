"""The hourly file that the cases read: 20,099 customers x 8,784 hours, as the demo retailer's meters deliver them."""

import itertools
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from spanishgas.config import DemoSettings
from spanishgas.demo import build_world, hourly_blocks

ROWS = 20_099 * 8_784
# Customers come and go during the year: this many give at least the rows wanted, and the file ends there.
CUSTOMERS = 26_500


def hourly_file(folder: Path) -> Path:
    """Path of the file."""
    return folder / "raw" / "consumption_hourly" / "part-0.parquet"


def write_hours(folder: Path) -> None:
    """Writes the file, block by block, in the shape that the ``demo_data`` stage writes."""
    settings = DemoSettings(customers=CUSTOMERS, start=date(2024, 1, 1), end=date(2024, 12, 31))
    file = hourly_file(folder)
    file.parent.mkdir(parents=True)
    blocks = hourly_blocks(build_world(settings))
    first = next(blocks)
    texts = [field.name for field in first.schema if pa.types.is_dictionary(field.type)]
    columns = [*texts, "is_estimated", "recorded_at"]
    with pq.ParquetWriter(file, first.schema, compression="zstd", use_dictionary=columns) as writer:
        for block in _first_rows(itertools.chain([first], blocks), ROWS):
            writer.write_table(block)
    found = pq.read_metadata(file).num_rows
    if found != ROWS:
        raise SystemExit(f"the hourly file has {found:,} rows, not {ROWS:,}: raise CUSTOMERS")


def _first_rows(blocks: Iterator[pa.Table], wanted: int) -> Iterator[pa.Table]:
    for block in blocks:
        yield block.slice(0, wanted)
        wanted -= min(block.num_rows, wanted)
        if not wanted:
            return


def plain_sum(folder: Path) -> None:
    """What a bare scan of both energies costs."""
    with duckdb.connect() as connection:
        connection.execute(
            f"SELECT sum(consumption_elec_kwh), sum(consumption_gas_m3) FROM read_parquet('{hourly_file(folder)}')"
        ).fetchall()
