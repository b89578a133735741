"""The hourly pass in ranges of customers: the same to the last bit, whatever the ranges, the workers and the files."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.config import ColumnMapping, EngineSettings
from spanishgas.domain.civil_time import hour_calendar
from spanishgas.engine import chunks as engine_chunks
from spanishgas.engine.chunks import RowGroup, row_groups
from spanishgas.engine.partitions import Ranges
from spanishgas.engine.session import Engine, open_engine
from spanishgas.errors import ContractError
from spanishgas.silver import consumption_daily, hour_days, hour_ranges
from spanishgas.silver.supply_points import Holders
from tests.silver.test_consumption_daily import build_days

CUSTOMERS = ("A", "B", "C001", "D", "É", "Z9")
KEY = ["customer_id", "day", "known_at"]


def delivered(seed: int) -> list[pd.DataFrame]:
    """Two deliveries of a fortnight with the clock change of autumn, with what goes wrong in deliveries.

    Customers under two spellings, repeats within a file and across files, a file delivered twice for some, corrections,
    late rows, holes, estimates, negative readings, rows without customer, time or number.
    """
    rng = np.random.default_rng(seed)
    hours = hour_calendar(date(2024, 10, 22), date(2024, 10, 31))
    parts = []
    for customer in CUSTOMERS:
        count = len(hours)
        usual = pd.DataFrame(
            {
                "customer_id": customer,
                "timestamp": hours["civil"].dt.strftime("%Y-%m-%d %H:%M:%S"),
                "consumption_elec_kwh": rng.normal(0.5, 0.4, count).round(4).astype(str),
                "consumption_gas_m3": rng.normal(0.05, 0.03, count).round(4).astype(str),
                "is_estimated": np.where(rng.uniform(size=count) < 0.1, "yes", "no"),
                "recorded_at": (hours["day"] + pd.Timedelta(days=1)).dt.strftime("%Y-%m-%d"),
            }
        )
        parts.append(usual)
    whole = pd.concat(parts, ignore_index=True)
    spelt = whole.assign(customer_id=whole["customer_id"].str.lower() + " ")
    corrected = whole.sample(12, random_state=seed).assign(recorded_at="2024-11-20", consumption_elec_kwh="0.75")
    late = whole.sample(9, random_state=seed + 1).assign(recorded_at="2024-11-02")
    bad = whole.sample(6, random_state=seed + 2).reset_index(drop=True)
    bad.loc[0, "customer_id"] = None
    bad.loc[1, "timestamp"] = "2024-10-22 10:30:00"
    bad.loc[2, "consumption_elec_kwh"] = "a lot"
    bad.loc[3, "recorded_at"] = "soon"
    holes = whole.drop(whole.sample(7, random_state=seed + 3).index)
    again = spelt[spelt["customer_id"].isin(["b ", "c001 "]) & ~spelt["timestamp"].str.startswith("2024-10-27")]
    first = pd.concat([holes, whole.sample(8, random_state=seed + 4), bad], ignore_index=True)
    second = pd.concat([again, corrected, late], ignore_index=True)
    return [first.astype("string"), second.astype("string")]


def passed(
    files: Sequence[pd.DataFrame],
    *,
    ranges: int = 1,
    block_rows: int = 10**9,
    chunk_rows: int = 10**6,
    **told: Any,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Days, quarantine and figures of a pass in so many ranges."""
    with (
        TemporaryDirectory() as folder,
        patch.object(consumption_daily, "ranges_needed", lambda *_: ranges),
        patch.object(hour_ranges, "BLOCK_ROWS", block_rows),
        patch.object(engine_chunks, "CHUNK_ROWS", chunk_rows),
    ):
        daily, result, rejected = build_days(Path(folder), files, **told)
    assert result.in_order == (ranges > 1)
    quarantine = rejected.sort_values(list(rejected.columns), ignore_index=True)
    return daily, quarantine, {**result.counts, "found": result.found, "energy_kwh": result.energy_kwh}


