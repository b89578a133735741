"""Decisions after the allocation: at its prices those who come later get what the allocation would have given them."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import decide
from spanishgas.policy.dual import NONE
from spanishgas.policy.pricing import Prices, decide_late
from spanishgas.policy.response import assumed
from tests.policy.worlds import changed, customers, delivered, population, unlimited

DAY = date(2026, 3, 11)


def prices(values: np.ndarray, left: float | np.ndarray = np.inf) -> Prices:
    return Prices(values, np.broadcast_to(np.asarray(left, float), values.shape).copy(), DAY)


def scarce() -> tuple[Candidates, object]:
    some = population(600)
    settings = changed(budget={"eur": 60.0, "windows": (0.05, 0.04, 0.04), "channels": {"phone": 0.02, "letter": 0.03}})
    return some, settings


def test_at_the_prices_of_an_allocation_nearly_all_get_what_it_gave_them() -> None:
    some, settings = scarce()
    respond = assumed(settings.response.assumed, some)
    whole = decide(some, respond, settings, "spring")
    late = decide_late(some, respond, settings, prices(whole.plan.prices), "spring")
    assert whole.chosen.sum() >= 20
    same = (late.plan.action == whole.plan.action) & (late.plan.window == whole.plan.window)
    same &= late.plan.channel == whole.plan.channel
    # What differs are the few who are close to the line, whom the allocation decided together.
    assert same.mean() > 0.97
    chosen = whole.chosen & same
    np.testing.assert_allclose(late.plan.value[chosen], whole.plan.value[chosen], rtol=1e-6)
    np.testing.assert_allclose(late.plan.spend[chosen], whole.plan.spend[chosen], rtol=1e-6)
    assert np.array_equal(late.held_out[chosen], whole.held_out[chosen])


def test_nobodys_decision_depends_on_who_comes_beside() -> None:
    some, settings = scarce()
    whole = decide(some, assumed(settings.response.assumed, some), settings, "spring")
    at = prices(whole.plan.prices)
    together = decide_late(some, assumed(settings.response.assumed, some), settings, at, "spring")
    for place in [*np.flatnonzero(together.chosen)[:5].tolist(), 0, 1, 2]:
        alone = Candidates(
            some.ids[[place]],
            some.kind[[place]],
            some.segment[[place]],
            some.risk[[place]],
            some.hazards[[place]],
            {name: values[[place]] for name, values in some.numbers.items()},
        )
        one = decide_late(alone, assumed(settings.response.assumed, alone), settings, at, "spring")
        assert one.plan.action[0] == together.plan.action[place]
        assert one.plan.value[0] == together.plan.value[place]


def test_free_prices_give_the_best_that_is_allowed_and_no_room_gives_nothing() -> None:
    some, settings = population(), unlimited()
    respond = assumed(settings.response.assumed, some)
    whole = decide(some, respond, settings, "spring")
    free = np.zeros(len(whole.plan.prices))
    late = decide_late(some, respond, settings, prices(free), "spring")
    np.testing.assert_allclose(late.plan.value, whole.plan.value, rtol=1e-6, atol=1e-6)
    for limit in range(len(free)):
        left = np.full(len(free), np.inf)
        left[limit] = 0.0
        shut = decide_late(some, respond, settings, prices(free, left), "spring")
        if limit == 0:
            assert (shut.plan.action == NONE).all()
        elif limit <= 3:
            assert not (shut.plan.window == limit - 1).any()
        else:
            assert not (shut.plan.channel == limit - 4).any()


@pytest.mark.parametrize("veto", [{"is_vulnerable": 1.0}, {"margin_eur_month": -1.0}, {"marketing_consent": 0.0}])
def test_guardrails_hold_for_those_who_come_late(veto: dict[str, object]) -> None:
    welcome, refused = customers({}), customers(veto)
    settings = delivered()
    free = prices(np.zeros(1 + 3 + len(settings.channels)))
    assert decide_late(welcome, assumed(settings.response.assumed, welcome), settings, free, "c").chosen.all()
    found = decide_late(refused, assumed(settings.response.assumed, refused), settings, free, "c")
    assert not found.chosen.any()
    assert not replace(found).held_out.any()
