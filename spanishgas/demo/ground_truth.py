"""The truth that only a demo knows: probabilities of leaving and margins, with and without every offer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import DemoSettings
from spanishgas.demo.hazards import MOVE_OUT_MONTHLY, Causes, monthly_hazard
from spanishgas.demo.market import TOLL, Market, energy_cost
from spanishgas.demo.noise import Floats
from spanishgas.demo.offers import ACTIONS, WINDOWS, response_at
from spanishgas.demo.population import Population
from spanishgas.domain.units import MONTHS_PER_YEAR

WINDOW_DAYS = 30
HORIZON_DAYS = 90
# Months ahead that the truth is told for.
MONTHS_TOLD = 24


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


def daily_log_survival(hazards: Hazards, market: Market, months: slice) -> Floats:
    """Log of the probability of staying through one day of each month, shape (customers, months)."""
    log_hazard = hazards.log_switch[:, months] + hazards.past_shift[:, months]
    switch = monthly_hazard(hazards.intercept, log_hazard)
    stay = (1 - switch) * (1 - MOVE_OUT_MONTHLY)
    return np.asarray(np.log(stay) / days_in_months(market)[months][None, :])


def monthly_bill(population: Population, market: Market, month: int) -> Floats:
    """Expected energy bill of a month before VAT in EUR, what a discount is a share of; shape (customers,)."""
    return np.asarray(population.annual_kwh / MONTHS_PER_YEAR * market.price[:, month] * 1.03)


def monthly_margin(population: Population, market: Market, month: int) -> Floats:
    """Expected margin of a month before VAT in EUR, shape (customers,)."""
    kwh = population.annual_kwh / MONTHS_PER_YEAR
    cost = energy_cost(market)[month] + TOLL
    gas = np.where(population.has_gas, 0.06 * 8766 / MONTHS_PER_YEAR * 0.25 + (96.0 - 61.0) / MONTHS_PER_YEAR, 0.0)
    bill = monthly_bill(population, market, month)
    return np.asarray(bill - kwh * cost + (2.1 + 0.95 * population.power_kw) * 0.26 + gas)


def truth_at(
    settings: DemoSettings,
    population: Population,
    market: Market,
    causes: Causes,
    hazards: Hazards,
    month: int,
    present: npt.NDArray[np.bool_],
) -> dict[str, pd.DataFrame]:
    """Truth for an `as_of` at the end of a month, for customers supplied then.

    Args:
        settings: The world.
        population: Customers.
        market: Price paths.
        causes: Causes of leaving.
        hazards: True hazards.
        month: Position of the month whose last day is the `as_of`.
        present: Who is supplied then, shape (customers,).

    Returns:
        ``hazards``: customer, as_of, p_0_30, p_30_60, p_60_90 (hazards of the windows if no offer is made from now on),
        p_horizon, margin_eur. ``months``: customer, as_of, and for each of the months ahead, 01 being the one after,
        the hazard of leaving in it if no offer is made from now on, margin_eur and bill_eur without one. ``offers``:
        customer, as_of, action, timing_window, p_accept, and the factors on the hazard of switching of those who accept
        and of those who refuse, while an offer acts.
    """
    ahead = slice(month + 1, month + 5)
    lengths = days_in_months(market)[ahead]
    of_day = np.repeat(np.arange(len(lengths)), lengths)[:HORIZON_DAYS]
    as_of = (market.months[month].astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    base = daily_log_survival(hazards, market, ahead)[present][:, of_day]
    ids = pd.Categorical.from_codes(np.flatnonzero(present).tolist(), categories=pd.Index(population.ids))
    common = {"customer_id": ids, "as_of": as_of}
    margin = monthly_margin(population, market, month)[present]
    truth = pd.DataFrame({**common, **_windows(base), "margin_eur": margin.astype(np.float32)})
    months: dict[str, Floats] = {}
    for step in range(1, MONTHS_TOLD + 1):
        for name, values in month_truth(population, market, hazards, month + step).items():
            months[f"{name}_{step:02d}"] = values[present]
    response = response_at(settings, population, market, causes, month + 1)
    offers: list[pd.DataFrame] = []
    for number, action in enumerate(ACTIONS[1:], start=1):
        accepted = np.exp(response.accepted_shift[:, number] + response.contact_shift)[present]
        refused = np.exp(response.contact_shift)[present]
        for position, window in enumerate(WINDOWS):
            chance = response.acceptance[present, number, position]
            told = {"p_accept": chance, "accepted_ratio": accepted, "refused_ratio": refused}
            single = {name: values.astype(np.float32) for name, values in told.items()}
            offers.append(pd.DataFrame({**common, "action": action, "timing_window": window, **single}))
    return {
        "hazards": truth,
        "months": pd.DataFrame({**common, **{name: values.astype(np.float32) for name, values in months.items()}}),
        "offers": pd.concat(offers, ignore_index=True),
    }


def month_truth(population: Population, market: Market, hazards: Hazards, month: int) -> dict[str, Floats]:
    """Hazard without a further offer, margin and bill of one month, each of shape (customers,)."""
    log_hazard = hazards.log_switch[:, month] + hazards.past_shift[:, month]
    switch = monthly_hazard(hazards.intercept, log_hazard)
    return {
        "hazard": 1 - (1 - switch) * (1 - MOVE_OUT_MONTHLY),
        "margin_eur": monthly_margin(population, market, month),
        "bill_eur": monthly_bill(population, market, month),
    }


def _windows(log_stay: Floats) -> dict[str, npt.NDArray[np.float32]]:
    sums = log_stay.reshape(len(log_stay), HORIZON_DAYS // WINDOW_DAYS, WINDOW_DAYS).sum(axis=2)
    named = {f"p_{30 * k}_{30 * k + 30}": 1 - np.exp(sums[:, k]) for k in range(sums.shape[1])}
    named["p_horizon"] = 1 - np.exp(sums.sum(axis=1))
    return {name: values.astype(np.float32) for name, values in named.items()}
