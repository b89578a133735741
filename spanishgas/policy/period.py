"""The period that budget and capacities are of, and what its earlier runs have committed.

An offer commits its expected spend and its contact from the day of the decision. It commits nothing when it was held
out, and nothing any more once it is known to be cancelled: the customer had left by the day that its window began, or
the retailer's file of offers says that in this campaign the customer was given nothing. What is not known to be
cancelled counts as made.
"""

import calendar
import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd

from spanishgas.config import PeriodName, PolicySettings
from spanishgas.policy.economics import WINDOW_DAYS, WINDOWS, Floats

MONTHS_PER_QUARTER: Final = 3
# What is read of an earlier run's offers.
COMMITTING = ("run_date", "campaign", "customer_id", "channel", "timing_window", "expected_spend")


@dataclass(frozen=True)
class Period:
    """A period that a budget is of.

    Attributes:
        first: First day.
        last: Last day.
    """

    first: date
    last: date

    @classmethod
    def of(cls, day: date, name: PeriodName) -> "Period":
        """The period that a day lies in: a calendar month or quarter, a week from Monday, or the day of the run."""
        if name == "run":
            return cls(day, day)
        if name == "week":
            monday = day - timedelta(days=day.weekday())
            return cls(monday, monday + timedelta(days=6))
        length = 1 if name == "month" else MONTHS_PER_QUARTER
        begin = day.month - (day.month - 1) % length
        end = begin + length - 1
        return cls(date(day.year, begin, 1), date(day.year, end, calendar.monthrange(day.year, end)[1]))


def prices_valid_until(run_date: date, settings: PolicySettings) -> date:
    """Last day that a run's prices may be used on: what they price is of the period."""
    until = run_date + timedelta(days=settings.prices_valid_days)
    name = settings.budget.period
    return until if name == "run" else min(until, Period.of(run_date, name).last)


def cancelled(offers: pd.DataFrame, left_on: "pd.Series[pd.Timestamp]", withheld: pd.DataFrame) -> "pd.Series[bool]":
    """Which offers are known not to have been made.

    Args:
        offers: Offers of earlier runs, with the columns ``COMMITTING``.
        left_on: Day that customers left, by ``customer_id``, as known at the decision.
        withheld: ``campaign_id``, ``customer_id``, ``offer_date`` of the retailer's rows without an offer, as known
            at the decision; a row counts for the offers of its campaign that were decided by its day.
    """
    decided = pd.to_datetime(offers["run_date"])
    place = offers["timing_window"].map({name: place for place, name in enumerate(WINDOWS)})
    begin = decided + pd.to_timedelta(WINDOW_DAYS * place.astype("int64"), unit="D")
    gone = pd.to_datetime(offers["customer_id"].map(left_on)) <= begin
    days = pd.to_datetime(withheld["offer_date"]).groupby([withheld["campaign_id"], withheld["customer_id"]]).max()
    struck = pd.Series(
        days.reindex(pd.MultiIndex.from_frame(offers[["campaign", "customer_id"]])).to_numpy(), index=offers.index
    )
    return gone | (pd.to_datetime(struck) >= decided)


def committed(offers: pd.DataFrame, settings: PolicySettings) -> Floats:
    """What offers take of budget (EUR) and capacities (contacts), in the order of ``recommendations.limit_names``.

    Args:
        offers: Offers that were made, with the columns ``COMMITTING``.
        settings: The policy; contacts through a channel that it does not have any more take of budget and window only.
    """
    windows, channels = (offers[name].value_counts() for name in ("timing_window", "channel"))
    return np.array(
        [
            math.fsum(offers["expected_spend"]),  # the same in any order
            *(float(windows.get(name, 0)) for name in WINDOWS),
            *(float(channels.get(name, 0)) for name in settings.channels),
        ]
    )
