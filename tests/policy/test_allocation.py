"""Allocation: beside the optimum of the whole integer program, within its limits, whatever the order of customers."""

import dataclasses
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.errors import ConfigError
from spanishgas.policy import dual
from spanishgas.policy.allocation import (
    NONE,
    Limits,
    Options,
    Plan,
    allocate,
    option_table,
    price_option,
)
from spanishgas.policy.economics import Values

KINDS = ("skewed", "whole", "alike")
FIELDS = [field.name for field in dataclasses.fields(Plan)]


@dataclass(frozen=True)
class Case:
    """Options and limits."""

    options: Options
    limits: Limits

    @property
    def plan(self) -> Plan:
        return allocate(self.options, self.limits)

    def with_limits(self, **changes: object) -> "Case":
        return dataclasses.replace(self, limits=dataclasses.replace(self.limits, **changes))

    def with_options(self, **changes: object) -> "Case":
        return dataclasses.replace(self, options=dataclasses.replace(self.options, **changes))


def random_case(seed: int, customers: int, kind: str = "skewed") -> Case:
    """Skewed values; whole numbers, which tie often; or values in a narrow relation to spend, which are hard to choose.

    About half of the limits bind.
    """
    rng = np.random.default_rng([seed, customers])
    actions, windows, channels = rng.integers(1, 4), rng.integers(1, 4), rng.integers(1, 5)
    shape = (customers, actions, windows)
    cost, reached = rng.uniform(0, 2, channels), rng.uniform(0.6, 1, (customers, windows))
    if kind == "whole":
        value, spend = rng.integers(-3, 6, shape), rng.integers(0, 4, shape)
        cost, reached = rng.integers(0, 3, channels) * 0.5, np.ones((customers, windows))
    elif kind == "alike":
        spend = rng.uniform(5, 10, shape)
        value, cost = spend + rng.uniform(1, 1.3, shape), cost / 4
    else:
        value = rng.lognormal(1, 1, (customers, 1, 1)) * rng.normal(0, 1, shape)
        spend = rng.lognormal(0, 1, shape)
    budget = rng.uniform(0, 6 if kind == "alike" else 1) * customers if rng.uniform() < 0.8 else np.inf
    return Case(
        make_options(
            value, spend, cost, reached, rng.uniform(size=shape) < 0.8, rng.uniform(size=(customers, channels)) < 0.8
        ),
        Limits(float(np.floor(budget)), capacities(rng, windows, customers), capacities(rng, channels, customers)),
    )


def capacities(rng: np.random.Generator, count: int, customers: int) -> np.ndarray:
    return np.where(rng.uniform(size=count) < 0.6, np.floor(rng.uniform(0, 0.4, count) * customers), np.inf)


def make_options(
    value: object,
    spend: object,
    cost: object,
    reached: np.ndarray | None = None,
    offers: np.ndarray | None = None,
    channels: np.ndarray | None = None,
) -> Options:
    """Options from lists; everything that is not said is allowed and reached."""
    values, contact_cost = np.array(value, np.float32), np.array(cost, np.float64)
    count, _, windows = values.shape
    reached = np.ones((count, windows)) if reached is None else reached
    return Options(
        Values(values, np.array(spend, np.float32), reached.astype(np.float32), np.ones(count, np.float32)),
        contact_cost,
        np.ones(values.shape, np.bool_) if offers is None else offers,
        np.ones((count, len(contact_cost)), np.bool_) if channels is None else channels,
    )


def one_each(values: list[float], spends: list[float], budget: float) -> Case:
    """One action, one window, one free channel; only the budget is limited."""
    options = make_options(np.reshape(values, (-1, 1, 1)), np.reshape(spends, (-1, 1, 1)), [0.0])
    return Case(options, Limits(budget, np.array([np.inf]), np.array([np.inf])))


def optimum(case: Case) -> float:
    """Value of the best plan: the integer program over every option at once."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, csr_array, vstack

    value, spend = option_table(case.options, np.arange(len(case.options)))
    who, option = np.nonzero(value > 0)
    if not len(who):
        return 0.0
    _, windows, channels = case.options.shape
    rows = [spend[who, option]]
    rows += [option // channels % windows == window for window in range(windows)]
    rows += [option % channels == channel for channel in range(channels)]
    most = np.array([case.limits.budget, *case.limits.windows, *case.limits.channels])
    limited = np.isfinite(most)
    once = coo_array((np.ones(len(who)), (who, np.arange(len(who)))), shape=(len(value), len(who)))
    found = milp(
        -value[who, option],
        constraints=LinearConstraint(
            vstack([csr_array(np.array(rows, np.float64)[limited]), once]),
            ub=np.append(most[limited], np.ones(len(value))),
        ),
        integrality=np.ones(len(who)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-9},
    )
    assert found.status == 0
    return -float(found.fun)


def positions(plan: Plan, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Customers with an offer, and their options' positions in the option table."""
    given_to = np.flatnonzero(plan.action != NONE)
    _, windows, channels = options.shape
    flat = (plan.action * windows + plan.window) * channels + plan.channel
    return given_to, flat[given_to]


