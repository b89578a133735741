"""The learned response on campaigns of known truth: found where it is, shrunk where little is known, and judged."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines._entry import load_settings
from spanishgas.config import PolicySettings
from spanishgas.policy.campaigns import CONTROL, CampaignFacts, FollowUps
from spanishgas.policy.candidates import HAZARDS, Candidates
from spanishgas.policy.decide import decide, value
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond, Response
from spanishgas.policy.effects import LEAST_RATIO, MOST_RATIO, Effects, doses, learn, reasons_against
from spanishgas.policy.report import winners_curse
from spanishgas.policy.response import assumed_of, scaled
from spanishgas.policy.response_report import Trust, assess

SETTINGS: PolicySettings = load_settings(()).policy
LEARNED = SETTINGS.response.learned.model_copy(update={"features": ("gap", "is_second_home")})
CHANCES = np.array([SETTINGS.response.assumed.acceptance[action] for action in ("small", "medium", "large")])


def believed(log_ratio: np.ndarray) -> Respond:
    """A belief that is the same for everybody: log hazard ratios, shape (actions, windows), and acceptances."""

    def respond(part: slice) -> Response:
        shape = (part.stop - part.start, *log_ratio.shape)
        ratio = np.broadcast_to(np.exp(log_ratio), shape)
        return Response(np.broadcast_to(CHANCES, shape), ratio, ratio)

    return respond


HOME = np.array(["home"], object)
ASSUMED = np.log(assumed_of(SETTINGS.response.assumed, HOME)(slice(0, 1)).mean_ratio)[0]
PRIOR, NO_PRIOR = believed(ASSUMED), believed(np.zeros((len(ACTIONS), len(WINDOWS))))
ROWS = 20_000
EVEN = (0.4, 0.2, 0.2, 0.2)

# Action, whether a second home, gap -> true hazard ratio.
Ratio = Callable[[np.ndarray, np.ndarray, np.ndarray], Any]


def by_action(action: np.ndarray, second: np.ndarray, gap: np.ndarray) -> Any:
    return np.array([0.95, 0.65, 0.45])[action]


def by_home(action: np.ndarray, second: np.ndarray, gap: np.ndarray) -> Any:
    """Contact drives the owners of second homes away and keeps the others."""
    return np.where(second, 1.6, 0.5)


def alike(action: np.ndarray, second: np.ndarray, gap: np.ndarray) -> Any:
    return 0.7


def nothing(action: np.ndarray, second: np.ndarray, gap: np.ndarray) -> Any:
    return 1.0


def campaigns(
    rows: int = ROWS,
    ratio: Ratio = by_action,
    *,
    seed: int = 1,
    chances: Callable[[np.ndarray], np.ndarray] | None = None,
    drive: float = 0.0,
    weighted: bool = True,
) -> FollowUps:
    """Past campaigns with a known truth; each customer stands once.

    Args:
        rows: How many.
        ratio: True hazard ratio of offers.
        seed: Seed of everything.
        chances: Gap -> propensities of none, small, medium, large; at random without.
        drive: How the log hazard depends on the gap, unknown to the expected hazard.
        weighted: Whether inverse propensities weigh the rows, of mean one within an action.
    """
    rng = np.random.default_rng(seed)
    gap, second = rng.normal(size=rows), rng.uniform(size=rows) < 0.3
    share = np.tile(EVEN, (rows, 1)) if chances is None else chances(gap)
    action = (rng.uniform(size=rows)[:, None] > np.cumsum(share, axis=1)).sum(axis=1).clip(0, 3) - 1
    expected = 0.12 * np.exp(0.5 * rng.normal(size=rows))
    true = np.where(action == CONTROL, 1.0, ratio(np.maximum(action, 0), second, gap))
    left = rng.uniform(size=rows) < 1 - np.exp(-expected * true * np.exp(drive * gap))
    weight = np.ones(rows)
    if weighted:
        inverse = 1 / share[np.arange(rows), action + 1]
        for place in range(CONTROL, len(ACTIONS)):
            some = action == place
            weight[some] = inverse[some] / inverse[some].mean()
    accepts = rng.uniform(size=rows) < np.where(second, 0.15, 0.25 + 0.15 * np.maximum(action, 0))
    return FollowUps(
        customers=np.array([f"C{number:05d}" for number in range(rows)], object),
        action=action,
        window=rng.integers(0, len(WINDOWS), rows),
        accepted=np.where(action == CONTROL, np.nan, accepts.astype(float)),
        weight=weight,
        expected=expected,
        risk=expected,
        left=left.astype(float),
        features=pd.DataFrame({"gap": gap, "is_second_home": second}),
    )


def by_gap(gap: np.ndarray) -> np.ndarray:
    """Propensities of a campaign that goes to those with a wide gap."""
    some = np.where(gap > 0, 0.8, 0.25)[:, None]
    return np.hstack([1 - some, some / 3, some / 3, some / 3])


def ratios(effects: Effects, rows: FollowUps, prior: Respond = PRIOR) -> Floats:
    """Predicted hazard ratios, shape (customers, actions, windows)."""
    return effects.respond(rows.features, prior)(slice(0, len(rows))).refused_ratio


def candidates(features: pd.DataFrame, hazard: float = 0.05) -> Candidates:
    """Customers with these features whom every guardrail but the offer's value leaves alone."""
    count = len(features)
    table = {
        "customer_id": [f"C{number:05d}" for number in range(count)],
        "kind": np.where(features["is_second_home"], "second_home", "home"),
        "segment_id": "",
        "risk": 1 - (1 - hazard) ** 3,
        **dict.fromkeys(HAZARDS, hazard),
        "margin_eur_month": 25.0,
        "bill_eur_month": 60.0,
        "is_vulnerable": 0.0,
        "marketing_consent": 1.0,
        "phone_consent": 1.0,
        "days_to_renewal": 45.0,
        "term_age_days": 320.0,
    }
    return Candidates.of(pd.DataFrame(table))


