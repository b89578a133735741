"""The truth that only a demo knows: probabilities of leaving and margins, with and without every offer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import DemoSettings
from spanishgas.demo.hazards import MOVE_OUT_MONTHLY, Causes, monthly_hazard
from spanishgas.demo.market import TOLL, Market, energy_cost
from spanishgas.demo.noise import Floats
from spanishgas.demo.offers import ACTIONS, DISCOUNT, WINDOWS, response_at
from spanishgas.demo.population import Population
from spanishgas.domain.units import MONTHS_PER_YEAR

WINDOW_DAYS = 30
HORIZON_DAYS = 90
EFFECT_DAYS = 91


@dataclass(frozen=True)
class Hazards:
    """What the true probabilities are made of; shapes (customers, months)."""

    intercept: float
    log_switch: Floats
    past_shift: Floats


def days_in_months(market: Market) -> npt.NDArray[np.int64]:
    """Length of each month in days."""
    following = market.months.astype("datetime64[M]") + 1
    return (following.astype("datetime64[D]") - market.months).astype("int64")


def daily_log_survival(hazards: Hazards, market: Market, months: slice, extra: Floats | float = 0.0) -> Floats:
    """Log of the probability of staying through one day of each month, shape (customers, months)."""
    log_hazard = hazards.log_switch[:, months] + hazards.past_shift[:, months] + extra
    switch = monthly_hazard(hazards.intercept, log_hazard)
    stay = (1 - switch) * (1 - MOVE_OUT_MONTHLY)
    return np.asarray(np.log(stay) / days_in_months(market)[months][None, :])


def monthly_margin(population: Population, market: Market, month: int, discount: float = 0.0) -> Floats:
    """Expected margin of a month before VAT in EUR, shape (customers,)."""
    kwh = population.annual_kwh / MONTHS_PER_YEAR
    price = market.price[:, month] * 1.03 * (1 - discount)
    cost = energy_cost(market)[month] + TOLL
    gas = np.where(population.has_gas, 0.06 * 8766 / MONTHS_PER_YEAR * 0.25 + (96.0 - 61.0) / MONTHS_PER_YEAR, 0.0)
    return np.asarray(kwh * (price - cost) + (2.1 + 0.95 * population.power_kw) * 0.26 + gas)


def truth_at(
    settings: DemoSettings, population: Population, market: Market, causes: Causes, hazards: Hazards, month: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth for an `as_of` at the end of a month, for customers supplied then.

    Args:
        settings: The world.
        population: Customers.
        market: Price paths.
        causes: Causes of leaving.
        hazards: True hazards.
        month: Position of the month whose last day is the `as_of`.

    Returns:
        ``hazards``: customer, as_of, p_0_30, p_30_60, p_60_90 (hazards of the windows if no offer is made from now on),
        p_horizon, margin_eur. ``offers``: customer, as_of, action, timing_window, p_accept, the window hazards and
        margin_eur if accepted, under that offer.
    """
    ahead = slice(month + 1, month + 5)
    lengths = days_in_months(market)[ahead]
    of_day = np.repeat(np.arange(len(lengths)), lengths)[:HORIZON_DAYS]
    as_of = (market.months[month].astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    base = daily_log_survival(hazards, market, ahead)[:, of_day]
    margin = monthly_margin(population, market, month)
    common = {"customer_id": population.ids, "as_of": as_of}
    truth = pd.DataFrame({**common, **_windows(base), "margin_eur": margin.astype(np.float32)})
    response = response_at(settings, population, market, causes, month + 1)
    frames: list[pd.DataFrame] = []
    for number, action in enumerate(ACTIONS[1:], start=1):
        discounted = monthly_margin(population, market, month, DISCOUNT[action]).astype(np.float32)
        for position, window in enumerate(WINDOWS):
            start = position * WINDOW_DAYS
            acting = (np.arange(HORIZON_DAYS) >= start) & (np.arange(HORIZON_DAYS) < start + EFFECT_DAYS)
            accept = response.acceptance[:, number, position]
            contact = response.contact_shift[:, None]
            taken = daily_log_survival(hazards, market, ahead, response.accepted_shift[:, number, None] + contact)[
                :, of_day
            ]
            refused = daily_log_survival(hazards, market, ahead, contact)[:, of_day]
            mixed = _mix(base, taken, refused, accept, acting)
            frames.append(
                pd.DataFrame(
                    {
                        **common,
                        "action": action,
                        "timing_window": window,
                        "p_accept": accept.astype(np.float32),
                        **_windows(mixed),
                        "margin_eur": discounted,
                    }
                )
            )
    return truth, pd.concat(frames, ignore_index=True)


def _mix(base: Floats, taken: Floats, refused: Floats, accept: Floats, acting: npt.NDArray[np.bool_]) -> Floats:
    """Daily log survival averaged over who accepts: survival is averaged, not the hazard."""
    log_taken = np.cumsum(np.where(acting, taken, base), axis=1)
    log_refused = np.cumsum(np.where(acting, refused, base), axis=1)
    survival = accept[:, None] * np.exp(log_taken) + (1 - accept[:, None]) * np.exp(log_refused)
    return np.diff(np.log(survival), axis=1, prepend=0.0)


def _windows(log_stay: Floats) -> dict[str, npt.NDArray[np.float32]]:
    sums = log_stay.reshape(len(log_stay), HORIZON_DAYS // WINDOW_DAYS, WINDOW_DAYS).sum(axis=2)
    named = {f"p_{30 * k}_{30 * k + 30}": 1 - np.exp(sums[:, k]) for k in range(sums.shape[1])}
    named["p_horizon"] = 1 - np.exp(sums.sum(axis=1))
    return {name: values.astype(np.float32) for name, values in named.items()}
