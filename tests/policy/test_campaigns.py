"""Past campaigns as follow-ups: who is followed when, how much leaving is to be expected, and by which weight."""

import math
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spanishgas.policy.campaigns import CONTROL, MOST_WEIGHT, CampaignFacts, FollowUps, follow

AS_OF = "2024-01-31"
OFFER = "2024-02-10"
FAR = date(2025, 12, 31)
HAZARDS = (0.03, 0.06, 0.09)
EFFECT = 3
# Days that an effect lasts.
LASTS = EFFECT * 30.44
RATES = tuple(-math.log(1 - hazard) / 30 for hazard in HAZARDS)
LATER = sum(RATES) / 3


def offer(customer: str = "C1", **changes: Any) -> dict[str, Any]:
    """A row of a past campaign: a small offer at once, ten days after the date of the score, refused."""
    row = {
        "campaign_id": "K1",
        "customer_id": customer,
        "offer_date": OFFER,
        "action": "small",
        "timing_window": "immediate",
        "propensity": 0.25,
        "accepted": 0,
    }
    return row | changes


def control(customer: str = "C1", **changes: Any) -> dict[str, Any]:
    return offer(customer, action="none", timing_window="none", **changes)


def score(customer: str = "C1", as_of: str = AS_OF, hazards: tuple[float, ...] = HAZARDS, x: float = 0.0) -> dict:
    names = ("hazard_0_30", "hazard_30_60", "hazard_60_90")
    return {"customer_id": customer, "as_of": as_of, **dict(zip(names, hazards, strict=True)), "x": x}


def run(
    offers: list[dict[str, Any]],
    scores: list[dict[str, Any]] | None = None,
    left: dict[str, str] | None = None,
    last_day: date = FAR,
) -> tuple[FollowUps, CampaignFacts]:
    """Follows rows; every customer has a score of the same date, unless scores are given."""
    if scores is None:
        scores = [score(name, x=float(name[1:])) for name in sorted({row["customer_id"] for row in offers})]
    gone = pd.Series({name: pd.Timestamp(day) for name, day in (left or {}).items()}, dtype="datetime64[s]")
    return follow(pd.DataFrame(offers), pd.DataFrame(scores), gone, ("x",), last_day=last_day, effect_months=EFFECT)


def day_after(days: int) -> str:
    """A day counted from the date of the score."""
    return (pd.Timestamp(AS_OF) + pd.Timedelta(days=days)).date().isoformat()


def test_expected_leaving_is_the_sum_of_the_windows_rates_and_their_mean_afterwards() -> None:
    rows, _ = run([offer("C1"), offer("C2", timing_window="30_60"), offer("C3", timing_window="60_90")])
    wanted = {
        "C1": RATES[0] * 20 + RATES[1] * 30 + RATES[2] * 30 + LATER * (10 + LASTS - 90),
        "C2": RATES[1] * 20 + RATES[2] * 30 + LATER * (40 + LASTS - 90),
        "C3": RATES[2] * 20 + LATER * (70 + LASTS - 90),
    }
    assert dict(zip(rows.customers, rows.expected, strict=True)) == pytest.approx(wanted, rel=1e-12)
    assert rows.window.tolist() == [0, 1, 2]
    assert rows.left.tolist() == [0, 0, 0]


def test_an_effect_that_ends_within_the_windows_known_needs_no_mean() -> None:
    rows, _ = follow(
        pd.DataFrame([offer()]),
        pd.DataFrame([score()]),
        pd.Series(dtype="datetime64[s]"),
        ("x",),
        last_day=FAR,
        effect_months=1,
    )
    assert rows.expected.tolist() == pytest.approx([RATES[0] * 20 + RATES[1] * (10 + 30.44 - 30)], rel=1e-12)


def test_follow_up_ends_with_leaving() -> None:
    rows, facts = run([offer()], left={"C1": day_after(50)})
    assert rows.expected.tolist() == pytest.approx([RATES[0] * 20 + RATES[1] * 20])
    assert rows.left.tolist() == [1]
    assert (facts.offers, facts.leavers) == (1, 1)


