"""The demo retailer: repeatable, honest about its truth, shaped as the real data are, and not too easy."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from spanishgas.config import DemoSettings
from spanishgas.contracts import SOURCES
from spanishgas.demo import World, build_world, hourly_blocks
from spanishgas.errors import ContractError

SMALL = DemoSettings(customers=60, end=date(2024, 12, 31), seed=5)


@lru_cache
def large(world: str = "loglinear") -> World:
    return build_world(DemoSettings(customers=4000, world=world, seed=3))  # type: ignore[arg-type]


def hours(world: World) -> pd.DataFrame:
    return pa.concat_tables(
        [block.to_pandas().pipe(pa.Table.from_pandas) for block in hourly_blocks(world)]
    ).to_pandas()


@lru_cache
def small() -> tuple[World, pd.DataFrame]:
    world = build_world(SMALL)
    return world, hours(world)


def same(one: World, other: World) -> None:
    for name, frame in one.tables.items():
        pd.testing.assert_frame_equal(frame, other.tables[name])
    assert one.interactions == other.interactions


def test_the_same_seed_gives_the_same_world_and_another_one_another() -> None:
    world, readings = small()
    again = build_world(SMALL)
    same(world, again)
    other = build_world(SMALL.model_copy(update={"seed": 6}))
    assert not other.tables["price_history"].equals(world.tables["price_history"])
    assert not hours(other).equals(readings)


def test_readings_do_not_depend_on_the_blocks_they_are_made_in() -> None:
    _, readings = small()
    cut = build_world(SMALL.model_copy(update={"block_customers": 7}))
    order = ["customer_id", "timestamp", "recorded_at", "consumption_elec_kwh"]
    frames = [frame.astype({"customer_id": str, "timestamp": str}) for frame in (readings, hours(cut))]
    pd.testing.assert_frame_equal(*(frame.sort_values(order, ignore_index=True) for frame in frames))


def test_a_continued_world_leaves_what_was_known_unchanged() -> None:
    world, readings = small()
    longer = build_world(SMALL.model_copy(update={"until": date(2025, 3, 31)}))
    end = pd.Timestamp(SMALL.end)
    for name, event in {"price_history": "pricing_date", "retention_offers": "offer_date"}.items():
        later = longer.tables[name]
        kept = later[pd.to_datetime(later[event]) <= end]
        columns = list(kept.columns)
        frames = [frame.astype(str).sort_values(columns, ignore_index=True) for frame in (world.tables[name], kept)]
        pd.testing.assert_frame_equal(*frames)
    labels, later = (one.tables["churn_label"].set_index("customer_id") for one in (world, longer))
    left = labels[labels["churn"] == 1]
    pd.testing.assert_frame_equal(left, later.loc[left.index])
    longer_hours = hours(longer)
    known = longer_hours[pd.to_datetime(longer_hours["recorded_at"]) <= end + pd.Timedelta(days=1)]
    order = ["customer_id", "timestamp", "recorded_at", "consumption_elec_kwh"]
    frames = [frame.astype({"customer_id": str, "timestamp": str}) for frame in (readings, known)]
    pd.testing.assert_frame_equal(*(frame.sort_values(order, ignore_index=True)[order] for frame in frames))
    assert len(longer_hours) > len(readings)


def test_offers_of_published_recommendations_take_effect() -> None:
    settings = DemoSettings(customers=1500, end=date(2024, 12, 31), seed=5, until=date(2025, 6, 30))
    plain = build_world(settings)
    customers = plain.tables["churn_label"]["customer_id"]
    actions = pd.DataFrame(
        {"customer_id": customers, "run_date": "2025-01-15", "action": "large", "timing_window": "immediate"}
    )
    acted = build_world(settings, actions)
    made = acted.tables["retention_offers"]
    assert (pd.to_datetime(made["offer_date"]) > pd.Timestamp("2024-12-31")).sum() > 500
    assert not plain.tables["churn_label"].equals(acted.tables["churn_label"])
    with pytest.raises(ContractError, match="at or before the end of the world"):
        build_world(settings, actions.assign(run_date="2024-12-01"))
    with pytest.raises(ContractError, match="lacks columns"):
        build_world(settings, actions.drop(columns="action"))


def test_files_have_the_columns_of_their_contracts() -> None:
    world, readings = small()
    found = {
        **{name: set(frame.columns) for name, frame in world.tables.items()},
        "consumption_hourly": set(readings.columns),
    }
    for contract in SOURCES:
        if contract.name not in found:
            continue
        known = set(contract.column_names)
        required = {column.name for column in contract.columns if column.required}
        assert required <= found[contract.name] <= known, contract.name


def test_meters_have_the_faults_of_real_ones() -> None:
    _, readings = small()
    stamps = readings["timestamp"].astype(str)
    share = (readings["consumption_elec_kwh"] < 0).mean()
    assert 0.0005 < share < 0.01
    assert 0.005 < readings["is_estimated"].mean() < 0.05
    assert readings.duplicated(["customer_id", "timestamp"]).mean() > 0
    assert not stamps.str.startswith("2024-03-31 02").any() or (stamps == "2024-03-31 02:00:00").mean() < 0.001
    autumn = readings[stamps == "2024-10-27 02:00:00"].groupby("customer_id", observed=True).size()
    assert autumn.median() == 2


def test_the_register_is_that_of_the_data_card() -> None:
    tables = large().tables
    customers = tables["customer_attributes"].drop_duplicates("customer_id")
    assert customers["is_industrial"].mean() == pytest.approx(0.10, abs=0.02)
    assert customers["is_second_residence"].mean() == pytest.approx(0.02, abs=0.01)
    assert customers["is_high_competition_province"].mean() == pytest.approx(0.30, abs=0.06)
    assert customers["sales_channel"].isin(["unknown", "desconocido"]).mean() == pytest.approx(0.26, abs=0.04)
    assert large().tables["price_history"]["customer_id"].isna().mean() == pytest.approx(252 / 241_440, abs=0.002)
    assert {"is_vulnerable", "marketing_consent", "phone_consent"} <= set(customers.columns)


@pytest.mark.parametrize("world", ["loglinear", "interactions"])
def test_the_churn_rate_is_the_one_asked_for(world: str) -> None:
    assert large(world).summary["churn_rate_90d"] == pytest.approx(0.06, rel=0.2)


def test_what_happened_agrees_with_the_true_probabilities() -> None:
    """Leaving within 90 days of a date, against the truth: calibrated on the whole and by tenths."""
    world = large()
    truth = world.ground_truth["hazards"]
    labels = world.tables["churn_label"].assign(left=lambda rows: pd.to_datetime(rows["churn_date"]))
    rows = truth.merge(labels[["customer_id", "left"]], on="customer_id")
    as_of = pd.to_datetime(rows["as_of"])
    rows = rows[as_of <= pd.Timestamp("2025-09-30")]
    days = (rows["left"] - pd.to_datetime(rows["as_of"])).dt.days
    # Offers made afterwards change the odds a little; the mean stays close.
    happened = ((days > 0) & (days <= 90)).astype(float)
    assert happened.mean() == pytest.approx(rows["p_horizon"].mean(), rel=0.12)
    tenth = pd.qcut(rows["p_horizon"], 10, labels=False)
    table = pd.DataFrame({"said": rows["p_horizon"], "was": happened}).groupby(tenth).mean()
    assert np.corrcoef(table["said"], table["was"])[0, 1] > 0.97
    # What can be known at best, and it is far from everything.
    assert 0.70 < roc_auc_score(happened, rows["p_horizon"]) < 0.85


def test_windows_and_horizon_agree() -> None:
    truth = large().ground_truth["hazards"]
    union = 1 - (1 - truth["p_0_30"]) * (1 - truth["p_30_60"]) * (1 - truth["p_60_90"])
    np.testing.assert_allclose(union, truth["p_horizon"], rtol=1e-4)


def test_offers_were_random_with_the_propensities_they_tell() -> None:
    offers = large().tables["retention_offers"]
    assert offers["propensity"].between(0.01, 0.99).all()
    shares = offers.groupby("action")["propensity"].agg(["mean", "size"])
    observed = shares["size"] / shares["size"].sum()
    np.testing.assert_allclose(observed, shares["mean"], atol=0.04)


def test_customers_respond_differently_and_some_badly() -> None:
    for kind in ("loglinear", "interactions"):
        world = large(kind)
        offers = world.ground_truth["offers"]
        now = offers[(offers["action"] == "large") & (offers["timing_window"] == "immediate")]
        ratio = now["p_accept"] * now["accepted_ratio"] + (1 - now["p_accept"]) * now["refused_ratio"]
        assert ratio.mean() < 0.8
        assert ratio.std() > 0.1
        assert (ratio > 1).mean() > 0.02


def test_the_truth_of_the_months_ahead_agrees_with_that_of_the_windows() -> None:
    """Three months are about ninety days; the hazard of a month is constant within it."""
    world = large()
    months = world.ground_truth["months"].set_index(["customer_id", "as_of"])
    windows = world.ground_truth["hazards"].set_index(["customer_id", "as_of"])
    three = 1 - np.prod([1 - months[f"hazard_{step:02d}"].to_numpy(np.float64) for step in (1, 2, 3)], axis=0)
    assert np.corrcoef(three, windows.loc[months.index, "p_horizon"])[0, 1] > 0.999
    assert three.mean() == pytest.approx(windows["p_horizon"].mean() * 91.3 / 90, rel=0.02)
    np.testing.assert_allclose(months["margin_eur_01"].mean(), windows["margin_eur"].mean(), rtol=0.2)


def test_text_follows_the_mood_and_not_the_label() -> None:
    world = large()
    labels = world.tables["churn_label"].set_index("customer_id")["churn"]
    notes = pd.DataFrame(
        {
            "customer": [note["customer"]["id"] for note in world.interactions],
            "text": [note["interaction"]["summary"] for note in world.interactions],
        }
    ).dropna()
    angry = notes["text"].str.contains(r"molesto|enfadado|Insatisfecho|tenso|upset|Angry|Unhappy|Frustrated")
    left = notes["customer"].map(labels)
    rates = left.groupby(angry).mean()
    assert rates[True] > rates[False]
    assert 0.1 < rates[True] < 0.9
    languages = notes["text"].str.contains("Customer|Angry|Asked|Complain|Solved|Pending").mean()
    assert 0.02 < languages < 0.98
