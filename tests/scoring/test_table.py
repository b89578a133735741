"""The table that a decision is taken on: who is in it, in which order, and what each input is made of."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EconomicsSettings
from spanishgas.domain.survival import STATED
from spanishgas.errors import ContractError, SourceError
from spanishgas.policy.candidates import HAZARDS, window_hazards
from spanishgas.scoring.table import DecisionTable, decision_table

# In an order of their own: a decision is taken in order of the ids.
PEOPLE = ("C3", "C1", "C4", "C2")
ECONOMICS = EconomicsSettings(margin_features={"margin_eur_month_12m": 0.5, "margin_eur_month_3m": 0.5})


def number_of(customer: str) -> int:
    return int(customer[1:])


def features(**changes: Any) -> pd.DataFrame:
    """Features that tell whose they are."""
    numbers = np.array([number_of(name) for name in PEOPLE], float)
    table = {
        "customer_id": list(PEOPLE),
        "as_of": pd.Timestamp("2024-11-30"),
        "is_business": [name == "C2" for name in PEOPLE],
        "is_second_home": [name == "C3" for name in PEOPLE],
        "margin_eur_month_12m": 10 * numbers,
        "margin_eur_month_3m": 12 * numbers,
        "elec_kwh_365d": 600 * numbers,
        "coverage_365d": 0.5,
        "price_energy_eur_kwh": 0.2,
    }
    return pd.DataFrame({**table, **changes})


def scores(**changes: Any) -> pd.DataFrame:
    numbers = np.array([number_of(name) for name in PEOPLE], float)
    hazards = {name: numbers / 100 + place / 1000 for place, name in enumerate(HAZARDS)}
    return pd.DataFrame({"risk": numbers / 10, **hazards, **changes}, index=[9, 8, 7, 6])


def standing(**changes: dict[str, Any]) -> pd.DataFrame:
    """How the customers stand, in yet another order; changes are customer -> value."""
    rows = []
    for name in sorted(PEOPLE):
        row = {
            "customer_id": name,
            "has_left": False,
            "is_vulnerable": False,
            "marketing_consent": True,
            "phone_consent": name == "C1",
            "days_since_offer": None,
            "days_since_contact": None,
            "days_to_renewal": 10.0 * number_of(name),
            "term_age_days": 100.0 + number_of(name),
        }
        rows.append(row | {column: told[name] for column, told in changes.items() if name in told})
    return pd.DataFrame(rows)


def made(
    *,
    of: pd.DataFrame | None = None,
    told: pd.DataFrame | None = None,
    stands: pd.DataFrame | None = None,
    segments: pd.DataFrame | None = None,
    held_out: pd.DataFrame | None = None,
) -> DecisionTable:
    return decision_table(
        features() if of is None else of,
        scores() if told is None else told,
        standing() if stands is None else stands,
        segments,
        held_out,
        ECONOMICS,
        STATED,
    )


def test_every_customer_has_their_own_numbers_in_order_of_the_ids() -> None:
    found = made()
    people = found.candidates
    assert people.ids.tolist() == ["C1", "C2", "C3", "C4"]
    assert people.kind.tolist() == ["home", "business", "second_home", "home"]
    assert people.risk.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert people.hazards[:, 2].tolist() == pytest.approx([0.012, 0.022, 0.032, 0.042])
    assert people["margin_eur_month"].tolist() == pytest.approx([11.0, 22.0, 33.0, 44.0])
    # Half of the year was metered: 1200 kWh a year make 20 EUR a month at 0.2 EUR.
    assert people["bill_eur_month"].tolist() == pytest.approx([20.0, 40.0, 60.0, 80.0])
    assert people["days_to_renewal"].tolist() == [10, 20, 30, 40]
    assert people["term_age_days"].tolist() == [101, 102, 103, 104]
    assert people["phone_consent"].tolist() == [1, 0, 0, 0]
    assert people.segment.tolist() == [""] * 4
    assert np.isnan(people["days_since_held_out"]).all()
    assert found.features["customer_id"].tolist() == people.ids.tolist()
    assert found.features["margin_eur_month_12m"].tolist() == [10, 20, 30, 40]
    assert (found.left, found.is_timed_by_contract) == (0, False)


def test_who_has_left_is_left_out_and_counted() -> None:
    found = made(stands=standing(has_left={"C1": True, "C4": True}))
    assert found.candidates.ids.tolist() == ["C2", "C3"]
    assert found.features["customer_id"].tolist() == ["C2", "C3"]
    assert found.candidates.risk.tolist() == pytest.approx([0.2, 0.3])
    assert found.left == 2


def test_a_day_on_which_everybody_has_left_is_an_error() -> None:
    with pytest.raises(SourceError, match="every customer has left"):
        made(stands=standing(has_left=dict.fromkeys(PEOPLE, True)))


def test_of_whom_nothing_is_known_stays_in_the_table_with_nothing_known() -> None:
    stands = standing()
    found = made(stands=stands[stands["customer_id"] != "C3"])
    assert found.candidates.ids.tolist() == ["C1", "C2", "C3", "C4"]
    assert np.isnan(found.candidates["marketing_consent"]).tolist() == [False, False, True, False]
    wanted = ("is_vulnerable", "marketing_consent", "phone_consent", "days_to_renewal", "term_age_days")
    assert found.missing == dict.fromkeys(wanted, 1)


def test_earlier_offers_and_hold_outs_count_beside_those_registered() -> None:
    """The shorter time since an offer counts, wherever it is told."""
    stands = standing(days_since_offer={"C1": 100, "C2": 20, "C3": 70})
    earlier = pd.DataFrame(
        {
            "customer_id": ["C4", "C2", "C1", "C9"],
            "days_since_offer": [33.0, 50.0, 40.0, 1.0],
            "days_since_held_out": [np.nan, 12.0, np.nan, 1.0],
        }
    )
    people = made(stands=stands, held_out=earlier).candidates
    assert people["days_since_offer"].tolist() == [40, 20, 70, 33]
    assert people["days_since_held_out"].tolist() == pytest.approx([np.nan, 12, np.nan, np.nan], nan_ok=True)
    nobody = made(stands=stands).candidates
    assert nobody["days_since_offer"].tolist() == pytest.approx([100, 20, 70, np.nan], nan_ok=True)


def test_segments_are_those_of_the_customer_and_may_be_missing() -> None:
    segments = pd.DataFrame({"customer_id": ["C4", "C1", "C3", "C8"], "segment_id": ["S2", "S1", "S3", "S4"]})
    assert made(segments=segments).candidates.segment.tolist() == ["S1", "", "S3", "S2"]


def test_missing_inputs_are_counted_among_those_who_are_decided_on() -> None:
    stands = standing(
        marketing_consent={"C1": None, "C2": None, "C4": None},
        days_to_renewal={"C3": None},
        has_left={"C4": True},
        days_since_contact={"C1": 3},
    )
    of = features(price_energy_eur_kwh=[0.2, None, 0.2, 0.2], margin_eur_month_3m=[None, 1.0, None, None])
    found = made(of=of, stands=stands)
    # That nobody was ever offered anything is not a gap in what is known.
    assert found.missing == {
        "margin_eur_month": 2,
        "bill_eur_month": 1,
        "marketing_consent": 2,
        "days_to_renewal": 1,
    }
    assert np.isnan(found.candidates["bill_eur_month"]).tolist() == [True, False, False]
    assert np.isnan(found.candidates["margin_eur_month"]).tolist() == [False, True, True]


def test_nullable_columns_as_an_engine_gives_them_are_read() -> None:
    stands = standing(days_since_offer={"C1": 5}, marketing_consent={"C2": None})
    stands = stands.astype({"days_since_offer": "Int64", "marketing_consent": "boolean", "days_to_renewal": "Int64"})
    people = made(stands=stands).candidates
    assert people["days_since_offer"].tolist() == pytest.approx([5, np.nan, np.nan, np.nan], nan_ok=True)
    assert people["marketing_consent"].tolist() == pytest.approx([1, np.nan, 1, 1], nan_ok=True)


def test_a_model_of_the_horizon_only_is_timed_by_the_contract() -> None:
    """The whole risk falls into the window of the renewal as it stands on the decision's day."""
    told = scores()[["risk"]]
    stands = standing(days_to_renewal={"C1": 29.0, "C2": 30.0, "C3": 200.0, "C4": None})
    found = made(told=told, stands=stands)
    assert found.is_timed_by_contract
    even = 1 - 0.6 ** (1 / 3)
    wanted = [[0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3], [even, even, even]]
    assert found.candidates.hazards[:, :3] == pytest.approx(np.array(wanted))
    assert found.candidates.risk.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("days", "share"),
    [(0.0, (1, 0, 0)), (29.9, (1, 0, 0)), (59.0, (0, 1, 0)), (60.0, (0, 0, 1)), (89.0, (0, 0, 1)), (5000.0, (0, 0, 1))],
)
def test_the_window_of_a_renewal(days: float, share: tuple[int, ...]) -> None:
    hazards, is_timed = window_hazards(pd.DataFrame({"risk": [0.25]}), np.array([days]))
    assert is_timed
    assert hazards[0].tolist() == [0.25 * one for one in share]


