"""Who gets which offer: the most value under a budget and capacities, at most one offer per customer.

At the dual prices (see ``dual``) nearly every customer's best option is clear. Choices that together exceed a limit are
dropped, what is left is given away, and the closest choices (the core) are then decided together by mixed-integer
programming (Balas and Zemel, 1980). The dual bound certifies how far the result can be from the optimum.
"""

import ctypes
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from spanishgas.policy.dual import (
    CLOSED,
    NONE,
    TOLERANCE,
    Floats,
    Ints,
    Limits,
    Options,
    best_options,
    dual_height,
    leads,
    solve_dual,
    split_flat,
    usage_of,
    worthwhile,
)

__all__ = ["CLOSED", "NONE", "Limits", "Options", "Plan", "allocate", "option_table", "price_option"]

# Shares of the prices at which what is left is given away: what is nearly worth them first, anything of value last.
SHADES = (0.999, 0.9, 0.5, 0.0)
PASSES = 100
# Size of the core and of the search tree over it.
CORE = 300
NODES = 20
# The solver keeps limits up to a millionth.
SLACK = 1e-5


@dataclass(frozen=True)
class Plan:
    """Who gets what.

    Attributes:
        action: Position of the action, -1 for none, shape (customers,).
        window: Position of the window, -1 for none.
        channel: Position of the channel, -1 for none.
        value: EUR of each customer's option, contact included; 0 for none.
        spend: Expected spend in EUR, contact included.
        prices: Dual prices: EUR of value per EUR of budget, then per contact in each window and channel; ``CLOSED``
            where the limit is zero.
        bound: No plan is worth more than this.
        core: Customers decided together.
    """

    action: Ints
    window: Ints
    channel: Ints
    value: Floats
    spend: Floats
    prices: Floats
    bound: float
    core: int

    @property
    def total(self) -> float:
        """Value of the whole plan in EUR."""
        return math.fsum(self.value)

    @property
    def gap(self) -> float:
        """Most that the plan can fall short of the optimum, in EUR."""
        return max(self.bound - self.total, 0.0)


def allocate(options: Options, limits: Limits, *, precision: float = TOLERANCE) -> Plan:
    """The plan; the same for the same customers in any order, but for customers who are alike in every number.

    Args:
        options: What may be done.
        limits: Budget and capacities.
        precision: Share of the bound that the plan may fall short of it before the closest choices are decided
            together, which takes most of the time of a small plan.
    """
    bounds = limits.bounds
    customers, some = worthwhile(options)
    solved = solve_dual(some, bounds)
    prices = solved.prices
    bound, _ = dual_height(some, bounds, prices)
    chosen = _repair(some, bounds, prices, solved.choose(some))
    # Once more, as sums that were rounded on the way may exceed the budget by a hair.
    chosen = _repair(some, bounds, prices, _fill(some, bounds, prices, chosen))
    chosen, core = _decide_core(some, bounds, prices, bound, chosen, precision)
    flat = np.full(len(options), NONE)
    flat[customers] = chosen
    taken = np.flatnonzero(chosen != NONE)
    gain, usage = usage_of(some, taken, chosen[taken])
    value, spend = np.zeros(len(options)), np.zeros(len(options))
    value[customers[taken]], spend[customers[taken]] = gain, usage[:, 0]
    action, window, channel = split_flat(flat, options.shape)
    return Plan(action, window, channel, value, spend, prices, max(bound, math.fsum(gain)), core)


def price_option(
    value: Floats, spend: Floats, windows: Ints, channels: Ints, prices: Floats, window_count: int
) -> Floats:
    """What options are worth at dual prices: what is above zero is worth its share of budget and capacity.

    Args:
        value: EUR, contact included.
        spend: Expected spend in EUR.
        windows: Position of the window of each option.
        channels: Position of the channel of each option.
        prices: Dual prices as in ``Plan``.
        window_count: Number of windows.
    """
    return np.asarray(value - prices[0] * spend - prices[1 + windows] - prices[1 + window_count + channels])


def option_table(options: Options, customers: Ints) -> tuple[Floats, Floats]:
    """Value and spend of every option of some customers; options that are not allowed are worth minus infinity.

    Returns:
        Two arrays of shape (customers, actions * windows * channels).
    """
    some = options.take(customers).cleaned()
    contact = some.values.reached[:, None, :, None].astype(np.float64) * some.contact_cost
    value = some.values.value[:, :, :, None].astype(np.float64) - contact
    spend = some.values.spend[:, :, :, None].astype(np.float64) + contact
    allowed = some.offers[:, :, :, None] & some.channels[:, None, None, :]
    flat = (len(customers), math.prod(options.shape))
    return np.where(allowed, value, -np.inf).reshape(flat), spend.reshape(flat)


def _used(usage: Floats) -> Floats:
    """Sums without rounding errors, which are the same in any order."""
    return np.append(math.fsum(usage[:, 0]), usage[:, 1:].sum(axis=0))


