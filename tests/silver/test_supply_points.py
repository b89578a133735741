"""Customers with several supply points: whose readings these are, and what their days add up to."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.config import ColumnMapping, EngineSettings
from spanishgas.engine.session import open_engine
from spanishgas.errors import ContractError
from spanishgas.silver.supply_points import Holders
from tests.reference import readings as slow
from tests.reference.readings import Interval, intervals_of
from tests.silver.test_consumption_daily import build_days

FIRST = date(2024, 10, 24)
DAYS = tuple(FIRST + timedelta(days=number) for number in range(6))
BY_TABLE = {"customer_id": ColumnMapping(absent="told by supply_points")}


def rows(customer: str, point: str, days: tuple[date, ...] = DAYS, *, kwh: float = 1.0, minutes: int = 60) -> Any:
    """Readings of a supply point, each of the same energy."""
    told = [
        {**slow.civil_start(Interval(point, start, minutes, Decimal(1))), "consumption_elec_kwh": kwh}
        for day in days
        for start in intervals_of(day, minutes)
    ]
    return pd.DataFrame(told).assign(customer_id=customer, supply_point_id=point)


def build(folder: Path, *parts: pd.DataFrame, **told: Any) -> tuple[pd.DataFrame, Any, pd.DataFrame]:
    folder.mkdir(exist_ok=True)
    daily, result, rejected = build_days(folder, [pd.concat(parts, ignore_index=True)], **told)
    daily["kwh"] = daily[["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh"]].sum(axis=1)
    return daily, result, rejected


def test_supply_points_add_up_per_customer_and_are_no_duplicates(tmp_path: Path) -> None:
    halves = rows("A", "P2", kwh=0.25, minutes=30)
    daily, result, rejected = build(
        tmp_path, rows("A", "P1"), halves, rows("B", "P3", kwh=3.0), interval_minutes="auto"
    )
    assert rejected.empty
    assert result.counts["duplicate"] == 0
    of_a = daily[daily["customer_id"] == "A"]
    hours = [24, 24, 24, 25, 24, 24]
    assert of_a["kwh"].tolist() == pytest.approx([1.5 * count for count in hours])
    assert of_a["hours_seen"].tolist() == of_a["hours_expected"].tolist() == hours
    assert of_a["readings"].tolist() == [3 * count for count in hours]
    assert of_a["supply_points"].tolist() == [2] * 6
    assert daily.loc[daily["customer_id"] == "B", "supply_points"].tolist() == [1] * 6
    assert daily.loc[daily["customer_id"] == "B", "kwh"].tolist() == pytest.approx([3.0 * count for count in hours])


def test_without_supply_points_their_number_is_not_known(tmp_path: Path) -> None:
    daily, _, _ = build(tmp_path, rows("A", "P1").drop(columns="supply_point_id"))
    assert daily["supply_points"].isna().all()


def test_a_day_is_complete_only_where_every_supply_point_is(tmp_path: Path) -> None:
    """A silent supply point is missed for a month, and the energy per hour seen stays what it is."""
    second = rows("A", "P2", DAYS[:4])
    short = second[~second["timestamp"].str.startswith(f"{DAYS[1]} 0")]
    daily, _, _ = build(tmp_path, rows("A", "P1"), short)
    assert daily["hours_seen"].tolist() == [24, 19, 24, 25, 12, 12]
    assert daily["supply_points"].tolist() == [2] * 6
    assert (daily["kwh"] / daily["hours_seen"]).tolist() == pytest.approx([2.0, 38 / 19, 2.0, 2.0, 2.0, 2.0])


def test_a_supply_point_that_was_left_is_not_missed_for_ever(tmp_path: Path) -> None:
    days = tuple(FIRST + timedelta(days=number) for number in range(40))
    daily, _, _ = build(tmp_path, rows("A", "P1", days), rows("A", "P2", days[:2]))
    assert daily["supply_points"].tolist() == [2] * 33 + [1] * 7
    assert (daily["hours_seen"] == daily["hours_expected"]).tolist() == [True] * 2 + [False] * 31 + [True] * 7


def test_what_comes_later_changes_no_version_known_before(tmp_path: Path) -> None:
    corrected = rows("A", "P2", DAYS[:1], kwh=5.0).assign(recorded_at=date(2024, 11, 20)).iloc[:1]
    late = rows("A", "P3", DAYS[:1]).assign(recorded_at=date(2024, 11, 25))
    known = [
        part.assign(recorded_at=date(2024, 10, 25)) for part in (rows("A", "P1", DAYS[:1]), rows("A", "P2", DAYS[:1]))
    ]
    before, _, _ = build(tmp_path / "before", *known)
    daily, result, _ = build(tmp_path / "after", *known, corrected, late)
    pd.testing.assert_frame_equal(daily.head(1), before)
    assert daily["known_at"].tolist() == [date(2024, 10, 25), date(2024, 11, 20), date(2024, 11, 25)]
    assert daily["kwh"].tolist() == pytest.approx([48.0, 52.0, 76.0])
    assert daily["supply_points"].tolist() == [2, 2, 3]
    assert result.counts["duplicate"] == 0


def test_a_repeated_reading_counts_once_in_its_supply_point(tmp_path: Path) -> None:
    again = rows("A", "P1", DAYS[:1]).iloc[:5]
    daily, result, _ = build(tmp_path, rows("A", "P1", DAYS[:1]), rows("A", "P2", DAYS[:1]), again)
    assert daily["kwh"].tolist() == pytest.approx([48.0])
    assert daily["duplicate_count"].tolist() == [5]
    assert result.counts["duplicate"] == 5


def held(*holdings: tuple[str, str, str | None, str | None]) -> Holders:
    names = ["supply_point_id", "customer_id", "valid_from", "valid_to"]
    with open_engine(EngineSettings(threads=1), Path("unused")) as engine:
        columns = [pa.array(column, pa.string()) for column in zip(*holdings, strict=True)]
        told = engine.table(pa.table(columns, names))
        dates = {name: told[name].cast("date") for name in names[2:]}
        return Holders.of(engine, told.mutate(**dates))


def test_a_table_tells_the_customers_by_day_and_strangers_are_quarantined_with_their_energy(tmp_path: Path) -> None:
    holders = held(
        ("P1", "A", None, None),
        ("P2", "A", "1990-01-01", "2024-10-25"),
        ("P2", "B", "2024-10-27", "9999-12-31"),
        ("P4", "C", None, "2024-12-31"),
        ("P4", "D", "2024-10-01", None),
    )
    parts = [rows("", point).drop(columns="customer_id") for point in ("P1", "P2", "P3", "P4")]
    daily, result, rejected = build(tmp_path, *parts, columns=BY_TABLE, holders=holders)
    energy = daily.groupby("customer_id")["kwh"].sum().to_dict()
    assert energy == pytest.approx({"A": 145.0 + 48.0, "B": 25.0 + 24.0 + 24.0})
    told = rejected.groupby("reason")["energy_kwh"].sum().to_dict()
    assert told == pytest.approx(
        {"no_customer_of_supply_point": 24.0 + 145.0, "several_customers_of_supply_point": 145.0}
    )
    assert result.energy_kwh == pytest.approx(4 * 145.0)
    assert set(rejected.loc[rejected["reason"] == "several_customers_of_supply_point", "detail"]) == {"P4"}


def test_holdings_of_one_customer_that_touch_or_overlap_are_one(tmp_path: Path) -> None:
    holders = held(
        ("P1", "A", None, "2024-10-24"), ("P1", "A", "2024-10-25", None), ("P1", "A", "2024-01-01", "2024-10-30")
    )
    daily, _, rejected = build(tmp_path, rows("", "P1").drop(columns="customer_id"), columns=BY_TABLE, holders=holders)
    assert rejected.empty
    assert daily["kwh"].sum() == pytest.approx(145.0)


def test_readings_of_nobody_are_an_error_that_says_what_to_map(tmp_path: Path) -> None:
    nobody = rows("", "P1").drop(columns="customer_id")
    with pytest.raises(ContractError, match=r"name no customer.*supply_points"):
        build(tmp_path, nobody, columns=BY_TABLE)


def test_a_reading_without_supply_point_is_quarantined(tmp_path: Path) -> None:
    frame = rows("A", "P1", DAYS[:1])
    frame.loc[2, "supply_point_id"] = None
    frame.loc[3, "supply_point_id"] = "../P1"
    daily, _, rejected = build(tmp_path, frame)
    assert dict(zip(rejected["source_line"], rejected["reason"], strict=True)) == {
        3: "missing_supply_point_id",
        4: "unsafe_supply_point_id",
    }
    assert daily["kwh"].tolist() == pytest.approx([22.0])


def test_supply_points_on_the_islands_live_by_their_own_clock(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "supply_point_id": "P1",
            "timestamp": [f"2024-06-04 {hour:02d}:00:00" for hour in range(24)],
            "consumption_elec_kwh": 1.0,
        }
    )
    zones = pd.DataFrame({"customer_id": ["I"], "zone": ["canary"]})
    daily, _, _ = build(
        tmp_path, frame, columns=BY_TABLE, holders=held(("P1", "I", None, None)), zones=zones, clock="utc"
    )
    assert daily["hours_seen"].tolist() == [23, 1]