def open_budget(settings: PolicySettings = SETTINGS) -> PolicySettings:
    """The policy without limits to what may be spent or done."""
    free = settings.budget.model_copy(update={"eur": 1e9, "windows": (None, None, None), "channels": {}})
    return settings.model_copy(update={"budget": free})


@lru_cache
def learned_by_home() -> tuple[FollowUps, Effects]:
    rows = campaigns(ratio=by_home)
    return rows, learn(rows, LEARNED, PRIOR)


@lru_cache
def assessed(ratio: Ratio, prior: bool = False) -> tuple[FollowUps, Trust]:
    rows = campaigns(ratio=ratio)
    return rows, assess(rows, LEARNED, PRIOR if prior else NO_PRIOR)


def test_the_effect_of_every_action_is_found_and_what_was_assumed_forgotten() -> None:
    rows = campaigns()
    for prior in (PRIOR, NO_PRIOR):
        found = ratios(learn(rows, LEARNED, prior), rows, prior).mean(axis=(0, 2))
        assert found == pytest.approx([0.95, 0.65, 0.45], abs=0.12)
        assert found[0] > found[1] > found[2]


def test_who_is_driven_away_is_told_from_who_is_kept() -> None:
    rows, effects = learned_by_home()
    second = rows.features["is_second_home"].to_numpy()
    told = ratios(effects, rows)
    assert told[second].mean(axis=0).min() > 1.15
    assert told[~second].mean(axis=0).max() < 0.75
    assert told[second].mean() == pytest.approx(1.6, abs=0.25)
    assert told[~second].mean() == pytest.approx(0.5, abs=0.12)


@pytest.mark.skipif(find_spec("econml") is None, reason="the extra `causal` is not installed")
def test_another_learner_tells_them_apart_too_and_survives_json() -> None:
    rows = campaigns(rows=8000, ratio=by_home)
    effects = learn(rows, LEARNED.model_copy(update={"learner": "dr_learner"}), PRIOR)
    second = rows.features["is_second_home"].to_numpy()
    told = ratios(Effects.restore(json.loads(json.dumps(effects.state))), rows, PRIOR)
    assert told[second].mean() > 1.2
    assert told[~second].mean() < 0.75
    assert effects.facts["learner"] == "dr_learner"
    assert 0 < effects.facts["line_keeps"] <= 1


