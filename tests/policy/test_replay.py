"""Replay by the truth of the demo world: what policies are worth, and that nothing but reports reads that truth."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from pipelines._entry import load_settings
from spanishgas.config import DemoSettings, PolicySettings
from spanishgas.demo import build_world
from spanishgas.demo.futures import Told, one_future, present_at
from spanishgas.demo.hazards import MOVE_OUT_MONTHLY as TRUE_MOVE_OUT
from spanishgas.demo.offers import EFFECT_MONTHS
from spanishgas.policy import replay
from spanishgas.policy.allocation import Options, Plan, allocate
from spanishgas.policy.candidates import HAZARDS, Candidates
from spanishgas.policy.decide import guard, limits_of, value
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond, Response, Values
from spanishgas.policy.replay import (
    INFORMED,
    NOBODY,
    ORACLE,
    WITH_TRAITS,
    YARDSTICKS,
    Outlooks,
    Replayed,
    Truth,
)
from spanishgas.policy.response import ASSUMED, LEARNED, assumed
from spanishgas.policy.rules import RULES, TIERS, TOP_RISK, by_risk

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: PolicySettings = load_settings(()).policy
WORLDS = ("loglinear", "interactions")
MOVE_OUT = 0.003


def people_of(truth: dict[str, pd.DataFrame], seed: int = 0) -> Candidates:
    """The customers of a truth as a policy might see them: risk with an error, all else made up.

    Every guardrail has something to veto.
    """
    rng = np.random.default_rng(seed)
    hazards, months = truth["hazards"], truth["months"].set_index("customer_id")
    count = len(hazards)
    error = np.exp(0.4 * rng.normal(size=count))
    seen = {
        name: np.clip(hazards[true].to_numpy(np.float64) * error, 0, 0.9)
        for name, true in zip(HAZARDS, ("p_0_30", "p_30_60", "p_60_90"), strict=True)
    }
    amounts = months.loc[hazards["customer_id"]]
    table = pd.DataFrame(
        {
            "customer_id": hazards["customer_id"].astype(object),
            "kind": rng.choice(["home", "second_home", "business"], count, p=(0.7, 0.2, 0.1)),
            "segment_id": rng.choice(["S1", "S2", ""], count),
            "risk": 1 - np.prod([1 - one for one in seen.values()], axis=0),
            **seen,
            "margin_eur_month": amounts["margin_eur_01"].to_numpy(np.float64) * np.exp(0.2 * rng.normal(size=count)),
            "bill_eur_month": amounts["bill_eur_01"].to_numpy(np.float64),
            "is_vulnerable": (rng.uniform(size=count) < 0.06).astype(float),
            "marketing_consent": rng.choice([1.0, 0.0, np.nan], count, p=(0.7, 0.2, 0.1)),
            "phone_consent": rng.choice([1.0, 0.0, np.nan], count, p=(0.6, 0.3, 0.1)),
            "days_since_offer": np.where(rng.uniform(size=count) < 0.2, rng.integers(0, 200, count), np.nan),
            "days_since_contact": np.where(rng.uniform(size=count) < 0.3, rng.integers(0, 40, count), np.nan),
            "days_since_held_out": np.where(rng.uniform(size=count) < 0.1, rng.integers(0, 200, count), np.nan),
            "days_to_renewal": rng.integers(-40, 180, count).astype(float),
            "term_age_days": rng.integers(0, 360, count).astype(float),
        }
    )
    return Candidates.of(table.sample(frac=1.0, random_state=seed))


@dataclass(frozen=True)
class Case:
    """A world's truth at its end, its customers, and every policy by it."""

    candidates: Candidates
    truth: Truth
    responses: dict[str, Respond]
    replayed: dict[str, Replayed]
    settings: PolicySettings


