"""What may be done with every customer, within which limits, and the prices at which the limits are kept.

Choosing at most one option per customer under a budget and capacities is a multiple-choice knapsack with several
limits. Its Lagrangian dual has one price per limit. At given prices every customer's best option is found alone, so the
dual function takes one pass over the customers. It is convex and piecewise linear, and never below the worth of any
plan within the limits. Its lowest point is found by cutting planes (Kelley, 1960) in a box around the best point so
far, which shrinks where they promise too much and grows where they do not.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from spanishgas.errors import ConfigError
from spanishgas.policy.economics import Values

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NONE = -1
CHUNK = 50_000
ITERATIONS = 200
# Share of the dual function that further work could bring at most.
TOLERANCE = 1e-6
# The same for a sample, which is no better than this anyway.
ROUGH = 1e-4
SAMPLE = 20_000
# How far from the sample's prices those of all customers are looked for at first, and below which share of them again
# among everybody.
NEAR = 0.01
LOWER = 0.8
# How much further to look where the box holds nothing lower.
WIDER = 8
# Price of what there is nothing of.
CLOSED = 1e12
# Multiples of it spread evenly between whole numbers.
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Options:
    """What may be done with every customer; options with a missing number or a negative cost are not allowed.

    Attributes:
        values: Worth and cost of offers before the contact.
        contact_cost: Cost of a contact by channel in EUR, shape (channels,).
        offers: Whether an offer may be made in a window, shape (customers, actions, windows).
        channels: Whether a channel may be used, shape (customers, channels).
    """

    values: Values
    contact_cost: Floats
    offers: Bools
    channels: Bools

    def __len__(self) -> int:
        return len(self.offers)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Actions, windows, channels."""
        return self.offers.shape[1], self.offers.shape[2], len(self.contact_cost)

    def take(self, chosen: slice | Ints) -> "Options":
        """Some of the customers."""
        worth = self.values
        part = Values(worth.value[chosen], worth.spend[chosen], worth.reached[chosen], worth.baseline[chosen])
        return replace(self, values=part, offers=self.offers[chosen], channels=self.channels[chosen])

    def cleaned(self) -> "Options":
        """The options with what is missing or makes no sense ruled out, and zero in its place."""
        worth, cost, zero = self.values, self.contact_cost, np.float32(0)
        there = np.isfinite(worth.reached) & (worth.reached >= 0)
        known = np.isfinite(worth.value) & np.isfinite(worth.spend) & (worth.spend >= 0) & there[:, None, :]
        usable = np.isfinite(cost) & (cost >= 0)
        value, spend = np.where(known, worth.value, zero), np.where(known, worth.spend, zero)
        values = Values(value, spend, np.where(there, worth.reached, zero), worth.baseline)
        return Options(values, np.where(usable, cost, 0.0), self.offers & known, self.channels & usable)


@dataclass(frozen=True)
class Limits:
    """What may be spent and done; infinity where there is no limit, nothing where it is negative.

    Attributes:
        budget: Expected spend on discounts and contacts in EUR.
        windows: Most contacts per window, shape (windows,).
        channels: Most contacts per channel, shape (channels,).
    """

    budget: float
    windows: Floats
    channels: Floats

    @property
    def bounds(self) -> Floats:
        """Budget, windows, channels in one; contacts are whole."""
        bounds = np.array([self.budget, *np.floor(self.windows), *np.floor(self.channels)], np.float64)
        if np.isnan(bounds).any():
            raise ConfigError("a limit is not a number", where="budget", todo="Set a number, or infinity for no limit")
        return np.maximum(bounds, 0.0)


def worthwhile(options: Options) -> tuple[Ints, Options]:
    """Customers with any option of positive value, in an order that only their numbers decide, and their options."""
    free = np.zeros(1 + sum(options.shape[1:]))
    gains = np.zeros(len(options), np.bool_)
    for part in _parts(len(options)):
        gains[part] = best_options(options.take(part).cleaned(), free)[0] != NONE
    customers = np.flatnonzero(gains)
    some = options.take(customers).cleaned()
    worth, key = some.values, np.zeros(len(customers), np.uint64)
    for array in (worth.value, worth.spend, worth.reached, some.offers, some.channels):
        for column in array.reshape(len(customers), math.prod(array.shape[1:])).T:
            # Mixes the bits of one more number into the key.
            key = (key ^ column.astype(np.float32).view(np.uint32)) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
    order = np.argsort(key, kind="stable")
    return customers[order], some.take(order)