def test_customers_who_react_badly_to_contact_are_left_alone_and_others_are_not() -> None:
    _, effects = learned_by_home()
    rng = np.random.default_rng(5)
    features = pd.DataFrame({"gap": rng.normal(size=400), "is_second_home": np.arange(400) % 2 == 0})
    people = candidates(features)
    settings = open_budget()
    decided = decide(people, effects.respond(features, PRIOR), settings, "K")
    second = features["is_second_home"].to_numpy()
    assert (decided.plan.action[second] == -1).all()
    assert (decided.plan.action[~second] != -1).mean() > 0.95
    # The guardrail of value vetoes every option of theirs, and no other guardrail does.
    total = decided.allowed.total
    assert (decided.allowed.vetoes["value"][second] == total).all()
    assert not any(count.any() for name, count in decided.allowed.vetoes.items() if name != "value")
    assert (decided.values.value[second] < 0).all()


def test_acceptance_is_learned_by_action_and_kind_of_customer() -> None:
    rows, effects = learned_by_home()
    second = rows.features["is_second_home"].to_numpy()
    acceptance = effects.respond(rows.features, PRIOR)(slice(0, len(rows))).acceptance
    assert acceptance[~second].mean(axis=(0, 2)) == pytest.approx([0.25, 0.40, 0.55], abs=0.08)
    assert acceptance[second].mean() == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("accepted", [0.0, 1.0])
def test_acceptance_that_never_varies_is_nearly_taken_as_it_is(accepted: float) -> None:
    rows = campaigns(2000)
    rows.accepted[rows.action != CONTROL] = accepted
    told = learn(rows, LEARNED, PRIOR).respond(rows.features, PRIOR)(slice(0, 5)).acceptance
    assert np.abs(told - accepted).max() < 0.12


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_acceptance_that_is_not_told_stays_the_assumed_one() -> None:
    rows = campaigns(2000)
    rows.accepted[:] = np.nan
    told = learn(rows, LEARNED, PRIOR).respond(rows.features, PRIOR)(slice(0, 5)).acceptance
    assert told == pytest.approx(PRIOR(slice(0, 5)).acceptance)


@pytest.mark.parametrize(
    ("weighted", "features"),
    [(True, ()), (False, ("gap",)), (True, ("gap",))],
    ids=["propensities", "adjustment", "both"],
)
def test_targeting_those_at_risk_does_not_pass_for_an_effect(weighted: bool, features: tuple[str, ...]) -> None:
    rows = campaigns(ratio=alike, chances=by_gap, drive=0.7, weighted=weighted, seed=2)
    treated = rows.action != CONTROL
    observed = [rows.left[some].sum() / rows.expected[some].sum() for some in (treated, ~treated)]
    assert observed[0] / observed[1] > 1.15
    settings = LEARNED.model_copy(update={"features": features})
    found = ratios(learn(rows, settings, NO_PRIOR), rows, NO_PRIOR).mean(axis=(0, 2))
    assert found == pytest.approx([0.7, 0.7, 0.7], abs=0.12)


def test_without_propensities_and_features_targeting_does_pass_for_an_effect() -> None:
    """What the test before corrects is there to be corrected."""
    rows = campaigns(ratio=alike, chances=by_gap, drive=0.7, weighted=False, seed=2)
    settings = LEARNED.model_copy(update={"features": ()})
    assert ratios(learn(rows, settings, NO_PRIOR), rows, NO_PRIOR).mean(axis=(0, 2)).min() > 1.0


def test_a_control_risk_that_is_off_everywhere_does_not_pass_for_an_effect() -> None:
    rows = campaigns()
    wrong = FollowUps(**{**vars(rows), "expected": 2.5 * rows.expected, "risk": 2.5 * rows.risk})
    found = ratios(learn(wrong, LEARNED, PRIOR), wrong).mean(axis=(0, 2))
    assert found == pytest.approx([0.95, 0.65, 0.45], abs=0.12)


