"""What offers are worth: beside arithmetic by hand, and beside a slow loop over months."""

from dataclasses import fields

import numpy as np
import pytest

from spanishgas.config import EconomicsSettings
from spanishgas.policy.decide import value
from spanishgas.policy.economics import (
    Response,
    Values,
    by_month,
    cumulative_hazard,
    hazards_with_offer,
    monthly_hazards,
    value_offers,
)
from tests.policy.worlds import changed, customers, same_response

SHARES = (0.05, 0.1, 0.2)
# Three months, later euros count in full: sums that can be done by hand.
PLAIN = EconomicsSettings(horizon_months=3, discount_rate_year=0.0, discount_months=2, effect_months=1)


def worth(
    hazards: object,
    margin: object = 10.0,
    bill: object = 100.0,
    settings: EconomicsSettings = PLAIN,
    *,
    acceptance: float = 0.5,
    accepted: float = 0.5,
    refused: float = 1.0,
    unavoidable: float = 0.0,
) -> Values:
    """Values for customers who all respond alike; one margin and bill for everybody, or arrays."""
    rows = np.atleast_2d(np.array(hazards, float))
    respond = same_response(len(rows), acceptance=acceptance, accepted=accepted, refused=refused)

    def each(amount: object) -> np.ndarray:
        return np.full(len(rows), amount, float) if np.ndim(amount) == 0 else np.array(amount, float)

    return value_offers(rows, each(margin), each(bill), SHARES, respond, settings, unavoidable=unavoidable)


def by_hand(
    hazards: np.ndarray,
    margin: np.ndarray,
    bill: np.ndarray,
    told: tuple[float, float, float],
    share: float,
    window: int,
    settings: EconomicsSettings,
    unavoidable: float,
) -> tuple[float, float, float, float]:
    """Value, spend, reached and baseline of one offer to one customer, month by month."""
    chance, accepted_ratio, refused_ratio = told
    monthly = (1 + settings.discount_rate_year) ** (1 / 12)
    gain = spend = baseline = 0.0
    base = taken = left_alone = 1.0
    reached = 1.0
    for month in range(settings.horizon_months):
        if month == window:
            reached = base / monthly**window
        hazard = hazards[month]
        avoidable = 1 - (1 - hazard) / (1 - unavoidable)
        acts = window <= month < window + settings.effect_months
        base *= 1 - hazard
        taken *= (1 - avoidable * accepted_ratio) * (1 - unavoidable) if acts else 1 - hazard
        left_alone *= (1 - avoidable * refused_ratio) * (1 - unavoidable) if acts else 1 - hazard
        today = monthly ** -(month + 1)
        gain += (chance * taken + (1 - chance) * left_alone - base) * margin[month] * today
        baseline += base * margin[month] * today
        if window <= month < window + settings.discount_months:
            spend += chance * taken * share * bill[month] * today
    return gain - spend, spend, reached, baseline


def test_one_customer_by_hand() -> None:
    """Hazards 0.2, 0.1, 0.5; margin 10; half accept 5, 10 or 20 EUR for two months, which halves one month's hazard.

    Without an offer S_0 = 0.8, 0.72, 0.36.
    """
    found = worth([0.2, 0.1, 0.5])
    gain = np.array(
        [
            # S_accepted = 0.9, 0.81, 0.405, half of the way there: 0.85, 0.765, 0.3825.
            (0.85 - 0.8 + 0.765 - 0.72 + 0.3825 - 0.36) * 10,
            # The second month's hazard is 0.05 for those who accept: 0.8, 0.76, 0.38; the mean is 0.8, 0.74, 0.37.
            (0.74 - 0.72 + 0.37 - 0.36) * 10,
            # The third month's is 0.25: 0.8, 0.72, 0.54; the mean of the third month is 0.45.
            (0.45 - 0.36) * 10,
        ]
    )
    # Half pay nothing; who accepts takes the discount as long as they are there; the third window's second month lies
    # beyond the horizon.
    months_paid = 0.5 * np.array([0.9 + 0.81, 0.76 + 0.38, 0.54])
    spend = np.array([[5.0], [10.0], [20.0]]) * months_paid[None, :]
    assert found.spend[0] == pytest.approx(spend)
    assert found.value[0] == pytest.approx(gain[None, :] - spend)
    assert found.baseline == pytest.approx([(0.8 + 0.72 + 0.36) * 10])