def check_kept(case: Case, plan: Plan) -> None:
    """Limits are kept, options are allowed and worth something, and what is told of them is true."""
    given_to, flat = positions(plan, case.options)
    _, windows, channels = case.options.shape
    assert math.fsum(plan.spend) <= max(case.limits.budget, 0.0)
    assert (np.bincount(plan.window[given_to], minlength=windows) <= np.maximum(case.limits.windows, 0)).all()
    assert (np.bincount(plan.channel[given_to], minlength=channels) <= np.maximum(case.limits.channels, 0)).all()
    value, spend = option_table(case.options, given_to)
    told = np.arange(len(given_to)), flat
    assert plan.value[given_to].tolist() == value[told].tolist()
    assert plan.spend[given_to].tolist() == spend[told].tolist()
    assert (plan.value[given_to] > 0).all()
    nobody = plan.action == NONE
    assert (plan.window[nobody] == NONE).all()
    assert (plan.channel[nobody] == NONE).all()
    assert plan.value[nobody].sum() == plan.spend[nobody].sum() == 0


def check_close(case: Case, plan: Plan) -> None:
    """Within a thousandth of the optimum or one offer's value, and the optimum within the bound."""
    best = optimum(case)
    assert plan.total <= best + 1e-5 * max(best, 1.0)
    assert best - plan.total <= max(1e-3 * best, float(plan.value.max(initial=0.0)))
    assert plan.bound >= best - 1e-6 * max(best, 1.0)
    assert plan.gap == max(plan.bound - plan.total, 0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("customers", [3, 12, 40])
@pytest.mark.parametrize("seed", range(4))
def test_the_plan_is_close_to_the_optimum(seed: int, customers: int, kind: str) -> None:
    case = random_case(seed, customers, kind)
    plan = case.plan
    check_kept(case, plan)
    check_close(case, plan)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), customers=st.integers(1, 30), kind=st.sampled_from(KINDS[:2]))
def test_any_plan_is_close_to_the_optimum(seed: int, customers: int, kind: str) -> None:
    case = random_case(seed, customers, kind)
    plan = case.plan
    check_kept(case, plan)
    check_close(case, plan)


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("seed", range(3))
def test_a_plan_for_more_than_the_core_is_within_a_thousandth(seed: int, kind: str) -> None:
    case = random_case(seed, 600, kind)
    plan = case.plan
    check_kept(case, plan)
    assert plan.total >= (1 - 1e-3) * optimum(case)


