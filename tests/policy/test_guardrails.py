"""Guardrails: one suite over the whole family, then each rule at its edges."""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest

from pipelines._entry import load_settings
from spanishgas.config import PolicySettings
from spanishgas.contracts.checks import check_frame
from spanishgas.contracts.decisions import RECOMMENDATION_VETOES
from spanishgas.errors import ConfigError
from spanishgas.policy import guardrails
from spanishgas.policy.allocation import allocate
from spanishgas.policy.decide import Decisions, decide, guard, limits_of
from spanishgas.policy.guardrails import GUARDRAILS, Allowed, Facts, Guardrail, apply, chosen
from spanishgas.policy.reasons import REASONS
from spanishgas.policy.recommendations import veto_codes, veto_rows
from tests.policy.worlds import (
    BASIS,
    changed,
    customers,
    decided,
    delivered,
    facts_of,
    plain_values,
    population,
    response,
    unlimited,
)

NAN = float("nan")
NAMES = [one.name for one in GUARDRAILS]
every_guardrail = pytest.mark.parametrize("guardrail", GUARDRAILS, ids=NAMES)
FACTS = facts_of(population())
SHAPE = (len(FACTS.candidates), 3, 3, len(FACTS.settings.channels))


def options(allowed: Allowed) -> np.ndarray:
    """Every option, true where it is left."""
    return allowed.offers[:, :, :, None] & allowed.channels[:, None, None, :]


def asked(name: str, facts: Facts) -> np.ndarray:
    """What one guardrail vetoes, spread over all options."""
    shape = (len(facts.candidates), 3, 3, len(facts.settings.channels))
    return np.broadcast_to(chosen([name])[0].vetoed(facts), shape)


def vetoes(name: str, *differences: dict[str, object], settings: PolicySettings | None = None) -> list[bool]:
    """Whether a guardrail leaves customers nothing; it leaves all or nothing."""
    found = asked(name, facts_of(customers(*differences), settings)).reshape(len(differences), -1)
    assert (found.all(axis=1) == found.any(axis=1)).all()
    return found.all(axis=1).tolist()


# The family.


def test_one_file_per_guardrail_in_the_order_of_the_settings() -> None:
    folder = Path(guardrails.__file__).parent
    files = {file.stem for file in folder.glob("*.py")} - {"__init__", "base"}
    assert files == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    assert tuple(NAMES) == delivered().guardrails.order
    assert [one.vetoed.__module__ for one in GUARDRAILS] == [f"spanishgas.policy.guardrails.{name}" for name in NAMES]


@every_guardrail
def test_a_guardrail_sees_facts_only_and_no_other_guardrail(guardrail: Guardrail) -> None:
    file = Path(guardrails.__file__).parent / f"{guardrail.name}.py"
    imported = {node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)}
    assert not {module for module in imported if module and module.startswith("spanishgas.policy.guardrails")} - {
        "spanishgas.policy.guardrails.base"
    }


@every_guardrail
def test_it_vetoes_some_and_spares_some(guardrail: Guardrail) -> None:
    vetoed = np.broadcast_to(guardrail.vetoed(FACTS), SHAPE)
    assert vetoed.dtype == bool
    assert vetoed.any()
    assert not vetoed.all()


@every_guardrail
def test_it_only_takes_away_what_it_vetoes(guardrail: Guardrail) -> None:
    others = [one for one in GUARDRAILS if one is not guardrail]
    without, whole = options(apply(others, FACTS)), options(apply(GUARDRAILS, FACTS))
    assert (whole == (without & ~np.broadcast_to(guardrail.vetoed(FACTS), SHAPE))).all()


@every_guardrail
def test_it_adds_no_offer_and_no_value(guardrail: Guardrail) -> None:
    """Where nothing is scarce nobody's offer hangs on others: who gets one got one without the guardrail too."""
    candidates, values, settings = FACTS.candidates, FACTS.values, unlimited(FACTS.settings)
    limits = limits_of(len(candidates), settings)
    _, fewer = guard(candidates, values, settings)
    _, more = guard(candidates, values, settings, without=(guardrail.name,))
    strict, lax = allocate(fewer, limits), allocate(more, limits)
    gone = asked(guardrail.name, FACTS).all(axis=(1, 2, 3))
    assert not ((strict.action >= 0) & (lax.action < 0)).any()
    assert (strict.value <= lax.value).all()
    assert strict.spend[gone].tolist() == [0.0] * gone.sum()
    assert strict.action[gone].tolist() == [-1] * gone.sum()