def assert_same(one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> None:
    pd.testing.assert_frame_equal(one[0], other[0], check_exact=True)
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)
    assert one[2] == other[2]


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    ranges=st.integers(2, 9),
    block_rows=st.sampled_from([1, 100, 700, 10**9]),
    chunk_rows=st.sampled_from([17, 24, 10**6]),
    order=st.sampled_from(["as delivered", "by time", "by nothing"]),
    swapped=st.booleans(),
)
@pytest.mark.drill
def test_ranges_blocks_chunks_and_order_change_nothing(
    seed: int, ranges: int, block_rows: int, chunk_rows: int, order: str, swapped: bool
) -> None:
    files = delivered(seed)
    wanted = passed(files)
    assert len(wanted[0]) > 60
    assert min(wanted[2][name] for name in ("duplicate", "gap_hours", "negative_elec", "respelled_identifier")) > 0
    assert len(wanted[1]) == 4
    found = [
        {
            "as delivered": file,
            "by time": file.sort_values("timestamp", kind="stable"),
            "by nothing": file.sample(frac=1.0, random_state=seed),
        }[order]
        for file in files
    ]
    if order == "as delivered" and not swapped:
        assert_same(passed(found, ranges=ranges, block_rows=block_rows, chunk_rows=chunk_rows), wanted)
        return
    # The quarantine tells where rows stand, so it is of the order.
    at_once = passed(found[::-1] if swapped else found)
    pd.testing.assert_frame_equal(at_once[0], wanted[0], check_exact=True)
    in_ranges = passed(found[::-1] if swapped else found, ranges=ranges, block_rows=block_rows, chunk_rows=chunk_rows)
    assert_same(in_ranges, at_once)


def test_supply_points_of_a_customer_are_in_one_range() -> None:
    files = [
        file.assign(supply_point_id=[f"P{number % 3}" for number in range(len(file))]).sort_values("supply_point_id")
        for file in delivered(5)
    ]
    one = passed(files)
    assert set(one[0]["supply_points"]) == {3}
    assert_same(passed(files, ranges=5, block_rows=300), one)


def test_readings_that_name_the_supply_point_only_go_to_the_range_of_its_holder() -> None:
    # The order of supply points is not that of their customers.
    points = {customer: f"P{9 - number}" for number, customer in enumerate(CUSTOMERS)}
    files = [
        file.assign(supply_point_id=file["customer_id"].str.strip().str.upper().map(points)).drop(columns="customer_id")
        for file in delivered(6)
    ]
    days = [0, (1 << 20) - 1]
    holders = Holders(
        {point: number for number, point in enumerate(points.values())},
        np.array([(number << 20) + days[0] for number in range(len(points))], np.int64),
        np.array([days[1]] * len(points), np.int64),
        list(points),
    )
    told = {"holders": holders, "columns": {"customer_id": ColumnMapping(absent="not told")}}
    one = passed(files, **told)
    assert set(one[0]["customer_id"]) == set(CUSTOMERS)
    assert_same(passed(files, ranges=4, block_rows=300, **told), one)


@pytest.mark.drill
def test_found_intervals_and_stamps_are_the_same() -> None:
    files = delivered(7)
    told = {"interval_minutes": "auto", "stamp": "auto"}
    one = passed(files, **told)
    assert one[2]["found"]
    assert_same(passed(files, ranges=4, block_rows=300, **told), one)


def test_the_rows_of_all_ranges_are_in_the_order_of_the_key(tmp_path: Path) -> None:
    orders = []
    original = consumption_daily.daily_of

    def seen(engine: Engine, days: Sequence[hour_ranges.RangeDays]) -> Any:
        table = original(engine, days)
        orders.append((len(days), engine.frame(table)))
        return table

    with patch.object(consumption_daily, "daily_of", seen):
        passed(delivered(8), ranges=4)
    ((count, rows),) = orders
    assert count == 4
    keys = [(str(row.customer_id).encode(), row.day, row.known_at) for row in rows.itertuples()]
    assert keys == sorted(keys)