def test_the_certificate_holds_for_many_customers_of_few_kinds() -> None:
    """Where customers are alike, no price tells them apart: each choice must go to a share of them."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 5, 30_000)
    value = (rng.lognormal(1, 1, (5, 1, 1)) * rng.normal(0.5, 1, (5, 3, 3)))[kind]
    options = make_options(value, rng.lognormal(0, 1, (5, 3, 3))[kind], [3.0, 0.1, 0.9, 0.15])
    case = Case(
        options, Limits(7_500.0, np.array([3_000.0, 6_000.0, 1_500.0]), np.array([300.0, 3_000.0, 6_000.0, np.inf]))
    )
    plan = case.plan
    check_kept(case, plan)
    assert plan.total > 0
    assert plan.gap <= 1e-3 * plan.bound


def test_the_bound_counts_shares_of_offers() -> None:
    """Half an offer fits, which no plan can give: the gap tells so."""
    plan = one_each([10.0], [2.0], 1.0).plan
    assert plan.total == 0
    assert (plan.bound, plan.gap) == (pytest.approx(5.0), pytest.approx(5.0))


def test_the_bound_is_the_dual_function_at_the_prices() -> None:
    """Recomputed from the option table, as anybody may who doubts the certificate."""
    case = random_case(1, 200)
    plan = case.plan
    value, spend = option_table(case.options, np.arange(200))
    _, windows, channels = case.options.shape
    option = np.arange(value.shape[1])
    window, channel = option // channels % windows, option % channels
    reduced = price_option(value, spend, window, channel, plan.prices, windows)
    bounds = case.limits.bounds
    scarce = (plan.prices * np.where(np.isfinite(bounds), bounds, 0)).sum()
    assert (plan.prices >= 0).all()
    assert (plan.prices[np.isinf(bounds)] == 0).all()
    assert plan.bound == pytest.approx(scarce + np.maximum(reduced.max(axis=1), 0).sum(), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_more_budget_never_earns_less(seed: int) -> None:
    case = random_case(seed, 80)
    plans = [case.with_limits(budget=budget).plan for budget in (0.0, 2.0, 8.0, 20.0, 50.0, 120.0, np.inf)]
    for less, more in pairwise(plans):
        assert more.bound >= less.bound * (1 - 1e-5)
        assert more.total >= less.total - more.gap - 1e-9
    assert plans[-1].total > plans[1].total > plans[0].total


def test_more_capacity_never_earns_less() -> None:
    case = random_case(2, 80)
    _, windows, channels = case.options.shape
    plans = [
        case.with_limits(windows=np.full(windows, few), channels=np.full(channels, few)).plan
        for few in (0.0, 1.0, 3.0, 9.0, 27.0, np.inf)
    ]
    totals = [plan.total for plan in plans]
    assert totals[0] == 0
    assert totals == sorted(totals)
    assert [plan.bound for plan in plans] == sorted(plan.bound for plan in plans)


def test_what_is_vetoed_is_not_given() -> None:
    case = random_case(0, 60).with_limits(budget=np.inf)
    given_to, _ = positions(case.plan, case.options)
    offers, channels = case.options.offers.copy(), case.options.channels.copy()
    offers[given_to[::2]] = False
    channels[given_to[1::2]] = False
    vetoed = case.with_options(offers=offers, channels=channels)
    plan = vetoed.plan
    check_kept(vetoed, plan)
    assert len(given_to) > 10
    assert (plan.action[given_to] == NONE).all()


def test_the_best_option_is_vetoed_and_the_second_best_given() -> None:
    options = make_options([[[5.0, 4.0], [3.0, 2.0]]], np.ones((1, 2, 2)), [0.0, 1.0])
    case = Case(options, Limits(np.inf, np.full(2, np.inf), np.full(2, np.inf)))
    assert (case.plan.action[0], case.plan.window[0], case.plan.channel[0]) == (0, 0, 0)
    vetoed = case.with_options(
        offers=np.array([[[False, True], [True, True]]]), channels=np.array([[False, True]])
    ).plan
    assert (vetoed.action[0], vetoed.window[0], vetoed.channel[0]) == (0, 1, 1)
    assert (vetoed.value[0], vetoed.spend[0]) == (3.0, 2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_input_gives_the_same_bytes(kind: str) -> None:
    case = random_case(4, 40, kind)
    first, second = case.plan, random_case(4, 40, kind).plan
    for name in FIELDS:
        assert np.asarray(getattr(first, name)).tobytes() == np.asarray(getattr(second, name)).tobytes()


@pytest.mark.parametrize("customers", [50, 600, 60_000])
def test_the_order_of_customers_decides_nothing(customers: int) -> None:
    case = random_case(11, customers)
    order = np.random.default_rng(0).permutation(customers)
    plan, shuffled = case.plan, dataclasses.replace(case, options=case.options.take(order)).plan
    assert (plan.action != NONE).any()
    for name in ("action", "window", "channel", "value", "spend"):
        assert getattr(shuffled, name).tolist() == getattr(plan, name)[order].tolist()
    assert shuffled.prices.tobytes() == plan.prices.tobytes()
    assert (shuffled.bound, shuffled.core) == (plan.bound, plan.core)


def test_customers_without_options_change_nothing_for_the_others() -> None:
    case = random_case(5, 300)
    offers = case.options.offers.copy()
    offers[::3] = False
    some = np.flatnonzero(np.arange(300) % 3)
    with_them, without = (
        case.with_options(offers=offers).plan,
        dataclasses.replace(case, options=case.options.take(some)).plan,
    )
    assert with_them.action[some].tolist() == without.action.tolist()
    assert with_them.bound == without.bound


def tight_case(customers: int) -> Case:
    """Most customers have something to gain, and every limit but one binds."""
    rng = np.random.default_rng(0)
    liking = rng.normal(0.3, 1, (customers, 1, 1)) + rng.normal(0, 0.25, (customers, 2, 2))
    value = rng.lognormal(1, 1, (customers, 1, 1)) * liking
    options = make_options(value, rng.lognormal(0, 1, value.shape), [0.1, 2.0])
    shares = (0.1, np.array([0.03, 0.04]), np.array([0.07, 0.007]))
    return Case(options, Limits(*(share * customers for share in shares)))


def test_many_customers_are_certified_to_a_hundred_thousandth() -> None:
    """More than the sample on which the prices are found first."""
    case = tight_case(80_000)
    plan = case.plan
    check_kept(case, plan)
    assert (plan.prices[:4] > 0).all()
    assert plan.gap <= 1e-5 * plan.bound


def test_a_sample_that_misleads_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices found among too few of the customers are too low, which is noticed."""
    case = tight_case(6_000)
    expected = case.plan
    monkeypatch.setattr(dual, "SAMPLE", 500)
    monkeypatch.setattr(dual, "LOWER", 1.5)
    plan = case.plan
    check_kept(case, plan)
    assert plan.bound == pytest.approx(expected.bound, rel=1e-5)
    assert plan.gap <= 1e-4 * plan.bound