def test_that_leavers_are_followed_for_less_time_does_not_pass_for_a_risk_that_is_upside_down() -> None:
    """Who leaves is followed until then: the exposure is small because of the outcome, and must not explain it."""
    rng = np.random.default_rng(5)
    rows = campaigns(30_000, alike)
    true = np.where(rows.action == CONTROL, 1.0, 0.7)
    spent = rng.exponential(size=len(rows)) / true
    cut = FollowUps(
        **{**vars(rows), "expected": np.minimum(spent, rows.risk), "left": (spent < rows.risk).astype(float)}
    )
    learned = learn(cut, LEARNED, NO_PRIOR)
    assert learned.leaving["risk"] == pytest.approx([0.0], abs=0.12)
    treated = cut.action != CONTROL
    rate = [cut.left[some].sum() / cut.expected[some].sum() for some in (treated, ~treated)]
    assert ratios(learned, cut, NO_PRIOR).mean() == pytest.approx(rate[0] / rate[1], abs=0.04)


def test_without_campaigns_the_response_is_the_assumed_one() -> None:
    rows = campaigns(2000, by_home)
    told = learn(rows.take(np.arange(0)), LEARNED, PRIOR).respond(rows.features, PRIOR)(slice(0, len(rows)))
    wanted = PRIOR(slice(0, len(rows)))
    assert told.refused_ratio == pytest.approx(wanted.refused_ratio)
    assert told.acceptance == pytest.approx(wanted.acceptance)


def test_more_who_accept_than_believed_are_more_who_are_kept() -> None:
    """Campaigns that tell who accepts and nothing of leaving: nobody was at risk for long."""
    rows = campaigns(4000)
    quiet = FollowUps(
        **{**vars(rows), "expected": rows.expected * 1e-6, "risk": rows.risk * 1e-6, "left": 0 * rows.left}
    )
    quiet.accepted[quiet.action != CONTROL] = (
        np.random.default_rng(0).uniform(size=(quiet.action != CONTROL).sum()) < 0.9
    )
    prior = assumed_of(SETTINGS.response.assumed, np.full(len(rows), "home", object))
    told = learn(quiet, LEARNED, prior).respond(rows.features, prior)(slice(0, 50))
    believed_of = prior(slice(0, 50))
    assert told.acceptance.mean() == pytest.approx(0.9, abs=0.05)
    wanted = Response(told.acceptance, believed_of.accepted_ratio, believed_of.refused_ratio).mean_ratio
    assert told.refused_ratio == pytest.approx(wanted, rel=0.01)
    assert (told.refused_ratio < believed_of.mean_ratio - 0.05).all()


def test_what_is_learned_of_leaving_is_added_at_the_acceptance_that_was_learned() -> None:
    """All accept, and offers do exactly what is believed of those who accept: nothing is to be added."""
    factor = np.array([SETTINGS.response.assumed.accepted_hazard_ratio[name] for name in ("small", "medium", "large")])
    rows = campaigns(ratio=lambda action, *_: 1.02 * factor[action])
    rows.accepted[rows.action != CONTROL] = 1.0
    prior = assumed_of(SETTINGS.response.assumed, np.full(len(rows), "home", object))
    effects = learn(rows, LEARNED, prior)
    assert abs(float(effects.leaving["dose"][0])) < 0.08
    found = effects.respond(rows.features, prior)(slice(0, len(rows))).refused_ratio.mean(axis=(0, 2))
    assert found == pytest.approx(1.02 * factor, abs=0.1)


def test_the_belief_is_each_customers_own() -> None:
    rows = campaigns(400)
    kind = np.where(rows.features["is_second_home"], "second_home", "home").astype(object)
    prior = assumed_of(SETTINGS.response.assumed, kind)
    told = learn(rows.take(np.arange(0)), LEARNED, prior).respond(rows.features, prior)(slice(0, 400))
    second = rows.features["is_second_home"].to_numpy()
    assert told.acceptance[second] == pytest.approx(np.broadcast_to(0.7 * CHANCES, told.acceptance[second].shape))
    assert told.acceptance[~second] == pytest.approx(np.broadcast_to(CHANCES, told.acceptance[~second].shape))


