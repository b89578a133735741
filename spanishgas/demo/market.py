"""The market, what the retailer charges and what energy costs it, month by month."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.population import CORPORATE, PROVINCES, SME, Days, Ints, Population

# Wholesale energy wanders: its log keeps this share from month to month and is shifted by so much.
WHOLESALE_MEMORY = 0.93
WHOLESALE_SHOCK = 0.055
# What newcomers are offered follows wholesale late and in part: a share of the remaining distance each month.
OFFER_SPEED = 0.35
OFFER_SHARE = 0.6
COST_SHARE = 0.8
# Spread of the log price between customers, and between the terms of one.
OWN_MARKUP = 0.09
TERM_MARKUP = 0.08
BASE_PRICE = 0.140
BASE_COST = 0.079
TOLL = 0.031


@dataclass(frozen=True)
class Market:
    """Price paths.

    Attributes:
        months: First day of each month, shape (months,).
        level: Market price for new customers in EUR/kWh, shape (months,).
        wholesale: Log of the wholesale price against its long-run mean, shape (months,).
        price: The customer's mean energy price in EUR/kWh, shape (customers, months).
        gap: log(price / level): how much dearer the customer pays than a newcomer would.
        rise: Relative change of the price against a year (or the first month) before.
        to_renewal: Months until the next renewal, 0 in its month, shape (customers, months).
    """

    months: Days
    level: Floats
    wholesale: Floats
    price: Floats
    gap: Floats
    rise: Floats
    to_renewal: Ints


@dataclass(frozen=True)
class LaterMarkup:
    """A change of the log of prices, shape (customers,), for terms that begin after a month."""

    after: int
    change: Floats


def draw_market(population: Population, noise: Noise, months: Days, later: LaterMarkup | None = None) -> Market:
    """Draws the market and every customer's price on it; prices are set anew at each renewal and indexed in between.

    Args:
        population: Customers.
        noise: Draws.
        months: First days of the months.
        later: Another markup from a month on; None leaves each customer's own.
    """
    count = len(months)
    step = np.arange(count)
    wholesale, followed = _wholesale(noise, count)
    log_level = 0.004 * step + 0.02 * np.sin(2 * np.pi * (step + 1) / 12) + OFFER_SHARE * followed
    level = BASE_PRICE * np.exp(log_level)
    anniversary = population.activation.astype("datetime64[M]").astype("int64") % 12
    month_of_year = months.astype("datetime64[M]").astype("int64") % 12
    to_renewal = (anniversary[:, None] - month_of_year[None, :]) % 12
    # The price was last set at the renewal before, or before the world began.
    last_set = last_set_at(to_renewal)
    set_level = np.where(last_set >= 0, level[np.maximum(last_set, 0)], BASE_PRICE)
    markup = 0.02 + own_markup(population, noise)[:, None] + term_markup(population, noise, np.maximum(last_set, -1))
    if later is not None:
        markup = markup + np.where(last_set > later.after, later.change[:, None], 0.0)
    indexed = 0.004 * noise.normal("indexing", population.index[:, None], step[None, :])
    discount = np.where(population.segment == CORPORATE, -0.25, np.where(population.segment == SME, -0.05, 0.0))
    price = set_level * np.exp(markup + indexed)
    gap = np.log(price / level[None, :])
    before = price[:, np.maximum(step - 12, 0)]
    return Market(months, level, wholesale, price * np.exp(discount)[:, None], gap, price / before - 1.0, to_renewal)


def own_markup(population: Population, noise: Noise) -> Floats:
    """What each customer's log price always has on top, shape (customers,)."""
    return OWN_MARKUP * noise.normal("markup", population.index)


def term_markup(population: Population, noise: Noise, last_set: Ints) -> Floats:
    """What a term has on top of it, by the month in which the term began; -1 for before the world began."""
    return TERM_MARKUP * noise.normal("term_markup", population.index[:, None], last_set + 1)


