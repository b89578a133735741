"""What a budget is of, and what its earlier runs have committed."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from spanishgas.policy.period import COMMITTING, Period, cancelled, committed, prices_valid_until
from tests.policy.worlds import changed, delivered


@pytest.mark.parametrize(
    ("day", "name", "first", "last"),
    [
        (date(2026, 2, 9), "month", date(2026, 2, 1), date(2026, 2, 28)),
        (date(2028, 2, 29), "month", date(2028, 2, 1), date(2028, 2, 29)),
        (date(2026, 12, 31), "month", date(2026, 12, 1), date(2026, 12, 31)),
        (date(2026, 2, 9), "quarter", date(2026, 1, 1), date(2026, 3, 31)),
        (date(2026, 12, 1), "quarter", date(2026, 10, 1), date(2026, 12, 31)),
        (date(2026, 2, 9), "week", date(2026, 2, 9), date(2026, 2, 15)),  # a Monday
        (date(2026, 1, 1), "week", date(2025, 12, 29), date(2026, 1, 4)),
        (date(2026, 2, 9), "run", date(2026, 2, 9), date(2026, 2, 9)),
    ],
)
def test_periods_of_the_calendar(day: date, name: str, first: date, last: date) -> None:
    assert Period.of(day, name) == Period(first, last)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["week", "month", "quarter"])
def test_periods_follow_each_other_without_gaps(name: str) -> None:
    day = date(2025, 12, 20)
    for _ in range(120):
        here, next_ = Period.of(day, name), Period.of(day + timedelta(days=1), name)  # type: ignore[arg-type]
        assert here.first <= day <= here.last
        assert next_ == here or (day == here.last and next_.first == day + timedelta(days=1))
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "until"),
    [
        ("run", date(2026, 3, 11)),
        ("quarter", date(2026, 3, 11)),
        ("month", date(2026, 2, 28)),
        ("week", date(2026, 2, 15)),
    ],
)
def test_prices_hold_no_longer_than_their_period(name: str, until: date) -> None:
    assert prices_valid_until(date(2026, 2, 9), changed(budget={"period": name})) == until


def offers(*rows: dict[str, object]) -> pd.DataFrame:
    plain = {
        "run_date": pd.Timestamp("2026-02-03"),
        "campaign": "2026-02-03",
        "customer_id": "C1",
        "channel": "email",
        "timing_window": "immediate",
        "expected_spend": 4.25,
    }
    return pd.DataFrame([{**plain, **row} for row in rows], columns=list(COMMITTING))


NOBODY_LEFT = pd.Series(dtype="datetime64[s]")
NOTHING_WITHHELD = pd.DataFrame(columns=["campaign_id", "customer_id", "offer_date"])


def test_offers_commit_their_spend_and_their_contact() -> None:
    made = offers(
        {},
        {"customer_id": "C2", "channel": "phone", "timing_window": "60_90", "expected_spend": 7.5},
        {"customer_id": "C3", "channel": "email", "timing_window": "60_90", "expected_spend": 0.0001},
    )
    policy = delivered()
    assert policy.channels == ("email", "sms", "letter", "phone")
    assert committed(made, policy).tolist() == [11.7501, 1, 0, 2, 2, 0, 0, 1]
    assert committed(made.iloc[:0], policy).tolist() == [0.0] * 8
    # A channel that the policy has no more takes of the budget and of its window.
    fewer = policy.model_copy(update={"contact_cost_eur": {"email": 0.1}})
    assert committed(made, fewer).tolist() == [11.7501, 1, 0, 2, 2]


def test_sums_are_the_same_in_any_order() -> None:
    spend = np.random.default_rng(0).lognormal(1, 2, 300).round(4)
    made = offers(*({"customer_id": f"C{number}", "expected_spend": one} for number, one in enumerate(spend)))
    first = committed(made, delivered())
    assert committed(made.sample(frac=1, random_state=1), delivered()).tolist() == first.tolist()


@pytest.mark.parametrize(
    ("window", "left", "is_cancelled"),
    [
        ("immediate", "2026-02-03", True),  # gone by the day that the window begins
        ("immediate", "2026-02-04", False),  # may have been contacted
        ("30_60", "2026-03-05", True),
        ("30_60", "2026-03-06", False),
        ("60_90", "2026-04-04", True),
        ("60_90", "2026-04-05", False),
    ],
)
def test_who_left_before_the_window_was_never_contacted(window: str, left: str, is_cancelled: bool) -> None:
    gone = pd.Series({"C1": pd.Timestamp(left)})
    made = offers({"timing_window": window}, {"customer_id": "C2"})
    assert cancelled(made, gone, NOTHING_WITHHELD).tolist() == [is_cancelled, False]


def test_offers_that_the_retailer_says_were_not_made_commit_nothing() -> None:
    withheld = pd.DataFrame(
        {
            "campaign_id": ["2026-02-03", "2026-02-03", "spring", "2026-02-03"],
            "customer_id": ["C1", "C2", "C3", "C4"],
            "offer_date": [date(2026, 2, 3), date(2026, 2, 2), date(2026, 2, 9), date(2026, 2, 20)],
        }
    )
    made = offers(*({"customer_id": f"C{number}"} for number in range(1, 6)))
    # C2's row is older than the decision, C3's of another campaign, nothing is said of C5.
    assert cancelled(made, NOBODY_LEFT, withheld).tolist() == [True, False, False, True, False]
    assert not cancelled(made, NOBODY_LEFT, NOTHING_WITHHELD).any()
