"""Days that a delivery does not touch are taken from what is published: the same to the last bit as making all anew."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spanishgas.config import EngineSettings, SourcePart, SourceSettings
from spanishgas.contracts.sources import CONSUMPTION_HOURLY
from spanishgas.domain.civil_time import hour_calendar
from spanishgas.engine.session import Engine, open_engine
from spanishgas.silver import consumption_daily
from spanishgas.silver.consumption_daily import DailyResult, build_consumption_daily
from spanishgas.silver.cross_checks import supply_zones
from spanishgas.silver.hour_kept import Before, Facts, Keeping, Month
from spanishgas.silver.hour_ranges import Reducing
from spanishgas.silver.hour_rows import REJECT_SCHEMA
from spanishgas.silver.raw import RawPart, RawSource
from tests.support import quiet

KEY = ["customer_id", "day", "known_at"]
FIRST, LAST = date(2024, 2, 20), date(2024, 4, 4)
ALICANTE, LAS_PALMAS = "03", "35"


@dataclass
class Retailer:
    """What a retailer delivers, changed step by step.

    Attributes:
        files: Name of a file -> its rows.
        provinces: Customer -> province.
    """

    seed: int
    points: int = 1
    files: dict[str, pd.DataFrame] = field(default_factory=dict)
    provinces: dict[str, str] = field(default_factory=dict)
    until: date = LAST

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.provinces = {"A": ALICANTE, "B": ALICANTE, "C": LAS_PALMAS}
        history = self.readings(FIRST, LAST)
        for month, rows in history.groupby(history["timestamp"].str[:7]):
            self.files[f"{month}.parquet"] = rows.reset_index(drop=True)
        self.files["2024-03.parquet"] = self.with_faults(self.files["2024-03.parquet"])

    def readings(self, first: date, last: date) -> pd.DataFrame:
        """All readings of some days."""
        hours = hour_calendar(first, last)
        parts = [
            pd.DataFrame(
                {
                    "customer_id": customer,
                    "supply_point_id": f"{customer}{point}",
                    "timestamp": hours["civil"].dt.strftime("%Y-%m-%d %H:%M:%S"),
                    "consumption_elec_kwh": self.rng.normal(0.5, 0.4, len(hours)).round(4).astype(str),
                    "consumption_gas_m3": self.rng.normal(0.05, 0.03, len(hours)).round(4).astype(str),
                    "is_estimated": np.where(self.rng.uniform(size=len(hours)) < 0.05, "yes", "no"),
                    "recorded_at": (hours["day"] + pd.Timedelta(days=1)).dt.strftime("%Y-%m-%d"),
                }
            )
            for customer in self.provinces
            for point in range(self.points)
        ]
        return pd.concat(parts, ignore_index=True)

    def with_faults(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Some rows cannot be read, some are missing, and identifiers are written otherwise."""
        rows = rows.drop(self.some(rows, 3).index).reset_index(drop=True)
        at = self.rng.choice(len(rows), 6, replace=False)
        rows.loc[at[0], "customer_id"] = None
        rows.loc[at[1], "timestamp"] = "2024-03-31 02:00:00"
        rows.loc[at[2], "consumption_elec_kwh"] = "a lot"
        rows.loc[at[3:], "customer_id"] = rows.loc[at[3:], "customer_id"].str.lower() + " "
        return rows

    def some(self, rows: pd.DataFrame, count: int) -> pd.DataFrame:
        return rows.iloc[np.sort(self.rng.choice(len(rows), count, replace=False))]

    def any_file(self) -> str:
        return str(self.rng.choice(sorted(self.files)))

    @property
    def name(self) -> str:
        return f"delivery-{len(self.files):03d}-{self.rng.integers(10**9)}.parquet"

    def a_new_day(self) -> None:
        self.until += timedelta(days=1)
        rows = self.readings(self.until, self.until)
        self.files[f"{self.until}.parquet"] = self.with_faults(rows) if self.rng.uniform() < 0.3 else rows

    def a_new_day_with_late_and_corrected_readings(self) -> None:
        self.a_new_day()
        known = f"{self.until + timedelta(days=1)}"
        old = self.some(self.files[self.any_file()], 9).assign(recorded_at=known, consumption_elec_kwh="0.75")
        late = self.readings(FIRST - timedelta(days=2), FIRST - timedelta(days=2)).assign(recorded_at=known)
        name = f"{self.until}.parquet"
        self.files[name] = pd.concat([self.files[name], old, self.some(late, 5)], ignore_index=True)

    def corrections_of_one_day(self) -> None:
        rows = self.some(self.files[self.any_file()], 1)
        day = str(rows["timestamp"].iloc[0])[:10]
        whole = pd.concat(self.files.values())
        self.files[self.name] = whole[whole["timestamp"].str[:10] == day].assign(recorded_at="2024-05-20")

    def rows_twice(self) -> None:
        self.files[self.name] = self.some(self.files[self.any_file()], 20)

    def another_value(self) -> None:
        name = self.any_file()
        rows = self.files[name].reset_index(drop=True)
        rows.loc[int(self.rng.integers(len(rows))), "consumption_gas_m3"] = "1.5"
        self.files[name] = rows

    def a_file_less(self) -> None:
        if len(self.files) > 2:
            del self.files[self.any_file()]

    def a_file_under_another_name(self) -> None:
        self.files[self.name] = self.files.pop(self.any_file())

    def a_new_customer(self) -> None:
        self.provinces[f"N{len(self.provinces)}"] = str(self.rng.choice([ALICANTE, LAS_PALMAS]))
        self.a_new_day()

    def another_zone(self) -> None:
        customer = str(self.rng.choice(sorted(self.provinces)))
        self.provinces[customer] = LAS_PALMAS if self.provinces[customer] == ALICANTE else ALICANTE

    def nothing(self) -> None:
        """The same files again."""


