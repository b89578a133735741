"""Recommendations on a small demo retailer: explained, within every guardrail, repeatable, simulated and measured."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import TrackingSettings
from spanishgas.errors import ContractError, PromotionError, PublishError
from spanishgas.policy.reasons import REASONS
from spanishgas.policy.response import assumed_of
from spanishgas.policy.terms import Terms
from spanishgas.registry import ModelRegistry
from spanishgas.stages import measure, recommend, simulate
from spanishgas.stages.places import TERMS, features_at
from spanishgas.stages.response import RESPONSE, read_response
from spanishgas.stages.runner import Outcome
from tests.e2e.worlds import SIZE, WIDE, Retailer, copy_of, later, settings_of
from tests.pages import hidden_settings


def newest(table: pd.DataFrame, day: str, key: str = "customer_id") -> pd.DataFrame:
    """The last version of every row that is known on a day."""
    known = table[pd.to_datetime(table["known_at"]) <= pd.Timestamp(day)]
    return known.sort_values("known_at", kind="stable").drop_duplicates(key, keep="last").set_index(key)


@pytest.mark.decided
def test_every_offer_has_reasons_and_keeps_every_guardrail(retailer: Retailer) -> None:
    """Checked over all rows from the silver tables and the settings, apart from the code that decides."""
    day = "2024-12-09"
    outcome = retailer.run(recommend.STAGE)
    table = retailer.table(outcome, "recommendations")
    policy = settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE).policy
    planned = table[table["planned_action"] != "none"].set_index("customer_id")
    assert len(planned) >= 10
    assert 0 < table["is_held_out"].sum() < len(planned)
    for codes in table["reason_codes"].str.split("|"):
        assert codes
        assert set(codes) <= set(REASONS)
    # Who has left, or is not in the features, is not in the table.
    gone = newest(retailer.silver("churn_events"), day)
    left = gone[gone["churn"].astype(bool) & (pd.to_datetime(gone["churn_date"]) <= pd.Timestamp(day))]
    assert not set(table["customer_id"]) & set(left.index)
    person = newest(retailer.silver("customers"), day).loc[planned.index]
    assert not person["is_vulnerable"].astype(bool).any()
    assert person["marketing_consent"].astype(bool).all()
    assert person.loc[planned["planned_channel"] == "phone", "phone_consent"].astype(bool).all()
    offers = retailer.silver("retention_offers")
    offers = offers[(offers["action"] != "none") & (pd.to_datetime(offers["offer_date"]) <= pd.Timestamp(day))]
    last = pd.to_datetime(offers.groupby("customer_id")["offer_date"].max()).reindex(planned.index)
    assert not ((pd.Timestamp(day) - last).dt.days < policy.guardrails.rest_days_after_offer).any()
    notes = retailer.silver("interactions")
    notes = notes[pd.to_datetime(notes["known_at"]) <= pd.Timestamp(day)]
    spoke = pd.to_datetime(notes.groupby("customer_id")["date"].max()).reindex(planned.index)
    assert not ((pd.Timestamp(day) - spoke).dt.days < policy.guardrails.rest_days_after_contact).any()
    terms = retailer.silver("contracts")
    terms = terms[
        (pd.to_datetime(terms["known_at"]) <= pd.Timestamp(day))
        & (pd.to_datetime(terms["contract_start_date"]) <= pd.Timestamp(day))
    ].sort_values(["contract_start_date", "known_at"])
    term = terms.drop_duplicates("customer_id", keep="last").set_index("customer_id").loc[planned.index]
    begin = planned["planned_window"].map({"immediate": 0, "30_60": 30, "60_90": 60})
    ahead = (pd.to_datetime(term["next_renewal_date"]) - pd.Timestamp(day)).dt.days - begin
    assert ahead.between(-policy.guardrails.days_after_renewal, policy.guardrails.days_before_renewal).all()
    age = (pd.Timestamp(day) - pd.to_datetime(term["contract_start_date"])).dt.days + begin
    assert (age >= policy.guardrails.min_term_age_days).all()
    share = planned["planned_action"].map(policy.discount_share)
    discount = share * planned["bill_month"]
    assert (planned["expected_margin_month"] > 0).all()
    assert (planned["expected_margin_month"] - discount > 0).all()
    assert (discount <= policy.guardrails.max_discount_eur_month).all()
    assert (planned["planned_margin_impact"] > 0).all()
    # Budget and capacities.
    limits = retailer.table(outcome, "recommendation_limits").set_index("limit")
    assert limits.loc["budget", "used"] <= 0.5 * len(table) + 1e-6
    assert (limits["used"] <= limits["bound"].fillna(float("inf")) + 1e-6).all()
    contacts = planned["planned_window"].value_counts()
    assert (contacts <= 0.05 * len(table)).all()
    run = retailer.tracker.client.get_run(outcome.manifests[0].run_id)
    assert run.data.metrics["offers"] == (table["action"] != "none").sum()
    assert run.data.tags["response"] == "learned"
    assert "## Why not" in run.data.tags["mlflow.note.content"]


@pytest.mark.decided
def test_the_same_inputs_give_the_same_bytes(retailer: Retailer) -> None:
    first = retailer.run(recommend.STAGE)
    again = retailer.run(recommend.STAGE)
    assert again.cached
    forced = retailer.run(recommend.STAGE, "force=true", "engine.threads=2")
    assert not forced.cached
    hashes = [{name: table.content_hash for name, table in one.manifests[0].tables.items()} for one in (first, forced)]
    assert hashes[0] == hashes[1]
    other = retailer.run(recommend.STAGE, "policy.contact_cost_eur.email=0.2")
    assert not other.cached


def limits_of(retailer: Retailer, outcome: Outcome) -> pd.DataFrame:
    return retailer.table(outcome, "recommendation_limits").set_index("limit")


@pytest.mark.decided
@pytest.mark.drill
def test_runs_of_a_month_share_its_budget_in_order_of_their_dates(retailer: Retailer) -> None:
    day, next_day, before = "2024-12-09", "2024-12-10", "2024-12-06"
    first = retailer.run(recommend.STAGE)
    whole, table = limits_of(retailer, first), retailer.table(first, "recommendations")
    assert (whole["committed"] == 0).all()
    assert whole["bound"].equals(whole["period_bound"])
    second = retailer.run(recommend.STAGE, f"run_date={next_day}")
    rest = limits_of(retailer, second)
    made = table[table["action"] != "none"].set_index("customer_id")
    # Whoever has left by the day that the window begins is not contacted.
    events = newest(retailer.silver("churn_events"), next_day)
    gone = pd.to_datetime(events["churn_date"].where(events["churn"].astype(bool))).reindex(made.index)
    begin = pd.Timestamp(day) + pd.to_timedelta(
        made["timing_window"].map({"immediate": 0, "30_60": 30, "60_90": 60}), "D"
    )
    counted = made[~(gone <= begin)]
    assert len(counted) >= 5
    assert rest.loc["budget", "committed"] == pytest.approx(counted["expected_spend"].sum(), abs=1e-3)
    for window in ("immediate", "30_60", "60_90"):
        assert rest.loc[f"window:{window}", "committed"] == (counted["timing_window"] == window).sum()
    assert rest["bound"].dropna().tolist() == pytest.approx(
        (rest["period_bound"] - rest["committed"]).dropna().tolist()
    )
    assert rest.loc["budget", "used"] <= rest.loc["budget", "bound"] + 1e-6
    assert set(rest["valid_until"]) == {pd.Timestamp("2024-12-31")}
    # Who was offered something is left alone, and who was held out stays so.
    later = retailer.table(second, "recommendations").set_index("customer_id")
    held = table.loc[table["is_held_out"], "customer_id"]
    for some in (made.index, held):
        assert (later.loc[later.index.intersection(some), "planned_action"] == "none").all()
    vetoes = retailer.table(second, "recommendation_vetoes")
    told = vetoes[vetoes["is_total"]].groupby("guardrail")["customer_id"].agg(set)
    assert set(later.index.intersection(held)) <= told["recently_held_out"]
    assert set(later.index.intersection(made.index)) <= told["recently_contacted"]
    # The first day is not decided anew because of the second, and forced comes out the same.
    assert retailer.run(recommend.STAGE).cached
    again = retailer.run(recommend.STAGE, "force=true")
    assert f"run `recommend` again for {next_day}" in again.headline
    assert limits_of(retailer, again).equals(whole)
    assert retailer.run(recommend.STAGE, f"run_date={next_day}").cached
    # A day before is decided as if the later ones were not there; they then have less.
    filled = retailer.run(recommend.STAGE, f"run_date={before}")
    assert (limits_of(retailer, filled)["committed"] == 0).all()
    assert f"again for {day}, {next_day}" in filled.headline
    late = retailer.run(recommend.STAGE)
    assert not late.cached
    assert limits_of(retailer, late).loc["budget", "committed"] > 0


@pytest.mark.drill
def test_simulate_replays_policies_by_the_truth(retailer: Retailer) -> None:
    outcome = retailer.run(simulate.STAGE)
    run = retailer.tracker.client.get_run(outcome.run_id)
    replayed = retailer.table(outcome, "replayed_policies").set_index("policy")
    assert {"nobody", "top_risk_medium", "tier_by_risk", "assumed", "learned", "oracle"} <= set(replayed.index)
    assert replayed.loc["oracle", "share"] == 1.0
    assert replayed.loc["nobody", "worth_eur"] == 0.0
    assert (replayed["worth_eur"] <= replayed.loc["oracle", "worth_eur"] + 1.0).all()
    metrics = run.data.metrics
    assert metrics["replay_share_of_oracle"] == replayed.loc["learned", "share"]
    assert metrics["replay_share_of_informed"] == replayed.loc["learned", "share_of_informed"]
    assert replayed.loc["informed", "share_of_informed"] == 1.0
    assert replayed.loc["informed", "worth_eur"] <= replayed.loc["oracle", "worth_eur"]
    for oracle in ("oracle", "informed"):
        assert {f"replay_share_of_{oracle}{bound}" for bound in ("_lo", "_hi")} <= set(metrics)
        for name in ("top_risk_medium", "tier_by_risk"):
            assert f"replay_share_of_{oracle}_{name}" in metrics
    groups = retailer.table(outcome, "simulated_groups")
    made = retailer.run(recommend.STAGE)
    assert made.cached  # simulate made it
    table = retailer.table(made, "recommendations")
    assert groups["customers"].sum() == len(table)
    assert groups["net_eur"].sum() == pytest.approx(table["planned_margin_impact"].sum(), abs=0.01)
    figures = {item.path for item in retailer.tracker.client.list_artifacts(outcome.run_id, "figures")}
    assert figures == {"figures/budget_curve.png", "figures/sensitivity.png", "figures/replay.png"}


@pytest.mark.decided
def test_the_effect_is_measured_once_the_world_has_gone_on(retailer: Retailer, followed: Path, tmp_path: Path) -> None:
    made = retailer.run(recommend.STAGE)
    with pytest.raises(ContractError, match="leaving is known until 2024-11-15 only"):
        retailer.run(measure.STAGE)
    table = retailer.table(made, "recommendations")
    retailer = copy_of(followed, tmp_path / "later")
    outcome = retailer.run(measure.STAGE, *later(retailer))
    settings = settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE, *later(retailer))
    assert hidden_settings(measure.STAGE, settings, retailer.store, ModelRegistry(retailer.tracker.client)) == ""
    told = retailer.table(outcome, "measured_effect")
    measured = told[told["scope"] == "run"].set_index("group")
    planned = table["planned_action"] != "none"
    assert measured.loc["all", "held_out"] == table["is_held_out"].sum()
    assert measured.loc["all", "offered"] == (planned & ~table["is_held_out"]).sum()
    events = newest(retailer.silver("churn_events"), "2025-05-10")
    day = pd.to_datetime(events["churn_date"]).where(events["churn"].astype(bool))
    gone = table["customer_id"].map((day > "2024-12-09") & (day <= "2025-03-09"))
    assert measured.loc["all", "held_out_left"] == gone[table["is_held_out"]].sum()
    assert measured.loc["all", "offered_left"] == gone[planned & ~table["is_held_out"]].sum()
    assert -0.5 < measured.loc["all", "true_effect"] < 0.1
    assert -0.5 < measured.loc["all", "expected_effect"] < 0
    assert "tell" in measured.loc["all", "verdict"]  # 700 customers are too few
    whole = measured.loc["all"]
    assert whole["smallest_effect"] > -whole["expected_effect"]
    assert whole["runs_to_decide"] > 0
    assert whole["margin_lo_eur"] < whole["margin_eur"] < whole["margin_hi_eur"]
    assert whole["expected_margin_eur"] == pytest.approx(table["expected_margin_impact"].sum())
    metrics = retailer.tracker.client.get_run(outcome.run_id).data.metrics
    assert metrics["measured_effect"] == whole["adjusted_effect"]
    assert metrics["together_runs"] == told.set_index(["scope", "group"]).loc[("together", "all"), "runs"] == 1


def test_what_is_missing_is_told(retailer: Retailer, tmp_path: Path, tracking: TrackingSettings) -> None:
    """No champion, no features, no recommendations: each message says what to run."""
    with pytest.raises(PublishError, match="no features are published at or before the run date 2024-01-05"):
        retailer.run(recommend.STAGE, "run_date=2024-01-05", "policy.response.kind=assumed")
    with pytest.raises(PublishError, match="Run `recommend -P run_date=2024-12-09` first"):
        retailer.run(measure.STAGE)
    empty = Retailer(retailer.root, tracking)
    with pytest.raises(PromotionError, match="there is no champion"):
        empty.run(recommend.STAGE, "policy.response.kind=assumed")


@pytest.mark.drill
def test_without_overlap_the_response_is_assumed_and_says_so(retailer: Retailer) -> None:
    outcome = retailer.run(recommend.STAGE, "policy.response.learned.min_effective_share=1.0")
    run = retailer.tracker.client.get_run(outcome.run_id)
    assert run.data.tags["response"] == "assumed"
    assert "100% are needed" in run.data.tags["fallback"]
    assert "**Response assumed**" in run.data.tags["mlflow.note.content"]
    state = json.loads(next((retailer.root / "gold").glob("response_model/**/*.json")).read_text())
    assert state["effects"] is None


@pytest.mark.decided
def test_the_terms_of_a_decision_are_published_beside_it(retailer: Retailer) -> None:
    outcome = retailer.run(recommend.STAGE)
    manifest = outcome.manifests[0]
    decided = retailer.table(outcome, "recommendations")
    standing = retailer.table(outcome, "decision_standing")
    assert standing["customer_id"].tolist() == decided["customer_id"].tolist()
    person = newest(retailer.silver("customers"), "2024-12-09").loc[standing["customer_id"]]
    for name in ("is_vulnerable", "marketing_consent", "phone_consent"):
        assert standing[name].astype("boolean").tolist() == person[name].astype("boolean").tolist()
    terms = Terms.load(retailer.store.files(manifest, TERMS)[0])
    assert terms.settings == settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE).policy
    assert (terms.basis.policy_version, terms.basis.run_date.isoformat()) == (
        decided["policy_version"].iloc[0],
        "2024-12-09",
    )
    assert set(decided["segment"]) <= {"", *terms.basis.segment_names}
    # What was learned comes back to the last bit.
    learned, _, _ = read_response(retailer.store, retailer.store.read(RESPONSE, made_by="response"))
    assert learned is not None
    assert terms.effects is not None
    rows = the_features(retailer).head(50)
    some, believed = slice(0, 50), assumed_of(terms.settings.response.assumed, np.full(50, "home", object))
    told, again = (one.respond(rows, believed)(some).accepted_ratio for one in (learned, terms.effects))
    assert np.array_equal(told, again)


def the_features(retailer: Retailer) -> pd.DataFrame:
    manifest = retailer.store.read(features_at(date(2024, 11, 30)), made_by="features")
    return pd.read_parquet(retailer.store.files(manifest, "customer_features_asof_date")[0])
