"""Rule policies: what a retailer does without a valuation, down the ranking of risk until the money is spent."""

import numpy as np
import numpy.typing as npt

from spanishgas.policy.allocation import Options, Plan
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
NONE = -1
TOP_RISK, TIERS = "top_risk_medium", "tier_by_risk"
RULES = (TOP_RISK, TIERS)
# The riskiest third of those who may be contacted gets the large offer, the next the medium one, the rest the small.
TIER_SHARES = (1 / 3, 2 / 3)


def rule_plans(candidates: Candidates, options: Options, bounds: Floats) -> dict[str, Plan]:
    """The plan of every rule policy.

    Args:
        candidates: Customers.
        options: What the guardrails allow, see ``by_risk``.
        bounds: Budget, capacities of windows, capacities of channels.
    """
    actions = {TOP_RISK: _medium(candidates), TIERS: _tiers(candidates, options)}
    return {name: by_risk(candidates, options, one, bounds) for name, one in actions.items()}


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
