"""Replay in the demo world: what policies are worth by the true probabilities, as a share of what an oracle earns.

    share = (policy - nobody) / (oracle - nobody)

in expected margin. The oracle knows every customer's true hazards, margins and response, not the dice, and obeys the
same guardrails, budget and capacities. Every policy has the same money: a campaign ends when the budget is truly
spent, so that nobody gains by believing that offers cost less than they do. Only this module and ``observable`` read
the ground truth.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import PolicySettings
from spanishgas.domain.repricing import Amounts
from spanishgas.errors import ContractError
from spanishgas.policy.allocation import Options, Plan
from spanishgas.policy.candidates import HAZARDS, Candidates
from spanishgas.policy.decide import Bools, guard, limits_of, plan_for, value, value_of_plan, with_values
from spanishgas.policy.economics import (
    ACTIONS,
    MONTHS_PER_YEAR,
    WINDOWS,
    Floats,
    Respond,
    Response,
    Values,
    by_month,
    monthly_hazards,
    value_offers,
)
from spanishgas.policy.observable import numeric, observable

# Months that an offer acts in the demo world, whatever the policy believes.
TRUE_EFFECT_MONTHS = 3
MOVE_OUT_MONTHLY = 0.003
# Of the candidates, who may be lost already without being registered.
MOST_GONE = 0.1
NONE = -1
Ints = npt.NDArray[np.int64]
NOBODY, ORACLE, LEARNED, ASSUMED = "nobody", "oracle", "learned", "assumed"
TOP_RISK, TIERS = "top_risk_medium", "tier_by_risk"
RULES = (TOP_RISK, TIERS)
# Our policy with one part known exactly, to tell what limits it.
WITH_TRUE = ("with_true_risk", "with_true_margin", "with_true_response")
# Our policy with all parts as well known as features allow.
OBSERVABLE = "with_observable"
# Money is counted in single precision.
ROUNDING = 1e-6
# The riskiest third of those who may be contacted gets the large offer, the next the medium one, the rest the small.
TIER_SHARES = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class Truth:
    """The ground truth of the candidates, in their order.

    Attributes:
        hazards: True hazard of leaving in each month ahead without an offer, shape (customers, months).
        margin: True expected margin of each month in EUR.
        bill: True expected energy bill of each month in EUR.
        response: True response.
    """

    hazards: Floats
    margin: Floats
    bill: Floats
    response: Response

    @classmethod
    def of(cls, months: pd.DataFrame, offers: pd.DataFrame, candidates: Candidates) -> "Truth":
        """Reads the tables ``months`` and ``offers`` of one `as_of`.

        Raises:
            ContractError: The truth of many candidates is not told.
        """
        told = months.set_index("customer_id").reindex(candidates.ids)
        gone = told["hazard_01"].isna().to_numpy()
        if gone.mean() > MOST_GONE:
            raise ContractError(
                "the ground truth does not tell of customers",
                where="replay",
                count=int(gone.sum()),
                examples=list(told.index[gone][:3]),
                todo="Run `demo_data` again",
            )
        # Who has left and is not registered yet is a customer to the policy, and lost to the truth.
        names = [name for name in told.columns if name.startswith("hazard_")]
        told[names] = told[names].fillna(1.0)

        def ahead(name: str) -> Floats:
            wanted = sorted(column for column in told.columns if column.startswith(f"{name}_"))
            return told[wanted].fillna(0.0).to_numpy(np.float64)

        wide = offers.pivot_table(
            index="customer_id",
            columns=["action", "timing_window"],
            values=["p_accept", "accepted_ratio", "refused_ratio"],
        ).reindex(candidates.ids)

        def by_offer(name: str) -> Floats:
            cells = [[wide[(name, action, window)].to_numpy(np.float64) for window in WINDOWS] for action in ACTIONS]
            return np.nan_to_num(np.moveaxis(np.array(cells), 2, 0), nan=1.0 if name.endswith("ratio") else 0.0)

        response = Response(by_offer("p_accept"), by_offer("accepted_ratio"), by_offer("refused_ratio"))
        return cls(ahead("hazard"), ahead("margin_eur"), ahead("bill_eur"), response)

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
class Replayed:
    """One policy by the true probabilities.

    Attributes:
        name: Name of the policy.
        plan: Who gets what: as much of what was planned as the budget truly pays for.
        promised: What the policy expected each customer's offer to bring, in EUR; NaN where it expects nothing.
        worth: What it truly brings on average.
        spend: What it truly costs on average.
        planned_spend: What all that was planned would truly have cost, in EUR.
    """

    name: str
    plan: Plan
    promised: Floats
    worth: Floats
    spend: Floats
    planned_spend: float


def replay(
    candidates: Candidates,
    responses: dict[str, Respond],
    truth: Truth,
    settings: PolicySettings,
    *,
    committed: Floats | None = None,
    features: pd.DataFrame | None = None,
) -> dict[str, Replayed]:
    """Values nobody, the rule policies, our policy with each response, and the oracle.

    Args:
        candidates: Customers, as the policy sees them.
        responses: ``learned`` and ``assumed``, those that there are.
        truth: Their truth.
        settings: The policy.
        committed: What earlier runs of the period took of budget and capacities; None for nothing.
        features: What is known of the customers, in their order; None leaves out what features could tell at best.
    """
    true_values = truth.values(settings)
    limits = limits_of(len(candidates), settings, committed)
    # Rules do not know values: they may contact whom the other guardrails allow.
    assumed_values = value(candidates, responses[ASSUMED], settings)
    _, open_options = guard(candidates, assumed_values, settings, without=("value",))
    truly_open = with_values(open_options, true_values)
    plans: dict[str, Plan] = {NOBODY: _nobody(len(candidates), open_options)}
    for name, actions in ((TOP_RISK, _medium(candidates)), (TIERS, _tiers(candidates, open_options))):
        plans[name] = by_risk(candidates, truly_open, actions, limits.bounds)
    for name, respond in responses.items():
        values = assumed_values if name == ASSUMED else value(candidates, respond, settings)
        plans[name] = plan_for(candidates, values, limits, settings)
    ours = responses.get(LEARNED, responses[ASSUMED])
    for name, values in zip(WITH_TRUE, _one_part_true(candidates, ours, truth, settings), strict=True):
        plans[name] = plan_for(candidates, values, limits, settings)
    if features is not None:
        plans[OBSERVABLE] = plan_for(candidates, _as_observed(candidates, features, truth, settings), limits, settings)
    plans[ORACLE] = plan_for(candidates, true_values, limits, settings)
    return {name: _carried_out(name, plan, truly_open, limits.budget) for name, plan in plans.items()}


def _carried_out(name: str, plan: Plan, truly: Options, budget: float) -> Replayed:
    """As much of a plan as the budget truly pays for, what promises most per euro first."""
    worth, spend = value_of_plan(plan, truly)
    total = float(spend.sum())
    if total > budget * (1 + ROUNDING):
        rows = np.flatnonzero(plan.action != NONE)
        rows = rows[np.argsort(-plan.value[rows] / np.maximum(plan.spend[rows], ROUNDING), kind="stable")]
        late = rows[np.cumsum(spend[rows]) > budget]
        made = np.ones(len(spend), bool)
        made[late] = False
        plan = replace(
            plan,
            action=np.where(made, plan.action, NONE),
            window=np.where(made, plan.window, NONE),
            channel=np.where(made, plan.channel, NONE),
            value=plan.value * made,
            spend=plan.spend * made,
        )
        worth, spend = worth * made, spend * made
    promised = np.full(len(spend), np.nan) if name in RULES else plan.value
    return Replayed(name, plan, promised, worth, spend, total)


def _as_observed(candidates: Candidates, features: pd.DataFrame, truth: Truth, settings: PolicySettings) -> Values:
    """What our policy would believe if it knew all that its inputs tell of the truth."""
    own = {name: candidates.hazards[:, place] for place, name in enumerate(HAZARDS)}
    own |= {name: candidates[name] for name in ("margin_eur_month", "bill_eur_month")}
    known = numeric(features.reset_index(drop=True)).assign(**own)
    hazards, margin, bill, told = observable(
        known, truth.hazards, truth.margin, truth.bill, truth.response, seed=settings.simulation.seed
    )
    margin = np.where(np.isnan(candidates["margin_eur_month"]), np.nan, margin)
    bill = np.where(np.isnan(candidates["bill_eur_month"]), np.nan, bill)
    return value_offers(hazards, margin, bill, settings.discounts, told.take, settings.economics)


def _one_part_true(
    candidates: Candidates, respond: Respond, truth: Truth, settings: PolicySettings
) -> tuple[Values, Values, Values]:
    """What our policy would believe if it knew the risk, the margin (with the bill), or the response exactly."""
    risk, margin, bill = candidates.hazards, candidates.margin, candidates.bill
    parts: tuple[tuple[Floats, Floats | Amounts, Floats | Amounts, Respond], ...] = (
        (truth.hazards, margin, bill, respond),
        (risk, truth.margin, truth.bill, respond),
        (risk, margin, bill, truth.response.take),
    )
    first, second, third = (
        value_offers(hazards, worth, paid, settings.discounts, told, settings.economics)
        for hazards, worth, paid, told in parts
    )
    return first, second, third


def by_risk(candidates: Candidates, options: Options, actions: Ints, bounds: Floats) -> Plan:
    """A rule policy: down the ranking of risk, at once and through the cheapest channel, until the budget is spent.

    Args:
        candidates: Customers.
        options: What the guardrails allow; their spend is what discounts truly cost, which whoever goes on until the
            money is gone need not know before.
        actions: Position of the action that each customer would get.
        bounds: Budget, capacities of windows, capacities of channels.
    """
    count = len(candidates)
    windows = len(WINDOWS)
    rows = np.arange(count)
    action, window, channel = (np.full(count, NONE) for _ in range(3))
    spend = np.zeros(count)
    used = np.zeros(len(bounds))
    may = options.offers[rows, actions, 0]
    worth = options.values
    expected = worth.spend[rows, actions, 0].astype(np.float64)
    for row in np.lexsort((candidates.ids.astype(str), -candidates.risk)):
        if not may[row]:
            continue
        for place in range(len(options.contact_cost)):
            cost = expected[row] + options.contact_cost[place]
            fits = (
                used[0] + cost <= bounds[0]
                and used[1] < bounds[1]
                and used[1 + windows + place] < bounds[1 + windows + place]
            )
            if options.channels[row, place] and fits:
                action[row], window[row], channel[row], spend[row] = actions[row], 0, place, cost
                used[0] += cost
                used[1] += 1
                used[1 + windows + place] += 1
                break
    return Plan(action, window, channel, np.zeros(count), spend, np.zeros(len(bounds)), 0.0, 0)


def _medium(candidates: Candidates) -> Ints:
    return np.full(len(candidates), ACTIONS.index("medium"))


def _tiers(candidates: Candidates, options: Options) -> Ints:
    """Action by quantile of the score among those who may be contacted."""
    may: Bools = np.asarray(options.offers.any(axis=(1, 2)) & options.channels.any(axis=1))
    edges = np.quantile(candidates.risk[may], [1 - share for share in TIER_SHARES]) if may.any() else (1.0, 1.0)
    return np.where(candidates.risk >= edges[0], 2, np.where(candidates.risk >= edges[1], 1, 0))


def _nobody(count: int, options: Options) -> Plan:
    none = np.full(count, NONE)
    zero = np.zeros(count)
    return Plan(none, none, none, zero, zero, np.zeros(1 + len(WINDOWS) + len(options.contact_cost)), 0.0, 0)


@dataclass(frozen=True)
class Share:
    """A policy's share of what the oracle earns, with its interval over customers."""

    policy: str
    value: float
    lo: float
    hi: float