def wrong_about(truth: Truth, seed: int = 4) -> Respond:
    """A response as it might be learned: the mean over those who accept and refuse, with an error."""
    rng = np.random.default_rng(seed)
    one = truth.response
    mean = one.acceptance * one.accepted_ratio + (1 - one.acceptance) * one.refused_ratio
    mean = mean * np.exp(0.2 * rng.normal(size=(len(mean), 1, 1)))
    acceptance = np.clip(one.acceptance * 1.1, 0, 1)
    return lambda part: Response(acceptance[part], mean[part], mean[part])


@lru_cache
def case(world: str) -> Case:
    built = build_world(DemoSettings(customers=1500, world=world, seed=8))  # type: ignore[arg-type]
    last = built.ground_truth["months"]["as_of"].max()
    told = {name: built.ground_truth[name].loc[lambda table: table["as_of"] == last] for name in built.ground_truth}
    candidates = people_of(told)
    truth = truth_of(one_future(present_at(built.settings, last.date(), candidates.ids), "only"))
    responses: dict[str, Respond] = {
        ASSUMED: assumed(SETTINGS.response.assumed, candidates),
        LEARNED: wrong_about(truth),
    }
    played = replay.replay(candidates, responses, one_known(candidates, truth), SETTINGS)
    return Case(candidates, truth, responses, played, SETTINGS)


def truth_of(told: Told) -> Truth:
    response = Response(told.acceptance, told.accepted_ratio, told.refused_ratio)
    return Truth(told.hazards, told.margin, told.bill, response)


def one_known(candidates: Candidates, truth: Truth, vague: float = 0.3) -> replay.Tell:
    """One future that today's traits tell exactly; what is recorded tells it with an error."""

    def tell(customers: npt.NDArray[np.object_]) -> Outlooks:
        rows = np.isin(candidates.ids, customers)
        one = Truth(truth.hazards[rows], truth.margin[rows], truth.bill[rows], truth.response.take(rows))
        error = np.exp(vague * np.random.default_rng(2).normal(size=(int(rows.sum()), 1)))
        return Outlooks([one], [one], [dataclasses.replace(one, hazards=np.minimum(one.hazards * error, 1.0))])

    return tell


def test_the_replay_believes_of_the_world_what_is_so() -> None:
    assert replay.MOVE_OUT_MONTHLY == TRUE_MOVE_OUT == MOVE_OUT
    assert replay.TRUE_EFFECT_MONTHS == EFFECT_MONTHS


def slow_worth(found: Case, plan: Plan, row: int) -> tuple[float, float]:
    """What the offer to one customer truly brings and costs, month by month."""
    economics = found.settings.economics
    action, window, channel = plan.action[row], plan.window[row], plan.channel[row]
    if action < 0:
        return 0.0, 0.0
    chance = float(found.truth.response.acceptance[row, action, window])
    share = found.settings.discounts[action]
    contact = found.settings.contact_costs[channel]
    told = found.truth

    def month_of(amounts: Floats, month: int) -> float:
        """After the last month told the last amount goes on."""
        return float(amounts[row, min(month, amounts.shape[1] - 1)])

    def earned(ratio: float, discounted: bool) -> tuple[float, float]:
        there, margin, paid = 1.0, 0.0, 0.0
        for month in range(economics.horizon_months):
            hazard = float(told.hazards[row, month])
            if window <= month < window + EFFECT_MONTHS:
                switch = 1 - (1 - hazard) / (1 - MOVE_OUT)
                hazard = 1 - (1 - min(switch * ratio, 1.0)) * (1 - MOVE_OUT)
            there *= 1 - hazard
            worth = (1 + economics.discount_rate_year) ** (-(month + 1) / 12)
            margin += there * worth * month_of(told.margin, month)
            if discounted and window <= month < window + economics.discount_months:
                paid += there * worth * share * month_of(told.bill, month)
        return margin, paid

    without, _ = earned(1.0, discounted=False)
    yes, paid = earned(float(told.response.accepted_ratio[row, action, window]), discounted=True)
    no, _ = earned(float(told.response.refused_ratio[row, action, window]), discounted=False)
    reached = float(np.prod(1 - told.hazards[row, :window]))
    call = contact * reached * (1 + economics.discount_rate_year) ** (-window / 12)
    return chance * (yes - paid) + (1 - chance) * no - without - call, chance * paid + call


