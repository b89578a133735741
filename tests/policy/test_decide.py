"""One decision: what it takes from each customer alone, what only budget and capacities carry from one to another."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipelines._entry import load_settings
from spanishgas.config import BudgetSettings, HoldoutSettings, PolicySettings
from spanishgas.domain.repricing import Repricing
from spanishgas.domain.survival import STATED, Calendar
from spanishgas.evaluation.contrast import split_for
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import Decisions, decide, value
from spanishgas.policy.pricing import Prices, decide_late
from spanishgas.policy.recommendations import recommendation_rows
from spanishgas.policy.response import assumed
from tests.policy.worlds import BASIS, causes, customers, response, unlimited

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


# What is left of a period.


def taken(decisions: Decisions, policy: PolicySettings) -> np.ndarray:
    """What the offers of a decision take, in the order of the limits; those held out take nothing."""
    plan, made = decisions.plan, decisions.offered
    return np.array(
        [
            plan.spend[made].sum(),
            *np.bincount(plan.window[made], minlength=3),
            *np.bincount(plan.channel[made], minlength=len(policy.channels)),
        ]
    )


def test_a_run_has_what_earlier_ones_left_and_all_of_them_together_no_more_than_the_period() -> None:
    """Other customers come up every day; none of the three runs knows of the others but by what they committed."""
    policy = settings(
        budget=BudgetSettings(eur=60.0, windows=(0.05, 0.05, 0.05), channels={"letter": 0.02, "phone": 0.01})
    )
    whole = np.array([60.0, 20, 20, 20, *(np.inf, np.inf, 8, 4)])
    committed = np.zeros(8)
    spent = []
    for seed in (1, 2, 3):
        candidates = Candidates.of(people(seed=seed))
        respond = assumed(policy.response.assumed, candidates)
        found = decide(candidates, respond, policy, f"day {seed}", committed)
        assert found.limits.bounds == pytest.approx(whole - committed)
        alone = decide(candidates, respond, policy, f"day {seed}")
        assert found.plan.total <= alone.plan.total
        # Money that is scarcer is dearer.
        assert found.plan.prices[0] >= alone.plan.prices[0] - 1e-9
        committed = committed + taken(found, policy)
        spent.append(found.plan.spend.sum())
    assert (committed <= whole + 1e-6).all()
    # The first takes nearly all, the hold-out leaves something for the next.
    assert spent[0] > 55
    assert 0 < spent[1] < 15


def test_more_committed_than_there_is_leaves_nothing() -> None:
    policy = settings(budget=BudgetSettings(eur=40.0))
    candidates = Candidates.of(people())
    found = decide(candidates, assumed(policy.response.assumed, candidates), policy, "K", np.full(8, 1000.0))
    assert not found.chosen.any()
    assert found.limits.budget == 0


# The share held out.


def test_a_wanted_power_sets_the_share_that_is_drawn_and_recorded() -> None:
    plain = settings(budget=WIDE)
    wanted = plain.model_copy(
        update={
            "holdout": HoldoutSettings(
                power=0.8, wanted_effect=0.05, wanted_runs=30, least_share=0.02, most_share=0.5, salt="retention"
            )
        }
    )
    table = people(800)
    fixed, found = decided(table, plain), decided(table, wanted)
    # The plan does not know of the hold-out.
    assert fixed.plan.action.tolist() == found.plan.action.tolist()
    count, hazards = found.chosen.sum(), found.candidates.hazards[found.chosen]
    risk = (1 - np.prod(1 - hazards, axis=1)).mean()
    planned = split_for(30 * count, risk, 0.05, 0.8, (0.02, 0.5))
    assert found.split.share == pytest.approx(planned.share)
    assert found.split.power == pytest.approx(0.8)
    assert 0.02 < found.split.share < 0.5
    assert found.settings.holdout.share == found.split.share
    assert found.held_out.sum() / count == pytest.approx(found.split.share, abs=0.08)
    rows = recommendation_rows(found, causes(len(found.candidates)), response(found.candidates), BASIS)
    held = rows["is_held_out"].to_numpy()
    assert set(rows["propensity"][held]) == {found.split.share}
    assert set(rows["propensity"][rows["action"] != "none"]) == {1 - found.split.share}
    # Who comes later is drawn with the same share, of the terms.
    late = decide_late(
        found.candidates,
        response(found.candidates),
        found.settings,
        Prices(np.zeros(8), np.full(8, np.inf), date(2026, 2, 28)),
        "2026-02-09",
    )
    both = late.chosen & found.chosen
    assert late.held_out[both].tolist() == found.held_out[both].tolist()


def test_a_power_that_cannot_be_had_takes_the_most_that_is_allowed() -> None:
    few = settings(holdout=HoldoutSettings(power=0.9, wanted_effect=0.02, most_share=0.3))
    found = decided(people(), few)
    assert found.split.share == 0.3
    assert found.split.power < 0.5
    nobody = decided(people(), few.model_copy(update={"budget": BudgetSettings(eur=0.0)}))
    assert not nobody.held_out.any()


def test_a_decision_values_the_margin_after_the_renewal_at_its_new_price() -> None:
    settings, people = unlimited(), customers({}, {})
    calendar = Calendar.of({"price_over_new_terms": [0.3, 0.3], "days_to_renewal": [40.0, np.nan]}, "2024-01-31")
    flat, moved = (
        people.looking_ahead(replace(STATED, repricing=Repricing(share)), calendar, settings.economics.horizon_months)
        for share in (0.0, 0.5)
    )
    step = people["bill_eur_month"][0] * (1.3**-0.5 - 1)
    assert moved.margin.by_month(24)[0, [0, -1]] - people["margin_eur_month"][0] == pytest.approx([0.0, step])
    before, after = (value(one, response(people), settings).baseline for one in (flat, moved))
    assert after[0] < before[0]
    assert after[1] == before[1]
