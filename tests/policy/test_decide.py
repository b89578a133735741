"""One decision: what it takes from each customer alone, what only budget and capacities carry from one to another."""

import numpy as np
import pandas as pd
import pytest

from pipelines._entry import load_settings
from spanishgas.config import BudgetSettings, PolicySettings
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import Decisions, decide
from spanishgas.policy.response import assumed

WIDE = BudgetSettings(eur=1e9)


def people(count: int = 400, seed: int = 1) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    risk = draw.beta(1.2, 12, count)
    hazard = 1 - (1 - risk) ** (1 / 3)
    return pd.DataFrame(
        {
            "customer_id": [f"C{number:05d}" for number in range(count)],
            "kind": draw.choice(["home", "second_home", "business"], count, p=[0.85, 0.05, 0.1]),
            "segment_id": "S1",
            "risk": risk,
            **dict.fromkeys(("hazard_0_30", "hazard_30_60", "hazard_60_90"), hazard),
            "margin_eur_month": draw.lognormal(2.5, 1.0, count),
            "bill_eur_month": draw.lognormal(3.3, 0.8, count),
            "is_vulnerable": (draw.random(count) < 0.1).astype(float),
            "marketing_consent": (draw.random(count) < 0.8).astype(float),
            "phone_consent": (draw.random(count) < 0.4).astype(float),
            "days_since_offer": np.nan,
            "days_since_contact": np.nan,
            "days_to_renewal": draw.integers(0, 120, count).astype(float),
            "term_age_days": 250.0,
        }
    )


def settings(**changes: object) -> PolicySettings:
    return load_settings(("policy=assumed",)).policy.model_copy(update=changes)


def decided(table: pd.DataFrame, policy: PolicySettings) -> Decisions:
    candidates = Candidates.of(table)
    return decide(candidates, assumed(policy.response.assumed, candidates), policy, "2026-02-09")


def plan_of(decisions: Decisions) -> pd.DataFrame:
    plan = decisions.plan
    return pd.DataFrame(
        {"action": plan.action, "window": plan.window, "channel": plan.channel, "value": plan.value},
        index=decisions.candidates.ids,
    )


def test_without_a_binding_limit_nobodys_data_change_anybody_elses_decision() -> None:
    table, policy = people(), settings(budget=WIDE)
    before = plan_of(decided(table, policy))
    chosen = before.index[before["action"] >= 0]
    changed = table.copy()
    changed.loc[changed["customer_id"] == chosen[0], ["margin_eur_month", "risk"]] = [500.0, 0.9]
    after = plan_of(decided(changed, policy))
    others = before.index != chosen[0]
    pd.testing.assert_frame_equal(before[others], after[others])
    assert before.loc[chosen[0], "value"] != after.loc[chosen[0], "value"]


def test_with_a_binding_budget_others_change_only_through_its_price() -> None:
    """A newly valuable customer takes budget from others; what every offer is worth to them stays as it was."""
    table, policy = people(), settings(budget=BudgetSettings(eur=40.0))
    before = decided(table, policy)
    idle = before.candidates.ids[(before.plan.action < 0) & before.allowed.anyone]
    assert before.plan.prices[0] > 0
    changed = table.copy()
    changed.loc[changed["customer_id"] == idle[0], ["margin_eur_month", "bill_eur_month"]] = [900.0, 200.0]
    after = decided(changed, policy)
    others = before.candidates.ids != idle[0]
    np.testing.assert_array_equal(before.values.value[others], after.values.value[others])
    np.testing.assert_array_equal(before.allowed.offers[others], after.allowed.offers[others])
    assert after.plan.prices[0] > before.plan.prices[0]
    lost = before.chosen & ~after.chosen & others
    assert lost.any()
    # Who lost an offer is worth less per euro than the new price of a euro.
    ratio = before.plan.value[lost] / before.plan.spend[lost]
    assert (ratio <= after.plan.prices[0] * 1.05).all()


def test_rows_in_another_order_give_the_same_decisions() -> None:
    table, policy = people(), settings(budget=BudgetSettings(eur=60.0))
    shuffled = table.sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(plan_of(decided(table, policy)), plan_of(decided(shuffled, policy)))


def test_the_holdout_does_not_depend_on_who_else_is_chosen() -> None:
    table = people()
    few = decided(table, settings(budget=BudgetSettings(eur=30.0)))
    many = decided(table, settings(budget=WIDE))
    both = few.chosen & many.chosen
    assert both.sum() > 10
    np.testing.assert_array_equal(few.held_out[both], many.held_out[both])


def test_no_customer_is_decided_on_twice() -> None:
    from spanishgas.errors import ContractError

    table = people(5)
    with pytest.raises(ContractError, match="a customer stands twice"):
        Candidates.of(pd.concat([table, table.head(1)]))
    with pytest.raises(ContractError, match="is no probability"):
        Candidates.of(table.assign(risk=[0.1, 0.2, np.nan, 0.1, 0.1]))