def test_only_row_groups_with_hidden_days_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days that a second file repeats are read again where their rows stand, and nothing else is."""
    hours = hour_calendar(date(2024, 10, 22), date(2024, 10, 24))
    times = hours["civil"].dt.strftime("%Y-%m-%d %H:%M:%S")
    rows = [pd.DataFrame({"customer_id": one, "timestamp": times, "consumption_elec_kwh": 1.0}) for one in "ABCD"]
    first = pd.concat(rows, ignore_index=True)
    second = first[first["timestamp"].str.startswith("2024-10-23") & first["customer_id"].isin(["B", "D"])]
    read: list[tuple[str, int]] = []
    original = hour_days.whole_days

    def seen(chunk: engine_chunks.Chunk, *rest: Any) -> pa.Table:
        read.append((chunk.origin, chunk.first_line))
        return original(chunk, *rest)

    monkeypatch.setattr(hour_days, "whole_days", seen)
    found = passed([first, second], ranges=3, row_group_size=24)
    assert found[2]["duplicate"] == 48
    # A day of a customer is a row group: B's second day is the fifth, D's the eleventh.
    assert sorted(read) == [("hours-0.parquet", 97), ("hours-0.parquet", 241)] + [
        ("hours-1.parquet", line) for line in (1, 25)
    ]


def test_readings_that_cannot_be_read_end_the_pass_before_all_is_read() -> None:
    file = delivered(10)[0].assign(timestamp="05/03/2024 10:00")
    with (
        patch.object(consumption_daily, "HOPELESS_ROWS", 200),
        pytest.raises(ContractError, match=r"every row is rejected.*\(2\d\d affected\)"),
    ):
        passed([file], ranges=3, block_rows=10**9, chunk_rows=50)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.drill)])
def test_workers_give_the_same_days(seed: int) -> None:
    files = delivered(seed)
    one = passed(files)
    assert_same(passed(files, ranges=3, block_rows=500, workers=2), one)


def test_ranges_follow_from_memory_size_and_workers(tmp_path: Path) -> None:
    def needed(rows: int, **told: int) -> int:
        reading = hour_days.Reading(None, (RowGroup(tmp_path, "", 0, 1, rows, 0),))  # type: ignore[arg-type]
        with open_engine(EngineSettings(**told), tmp_path / "scratch") as engine:
            return hour_ranges.ranges_needed(engine, [reading])

    assert needed(0) == 1
    assert needed(176_549_616) == 1
    assert needed(2_000_000_000) == 21
    assert needed(2_000_000_000, memory_limit_mib=4096) == 11
    assert needed(2_000_000_000, workers=4) == 81
    assert needed(10_000_000, workers=4) == 4
    assert needed(1_000_000, workers=4) == 1


@given(
    rows=st.dictionaries(st.text(max_size=3), st.integers(1, 50), max_size=30),
    count=st.integers(1, 8),
    other=st.text(max_size=3),
)
def test_ranges_keep_the_order_of_keys_and_share_rows(rows: dict[str, int], count: int, other: str) -> None:
    ranges = Ranges.of(rows, count)
    assert 1 <= len(ranges) <= count
    keys = sorted([*rows, other], key=lambda key: key.encode("utf-8", "surrogatepass"))
    places = ranges.places(keys).tolist()
    assert places == sorted(places)
    filled = np.bincount(ranges.places(list(rows)), weights=list(rows.values()), minlength=len(ranges)) if rows else [0]
    if rows:
        assert max(filled) <= sum(rows.values()) / count + max(rows.values())


def test_row_groups_are_numbered_through(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = pa.table({"x": range(5)})
        pq.write_table(table, tmp_path / name, row_group_size=2)
    groups = row_groups([tmp_path / "a", tmp_path / "b"], ["a", "b"], 7)
    assert [(one.origin, one.place, one.first_line, one.rows, one.number) for one in groups] == [
        ("a", 0, 1, 2, 7),
        ("a", 1, 3, 2, 8),
        ("a", 2, 5, 1, 9),
        ("b", 0, 1, 2, 10),
        ("b", 1, 3, 2, 11),
        ("b", 2, 5, 1, 12),
    ]