@pytest.mark.parametrize("days", [np.nan, -1.0, -400.0])
def test_a_renewal_that_is_unknown_or_past_spreads_the_risk_evenly(days: float) -> None:
    hazards, _ = window_hazards(pd.DataFrame({"risk": [0.25, 1.0]}), np.array([days, days]))
    assert len(set(hazards[0])) == 1
    assert 1 - np.prod(1 - hazards, axis=1) == pytest.approx([0.25, 1.0])


def test_hazards_that_are_not_told_for_all_are_not_told() -> None:
    told = scores()
    told.iloc[1, [told.columns.get_loc(name) for name in HAZARDS]] = np.nan
    assert made(told=told).is_timed_by_contract
    assert not made().is_timed_by_contract


def test_after_the_windows_that_a_model_knows_their_mean_goes_on() -> None:
    hazards, is_timed = window_hazards(
        pd.DataFrame({"risk": [0.28, 0.5], HAZARDS[0]: [0.1, 0.5], HAZARDS[1]: [0.2, 0.0]}), np.array([np.nan, 10.0])
    )
    assert not is_timed
    wanted = [[0.1, 0.2, 1 - 0.72**0.5], [0.5, 0.0, 1 - 0.5**0.5]]
    assert hazards == pytest.approx(np.array(wanted))


def test_a_margin_made_of_a_feature_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ContractError, match="features of the margin do not exist") as caught:
        made(of=features().drop(columns="margin_eur_month_3m"))
    assert "margin_eur_month_3m" in str(caught.value)


def test_a_risk_that_is_no_probability_is_an_error() -> None:
    with pytest.raises(ContractError, match="no probability"):
        made(told=scores(risk=[0.1, 1.2, 0.1, 0.1]))