@pytest.mark.parametrize("world", WORLDS)
def test_the_true_value_of_a_plan_is_that_of_the_slow_way(world: str) -> None:
    found = case(world)
    for name in (TIERS, LEARNED, WITH_TRAITS):
        one = found.replayed[name]
        assert one.plan is not None
        rows = np.flatnonzero(one.plan.action >= 0)[:60]
        assert len(rows) > 10, name
        slow = np.array([slow_worth(found, one.plan, row) for row in rows])
        assert one.worth[rows] == pytest.approx(slow[:, 0], rel=1e-4, abs=2e-3), name
        assert one.spend[rows] == pytest.approx(slow[:, 1], rel=1e-4, abs=2e-3), name
        idle = one.plan.action < 0
        assert not one.worth[idle].any()
        assert not one.spend[idle].any()
    windows = found.replayed[WITH_TRAITS].plan.window
    assert set(windows[windows >= 0]) == {0, 1, 2}


@pytest.mark.parametrize("world", WORLDS)
def test_no_policy_beats_the_oracle(world: str) -> None:
    found = case(world)
    oracle = found.replayed[WITH_TRAITS].plan
    budget = limits_of(len(found.candidates), found.settings).budget
    assert oracle.total == pytest.approx(float(found.replayed[ORACLE].worth.sum()), rel=1e-6)
    assert oracle.spend.sum() <= budget
    assert set(found.replayed) == {NOBODY, *RULES, LEARNED, ASSUMED, *replay.WITH_TRUE, *YARDSTICKS}
    for name, one in found.replayed.items():
        assert one.spend.sum() <= budget * (1 + 1e-6), name
        assert one.worth.sum() <= oracle.bound * (1 + 1e-6), name
        assert one.worth.sum() < oracle.total or name in (ORACLE, WITH_TRAITS), name
    assert found.replayed[LEARNED].worth.sum() > found.replayed[TOP_RISK].worth.sum()


def test_a_campaign_ends_when_the_money_is_spent_best_promise_first() -> None:
    """A policy that thinks accepting rare plans for more than it has; what it makes of it is paid for."""
    found = case("loglinear")
    thrifty = found.truth.response
    naive: Respond = lambda part: Response(  # noqa: E731
        0.3 * thrifty.acceptance[part], thrifty.accepted_ratio[part], thrifty.refused_ratio[part]
    )
    budget = limits_of(len(found.candidates), found.settings).budget
    one = replay.replay(found.candidates, {ASSUMED: naive}, one_known(found.candidates, found.truth), found.settings)[
        ASSUMED
    ]
    assert one.planned_spend > 1.3 * budget
    assert 0.95 * budget < one.spend.sum() <= budget
    values = value(found.candidates, naive, found.settings)
    _, options = guard(found.candidates, values, found.settings)
    planned = allocate(options, limits_of(len(found.candidates), found.settings))
    made, dropped = one.plan.action >= 0, (planned.action >= 0) & (one.plan.action < 0)
    assert dropped.any()
    ratio = planned.value / np.maximum(planned.spend, 1e-9)
    assert ratio[made].min() >= ratio[dropped].max() - 1e-9
    assert (planned.action[made] == one.plan.action[made]).all()
    assert not one.worth[dropped].any()
    assert not one.spend[dropped].any()


@pytest.mark.parametrize("world", WORLDS)
def test_knowing_one_part_exactly_uses_that_part_only(world: str) -> None:
    """What a policy promises is what it believes: with the true response all but risk and margin are the truth."""
    found = case(world)
    truth, candidates = found.truth, found.candidates
    all_true = dataclasses.replace(candidates, hazards=truth.hazards)
    for name in ("with_true_risk", "with_true_margin", "with_true_response"):
        one = found.replayed[name]
        assert one.promised.sum() == pytest.approx(one.plan.total)
        assert one.plan.total > 0
    values = value(all_true, found.responses[LEARNED], found.settings)
    rows = np.flatnonzero(found.replayed["with_true_risk"].plan.action >= 0)
    plan = found.replayed["with_true_risk"].plan
    action, window = plan.action[rows], plan.window[rows]
    contact = values.reached[rows, window] * np.array(found.settings.contact_costs)[plan.channel[rows]]
    assert plan.value[rows] == pytest.approx(values.value[rows, action, window] - contact, rel=1e-4, abs=1e-3)