@every_guardrail
def test_under_limits_it_cannot_make_a_plan_worth_more_or_spend_more_than_the_budget(guardrail: Guardrail) -> None:
    candidates, values, settings = FACTS.candidates, FACTS.values, FACTS.settings
    limits = limits_of(len(candidates), settings)
    _, fewer = guard(candidates, values, settings)
    _, more = guard(candidates, values, settings, without=(guardrail.name,))
    strict, lax = allocate(fewer, limits), allocate(more, limits)
    assert 0 < strict.total <= lax.bound + 1e-9
    assert strict.spend.sum() <= limits.budget
    taken = np.flatnonzero(strict.action >= 0)
    place = (taken, strict.action[taken], strict.window[taken], strict.channel[taken])
    assert not np.broadcast_to(guardrail.vetoed(FACTS), SHAPE)[place].any()


@every_guardrail
def test_asking_twice_changes_nothing(guardrail: Guardrail) -> None:
    once, twice = apply([guardrail], FACTS), apply([guardrail, guardrail], FACTS)
    assert once.offers.tobytes() == twice.offers.tobytes()
    assert once.channels.tobytes() == twice.channels.tobytes()
    assert guardrail.vetoed(FACTS).tobytes() == guardrail.vetoed(FACTS).tobytes()


@every_guardrail
def test_its_vetoes_are_counted_in_options(guardrail: Guardrail) -> None:
    found = apply(GUARDRAILS, FACTS)
    counted = np.broadcast_to(guardrail.vetoed(FACTS), SHAPE).sum(axis=(1, 2, 3))
    assert found.vetoes[guardrail.name].tolist() == counted.tolist()
    assert found.total == np.prod(SHAPE[1:])


@every_guardrail
def test_a_veto_has_a_reason_in_both_languages(guardrail: Guardrail) -> None:
    reason = REASONS[guardrail.name]
    assert (reason.en, reason.es) == (guardrail.en, guardrail.es)
    assert reason.en.strip()
    assert reason.es.strip()
    assert reason.en != reason.es


def test_the_order_changes_nothing_but_the_order_of_reasons() -> None:
    whole = apply(GUARDRAILS, FACTS)
    some = ("margin_after", "consent", "contract_window", "value")
    orders = [tuple(reversed(GUARDRAILS))]
    orders += [
        (*chosen(first), *(one for one in GUARDRAILS if one.name not in some)) for first in itertools.permutations(some)
    ]
    assert len(orders) == 25
    for order in orders:
        found = apply(order, FACTS)
        assert found.offers.tobytes() == whole.offers.tobytes()
        assert found.channels.tobytes() == whole.channels.tobytes()
        assert {name: count.tolist() for name, count in found.vetoes.items()} == {
            name: count.tolist() for name, count in whole.vetoes.items()
        }


def test_reasons_are_told_in_the_order_of_the_settings() -> None:
    someone = customers({"is_vulnerable": 1.0, "margin_eur_month": -1.0, "marketing_consent": 0.0})
    order = delivered().guardrails.order
    told = {}
    for name, names in {"as delivered": order, "reversed": order[::-1]}.items():
        settings = changed(guardrails={"order": names})
        told[name] = veto_codes(decided(someone, settings), settings)[0]
    assert told["as delivered"] == ("margin_before", "margin_after", "value", "vulnerable", "consent")
    assert told["reversed"] == told["as delivered"][::-1]


def test_whoever_is_left_nothing_is_told_why() -> None:
    decisions = decided(FACTS.candidates, FACTS.settings)
    codes = veto_codes(decisions, FACTS.settings)
    nothing = ~options(decisions.allowed).any(axis=(1, 2, 3))
    assert 0 < nothing.sum() < len(nothing)
    assert all(codes[row] for row in np.flatnonzero(nothing))
    assert {code for found in codes for code in found} <= set(NAMES)