def test_the_contact_is_not_in_the_value_but_who_can_still_be_reached_is_told() -> None:
    settings = PLAIN.model_copy(update={"discount_rate_year": 0.08})
    found = worth([0.2, 0.1, 0.5], settings=settings)
    month = 1.08 ** (-1 / 12)
    assert found.reached == pytest.approx(np.array([[1.0, 0.8 * month, 0.72 * month**2]]))


def test_later_euros_count_less() -> None:
    settings = PLAIN.model_copy(update={"discount_rate_year": 0.08})
    found = worth([0.2, 0.1, 0.5], settings=settings)
    month = 1.08 ** (-1 / 12)
    gain = (0.05 * month + 0.045 * month**2 + 0.0225 * month**3) * 10
    spend = 0.5 * 5 * (0.9 * month + 0.81 * month**2)
    assert found.value[0, 0, 0] == pytest.approx(gain - spend)
    assert found.spend[0, 0, 0] == pytest.approx(spend)
    assert found.baseline[0] == pytest.approx((0.8 * month + 0.72 * month**2 + 0.36 * month**3) * 10)


def test_the_effect_lasts_its_months_then_the_hazard_returns() -> None:
    """Two months of effect from the second on, five months, everybody accepts, and the bill is nothing."""
    settings = PLAIN.model_copy(update={"horizon_months": 5, "effect_months": 2})
    found = worth([0.2] * 5, bill=0.0, acceptance=1.0, settings=settings)
    base = 0.8 + 0.8**2 + 0.8**3 + 0.8**4 + 0.8**5
    with_offer = 0.8 + 0.8 * 0.9 + 0.8 * 0.9**2 + 0.8**2 * 0.9**2 + 0.8**3 * 0.9**2
    assert found.value[0, :, 1] == pytest.approx(np.full(3, (with_offer - base) * 10))


def test_who_would_have_stayed_and_takes_the_discount_costs_money() -> None:
    """Nobody leaves, so nothing can be gained: 0.5 x two months x 5, 10 or 20 EUR are given away."""
    found = worth([0.0, 0.0, 0.0])
    two_months = np.array([[-5.0, -5.0], [-10.0, -10.0], [-20.0, -20.0]])
    one_month = np.array([[-2.5], [-5.0], [-10.0]])
    assert found.value[0] == pytest.approx(np.hstack([two_months, one_month]))
    assert found.value.tolist() == (-found.spend).tolist()


def test_contact_that_does_harm_costs_customers() -> None:
    """Nobody accepts, and the month's hazard of 0.2 grows by a half: S = 0.7, 0.63, 0.315."""
    found = worth([0.2, 0.1, 0.5], acceptance=0.0, refused=1.5)
    assert found.value[0, :, 0] == pytest.approx(np.full(3, (0.7 - 0.8 + 0.63 - 0.72 + 0.315 - 0.36) * 10))
    assert found.spend.tolist() == np.zeros((1, 3, 3)).tolist()


def test_an_unknown_margin_or_bill_has_no_value_and_touches_nobody_else() -> None:
    found = worth([[0.2, 0.1, 0.5]] * 3, margin=[10.0, np.nan, 10.0], bill=[100.0, 100.0, np.nan])
    alone = worth([0.2, 0.1, 0.5])
    assert np.isnan(found.value[1:]).all()
    assert np.isnan(found.baseline).tolist() == [False, True, False]
    assert found.value[0].tolist() == alone.value[0].tolist()


