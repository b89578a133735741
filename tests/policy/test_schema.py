"""Recommendations: what contradicts itself is refused, every row can be told as one, and a hold-out is drawn fairly."""

import dataclasses
from collections.abc import Callable
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from spanishgas.contracts.decisions import RECOMMENDATIONS
from spanishgas.errors import ContractError
from spanishgas.policy.decide import Decisions, draw_holdout
from spanishgas.policy.guardrails import GUARDRAILS
from spanishgas.policy.recommendations import limit_names, limit_rows, recommendation_rows, risk_buckets
from spanishgas.policy.schema import Recommendation, check_recommendations
from tests.policy.worlds import (
    BASIS,
    causes,
    changed,
    customers,
    decided,
    delivered,
    population,
    response,
    rows_of,
    unlimited,
)

GOOD: dict[str, object] = {
    "customer_id": "C1",
    "risk_score": 0.4,
    "segment": "S1",
    "action": "small",
    "channel": "email",
    "timing_window": "30_60",
    "expected_margin_impact": 12.5,
    "reason_codes": ("complaint", "offer_pays"),
    "run_date": date(2026, 2, 9),
    "as_of": date(2026, 1, 31),
    "hazards": (0.2, 0.1, 0.05),
    "model_digest": "abc",
    "policy_version": "def",
}
NO_OFFER = {"action": "none", "channel": "none", "timing_window": "none", "expected_margin_impact": 0.0}
NAN = float("nan")
VETOES = {one.name for one in GUARDRAILS}
# A large hold-out, so that there is one in a small population, and a budget that does not reach everybody.
POLICY = changed(holdout={"share": 0.3}, budget={"eur_per_customer": 0.4, "windows": (0.2, 0.2, 0.2), "channels": {}})


@lru_cache
def made() -> tuple[Decisions, pd.DataFrame]:
    """A decision on a small population, and its table."""
    decisions = decided(population(400, seed=1), POLICY)
    return decisions, rows_of(decisions, POLICY)


def table() -> pd.DataFrame:
    return made()[1].copy()


# One recommendation.


def test_a_good_recommendation_is_taken_as_it_is() -> None:
    assert Recommendation.model_validate(GOOD).model_dump() == GOOD
    assert Recommendation.model_validate({**GOOD, **NO_OFFER}).action == "none"
    assert Recommendation.model_validate({**GOOD, "as_of": GOOD["run_date"]}).as_of == GOOD["run_date"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"risk_score": 1.01}, "risk_score"),
        ({"risk_score": -0.01}, "risk_score"),
        ({"risk_score": NAN}, "risk_score"),
        ({"customer_id": ""}, "customer_id"),
        ({"model_digest": ""}, "model_digest"),
        ({"policy_version": ""}, "policy_version"),
        ({"action": "huge"}, "action"),
        ({"channel": "pigeon"}, "channel"),
        ({"timing_window": "90_120"}, "timing_window"),
        ({"expected_margin_impact": NAN}, "expected_margin_impact"),
        ({"expected_margin_impact": float("inf")}, "expected_margin_impact"),
        ({"expected_margin_impact": -1.0}, "expected_margin_impact"),
        ({"reason_codes": ()}, "reason_codes"),
        ({"reason_codes": ("complaint",) * 13}, "reason_codes"),
        ({"reason_codes": ("complaint", "nonsense")}, "reason codes are not known: nonsense"),
        ({"reason_codes": ("",)}, "reason codes are not known"),
        ({"timing_window": "none"}, "all none, or none of them is"),
        ({"channel": "none"}, "all none, or none of them is"),
        ({"action": "none"}, "all none, or none of them is"),
        ({"action": "none", "timing_window": "none", "expected_margin_impact": 0.0}, "all none, or none of them is"),
        ({**NO_OFFER, "expected_margin_impact": 1.0}, "no offer has 0"),
        ({"expected_margin_impact": 0.0}, "an offer has a positive expected_margin_impact"),
        ({"as_of": date(2026, 2, 10)}, "as_of (2026-02-10) must not be after run_date (2026-02-09)"),
        ({"hazards": (0.2, 1.1, 0.0)}, "hazards lie in 0 to 1"),
        ({"hazards": (0.2, NAN, 0.0)}, "hazards lie in 0 to 1"),
        ({"hazards": (0.2, 0.1)}, "hazards"),
        ({"favourite_colour": "blue"}, "favourite_colour"),
    ],
)
def test_a_recommendation_that_contradicts_itself_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Recommendation.model_validate({**GOOD, **changes})
    assert error.value.error_count() == 1
    assert told in str(error.value)


@pytest.mark.parametrize("field", GOOD)
def test_every_field_is_required(field: str) -> None:
    with pytest.raises(ValidationError, match="Field required"):
        Recommendation.model_validate({name: told for name, told in GOOD.items() if name != field})


