"""Policies on past campaigns: what they would have earned is found although the model is wrong."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import PolicySettings
from spanishgas.domain.survival import Survival
from spanishgas.policy.allocation import Plan
from spanishgas.policy.candidates import HAZARDS
from spanishgas.policy.economics import ACTIONS, WINDOWS
from spanishgas.policy.past_campaigns import (
    Month,
    kept_value,
    past_months,
    promise,
    table_of,
    value_policies,
)
from spanishgas.policy.response import ASSUMED, LEARNED
from spanishgas.policy.rules import TOP_RISK
from tests.policy.worlds import changed, same_response, unlimited

AS_OF = pd.Timestamp("2024-01-31")
FAR = date(2025, 12, 31)
PROPENSITIES = (0.4, 0.25, 0.2, 0.15)
LASTS = 3 * 30.44
HAZARD = 0.08
# Who is like everybody goes on as everybody.
CURVE = Survival(float(np.log(-np.log1p(-HAZARD))))


def drawn(count: int, ratio: float, seed: int = 0) -> pd.DataFrame:
    """A campaign of one day: every offer in every window scales the hazard of three months by the ratio."""
    generator = np.random.default_rng(seed)
    hazards = np.full(count, HAZARD)
    action = generator.choice(4, count, p=PROPENSITIES)
    window = generator.choice(3, count)
    day, left = np.arange(1, 400), np.full(count, np.nan)
    rate = -np.log1p(-hazards)[:, None] / 30
    begin = 30 * window[:, None]
    acting = (action[:, None] > 0) & (day > begin) & (day <= begin + LASTS)
    over = np.cumsum(np.where(acting, ratio, 1.0) * rate, axis=1)
    reached = over >= generator.exponential(size=count)[:, None]
    left = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.nan)
    offered = action > 0
    return pd.DataFrame(
        {
            "customer_id": [f"C{number:05d}" for number in range(count)],
            "as_of": AS_OF,
            "offer_date": AS_OF + pd.Timedelta(days=1),
            "action": np.array(["none", *ACTIONS])[action],
            "timing_window": np.where(offered, np.array(WINDOWS)[window], "none"),
            "propensity": np.array(PROPENSITIES)[action],
            "accepted": offered.astype(int),
            **dict.fromkeys(HAZARDS, hazards),
            "margin_eur_month": 60.0,
            "bill_eur_month": 30.0,
            "is_business": False,
            "is_second_home": False,
            "left_on": AS_OF + pd.to_timedelta(left + 1, unit="D"),
            "days_to_renewal": 40.0,
            "term_age_days": 325.0,
        }
    )


def months_of(rows: pd.DataFrame, active: tuple[int, int] | None = None, last_day: date = FAR) -> list[Month]:
    told = {AS_OF.date(): active or (len(rows), len(rows))}
    return past_months(rows, told, CURVE, unlimited().economics, last_day)


def valued(months: list[Month], ratio: float, settings: PolicySettings | None = None) -> dict:
    def respond(month: Month):  # type: ignore[no-untyped-def]
        return same_response(len(month.rows), acceptance=1.0, accepted=ratio, refused=1.0)

    return value_policies(months, {ASSUMED: respond}, settings or unlimited())


def test_the_truth_is_found_by_a_model_that_believes_in_half_of_it() -> None:
    months = months_of(drawn(12_000, ratio=0.4))
    told, truth = valued(months, 0.7), valued(months, 0.4)
    for policy in (ASSUMED, TOP_RISK):
        for place in (0, 1):
            found, wanted = told[policy][place], truth[policy][place]
            assert found.chosen == wanted.chosen == 12_000
            assert found.promised < 0.65 * wanted.promised
            assert found.earned == pytest.approx(wanted.promised, abs=3 * found.sd)
    assert told[TOP_RISK][1].sd < 0.1 * told[TOP_RISK][1].earned
    # Nine options: given just the same are a ninth of those who were given anything.
    exact, any_offer = told[TOP_RISK]
    assert any_offer.matched > 6 * exact.matched


def test_offers_that_do_nothing_are_found_to_keep_nothing() -> None:
    kept = valued(months_of(drawn(12_000, ratio=1.0, seed=3)), 0.4)[ASSUMED][1]
    assert abs(kept.earned) < 3 * kept.sd
    assert kept.promised > 5 * kept.sd


def test_the_dice_of_one_large_customer_do_not_tell_how_far_the_model_is_off() -> None:
    rows = drawn(2000, ratio=0.4)
    rows.loc[0, "margin_eur_month"] = 60_000.0
    exact, capped = valued(months_of(rows), 0.4)[TOP_RISK]
    assert exact.promised > 1.4 * capped.promised
    assert capped.sd == pytest.approx(valued(months_of(drawn(2000, ratio=0.4)), 0.4)[TOP_RISK][1].sd, rel=0.05)


def test_the_budget_is_that_of_the_part_that_a_campaign_drew_from() -> None:
    settings = changed(unlimited(), budget={"eur": 600.0})
    rows = drawn(500, ratio=0.4)
    whole, part = (valued(months_of(rows, active), 0.4, settings)[ASSUMED][0] for active in ((500, 500), (500, 2500)))
    assert 0 < part.chosen < whole.chosen < 500


def test_campaigns_that_are_not_over_are_left_out_and_a_customer_counts_once_a_month() -> None:
    rows = drawn(30, ratio=0.4)
    assert months_of(rows, last_day=date(2024, 7, 1)) == []
    assert len(months_of(rows, last_day=date(2024, 7, 2))) == 1
    again = rows.assign(offer_date=rows["offer_date"] + pd.Timedelta(days=5))
    (month,) = months_of(pd.concat([again, rows]))
    assert (month.rows["offer_date"] == rows["offer_date"][0]).all()
    assert len(month.rows) == len(month.candidates) == 30


def test_a_file_without_propensities_has_the_shares_of_its_actions() -> None:
    rows = drawn(12_000, ratio=0.4)
    known, unknown = (valued(months_of(one), 0.4)[TOP_RISK][1] for one in (rows, rows.assign(propensity=np.nan)))
    assert unknown.earned == pytest.approx(known.earned, rel=0.05)


def test_the_table_says_what_a_plan_is_promised_to_earn() -> None:
    months = months_of(drawn(4000, ratio=0.4))
    past = table_of(valued(months, 0.7), months)
    row = past.set_index("policy").loc[ASSUMED]
    assert (row["dates"], row["customers"]) == (1, 4000)
    assert row["lo_eur"] < row["earned_eur"] < row["hi_eur"]
    none = np.zeros(1, np.int64)
    plan = Plan(none, none, none, np.array([90.0]), np.array([10.0]), np.zeros(1), 0.0, 0)
    told = promise(plan, past, ASSUMED, 0.1)
    factor = kept_value(row.to_dict()).earned / row["promised_kept_eur"]
    assert told.model == 90.0
    assert told.factor == pytest.approx(factor, rel=0.15)
    assert told.value == pytest.approx(100 * told.factor - 10)
    assert promise(plan, past, LEARNED, 0.1).effective == 0
    # A response that was learned from the same outcomes has heard half of it before.
    learned = promise(plan, past.assign(policy=LEARNED).head(1), LEARNED, 0.0)
    assumed = promise(plan, past.head(1), ASSUMED, 0.0)
    assert learned.hi - learned.lo > 1.2 * (assumed.hi - assumed.lo)