def test_with_little_data_what_is_learned_lies_nearer_to_what_was_assumed_than_what_was_seen() -> None:
    """Six small campaigns in which nothing but what is assumed is true."""
    learned, seen, spread = [], [], []
    prior = believed(np.full(ASSUMED.shape, np.log(0.8)))
    for seed in range(6):
        rows = campaigns(700, lambda *_: 0.8, seed=seed)
        told = np.log(ratios(learn(rows, LEARNED, prior), rows, prior)) - np.log(0.8)
        learned.append(told.mean(axis=(0, 2)))
        spread.append(told.std(axis=0).mean())
        rates = [
            rows.left[rows.action == place].sum() / rows.expected[rows.action == place].sum()
            for place in range(CONTROL, len(ACTIONS))
        ]
        seen.append(np.log(np.array(rates[1:]) / rates[0] / 0.8))
    away, raw = np.sqrt(np.mean(np.square(learned))), np.sqrt(np.mean(np.square(seen)))
    assert away < 0.5 * raw
    assert away < 0.12
    # That customers differ is believed even less.
    assert np.mean(spread) < 0.08


@pytest.mark.parametrize(
    ("rows", "seeds", "least", "most"), [(1_000, range(1, 5), 0.5, 1.1), (20_000, (1, 2), 0.0, 0.4)]
)
def test_six_hundred_offers_hardly_overrule_an_assumption_that_is_wrong_and_twelve_thousand_do(
    rows: int, seeds: Iterable[int], least: float, most: float
) -> None:
    """Offers do nothing, whatever is assumed: the share of what is assumed that is still believed."""
    believed_still = []
    for seed in seeds:
        some = campaigns(rows, nothing, seed=seed)
        some = replace(some, accepted=np.full(len(some), np.nan))
        believed_still.append(np.log(ratios(learn(some, LEARNED, PRIOR), some)).mean() / ASSUMED.mean())
    assert least < np.mean(believed_still) < most


def test_ratios_stay_within_sense_far_from_what_was_seen() -> None:
    _, effects = learned_by_home()
    far = pd.DataFrame({"gap": [1e9, -1e9, np.nan], "is_second_home": [True, False, None]})
    near = pd.DataFrame({"gap": [10.0, -10.0, np.nan], "is_second_home": [True, False, None]})
    told = effects.respond(far, PRIOR)(slice(0, 3)).refused_ratio
    assert (told == effects.respond(near, PRIOR)(slice(0, 3)).refused_ratio).all()
    assert np.isfinite(told).all()
    assert told.min() >= LEAST_RATIO
    assert told.max() <= MOST_RATIO


def test_a_response_survives_json_bit_by_bit_and_is_that_of_the_customers_asked_for() -> None:
    rows, effects = learned_by_home()
    words = rows.features.assign(sales_channel=np.where(rows.features["gap"] > 0, "web", None))
    settings = LEARNED.model_copy(update={"features": ("gap", "is_second_home", "sales_channel")})
    with_words = learn(FollowUps(**{**vars(rows), "features": words}), settings, PRIOR)
    for one in (effects, with_words):
        back = Effects.restore(json.loads(json.dumps(one.state)))
        some, whole = back.respond(words, PRIOR)(slice(100, 150)), one.respond(words, PRIOR)(slice(0, 200))
        assert (some.refused_ratio == whole.refused_ratio[100:150]).all()
        assert (some.accepted_ratio == whole.accepted_ratio[100:150]).all()
        assert (some.acceptance == whole.acceptance[100:150]).all()
        assert back.state == one.state
    assert with_words.pieces.words == {"sales_channel": ("web",)}


def test_a_second_run_changes_nothing() -> None:
    rows = campaigns(2000)
    assert learn(rows, LEARNED, PRIOR).state == learn(rows, LEARNED, PRIOR).state


