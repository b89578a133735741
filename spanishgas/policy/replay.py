"""Replay in the demo world: what policies are worth by the true probabilities, as shares of what oracles earn.

    share = (policy - nobody) / (oracle - nobody)

in expected margin, averaged over futures of the same present, so that no single path of prices and moods decides. Three
yardsticks, with the same guardrails, budget and capacities as every policy: the informed oracle knows how the world
works and all that is recorded, and maximises the expected value given that; whoever knows all of today's traits knows
hidden ones too, but no future; the all-knowing oracle also knows each future, its best plan is made for each.
Every policy has the same money: a campaign ends when the budget is truly spent, so that nobody gains by believing that
offers cost less than they do.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import PolicySettings
from spanishgas.domain.repricing import Amounts
from spanishgas.policy.allocation import Limits, Options, Plan
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import guard, limits_of, plan_for, value, value_of_plan, with_values
from spanishgas.policy.economics import WINDOWS, Floats, Respond, Response, Values, value_offers
from spanishgas.policy.response import ASSUMED, LEARNED
from spanishgas.policy.rules import RULES, rule_plans

# Months that an offer acts in the demo world, whatever the policy believes.
TRUE_EFFECT_MONTHS = 3
MOVE_OUT_MONTHLY = 0.003
NONE = -1
Ints = npt.NDArray[np.int64]
NOBODY, ORACLE = "nobody", "oracle"
INFORMED, WITH_TRAITS = "informed", "with_traits"
YARDSTICKS = (ORACLE, WITH_TRAITS, INFORMED)
# Our policy with one part known as well as today's traits tell it, to tell what limits it.
WITH_TRUE = ("with_true_risk", "with_true_margin", "with_true_response")
# Money is counted in single precision.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Truth:
    """What is true of customers in one future, or what somebody believes to be.

    Attributes:
        hazards: Hazard of leaving in each month ahead without an offer, shape (customers, months).
        margin: Expected margin of each month in EUR.
        bill: Expected energy bill of each month in EUR.
        response: Response to offers.
    """

    hazards: Floats
    margin: Floats
    bill: Floats
    response: Response

    def values(self, settings: PolicySettings) -> Values:
        """True value of every offer."""
        return value_offers(
            self.hazards,
            self.margin,
            self.bill,
            settings.discounts,
            self.response.take,
            settings.economics.model_copy(update={"effect_months": TRUE_EFFECT_MONTHS}),
            unavoidable=MOVE_OUT_MONTHLY,
        )


@dataclass(frozen=True)
class Outlooks:
    """Equally likely futures of some customers.

    Attributes:
        futures: Those that policies are judged by.
        with_traits: As imagined by somebody who knows all of today's traits.
        informed: As imagined by somebody who knows what is recorded.
    """

    futures: Iterable[Truth]
    with_traits: Iterable[Truth]
    informed: Iterable[Truth]


# The outlooks of the customers with these ids, in their order.
Tell = Callable[[npt.NDArray[np.object_]], Outlooks]


@dataclass(frozen=True)
class Replayed:
    """One policy by the true probabilities.

    Attributes:
        name: Name of the policy.
        plan: Who gets what: as much of what was planned as the budget truly pays for; None where every future has a
            plan of its own.
        offers: Offers, averaged over futures.
        promised: What the policy expected each customer's offer to bring, in EUR; NaN where it expects nothing.
        by_future: What it truly brings on average in each future, shape (futures, customers).
        spend: What it truly costs on average.
        planned_spend: What all that was planned would truly have cost, in EUR.
    """

    name: str
    plan: Plan | None
    offers: float
    promised: Floats
    by_future: Floats
    spend: Floats
    planned_spend: float

    @property
    def worth(self) -> Floats:
        """What it truly brings on average, over futures."""
        return np.asarray(self.by_future.mean(axis=0))


def replay(
    candidates: Candidates,
    responses: dict[str, Respond],
    tell: Tell,
    settings: PolicySettings,
    *,
    committed: Floats | None = None,
) -> dict[str, Replayed]:
    """Values nobody, the rule policies, our policy with each response, and the oracles.

    Args:
        candidates: Customers, as the policy sees them.
        responses: ``learned`` and ``assumed``, those that there are.
        tell: Tells what is true of customers; asked for those who may get an offer.
        settings: The policy.
        committed: What earlier runs of the period took of budget and capacities; None for nothing.
    """
    limits = limits_of(len(candidates), settings, committed)
    # Rules do not know values: they may contact whom the other guardrails allow.
    assumed_values = value(candidates, responses[ASSUMED], settings)
    _, open_options = guard(candidates, assumed_values, settings, without=("value",))
    rows = np.flatnonzero(open_options.offers.any(axis=(1, 2)) & open_options.channels.any(axis=1))
    told, count = tell(candidates.ids[rows]), len(candidates)
    futures = [spread(one.values(settings), rows, count) for one in told.futures]
    truly_open = with_values(open_options, mean_values(futures))
    plans: dict[str, Plan] = {NOBODY: _nobody(count, open_options)}
    # What discounts truly cost, which whoever goes on until the money is gone need not know before.
    plans |= rule_plans(candidates, truly_open, limits.bounds)
    for name, respond in responses.items():
        values = assumed_values if name == ASSUMED else value(candidates, respond, settings)
        plans[name] = plan_for(candidates, values, limits, settings)
    ours = responses.get(LEARNED, responses[ASSUMED])
    traits, expected = expect(told.with_traits, settings)
    for name, values in zip(WITH_TRUE, _one_part_true(candidates, ours, expected, rows, settings), strict=True):
        plans[name] = plan_for(candidates, values, limits, settings)
    plans[WITH_TRAITS] = plan_for(candidates, spread(traits, rows, count), limits, settings)
    informed, _ = expect(told.informed, settings)
    plans[INFORMED] = plan_for(candidates, spread(informed, rows, count), limits, settings)
    found = {name: _carried_out(name, plan, truly_open, futures, limits.budget) for name, plan in plans.items()}
    return {**found, ORACLE: _all_knowing(candidates, futures, open_options, limits, settings)}


def spread(values: Values, rows: Ints, count: int) -> Values:
    """Values of some customers as those of all; the others' are zero."""

    def wide(part: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        whole = np.zeros((count, *part.shape[1:]), np.float32)
        whole[rows] = part
        return whole

    return Values(wide(values.value), wide(values.spend), wide(values.reached), wide(values.baseline))


def mean_values(futures: Iterable[Values]) -> Values:
    """Expected values over equally likely futures."""
    parts, count = [np.zeros(())] * 4, 0
    for one in futures:
        count += 1
        parts = [
            total + part for total, part in zip(parts, (one.value, one.spend, one.reached, one.baseline), strict=True)
        ]
    value_, spend, reached, baseline = ((total / max(count, 1)).astype(np.float32) for total in parts)
    return Values(value_, spend, reached, baseline)


def expect(outlook: Iterable[Truth], settings: PolicySettings) -> tuple[Values, Truth]:
    """Expected values over equally likely futures, and the expected parts they are made of.

    Parts are means: of the probability of still being there, of margin, bill and acceptance, and of the ratios over
    those who accept and those who do not.
    """
    sums: list[Any] = []
    count = 0

    def values() -> Iterator[Values]:
        nonlocal count, sums
        for one in outlook:
            response, stay = one.response, np.cumprod(1 - one.hazards, axis=1)
            chance = response.acceptance
            parts = [
                stay,
                one.margin,
                one.bill,
                chance,
                chance * response.accepted_ratio,
                (1 - chance) * response.refused_ratio,
            ]
            sums = [total + part for total, part in zip(sums, parts, strict=True)] if count else parts
            count += 1
            yield one.values(settings)

    found = mean_values(values())
    stay, margin, bill, chance, accepted, refused = (total / count for total in sums)
    before = np.hstack([np.ones((len(stay), 1)), stay[:, :-1]])
    hazards = 1 - np.divide(stay, before, out=np.zeros_like(stay), where=before > 0)
    tiny = np.finfo(float).tiny
    response = Response(chance, accepted / np.maximum(chance, tiny), refused / np.maximum(1 - chance, tiny))
    return found, Truth(hazards, margin, bill, response)


def _carried_out(name: str, plan: Plan, truly: Options, futures: list[Values], budget: float) -> Replayed:
    """As much of a plan as the budget truly pays for on average, what promises most per euro first."""
    plan, spend, total = within(plan, truly, budget)
    by_future = np.stack([value_of_plan(plan, with_values(truly, one))[0] for one in futures])
    promised = np.full(len(spend), np.nan) if name in RULES else plan.value
    return Replayed(name, plan, float((plan.action != NONE).sum()), promised, by_future, spend, total)


def within(plan: Plan, truly: Options, budget: float) -> tuple[Plan, Floats, float]:
    """As much of a plan as the budget truly pays for, what each customer costs, and what the whole plan would."""
    _, spend = value_of_plan(plan, truly)
    total = float(spend.sum())
    if total <= budget * (1 + ROUNDING):
        return plan, spend, total
    rows = np.flatnonzero(plan.action != NONE)
    rows = rows[np.argsort(-plan.value[rows] / np.maximum(plan.spend[rows], ROUNDING), kind="stable")]
    made = np.ones(len(spend), bool)
    made[rows[np.cumsum(spend[rows]) > budget]] = False
    plan = replace(
        plan,
        action=np.where(made, plan.action, NONE),
        window=np.where(made, plan.window, NONE),
        channel=np.where(made, plan.channel, NONE),
        value=plan.value * made,
        spend=plan.spend * made,
    )
    return plan, spend * made, total


def _all_knowing(
    candidates: Candidates, futures: list[Values], open_options: Options, limits: Limits, settings: PolicySettings
) -> Replayed:
    """The best plan for every future, made in the knowledge of it."""
    worths, spends, offers = [], [], []
    for values in futures:
        plan = plan_for(candidates, values, limits, settings)
        worth, spend = value_of_plan(plan, with_values(open_options, values))
        worths.append(worth)
        spends.append(spend)
        offers.append((plan.action != NONE).sum())
    by_future, spend = np.stack(worths), np.mean(spends, axis=0)
    return Replayed(ORACLE, None, float(np.mean(offers)), by_future.mean(axis=0), by_future, spend, float(spend.sum()))


def _one_part_true(
    candidates: Candidates, respond: Respond, truth: Truth, rows: Ints, settings: PolicySettings
) -> tuple[Values, Values, Values]:
    """What our policy would believe if it knew the risk, the margin (with the bill), or the response exactly.

    Values are of all customers; those outside ``rows`` may get no offer, whatever they are worth.
    """
    risk, margin, bill = candidates.hazards[rows], candidates.margin[rows], candidates.bill[rows]
    count = len(candidates)
    every = respond(slice(0, count))
    ours = Response(every.acceptance[rows], every.accepted_ratio[rows], every.refused_ratio[rows])
    parts: tuple[tuple[Floats, Floats | Amounts, Floats | Amounts, Response], ...] = (
        (truth.hazards, margin, bill, ours),
        (risk, truth.margin, truth.bill, ours),
        (risk, margin, bill, truth.response),
    )
    first, second, third = (
        spread(value_offers(hazards, worth, paid, settings.discounts, told.take, settings.economics), rows, count)
        for hazards, worth, paid, told in parts
    )
    return first, second, third


def _nobody(count: int, options: Options) -> Plan:
    none = np.full(count, NONE)
    zero = np.zeros(count)
    return Plan(none, none, none, zero, zero, np.zeros(1 + len(WINDOWS) + len(options.contact_cost)), 0.0, 0)


@dataclass(frozen=True)
class Share:
    """A policy's share of what an oracle earns, with its interval over customers and futures."""

    policy: str
    value: float
    lo: float
    hi: float


def shares(replayed: dict[str, Replayed], *, of: str, replicates: int, seed: int) -> dict[str, Share]:
    """Shares of an oracle with 95 % intervals from a bootstrap over customers and futures: the same draws for all.

    Args:
        replayed: Policies by the truth.
        of: Name of the oracle.
        replicates: Bootstrap replicates; 0 gives NaN intervals.
        seed: Seed of the draws.
    """
    names = [name for name in replayed if name != NOBODY]
    # Who gets nothing from anybody adds nothing to any total.
    moved = np.flatnonzero(np.any([replayed[name].by_future.any(axis=0) for name in names], axis=0))
    worth = np.stack([replayed[name].by_future[:, moved] for name in names])
    totals = worth.sum(axis=2).mean(axis=1)
    best = names.index(of)
    generator = np.random.default_rng(seed)
    drawn = np.empty((replicates, len(names)))
    count = worth.shape[1]
    for row in range(replicates):
        times = worth @ generator.poisson(1.0, len(moved)).astype(np.float64)
        drawn[row] = times @ (generator.multinomial(count, np.full(count, 1 / count)) / count)
    found = {}
    for place, name in enumerate(names):
        if totals[best] <= 0:
            found[name] = Share(name, float("nan"), float("nan"), float("nan"))
            continue
        ratio = drawn[:, place] / np.where(drawn[:, best] > 0, drawn[:, best], np.nan)
        known = ratio[np.isfinite(ratio)]
        lo, hi = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
        found[name] = Share(name, float(totals[place] / totals[best]), float(lo), float(hi))
    return found


def planned_change(rows: pd.DataFrame, months: pd.DataFrame, offers: pd.DataFrame, until: int) -> Floats:
    """True change of the probability of leaving that each row's plan makes, had it been carried out.

    Args:
        rows: Published recommendations.
        months: Ground truth of the months ahead at their `as_of`.
        offers: Ground truth of the response.
        until: Months that leaving is counted over.

    Returns:
        Shape (rows,); 0 without a plan, NaN for customers that the truth does not tell of.
    """
    change = np.zeros(len(rows))
    planned = np.flatnonzero(rows["planned_action"].to_numpy(object) != "none")
    some = rows.iloc[planned]
    keys = pd.DataFrame(
        {"customer_id": some["customer_id"], "action": some["planned_action"], "timing_window": some["planned_window"]}
    )
    told = keys.merge(offers, on=["customer_id", "action", "timing_window"], how="left").merge(
        months, on="customer_id", how="left"
    )
    names = sorted(name for name in months.columns if name.startswith("hazard_"))[:until]
    base = told[names].to_numpy(np.float64)
    window = some["planned_window"].map({name: place for place, name in enumerate(WINDOWS)}).to_numpy(np.int64)
    month = np.arange(base.shape[1])[None, :]
    acting = (month >= window[:, None]) & (month < window[:, None] + TRUE_EFFECT_MONTHS)
    stays = []
    for name in ("accepted_ratio", "refused_ratio"):
        avoidable = 1 - (1 - base) / (1 - MOVE_OUT_MONTHLY)
        ratio = told[name].to_numpy(np.float64)[:, None]
        changed = 1 - (1 - np.minimum(avoidable * ratio, 1.0)) * (1 - MOVE_OUT_MONTHLY)
        stays.append(np.prod(1 - np.where(acting, changed, base), axis=1))
    chance = told["p_accept"].to_numpy(np.float64)
    change[planned] = np.prod(1 - base, axis=1) - (chance * stays[0] + (1 - chance) * stays[1])
    return change
