"""The same days the naive way: every reading joined to a calendar and hashed into its group by the engine."""

from pathlib import Path

import duckdb
import pandas as pd

from spanishgas.domain.tariff import tariff_calendar
from tests.benchmarks.harness import Case
from tests.benchmarks.hourly import hourly_file, plain_sum, write_hours

CASE = Case(
    name="hourly_grouping",
    what="the naive way of the hourly pass: calendar join and grouping in the engine, without checks and versions",
    reference="DuckDB sum of both energies",
    repeats=1,
)


def prepare(folder: Path) -> None:
    write_hours(folder)


def run(folder: Path) -> None:
    hours = tariff_calendar(pd.Timestamp("2024-01-01"), pd.Timestamp("2024-12-31"), "mainland")
    hours = hours.drop_duplicates("civil").assign(text=lambda rows: rows["civil"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    with duckdb.connect(config={"memory_limit": "2048MiB", "temp_directory": str(folder / "spill")}) as connection:
        connection.register("hours", hours[["text", "day", "period"]])
        sums = ", ".join(
            f"sum(greatest(consumption_elec_kwh, 0)) FILTER (period = {period}) AS p{period}" for period in (1, 2, 3)
        )
        connection.execute(
            f"CREATE TEMP TABLE days AS SELECT customer_id, day, recorded_at, count(*) AS readings, {sums}, "
            "sum(greatest(consumption_gas_m3, 0)) AS gas, count(*) FILTER (consumption_elec_kwh < 0) AS negative, "
            "sum(consumption_elec_kwh) FILTER (consumption_elec_kwh < 0) AS surplus, "
            "count(*) FILTER (is_estimated) AS estimated "
            f"FROM read_parquet('{hourly_file(folder)}') JOIN hours ON timestamp = text GROUP BY ALL"
        )


reference = plain_sum
