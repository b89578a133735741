"""Why customers leave: monthly hazards from causes that change over time and from traits that nobody sees."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanishgas.config import DemoSettings
from spanishgas.demo.market import Market
from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.population import COMPARATOR, SECOND_HOME, Population

Bools = npt.NDArray[np.bool_]
MOVE_OUT_MONTHLY = 0.003
MAX_MONTHLY = 0.65
MOOD_MEMORY = 0.8
MOOD_SHOCK = np.sqrt(1 - MOOD_MEMORY**2)
# An unresolved complaint counts in the months after it, less and less.
FADING = (1.0, 0.8, 0.5)
UNRESOLVED_SHARE = 0.45
DAYS_PER_MONTH = 30.44
# How much a renewal matters, by months until it (0: in its month; 11: in the month before).
RENEWAL_BUMP = np.array([1.0, 0.85, 0.35, 0.05, 0, 0, 0, 0, 0, 0, 0.05, 0.35])


@dataclass(frozen=True)
class Causes:
    """Time-varying causes, each of shape (customers, months).

    Attributes:
        mood: Dissatisfaction, about standard normal.
        complaints: Whether the customer complains in the month.
        unresolved: Unresolved complaints, fading over the months.
        renewal: Closeness of the renewal, 0 to 1.
        tenure_years: Years since activation, negative before it.
        state: The part of the mood that wanders, standard normal.
        open_ended: Whether the customer complains in the month and it is not resolved.
    """

    mood: Floats
    complaints: Bools
    unresolved: Floats
    renewal: Floats
    tenure_years: Floats
    state: Floats
    open_ended: Bools


@dataclass(frozen=True)
class Standing:
    """Where hidden causes stand at a month.

    Attributes:
        month: Position of the month.
        state: The part of the mood that wanders, shape (customers,).
        open_ended: Unresolved complaints of the month and the two before it, newest first, shape (customers, 3).
    """

    month: int
    state: Floats
    open_ended: Bools


def draw_causes(population: Population, market: Market, noise: Noise, standing: Standing | None = None) -> Causes:
    """Draws moods and complaints and works out what follows from the calendar.

    Args:
        population: Customers.
        market: Price paths.
        noise: Draws.
        standing: What to go on from; months before it are then of no meaning.
    """
    customers, months = market.gap.shape
    customer, month = population.index[:, None], np.arange(months)[None, :]
    shocks = noise.normal("mood", customer, month)
    state = np.empty((customers, months))
    now = noise.normal("first_mood", population.index)
    for step in range(months):
        now = MOOD_MEMORY * now + MOOD_SHOCK * shocks[:, step]
        if standing is not None and step == standing.month:
            now = standing.state
        state[:, step] = now
    mood = mood_of(population.grumpiness[:, None], state, market.rise)
    complaints = noise.uniform("complaint", customer, month) < complaint_chance(mood)
    open_ended = complaints & (noise.uniform("unresolved", customer, month) < UNRESOLVED_SHARE)
    if standing is not None:
        for ago in range(min(len(FADING), standing.month + 1)):
            open_ended[:, standing.month - ago] = standing.open_ended[:, ago]
    unresolved = np.zeros((customers, months))
    # A complaint begins to count in the month after it: a file can know of it before it matters.
    for lag, weight in enumerate(FADING, start=1):
        unresolved[:, lag:] += weight * open_ended[:, :-lag]
    age = market.months[None, :] - population.activation[:, None]
    return Causes(
        mood=mood,
        complaints=complaints,
        unresolved=unresolved,
        renewal=RENEWAL_BUMP[market.to_renewal],
        tenure_years=age.astype("int64") / 365.25,
        state=state,
        open_ended=open_ended,
    )


def mood_of(grumpiness: Floats, state: Floats, rise: Floats) -> Floats:
    """Dissatisfaction from the trait, from what wanders, and from how the price has risen."""
    return np.asarray(0.55 * grumpiness + 0.75 * state + 1.2 * np.clip(rise, -0.2, 0.3))


def complaint_chance(mood: Floats) -> Floats:
    """Probability of a complaint within the month."""
    return np.minimum(0.5, 0.016 * np.exp(1.1 * mood))


def switch_log_hazard(population: Population, market: Market, causes: Causes) -> Floats:
    """Log of the monthly hazard of switching to a competitor, up to a constant, shape (customers, months).

    The causes interact: a dear price matters most at a renewal and where competitors are active; an open complaint
    turns into leaving when the contract ends.
    """
    dear = np.clip(market.gap, -0.25, 0.45)
    above = np.maximum(dear, 0.0)
    sensitivity = population.sensitivity[:, None]
    competition = population.competition[:, None]
    per_customer = (
        population.frailty
        + 0.5 * population.competition
        + 0.4 * (population.channel == COMPARATOR)
        - 0.25 * population.has_gas
        - 0.20 * (population.segment == SECOND_HOME)
    )
    return np.asarray(
        per_customer[:, None]
        + 0.9 * causes.renewal
        + 3.0 * sensitivity * dear
        + 7.0 * sensitivity * causes.renewal * above
        + 4.0 * competition * sensitivity * above
        + 0.45 * causes.mood
        + 1.3 * np.minimum(causes.unresolved, 1.5)
        + 1.5 * np.minimum(causes.unresolved, 1.5) * causes.renewal
        - 0.55 * np.log1p(np.maximum(causes.tenure_years, 0.0))
    )


def monthly_hazard(intercept: float, log_hazard: Floats) -> Floats:
    """Monthly hazard of switching."""
    return np.minimum(MAX_MONTHLY, np.exp(intercept + log_hazard))


def calibrate(settings: DemoSettings, log_hazard: Floats, supplied: Bools, months_of_history: int) -> float:
    """Intercept at which the mean 90-day probability of leaving is the one asked for.

    The mean is over customers and months of history, weighted by the chance that the customer is still there; it does
    not look beyond ``settings.end``, so that continuing a world leaves its past alone.
    """
    usable = max(months_of_history - 3, 1)
    low, high = -12.0, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        stay = np.where(supplied, (1 - monthly_hazard(middle, log_hazard)) * (1 - MOVE_OUT_MONTHLY), 1.0)
        log_stay = np.log(stay[:, : usable + 3])
        still_there = np.exp(np.cumsum(log_stay, axis=1) - log_stay) * supplied[:, : usable + 3]
        ahead = np.stack([log_stay[:, offset : offset + usable] for offset in (0, 1, 2)]).sum(axis=0)
        leaving = 1 - np.exp(ahead * (90 / (3 * DAYS_PER_MONTH)))
        weights = still_there[:, :usable]
        if (leaving * weights).sum() / max(weights.sum(), 1e-12) < settings.churn_rate_90d:
            low = middle
        else:
            high = middle
    return (low + high) / 2