def test_nobody_is_worth_nothing_and_the_oracle_its_own_share() -> None:
    found = case("loglinear")
    assert not found.replayed[NOBODY].worth.any()
    assert not found.replayed[NOBODY].spend.any()
    shares = replay.shares(found.replayed, of=ORACLE, replicates=200, seed=1)
    assert NOBODY not in shares
    best = shares[ORACLE]
    assert (best.value, best.lo, best.hi) == (1.0, 1.0, 1.0)
    total = float(found.replayed[ORACLE].worth.sum())
    for name, share in shares.items():
        assert share.value == pytest.approx(float(found.replayed[name].worth.sum()) / total)
        assert share.lo <= share.value <= share.hi, name
        assert share.hi - share.lo < 1.5
    assert replay.shares(found.replayed, of=ORACLE, replicates=200, seed=1) == shares
    without = replay.shares(found.replayed, of=ORACLE, replicates=0, seed=1)
    assert without[TIERS].value == shares[TIERS].value
    assert np.isnan(without[TIERS].lo)


def flat(name: str, worth: list[float]) -> Replayed:
    """A policy of which nothing but its worth matters."""
    count = len(worth)
    return Replayed(name, None, 0.0, np.zeros(count), np.array([worth], np.float64), np.zeros(count), 0.0)


def test_a_share_of_an_oracle_that_earns_nothing_is_not_known() -> None:
    found = replay.shares(
        {ORACLE: flat(ORACLE, [0.0, 0.0]), TIERS: flat(TIERS, [-1.0, 0.0])}, of=ORACLE, replicates=10, seed=0
    )
    assert all(np.isnan([one.value, one.lo, one.hi]).all() for one in found.values())


def test_intervals_of_shares_are_paired() -> None:
    """Half of the oracle for every customer is half of it in every draw."""
    worth = np.random.default_rng(0).lognormal(size=50)
    found = replay.shares(
        {NOBODY: flat(NOBODY, [0.0] * 50), ORACLE: flat(ORACLE, list(worth)), TIERS: flat(TIERS, list(worth / 2))},
        of=ORACLE,
        replicates=50,
        seed=0,
    )
    assert [found[TIERS].value, found[TIERS].lo, found[TIERS].hi] == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("rule", RULES)
def test_rule_policies_keep_budget_capacities_and_guardrails_but_do_not_know_values(world: str, rule: str) -> None:
    found = case(world)
    plan, people = found.replayed[rule].plan, found.candidates
    budget = found.settings.budget
    rows = np.flatnonzero(plan.action >= 0)
    assert len(rows) > 10
    assert plan.spend.sum() <= budget.eur_per_customer * len(people)
    assert (plan.window[rows] == 0).all()
    assert len(rows) <= np.floor(0.05 * len(people))
    names = np.array(found.settings.channels)[plan.channel[rows]]
    assert (names == "phone").sum() <= np.floor(0.01 * len(people))
    assert (names == "letter").sum() <= np.floor(0.03 * len(people))
    told = {name: people[name][rows] for name in people.numbers}
    discount = np.array(found.settings.discounts)[plan.action[rows]] * told["bill_eur_month"]
    assert (told["margin_eur_month"] > discount).all()
    assert (discount <= 60).all()
    assert (told["is_vulnerable"] == 0).all()
    assert not (told["marketing_consent"] == 0).any()
    assert (names[np.isnan(told["marketing_consent"])] == "letter").all()
    assert (told["phone_consent"][names == "phone"] == 1).all()
    assert not (told["days_since_offer"] < 90).any()
    assert not (told["days_since_contact"] < 7).any()
    assert not (told["days_since_held_out"] < 90).any()
    assert ((told["days_to_renewal"] <= 90) & (told["days_to_renewal"] >= -30)).all()
    assert (told["term_age_days"] >= 14).all()
    # The guardrail of value, which asks for what a rule does not know, is not among theirs.
    values = value(people, found.responses[ASSUMED], found.settings)
    _, options = guard(people, values, found.settings)
    _, theirs = guard(people, values, found.settings, without=("value",))
    assert (theirs.offers & ~options.offers).any()
    assert theirs.offers[rows, plan.action[rows], 0].all()
    assert np.isnan(found.replayed[rule].promised).all()