def test_a_recommendation_does_not_change() -> None:
    one = Recommendation.model_validate(GOOD)
    with pytest.raises(ValidationError):
        one.action = "large"


def test_its_choices_are_those_of_the_contract() -> None:
    domains = {column.name: column.domain for column in RECOMMENDATIONS.columns}
    for name in ("action", "channel", "timing_window"):
        assert domains[name] is not None
        assert Recommendation.model_fields[name].annotation.__args__ == domains[name]  # type: ignore[union-attr]


# A table of them.


def test_what_is_decided_passes_the_check() -> None:
    found = table()
    check_recommendations(found)
    assert found["customer_id"].tolist() == sorted(population(400, seed=1).ids)
    assert found.columns.tolist() == list(RECOMMENDATIONS.column_names)
    # There is something to check: offers, hold-outs, vetoes and those for whom others were better.
    kinds = [found["action"] != "none", found["is_held_out"], found["veto_codes"] != ""]
    assert all(int(rows.sum()) >= 5 for rows in kinds)
    assert (~(kinds[0] | kinds[1] | kinds[2])).sum() >= 5


Change = Callable[[pd.DataFrame], pd.Series]
OFFERED: Change = lambda rows: rows["action"] != "none"  # noqa: E731
HELD: Change = lambda rows: rows["is_held_out"]  # noqa: E731
IDLE: Change = lambda rows: rows["planned_action"] == "none"  # noqa: E731
CONTRADICTIONS: dict[str, tuple[Change, dict[str, object], str]] = {
    "offer without channel": (
        OFFERED,
        {"channel": "none"},
        "an offer without channel or window, or the other way round",
    ),
    "offer without window": (
        OFFERED,
        {"timing_window": "none"},
        "an offer without channel or window, or the other way round",
    ),
    "channel without offer": (
        IDLE,
        {"channel": "email"},
        "an offer without channel or window, or the other way round",
    ),
    "window without offer": (
        HELD,
        {"timing_window": "immediate"},
        "an offer without channel or window, or the other way round",
    ),
    "offer for nothing": (
        OFFERED,
        {"expected_margin_impact": 0.0},
        "an offer that is expected to earn nothing, or an impact without an offer",
    ),
    "impact without offer": (
        HELD,
        {"expected_margin_impact": 3.0},
        "an offer that is expected to earn nothing, or an impact without an offer",
    ),
    "spend without offer": (IDLE, {"expected_spend": 1.0}, "spend without an offer"),
    "held out without plan": (IDLE, {"is_held_out": True}, "held out without a plan, or with an offer"),
    "held out with offer": (OFFERED, {"is_held_out": True}, "held out without a plan, or with an offer"),
    "plan forgotten": (HELD, {"is_held_out": False}, "planned and neither offered nor held out"),
    "another action": (
        lambda rows: rows["action"].isin(["small", "medium"]),
        {"action": "large"},
        "offered something else than planned",
    ),
    "unknown reason": (IDLE, {"reason_codes": "value|nonsense"}, "a reason that is not known, or none"),
    "no reason": (OFFERED, {"reason_codes": ""}, "a reason that is not known, or none"),
    "features of tomorrow": (IDLE, {"as_of": pd.Timestamp("2026-02-10")}, "as_of after run_date"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_planted_contradiction_is_told_with_its_count(name: str) -> None:
    rows, what, told = CONTRADICTIONS[name]
    found = table()
    concerned = found.index[rows(found)][:3]
    assert len(concerned) == 3
    for column, planted in what.items():
        found.loc[concerned, column] = planted
    with pytest.raises(ContractError) as error:
        check_recommendations(found)
    assert error.value.what == f"contradicts itself: {told} (3 rows)"
    assert error.value.count == 3
    assert error.value.where == "recommendations"


def test_all_contradictions_are_told_at_once() -> None:
    found = table()
    found.loc[found.index[IDLE(found)][:2], "expected_spend"] = 1.0
    found.loc[found.index[OFFERED(found)][:1], "reason_codes"] = "nonsense"
    with pytest.raises(ContractError) as error:
        check_recommendations(found)
    assert error.value.what == (
        "contradicts itself: spend without an offer (2 rows); a reason that is not known, or none (1 rows)"
    )
    assert error.value.count == 3


@pytest.mark.parametrize(
    ("column", "planted"),
    [
        ("risk_score", 1.2),
        ("expected_margin_impact", NAN),
        ("action", "huge"),
        ("p_accept", -0.1),
        ("customer_id", "X"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(column: str, planted: object) -> None:
    found = table()
    found.loc[found.index[:2], column] = planted
    with pytest.raises(ContractError, match="breaks its contract") as error:
        check_recommendations(found)
    assert column in error.value.what


@pytest.mark.parametrize("column", RECOMMENDATIONS.column_names)
def test_no_column_may_be_lacking(column: str) -> None:
    with pytest.raises(ContractError, match="breaks its contract") as error:
        check_recommendations(table().drop(columns=column))
    assert column in error.value.what


def test_every_row_is_a_recommendation() -> None:
    found = table()
    assert len(found) == 400
    for _, row in found.iterrows():
        assert Recommendation.of(row).model_dump() == {
            "customer_id": row["customer_id"],
            "risk_score": row["risk_score"],
            "segment": row["segment"],
            "action": row["action"],
            "channel": row["channel"],
            "timing_window": row["timing_window"],
            "expected_margin_impact": row["expected_margin_impact"],
            "reason_codes": tuple(row["reason_codes"].split("|")),
            "run_date": date(2026, 2, 9),
            "as_of": date(2026, 1, 31),
            "hazards": (row["hazard_0_30"], row["hazard_30_60"], row["hazard_60_90"]),
            "model_digest": "abc",
            "policy_version": "def",
        }


# What the table tells of a decision.


def test_rows_tell_the_plan() -> None:
    """Customer by customer: what was planned, what is left of it, what it is expected to bring and cost."""
    decisions, found = made()
    plan, candidates = decisions.plan, decisions.candidates
    chance = response(candidates, POLICY)(slice(0, len(candidates))).acceptance
    actions, windows = ("small", "medium", "large", "none"), ("immediate", "30_60", "60_90", "none")
    channels = (*POLICY.channels, "none")
    wanted = []
    for row in range(len(candidates)):
        planned = (actions[plan.action[row]], channels[plan.channel[row]], windows[plan.window[row]])
        chosen = planned[0] != "none"
        held = chosen and bool(draw_holdout(candidates.ids[[row]], "spring", POLICY)[0])
        offered = chosen and not held
        wanted.append(
            (
                candidates.ids[row],
                *(planned if offered else ("none", "none", "none")),
                round(plan.value[row], 4) if offered else 0.0,
                round(plan.spend[row], 4) if offered else 0.0,
                chance[row, plan.action[row], plan.window[row]] if offered else None,
                *planned,
                round(plan.value[row], 4),
                held,
                0.3 if held else 0.7 if chosen else 1.0,
            )
        )
    columns = ["customer_id", "action", "channel", "timing_window", "expected_margin_impact", "expected_spend"]
    columns += ["p_accept", "planned_action", "planned_channel", "planned_window", "planned_margin_impact"]
    columns += ["is_held_out", "propensity"]
    pd.testing.assert_frame_equal(found[columns], pd.DataFrame(wanted, columns=columns))


def test_every_row_has_a_reason_and_whoever_gets_nothing_is_told_why() -> None:
    decisions, found = made()
    risk = causes(len(found))
    for row, codes in enumerate(found["reason_codes"].str.split("|")):
        told = list(risk[row]) or ["ordinary_risk"]
        if decisions.offered[row]:
            assert codes == [*told, "offer_pays"]
        elif decisions.held_out[row]:
            assert codes == ["held_out", *told]
        else:
            why = codes[: len(codes) - len(told)]
            assert codes[len(why) :] == told
            assert why == ["better_elsewhere"] or (set(why) <= VETOES and why)
            assert why == (found["veto_codes"][row].split("|") if found["veto_codes"][row] else ["better_elsewhere"])


def test_better_elsewhere_is_said_only_where_limits_bind() -> None:
    """Without limits every customer without an offer has been vetoed one."""
    settings = unlimited(POLICY)
    found = rows_of(decided(population(400, seed=1), settings), settings)
    assert not found["reason_codes"].str.contains("better_elsewhere").any()
    check_recommendations(found)


def test_timing_by_the_contract_is_said_of_offers() -> None:
    decisions, found = made()
    timed = rows_of(decisions, POLICY, dataclasses.replace(BASIS, is_timed_by_contract=True))
    offered = decisions.offered
    assert timed["reason_codes"][offered].tolist() == (found["reason_codes"][offered] + "|timed_by_contract").tolist()
    assert timed["reason_codes"][~offered].tolist() == found["reason_codes"][~offered].tolist()


def test_an_offer_that_is_worth_next_to_nothing_is_still_an_offer() -> None:
    """A positive impact stays positive however it is rounded."""
    decisions = decided(customers({}), changed(unlimited(), holdout={"share": 0.0}))
    assert decisions.offered.tolist() == [True]
    plan = dataclasses.replace(decisions.plan, value=np.array([2e-5]))
    check_recommendations(rows_of(dataclasses.replace(decisions, plan=plan), delivered()))


def test_the_longest_list_of_reasons_fits() -> None:
    """Every guardrail vetoes, and three causes raise the risk."""
    someone = customers(
        {
            "margin_eur_month": -1.0,
            "bill_eur_month": float("nan"),
            "is_vulnerable": 1.0,
            "marketing_consent": 0.0,
            "days_since_offer": 1.0,
            "days_since_held_out": 1.0,
            "days_to_renewal": 300.0,
        }
    )
    decisions = decided(someone, delivered())
    told = np.empty(1, dtype=object)
    told[0] = ("complaint", "tone", "price_changed")
    found = recommendation_rows(decisions, told, response(someone), BASIS)
    check_recommendations(found)
    assert found["veto_codes"][0].split("|") == list(delivered().guardrails.order)
    assert len(Recommendation.of(found.iloc[0]).reason_codes) == len(VETOES) + 3


def test_limits_are_told_with_what_is_used() -> None:
    decisions, found = made()
    limits = limit_rows(decisions, BASIS.run_date).set_index("limit")
    assert limits.index.tolist() == limit_names(POLICY)
    planned = found[found["planned_action"] != "none"]
    used = {
        "budget": round(float(decisions.plan.spend.sum()), 4),
        **{f"window:{name}": (planned["planned_window"] == name).sum() for name in ("immediate", "30_60", "60_90")},
        **{f"channel:{name}": (planned["planned_channel"] == name).sum() for name in POLICY.channels},
    }
    assert limits["used"].to_dict() == used
    assert limits["bound"].iloc[:4].tolist() == [160.0, 80.0, 80.0, 80.0]
    assert limits["bound"].iloc[4:].isna().all()
    assert (limits["used"].iloc[:4] <= limits["bound"].iloc[:4]).all()
    assert set(limits["valid_until"]) == {pd.Timestamp("2026-02-28")}


def test_risk_buckets_hold_their_shares() -> None:
    risk = np.arange(100)[::-1] / 100
    found = risk_buckets(risk, (0.1, 0.3))
    assert found.tolist() == ["high"] * 10 + ["medium"] * 20 + ["low"] * 70
    assert risk_buckets(np.full(5, 0.5), (0.1, 0.3)).tolist() == ["low"] * 5
    assert risk_buckets(np.empty(0), (0.1, 0.3)).tolist() == []


# The hold-out.

IDS = np.array([f"C{number}" for number in range(20_000)], dtype=object)


def test_the_hold_out_is_the_same_in_every_run_and_on_every_machine() -> None:
    settings = changed(holdout={"share": 0.2, "salt": "retention"})
    held = IDS[:40][draw_holdout(IDS[:40], "spring", settings)]
    assert held.tolist() == ["C2", "C3", "C10", "C12", "C35"]


def test_the_hold_out_has_about_its_share() -> None:
    for share in (0.1, 0.5):
        found = draw_holdout(IDS, "spring", changed(holdout={"share": share})).mean()
        assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(IDS)))
    assert not draw_holdout(IDS, "spring", changed(holdout={"share": 0.0})).any()


def test_a_larger_hold_out_keeps_those_of_a_smaller_one() -> None:
    small, large = (draw_holdout(IDS, "spring", changed(holdout={"share": share})) for share in (0.1, 0.2))
    assert large[small].all()


def test_nobody_s_draw_depends_on_others() -> None:
    whole = draw_holdout(IDS, "spring", delivered())
    some = np.random.default_rng(0).permutation(len(IDS))[:500]
    assert draw_holdout(IDS[some], "spring", delivered()).tolist() == whole[some].tolist()
    assert [bool(draw_holdout(IDS[[row]], "spring", delivered())[0]) for row in some[:50]] == whole[some[:50]].tolist()


@pytest.mark.parametrize("other", [("autumn", "retention"), ("spring", "pepper")])
def test_another_campaign_or_salt_draws_others(other: tuple[str, str]) -> None:
    """Two independent draws of a tenth share a hundredth."""
    campaign, salt = other
    first = draw_holdout(IDS, "spring", delivered())
    second = draw_holdout(IDS, campaign, changed(holdout={"salt": salt}))
    both = float((first & second).mean())
    assert both == pytest.approx(0.01, abs=4 * np.sqrt(0.01 * 0.99 / len(IDS)))


def test_only_the_chosen_are_held_out_and_the_plan_does_not_know() -> None:
    decisions, _ = made()
    drawn = draw_holdout(decisions.candidates.ids, "spring", POLICY)
    assert decisions.held_out.tolist() == (decisions.chosen & drawn).tolist()
    nobody = decided(decisions.candidates, changed(POLICY, holdout={"share": 0.0}))
    assert nobody.plan.action.tolist() == decisions.plan.action.tolist()
    assert nobody.offered.tolist() == decisions.chosen.tolist()