def test_every_veto_is_published() -> None:
    decisions = decided(FACTS.candidates, FACTS.settings)
    table = veto_rows(decisions, BASIS.run_date)
    check_frame(RECOMMENDATION_VETOES, table)
    wanted = []
    for row, name in itertools.product(range(len(FACTS.candidates)), sorted(NAMES)):
        count = int(asked(name, FACTS)[row].sum())
        if count:
            wanted.append((str(FACTS.candidates.ids[row]), name, count, count == np.prod(SHAPE[1:])))
    found = table[["customer_id", "guardrail", "options", "is_total"]].itertuples(index=False, name=None)
    assert list(found) == wanted


@pytest.mark.parametrize(
    ("order", "wrong"),
    [
        (("margin_before", "margin_in_between"), "margin_in_between"),
        (("consent", "value", "consent"), "consent"),
    ],
)
def test_an_unknown_or_repeated_guardrail_is_refused_with_those_there_are(order: tuple[str, ...], wrong: str) -> None:
    settings = load_settings((f"policy.guardrails.order=[{','.join(order)}]",)).policy
    with pytest.raises(ConfigError) as told:
        decided(customers({}), settings)
    assert told.value.where == "policy.guardrails.order"
    assert told.value.examples == (wrong,)
    assert told.value.todo == f"Known guardrails: {', '.join(NAMES)}"


def test_without_guardrails_nothing_is_vetoed() -> None:
    settings = changed(guardrails={"order": ()})
    decisions = decided(FACTS.candidates, settings)
    assert options(decisions.allowed).all()
    assert veto_codes(decisions, settings).tolist() == [()] * len(FACTS.candidates)
    table = veto_rows(decisions, BASIS.run_date)
    assert table.columns.tolist() == list(RECOMMENDATION_VETOES.column_names)
    assert len(table) == 0


# What is told of vetoes that only together leave nothing.


# Far from the renewal but for the last window, in which nobody leaves and an offer can only cost.
LATE = {"days_to_renewal": 150.0, "hazard_0_30": 0.9, "hazard_30_60": 0.9, "hazard_60_90": 0.0}


def lonely(settings: PolicySettings, **differences: object) -> Decisions:
    """A decision on one customer without any limit, whose offers act for one month."""
    free = changed(unlimited(settings), holdout={"share": 0.0}, economics={"effect_months": 1})
    return decided(customers(differences), free)


def test_vetoes_that_only_together_leave_nothing_are_all_told() -> None:
    decisions = lonely(delivered(), **LATE)
    assert decisions.allowed.vetoes["contract_window"].tolist() == [2 * 3 * 4]
    assert decisions.allowed.vetoes["value"].tolist() == [3 * 4]
    assert veto_codes(decisions, delivered())[0] == ("value", "contract_window")


def test_a_veto_that_took_no_part_is_not_told() -> None:
    """The same customer without consent to calls: it is the offers that are gone, letters and e-mails were open."""
    decisions = lonely(delivered(), **LATE, phone_consent=0.0)
    assert decisions.allowed.channels[0].tolist() == [name != "phone" for name in delivered().channels]
    assert veto_codes(decisions, delivered())[0] == ("value", "contract_window")


def test_an_offer_that_pays_only_through_a_closed_channel_is_worth_too_little() -> None:
    """Letters alone are open and cost more than any offer brings; e-mail would have paid."""
    candidates = customers({"marketing_consent": NAN})
    settings = changed(unlimited(), contact_cost_eur={"email": 0.1, "letter": 9000.0})
    decisions = decide(candidates, response(candidates), settings, "spring")
    assert not asked("value", Facts(candidates, decisions.values, settings)).all()
    assert decisions.allowed.channels[0].tolist() == [False, True]
    assert decisions.plan.action.tolist() == [-1]
    assert "value" in veto_codes(decisions, settings)[0]


# Each rule at its edges.


@pytest.mark.parametrize("least", [0.0, 5.0])
def test_margin_before_must_be_exceeded_and_known(least: float) -> None:
    settings = changed(guardrails={"min_margin_eur_month": least})
    margins = (least - 0.01, least, least + 0.01, NAN)
    found = vetoes("margin_before", *({"margin_eur_month": margin} for margin in margins), settings=settings)
    assert found == [True, True, False, True]


