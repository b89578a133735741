"""Learning the curve: who was at risk when, what is found on customers whose hazards are known, and what few tell."""

import numpy as np
import pytest

from spanishgas.domain.repricing import Amounts
from spanishgas.domain.survival import Calendar, Outlook, Survival
from spanishgas.models.survival import Followed, _person_months, learn

DAYS = np.array(["2023-06-30", "2023-09-30", "2023-12-31"], "datetime64[D]")


def true_hazards(risk: np.ndarray, to_renewal: np.ndarray, month: np.ndarray) -> np.ndarray:
    """A risk that is told for the windows only, and leaving around each year's renewal."""
    near = (np.mod(to_renewal[:, None] - 30 * (month - 0.5), 365.25) < 30).astype(float)
    fading = np.exp(
        np.log(risk)[:, None] * np.where(month <= 3, 1.0, 0.3) + np.log(0.02) * np.where(month <= 3, 0, 0.7)
    )
    return np.minimum(fading * np.exp(1.2 * near), 0.6)


def stay(hazards: np.ndarray) -> float:
    """Months that customers are expected to stay, on average."""
    return float(Outlook.of(hazards, Amounts.flat(np.zeros(len(hazards))), 0.0, 0.0).months[:, 0].mean())


def followed(
    customers: int, *, seed: int = 0, observed: float = 500.0, market: float = 0.0
) -> tuple[Followed, np.ndarray]:
    generator = np.random.default_rng(seed)
    risk = 0.02 * np.exp(generator.normal(0, 0.8, customers))
    to_renewal = generator.uniform(0, 365, customers)
    hazards = true_hazards(risk, to_renewal, np.arange(1, 31))
    hazards = np.minimum(hazards * np.exp(market * np.tile([1.0, -1.0], 15)), 0.9)
    dice = generator.random(hazards.shape) < hazards
    left = np.where(dice.any(axis=1), 30 * dice.argmax(axis=1) + generator.integers(1, 31, customers), np.nan)
    known = np.where(left <= observed, left, np.nan)
    calendar = Calendar.of(
        {"days_to_renewal": to_renewal, "term_age_days": 365.25 - to_renewal, "tenure_days": np.full(customers, 800.0)},
        "2023-06-30",
    )
    rows = Followed(
        np.arange(customers).astype(object),
        hazards[:, :3],
        calendar,
        known,
        np.full(customers, observed),
        np.zeros(customers, bool),
        np.full(customers, DAYS[0]),
    )
    return rows, hazards


def test_a_month_is_counted_for_whoever_was_at_risk_and_followed_through_it() -> None:
    nothing = np.nan
    rows = Followed(
        np.array(["a", "b", "c", "d", "e"], object),
        np.full((5, 3), 0.02),
        Calendar.of({}, np.full(5, DAYS[0])),
        np.array([nothing, 100.0, 120.0, 121.0, 60.0]),
        np.array([149.0, 300.0, 300.0, 130.0, 300.0]),
        np.zeros(5, bool),
        np.full(5, DAYS[0]),
    )
    place, month, left = _person_months(rows)
    found = sorted(zip(place.tolist(), month.tolist(), left.tolist(), strict=True))
    # a is followed through month 4; b and c leave in it; d leaves in month 5, cut or not; e is gone before.
    assert found == [(0, 4, 0.0), (1, 4, 1.0), (2, 4, 1.0), (3, 4, 0.0), (3, 5, 1.0)]


def test_the_curve_of_a_world_that_is_known_is_found() -> None:
    rows, hazards = followed(12_000)
    curve = learn(rows)
    found = curve.ahead(rows.windows, rows.calendar, 24)
    riskiest = rows.windows.mean(axis=1) >= np.quantile(rows.windows.mean(axis=1), 0.95)
    for some in (riskiest, ~riskiest):
        for months in (slice(3, 9), slice(9, 16)):
            assert found[some, months].mean() == pytest.approx(hazards[some, months].mean(), rel=0.2)
    # What the mean of the windows for ever would promise.
    flat = np.repeat(1 - np.prod(1 - rows.windows, axis=1, keepdims=True) ** (1 / 3), 24, axis=1)
    truth, told, promised = (stay(one[riskiest]) for one in (hazards[:, :24], found, flat))
    assert abs(told - truth) < 0.2 * abs(promised - truth)
    renewal = curve.terms["renewal"]
    assert renewal[0] == pytest.approx(1.2, abs=0.3)
    assert np.abs(renewal[1:]).max() < 0.4
    assert curve.level_sd < 0.25
    assert 0 < curve.error_sd < 0.15


def test_few_who_left_are_the_stated_rule_and_more_move_away_from_it_little_by_little() -> None:
    rows, _ = followed(200, observed=150.0)
    few = learn(rows)
    assert few.terms == {}
    rule = Survival(few.centre).ahead(rows.windows, rows.calendar, 24)
    assert few.ahead(rows.windows, rows.calendar, 24).tolist() == rule.tolist()
    some, many = (learn(followed(count)[0]).terms["renewal"][0] for count in (600, 12_000))
    assert 0 < some < many


def test_dates_that_nobody_was_followed_from_are_the_stated_rule_at_their_own_level() -> None:
    rows, _ = followed(500, observed=0.0)
    curve = learn(rows)
    assert curve.terms == {}
    assert np.exp(curve.centre) == pytest.approx(-np.log1p(-rows.windows).mean(), rel=0.01)


def test_a_customer_at_several_dates_counts_once() -> None:
    rows, _ = followed(3000)
    places = np.concatenate([np.arange(3000)] * 3)
    three = Followed(
        rows.customers[places],
        rows.windows[places],
        rows.calendar.take(places),
        rows.left_day[places],
        rows.observed[places],
        rows.seen[places],
        rows.day[places],
    )
    once, thrice = learn(rows), learn(three)
    assert thrice.error_sd == pytest.approx(once.error_sd, rel=0.02)
    assert thrice.terms["renewal"] == pytest.approx(once.terms["renewal"], abs=0.02)


def test_rows_that_were_learned_from_do_not_move_the_level() -> None:
    rows, hazards = followed(12_000)
    seen = np.arange(12_000) < 6_000
    # A model that has seen them scores the survivors too low: half as likely to leave as they are.
    windows = np.where(seen[:, None], rows.windows / 2, rows.windows)
    told = Followed(rows.customers, windows, rows.calendar, rows.left_day, rows.observed, seen, rows.day)
    found = learn(told).ahead(windows[~seen], rows.calendar.take(np.flatnonzero(~seen)), 16)
    assert found[:, 3:].mean() == pytest.approx(hazards[~seen, 3:16].mean(), rel=0.12)


def test_a_market_that_moves_the_level_from_month_to_month_widens_the_bounds() -> None:
    assert learn(followed(12_000, market=0.5)[0]).level_sd == pytest.approx(0.5, abs=0.15)