def test_the_rules_go_down_the_ranking_of_risk() -> None:
    found = case("loglinear")
    values = value(found.candidates, found.responses[ASSUMED], found.settings)
    allowed, options = guard(found.candidates, values, found.settings, without=("value",))
    risk = found.candidates.risk
    medium = found.replayed[TOP_RISK].plan
    assert set(medium.action) == {-1, ACTIONS.index("medium")}
    # A channel that is full or a budget nearly spent may pass some over, never the riskiest.
    may = np.flatnonzero(options.offers[:, 1, 0] & options.channels.any(axis=1))
    ranked = may[np.argsort(-risk[may], kind="stable")]
    assert (medium.action[ranked[:20]] == 1).all()
    given = np.flatnonzero(medium.action >= 0)
    assert risk[given].mean() > np.quantile(risk[may], 0.8)
    tiers = found.replayed[TIERS].plan
    edges = np.quantile(risk[allowed.anyone], [1 / 3, 2 / 3])
    for action, low, high in ((0, 0.0, edges[0]), (1, edges[0], edges[1]), (2, edges[1], 1.0)):
        some = risk[tiers.action == action]
        assert ((some >= low) & (some <= high)).all()
    assert (tiers.action == 2).any()


def test_a_rule_takes_the_cheapest_channel_that_is_open_and_passes_over_what_does_not_fit() -> None:
    """Four customers by falling risk; channels of 1 and 2 EUR, one contact each through the first, 8 EUR in all."""
    table = pd.DataFrame({"customer_id": ["A", "B", "C", "D"], "kind": "home", "segment_id": "", "risk": 0.0})
    table = table.assign(**dict.fromkeys(HAZARDS, 0.1))
    people = dataclasses.replace(Candidates.of(table), risk=np.array([0.1, 0.4, 0.3, 0.2]))
    spend = np.zeros((4, 3, 3), np.float32)
    spend[:, 1, 0] = [2.0, 3.0, 9.0, 2.0]
    zero = np.zeros((4, 3, 3), np.float32)
    values = Values(zero, spend, np.ones((4, 3), np.float32), np.zeros(4, np.float32))
    channels = np.array([[True, True], [True, True], [True, True], [True, True]])
    options = Options(values, np.array([1.0, 2.0]), np.ones((4, 3, 3), bool), channels)
    bounds = np.array([8.0, np.inf, np.inf, np.inf, 1.0, np.inf])
    plan = by_risk(people, options, np.full(4, 1), bounds)
    # B takes 3 + 1; C does not fit; D takes 2 + 2 through the second channel; A has nothing left.
    assert plan.action.tolist() == [-1, 1, -1, 1]
    assert plan.channel.tolist() == [-1, 0, -1, 1]
    assert plan.spend.tolist() == [0.0, 4.0, 0.0, 4.0]