def test_the_risk_of_a_follow_up_does_not_know_how_it_ended() -> None:
    again = offer("C2", campaign_id="K2", offer_date=day_after(40))
    rows, _ = run([offer("C1"), offer("C2"), offer("C3"), again], left={"C1": day_after(50)})
    first = [float(rows.risk[list(rows.customers).index(name)]) for name in ("C1", "C2", "C3")]
    whole = RATES[0] * 20 + RATES[1] * 30 + RATES[2] * 30 + LATER * (10 + LASTS - 90)
    assert first == pytest.approx([whole] * 3)
    assert len({round(float(value), 6) for value in rows.expected}) > 1


@pytest.mark.parametrize(("days", "left"), [(101, 1.0), (102, 0.0)])
def test_leaving_after_the_effects_end_is_none_of_the_offers(days: int, left: float) -> None:
    """The effect ends 101.32 days after the date of the score."""
    rows, _ = run([offer()], left={"C1": day_after(days)})
    assert rows.left.tolist() == [left]
    assert rows.expected[0] <= RATES[0] * 20 + RATES[1] * 30 + RATES[2] * 30 + LATER * (10 + LASTS - 90) + 1e-12


def test_follow_up_ends_with_the_last_day_that_is_known() -> None:
    rows, facts = run([offer()], last_day=date.fromisoformat(day_after(40)))
    assert rows.expected.tolist() == pytest.approx([RATES[0] * 20 + RATES[1] * 10])
    assert facts.not_mature == 0
    # Who leaves after it is not known to leave.
    rows, _ = run([offer()], left={"C1": day_after(41)}, last_day=date.fromisoformat(day_after(40)))
    assert rows.left.tolist() == [0]


def test_a_window_that_begins_after_the_last_day_known_is_not_mature_and_counted() -> None:
    rows, facts = run(
        [offer("C1"), offer("C2", timing_window="30_60"), offer("C3", timing_window="60_90")],
        last_day=date.fromisoformat(day_after(40)),
    )
    assert rows.customers.tolist() == ["C1"]
    assert (facts.offers, facts.not_mature) == (1, 2)


@pytest.mark.parametrize("first", ["small", "none"])
def test_follow_up_ends_at_the_next_offer_to_the_same_customer_whatever_the_row_was(first: str) -> None:
    window = "none" if first == "none" else "immediate"
    rows, _ = run(
        [
            offer("C1", action=first, timing_window=window),
            offer("C1", campaign_id="K2", offer_date=day_after(35), action="large"),
            offer("C2", campaign_id="K2", offer_date=day_after(20), action="large"),
        ],
        scores=[score("C1"), score("C2"), score("C1", as_of="2024-02-29")],
        left={"C1": day_after(60)},
    )
    told = pd.DataFrame(
        {"who": rows.customers, "action": rows.action, "window": rows.window, "e": rows.expected, "left": rows.left}
    )
    earlier = told[(told["who"] == "C1") & (told["action"] != 2)]
    assert earlier["window"].tolist() == [0]
    assert earlier["e"].tolist() == pytest.approx([RATES[0] * 20 + RATES[1] * 5])
    assert earlier["left"].tolist() == [0]
    # The offer that ended it is followed itself, and answers for the leaving: 6 days after its score to 31 after it.
    later = told[(told["who"] == "C1") & (told["action"] == 2)]
    assert later["e"].tolist() == pytest.approx([RATES[0] * 24 + RATES[1] * 1])
    assert later["left"].tolist() == [1]


def test_being_passed_over_later_does_not_end_follow_up() -> None:
    rows, _ = run(
        [offer("C1"), control("C1", campaign_id="K2", offer_date="2024-03-05")],
        scores=[score("C1"), score("C1", as_of="2024-02-29")],
    )
    (expected,) = rows.expected[rows.action == 0]
    assert expected == pytest.approx(RATES[0] * 20 + RATES[1] * 30 + RATES[2] * 30 + LATER * (10 + LASTS - 90))