def _repair(options: Options, bounds: Floats, prices: Floats, chosen: Ints) -> Ints:
    """Drops the choices that are worth least for what they use, until no limit is exceeded."""
    kept = np.flatnonzero(chosen != NONE)
    value, usage = usage_of(options, kept, chosen[kept])
    reduced = value - (usage * prices).sum(axis=1)
    # The budget last, as the others free some of it.
    for limit in reversed(range(len(bounds))):
        while (excess := _used(usage)[limit] - bounds[limit]) > 0:
            users = np.flatnonzero(usage[:, limit] > 0)
            users = users[np.argsort(reduced[users] / usage[users, limit], kind="stable")]
            few = users[: 1 + int(np.searchsorted(np.cumsum(usage[users, limit]), excess))]
            kept, usage, reduced = np.delete(kept, few), np.delete(usage, few, axis=0), np.delete(reduced, few)
    repaired = np.full(len(chosen), NONE)
    repaired[kept] = chosen[kept]
    return repaired


def _fill(options: Options, bounds: Floats, prices: Floats, chosen: Ints) -> Ints:
    """Gives what is left to those who have nothing: at the prices first, below them later."""
    chosen = chosen.copy()
    for shade in SHADES:
        # Every round uses something up, or is the last one.
        for _ in range(len(bounds)):
            taken, idle = np.flatnonzero(chosen != NONE), np.flatnonzero(chosen == NONE)
            room = bounds - _used(usage_of(options, taken, chosen[taken])[1])
            shaded = shade * prices
            shaded[1:][room[1:] < 1] = CLOSED
            best, worth = best_options(options.take(idle), shaded)
            wanting = np.flatnonzero(best != NONE)
            wanting = wanting[np.argsort(-worth[wanting], kind="stable")]
            fits = wanting[_fitting(usage_of(options, idle[wanting], best[wanting])[1], room)]
            chosen[idle[fits]] = best[fits]
            if not len(fits):
                break
    return chosen


def _fitting(usage: Floats, room: Floats) -> Ints:
    """Positions of what can be taken in turn, passing over what does not fit."""
    taken, left = [np.empty(0, np.int64)], np.arange(len(usage))
    for _ in range(PASSES):
        left = left[(usage[left] <= room).all(axis=1)]
        if not len(left):
            break
        total = np.cumsum(usage[left], axis=0)
        over = (total > room).any(axis=1)
        end = int(over.argmax()) if over.any() else len(left)
        taken.append(left[:end])
        room, left = room - total[end - 1], left[end:]
    return np.concatenate(taken)


def _decide_core(
    options: Options, bounds: Floats, prices: Floats, bound: float, chosen: Ints, precision: float
) -> tuple[Ints, int]:
    """Decides the closest choices anew, all together, with the others as they are; the better of both plans."""
    taken = np.flatnonzero(chosen != NONE)
    value, usage = usage_of(options, taken, chosen[taken])
    total = math.fsum(value)
    gap = bound - total
    if gap <= precision * bound:
        return chosen, 0
    # First those whose choice is not the best at the prices, by what they lose; then those whose choice is close. One
    # that loses more than the gap is in no plan that is better than this one.
    lost = best_options(options, prices)[1]
    lost[taken] -= value - (usage * prices).sum(axis=1)
    urgency = np.where(lost > TOLERANCE * gap, -lost, leads(options, prices))
    near = np.flatnonzero(urgency <= gap)
    if not len(near):
        return chosen, 0
    core = np.sort(near[np.argsort(urgency[near], kind="stable")[:CORE]])
    held = ~np.isin(taken, core)
    room = bounds - _used(usage[held])
    worth = math.fsum(value[~held])
    # The tolerance is a share of the whole plan, the solver's one of the core.
    tolerance = min(TOLERANCE * total / worth, 0.01) if worth > 0 else TOLERANCE
    for less in (0.0, SLACK):
        room[0] -= less
        decided = chosen.copy()
        decided[core] = _solve_core(options, core, room, prices, gap, tolerance)
        taken = np.flatnonzero(decided != NONE)
        value, usage = usage_of(options, taken, decided[taken])
        if (_used(usage) <= bounds).all():
            return (decided if math.fsum(value) > total else chosen), len(core)
    return chosen, len(core)


def _solve_core(options: Options, core: Ints, room: Floats, prices: Floats, gap: float, tolerance: float) -> Ints:
    """Best choices of the core within some room, of those that are worth nearly as much as the best at the prices."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, csr_array, vstack

    who, option = np.nonzero(option_table(options, core)[0] > 0)
    worth, usage = usage_of(options, core[who], option)
    reduced = worth - (usage * prices).sum(axis=1)
    best = np.zeros(len(core))
    np.maximum.at(best, who, reduced)
    close = best[who] - reduced <= gap * (1 + TOLERANCE)
    who, option, worth, usage = who[close], option[close], worth[close], usage[close]
    limited = np.isfinite(room)
    once = coo_array((np.ones(len(who)), (who, np.arange(len(who)))), shape=(len(core), len(who)))
    matrix = vstack([csr_array(usage[:, limited].T), once]).tocsr()
    most = np.concatenate([np.maximum(room[limited], 0.0), np.ones(len(core))])
    with _without_output():
        found = milp(
            -worth,
            constraints=LinearConstraint(matrix, -np.inf, most),
            integrality=np.ones(len(who)),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": tolerance, "node_limit": NODES},
        )
    picked = np.full(len(core), NONE)
    if found.x is not None:
        on = np.flatnonzero(found.x > 0.5)
        picked[who[on]] = option[on]
    return picked


@contextmanager
def _without_output() -> Iterator[None]:
    """Keeps what a library in C prints off the process's standard output, for as long as the block runs.

    The solver writes a line for every better plan that it finds, whatever it is asked.
    """
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    libc.fflush(None)
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        libc.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