def facts(**changes: Any) -> CampaignFacts:
    shares = {"none": 0.9, "small": 0.9, "medium": 0.9, "large": 0.9}
    told = {"offers": 2000, "controls": 500, "leavers": 30, "control_leavers": 30, "effective_share": shares}
    return CampaignFacts(**{**told, "without_features": 0, "not_mature": 0, "without_propensity": 0, **changes})


def test_any_offer_with_overlap_speaks_for_learning() -> None:
    assert reasons_against(facts(), LEARNED) == []
    few = {"none": 0.9, "small": 0.9, "medium": 0.0, "large": 0.0}
    assert reasons_against(facts(offers=1, leavers=0, control_leavers=0, effective_share=few), LEARNED) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"offers": 0}, "no offer can be followed"),
        (
            {"effective_share": {"none": 0.9, "small": 0.9, "medium": 0.1, "large": 0.9}},
            "no overlap: once weighted, the rows with action medium are worth 10% of their number, 30% are needed",
        ),
    ],
)
def test_too_little_is_told(changes: dict[str, Any], reason: str) -> None:
    assert reasons_against(facts(**changes), LEARNED) == [reason]


def test_calibration_finds_one_effect_in_every_fifth() -> None:
    rows, trust = assessed(alike, prior=True)
    table = trust.calibration
    treated = rows.action != CONTROL
    assert table["fifth"].tolist() == [1, 2, 3, 4, 5]
    assert (table["offers"].sum(), table["leavers"].sum()) == (treated.sum(), rows.left[treated].sum())
    assert ((table["lo"] < 0.7) & (table["hi"] > 0.7)).sum() >= 4
    assert ((table["lo"] < table["observed_ratio"]) & (table["observed_ratio"] < table["hi"])).all()
    assert trust.metrics["response_observed_ratio"] == pytest.approx(0.7, abs=0.05)
    assert trust.metrics["response_predicted_ratio"] == pytest.approx(0.7, abs=0.07)


def test_calibration_tells_those_kept_from_those_driven_away() -> None:
    rows, trust = assessed(by_home)
    table = trust.calibration
    lowest, highest = table.iloc[0], table.iloc[-1]
    assert lowest["lo"] < 0.5 < lowest["hi"]
    assert highest["lo"] < 1.6 < highest["hi"]
    assert lowest["hi"] < highest["lo"]
    assert table["predicted_ratio"].is_monotonic_increasing
    fits = (table["lo"] < table["predicted_ratio"]) & (table["predicted_ratio"] < table["hi"])
    assert fits.sum() >= 4
    # Whether a prediction fits is judged by customers that it was not learned from.
    halves = [half.facts["rows"] for half in trust.halves]
    assert sum(halves) == len(rows)
    assert min(halves) > 0.45 * len(rows)


def test_the_ratio_of_each_window_is_taken_against_its_own_controls() -> None:
    """Later windows leave twice as often as expected, offered or not, and get more of the offers."""
    rng = np.random.default_rng(3)
    count = 30_000
    window = rng.integers(0, 3, count)
    treated = rng.uniform(size=count) < np.where(window == 2, 0.8, 0.2)
    mean = 0.1 * np.where(window == 2, 2.0, 1.0) * np.where(treated, 0.7, 1.0)
    rows = FollowUps(
        customers=np.array([f"C{number}" for number in range(count)], object),
        action=np.where(treated, rng.integers(0, 3, count), CONTROL),
        window=window,
        accepted=np.full(count, np.nan),
        weight=np.ones(count),
        expected=np.full(count, 0.1),
        risk=np.full(count, 0.1),
        left=(rng.uniform(size=count) < 1 - np.exp(-mean)).astype(float),
        features=pd.DataFrame({"gap": rng.normal(size=count)}),
    )
    quick = LEARNED.model_copy(update={"features": ("gap",)})
    assert assess(rows, quick, NO_PRIOR).metrics["response_observed_ratio"] == pytest.approx(0.7, abs=0.06)