def last_set_at(market_to_renewal: Ints) -> Ints:
    """Month in which the price was last set, below zero before the world began, shape (customers, months)."""
    return np.arange(market_to_renewal.shape[1])[None, :] - (12 - market_to_renewal) % 12


def _wholesale(noise: Noise, months: int) -> tuple[Floats, Floats]:
    """The wholesale path, and what offers have followed of it."""
    shocks = noise.normal("wholesale", np.arange(months))
    wholesale, followed = np.empty(months), np.empty(months)
    now = behind = 0.0
    for step in range(months):
        now = WHOLESALE_MEMORY * now + WHOLESALE_SHOCK * shocks[step]
        behind += OFFER_SPEED * (now - behind)
        wholesale[step], followed[step] = now, behind
    return wholesale, followed


def energy_cost(market: Market) -> Floats:
    """What a kWh costs the retailer before tolls in EUR, shape (months,)."""
    return np.asarray(BASE_COST * np.exp(COST_SHARE * market.wholesale + 0.004 * np.arange(len(market.months))))


def price_history(population: Population, market: Market, noise: Noise, supplied: np.ndarray) -> pd.DataFrame:
    """The price file: customer x month while supplied, with the faults that the real file has.

    Args:
        population: Customers.
        market: Price paths.
        noise: Draws.
        supplied: Whether the customer is supplied in the month, shape (customers, months).
    """
    customer, month = np.nonzero(supplied)
    price = market.price[customer, month]
    kw = population.power_kw[customer]
    fee = (2.1 + 0.95 * kw).round(2)
    gas_price = (
        1.05
        * np.exp(
            0.08 * noise.normal("gas_price", customer, market.months[month].astype("datetime64[Y]").astype("int64"))
        )
    ).round(4)
    frame = pd.DataFrame(
        {
            "customer_id": population.ids[customer],
            "pricing_date": market.months[month],
            "variable_price_tier1_eur_kwh": (price * 1.32).round(6),
            "variable_price_tier2_eur_kwh": (price * 1.02).round(6),
            "variable_price_tier3_eur_kwh": (price * 0.78).round(6),
            "elec_fixed_fee_eur_month": fee,
            "elec_fixed_cost_eur_month": (fee * 0.74).round(2),
            "gas_variable_price_eur_m3": np.where(population.has_gas[customer], gas_price, np.nan),
            # The real file carries a fixed gas revenue for customers without gas as well.
            "gas_fixed_revenue_eur_year": np.where(population.has_gas[customer], 96.0, 63.7),
            "gas_fixed_cost_eur_year": np.where(population.has_gas[customer], 61.0, 0.0),
        }
    )
    fault = noise.uniform("price_fault", customer, month)
    tiers = [f"variable_price_tier{tier}_eur_kwh" for tier in (1, 2, 3)]
    frame.loc[fault < 0.004, tiers] = 0.0
    frame.loc[(fault >= 0.004) & (fault < 0.010), tiers] = np.nan
    lost = noise.uniform("price_id", customer) < 0.00105
    frame.loc[lost, "customer_id"] = None
    order = np.argsort(noise.uniform("price_order", customer, month), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def province_costs(market: Market, noise: Noise, months: int) -> pd.DataFrame:
    """The cost file: every province and month."""
    province = np.repeat(np.arange(len(PROVINCES)), months)
    month = np.tile(np.arange(months), len(PROVINCES))
    local = 0.015 * noise.normal("province_cost", province)
    energy = energy_cost(market)[month]
    gas = 0.76 * np.exp(0.05 * noise.normal("gas_cost", province) + 0.5 * market.wholesale[month])
    return pd.DataFrame(
        {
            "province_code": np.array(PROVINCES)[province],
            "month": market.months[month],
            "elec_var_cost_eur_kwh": (energy * np.exp(local)).round(6),
            "gas_var_cost_eur_m3": gas.round(6),
            "peaje_elec_eur_kwh": np.round(TOLL * np.exp(0.5 * local), 6),
        }
    )
