"""Learning what renewals do to prices, from the same customers at two dates; see ``domain.repricing``."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from spanishgas.domain.repricing import MOST_GAP, Repricing

PRICE, GAP, RENEWAL = "price_energy_eur_kwh", "price_over_new_terms", "days_to_renewal"
MARGIN = "margin_eur_month_3m"
YEAR_MONTHS = 12
DAYS_PER_MONTH = 30.44
LEAST_RENEWALS = 100
# Standard deviation of the prior of the share, around nothing.
PRIOR = 1.0


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
                for name in (PRICE, GAP, RENEWAL, MARGIN)
                if name in features.columns
            },
        }
    )
    # One extract has one date, short histories have few: as far apart as they reach, a year at most.
    lag = min(YEAR_MONTHS, int(table["month"].max() - table["month"].min())) if len(table) else 0
    if lag < 1:
        return Repricing()
    later = table.assign(month=table["month"] - lag)
    pairs = table.merge(later, on=["customer", "month"], suffixes=("", "_later"))
    level_sd = _level_sd(pairs, lag)
    pairs = pairs[(pairs[PRICE] > 0) & (pairs[f"{PRICE}_later"] > 0) & (pairs[GAP].abs() <= MOST_GAP)]
    renewed = (pairs[RENEWAL] <= lag * DAYS_PER_MONTH).to_numpy()
    if renewed.sum() < LEAST_RENEWALS:
        return Repricing(level_sd=level_sd)
    change = pd.Series(np.log(pairs[f"{PRICE}_later"] / pairs[PRICE]), pairs.index)
    distance = pd.Series(-np.log1p(pairs[GAP]) * renewed, pairs.index)
    # What happened between two dates to all who were renewed in the same month of them is the market.
    group = [pairs["month"], np.where(renewed, pairs[RENEWAL] // DAYS_PER_MONTH, -1)]
    y, x = (one - one.groupby(group).transform("mean") for one in (change, distance))
    square = float((x**2).sum())
    if square <= 0:
        return Repricing(level_sd=level_sd)
    first = float((x * y).sum()) / square
    noise = float(((y - first * x) ** 2).mean())
    share = float((x * y).sum()) / (square + noise / PRIOR**2)
    facts = {"renewals": float(renewed.sum()), "months_apart": float(lag)}
    return Repricing(float(np.clip(share, 0.0, 1.0)), level_sd, facts)


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