def test_no_limits_give_everybody_the_best() -> None:
    case = random_case(6, 100).with_limits(budget=np.inf)
    _, windows, channels = case.options.shape
    plan = case.with_limits(windows=np.full(windows, np.inf), channels=np.full(channels, np.inf)).plan
    value, _ = option_table(case.options, np.arange(100))
    assert plan.value.tolist() == np.maximum(value.max(axis=1), 0).tolist()
    assert plan.gap == pytest.approx(0, abs=1e-9)
    assert not plan.prices.any()


def test_without_a_budget_only_what_costs_nothing_is_given() -> None:
    plan = one_each([5.0, 3.0, 9.0], [1.0, 0.0, 0.01], 0.0).plan
    assert plan.action.tolist() == [NONE, 0, NONE]
    assert plan.bound == 3.0
    assert price_option(np.array([9.0]), np.array([0.01]), np.array([0]), np.array([0]), plan.prices, 1)[0] < 0


@pytest.mark.parametrize("name", ["windows", "channels"])
@pytest.mark.parametrize("nothing", [0.0, 0.9, -3.0])
def test_what_has_no_capacity_is_not_used(name: str, nothing: float) -> None:
    options = make_options(np.full((4, 1, 2), 5.0), np.ones((4, 1, 2)), [0.5, 0.5])
    limits = Limits(np.inf, np.full(2, np.inf), np.full(2, np.inf))
    case = Case(options, dataclasses.replace(limits, **{name: np.array([nothing, np.inf])}))
    plan = case.plan
    check_kept(case, plan)
    assert getattr(plan, name.removesuffix("s")).tolist() == [1, 1, 1, 1]
    assert plan.gap == 0
    assert Case(options, dataclasses.replace(limits, **{name: np.array([nothing, nothing])})).plan.total == 0


def test_capacities_are_whole_and_a_negative_budget_is_none() -> None:
    options = make_options(np.full((4, 1, 1), 5.0), np.ones((4, 1, 1)), [0.0])
    limits = Limits(np.inf, np.array([2.7]), np.array([np.inf]))
    plan = Case(options, limits).plan
    assert (plan.total, plan.bound) == (10.0, 10.0)
    assert Case(options, dataclasses.replace(limits, budget=-10.0)).plan.total == 0


@pytest.mark.parametrize("name", ["budget", "windows", "channels"])
def test_a_limit_that_is_not_a_number_is_refused(name: str) -> None:
    limits = Limits(1.0, np.ones(1), np.ones(1))
    wrong = np.nan if name == "budget" else np.array([np.nan])
    with pytest.raises(ConfigError, match="not a number"):
        allocate(make_options([[[1.0]]], [[[1.0]]], [0.0]), dataclasses.replace(limits, **{name: wrong}))


def test_nobody_and_nothing_to_give() -> None:
    case = random_case(8, 20)
    nobody = dataclasses.replace(case, options=case.options.take(slice(0, 0))).plan
    assert (len(nobody.action), nobody.total, nobody.bound) == (0, 0, 0)
    for options in (
        {"offers": np.zeros_like(case.options.offers)},
        {"channels": np.zeros_like(case.options.channels)},
        {"contact_cost": np.full(len(case.options.contact_cost), 1e6)},
    ):
        plan = case.with_options(**options).plan
        assert (plan.action == NONE).all()
        assert (plan.total, plan.bound, plan.gap, plan.core) == (0, 0, 0, 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -1.0])