def shares(replayed: dict[str, Replayed], *, replicates: int, seed: int) -> dict[str, Share]:
    """Shares of the oracle with 95 % intervals from a bootstrap over customers, paired: the same draws for all.

    Args:
        replayed: Policies by the truth.
        replicates: Bootstrap replicates; 0 gives NaN intervals.
        seed: Seed of the draws.
    """
    names = [name for name in replayed if name != NOBODY]
    worth = np.stack([replayed[name].worth for name in names])
    totals = worth.sum(axis=1)
    best = names.index(ORACLE)
    # Who gets nothing from anybody adds nothing to any total.
    moved = np.flatnonzero((worth != 0).any(axis=0))
    generator = np.random.default_rng(seed)
    drawn = np.empty((replicates, len(names)))
    for row in range(replicates):
        times = generator.poisson(1.0, len(moved))
        drawn[row] = worth[:, moved] @ times
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


def realised(
    replayed: dict[str, Replayed], truth: Truth, settings: PolicySettings, contact_costs: Floats
) -> dict[str, float]:
    """Shares of the oracle once the dice are thrown: the same dice for every policy.

    Args:
        replayed: Policies.
        truth: The truth that the dice follow.
        settings: The policy.
        contact_costs: Cost of a contact by channel.
    """
    months = settings.economics.horizon_months
    delta = (1 + settings.economics.discount_rate_year) ** (-np.arange(1, months + 1) / MONTHS_PER_YEAR)
    generator = np.random.default_rng(settings.simulation.seed)
    count = len(truth.hazards)
    stay_dice, accept_dice = generator.random((count, months)), generator.random(count)
    base = monthly_hazards(truth.hazards, months)
    margin, bill = by_month(truth.margin, months) * delta, by_month(truth.bill, months) * delta
    earned = {}
    for name, one in replayed.items():
        hazard, cost = base.copy(), np.zeros((count, months))
        rows = np.flatnonzero(one.plan.action != NONE)
        action, window = one.plan.action[rows], one.plan.window[rows]
        accepts = accept_dice[rows] < truth.response.acceptance[rows, action, window]
        ratio = np.where(
            accepts,
            truth.response.accepted_ratio[rows, action, window],
            truth.response.refused_ratio[rows, action, window],
        )
        month = np.arange(months)[None, :]
        acting = (month >= window[:, None]) & (month < window[:, None] + TRUE_EFFECT_MONTHS)
        avoidable = 1 - (1 - hazard[rows]) / (1 - MOVE_OUT_MONTHLY)
        changed = 1 - (1 - np.minimum(avoidable * ratio[:, None], 1.0)) * (1 - MOVE_OUT_MONTHLY)
        hazard[rows] = np.where(acting, changed, hazard[rows])
        paid = (month >= window[:, None]) & (month < window[:, None] + settings.economics.discount_months)
        share = np.array(settings.discounts)[action] * accepts
        cost[rows] = np.where(paid, share[:, None] * bill[rows], 0.0)
        there = np.cumprod(stay_dice >= hazard, axis=1)
        before = np.hstack([np.ones((count, 1)), there])[rows, window]
        contacts = before * np.append(1.0, delta)[window] * contact_costs[one.plan.channel[rows]]
        earned[name] = float((there * (margin - cost)).sum() - contacts.sum())
    most = earned[ORACLE] - earned[NOBODY]
    return {name: (total - earned[NOBODY]) / most if most else float("nan") for name, total in earned.items()}


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
