"""What-ifs: the response to a discount that the policy does not have, or to another acceptance."""

from dataclasses import dataclass, replace

import numpy as np

from spanishgas.config import PolicySettings
from spanishgas.policy.allocation import option_table
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import guard, value
from spanishgas.policy.dual import Options, split_flat
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond, Response
from spanishgas.policy.guardrails import Allowed
from spanishgas.policy.recommendations import VALUE

OWN = "own"


@dataclass(frozen=True)
class WhatIf:
    """What is supposed.

    Attributes:
        discount: Share of the energy bill that is taken off; None keeps the policy's offers.
        acceptance: Probability that the customer accepts; None keeps what is expected.
    """

    discount: float | None = None
    acceptance: float | None = None


@dataclass(frozen=True)
class Supposed:
    """What the best offer would then bring one customer.

    Attributes:
        action: The policy's action, or ``own`` for a discount of one's own.
        discount: Share of the bill.
        window: When.
        channel: Through which channel; the cheapest that is open.
        margin_impact: Expected change of the margin over the horizon in EUR, all costs taken off; NaN where margin or
            bill are not known.
        spend: Expected cost in EUR; NaN likewise.
        acceptance: Probability of accepting.
        vetoes: Guardrails that forbid it; empty where it is allowed.
    """

    action: str
    discount: float
    window: str
    channel: str
    margin_impact: float
    spend: float
    acceptance: float
    vetoes: tuple[str, ...]


def suppose(candidates: Candidates, respond: Respond, settings: PolicySettings, what_if: WhatIf) -> Supposed:
    """The best offer to one customer, were things as supposed.

    Of the offers that the guardrails allow the one of the most value; where they allow none, the one of the most value
    with the guardrails against it.

    Args:
        candidates: One customer.
        respond: How the customer responds.
        settings: The policy.
        what_if: What is supposed.
    """
    shares = settings.discounts
    told = respond(slice(0, 1))
    if what_if.discount is not None:
        told = at_discount(told, shares, what_if.discount)
        shares = (what_if.discount, what_if.discount, what_if.discount)
        settings = settings.model_copy(update={"discount_share": dict(zip(ACTIONS, shares, strict=True))})
    if what_if.acceptance is not None:
        told = at_acceptance(told, what_if.acceptance)
    values = value(candidates, lambda _: told, settings)
    allowed, options = guard(candidates, values, settings)
    worth, spend = option_table(options, np.array([0]))
    best = int(worth[0].argmax())
    vetoes: tuple[str, ...] = ()
    if not worth[0, best] > 0:
        free = replace(options, offers=np.ones_like(options.offers), channels=np.ones_like(options.channels))
        worth, spend = option_table(free, np.array([0]))
        best = int(worth[0].argmax())
        vetoes = _against(allowed, options, best, settings) or (VALUE,)
    action, window, channel = (int(one) for one in split_flat(np.array(best), options.shape))
    is_known = bool(np.isfinite(worth[0, best]))

    def known(amount: float) -> float:
        return float(amount) if is_known else float("nan")

    return Supposed(
        action=OWN if what_if.discount is not None else ACTIONS[action],
        discount=shares[action],
        window=WINDOWS[window],
        channel=settings.channels[channel],
        margin_impact=known(worth[0, best]),
        spend=known(spend[0, best]),
        acceptance=float(told.acceptance[0, action, window]),
        vetoes=vetoes,
    )


def at_discount(told: Response, shares: tuple[float, ...], discount: float) -> Response:
    """The response to another discount, between those to the policy's offers; every action then stands for it.

    Nobody accepts no discount; beyond the largest that is known nothing more is assumed.
    """
    known = (0.0, *shares)

    def between(values: Floats, at_nothing: Floats) -> Floats:
        rows = np.concatenate([at_nothing, values[0]])
        found = [np.interp(discount, known, rows[:, window]) for window in range(rows.shape[1])]
        return np.broadcast_to(np.array(found)[None, None, :], values.shape)

    none = np.zeros((1, len(WINDOWS)))
    # Contact alone keeps what it does to those who refuse.
    contact = np.log(told.refused_ratio[0, :1])
    is_mean = np.array_equal(told.accepted_ratio, told.refused_ratio)
    start = none if is_mean else contact
    return Response(
        between(told.acceptance, none),
        np.exp(between(np.log(told.accepted_ratio), start)),
        np.exp(between(np.log(told.refused_ratio), start)),
    )


def at_acceptance(told: Response, acceptance: float) -> Response:
    """The response with another probability of accepting.

    A learned response knows the mean over those who accept and those who do not: how far it lies from no effect
    changes with the acceptance.
    """
    chance = np.full_like(told.acceptance, acceptance)
    if not np.array_equal(told.accepted_ratio, told.refused_ratio):
        return Response(chance, told.accepted_ratio, told.refused_ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(told.acceptance > 0, acceptance / told.acceptance, 1.0)
    ratio = told.refused_ratio**factor
    return Response(chance, ratio, ratio)


def _against(allowed: Allowed, options: Options, flat: int, settings: PolicySettings) -> tuple[str, ...]:
    """Guardrails that took part in forbidding an option."""
    action, window, channel = (int(one) for one in split_flat(np.array(flat), options.shape))
    offer_closed = not allowed.offers[0, action, window]
    channel_closed = not allowed.channels[0, channel]
    return tuple(
        name
        for name in settings.guardrails.order
        if name in allowed.vetoes
        and allowed.vetoes[name][0] > 0
        and (channel_closed if name in allowed.of_channels else offer_closed)
    )
