"""One decision on all customers: value, guardrails, allocation within what is left of the period, hold-out."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from spanishgas.config import PolicySettings
from spanishgas.evaluation.contrast import DECISIVE_POWER, Split, split_at, split_for
from spanishgas.policy import guardrails
from spanishgas.policy.allocation import Limits, Options, Plan, allocate
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.economics import Floats, Respond, Values, cumulative_hazard, monthly_hazards, value_offers
from spanishgas.policy.guardrails import Allowed, Facts

Bools = npt.NDArray[np.bool_]
HASH_BITS = 64
NONE = -1
# A plan to compare with may fall short of its bound by this share: far less than chance moves any comparison.
COMPARED = 1e-3


@dataclass(frozen=True)
class Decisions:
    """What was decided, and what it was decided on.

    Attributes:
        candidates: Customers.
        values: What each offer is worth to them.
        allowed: What the guardrails left.
        options: The same, as the allocation took it.
        limits: What budget and capacities have left for this decision.
        committed: What was taken of them before, in the order of ``recommendations.limit_names``.
        plan: Who was chosen for what, before the hold-out.
        held_out: Who of them is held out.
        split: Their share, and what it can find.
        settings: The policy, with the hold-out's share as it was drawn.
    """

    candidates: Candidates
    values: Values
    allowed: Allowed
    options: Options
    limits: Limits
    committed: Floats
    plan: Plan
    held_out: Bools
    split: Split
    settings: PolicySettings

    @property
    def chosen(self) -> Bools:
        """Who the plan gives an offer."""
        return np.asarray(self.plan.action != NONE)

    @property
    def offered(self) -> Bools:
        """Who gets one."""
        return np.asarray(self.chosen & ~self.held_out)


def value(
    candidates: Candidates,
    respond: Respond,
    settings: PolicySettings,
    *,
    risk_factor: float = 1.0,
) -> Values:
    """What every offer is worth to every customer.

    Args:
        candidates: Customers.
        respond: How they respond.
        settings: The policy.
        risk_factor: A factor on the hazards, for what-ifs.
    """
    months = monthly_hazards(np.clip(candidates.hazards * risk_factor, 0.0, 1.0), settings.economics.horizon_months)
    return value_offers(
        months,
        candidates.margin,
        candidates.bill,
        settings.discounts,
        respond,
        settings.economics,
    )


def guard(
    candidates: Candidates, values: Values, settings: PolicySettings, *, without: tuple[str, ...] = ()
) -> tuple[Allowed, Options]:
    """What the guardrails leave.

    Args:
        candidates: Customers.
        values: What offers are worth.
        settings: The policy.
        without: Guardrails that are not asked; only to value policies that do not know them.
    """
    order = [name for name in settings.guardrails.order if name not in without]
    allowed = guardrails.apply(guardrails.chosen(order), Facts(candidates, values, settings))
    costs = np.array(settings.contact_costs)
    return allowed, Options(values, costs, allowed.offers, allowed.channels)


def limits_of(customers: int, settings: PolicySettings, committed: Floats | None = None) -> Limits:
    """Budget and capacities of a period for so many active customers, less what was committed before.

    Args:
        customers: Active customers.
        settings: The policy.
        committed: Of ``period.committed``; None for nothing.
    """
    budget = settings.budget

    def capacity(share: float | None) -> float:
        return float("inf") if share is None else float(np.floor(share * customers + 1e-9))

    whole = [
        budget.amount(customers),
        *(capacity(share) for share in budget.windows),
        *(capacity(budget.channels.get(name)) for name in settings.channels),  # type: ignore[call-overload]
    ]
    left = np.maximum(np.array(whole) - (0.0 if committed is None else committed), 0.0)
    count = 1 + len(budget.windows)
    return Limits(budget=float(left[0]), windows=left[1:count], channels=left[count:])


def decide(
    candidates: Candidates,
    respond: Respond,
    settings: PolicySettings,
    campaign: str,
    committed: Floats | None = None,
) -> Decisions:
    """Who gets which offer, when and through which channel.

    Args:
        candidates: Active customers, as known at the decision's time.
        respond: How they respond.
        settings: The policy.
        campaign: Name of the campaign; goes into the draw of the hold-out.
        committed: What earlier runs of the period took of budget and capacities; None for nothing.
    """
    values = value(candidates, respond, settings)
    allowed, options = guard(candidates, values, settings)
    taken = np.zeros(1 + options.shape[1] + options.shape[2]) if committed is None else committed
    limits = limits_of(len(candidates), settings, taken)
    plan = allocate(options, limits)
    split = holdout_split(candidates, plan, settings)
    told = settings.model_copy(update={"holdout": settings.holdout.model_copy(update={"share": split.share})})
    held_out = (plan.action != NONE) & draw_holdout(candidates.ids, campaign, told)
    return Decisions(candidates, values, allowed, options, limits, taken, plan, held_out, split, told)


def holdout_split(candidates: Candidates, plan: Plan, settings: PolicySettings) -> Split:
    """The share of the chosen to hold out, and what it can find, from how many are chosen and from their risk.

    The plan is made without knowing of the hold-out, and the draw comes after it, so the arms stay comparable whatever
    the share.
    """
    wanted, hazards = settings.holdout, candidates.hazards[plan.action != NONE]
    days = np.full(len(hazards), float(wanted.days))
    risk = float(-np.expm1(-cumulative_hazard(hazards, days)).mean()) if len(hazards) else 0.0
    count = float(len(hazards) * wanted.wanted_runs)
    if wanted.power is None:
        return split_at(count, risk, wanted.wanted_effect, DECISIVE_POWER, wanted.share)
    return split_for(count, risk, wanted.wanted_effect, wanted.power, (wanted.least_share, wanted.most_share))


def plan_for(candidates: Candidates, values: Values, limits: Limits, settings: PolicySettings) -> Plan:
    """The plan that somebody would make who believed in other values: to compare with, not to carry out."""
    _, options = guard(candidates, values, settings)
    return allocate(options, limits, precision=COMPARED)


def draw_holdout(ids: npt.NDArray[np.object_], campaign: str, settings: PolicySettings) -> Bools:
    """Who is held out if chosen: a salted hash of campaign and customer, so that nobody's draw depends on others."""
    edge = settings.holdout.share * 2.0**HASH_BITS

    def draw(customer: object) -> bool:
        text = f"{settings.holdout.salt}/{campaign}/{customer}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=HASH_BITS // 8).digest(), "big") < edge

    return np.fromiter((draw(customer) for customer in ids), bool, len(ids))


def value_of_plan(plan: Plan, options: Options) -> tuple[Floats, Floats]:
    """Value and spend of a plan's options by other values than those it was made with, contacts included.

    Args:
        plan: Who gets what.
        options: Values to go by, such as the true ones.

    Returns:
        EUR per customer; 0 for those without an offer.
    """
    rows = np.flatnonzero(plan.action != NONE)
    action, window, channel = plan.action[rows], plan.window[rows], plan.channel[rows]
    contact = options.values.reached[rows, window].astype(np.float64) * options.contact_cost[channel]
    worth, spend = np.zeros(len(plan.action)), np.zeros(len(plan.action))
    worth[rows] = options.values.value[rows, action, window].astype(np.float64) - contact
    spend[rows] = options.values.spend[rows, action, window].astype(np.float64) + contact
    return worth, spend


def with_values(options: Options, values: Values) -> Options:
    """The same permissions with other values."""
    return replace(options, values=values)
