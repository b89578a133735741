"""Reading what is published: by content, of one customer, as known on a day."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.dashboard import customers
from spanishgas.dashboard.curves import gains, reliability, scored_rows
from spanishgas.dashboard.data import COMPARED, RECOMMENDED, SEGMENTED, SILVER, AbsentError, Published
from spanishgas.dashboard.history import last_runs
from spanishgas.errors import PublishError
from tests.dashboard import worlds


def test_what_is_published_anew_is_read_anew(copied: Path) -> None:
    published = Published(copied)
    before = published.table(published.manifest(SEGMENTED, worlds.as_of_for(worlds.NEWEST)), "segments")
    some = worlds.people(40, 5)
    worlds.publish_segments(copied, some, worlds.as_of_for(worlds.NEWEST))
    after = published.table(published.manifest(SEGMENTED, worlds.as_of_for(worlds.NEWEST)), "segments")
    assert len(after) == int((some.segment != "").sum()) != len(before)


def test_a_table_is_the_readers_own(shop: Path) -> None:
    published = Published(shop / "data")
    manifest = published.manifest(RECOMMENDED, worlds.NEWEST)
    published.table(manifest, "recommendations")["risk_score"] = -1.0
    assert (published.table(manifest, "recommendations")["risk_score"] >= 0).all()


def test_columns_that_a_table_does_not_have_are_left_out(shop: Path) -> None:
    published = Published(shop / "data")
    manifest = published.manifest(RECOMMENDED, worlds.NEWEST)
    found = published.table(manifest, "recommendations", ["customer_id", "of_a_later_release"])
    assert list(found.columns) == ["customer_id"]


def test_one_customers_rows_are_that_customers(shop: Path) -> None:
    published = Published(shop / "data")
    manifest = published.manifest(SILVER)
    found = published.table(manifest, "consumption_daily", customer="C0007")
    assert set(found["customer_id"]) == {"C0007"}
    assert len(found) == 70
    assert published.table(manifest, "consumption_daily", customer="nobody").empty


def test_what_is_not_published_says_which_command_makes_it(tmp_path: Path) -> None:
    published = Published(tmp_path, " data=powerco")
    with pytest.raises(AbsentError, match="is not published yet") as caught:
        published.manifest(RECOMMENDED, date(2026, 2, 9))
    assert caught.value.command == "python -m pipelines.recommend data=powerco run_date=2026-02-09"
    assert published.run_dates() == []


def test_files_that_are_gone_are_told(copied: Path) -> None:
    for file in (copied / "gold" / "recommendations" / f"run_date={worlds.NEWEST}").glob("*.parquet"):
        file.unlink()
    with pytest.raises(PublishError, match="files named by the manifest are gone"):
        Published(copied).manifest(RECOMMENDED, worlds.NEWEST)


def test_files_that_are_no_partitions_are_passed_over(copied: Path) -> None:
    (copied / "gold" / "_meta" / "scoring" / "run_date=lost.json").write_text("{}")
    assert Published(copied).run_dates() == list(worlds.RUN_DATES)


def test_the_version_known_on_the_day_holds() -> None:
    rows = pd.DataFrame(
        {
            "day": [1, 1, 2, 3],
            "value": ["first", "corrected", "kept", "too late"],
            "known_at": [date(2026, 1, 1), date(2026, 1, 5), date(2026, 1, 2), date(2026, 2, 1)],
        }
    )
    assert customers.latest(rows, ["day"], date(2026, 1, 31))["value"].tolist() == ["corrected", "kept"]
    assert customers.latest(rows, ["day"], date(2026, 1, 4))["value"].tolist() == ["first", "kept"]


def test_months_add_up_and_tell_what_was_not_metered() -> None:
    days = pd.DataFrame(
        {
            "day": pd.to_datetime(["2026-01-30", "2026-01-31", "2026-02-01"]),
            "elec_p1_kwh": [1.0, 2.0, 4.0],
            "elec_p2_kwh": 0.0,
            "elec_p3_kwh": 0.5,
            "gas_kwh": 0.0,
            "hours_expected": 24,
            "hours_seen": [24, 12, 24],
        }
    )
    found = customers.months(days)
    assert found["elec_p1_kwh"].tolist() == [3.0, 4.0]
    assert found["coverage"].tolist() == [0.75, 1.0]
    assert customers.months(days.iloc[:0]).empty


def test_figures_of_run_dates_are_sums_of_what_is_published(shop: Path) -> None:
    runs = last_runs(Published(shop / "data"), worlds.RUN_DATES[1])
    assert [run.run_date for run in runs] == list(worlds.RUN_DATES[:2])
    (file,) = (shop / "data" / "gold" / "recommendations" / f"run_date={worlds.RUN_DATES[1]}").glob("*.parquet")
    table = pd.read_parquet(file, partitioning=None)
    now = runs[-1]
    assert now.expected_leavers == pytest.approx(table["risk_score"].sum())
    assert now.margin_at_risk == pytest.approx((table["risk_score"] * table["expected_margin_month"]).sum())
    assert now.offers == (table["action"] != "none").sum()
    assert now.held_out == table["is_held_out"].sum()


class TestCurves:
    def test_they_are_of_the_rows_that_were_compared_on(self, shop: Path) -> None:
        published = Published(shop / "data")
        rows = scored_rows(published, published.every(COMPARED)[-1])
        assert rows is not None
        assert rows.groupby("contender").size().to_dict() == {"champion": 300, "challenger": 300}
        (file,) = (shop / "data" / "gold" / "churn_training_dataset").glob("*.parquet")
        leavers = pd.read_parquet(file)["left_horizon"].sum()
        assert rows.groupby("contender")["left"].sum().tolist() == [leavers, leavers]

    def test_other_rows_are_not_taken_for_them(self, copied: Path) -> None:
        published = Published(copied)
        contest = published.every(COMPARED)[-1]
        other = contest.model_copy(update={"inputs": {**contest.inputs, "training_set": "another"}})
        assert scored_rows(published, other) is None

    def test_a_perfect_score_reaches_all_leavers_first(self) -> None:
        rows = pd.DataFrame({"contender": "champion", "risk": [0.9, 0.8, 0.1, 0.1], "left": [1.0, 1.0, 0.0, 0.0]})
        found = gains(rows).set_index("customers")["leavers"]
        assert found.loc[0.5] == 1.0
        assert found.loc[0.25] == 0.5
        bins = reliability(rows)
        assert bins["observed"].tolist() == [0.0, 1.0, 1.0] or bins["observed"].iloc[-1] == 1.0
