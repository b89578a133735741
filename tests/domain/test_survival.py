"""The curve after the windows: the stated rule, what comes again each term, and what a customer is worth by it."""

import numpy as np
import pytest

from spanishgas.domain.repricing import Amounts
from spanishgas.domain.survival import CALENDAR, Calendar, Outlook, Survival, log_rate_of

NOWHERE = Calendar.of({}, "2024-06-30")


def of(days: float, term: float = 365.0) -> Calendar:
    known = {"days_to_renewal": [days], "term_age_days": [term - days], "tenure_days": [700.0]}
    return Calendar.of(known, "2024-06-30")


def test_the_windows_stay_as_the_model_tells_them_and_the_risk_then_goes_half_way_to_the_level() -> None:
    windows = np.array([[0.08, 0.02, 0.05]])
    found = Survival(np.log(0.01)).ahead(windows, NOWHERE, 24)
    assert found.shape == (1, 24)
    assert found[:, :3].tolist() == windows.tolist()
    rate = -np.log(1 - windows).mean()
    assert found[0, 3:] == pytest.approx(1 - np.exp(-np.sqrt(rate * 0.01)))
    assert Survival(-4.0).ahead(windows, NOWHERE, 2).tolist() == [[0.08, 0.02]]


def test_a_renewal_comes_again_each_term_and_one_that_is_not_known_never_does() -> None:
    flags = (0.0, 0.0, 0.0, 0.0, 0.0)
    curve = Survival(-4.0, {**dict.fromkeys(names(), (0.0,)), "season": (0.0, 0.0), "renewal_now": flags})
    curve = Survival(-4.0, {**curve.terms, "renewal": (1.0, *flags[1:])})
    windows = np.full((1, 3), 1 - np.exp(-np.exp(-4.0)))
    yearly = curve.ahead(windows, of(150.0), 36)[0]
    assert np.flatnonzero(yearly > yearly.min() * 1.01).tolist() == [4, 16, 28]
    short = curve.ahead(windows, of(150.0, 180.0), 24)[0]
    assert np.flatnonzero(short > short.min() * 1.01).tolist() == [4, 10, 16, 22]
    unknown = curve.ahead(windows, NOWHERE, 36)[0]
    assert unknown == pytest.approx(windows[0, 0])


def names() -> list[str]:
    return ["level", "months", "risk", "risk_months", "renewed", "renewed_risk", "renewed_price", "tenure"]


def test_many_customers_are_each_as_if_alone() -> None:
    generator = np.random.default_rng(0)
    terms = {name: tuple(generator.normal(0, 0.2, 1)) for name in names()}
    terms |= {name: tuple(generator.normal(0, 0.5, 5)) for name in ("renewal", "renewal_now")}
    curve = Survival(-4.0, {**terms, "season": (0.1, -0.1)})
    windows = generator.uniform(0, 0.3, (40, 3))
    known = {name: generator.uniform(-50, 900, 40) for name in CALENDAR}
    known["price_over_new_terms"] = np.where(generator.random(40) < 0.2, np.nan, generator.normal(0, 0.1, 40))
    known["days_to_renewal"][:8] = np.nan
    days = np.array(["2024-06-30", "2025-01-31"] * 20, "datetime64[D]")
    together = curve.ahead(windows, Calendar.of(known, days), 24)
    assert ((together >= 0) & (together < 1)).all()
    for row in range(40):
        one = Calendar.of({name: values[row : row + 1] for name, values in known.items()}, days[row])
        assert curve.ahead(windows[row : row + 1], one, 24)[0].tolist() == together[row].tolist()


def test_a_curve_comes_back_from_its_state() -> None:
    curve = Survival(-4.0, {"level": (0.1,), "renewal": (1.0, 0.5)}, 0.1, 0.05, {"leavers": 40.0})
    assert Survival.restore(curve.state) == curve
    assert curve.spread == pytest.approx(np.hypot(0.1, 0.05))


def test_a_constant_hazard_gives_the_months_and_the_value_of_a_geometric_series() -> None:
    hazards = np.full((2, 24), 0.05)
    found = Outlook.of(hazards, Amounts.flat(np.array([10.0, np.nan])), 0.2, 0.08)
    stay = 0.95 ** np.arange(25)
    assert found.months[0, 0] == pytest.approx((stay[:-1] + stay[1:]).sum() / 2)
    assert found.value[0, 0] == pytest.approx(sum(10 * 0.95**month * 1.08 ** (-month / 12) for month in range(1, 25)))
    assert np.isnan(found.value[1]).all()
    for told in (found.months[0], found.value[0]):
        assert told[1] < told[0] < told[2]
    # A hazard of exp(1.645 * 0.2) times the rate.
    low = np.exp(-np.exp(1.645 * 0.2) * -np.log(0.95)) ** np.arange(25)
    assert found.months[0, 1] == pytest.approx((low[:-1] + low[1:]).sum() / 2)
    loss = Outlook.of(hazards[:1], Amounts.flat(np.array([-10.0])), 0.2, 0.0).value[0]
    assert loss[1] < loss[0] < loss[2]


def test_nobody_leaves_and_everybody_leaves_at_once() -> None:
    found = Outlook.of(np.array([[0.0, 0.0], [1.0, 0.0]]), Amounts.flat(np.array([1.0, 1.0])), 0.0, 0.0)
    assert found.months[:, 0] == pytest.approx([2.0, 0.5])
    assert found.value[:, 0] == pytest.approx([2.0, 0.0], abs=1e-8)
    assert np.isfinite(log_rate_of(np.array([[0.0, 0.0], [1.0, 1.0]]))).all()
