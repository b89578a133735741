"""What a plan is worth by group, by assumption and by budget: sums add up, and the plan itself stands among them."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from pipelines._entry import load_settings
from spanishgas.config import PolicySettings
from spanishgas.policy.candidates import HAZARDS, Candidates
from spanishgas.policy.decide import Decisions, decide
from spanishgas.policy.economics import Respond
from spanishgas.policy.response import assumed
from spanishgas.policy.simulator import Simulation, simulate

RUN_DATE = date(2026, 2, 10)
FACTORS = (0.5, 1.0, 1.5)


def settings_with(factors: tuple[float, ...] = (1.0,), **budget: object) -> PolicySettings:
    told: PolicySettings = load_settings(()).policy
    fewer = {"acceptance_factors": factors, "risk_factors": factors}
    return told.model_copy(
        update={
            "simulation": told.simulation.model_copy(update=fewer),
            "budget": told.budget.model_copy(update=budget),
        }
    )


@lru_cache
def customers(count: int = 400) -> Candidates:
    rng = np.random.default_rng(2)
    hazard = rng.beta(1.2, 20, (count, 3))
    table = pd.DataFrame(
        {
            "customer_id": [f"C{number:04d}" for number in range(count)],
            "kind": rng.choice(["home", "second_home", "business"], count),
            "segment_id": rng.choice(["S1", "S2", ""], count),
            "risk": 1 - np.prod(1 - hazard, axis=1),
            **dict(zip(HAZARDS, hazard.T, strict=True)),
            "margin_eur_month": rng.lognormal(2.5, 0.8, count),
            "bill_eur_month": rng.lognormal(3.8, 0.5, count),
            "marketing_consent": rng.choice([1.0, 0.0], count, p=(0.8, 0.2)),
            "phone_consent": 1.0,
            "days_to_renewal": rng.integers(-60, 200, count).astype(float),
            "term_age_days": 200.0,
        }
    )
    # Without a known margin nothing can be valued, nor a baseline told.
    table.loc[table.index % 50 == 0, "margin_eur_month"] = np.nan
    return Candidates.of(table)


def simulated(settings: PolicySettings) -> tuple[Decisions, Respond, Simulation]:
    respond = assumed(settings.response.assumed, customers())
    decisions = decide(customers(), respond, settings, "K")
    return decisions, respond, simulate(decisions, respond, settings, RUN_DATE)


@lru_cache
def usual() -> tuple[Decisions, Respond, Simulation]:
    return simulated(settings_with(FACTORS))


def test_groups_add_up_to_the_plan() -> None:
    decisions, _, found = usual()
    groups, plan = found.groups, decisions.plan
    assert int((plan.action >= 0).sum()) > 10
    assert groups["customers"].sum() == len(customers())
    assert groups["offers"].sum() == (plan.action >= 0).sum()
    assert groups["spend_eur"].sum() == pytest.approx(plan.spend.sum())
    assert groups["net_eur"].sum() == pytest.approx(plan.total)
    assert groups["retained_margin_eur"].sum() == pytest.approx(plan.total + plan.spend.sum())
    assert groups["baseline_margin_eur"].sum() == pytest.approx(
        float(np.nansum(decisions.values.baseline, dtype=np.float64)), rel=1e-6
    )
    assert (groups["run_date"] == pd.Timestamp(RUN_DATE)).all()
    assert not groups.duplicated(["segment", "risk_bucket"]).any()


def test_every_group_is_that_of_its_customers() -> None:
    decisions, _, found = usual()
    people, plan = customers(), decisions.plan
    ranked = np.sort(people.risk)[::-1]
    edges = ranked[[int(0.1 * len(ranked)), int(0.3 * len(ranked))]]
    for segment in ("S1", "S2", ""):
        for bucket, low, high in (("high", edges[0], 1.0), ("medium", edges[1], edges[0]), ("low", -1.0, edges[1])):
            some = (people.segment == segment) & (people.risk > low) & (people.risk <= high)
            told = found.groups.set_index(["segment", "risk_bucket"]).loc[(segment, bucket)]
            assert told["customers"] == some.sum()
            assert told["offers"] == (plan.action[some] >= 0).sum()
            assert told["net_eur"] == pytest.approx(plan.value[some].sum())
            assert told["spend_eur"] == pytest.approx(plan.spend[some].sum())


def test_the_return_on_what_is_spent_is_unknown_where_nothing_is() -> None:
    _, _, found = simulated(settings_with(eur_per_customer=0.02))
    groups = found.groups
    spent = groups["spend_eur"] > 0
    assert spent.any()
    assert (~spent).any()
    assert groups.loc[~spent, "roi"].isna().all()
    wanted = (groups["net_eur"] / groups["spend_eur"])[spent]
    assert groups.loc[spent, "roi"].tolist() == pytest.approx(wanted.tolist())


def test_assumptions_that_hold_give_the_plan_its_own_total() -> None:
    decisions, _, found = usual()
    (cell,) = found.sensitivity[
        (found.sensitivity["acceptance_factor"] == 1) & (found.sensitivity["risk_factor"] == 1)
    ].to_dict("records")
    assert cell["net_eur"] == pytest.approx(decisions.plan.total, rel=1e-6)
    assert cell["spend_eur"] == pytest.approx(decisions.plan.spend.sum(), rel=1e-6)
    assert cell["replanned_net_eur"] == pytest.approx(decisions.plan.total, rel=1e-9)
    assert cell["replanned_offers"] == (decisions.plan.action >= 0).sum()
    pairs = set(zip(found.sensitivity["acceptance_factor"], found.sensitivity["risk_factor"], strict=True))
    assert pairs == {(one, other) for one in FACTORS for other in FACTORS}
    assert len(found.sensitivity) == 9


def test_planning_anew_is_never_worse_than_a_plan_that_can_still_be_paid() -> None:
    decisions, _, found = usual()
    table, budget = found.sensitivity, decisions.limits.budget
    affordable = table["spend_eur"] <= budget
    assert affordable.sum() >= 3
    slack = decisions.plan.gap + 1e-3 * decisions.plan.total
    assert (table["replanned_net_eur"] + slack >= table["net_eur"])[affordable].all()
    # Where only half accept, the plan leaves money over that a new one would use.
    half = table[(table["acceptance_factor"] == 0.5) & (table["risk_factor"] == 1)].iloc[0]
    assert half["replanned_net_eur"] > 1.05 * half["net_eur"]


def test_more_acceptance_and_more_risk_move_what_the_plan_brings_and_costs() -> None:
    _, _, found = usual()
    net = found.sensitivity.pivot_table(index="acceptance_factor", columns="risk_factor", values="net_eur")
    spend = found.sensitivity.pivot_table(index="acceptance_factor", columns="risk_factor", values="spend_eur")
    assert (net.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    assert (spend.diff(axis=0).iloc[1:] > 0).all(axis=None)
    # Who leaves sooner takes less of a discount.
    assert (spend.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)


def test_a_larger_budget_never_brings_less_and_one_point_is_the_plan() -> None:
    decisions, _, found = usual()
    curve, plan = found.curve, decisions.plan
    factors = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
    assert curve["budget_eur"].tolist() == pytest.approx([factor * decisions.limits.budget for factor in factors])
    assert (curve["spend_eur"] <= curve["budget_eur"]).all()
    steps = np.diff(curve["net_eur"]) + curve["gap_eur"].to_numpy()[1:]
    assert (steps >= -1e-6).all()
    assert curve["net_eur"].iloc[-1] > 1.2 * curve["net_eur"].iloc[0]
    (chosen,) = curve[curve["is_chosen"]].to_dict("records")
    assert chosen["budget_eur"] == decisions.limits.budget
    assert chosen["net_eur"] == plan.total
    assert chosen["spend_eur"] == pytest.approx(plan.spend.sum())
    assert chosen["offers"] == (plan.action >= 0).sum()
    assert chosen["gap_eur"] == plan.gap


def test_the_plan_stands_on_the_curve_whatever_the_factors() -> None:
    settings = settings_with()
    simulation = settings.simulation.model_copy(update={"budget_factors": (0.5, 2.0)})
    decisions, _, found = simulated(settings.model_copy(update={"simulation": simulation}))
    wanted = [factor * decisions.limits.budget for factor in (0.5, 1.0, 2.0)]
    assert found.curve["budget_eur"].tolist() == pytest.approx(wanted)
    assert found.curve["is_chosen"].tolist() == [False, True, False]


def test_without_a_budget_the_curve_is_one_point_and_that_is_the_plan() -> None:
    decisions, _, found = simulated(settings_with(eur=0.0))
    assert decisions.plan.total == 0
    assert found.curve["budget_eur"].tolist() == [0.0]
    assert found.curve["is_chosen"].tolist() == [True]
    assert found.groups["roi"].isna().all()
    assert found.groups["net_eur"].sum() == 0
    assert found.groups["customers"].sum() == len(customers())