def test_what_no_offer_changes_is_left_alone() -> None:
    """Hazard 0.2, of which 0.1 moves out: an offer that stops all else leaves 0.1, one that halves it 0.15."""
    settings = PLAIN.model_copy(update={"effect_months": 3})
    everything = worth([0.2] * 3, bill=0.0, acceptance=1.0, accepted=0.0, settings=settings, unavoidable=0.1)
    base = 0.8 + 0.8**2 + 0.8**3
    assert everything.value[0, 0, 0] == pytest.approx((0.9 + 0.9**2 + 0.9**3 - base) * 10)
    half = worth([0.2] * 3, bill=0.0, acceptance=1.0, accepted=0.5, settings=settings, unavoidable=0.1)
    assert half.value[0, 0, 0] == pytest.approx((0.85 + 0.85**2 + 0.85**3 - base) * 10)
    only_moving = worth([0.1] * 3, bill=0.0, acceptance=1.0, accepted=0.0, settings=settings, unavoidable=0.1)
    assert only_moving.value[0] == pytest.approx(np.zeros((3, 3)), abs=1e-6)


def test_margin_and_bill_may_differ_from_month_to_month() -> None:
    """Margins 10, 20, 30 and bills 100, 200: the last bill goes on. Everybody accepts 5 % for two months."""
    found = worth([0.2, 0.1, 0.5], margin=[[10.0, 20.0, 30.0]], bill=[[100.0, 200.0]], acceptance=1.0)
    gain = (0.9 - 0.8) * 10 + (0.81 - 0.72) * 20 + (0.405 - 0.36) * 30
    assert found.value[0, 0, 0] == pytest.approx(gain - (0.9 * 5 + 0.81 * 10))
    assert found.spend[0, 0, 2] == pytest.approx(0.54 * 10)
    assert found.baseline[0] == pytest.approx(0.8 * 10 + 0.72 * 20 + 0.36 * 30)


def test_the_last_amount_known_goes_on() -> None:
    assert by_month(np.array([7.0, 8.0]), 3).tolist() == [[7.0, 7.0, 7.0], [8.0, 8.0, 8.0]]
    assert by_month(np.array([[1.0, 2.0]]), 4).tolist() == [[1.0, 2.0, 2.0, 2.0]]
    assert by_month(np.array([[1.0, 2.0, 3.0]]), 2).tolist() == [[1.0, 2.0]]


def test_hazards_go_on_with_the_mean_of_the_windows() -> None:
    """The mean hazard is the one that loses as many over the three windows: 1 - (0.9 x 0.8 x 0.7)^(1/3)."""
    later = 1 - (0.9 * 0.8 * 0.7) ** (1 / 3)
    found = monthly_hazards(np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]]), 5)
    assert found == pytest.approx(np.array([[0.1, 0.2, 0.3, later, later], [0.0] * 5]))
    assert monthly_hazards(np.array([[0.1, 0.2, 0.3]]), 2).tolist() == [[0.1, 0.2]]


def test_a_certain_leaver_is_worth_nothing_and_breaks_nothing() -> None:
    found = worth([1.0, 1.0, 1.0], accepted=1.0)
    assert found.value[0] == pytest.approx(np.zeros((3, 3)), abs=1e-5)
    assert found.baseline == pytest.approx([0.0], abs=1e-5)


def random_case(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Response]:
    rng = np.random.default_rng(3)
    shape = (count, 3, 3)
    response = Response(rng.uniform(0, 1, shape), rng.uniform(0, 1, shape), rng.uniform(0.8, 1.5, shape))
    return rng.uniform(0.05, 0.5, (count, 6)), rng.normal(10, 20, (count, 6)), rng.uniform(0, 200, (count, 6)), response


@pytest.mark.parametrize(("effect", "discount"), [(1, 1), (2, 4), (3, 3), (9, 9)])
def test_random_customers_beside_a_loop_over_months(effect: int, discount: int) -> None:
    settings = EconomicsSettings(
        horizon_months=6, discount_rate_year=0.3, discount_months=discount, effect_months=effect
    )
    hazards, margin, bill, told = random_case(5)
    found = value_offers(
        hazards,
        margin,
        bill,
        SHARES,
        lambda part: Response(told.acceptance[part], told.accepted_ratio[part], told.refused_ratio[part]),
        settings,
        unavoidable=0.03,
    )
    for row, action, window in np.ndindex(5, 3, 3):
        place = (row, action, window)
        response = (told.acceptance[place], told.accepted_ratio[place], told.refused_ratio[place])
        wanted = by_hand(hazards[row], margin[row], bill[row], response, SHARES[action], window, settings, 0.03)
        got = (found.value[place], found.spend[place], found.reached[row, window], found.baseline[row])
        assert got == pytest.approx(wanted, rel=1e-5, abs=1e-5), place


