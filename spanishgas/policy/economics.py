"""What an offer is worth: the change in expected margin over the horizon, in euros of today.

For a customer, an offer ``a`` and a window ``w``

    V = sum_t delta^t (S_a(t) - S_0(t)) m - p sum_t delta^t S_accepted(t) d - c delta^(w-1) S_0(w-1)

with S the probability of still being a customer at the end of month t, m the monthly margin, p the probability of
accepting, d the monthly discount before VAT, c the cost of the contact. S_a is averaged over who accepts and who does
not; both are contacted. Those who would have stayed and take the discount are part of the cost.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanishgas.config import EconomicsSettings
from spanishgas.domain.repricing import Amounts

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ACTIONS = ("small", "medium", "large")
WINDOWS = ("immediate", "30_60", "60_90")
WINDOW_DAYS = 30
MONTHS_PER_YEAR = 12
# Hazards are kept below one: a certain leaver has no odds.
MOST = 1 - 1e-9


@dataclass(frozen=True)
class Response:
    """How customers respond to offers; every array has the shape (customers, actions, windows).

    Attributes:
        acceptance: Probability of accepting.
        accepted_ratio: Factor on the monthly hazard of those who accept.
        refused_ratio: Factor on the monthly hazard of those who do not; above 1 where contact does harm.
    """

    acceptance: Floats
    accepted_ratio: Floats
    refused_ratio: Floats

    @property
    def mean_ratio(self) -> Floats:
        """Factor on the hazard, averaged over those who accept and those who do not."""
        return np.asarray(self.acceptance * self.accepted_ratio + (1 - self.acceptance) * self.refused_ratio)

    def take(self, part: slice | npt.NDArray[np.bool_]) -> "Response":
        """The response of some of the customers."""
        return Response(self.acceptance[part], self.accepted_ratio[part], self.refused_ratio[part])


# The response of some of the customers: nobody needs that of all at once.
Respond = Callable[[slice], Response]


@dataclass(frozen=True)
class Values:
    """What each offer in each window is worth, before the cost of the contact, which depends on the channel.

    Attributes:
        value: EUR, shape (customers, actions, windows).
        spend: Expected discount in EUR, same shape.
        reached: Discounted probability that the customer is still there to be contacted, shape (customers, windows).
        baseline: Expected margin over the horizon without any offer in EUR, shape (customers,).
    """

    value: Single
    spend: Single
    reached: Single
    baseline: Single


def monthly_hazards(hazards: Floats, months: int) -> Floats:
    """Hazard of each month of the horizon; after the last window known, the mean hazard of the windows goes on.

    Args:
        hazards: Window hazards, shape (customers, windows).
        months: Months of the horizon.

    Returns:
        Shape (customers, months).
    """
    known = np.clip(hazards[:, :months], 0.0, MOST)
    later = 1 - np.prod(1 - known, axis=1, keepdims=True) ** (1 / known.shape[1])
    return np.hstack([known, np.repeat(later, max(months - known.shape[1], 0), axis=1)])


def cumulative_hazard(hazards: Floats, days: Floats) -> Floats:
    """Cumulative hazard up to some days after the date of the hazards; after the last window its mean goes on.

    Args:
        hazards: Window hazards, shape (customers, windows).
        days: Shape (customers,).
    """
    rates = -np.log1p(-np.clip(hazards, 0.0, MOST)) / WINDOW_DAYS
    count = hazards.shape[1]
    inside = np.clip(days[:, None] - WINDOW_DAYS * np.arange(count)[None, :], 0, WINDOW_DAYS)
    later = np.maximum(days - WINDOW_DAYS * count, 0)
    return np.asarray((rates * inside).sum(axis=1) + rates.mean(axis=1) * later)


def hazards_with_offer(hazards: Floats, action: Ints, window: Ints, response: Response, effect_months: int) -> Floats:
    """Window hazards of customers with an offer, over who accepts and who does not.

    Args:
        hazards: Window hazards without an offer, shape (customers, windows).
        action: Position of the offer of each customer.
        window: Position of its window.
        response: Their response.
        effect_months: Months that the offer acts.

    Returns:
        Shape (customers, windows), for those still there.
    """
    rows, base = np.arange(len(hazards)), np.clip(hazards, 0.0, MOST)
    chance = response.acceptance[rows, action, window][:, None]
    stay = np.zeros((len(base), 1 + base.shape[1]))
    month = np.arange(base.shape[1])[None, :]
    acting = (month >= window[:, None]) & (month < window[:, None] + effect_months)
    for ratios, share in ((response.accepted_ratio, chance), (response.refused_ratio, 1 - chance)):
        changed = np.minimum(base * ratios[rows, action, window][:, None], MOST)
        stay[:, 1:] += share * np.cumprod(1 - np.where(acting, changed, base), axis=1)
    stay[:, 0] = 1.0
    return np.asarray(1 - stay[:, 1:] / stay[:, :-1])


def value_offers(
    hazards: Floats,
    margin: Floats | Amounts,
    bill: Floats | Amounts,
    discount_shares: Sequence[float],
    respond: Respond,
    settings: EconomicsSettings,
    *,
    unavoidable: float = 0.0,
    chunk: int = 50_000,
) -> Values:
    """Values of every offer in every window.

    Args:
        hazards: Monthly hazards without any offer, shape (customers, windows); see ``monthly_hazards``.
        margin: Expected margin per month in EUR, shape (customers,), or (customers, months) where it is known month by
            month, or ``Amounts``; NaN gives NaN values.
        bill: Amount per month that the discount is a share of, in EUR before VAT; same shapes.
        discount_shares: Share that each action takes off.
        respond: How customers respond.
        settings: Horizon, discount rate, months of effect and of discount.
        unavoidable: Monthly hazard that no offer changes, as of those who move out; part of ``hazards``.
        chunk: Customers worked on at a time; bounds memory.
    """
    count, actions, windows, months = len(hazards), len(discount_shares), len(WINDOWS), settings.horizon_months
    value = np.empty((count, actions, windows), np.float32)
    spend, reached = np.empty_like(value), np.empty((count, windows), np.float32)
    baseline = np.empty(count, np.float32)
    delta = (1 + settings.discount_rate_year) ** (-np.arange(1, months + 1) / MONTHS_PER_YEAR)
    for part in _parts(count, chunk):
        base = monthly_hazards(hazards[part], months)
        stay = np.cumprod(1 - base, axis=1)
        worth, paid = by_month(margin[part], months) * delta, by_month(bill[part], months) * delta
        there = np.hstack([np.ones((len(stay), 1)), stay[:, : windows - 1]])
        reached[part] = there * np.append(1.0, delta[: windows - 1])[None, :]
        baseline[part] = (stay * worth).sum(axis=1)
        some = respond(part)
        for window in range(windows):
            touched = slice(window, window + settings.effect_months)
            discounted = slice(window, window + settings.discount_months)
            for action, share in enumerate(discount_shares):
                accepted = _stay(base, touched, some.accepted_ratio[:, action, window], unavoidable)
                refused = _stay(base, touched, some.refused_ratio[:, action, window], unavoidable)
                chance = some.acceptance[:, action, window]
                kept = chance[:, None] * accepted + (1 - chance[:, None]) * refused - stay
                cost = chance * share * (accepted[:, discounted] * paid[:, discounted]).sum(axis=1)
                value[part, action, window] = (kept * worth).sum(axis=1) - cost
                spend[part, action, window] = cost
    return Values(value, spend, reached, baseline)


def by_month(amount: Floats | Amounts, months: int) -> Floats:
    """A monthly amount for every month; the last one known goes on."""
    if isinstance(amount, Amounts):
        return amount.by_month(months)
    if amount.ndim == 1:
        return np.repeat(amount[:, None], months, axis=1)
    return np.hstack([amount[:, :months], np.repeat(amount[:, -1:], max(months - amount.shape[1], 0), axis=1)])


def _stay(base: Floats, touched: slice, ratio: Floats, unavoidable: float) -> Floats:
    """Probability of still being there at the end of each month, with the hazard of some months scaled."""
    hazard = base.copy()
    avoidable = 1 - (1 - base[:, touched]) / (1 - unavoidable)
    hazard[:, touched] = 1 - (1 - np.minimum(avoidable * ratio[:, None], MOST)) * (1 - unavoidable)
    return np.asarray(np.cumprod(1 - hazard, axis=1))


def _parts(count: int, chunk: int) -> Iterator[slice]:
    for start in range(0, count, chunk):
        yield slice(start, min(start + chunk, count))
