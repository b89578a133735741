"""Readings as people write them: the true energy of every day, or an end that says what to set."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.config import ColumnMapping, EngineSettings, SourcePart
from spanishgas.engine.session import open_engine
from spanishgas.errors import ContractError
from spanishgas.readers import land_file
from tests.reference import readings as slow
from tests.reference.readings import Interval, energy_by_day, intervals_of
from tests.silver.test_consumption_daily import build, build_days

# A working day, a holiday, the 23-hour day and the 25-hour day of 2024.
DAYS = (date(2024, 3, 5), date(2024, 5, 1), date(2024, 3, 31), date(2024, 10, 27))
Write = Callable[[Interval], dict[str, str]]
# How times are written -> the settings that read them.
WAYS: dict[str, tuple[Write, dict[str, Any]]] = {
    "civil start": (slow.civil_start, {}),
    "civil end, next midnight": (slow.civil_end_next_midnight, {"stamp": "end"}),
    "text until 24:00": (slow.text_until_24, {"stamp": "end"}),
    "text until 24:00, found": (slow.text_until_24, {"stamp": "auto"}),
    "day and end by the start's clock": (partial(slow.day_and_end, by_start=True), {"stamp": "end"}),
    "day and end by the end's clock": (partial(slow.day_and_end, by_start=False), {"stamp": "auto"}),
    "day and start": (slow.day_and_start, {"stamp": "auto"}),
    "offset under civil": (slow.with_offset, {"clock": "civil"}),
    "offset under utc": (slow.with_offset, {"clock": "utc"}),
    "end with offset": (slow.end_with_offset, {"clock": "civil", "stamp": "end"}),
    "utc": (slow.in_utc, {"clock": "utc"}),
    "index counted": (slow.index_counted, {"clock": "hour_index"}),
    "index by the start's clock": (partial(slow.index_by_clock, by_start=True), {"clock": "hour_index"}),
    "index by the end's clock": (partial(slow.index_by_clock, by_start=False), {"clock": "hour_index"}),
}
# What the column holds -> of a reading's energy, and the settings that read it.
QUANTITIES: dict[str, tuple[Callable[[Interval], Decimal], str, float]] = {
    "kWh": (lambda reading: reading.kwh, "energy", 1.0),
    "Wh": (lambda reading: reading.kwh * 1000, "energy", 0.001),
    "MWh": (lambda reading: reading.kwh / 1000, "energy", 1000.0),
    "kW": (lambda reading: reading.kwh * 60 / reading.minutes, "power", 1.0),
    "W": (lambda reading: reading.kwh * 60_000 / reading.minutes, "power", 0.001),
}


def written(readings: list[Interval], write: Write, value: Callable[[Interval], Decimal]) -> pd.DataFrame:
    rows = [{"customer_id": one.unit, **write(one), "consumption_elec_kwh": str(value(one))} for one in readings]
    return pd.DataFrame(rows, dtype="string")


def same_energy(daily: pd.DataFrame, readings: list[Interval]) -> None:
    """Energy of every day and tariff period, and how much of the day was seen."""
    wanted = energy_by_day(readings)
    found = {(row.customer_id, row.day): row for row in daily.itertuples()}
    assert set(found) == set(wanted)
    for key, told in wanted.items():
        for period in (1, 2, 3):
            energy = float(told[f"p{period}"])
            assert getattr(found[key], f"elec_p{period}_kwh") == pytest.approx(energy, rel=1e-9, abs=1e-12), key
        assert found[key].hours_seen == told["minutes"] // 60, key
    total = float(sum(told["kwh"] for told in wanted.values()))
    assert daily[["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh"]].sum().sum() == pytest.approx(total, rel=1e-9)


@st.composite
def intervals(draw: st.DrawFn, minutes: int) -> list[Interval]:
    """Whole days of two supply points; some lack a reading in the day's later half."""
    seed = draw(st.integers(0, 10_000))
    readings: list[Interval] = []
    for unit in ("A", "B"):
        for day in draw(st.lists(st.sampled_from(DAYS), unique=True, min_size=1)):
            of_day = [
                Interval(unit, start, minutes, Decimal((seed + 7919 * place) % 4000) / 1000)
                for place, start in enumerate(intervals_of(day, minutes))
            ]
            if draw(st.booleans()):
                del of_day[draw(st.integers(len(of_day) // 2, len(of_day) - 2))]
            readings += of_day
    return draw(st.permutations(readings)) if draw(st.booleans()) else readings


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=4)
@given(data=st.data(), minutes=st.sampled_from([60, 30, 15]), quantity=st.sampled_from(sorted(QUANTITIES)))
def test_every_way_of_writing_gives_the_energy_of_every_day(
    way: str, data: st.DataObject, minutes: int, quantity: str
) -> None:
    readings = data.draw(intervals(minutes))
    interval = data.draw(st.sampled_from([minutes, "auto"]))
    write, told = WAYS[way]
    value, kind, factor = QUANTITIES[quantity]
    columns = {"consumption_elec_kwh": ColumnMapping(column="consumption_elec_kwh", factor=factor)}
    with TemporaryDirectory() as folder:
        daily, rejected, _ = build(
            Path(folder),
            [written(readings, write, value)],
            columns=columns,
            interval_minutes=interval,
            quantity=kind,
            **told,
        )
    assert rejected.empty
    same_energy(daily, readings)


def whole(unit: str, days: tuple[date, ...], minutes: int) -> list[Interval]:
    return [
        Interval(unit, start, minutes, Decimal(100 + place) / 1000)
        for day in days
        for place, start in enumerate(intervals_of(day, minutes))
    ]


SIX = tuple(date(2024, 10, day) for day in range(24, 30))


def test_supply_points_of_all_intervals_stand_beside_each_other_and_are_counted(tmp_path: Path) -> None:
    changing = whole("D", SIX[:3], 60) + whole("D", SIX[3:], 15)
    readings = [*whole("A", SIX, 60), *whole("B", SIX, 30), *whole("C", SIX, 15), *changing]
    frame = written(readings, slow.civil_start, lambda one: one.kwh)
    daily, result, rejected = build_days(tmp_path, [frame], interval_minutes="auto")
    assert rejected.empty
    same_energy(daily, readings)
    assert (daily["hours_seen"] == daily["hours_expected"]).all()
    assert result.found["points_of_60_minutes"] == (1, 4)
    assert result.found["points_of_30_minutes"] == (1, 4)
    assert result.found["points_of_15_minutes"] == (2, 4)
    assert result.found["points_of_changing_interval"] == (1, 4)
    assert result.found["days_stamped_at_the_start"] == (24, 24)


@pytest.mark.parametrize("minutes", [60, 30])
def test_power_of_a_changing_interval_keeps_its_energy(minutes: int, tmp_path: Path) -> None:
    readings = whole("A", SIX[:3], minutes) + whole("A", SIX[3:], 15)
    frame = written(readings, slow.index_counted, lambda one: one.kwh * 60 / one.minutes)
    daily, _, _ = build(tmp_path, [frame], clock="hour_index", interval_minutes="auto", quantity="power")
    same_energy(daily, readings)


def test_a_day_too_short_to_tell_is_taken_as_the_days_before_it(tmp_path: Path) -> None:
    known, short = whole("A", SIX[:1], 15), whole("A", SIX[1:2], 15)[::4][:3]
    alone = whole("B", SIX[:1], 60)[:3]
    frame = written([*known, *short, *alone], slow.civil_start, lambda one: one.kwh * 60 / one.minutes)
    daily, result, _ = build_days(tmp_path, [frame], interval_minutes="auto", quantity="power")
    same_energy(daily, [*known, *short, *alone])
    assert daily["hours_seen"].tolist() == [24, 0, 3]
    assert daily["readings"].tolist() == [96, 3, 3]
    assert result.found["days_of_unclear_interval"] == (1, 3)


def test_a_distributor_that_turns_from_starts_to_ends_loses_nothing(tmp_path: Path) -> None:
    def write(one: Interval) -> dict[str, str]:
        return slow.day_and_start(one) if one.day < SIX[3] else slow.day_and_end(one, by_start=True)

    readings = whole("A", SIX, 60)
    frame = written(readings, write, lambda one: one.kwh)
    daily, result, rejected = build_days(tmp_path, [frame], stamp="auto")
    assert rejected.empty
    same_energy(daily, readings)
    assert result.found["days_stamped_at_the_start"] == (3, 6)
    assert result.found["days_stamped_at_the_end"] == (3, 6)
    with pytest.raises(ContractError, match=r"0:00 and of 24:00 .*A on 2024-10-24.*stamp: auto"):
        build(tmp_path, [frame], stamp="end")
    with pytest.raises(ContractError, match=r"stamped 24:00.*A: 3 readings.*stamp: auto"):
        build(tmp_path, [frame], stamp="start")


@pytest.mark.parametrize(
    ("minutes", "told", "message"),
    [
        (30, {}, r"between the intervals that interval_minutes says.*A: 145 readings.*`auto`"),
        (15, {"clock": "hour_index"}, r"between the intervals.*A: 430 readings.*`auto`"),
        (15, {"interval_minutes": 30}, r"do not come every 30 minutes.*A on 2024-10-24: every 15 minutes.*`auto`"),
        (60, {"interval_minutes": 30}, r"do not come every 30 minutes.*A on 2024-10-24: every 60 minutes.*`auto`"),
        (60, {"interval_minutes": 15, "clock": "hour_index"}, r"do not come every 15 minutes.*every 60 minutes"),
    ],
)
def test_readings_that_contradict_the_interval_end_the_run(
    minutes: int, told: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write = slow.index_counted if "clock" in told else slow.civil_start
    hourly = written(whole("B", SIX, 60), write, lambda one: one.kwh)
    frame = written(whole("A", SIX, minutes), write, lambda one: one.kwh)
    with pytest.raises(ContractError, match=message):
        build(tmp_path, [pd.concat([hourly, frame]) if not told else frame], **told)


def test_a_slip_costs_its_row_only_and_its_energy_is_known(tmp_path: Path) -> None:
    readings = whole("A", SIX, 60)
    frame = written(readings, slow.civil_start, lambda one: one.kwh).assign(consumption_gas_m3="0.5")
    frame.loc[3, "timestamp"] = "2024-10-24 03:10:00"
    frame.loc[4, "consumption_gas_m3"] = "plenty"
    frame.loc[5, ["customer_id", "is_estimated"]] = ["../A", "perhaps"]
    daily, result, rejected = build_days(tmp_path, [frame])
    told = {row.reason: (row.source_line, row.energy_kwh) for row in rejected.itertuples()}
    assert told == {
        "off_interval": (4, pytest.approx(0.103 + 5.5)),
        "invalid_consumption_gas_m3": (5, pytest.approx(0.104)),
        "unsafe_customer_id": (6, pytest.approx(0.105 + 5.5)),
        "invalid_is_estimated": (6, pytest.approx(0.105 + 5.5)),
    }
    total = float(sum(one.kwh for one in readings)) + (len(readings) - 1) * 5.5
    assert result.energy_kwh == pytest.approx(total, abs=1e-3)
    kept = daily[["elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh", "gas_kwh"]].sum().sum()
    assert kept + 0.103 + 0.104 + 0.105 + 2 * 5.5 == pytest.approx(total)


def test_one_supply_point_written_in_many_ways_is_one(tmp_path: Path) -> None:
    readings = whole("ES0031405000000001JN", SIX, 60)
    frame = written(readings, slow.civil_start, lambda one: one.kwh)
    spellings = [
        "ES0031405000000001JN",
        "ES0031405000000001JN0F",
        "es0031405000000001jn",
        " ES0031 4050 0000 0001 JN 0F",
        "\ufeffES0031405000000001JN",
        "ES00314050\u200b00000001JN\u00a0",
    ]
    frame["customer_id"] = [spellings[place // 24 % len(spellings)] for place in range(len(frame))]
    daily, rejected, counts = build(tmp_path, [frame])
    assert rejected.empty
    same_energy(daily, readings)
    assert counts["respelled_identifier"] == (frame["customer_id"] != spellings[0]).sum()


def test_hourly_readings_come_as_json_too(tmp_path: Path) -> None:
    readings = whole("A", SIX, 60)
    records = [
        json.dumps({"cups": 17, "at": slow.day_and_end(one, by_start=True), "kwh": float(one.kwh), "note": None})
        for one in readings
    ]
    columns = {
        "customer_id": ColumnMapping(column="cups"),
        "timestamp": ColumnMapping(column="at.timestamp"),
        "time": ColumnMapping(column="at.time"),
        "consumption_elec_kwh": ColumnMapping(column="kwh"),
    }
    broken = json.dumps({"cups": 17, "at": None, "kwh": 1.0})
    raw, landed = tmp_path / "readings.json", tmp_path / "landed.parquet"
    raw.write_text(f"[{','.join([*records, broken])}]")
    with open_engine(EngineSettings(threads=1), tmp_path / "reading") as engine:
        land_file(engine, raw, landed, format="json", part=SourcePart(files=raw.name))
    table = pq.read_table(landed)
    daily, rejected, counts = build(tmp_path, [table], columns=columns, stamp="end")
    same_energy(daily.assign(customer_id="A"), readings)
    assert set(daily["customer_id"]) == {"17"}
    assert counts["rows"] == len(readings) + 1
    assert set(rejected["reason"]) == {"missing_timestamp", "missing_time"}
    assert set(rejected["source_line"]) == {len(readings) + 1}


def test_parts_of_different_layouts_tell_of_the_same_readings(tmp_path: Path) -> None:
    """The same normal day in two layouts is one day: nothing is added up twice."""
    readings = whole("A", (DAYS[0],), 60)
    zoned = written(readings, slow.with_offset, lambda one: one.kwh)
    civil = written(readings, slow.civil_start, lambda one: one.kwh)
    daily, _, counts = build(tmp_path, [zoned, civil])
    same_energy(daily, readings)
    assert counts["duplicate"] == 24


def test_an_empty_value_of_a_source_without_gas_is_no_reading(tmp_path: Path) -> None:
    frame = written(whole("A", (DAYS[0],), 60), slow.civil_start, lambda one: one.kwh)
    frame.loc[:5, "consumption_elec_kwh"] = None
    daily, _, counts = build(tmp_path, [frame])
    assert daily["hours_seen"].tolist() == [18]
    assert counts["gap_hours"] == 6