def best_options(options: Options, prices: Floats) -> tuple[Ints, Floats]:
    """Best option of each customer at some prices as a flat position, and its worth there; ``NONE`` if not above zero.

    Args:
        options: Cleaned.
        prices: Of budget, windows and channels.
    """
    best, worth = np.empty(len(options), np.int64), np.empty(len(options))
    _, windows, channels = options.shape
    for part in _parts(len(options)):
        offer, contact = _at_prices(options.take(part), prices)
        # Which channel is best depends on the window only.
        cheapest = contact.argmin(axis=2)
        least = np.take_along_axis(contact, cheapest[:, :, None], axis=2)[:, :, 0]
        flat = (offer - least[:, None, :]).reshape(len(offer), -1)
        chosen = flat.argmax(axis=1)[:, None]
        worth[part] = np.take_along_axis(flat, chosen, axis=1)[:, 0]
        best[part] = (chosen * channels + np.take_along_axis(cheapest, chosen % windows, axis=1))[:, 0]
    return np.where(worth > 0, best, NONE), np.maximum(worth, 0.0)


def leads(options: Options, prices: Floats) -> Floats:
    """By how much the best choice of each customer beats the second best at some prices; none is a choice too."""
    lead = np.empty(len(options))
    for part in _parts(len(options)):
        offer, contact = _at_prices(options.take(part), prices)
        flat = (offer[:, :, :, None] - contact[:, None, :, :]).reshape(len(offer), -1)
        ordered = np.partition(np.hstack([flat, np.zeros((len(flat), 1))]), -2, axis=1)
        lead[part] = ordered[:, -1] - ordered[:, -2]
    return lead


def usage_of(options: Options, customers: Ints, flat: Ints) -> tuple[Floats, Floats]:
    """Value of one option each of some customers, and what it uses of every limit, shape (customers, limits)."""
    _, windows, _ = options.shape
    action, window, channel = split_flat(flat, options.shape)
    worth, rows = options.values, np.arange(len(customers))
    contact = worth.reached[customers, window].astype(np.float64) * options.contact_cost[channel]
    usage = np.zeros((len(customers), 1 + sum(options.shape[1:])))
    usage[:, 0] = worth.spend[customers, action, window].astype(np.float64) + contact
    usage[rows, 1 + window] = 1
    usage[rows, 1 + windows + channel] = 1
    return worth.value[customers, action, window].astype(np.float64) - contact, usage