def test_margin_after_the_discount_must_be_exceeded_and_known() -> None:
    """Discounts of 100 EUR: 3, 6 and 10 EUR; an offer that leaves exactly nothing is vetoed."""
    settings = changed(discount_share={"small": 0.03, "medium": 0.06, "large": 0.1})
    rows = [
        {"margin_eur_month": 6.0, "bill_eur_month": 100.0},
        {"margin_eur_month": 6.01, "bill_eur_month": 100.0},
        {"margin_eur_month": 10.01, "bill_eur_month": 100.0},
        {"margin_eur_month": 3.0, "bill_eur_month": 100.0},
        {"margin_eur_month": NAN, "bill_eur_month": 100.0},
        {"margin_eur_month": 10.0, "bill_eur_month": NAN},
    ]
    found = asked("margin_after", facts_of(customers(*rows), settings))
    assert (found == found[:, :, :1, :1]).all()
    assert found[:, :, 0, 0].tolist() == [
        [False, True, True],
        [False, False, True],
        [False, False, False],
        [True, True, True],
        [True, True, True],
        [True, True, True],
    ]
    dearer = asked(
        "margin_after", facts_of(customers(*rows), changed(settings, guardrails={"min_margin_eur_month": 5}))
    )
    assert dearer[:, :, 0, 0].tolist()[2] == [False, True, True]


def test_value_must_exceed_the_cheapest_contact_of_those_still_there() -> None:
    """The cheapest contact costs 0.5 EUR and reaches half: an offer must be worth more than 0.25 EUR."""
    settings = changed(contact_cost_eur={"phone": 3.0, "email": 0.5})
    worth = np.full((1, 3, 3), 1.0)
    worth[0, 0] = [0.25, 0.2501, 0.24]
    worth[0, 1] = [0.0, -1.0, NAN]
    facts = Facts(customers({}), plain_values(worth, reached=0.5), settings)
    found = asked("value", facts)[0]
    assert (found == found[:, :, :1]).all()
    assert found[:, :, 0].tolist() == [[True, False, True], [True, True, True], [False, False, False]]


def test_vulnerable_customers_are_left_in_peace() -> None:
    found = vetoes("vulnerable", {"is_vulnerable": 1.0}, {"is_vulnerable": 0.0}, {"is_vulnerable": NAN})
    assert found == [True, False, False]


@pytest.mark.parametrize(
    ("marketing", "phone", "open_channels"),
    [
        (1.0, 1.0, {"email", "sms", "letter", "phone"}),
        (1.0, 0.0, {"email", "sms", "letter"}),
        (1.0, NAN, {"email", "sms", "letter"}),
        (0.0, 1.0, set()),
        (0.0, 0.0, set()),
        (0.0, NAN, set()),
        (NAN, 0.0, {"letter"}),
        (NAN, NAN, {"letter"}),
        (NAN, 1.0, {"letter"}),
    ],
)
def test_consent_opens_channels(marketing: float, phone: float, open_channels: set[str]) -> None:
    facts = facts_of(customers({"marketing_consent": marketing, "phone_consent": phone}))
    left = apply(chosen(["consent"]), facts)
    assert left.offers.all()
    assert {name for name, is_open in zip(facts.settings.channels, left.channels[0], strict=True) if is_open} == (
        open_channels
    )


def test_no_setting_opens_a_call_without_consent_to_calls_or_a_channel_that_was_refused() -> None:
    everything = ("phone", "email", "letter", "sms")
    settings = changed(guardrails={"channels_without_consent": everything})
    rows = [
        {"marketing_consent": NAN, "phone_consent": NAN},
        {"marketing_consent": NAN, "phone_consent": 1.0},
        {"marketing_consent": 0.0, "phone_consent": 1.0},
    ]
    left = apply(chosen(["consent"]), facts_of(customers(*rows), settings)).channels
    told = [{name for name, is_open in zip(settings.channels, row, strict=True) if is_open} for row in left]
    assert told == [{"email", "letter", "sms"}, set(everything), set()]
    none = changed(guardrails={"channels_without_consent": ()})
    assert not apply(chosen(["consent"]), facts_of(customers(*rows), none)).channels.any()


