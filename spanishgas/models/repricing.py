"""Learning what renewals do to prices, from the same customers at two dates; see ``domain.repricing``."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from spanishgas.domain.repricing import MOST_GAP, Repricing

PRICE, GAP, RENEWAL = "price_energy_eur_kwh", "price_over_new_terms", "days_to_renewal"
MARKET = "term_peers_over_new_terms"
MARGIN = "margin_eur_month_3m"
YEAR_MONTHS = 12
DAYS_PER_MONTH = 30.44
LEAST_RENEWALS = 100
# Standard deviation of the prior of the share of a customer's own, around nothing.
PRIOR = 1.0
# Renewals are looked at so soon that the market has hardly moved meanwhile.
SOON_MONTHS = 3
# A renewal is expected to catch up with the market, give or take; less than this of noise is not believed.
MARKET_SHARE, MARKET_PRIOR, LEAST_NOISE = 1.0, 0.5, 0.02


def learn_repricing(features: pd.DataFrame, customers: Iterable[str], days: "pd.Series[pd.Timestamp]") -> Repricing:
    """The share of the distance to new terms that goes at a renewal, and how much the level of margins moves.

    Customers are compared with those of the same two dates who were, or were not, renewed between them: what the market
    did to all falls out (fixed effects). Prices at most a year apart are looked at, so that a renewal comes once.

    Args:
        features: All features of the training set's rows.
        customers: Whom each row belongs to.
        days: Date of each row.
    """
    if not {PRICE, GAP, RENEWAL} <= set(features.columns):
        return Repricing()
    when = pd.to_datetime(pd.Series(list(days)))
    table = pd.DataFrame(
        {
            "customer": [str(one) for one in customers],
            "month": when.dt.year * YEAR_MONTHS + when.dt.month,
            **{
                name: pd.to_numeric(features[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
                for name in (PRICE, GAP, RENEWAL, MARKET, MARGIN)
                if name in features.columns
            },
        }
    )
    # One extract has one date, short histories have few: as far apart as they reach, a year at most.
    reach = int(table["month"].max() - table["month"].min()) if len(table) else 0
    if reach < 1:
        return Repricing()
    lag = min(YEAR_MONTHS, reach)
    pairs = _pairs(table, lag)
    level_sd = _level_sd(pairs, lag)
    pairs = _with_prices(pairs)
    renewed = (pairs[RENEWAL] <= lag * DAYS_PER_MONTH).to_numpy()
    if renewed.sum() < LEAST_RENEWALS:
        return Repricing(level_sd=level_sd)
    distance = pd.Series(-np.log1p(pairs[GAP]) * renewed, pairs.index)
    # What happened between two dates to all who were renewed in the same month of them is the market.
    group = [pairs["month"], np.where(renewed, pairs[RENEWAL] // DAYS_PER_MONTH, -1)]
    y, x = (one - one.groupby(group).transform("mean") for one in (_change(pairs), distance))
    square = float((x**2).sum())
    if square <= 0:
        return Repricing(level_sd=level_sd)
    first = float((x * y).sum()) / square
    noise = float(((y - first * x) ** 2).mean())
    share = float(np.clip(float((x * y).sum()) / (square + noise / PRIOR**2), 0.0, 1.0))
    facts = {"renewals": float(renewed.sum()), "months_apart": float(lag)}
    soon = min(SOON_MONTHS, reach)
    return Repricing(share, _market_share(_with_prices(_pairs(table, soon)), soon, share), level_sd, facts)


def _pairs(table: pd.DataFrame, lag: int) -> pd.DataFrame:
    """The same customers at two dates."""
    return table.merge(table.assign(month=table["month"] - lag), on=["customer", "month"], suffixes=("", "_later"))


def _with_prices(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[(pairs[PRICE] > 0) & (pairs[f"{PRICE}_later"] > 0) & (pairs[GAP].abs() <= MOST_GAP)]


def _change(pairs: pd.DataFrame) -> "pd.Series[float]":
    return pd.Series(np.log(pairs[f"{PRICE}_later"] / pairs[PRICE]), pairs.index)


def _market_share(pairs: pd.DataFrame, lag: int, share: float) -> float:
    """Of the distance common to the terms of a month, the part that their renewal takes.

    The unit is the month of the terms at a date, for the market moves all of it: there are few, so the answer stays
    near what is expected beforehand unless they speak clearly.
    """
    if MARKET not in pairs.columns:
        return share
    some = pairs[(pairs[RENEWAL] <= lag * DAYS_PER_MONTH) & (pairs[MARKET].abs() <= MOST_GAP)]
    if some.empty:
        return MARKET_SHARE
    own = np.log1p(some[GAP]) - np.log1p(some[MARKET])
    told = pd.DataFrame({"y": _change(some) + share * own, "x": -np.log1p(some[MARKET])})
    mean = told.groupby([some["month"], some[RENEWAL] // DAYS_PER_MONTH]).mean()
    square, product = float((mean["x"] ** 2).sum()), float((mean["x"] * mean["y"]).sum())
    off = mean["y"] - MARKET_SHARE * mean["x"]
    # Dates closer together than the pairs are share their months.
    noise = lag * max(float((off**2).mean()), LEAST_NOISE**2)
    weight = 1 / MARKET_PRIOR**2
    return float(np.clip((product / noise + MARKET_SHARE * weight) / (square / noise + weight), 0.0, 1.0))


def _level_sd(pairs: pd.DataFrame, lag: int) -> float:
    """How much the level of the margins of the same customers moved over a year, root mean square over the dates."""
    if MARGIN not in pairs.columns:
        return 0.0
    known = pairs.dropna(subset=[MARGIN, f"{MARGIN}_later"]).groupby("month")[[MARGIN, f"{MARGIN}_later"]].sum()
    known = known[(known > 0).all(axis=1)]
    if known.empty:
        return 0.0
    moved = np.log(known[f"{MARGIN}_later"] / known[MARGIN])
    # A level that wanders moves by the root of time.
    return float(np.sqrt((moved**2).mean() * YEAR_MONTHS / lag))