def test_a_fifth_that_no_offer_falls_into_is_left_out() -> None:
    """Customers who are all alike: each half of them learns one effect for everybody."""
    rows = campaigns(rows=2000)
    alike = replace(rows, features=pd.DataFrame({"gap": np.zeros(len(rows.action))}))
    table = assess(alike, LEARNED.model_copy(update={"features": ("gap",)}), NO_PRIOR).calibration
    assert table["predicted_ratio"].notna().all()
    assert len(table) == 2
    assert table["offers"].min() > 0
    assert table["offers"].sum() == (rows.action != CONTROL).sum()


def curse_of(trust: Trust) -> float:
    """How much choosing flatters among customers like those of the campaigns."""
    rng = np.random.default_rng(11)
    features = pd.DataFrame({"gap": rng.normal(size=600), "is_second_home": rng.uniform(size=600) < 0.3})
    people = candidates(features)
    people.numbers["margin_eur_month"][:] = rng.lognormal(3.0, 0.7, len(people))
    tight = SETTINGS.budget.model_copy(update={"eur": 400.0, "windows": (None, None, None), "channels": {}})
    settings = SETTINGS.model_copy(update={"budget": tight})
    own: list[Respond] = [half.respond(features, PRIOR) for half in trust.halves]
    decisions = decide(people, own[0], settings, "K")
    return winners_curse(decisions, own, settings)


@pytest.mark.drill
def test_choosing_flatters_where_differences_are_luck_and_hardly_where_they_are_not_or_none_are_told() -> None:
    assert 0.9 < curse_of(assessed(by_home)[1]) < 1.25
    trust = assessed(nothing)[1]
    assert 0.9 < curse_of(trust) < 1.1
    rng = np.random.default_rng(5)

    def lucky(half: Effects) -> Effects:
        told = half.leaving | {"customer": rng.normal(0.0, 0.3, len(half.leaving["customer"]))}
        return replace(half, leaving=told)

    assert curse_of(replace(trust, halves=(lucky(trust.halves[0]), lucky(trust.halves[1])))) > 1.2


def test_scaling_the_acceptance_scales_how_far_a_learned_ratio_lies_from_no_effect() -> None:
    rows, effects = learned_by_home()
    respond = effects.respond(rows.features, PRIOR)
    part = slice(0, 50)
    before, same, half = respond(part), scaled(respond, 1.0)(part), scaled(respond, 0.5)(part)
    assert (same.refused_ratio == before.refused_ratio).all()
    assert (same.acceptance == before.acceptance).all()
    assert np.log(half.refused_ratio) == pytest.approx(0.5 * np.log(before.refused_ratio))
    assert half.acceptance == pytest.approx(0.5 * before.acceptance)
    people = candidates(rows.features.iloc[:50])
    none = value(people, scaled(respond, 0.0), SETTINGS)
    assert none.value == pytest.approx(np.zeros_like(none.value), abs=1e-4)


def test_the_dose_follows_what_is_assumed() -> None:
    assert doses(ASSUMED).mean() == pytest.approx(1.0)
    assert doses(ASSUMED) == pytest.approx(np.abs(ASSUMED) / np.abs(ASSUMED).mean())
    assert doses(np.zeros_like(ASSUMED))[:, 0].tolist() == [0.5, 1.0, 1.5]


def test_what_is_published_as_json_responds_as_what_was_learned() -> None:
    """Keys are sorted in the file; each coefficient must still meet its own feature."""
    rows = campaigns(6000, by_home)
    words = np.where(rows.features["gap"] > 0, "shop", "web")
    features = pd.DataFrame(
        {"zone": rows.features["gap"] ** 2, "word": words, "gap": rows.features["gap"], "another": words[::-1]}
    )
    told = FollowUps(**{**vars(rows), "features": features})
    settings = LEARNED.model_copy(update={"features": tuple(features.columns)})
    learned = learn(told, settings, PRIOR)
    again = Effects.restore(json.loads(json.dumps(learned.state, sort_keys=True)))
    before, after = (one.respond(features, PRIOR)(slice(0, 500)) for one in (learned, again))
    assert before.accepted_ratio.std() > 0.01
    assert np.array_equal(before.accepted_ratio, after.accepted_ratio)
    assert np.array_equal(before.acceptance, after.acceptance)