@pytest.mark.parametrize("name", ["value", "spend", "reached", "contact_cost"])
def test_options_with_senseless_numbers_are_not_allowed(name: str, wrong: float) -> None:
    """The plan is as if they were vetoed, however much they seem to be worth."""
    case = random_case(9, 30)
    options = case.options
    if name == "contact_cost":
        cost, channels = options.contact_cost.copy(), options.channels.copy()
        cost[0], channels[:, 0] = wrong, False
        spoilt, vetoed = case.with_options(contact_cost=cost), case.with_options(channels=channels)
    else:
        array, offers = getattr(options.values, name).copy(), options.offers.copy()
        array[::4], offers[::4] = wrong, False
        spoilt = case.with_options(values=dataclasses.replace(options.values, **{name: array}))
        vetoed = case.with_options(offers=offers)
    plan, expected = spoilt.plan, vetoed.plan
    check_kept(spoilt, plan)
    assert plan.total > 0
    assert plan.value.tolist() == expected.value.tolist()
    assert plan.bound == pytest.approx(expected.bound)


def test_rounding_never_exceeds_the_budget() -> None:
    """A tenth in single precision is more than a tenth: three of them are more than 0.3; three quarters fit exactly."""
    plan = one_each([1.0, 1.0, 1.0], [0.1, 0.1, 0.1], 0.3).plan
    assert (plan.action != NONE).sum() == 2
    assert (one_each([1.0, 1.0, 1.0], [0.25, 0.25, 0.25], 0.75).plan.action != NONE).all()


@pytest.fixture
def only_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prices choose nothing and the solver has no answer: what is given is given as what is left."""
    import scipy.optimize

    monkeypatch.setattr(dual.Solved, "choose", lambda _, options: np.full(len(options), NONE))
    monkeypatch.setattr(scipy.optimize, "milp", lambda *_, **__: scipy.optimize.OptimizeResult(x=None))


def test_what_is_left_is_given_where_there_is_room(only_filled: None) -> None:
    """Everybody prefers the first window and the first channel; each has room for one."""
    options = make_options(np.tile([[5.0, 4.0]], (6, 1, 1)), np.ones((6, 1, 2)), [0.0, 0.5])
    plan = Case(options, Limits(4.0, np.array([1.0, 9.0]), np.array([1.0, 9.0]))).plan
    assert plan.total == 5.0 + 2 * 3.5
    assert np.bincount(plan.window[plan.action != NONE]).tolist() == [1, 2]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_of_a_budget_is_not_exceeded_by_a_hair(seed: int, only_filled: None) -> None:
    test_a_budget_that_is_a_hair_too_small_is_kept(seed)


@pytest.mark.parametrize("seed", range(8))
def test_a_budget_that_is_a_hair_too_small_is_kept(seed: int) -> None:
    """Everybody's offers would cost more than the budget by its last bit, which sums in some orders do not show."""
    reached = np.random.default_rng(seed).uniform(0.5, 1, (300, 1))
    options = make_options(np.full((300, 1, 1), 5.0), np.full((300, 1, 1), 0.3), [0.7], reached)
    none = Limits(np.inf, np.array([np.inf]), np.array([np.inf]))
    all_of_it = math.fsum(Case(options, none).plan.spend)
    case = Case(options, dataclasses.replace(none, budget=float(np.nextafter(all_of_it, 0))))
    plan = case.plan
    check_kept(case, plan)
    assert (plan.action != NONE).sum() == 299


def test_what_the_solver_takes_beyond_the_budget_is_given_back() -> None:
    """Its tolerance of a millionth is not the plan's."""
    just_over = float(np.nextafter(np.float32(5.0), np.float32(6.0)))
    case = one_each([10.5, 10.5, 10.0, 2.2], [just_over, just_over, 4.9, 1.0], 10.0000005)
    plan = case.plan
    check_kept(case, plan)
    assert plan.total == 20.5


def test_a_solver_without_an_answer_leaves_a_plan_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    case = random_case(4, 80, "alike")
    decided = case.plan
    monkeypatch.setattr(scipy.optimize, "milp", lambda *_, **__: scipy.optimize.OptimizeResult(x=None))
    left = case.plan
    check_kept(case, left)
    assert decided.core > 0
    assert left.total <= decided.total
    assert left.total >= 0.9 * left.bound


def test_nothing_is_written_to_standard_output() -> None:
    """Not by the solver's library either, which writes past Python, into a buffer of its own."""
    code = (
        "import ctypes\n"
        "from spanishgas.policy.allocation import _without_output\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.puts(b'ours before')\n"
        "with _without_output(): libc.puts(b'of the solver')\n"
        "libc.puts(b'ours after')\n"
    )
    # Asked to be unbuffered, Python tells C so too.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["ours before", "ours after"]
