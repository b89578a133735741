"""Reasons: every feature has a cause, the strongest causes are told first, and codes stay what they are."""

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import ExtraColumn
from spanishgas.features import FAMILIES, declared
from spanishgas.policy.guardrails import GUARDRAILS
from spanishgas.policy.reasons import CAUSES, DECISIONS, REASONS, cause_of, causes_of_risk, joined, sentences

EXTRAS = {"x": ExtraColumn(column="x", type="float", description="X.", known_at="static")}
# What other systems store. A code that is renamed or dropped breaks them: add codes, and leave these.
CODES = (
    "price_above_market",
    "price_changed",
    "contract_renewal",
    "short_tenure",
    "product_change",
    "unresolved_matter",
    "complaint",
    "spoke_of_leaving",
    "asked_about_money",
    "tone",
    "contact_pattern",
    "consumption_changed",
    "consumption_habits",
    "kind_of_supply",
    "sales_channel",
    "competition",
    "margin_history",
    "past_offers",
    "own_data",
    "offer_pays",
    "better_elsewhere",
    "held_out",
    "timed_by_contract",
    "has_left",
    "not_priced",
    "ordinary_risk",
    "margin_before",
    "margin_after",
    "value",
    "vulnerable",
    "consent",
    "recently_contacted",
    "recently_held_out",
    "discount_cap",
    "contract_window",
)


def test_codes_are_stable() -> None:
    assert tuple(REASONS) == CODES


def test_codes_are_unique_and_joinable() -> None:
    every = [one.code for one in (*CAUSES, *DECISIONS)] + [one.name for one in GUARDRAILS]
    assert sorted(every) == sorted(set(every))
    assert all(code == one.code and code.isidentifier() for code, one in REASONS.items())


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_has_a_sentence_of_its_own_in_both_languages(code: str) -> None:
    reason = REASONS[code]
    for text in (reason.en, reason.es):
        assert text == text.strip()
        assert text.endswith(".")
        assert len(text) > 10
        # Sentences stand in Markdown tables and CSV files.
        assert not set("|\n;") & set(text)
    assert reason.en != reason.es
    assert sum(other.en == reason.en or other.es == reason.es for other in REASONS.values()) == 1


def test_every_declared_feature_has_a_cause() -> None:
    features = [one.name for one in declared([family.name for family in FAMILIES], EXTRAS)]
    assert "extra_x" in features
    found = {name: cause_of(name) for name in features}
    assert set(found.values()) == {cause.code for cause in CAUSES}


@pytest.mark.parametrize(
    ("feature", "cause"),
    [
        ("price_over_peers", "price_above_market"),
        ("price_energy_eur_kwh", "price_above_market"),
        ("price_rise_90d", "price_changed"),
        ("price_age_days", "price_changed"),
        ("days_to_renewal", "contract_renewal"),
        ("tenure_days", "short_tenure"),
        ("days_since_product_change", "product_change"),
        ("interactions_unresolved_90d", "unresolved_matter"),
        ("interactions_complaint_365d", "complaint"),
        ("interactions_cancellation_365d", "spoke_of_leaving"),
        ("interactions_billing_365d", "asked_about_money"),
        ("sentiment_last", "tone"),
        ("interactions_90d", "contact_pattern"),
        ("elec_volatility_90d", "consumption_changed"),
        ("elec_kwh_365d", "consumption_habits"),
        ("off_peak_share_90d", "consumption_habits"),
        ("is_vulnerable", "kind_of_supply"),
        ("phone_consent", "kind_of_supply"),
        ("sales_channel", "sales_channel"),
        ("market_elec_cost_change_90d", "competition"),
        ("gas_margin_eur_month_12m", "margin_history"),
        ("days_since_offer", "past_offers"),
        ("extra_x", "own_data"),
    ],
)
def test_features_belong_to_what_a_person_would_call_the_cause(feature: str, cause: str) -> None:
    assert cause_of(feature) == cause


def test_a_feature_that_no_cause_stands_for_is_told() -> None:
    with pytest.raises(KeyError, match="phase_of_the_moon"):
        cause_of("phase_of_the_moon")


def test_causes_are_sums_of_their_features_the_strongest_first() -> None:
    """Added per cause: the price's two features, the two of complaints, tone, tenure and the renewal."""
    contributions = pd.DataFrame(
        {
            "price_over_peers": [0.3, 0.5, 0.0, -0.2, 0.02],
            "interactions_complaint_90d": [0.2, 0.0, 0.0, -0.1, 0.0],
            "price_energy_eur_kwh": [0.1, -0.6, 0.0, 0.1, -0.01],
            "interactions_complaint_365d": [0.3, 0.0, 0.01, 0.0, 0.0],
            "sentiment_last": [0.45, 0.1, 0.0, -0.3, 0.011],
            "tenure_days": [0.2, 0.3, 0.0, 0.0, 0.0],
            "days_to_renewal": [0.1, 0.2, -1.0, 0.0, 0.009],
        }
    )
    wanted = [
        # Complaint 0.5, tone 0.45, price 0.4; then tenure 0.2 and renewal 0.1, which are one too many.
        ("complaint", "tone", "price_above_market"),
        # Tenure 0.3, renewal 0.2, tone 0.1; the price lowers the risk by 0.1 altogether.
        ("short_tenure", "contract_renewal", "tone"),
        # Nothing above 0.01 is left beside what lowers.
        (),
        (),
        # Tone 0.011; price 0.01 and renewal 0.009 are not worth telling.
        ("tone",),
    ]
    assert causes_of_risk(contributions).tolist() == wanted


def test_the_order_of_features_and_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    names = [one.name for one in declared([family.name for family in FAMILIES], EXTRAS)]
    # Multiples of a power of two: their sums are exact in any order.
    table = pd.DataFrame(rng.integers(-64, 64, (50, len(names))) / 64, columns=names)
    found = causes_of_risk(table)
    shuffled = table[list(rng.permutation(names))].iloc[::-1]
    assert causes_of_risk(shuffled)[::-1].tolist() == found.tolist()
    assert {len(codes) for codes in found} == {3}


def test_nobody_and_nothing_have_no_causes() -> None:
    assert causes_of_risk(pd.DataFrame({"tenure_days": np.zeros(0)})).tolist() == []
    assert causes_of_risk(pd.DataFrame({"tenure_days": [0.0], "sentiment_last": [0.0]})).tolist() == [()]


def test_codes_become_one_text_and_sentences() -> None:
    codes = joined(["complaint", "offer_pays", "complaint"])
    assert codes == "complaint|offer_pays"
    assert sentences(codes, "en") == ["Has complained.", "The offer is expected to keep more margin than it costs."]
    assert sentences(codes, "es") == [
        "Ha presentado quejas.",
        "Se espera que la oferta conserve más margen de lo que cuesta.",
    ]
    assert sentences("", "en") == []
    with pytest.raises(KeyError):
        sentences("complaint|nonsense", "en")
