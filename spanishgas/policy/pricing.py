"""Decisions on customers who come after the allocation: at its dual prices, within what it has left.

At the optimum a customer's option is worth taking when its value exceeds what it uses of budget and capacities, each at
its dual price. Whoever comes later is decided by the same prices, as long as they hold.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from spanishgas.config import PolicySettings
from spanishgas.evaluation.contrast import NAN, Split
from spanishgas.policy.allocation import Limits, Plan, option_table, price_option
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import Decisions, draw_holdout, guard, value
from spanishgas.policy.dual import NONE, split_flat
from spanishgas.policy.economics import WINDOWS, Floats, Respond


@dataclass(frozen=True)
class Prices:
    """What an allocation left.

    Attributes:
        prices: Dual prices, in the order of ``recommendations.limit_names``.
        left: What is left of budget (EUR) and capacities (contacts), same order; infinity where there is no limit.
        valid_until: Last day that the prices may be used on.
    """

    prices: Floats
    left: Floats
    valid_until: date


def decide_late(
    candidates: Candidates, respond: Respond, settings: PolicySettings, prices: Prices, campaign: str
) -> Decisions:
    """Decides on customers one by one, as if each were the only one to come.

    Args:
        candidates: Customers without a decision.
        respond: How they respond.
        settings: The policy as the decision was taken under, with the share held out.
        prices: What the allocation left.
        campaign: Name of the campaign; goes into the draw of the hold-out.
    """
    values = value(candidates, respond, settings)
    allowed, options = guard(candidates, values, settings)
    rows = np.arange(len(candidates))
    worth, spend = option_table(options, rows)
    _, window, channel = split_flat(np.arange(worth.shape[1]), options.shape)
    left = prices.left
    fits = (spend <= left[0]) & (left[1 + window] >= 1)[None, :] & (left[1 + len(WINDOWS) + channel] >= 1)[None, :]
    reduced = price_option(worth, spend, window, channel, prices.prices, len(WINDOWS))
    reduced = np.where(fits & (worth > 0), reduced, -np.inf)
    best = reduced.argmax(axis=1)
    taken = reduced[rows, best] > 0
    action, window, channel = split_flat(np.where(taken, best, NONE), options.shape)
    plan = Plan(
        action=action,
        window=window,
        channel=channel,
        value=np.where(taken, worth[rows, best], 0.0),
        spend=np.where(taken, spend[rows, best], 0.0),
        prices=prices.prices,
        bound=float("nan"),
        core=0,
    )
    held_out = taken & draw_holdout(candidates.ids, campaign, settings)
    bounds = Limits(left[0], left[1 : 1 + len(WINDOWS)], left[1 + len(WINDOWS) :])
    split = Split(settings.holdout.share, NAN, NAN)
    nothing = np.zeros(len(left))
    return Decisions(candidates, values, allowed, options, bounds, nothing, plan, held_out, split, settings)