def test_customers_worked_on_in_parts_have_the_same_values_to_the_last_bit() -> None:
    hazards, margin, bill, told = random_case(23)

    def respond(part: slice) -> Response:
        return Response(told.acceptance[part], told.accepted_ratio[part], told.refused_ratio[part])

    settings = EconomicsSettings(horizon_months=24)
    whole = value_offers(hazards, margin, bill, SHARES, respond, settings)
    for chunk in (1, 7, 22, 23):
        parts = value_offers(hazards, margin, bill, SHARES, respond, settings, chunk=chunk)
        for field in fields(Values):
            assert getattr(parts, field.name).tobytes() == getattr(whole, field.name).tobytes(), (chunk, field.name)


def test_a_decision_values_windows_then_their_mean_over_the_horizon() -> None:
    """Five months of which three are told; 3 % of 80 EUR are taken by everybody for three months."""
    settings = changed(economics={"horizon_months": 5, "discount_rate_year": 0.0})
    someone = customers({"hazard_0_30": 0.1, "hazard_30_60": 0.2, "hazard_60_90": 0.3, "margin_eur_month": 10.0})
    found = value(someone, same_response(1, acceptance=1.0, accepted=0.0, refused=1.0), settings)
    later = (0.9 * 0.8 * 0.7) ** (1 / 3)
    alone = np.cumprod([0.9, 0.8, 0.7, later, later])
    kept = np.array([1.0, 1.0, 1.0, later, later**2])
    assert found.baseline[0] == pytest.approx(alone.sum() * 10)
    assert found.value[0, 0, 0] == pytest.approx((kept - alone).sum() * 10 - 3 * 0.03 * 80)
    doubled = value(someone, same_response(1, acceptance=1.0, accepted=0.0, refused=1.0), settings, risk_factor=2.0)
    later = (0.8 * 0.6 * 0.4) ** (1 / 3)
    assert doubled.baseline[0] == pytest.approx(np.cumprod([0.8, 0.6, 0.4, later, later]).sum() * 10)


@pytest.mark.parametrize("effect", [1, 2, 3])
def test_hazards_with_an_offer_beside_a_loop_over_windows(effect: int) -> None:
    """The share of accepters among those still there falls or grows from window to window."""
    rng = np.random.default_rng(effect)
    hazards = np.vstack([rng.beta(1, 6, (20, 3)), [[1.0, 0.3, 0.2]]])
    shape = (len(hazards), 3, 3)
    told = Response(rng.random(shape), rng.uniform(0.2, 0.9, shape), rng.uniform(0.9, 1.3, shape))
    action, window = rng.integers(0, 3, len(hazards)), rng.integers(0, 3, len(hazards))
    found = hazards_with_offer(hazards, action, window, told, effect)
    for row in range(len(hazards)):
        place = (row, action[row], window[row])
        weights = [told.acceptance[place], 1 - told.acceptance[place]]
        for month in range(3):
            leaving = []
            for ratio in (told.accepted_ratio[place], told.refused_ratio[place]):
                acts = window[row] <= month < window[row] + effect
                leaving.append(min(hazards[row, month] * (ratio if acts else 1.0), 1 - 1e-9))
            wanted = np.average(leaving, weights=weights)
            assert found[row, month] == pytest.approx(wanted, rel=1e-6, abs=1e-9)
            weights = [weight * (1 - one) for weight, one in zip(weights, leaving, strict=True)]


def test_the_cumulative_hazard_by_hand() -> None:
    hazards = np.array([[0.2, 0.1, 0.3]] * 4)
    days = np.array([0.0, 45.0, 90.0, 180.0])
    found = 1 - np.exp(-cumulative_hazard(hazards, days))
    whole = 1 - 0.8 * 0.9 * 0.7
    assert found == pytest.approx([0.0, 1 - 0.8 * 0.9**0.5, whole, 1 - (1 - whole) ** 2])
