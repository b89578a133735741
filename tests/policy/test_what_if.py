"""What-ifs: what is supposed, and nothing else, differs from what is decided."""

import numpy as np
import pytest

from spanishgas.policy.decide import guard, value
from spanishgas.policy.economics import ACTIONS, Response
from spanishgas.policy.response import assumed
from spanishgas.policy.what_if import WhatIf, at_acceptance, at_discount, suppose
from tests.policy.worlds import changed, customers, delivered

SHARES = delivered().discounts


def told(**changes: object) -> Response:
    one = customers(changes)
    return assumed(delivered().response.assumed, one)(slice(0, 1))


@pytest.mark.parametrize("action", range(3))
def test_a_discount_of_the_policy_is_answered_as_the_policy_values_it(action: int) -> None:
    one, settings = customers({}), delivered()
    respond = assumed(settings.response.assumed, one)
    values = value(one, respond, settings)
    cheapest = settings.contact_costs[0]
    worth = values.value[0, action] - values.reached[0] * cheapest
    found = suppose(one, respond, settings, WhatIf(discount=SHARES[action]))
    assert found.action == "own"
    assert found.vetoes == ()
    assert found.margin_impact == pytest.approx(float(worth.max()), rel=1e-5)
    window = int(worth.argmax())
    assert found.window == ("immediate", "30_60", "60_90")[window]
    assert found.acceptance == pytest.approx(float(respond(slice(0, 1)).acceptance[0, action, window]))


def test_without_a_discount_the_best_of_the_policys_offers_is_told() -> None:
    one, settings = customers({}), delivered()
    respond = assumed(settings.response.assumed, one)
    certain = suppose(one, respond, settings, WhatIf(acceptance=1.0))
    never = suppose(one, respond, settings, WhatIf(acceptance=0.0))
    assert certain.action in ACTIONS
    assert (certain.acceptance, never.acceptance) == (1.0, 0.0)
    # An offer that nobody accepts costs its contact, and what the contact does.
    assert never.margin_impact < 0 < certain.margin_impact
    assert never.vetoes == ("value",)


def test_between_two_offers_the_response_lies_between_theirs() -> None:
    response = told()
    middle = at_discount(response, SHARES, (SHARES[0] + SHARES[1]) / 2)
    for name in ("acceptance", "accepted_ratio", "refused_ratio"):
        small, medium = (getattr(response, name)[0, place] for place in (0, 1))
        found = getattr(middle, name)[0, 0]
        assert (found >= np.minimum(small, medium) - 1e-12).all()
        assert (found <= np.maximum(small, medium) + 1e-12).all()
    assert (at_discount(response, SHARES, 0.0).acceptance == 0).all()
    beyond = at_discount(response, SHARES, 0.9)
    np.testing.assert_allclose(beyond.acceptance[0, 0], response.acceptance[0, 2])


def test_a_mean_response_moves_with_the_acceptance() -> None:
    ratio = np.full((1, 3, 3), 0.8)
    mean = Response(np.full((1, 3, 3), 0.4), ratio, ratio)
    doubled = at_acceptance(mean, 0.8)
    np.testing.assert_allclose(doubled.accepted_ratio, 0.8**2)
    np.testing.assert_allclose(at_acceptance(mean, 0.0).accepted_ratio, 1.0)
    apart = told()
    assert np.array_equal(at_acceptance(apart, 0.9).accepted_ratio, apart.accepted_ratio)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"is_vulnerable": 1.0}, {"vulnerable"}),
        ({"marketing_consent": 0.0}, {"consent"}),
        ({"days_since_contact": 1.0}, {"recently_contacted"}),
        ({"is_vulnerable": 1.0, "marketing_consent": 0.0}, {"vulnerable", "consent"}),
        # The later windows are outside the contract's, which says nothing of the one that is told.
        ({"days_to_renewal": -10.0, "marketing_consent": 0.0}, {"consent"}),
    ],
)
def test_what_forbids_the_offer_is_told(change: dict[str, object], wanted: set[str]) -> None:
    one, settings = customers(change), delivered()
    found = suppose(one, assumed(settings.response.assumed, one), settings, WhatIf(discount=0.05))
    assert set(found.vetoes) == wanted
    assert found.margin_impact > 0


def test_a_discount_above_the_cap_is_vetoed_whatever_it_earns() -> None:
    one = customers({})
    settings = changed(guardrails={"max_discount_share": 0.05})
    respond = assumed(settings.response.assumed, one)
    assert "discount_cap" in suppose(one, respond, settings, WhatIf(discount=0.06)).vetoes
    assert suppose(one, respond, settings, WhatIf(discount=0.05)).vetoes == ()


def test_an_unknown_margin_leaves_the_impact_unknown() -> None:
    one, settings = customers({"margin_eur_month": np.nan}), delivered()
    found = suppose(one, assumed(settings.response.assumed, one), settings, WhatIf(discount=0.05))
    assert np.isnan(found.margin_impact)
    assert "margin_before" in found.vetoes


def test_an_offer_that_loses_money_is_no_offer_even_without_the_guardrail() -> None:
    one = customers({})
    settings = changed(guardrails={"order": ()})
    found = suppose(one, assumed(settings.response.assumed, one), settings, WhatIf(acceptance=0.0))
    assert (found.margin_impact < 0, found.vetoes) == (True, ("value",))


def test_nothing_of_the_policy_is_changed_by_asking() -> None:
    one, settings = customers({}), delivered()
    respond = assumed(settings.response.assumed, one)
    before = settings.model_dump_json()
    suppose(one, respond, settings, WhatIf(discount=0.2, acceptance=0.5))
    assert settings.model_dump_json() == before
    assert guard(one, value(one, respond, settings), settings)[0].anyone.all()