def test_planned_change_is_that_of_a_customer_worked_out_by_hand() -> None:
    months = pd.DataFrame({"customer_id": ["A", "B"], **{f"hazard_{month:02d}": [0.1, 0.2] for month in range(1, 25)}})
    cells = [
        {
            "customer_id": customer,
            "action": action,
            "timing_window": window,
            "p_accept": 0.25 if action == "small" else 0.75,
            "accepted_ratio": 0.5,
            "refused_ratio": 1.2,
        }
        for customer in ("A", "B")
        for action in ACTIONS
        for window in WINDOWS
    ]
    plans = [("B", "none", "none"), ("A", "small", "30_60"), ("Z", "large", "immediate"), ("B", "large", "60_90")]
    rows = pd.DataFrame(plans, columns=["customer_id", "planned_action", "planned_window"])
    shuffled = pd.DataFrame(cells).sample(frac=1.0, random_state=0)
    found = replay.planned_change(rows, months.iloc[::-1], shuffled, until=3)

    def acted(hazard: float, ratio: float) -> float:
        return 1 - (1 - ratio * (1 - (1 - hazard) / 0.997)) * 0.997

    # The offer to A acts in the second and third month, that to B in the third: the fourth is not counted.
    stay_a = 0.9 * (0.25 * (1 - acted(0.1, 0.5)) ** 2 + 0.75 * (1 - acted(0.1, 1.2)) ** 2)
    stay_b = 0.8**2 * (0.75 * (1 - acted(0.2, 0.5)) + 0.25 * (1 - acted(0.2, 1.2)))
    assert found[[0, 1, 3]].tolist() == pytest.approx([0.0, 0.9**3 - stay_a, 0.8**3 - stay_b], abs=1e-12)
    assert np.isnan(found[2])
    longer = replay.planned_change(rows, months, shuffled, until=6)
    # By then A's effect is over after the fourth month.
    stay_a = 0.9**3 * (0.25 * (1 - acted(0.1, 0.5)) ** 3 + 0.75 * (1 - acted(0.1, 1.2)) ** 3)
    assert longer[1] == pytest.approx(0.9**6 - stay_a, abs=1e-12)


def test_worth_is_the_mean_over_futures_and_only_the_all_knowing_plans_for_each() -> None:
    """Two futures that differ in who would leave: each has its best customers, and one plan has to do for both."""
    found = case("loglinear")
    few, many = (
        dataclasses.replace(found.truth, hazards=np.minimum(found.truth.hazards * by, 1.0))
        for by in (
            np.where(np.arange(len(found.candidates)) % 2, 0.3, 2.0)[:, None],
            np.where(np.arange(len(found.candidates)) % 2, 2.0, 0.3)[:, None],
        )
    )

    def tell(customers: npt.NDArray[np.object_]) -> Outlooks:
        rows = np.isin(found.candidates.ids, customers)
        both = [
            Truth(one.hazards[rows], one.margin[rows], one.bill[rows], one.response.take(rows)) for one in (few, many)
        ]
        return Outlooks(both, both, [both[0]])

    played = replay.replay(found.candidates, found.responses, tell, found.settings)
    worth = {name: float(one.worth.sum()) for name, one in played.items()}
    assert worth[INFORMED] < worth[WITH_TRAITS] < worth[ORACLE]
    assert played[ORACLE].plan is None
    assert played[TIERS].by_future.shape == (2, len(found.candidates))
    values = [one.values(found.settings) for one in (few, many)]
    plan = played[TIERS].plan
    assert plan is not None
    row = int(np.flatnonzero(plan.action >= 0)[0])
    each = [one.value[row, plan.action[row], 0] - found.settings.contact_costs[plan.channel[row]] for one in values]
    assert played[TIERS].by_future[:, row] == pytest.approx(each, rel=1e-4)
    assert played[TIERS].worth[row] == pytest.approx(np.mean(each), rel=1e-4)
    told = replay.shares(played, of=INFORMED, replicates=100, seed=0)
    assert told[WITH_TRAITS].value > 1.0
    assert told[WITH_TRAITS].lo < told[WITH_TRAITS].value < told[WITH_TRAITS].hi


