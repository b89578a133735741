"""Hourly readings to days: against the slow way, in every order, in every clock."""

import os
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.config import ColumnMapping, EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts.sources import CONSUMPTION_HOURLY
from spanishgas.domain.civil_time import hour_calendar
from spanishgas.engine import chunks as engine_chunks
from spanishgas.engine.session import open_engine
from spanishgas.errors import ContractError
from spanishgas.silver.consumption_daily import DailyResult, build_consumption_daily
from spanishgas.silver.raw import RawPart, RawSource
from spanishgas.silver.supply_points import Holders
from tests.reference.daily import Reading, daily_versions
from tests.support import load_data, quiet, silver_of

ENERGIES = ["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh", "gas_m3", "gas_kwh", "elec_negative_kwh", "gas_negative_m3"]
# A working day, a holiday, the 23-hour day and the 25-hour day of 2024.
DAYS = (date(2024, 3, 5), date(2024, 5, 1), date(2024, 3, 31), date(2024, 10, 27))


def build(
    folder: Path,
    files: Sequence[pd.DataFrame],
    *,
    clock: str = "civil",
    columns: dict[str, ColumnMapping] | None = None,
    zones: pd.DataFrame | None = None,
    threads: int = 1,
    **told: Any,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Days, rejected rows and counts of hourly files."""
    daily, result, rejected = build_days(
        folder, files, columns=columns, zones=zones, threads=threads, clock=clock, **told
    )
    return daily, rejected, dict(result.counts)


def build_days(
    folder: Path,
    files: Sequence[pd.DataFrame | pa.Table],
    *,
    columns: dict[str, ColumnMapping] | None = None,
    zones: pd.DataFrame | None = None,
    holders: Holders | None = None,
    threads: int = 1,
    workers: int = 1,
    row_group_size: int = 40,
    **told: Any,
) -> tuple[pd.DataFrame, DailyResult, pd.DataFrame]:
    """Days, the result that they are of, and rejected rows; ``told`` are settings of the source."""
    paths = []
    for number, frame in enumerate(files):
        paths.append(folder / f"hours-{number}.parquet")
        table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, paths[-1], row_group_size=row_group_size)
    part = SourcePart(files="hours", columns=columns or {})
    with open_engine(EngineSettings(threads=threads, workers=workers), folder / "scratch") as engine:
        table = engine.scan(paths, origins=[path.name for path in paths])
        source = RawSource(
            CONSUMPTION_HOURLY,
            SourceSettings.model_validate({"parts": [part], **told}),
            (RawPart(part, table),),
            date(2024, 12, 31),
        )
        of_zones = None if zones is None else engine.table(zones)
        result = build_consumption_daily(engine, source, of_zones, quiet, holders)
        daily = engine.frame(result.daily).sort_values(["customer_id", "day", "known_at"], ignore_index=True)
        for name in ("day", "known_at"):
            daily[name] = pd.to_datetime(daily[name]).dt.date
        return daily, result, engine.frame(result.rejected)


def as_frame(readings: Sequence[Reading]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": pd.Series([reading.customer for reading in readings], dtype="string"),
            "timestamp": pd.Series([f"{reading.hour:%Y-%m-%d %H:%M:%S}" for reading in readings], dtype="string"),
            "consumption_elec_kwh": pd.Series([reading.elec for reading in readings], dtype="float64"),
            "consumption_gas_m3": pd.Series([reading.gas for reading in readings], dtype="float64"),
            "is_estimated": pd.Series([reading.estimated for reading in readings], dtype="bool"),
            "recorded_at": pd.Series([reading.known_at for reading in readings], dtype="object"),
        }
    )


energy = st.one_of(st.none(), st.floats(-2.0, 20.0).map(lambda value: round(value, 4)))


@st.composite
def readings(draw: st.DrawFn, minutes: int) -> list[Reading]:
    """Whole days, some with holes, repeats, corrections and late arrivals, in any order."""
    rows: list[Reading] = []
    parts = [timedelta(minutes=part) for part in range(0, 60, minutes)]
    for customer in ("A", "B"):
        for day in draw(st.lists(st.sampled_from(DAYS), unique=True)):
            start = datetime.combine(day, time())
            civil = [hour.to_pydatetime() + part for hour in hour_calendar(day, day)["civil"] for part in parts]
            usual = day + timedelta(days=1)
            rows += [Reading(customer, hour, usual, draw(energy), draw(energy), False) for hour in civil]
            for _ in range(draw(st.integers(0, 4))):
                hour = start + timedelta(hours=draw(st.integers(0, 23))) + draw(st.sampled_from(parts))
                late = draw(st.integers(1, 3))
                rows.append(
                    Reading(customer, hour, day + timedelta(days=late), draw(energy), draw(energy), draw(st.booleans()))
                )
            if draw(st.booleans()):
                del rows[draw(st.integers(0, len(rows) - 1))]
    if draw(st.booleans()):
        rows = draw(st.permutations(rows))
    return rows


@settings(max_examples=20)
@given(data=st.data(), minutes=st.sampled_from([60, 60, 30]), cut=st.integers(0, 60))
def test_days_are_those_of_the_slow_way(data: st.DataObject, minutes: int, cut: int) -> None:
    rows = data.draw(readings(minutes))
    with TemporaryDirectory() as folder:
        files = [as_frame(part) for part in (rows[:cut], rows[cut:]) if part] or [as_frame([])]
        daily, _, counts = build(Path(folder), files, interval_minutes=minutes)
    wanted = daily_versions(rows, minutes)
    assert counts["rows"] == len(rows)
    found = {(row.customer_id, row.day, row.known_at): row._asdict() for row in daily.itertuples(index=False)}
    assert set(found) == set(wanted)
    for key, values in wanted.items():
        told = {name: found[key][name] for name in values}
        assert told == pytest.approx(values, abs=1e-9), key


def test_a_day_that_is_not_whole_and_never_tells_electricity_has_no_negative_readings(tmp_path: Path) -> None:
    day = DAYS[0]
    rows = [
        Reading("B", datetime.combine(day, time(hour)), day + timedelta(days=1), None, 0.5, False) for hour in range(23)
    ]
    daily, _, counts = build(tmp_path, [as_frame(rows)])
    assert daily["elec_negative_count"].tolist() == [0]
    assert counts["gap_hours"] == 1


@pytest.fixture
def usual(tmp_path: Path) -> pd.DataFrame:
    """Two customers' autumn fortnight with noise of every kind."""
    rng = np.random.default_rng(4)
    hours = hour_calendar(date(2024, 10, 20), date(2024, 11, 3))
    parts = []
    for customer in ("A", "B", "C"):
        frame = pd.DataFrame(
            {
                "customer_id": customer,
                "timestamp": hours["civil"].dt.strftime("%Y-%m-%d %H:%M:%S"),
                "consumption_elec_kwh": rng.normal(0.5, 0.4, len(hours)),
                "consumption_gas_m3": rng.normal(0.05, 0.03, len(hours)),
                "is_estimated": rng.uniform(size=len(hours)) < 0.1,
                "recorded_at": (hours["day"] + pd.Timedelta(days=1)).dt.date,
            }
        )
        parts.append(frame)
    whole = pd.concat(parts, ignore_index=True)
    corrected = whole.sample(20, random_state=1).assign(recorded_at=date(2024, 11, 20))
    return pd.concat([whole, whole.sample(15, random_state=2), corrected], ignore_index=True)


def test_the_order_of_rows_and_files_is_irrelevant(usual: pd.DataFrame, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (first, second, third):
        folder.mkdir()
    ordered, _, counts = build(first, [usual])
    shuffled, _, other = build(second, [usual.sample(frac=1.0, random_state=8)], threads=2)
    split, _, _ = build(third, [usual.iloc[700:], usual.iloc[:300], usual.iloc[300:700]])
    pd.testing.assert_frame_equal(ordered, shuffled, check_exact=True)
    pd.testing.assert_frame_equal(ordered, split, check_exact=True)
    assert counts == other


def test_a_file_delivered_twice_changes_nothing_but_the_count(usual: pd.DataFrame, tmp_path: Path) -> None:
    clean = usual.drop_duplicates(["customer_id", "timestamp", "recorded_at"])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    once, _, _ = build(tmp_path / "one", [clean])
    # Not on the day of the doubled hour, where a second row is a second hour.
    again = clean[~clean["timestamp"].str.startswith("2024-10-27")]
    twice, _, counts = build(tmp_path / "two", [clean, again])
    energy = ["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh", "gas_m3", "hours_seen"]
    pd.testing.assert_frame_equal(once[energy], twice[energy], check_exact=True)
    assert counts["duplicate"] > 0
    assert counts["conflicting_duplicate"] == 0


def test_small_chunks_give_the_same_days(usual: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    whole, _, _ = build(tmp_path / "one", [usual])
    monkeypatch.setattr(engine_chunks, "CHUNK_ROWS", 17)
    cut, _, _ = build(tmp_path / "two", [usual], threads=2)
    pd.testing.assert_frame_equal(whole, cut, check_exact=True)


def test_energy_is_neither_made_nor_lost(usual: pd.DataFrame, tmp_path: Path) -> None:
    once = usual.drop_duplicates(["customer_id", "timestamp"]).loc[
        lambda rows: ~rows["timestamp"].str.startswith("2024-10-27")
    ]
    daily, _, _ = build(tmp_path, [once])
    total = daily[["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh", "elec_negative_kwh"]].sum().sum()
    assert total == pytest.approx(once["consumption_elec_kwh"].sum(), abs=1e-6 * len(once))
    gas = daily[["gas_m3", "gas_negative_m3"]].sum().sum()
    assert gas == pytest.approx(once["consumption_gas_m3"].sum(), abs=1e-6 * len(once))
    assert daily["gas_kwh"].to_numpy() == pytest.approx(11 * daily["gas_m3"].to_numpy())


def test_the_clocks_tell_the_same_days(tmp_path: Path) -> None:
    hours = hour_calendar(date(2024, 10, 26), date(2024, 10, 28))
    values = np.arange(1.0, len(hours) + 1)
    base = {"customer_id": "A", "consumption_elec_kwh": values}
    text = hours["utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frames = {
        "civil": pd.DataFrame({**base, "timestamp": hours["civil"].dt.strftime("%Y-%m-%d %H:%M")}),
        "utc": pd.DataFrame({**base, "timestamp": text}),
        "utc typed": pd.DataFrame({**base, "timestamp": hours["utc"]}),
        "civil zoned": pd.DataFrame({**base, "timestamp": hours["utc"].dt.tz_localize("UTC")}),
        "hour_index": pd.DataFrame(
            {**base, "timestamp": hours["day"].dt.strftime("%Y-%m-%d"), "hour_index": hours["end_hour"]}
        ),
        "hour_index counted": pd.DataFrame(
            {**base, "timestamp": hours["day"].dt.date, "hour_index": hours["slot"] + 1}
        ),
    }
    found = {}
    for number, (name, frame) in enumerate(frames.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        found[name], rejected, _ = build(folder, [frame], clock=name.split()[0])
        assert rejected.empty, name
    for name, daily in found.items():
        pd.testing.assert_frame_equal(daily, found["civil"], check_exact=True, obj=name)
    assert list(found["civil"]["hours_seen"]) == [24, 25, 24]


def test_customers_on_the_islands_live_by_their_own_clock(tmp_path: Path) -> None:
    hours = hour_calendar(date(2024, 6, 4), date(2024, 6, 5))
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat(["M", "I"], len(hours)),
            "timestamp": np.tile(hours["utc"].dt.strftime("%Y-%m-%d %H:%M:%S"), 2),
            "consumption_elec_kwh": 1.0,
        }
    )
    zones = pd.DataFrame({"customer_id": ["I"], "zone": ["canary"]})
    daily, _, _ = build(tmp_path, [frame], clock="utc", zones=zones)
    on_island = daily[daily["customer_id"] == "I"]
    assert list(on_island["hours_seen"]) == [1, 24, 23]
    assert list(daily.loc[daily["customer_id"] == "M", "hours_seen"]) == [24, 24]
    whole_day = on_island.iloc[1]
    assert (whole_day["elec_p1_kwh"], whole_day["elec_p2_kwh"], whole_day["elec_p3_kwh"]) == (8.0, 8.0, 8.0)


BAD_ROWS = {
    "missing_customer_id": {"customer_id": None},
    "missing_timestamp": {"timestamp": None},
    "invalid_timestamp": {"timestamp": "2024-03-31 02:00:00"},
    "invalid_consumption_elec_kwh": {"consumption_elec_kwh": "a lot"},
    "invalid_is_estimated": {"is_estimated": "perhaps"},
    "invalid_recorded_at": {"recorded_at": "soon"},
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_goes_to_quarantine_and_costs_nothing_else(reason: str, tmp_path: Path) -> None:
    good = {
        "customer_id": "A",
        "timestamp": "2024-03-05 10:00:00",
        "consumption_elec_kwh": "1,5",
        "consumption_gas_m3": "0.25",
        "is_estimated": "no",
        "recorded_at": "2024-03-06",
    }
    frame = pd.DataFrame(
        [good, {**good, **BAD_ROWS[reason]}, {**good, "timestamp": "2024-03-05 11:00:00"}], dtype="string"
    )
    daily, rejected, counts = build(tmp_path, [frame])
    assert list(rejected["reason"]) == [reason]
    assert list(rejected["source_line"]) == [2]
    assert list(rejected["source_file"]) == ["hours-0.parquet"]
    assert list(daily["elec_p1_kwh"]) == [3.0]
    assert list(daily["gas_m3"]) == [0.5]
    assert counts["rows"] == 3


def test_other_bad_hours(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": "A",
            "timestamp": [
                "2024-03-05 10:30:00",
                "05/03/2024 10:00",
                "2024-03-05T11:00:00+01:00",
                "1890-01-01 00:00:00",
                "2024-03-05 10:00:00",
            ],
            "consumption_elec_kwh": 1.0,
        }
    )
    daily, rejected, _ = build(tmp_path, [frame])
    assert daily["hours_seen"].tolist() == [2]
    assert dict(zip(rejected["source_line"], rejected["reason"], strict=True)) == {
        1: "off_interval",
        2: "invalid_timestamp",
        4: "invalid_timestamp",
    }


def test_a_file_that_cannot_be_read_at_all_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer_id": "A", "timestamp": ["05/03/2024 10:00"] * 3, "consumption_elec_kwh": 1.0})
    with pytest.raises(ContractError, match=r"every row is rejected.*3 affected.*invalid_timestamp.*date_format"):
        build(tmp_path, [frame])


def test_a_stated_date_format_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer_id": "A", "timestamp": ["05/03/2024 10:00"], "consumption_elec_kwh": 1.0})
    columns = {"timestamp": ColumnMapping(column="timestamp", date_format="%d/%m/%Y %H:%M")}
    daily, rejected, _ = build(tmp_path, [frame], columns=columns)
    assert rejected.empty
    assert list(daily["day"]) == [date(2024, 3, 5)]
    assert list(daily["known_at"]) == [date(2024, 3, 6)]


def test_an_hour_index_beyond_the_day_is_rejected(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": "A",
            "timestamp": "2024-03-05",
            "hour_index": ["1", "25", "0", "x"],
            "consumption_elec_kwh": 1.0,
        }
    )
    daily, rejected, _ = build(tmp_path, [frame], clock="hour_index")
    assert list(daily["hours_seen"]) == [1]
    assert sorted(rejected["reason"]) == ["invalid_hour_index", "invalid_hour_index", "invalid_timestamp"]


REAL = Path(os.environ.get("SPANISHGAS_REAL_DATA", "datasets")) / "meters"


@pytest.mark.skipif(not REAL.is_dir(), reason="SPANISHGAS_REAL_DATA has no meters")
def test_real_meters_keep_the_energy_of_every_day(tmp_path: Path) -> None:
    data = load_data("data=meters", tmp_path)
    with open_engine(EngineSettings(threads=1), tmp_path / "scratch") as engine:
        silver = silver_of(engine, data, tmp_path / "landed")
        daily = engine.frame(silver.tables["consumption_daily"])
        quarantined = engine.integer(silver.tables["quarantine"].count())
    independent = duckdb.sql(
        "select regexp_extract(filename, '_([0-9]+)[.]csv', 1) as customer_id, fecha as day, count(*) as hours, "
        f"sum(consumo) as kwh from read_csv('{REAL}/electrodatos_*.csv', filename = true) group by all"
    ).df()
    assert quarantined == 0
    daily["kwh"] = daily[["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh"]].sum(axis=1)
    joined = daily.merge(independent, on=["customer_id", "day"], how="outer", suffixes=("", "_count"))
    assert len(joined) == len(independent) == len(daily)
    assert (joined["hours_seen"] == joined["hours"]).all()
    assert joined["kwh"].to_numpy() == pytest.approx(joined["kwh_count"].to_numpy(), abs=1e-9)
    assert set(joined["hours_seen"]) >= {23, 25}