def test_an_offer_before_the_window_begins_leaves_nothing_to_follow() -> None:
    rows, _ = run(
        [
            offer("C1", timing_window="60_90"),
            offer("C1", campaign_id="K2", offer_date="2024-03-05", action="large"),
        ],
        scores=[score("C1"), score("C1", as_of="2024-02-29")],
    )
    assert rows.action.tolist() == [2]


@pytest.mark.parametrize(("days", "followed"), [(39, []), (40, []), (41, [1.0])])
def test_who_left_before_the_window_begins_is_not_at_risk(days: int, followed: list[float]) -> None:
    rows, facts = run([offer(timing_window="30_60")], left={"C1": day_after(days)})
    assert rows.left.tolist() == followed
    assert (facts.offers, facts.not_mature) == (len(followed), 0)


def test_controls_stand_beside_the_offers_of_each_window_with_a_third_of_the_weight() -> None:
    rows, facts = run([control("C1"), control("C2"), offer("C3")], left={"C2": day_after(50)})
    controls = rows.take(np.flatnonzero(rows.action == CONTROL))
    wanted = [("C1", 0, 0.0), ("C1", 1, 0.0), ("C1", 2, 0.0), ("C2", 0, 1.0), ("C2", 1, 1.0)]
    assert sorted(zip(controls.customers, controls.window, controls.left, strict=True)) == wanted
    assert controls.weight.tolist() == pytest.approx([1 / 3] * 5)
    assert np.isnan(controls.accepted).all()
    whole = {
        0: RATES[0] * 20 + RATES[1] * 30 + RATES[2] * 30 + LATER * (10 + LASTS - 90),
        1: RATES[1] * 20 + RATES[2] * 30 + LATER * (40 + LASTS - 90),
        2: RATES[2] * 20 + LATER * (70 + LASTS - 90),
    }
    stays = controls.customers == "C1"
    found = dict(zip(controls.window[stays], controls.expected[stays], strict=True))
    assert found == pytest.approx(whole)
    # Rows stand three times; customers do not.
    assert (facts.controls, facts.control_leavers, facts.offers, facts.leavers) == (2, 1, 1, 0)


def test_an_offer_whose_window_is_not_told_stands_in_each_and_counts_once() -> None:
    rows, facts = run([offer("C1", timing_window=None), offer("C2", timing_window="60_90")])
    assert sorted(zip(rows.customers, rows.window, strict=True)) == [("C1", 0), ("C1", 1), ("C1", 2), ("C2", 2)]
    assert rows.weight.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0])
    # Both were as likely as each other: two rows are worth two.
    assert facts.effective_share["small"] == pytest.approx(1.0)
    assert facts.offers == 2


def test_weights_are_inverse_propensities_of_mean_one_within_an_action() -> None:
    rows, facts = run(
        [
            offer("C1", propensity=0.2),
            offer("C2", propensity=0.4),
            offer("C3", action="large", propensity=0.01),
            control("C4", propensity=0.3),
            control("C5", propensity=0.6),
        ]
    )
    by_customer = dict(zip(rows.customers, rows.weight, strict=True))
    wanted = {"C1": 4 / 3, "C2": 2 / 3, "C3": 1.0, "C4": 4 / 9, "C5": 2 / 9}
    assert by_customer == pytest.approx(wanted)
    assert facts.without_propensity == 0


def test_unusable_propensities_count_as_if_drawn_evenly_and_are_counted() -> None:
    rows, facts = run(
        [
            offer("C1", propensity=0.2),
            offer("C2", propensity=0.4),
            offer("C3", propensity=None),
            offer("C4", propensity=0.0),
            offer("C5", propensity=1.5),
        ]
    )
    wanted = {"C1": 4 / 3, "C2": 2 / 3, "C3": 1.0, "C4": 1.0, "C5": 1.0}
    assert dict(zip(rows.customers, rows.weight, strict=True)) == pytest.approx(wanted)
    assert facts.without_propensity == 3