def split_flat(flat: Ints, shape: tuple[int, int, int]) -> tuple[Ints, Ints, Ints]:
    """Positions of action, window and channel of flat options; ``NONE`` for none."""
    _, windows, channels = shape
    parts = (flat // (windows * channels), flat // channels % windows, flat % channels)
    action, window, channel = (np.where(flat == NONE, NONE, part) for part in parts)
    return action, window, channel


def dual_height(options: Options, bounds: Floats, prices: Floats) -> tuple[float, Floats]:
    """Height of the dual function at some prices, and one of its slopes there."""
    finite = np.where(np.isfinite(bounds), bounds, 0.0)
    chosen, worth = best_options(options, prices)
    taken = np.flatnonzero(chosen != NONE)
    _, usage = usage_of(options, taken, chosen[taken])
    return float(prices @ finite) + float(worth.sum()), finite - usage.sum(axis=0)


@dataclass(frozen=True)
class Solved:
    """The lowest point of the dual function.

    Attributes:
        prices: Prices there.
        points: Prices around it, shape (points, limits).
        shares: How many of the customers to give their best at each of these prices so that the limits are kept.
    """

    prices: Floats
    points: Floats
    shares: Floats

    def choose(self, options: Options) -> Ints:
        """Best option of each customer at one of the points; customers who are alike are spread over all of them."""
        chosen = np.full(len(options), NONE)
        spread = np.arange(len(options)) * GOLDEN % 1 * self.shares.sum()
        point = np.minimum(np.searchsorted(np.cumsum(self.shares), spread, side="right"), len(self.shares) - 1)
        for position, prices in enumerate(self.points):
            customers = np.flatnonzero(point == position)
            chosen[customers] = best_options(options.take(customers), prices)[0]
        return chosen


def solve_dual(options: Options, bounds: Floats) -> Solved:
    """Where the dual function is lowest; for many customers sought on a sample first, which saves passes.

    Args:
        options: As from ``worthwhile``: alike customers beside each other, else in no order that means anything.
        bounds: As in ``Limits``.
    """
    free = np.where(bounds > 0, 0.0, CLOSED)
    step = len(options) // SAMPLE
    if step <= 1:
        return _descend(options, bounds, free, None, TOLERANCE)
    sample = options.take(np.arange(0, len(options), step))
    start = _descend(sample, bounds * (len(sample) / len(options)), free, None, ROUGH).prices
    # Who gets nothing at somewhat lower prices gets nothing from there upwards, and need not be asked again.
    low = LOWER * start
    some = options.take(np.flatnonzero(best_options(options, low)[0] != NONE))
    solved = _descend(some, bounds, start, NEAR, TOLERANCE)
    if (np.vstack([solved.prices, solved.points]) >= low).all():
        return solved
    return _descend(options, bounds, solved.prices, NEAR, TOLERANCE)


@dataclass
class _Model:
    """The dual function from below: planes that touch it where it was visited.

    Attributes:
        options: Cleaned.
        bounds: As in ``Limits``.
        limited: Positions of the limits that are neither infinite nor zero; the other prices are fixed.
        best: Prices of the lowest point visited.
        height: Height there.
        points: Prices visited.
        slopes: Slopes of the planes.
        offsets: Their heights at zero prices.
    """

    options: Options
    bounds: Floats
    limited: Ints
    best: Floats
    height: float = math.inf
    points: list[Floats] = field(default_factory=list)
    slopes: list[Floats] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)

    def visit(self, prices: Floats) -> bool:
        """Adds the plane at some prices; whether this is the lowest point so far."""
        height, slope = dual_height(self.options, self.bounds, prices)
        self.points.append(prices)
        self.slopes.append(slope[self.limited])
        self.offsets.append(height - float(slope[self.limited] @ prices[self.limited]))
        lower = height < self.height
        if lower:
            self.best, self.height = prices, height
        return lower

    def lowest(self, low: Floats, high: Floats) -> tuple[Floats, float, Floats] | None:
        """Lowest point of the planes within a box of limited prices, the height there, and shares of the planes."""
        from scipy.optimize import linprog

        rows = np.column_stack([np.array(self.slopes), -np.ones(len(self.slopes))])
        target = np.append(np.zeros(len(low)), 1.0)
        box = [*zip(low, high, strict=True), (0.0, None)]
        found = linprog(target, rows, -np.array(self.offsets), bounds=box, method="highs")
        if found.status != 0:
            return None
        prices = self.best.copy()
        prices[self.limited] = np.clip(found.x[:-1], low, high)
        return prices, float(found.x[-1]), np.maximum(-found.ineqlin.marginals, 0.0)


def _descend(options: Options, bounds: Floats, start: Floats, near: float | None, tolerance: float) -> Solved:
    """Where the dual function is lowest, sought within a share of the prices to start from first, if given."""
    free = np.where(bounds > 0, 0.0, CLOSED)
    limited = np.flatnonzero(np.isfinite(bounds) & (bounds > 0))
    model = _Model(options, bounds, limited, free)
    model.visit(free)
    # At a higher price the limit alone would cost more than there is to gain.
    most = np.minimum(model.height / bounds[limited], CLOSED)
    if not most.any():
        return Solved(free, free[None], np.ones(1))
    if start[limited].any():
        model.visit(start)
    shares = np.ones(1)
    radius = most if near is None else np.minimum(most, near * np.maximum(start[limited], near * most))
    for _ in range(ITERATIONS):
        middle = model.best[limited]
        low, high = np.maximum(middle - radius, 0.0), np.minimum(middle + radius, most)
        found = model.lowest(low, high)
        if found is None:
            break
        prices, promised, shares = found
        if model.height - promised <= tolerance * model.height:
            if (low <= 0).all() and (high >= most).all():
                break
            radius = np.minimum(most, radius * WIDER)
        else:
            radius = np.minimum(most, radius * (2 if model.visit(prices) else 0.5))
    used = np.flatnonzero(shares)
    return Solved(model.best, np.array(model.points)[used], shares[used])


def _at_prices(options: Options, prices: Floats) -> tuple[Floats, Floats]:
    """Worth of offers before contact, (customers, actions, windows), and cost of contacts, (.., windows, channels)."""
    windows, worth = options.shape[1], options.values
    contact = (1 + prices[0]) * worth.reached[:, :, None].astype(np.float64) * options.contact_cost
    contact = np.where(options.channels[:, None, :], contact + prices[1 + windows :], np.inf)
    offer = worth.value.astype(np.float64) - prices[0] * worth.spend.astype(np.float64) - prices[1 : 1 + windows]
    return np.where(options.offers, offer, -np.inf), contact


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, CHUNK):
        yield slice(start, min(start + CHUNK, count))