def test_consent_where_there_is_one_channel_only() -> None:
    settings = changed(contact_cost_eur={"email": 0.1})
    found = apply(chosen(["consent"]), facts_of(customers({}, {"marketing_consent": 0.0}), settings))
    assert found.anyone.tolist() == [True, False]
    assert found.vetoes["consent"].tolist() == [0, 9]
    assert found.total == 9


def test_rest_after_an_offer_and_after_a_contact() -> None:
    settings = changed(guardrails={"rest_days_after_offer": 90, "rest_days_after_contact": 7})
    rows = [
        {"days_since_offer": 89.0},
        {"days_since_offer": 90.0},
        {"days_since_offer": 0.0},
        {"days_since_contact": 6.0},
        {"days_since_contact": 7.0},
        {"days_since_offer": 90.0, "days_since_contact": 0.0},
        {"days_since_offer": NAN, "days_since_contact": NAN},
    ]
    found = vetoes("recently_contacted", *rows, settings=settings)
    assert found == [True, False, True, True, False, True, False]
    restless = changed(guardrails={"rest_days_after_offer": 0, "rest_days_after_contact": 0})
    assert vetoes("recently_contacted", *rows, settings=restless) == [False] * len(rows)


def test_the_held_out_stay_held_out_for_their_days() -> None:
    settings = changed(holdout={"days": 60})
    rows = [{"days_since_held_out": days} for days in (1.0, 59.0, 60.0, 400.0, NAN)]
    assert vetoes("recently_held_out", *rows, settings=settings) == [True, True, False, False, False]


def test_discounts_are_capped_in_euros_and_as_a_share() -> None:
    """Of 100 EUR a month: 3, 6 and 10 EUR. What reaches the cap exactly may stay."""
    rows = [{"bill_eur_month": 100.0}, {"bill_eur_month": 101.0}, {"bill_eur_month": NAN}, {"bill_eur_month": 0.0}]

    def left(**limits: float) -> list[list[bool]]:
        settings = changed(guardrails=limits)
        found = asked("discount_cap", facts_of(customers(*rows), settings))
        assert (found == found[:, :, :1, :1]).all()
        return (~found[:, :, 0, 0]).tolist()

    assert left(max_discount_eur_month=6.0, max_discount_share=1.0) == [
        [True, True, False],
        [True, False, False],
        [False, False, False],
        [True, True, True],
    ]
    by_share = [True, True, False]
    assert left(max_discount_eur_month=1000.0, max_discount_share=0.06) == [
        by_share,
        by_share,
        [False, False, False],
        by_share,
    ]


def test_offers_belong_to_the_weeks_around_the_renewal() -> None:
    """Contacts come on day 0, 30 and 60; at most 90 days before the renewal, at most 30 after it."""
    rows = [
        {"days_to_renewal": 90.0},
        {"days_to_renewal": 91.0},
        {"days_to_renewal": 121.0},
        {"days_to_renewal": 151.0},
        {"days_to_renewal": 30.0},
        {"days_to_renewal": 29.0},
        {"days_to_renewal": -30.0},
        {"days_to_renewal": -31.0},
        {"days_to_renewal": NAN},
        {"days_to_renewal": NAN, "term_age_days": NAN},
    ]
    found = asked("contract_window", facts_of(customers(*rows)))
    assert (found == found[:, :1, :, :1]).all()
    assert (~found[:, 0, :, 0]).tolist() == [
        [True, True, True],
        [False, True, True],
        [False, False, True],
        [False, False, False],
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [False, False, False],
        [True, True, True],
        [True, True, True],
    ]


def test_a_fresh_term_is_left_alone() -> None:
    settings = changed(guardrails={"min_term_age_days": 40})
    rows = [{"term_age_days": days} for days in (0.0, 9.0, 10.0, 39.0, 40.0, NAN)]
    found = asked("contract_window", facts_of(customers(*rows), settings))
    assert (~found[:, 0, :, 0]).tolist() == [
        [False, False, True],
        [False, False, True],
        [False, True, True],
        [False, True, True],
        [True, True, True],
        [True, True, True],
    ]


def test_a_customer_whom_nothing_forbids_is_offered_something() -> None:
    decisions = lonely(delivered())
    assert options(decisions.allowed)[0, 0, 0].all()
    assert decisions.offered.tolist() == [True]
    assert veto_codes(decisions, delivered())[0] == ()