def test_no_weight_is_beyond_the_most() -> None:
    many = [offer(f"C{number}", propensity=0.9) for number in range(200)]
    rows, _ = run([*many, offer("C999", propensity=0.0001)])
    assert rows.weight.max() == MOST_WEIGHT


def test_effective_shares_are_kishs() -> None:
    _, facts = run(
        [
            offer("C1", propensity=0.2),
            offer("C2", propensity=0.4),
            offer("C3", action="large", propensity=0.3),
            control("C4", propensity=0.2),
            control("C5", propensity=0.4),
            control("C6", propensity=0.4),
        ]
    )
    # (5 + 2.5)^2 / (5^2 + 2.5^2) of two, (5 + 2.5 + 2.5)^2 / (5^2 + 2.5^2 + 2.5^2) of three; no medium offer at all.
    wanted = {"none": 100 / 37.5 / 3, "small": 0.9, "medium": 0.0, "large": 1.0}
    assert facts.effective_share == pytest.approx(wanted)


def test_only_a_score_before_the_offers_day_and_within_31_days_serves() -> None:
    days = {"C1": OFFER, "C2": "2024-02-09", "C3": "2024-01-10", "C4": "2024-01-09", "C5": "2024-02-11"}
    rows, facts = run([offer(name) for name in days], [score(name, day, x=1.0) for name, day in days.items()])
    assert rows.customers.tolist() == ["C2", "C3"]
    assert facts.without_features == 3
    # The follow-up begins with the offer, not with the score.
    wanted = [
        RATES[0] * 29 + RATES[1] * 30 + RATES[2] * 30 + LATER * (1 + LASTS - 90),
        RATES[1] * 29 + RATES[2] * 30 + LATER * (31 + LASTS - 90),
    ]
    assert rows.expected.tolist() == pytest.approx(wanted)


def test_the_newest_score_before_the_offer_serves_with_its_own_features() -> None:
    rows, _ = run(
        [offer("C1"), offer("C2")],
        [
            score("C1", "2024-01-15", (0.5, 0.5, 0.5), x=1.0),
            score("C1", "2024-01-31", x=2.0),
            score("C1", OFFER, (0.9, 0.9, 0.9), x=3.0),
            score("C2", "2024-01-31", x=7.0),
        ],
    )
    assert rows.features["x"].tolist() == [2.0, 7.0]
    assert rows.expected[0] == pytest.approx(rows.expected[1])


def test_features_and_answers_stay_with_their_rows_where_others_are_left_out() -> None:
    offers = [
        offer("C1", accepted=1),
        control("C2", accepted=1),
        offer("C3", action="large", accepted=0),
        offer("C4", timing_window="60_90", accepted=1),
        offer("C5", action="medium", accepted=None),
    ]
    rows, _ = run(offers, left={"C4": day_after(30)})
    assert rows.features["x"].tolist() == [float(name[1:]) for name in rows.customers]
    treated = rows.take(np.flatnonzero(rows.action != CONTROL))
    told = dict(zip(treated.customers, zip(treated.action, treated.accepted, strict=True), strict=True))
    assert set(told) == {"C1", "C3", "C5"}
    assert told["C1"] == (0, 1.0)
    assert told["C3"] == (2, 0.0)
    assert told["C5"][0] == 1
    assert np.isnan(told["C5"][1])
    assert treated.features["x"].tolist() == [1.0, 3.0, 5.0]


def test_nothing_is_followed_without_any_score() -> None:
    rows, facts = run([offer("C1"), control("C2")], [score("C9")])
    assert len(rows) == 0
    assert (facts.offers, facts.controls, facts.without_features) == (0, 0, 2)