STEPS: tuple[Callable[[Retailer], None], ...] = (
    Retailer.a_new_day,
    Retailer.a_new_day_with_late_and_corrected_readings,
    Retailer.corrections_of_one_day,
    Retailer.rows_twice,
    Retailer.another_value,
    Retailer.a_file_less,
    Retailer.a_file_under_another_name,
    Retailer.a_new_customer,
    Retailer.another_zone,
    Retailer.nothing,
)


@dataclass
class Made:
    """Silver of one delivery."""

    daily: pd.DataFrame
    rejected: pd.DataFrame
    told: dict[str, Any]
    facts: Facts | None
    months: tuple[Month, ...]
    customers: pd.DataFrame
    read: int


@contextmanager
def session(folder: Path) -> Iterator[Engine]:
    with open_engine(EngineSettings(threads=1), folder / "scratch") as engine:
        yield engine


def make(folder: Path, retailer: Retailer, before: Made | None, *, clock: str, code: str = "code") -> Made:
    """Days of what is delivered, given what is published."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, digests = [], {}
    for number, (name, rows) in enumerate(sorted(retailer.files.items())):
        columns = rows if retailer.points > 1 else rows.drop(columns="supply_point_id")
        paths.append(folder / f"landed-{number}.parquet")
        pq.write_table(pa.Table.from_pandas(columns, preserve_index=False), paths[-1], row_group_size=700)
        digests[name] = hashlib.sha256(columns.to_csv().encode()).hexdigest()
    settings = SourceSettings.model_validate({"parts": [SourcePart(files="hours")], "clock": clock})
    with session(folder) as engine, counting() as read:
        table = engine.scan(paths, origins=sorted(retailer.files))
        part = RawPart(settings.parts[0], table, digests=digests)
        source = RawSource(CONSUMPTION_HOURLY, settings, (part,), date(2024, 12, 31))
        customers = pd.DataFrame(
            {
                "customer_id": list(retailer.provinces),
                "province_code": list(retailer.provinces.values()),
                "known_at": date(2024, 1, 1),
            }
        )
        published = None
        if before is not None and before.facts is not None:
            published = Before(
                Facts.unpacked(before.facts.packed()) or before.facts,
                {str(month.made_from): month.file for month in before.months},
                engine.table(before.customers),
                engine.table(pa.Table.from_pandas(before.rejected, schema=REJECT_SCHEMA)),
            )
        result: DailyResult = build_consumption_daily(
            engine,
            source,
            supply_zones(engine, engine.table(customers)),
            quiet,
            keeping=Keeping(code, folder / "days", published),
        )
        daily = engine.frame(result.daily).sort_values(KEY, ignore_index=True)
        rejected = engine.frame(result.rejected)
        rejected = rejected.sort_values(list(rejected.columns), ignore_index=True)
    told = {**result.counts, "found": result.found, "energy_kwh": result.energy_kwh}
    return Made(daily, rejected, told, result.facts, result.months, customers, sum(read))


@contextmanager
def counting() -> Iterator[list[int]]:
    """Rows of the row groups that a pass reads."""
    read: list[int] = []

    class Counting(Reducing):
        def __call__(self, chunk: Any) -> Any:
            read.append(chunk.batch.num_rows)
            return super().__call__(chunk)

    with patch.object(consumption_daily, "Reducing", Counting):
        yield read


def assert_same(one: Made, other: Made) -> None:
    pd.testing.assert_frame_equal(one.daily, other.daily, check_exact=True)
    pd.testing.assert_frame_equal(one.rejected, other.rejected, check_exact=True)
    assert one.told == other.told
    assert one.facts == other.facts
    assert [month.made_from for month in one.months] == [month.made_from for month in other.months]


def follow(folder: Path, seed: int, steps: int, **told: Any) -> None:
    """Deliveries of a retailer, each made from what was published before, and anew."""
    clock, points = told.get("clock", "civil"), told.get("points", 1)
    retailer = Retailer(seed, points)
    before = make(folder / "first", retailer, None, clock=clock)
    assert len(before.rejected) >= 2
    for number in range(steps):
        step = STEPS[int(retailer.rng.integers(len(STEPS)))]
        step(retailer)
        after = make(folder / f"{number}", retailer, before, clock=clock)
        anew = make(folder / f"{number}-anew", retailer, None, clock=clock)
        try:
            assert_same(after, anew)
        except AssertionError as error:
            error.add_note(f"step {number}: {step.__name__}")
            raise
        before = after


@pytest.mark.parametrize(("seed", "told"), [(1, {}), (2, {"clock": "utc"}), (3, {"points": 2})])
def test_deliveries_one_after_the_other_are_what_a_whole_pass_makes(
    tmp_path: Path, seed: int, told: dict[str, Any]
) -> None:
    follow(tmp_path, seed, 4, **told)


@pytest.mark.drill
@pytest.mark.parametrize(
    ("seed", "points", "clock", "ranges"),
    [(10, 1, "civil", 1), (11, 2, "utc", 3), (12, 1, "utc", 3), (13, 2, "civil", 1)],
)
def test_long_sequences_of_deliveries(tmp_path: Path, seed: int, points: int, clock: str, ranges: int) -> None:
    with patch.object(consumption_daily, "ranges_needed", lambda *_: ranges):
        follow(tmp_path, seed, 10, clock=clock, points=points)


def test_a_new_day_reads_its_own_file_and_names_the_months_before_again(tmp_path: Path) -> None:
    retailer = Retailer(5)
    before = make(tmp_path / "first", retailer, None, clock="civil")
    retailer.a_new_day()
    retailer.files[f"{retailer.until}.parquet"] = retailer.readings(retailer.until, retailer.until)
    after = make(tmp_path / "second", retailer, before, clock="civil")
    assert after.read == len(retailer.files[f"{retailer.until}.parquet"])
    assert [month.file for month in after.months[:2]] == [month.file for month in before.months[:2]]
    assert [month.earlier is None for month in after.months] == [False, False, True]


def test_a_late_reading_reads_only_files_that_hold_its_day(tmp_path: Path) -> None:
    retailer = Retailer(6)
    before = make(tmp_path / "first", retailer, None, clock="civil")
    retailer.files["late.parquet"] = retailer.files["2024-02.parquet"].head(1).assign(recorded_at="2024-05-01")
    after = make(tmp_path / "second", retailer, before, clock="civil")
    assert 0 < after.read <= len(retailer.files["2024-02.parquet"]) + 1
    assert [month.earlier is None for month in after.months] == [True, False, False]
    assert_same(after, make(tmp_path / "anew", retailer, None, clock="civil"))


def test_other_code_and_a_month_that_is_gone_are_made_anew(tmp_path: Path) -> None:
    retailer = Retailer(7)
    before = make(tmp_path / "first", retailer, None, clock="civil")
    other = make(tmp_path / "second", retailer, before, clock="civil", code="other")
    assert all(month.earlier is None for month in other.months)
    (before.months[1].file).unlink()
    lacking = Made(**{**before.__dict__, "months": (before.months[0], before.months[2])})
    after = make(tmp_path / "third", retailer, lacking, clock="civil")
    assert [month.earlier is None for month in after.months] == [False, True, False]
    pd.testing.assert_frame_equal(after.daily, before.daily, check_exact=True)


def test_what_is_left_is_of_no_use_where_it_is_damaged(tmp_path: Path) -> None:
    before = make(tmp_path / "first", Retailer(8), None, clock="civil")
    assert before.facts is not None
    packed = before.facts.packed()
    assert Facts.unpacked(packed) == before.facts
    assert Facts.unpacked(packed[:-9]) is None
    assert Facts.unpacked(b"no facts") is None
    assert b"A0" not in packed


def test_readings_of_a_file_that_is_delivered_no_more_are_gone(tmp_path: Path) -> None:
    retailer = Retailer(6)
    retailer.files["late.parquet"] = retailer.files["2024-02.parquet"].head(1).assign(recorded_at="2024-05-01")
    before = make(tmp_path / "first", retailer, None, clock="civil")
    del retailer.files["late.parquet"]
    after = make(tmp_path / "second", retailer, before, clock="civil")
    assert [month.earlier is None for month in after.months] == [True, False, False]
    assert_same(after, make(tmp_path / "anew", retailer, None, clock="civil"))