def test_expected_parts_are_those_of_the_mixture_of_futures() -> None:
    """Of two equally likely futures in one of which all leave at once, half of the customers stay for ever."""
    count, shape = 2, (2, 3, 3)

    def future(hazard: float, chance: float, accepted: float) -> Truth:
        response = Response(np.full(shape, chance), np.full(shape, accepted), np.ones(shape))
        full = np.full((count, 24), hazard)
        return Truth(full, np.full((count, 24), 10.0), np.full((count, 24), 50.0), response)

    values, parts = replay.expect([future(1.0, 0.2, 0.5), future(0.0, 0.6, 1.0)], SETTINGS)
    assert parts.hazards[0, :3].tolist() == [0.5, 0.0, 0.0]
    assert parts.response.acceptance[0, 0, 0] == pytest.approx(0.4)
    assert parts.response.accepted_ratio[0, 0, 0] == pytest.approx((0.2 * 0.5 + 0.6 * 1.0) / 0.8)
    assert values.baseline[0] == pytest.approx(future(0.0, 0.6, 1.0).values(SETTINGS).baseline[0] / 2)


# Where the truth may be named: where it is written, where a model's ceiling or a policy's worth is reported.
READERS = {"truth", "train", "simulate", "measure", "demo_data", "outlooks"}
NAMES = ("stages.truth", "find_truth", "read_future", "true_risks")


def test_nothing_but_reports_reads_the_ground_truth() -> None:
    """Modules that decide, learn or score do not even name it."""
    package = ROOT / "spanishgas"
    naming = {
        str(file.relative_to(package))
        for folder in (package, ROOT / "pipelines")
        for file in folder.rglob("*.py")
        if any(name in file.read_text() for name in NAMES)
    }
    assert naming == {f"stages/{name}.py" for name in READERS}
    # By any other name neither: the only words are in the replay and its report.
    for room in ("policy", "scoring", "models", "features", "training", "segmentation"):
        for file in (package / room).rglob("*.py"):
            text = file.read_text().replace("ground truth", "ground_truth")
            assert "ground_truth" not in text or file.name in {"replay.py", "simulation_report.py"}, file


def test_what_decides_and_learns_does_not_even_load_the_readers_of_the_truth() -> None:
    names = [f"spanishgas.stages.{name}" for name in ("recommend", "response", "features", "segment", "silver")]
    code = (
        f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
        "print(*sorted({'spanishgas.stages.truth', 'spanishgas.policy.replay'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_no_decision_is_handed_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs of a decision are looked up in a store that has everything, the truth too."""
    from spanishgas.stages import decisions

    asked: list[tuple[str, str]] = []
    table = SimpleNamespace(content_hash="x")

    class Everything(dict):  # type: ignore[type-arg]
        def __missing__(self, key: str) -> Any:
            return table

    class Store:
        def find(self, publication: Any) -> Any:
            asked.append((publication.layer, publication.name))
            tags = {"model_digest": "d", "as_of": "2026-01-31"}
            return SimpleNamespace(tables=Everything(), content_hash="x", tags=tags)

        def read(self, publication: Any, made_by: str) -> Any:
            return self.find(publication)

        def missing_files(self, manifest: Any) -> list[str]:
            return []

        def newest(self, layer: str, name: str, day: date) -> Any:
            return SimpleNamespace(value="2026-01-31")

        def partitions(self, layer: str, name: str) -> list[Any]:
            return []

    monkeypatch.setattr(decisions, "champion_of", lambda settings, models: SimpleNamespace(digest="d", version=1))
    _, inputs, manifests, _ = decisions.decision_inputs(load_settings(()), Store(), None)  # type: ignore[arg-type]
    assert "features" in manifests
    assert "truth" not in manifests
    assert "truth" not in inputs
    assert {("gold", "features"), ("gold", "scoring")} <= set(asked)
    assert not any("truth" in part for publication in asked for part in publication)
    # `simulate` puts the truth beside these inputs; what decides from them has no word for it.
    source = (ROOT / "spanishgas" / "stages" / "decisions.py").read_text()
    assert "truth" not in source
    assert "decide_from" not in (ROOT / "spanishgas" / "stages" / "measure.py").read_text()
