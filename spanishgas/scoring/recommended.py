"""What one customer is recommended: what was published, a decision at the dual prices, or none with its reason."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from spanishgas.policy.candidates import Candidates
from spanishgas.policy.economics import ACTIONS, WINDOWS, Respond
from spanishgas.policy.pricing import decide_late
from spanishgas.policy.reasons import ORDINARY_RISK, SEPARATOR
from spanishgas.policy.recommendations import EURO_DIGITS, NONE, reason_codes, veto_codes
from spanishgas.scoring.snapshot import Run

PUBLISHED, PRICED, NOBODY = "published", "priced", "none"
# What raises the risk; None where it was not asked for.
Told = tuple[str, ...] | None


@dataclass(frozen=True)
class Recommendation:
    """What a customer is to be offered.

    Attributes:
        source: ``published``, ``priced`` (at the dual prices) or ``none`` (no decision can be made).
        action: What is offered, or ``none``.
        channel: Through which channel.
        timing_window: When.
        expected_margin_impact: EUR over the horizon, all costs taken off.
        expected_spend: EUR.
        p_accept: Probability of accepting; None without an offer.
        is_held_out: Chosen, and left without an offer at random.
        reason_codes: The weightiest first; risk's causes only where they were asked for or published.
        veto_codes: Guardrails that left no option.
        run_date: Day of the decision; None where none was made.
    """

    source: str
    action: str
    channel: str
    timing_window: str
    expected_margin_impact: float
    expected_spend: float
    p_accept: float | None
    is_held_out: bool
    reason_codes: tuple[str, ...]
    veto_codes: tuple[str, ...]
    run_date: date | None


def published(run: Run, place: int, causes: Callable[[], Told] | None) -> Recommendation:
    """The decision that stands in a run's tables.

    Args:
        run: The run.
        place: The customer's row in its decisions.
        causes: Tells anew what raises the risk; None where what was published holds.
    """
    table = run.decisions

    def word(name: str) -> str:
        return table.word(place, name) or ""

    def split(name: str) -> tuple[str, ...]:
        return tuple(code for code in word(name).split(SEPARATOR) if code)

    action, is_held = word("action"), bool(table.number(place, "is_held_out"))
    codes, vetoes = split("reason_codes"), split("veto_codes")
    if causes is not None:
        codes = _codes(causes(), action != NONE, is_held, vetoes, run.terms.basis.is_timed_by_contract)
    accept = table.number(place, "p_accept")
    return Recommendation(
        source=PUBLISHED,
        action=action,
        channel=word("channel"),
        timing_window=word("timing_window"),
        expected_margin_impact=table.number(place, "expected_margin_impact"),
        expected_spend=table.number(place, "expected_spend"),
        p_accept=None if np.isnan(accept) else accept,
        is_held_out=is_held,
        reason_codes=codes,
        veto_codes=vetoes,
        run_date=run.terms.basis.run_date,
    )


def nobody(code: str, causes: Told, run: Run | None) -> Recommendation:
    """No offer, for a reason that is none of the policy's."""
    return Recommendation(
        source=NOBODY,
        action=NONE,
        channel=NONE,
        timing_window=NONE,
        expected_margin_impact=0.0,
        expected_spend=0.0,
        p_accept=None,
        is_held_out=False,
        reason_codes=_codes(causes, False, False, (code,), False),
        veto_codes=(),
        run_date=None if run is None else run.terms.basis.run_date,
    )


def priced(candidates: Candidates, respond: Respond, run: Run, causes: Told) -> Recommendation:
    """A decision on somebody who has none, at the run's dual prices."""
    settings, basis = run.terms.settings, run.terms.basis
    found = decide_late(candidates, respond, settings, run.prices, basis.campaign)
    plan, is_offered, is_held = found.plan, bool(found.offered[0]), bool(found.held_out[0])
    vetoes = tuple(veto_codes(found, settings)[0])
    codes = _codes(causes, is_offered, is_held, vetoes, basis.is_timed_by_contract)
    accept = None
    if is_offered:
        accept = float(respond(slice(0, 1)).acceptance[0, plan.action[0], plan.window[0]])
    least = 10.0**-EURO_DIGITS
    return Recommendation(
        source=PRICED,
        action=ACTIONS[plan.action[0]] if is_offered else NONE,
        channel=settings.channels[plan.channel[0]] if is_offered else NONE,
        timing_window=WINDOWS[plan.window[0]] if is_offered else NONE,
        expected_margin_impact=max(round(float(plan.value[0]), EURO_DIGITS), least) if is_offered else 0.0,
        expected_spend=round(float(plan.spend[0]), EURO_DIGITS) if is_offered else 0.0,
        p_accept=accept,
        is_held_out=is_held,
        reason_codes=codes,
        veto_codes=vetoes,
        run_date=basis.run_date,
    )


def _codes(causes: Told, is_offered: bool, is_held: bool, vetoes: tuple[str, ...], is_timed: bool) -> tuple[str, ...]:
    found = dict.fromkeys(reason_codes(causes or (), is_offered, is_held, vetoes, is_timed))
    if causes is None:
        found.pop(ORDINARY_RISK, None)
    return tuple(found)
