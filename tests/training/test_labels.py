"""Labels against the slow way, and the rules one by one."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.config import EngineSettings, LabelSettings
from spanishgas.engine.session import open_engine
from spanishgas.training.labels import dated_labels, leavers
from tests.reference.labels import Life, Offer, label

AS_OF = date(2024, 6, 30)
DAYS = st.integers(-40, 130).map(lambda days: AS_OF + timedelta(days=days))
SPLIT = {name: {"first": AS_OF, "last": AS_OF} for name in ("train", "valid", "test")}
EVENTS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("churn", pa.bool_()),
        ("churn_date", pa.date32()),
        ("reason", pa.string()),
        ("known_at", pa.date32()),
    ]
)
OFFERS = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("customer_id", pa.string()),
        ("offer_date", pa.date32()),
        ("action", pa.string()),
        ("propensity", pa.float64()),
        ("known_at", pa.date32()),
    ]
)
OUTCOMES = ["left_0_30", "left_30_60", "left_60_90", "left_horizon", "followup_days", "censored_by"]
FOLLOWED = ["left_day", "observed_days"]
WEIGHTS = ["weight_0_30", "weight_30_60", "weight_60_90"]


def settings_of(**changes: object) -> LabelSettings:
    return LabelSettings.model_validate({"split": SPLIT, **changes})


def outcomes(lives: list[Life], cut: date, labels: LabelSettings, late: timedelta = timedelta(0)) -> pd.DataFrame:
    """Labels of customers 0, 1, 2, … by the real code."""
    events = pd.DataFrame(
        {
            "customer_id": [str(number) for number in range(len(lives))],
            "churn": [life.left_on is not None for life in lives],
            "churn_date": pd.Series([life.left_on for life in lives], dtype="object"),
            "reason": pd.Series([None if life.left_on is None else "switch" for life in lives], dtype="object"),
            "known_at": [(life.left_on or cut) + late for life in lives],
        }
    )
    offers = [
        (f"K{place}", str(number), offer.day, offer.action, offer.propensity, offer.day)
        for number, life in enumerate(lives)
        for place, offer in enumerate(life.offers)
    ]
    names = ["campaign_id", "customer_id", "offer_date", "action", "propensity", "known_at"]
    with open_engine(EngineSettings(threads=1), Path("unused")) as engine:
        at_risk = engine.table(pd.DataFrame({"customer_id": events["customer_id"], "as_of": AS_OF}))
        table = engine.table(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in offers], OFFERS))
        event_table = engine.table(pa.Table.from_pandas(events, EVENTS, preserve_index=False))
        frame = engine.frame(dated_labels(engine, at_risk, event_table, table, labels, cut))
    frame["customer_id"] = frame["customer_id"].astype(int)
    return frame.sort_values("customer_id", ignore_index=True)


offer = st.builds(
    Offer,
    day=DAYS,
    action=st.sampled_from(["none", "none", "small", "large"]),
    propensity=st.one_of(st.none(), st.sampled_from([0.25, 0.5, 0.9])),
)
life = st.builds(Life, left_on=st.one_of(st.none(), DAYS), offers=st.lists(offer, max_size=3).map(tuple))


@settings(max_examples=12)
@given(
    lives=st.lists(life, min_size=20, max_size=60),
    cut=st.integers(0, 150).map(lambda days: AS_OF + timedelta(days=days)),
    horizon=st.sampled_from([30, 60, 90]),
    lag=st.sampled_from([0, 15]),
    censor=st.booleans(),
)
def test_labels_are_those_of_the_slow_way(lives: list[Life], cut: date, horizon: int, lag: int, censor: bool) -> None:
    lives = [Life(one.left_on, tuple(o for o in one.offers if o.day <= cut)) for one in lives]
    found = outcomes(lives, cut, settings_of(horizon_days=horizon, registration_lag_days=lag, censor_at_offers=censor))
    assert not found["without_label"].any()
    # What happens after the cut must not show: whoever leaves then is a customer as any other.
    known = [Life(one.left_on if one.left_on and one.left_on <= cut else None, one.offers) for one in lives]
    for row, one in zip(found.to_dict("records"), known, strict=True):
        wanted = label(one, AS_OF, cut, horizon=horizon, lag=lag, censor_at_offers=censor)
        assert row["left_unregistered"] == wanted["left_unregistered"], one
        if wanted["left_unregistered"]:
            continue
        told = {name: None if pd.isna(row[name]) else row[name] for name in (*OUTCOMES, *FOLLOWED)}
        assert told == {name: wanted[name] for name in (*OUTCOMES, *FOLLOWED)}, one
        # A weight of -1 stands for none.
        weights = [-1.0 if pd.isna(row[name]) else row[name] for name in WEIGHTS]
        slow = [-1.0 if wanted[name] is None else wanted[name] for name in WEIGHTS]
        assert weights == pytest.approx(slow, rel=1e-5), one


MATURE = AS_OF + timedelta(days=400)


@pytest.mark.parametrize(
    ("days", "windows"), [(1, (1, None, None)), (30, (1, None, None)), (31, (0, 1, None)), (90, (0, 0, 1))]
)
def test_leaving_falls_into_one_window(days: int, windows: tuple[int | None, ...]) -> None:
    (row,) = outcomes([Life(AS_OF + timedelta(days=days), ())], MATURE, settings_of()).to_dict("records")
    assert tuple(None if pd.isna(row[name]) else row[name] for name in OUTCOMES[:3]) == windows
    assert row["left_horizon"] == 1
    assert row["followup_days"] == days


def test_leaving_after_the_horizon_is_staying() -> None:
    (row,) = outcomes([Life(AS_OF + timedelta(days=91), ())], MATURE, settings_of()).to_dict("records")
    assert row["left_horizon"] == 0


def test_an_immature_window_is_unknown_and_never_negative() -> None:
    cut = AS_OF + timedelta(days=30 + 15 + 29)
    stays, leaves = Life(None, ()), Life(AS_OF + timedelta(days=50), ())
    frame = outcomes([stays, leaves], cut, settings_of())
    assert frame["left_0_30"].tolist() == [0, 0]
    assert frame[["left_30_60", "left_60_90", "left_horizon"]].isna().all().all()
    assert frame["censored_by"].tolist() == ["maturity", "maturity"]


def test_a_leaver_who_is_registered_after_the_cut_is_not_known_to_have_left() -> None:
    left = AS_OF + timedelta(days=20)
    frame = outcomes([Life(left, ())], left + timedelta(days=5), settings_of(), late=timedelta(days=10))
    assert frame["left_horizon"].isna().all()
    assert not frame["without_label"].any(), "leaving the row out would tell that they leave later"


def test_the_last_version_of_a_label_counts() -> None:
    events = pd.DataFrame(
        {
            "customer_id": ["A", "A"],
            "churn": [True, False],
            "churn_date": pd.Series([date(2024, 5, 1), None], dtype="object"),
            "reason": pd.Series(["switch", None], dtype="object"),
            "known_at": [date(2024, 5, 2), date(2024, 5, 20)],
        }
    )
    with open_engine(EngineSettings(threads=1), Path("unused")) as engine:
        assert engine.frame(leavers(engine.table(events), MATURE))["left_on"].isna().all()
