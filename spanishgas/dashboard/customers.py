"""One customer's contract, prices, consumption and conversations, as known on a day."""

from datetime import date
from typing import Any

import pandas as pd

from spanishgas.dashboard.data import Published
from spanishgas.engine.store import Manifest

DAYS_SHOWN = 730
PERIODS = ("elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh")


def latest(rows: pd.DataFrame, key: list[str], day: date) -> pd.DataFrame:
    """Of several versions of one thing the last one known on a day, in order of the key.

    Args:
        rows: Rows with ``known_at``.
        key: What tells things apart.
        day: Versions that became known later are left out.
    """
    known = rows[pd.to_datetime(rows["known_at"]) <= pd.Timestamp(day)]
    return known.sort_values([*key, "known_at"], kind="stable").drop_duplicates(key, keep="last").reset_index(drop=True)


def attributes(published: Published, silver: Manifest, customer: str, day: date) -> "pd.Series[Any] | None":
    """Who the customer is; None where nothing is known."""
    rows = latest(published.table(silver, "customers", customer=customer), ["customer_id"], day)
    return None if rows.empty else rows.iloc[0]


def terms(published: Published, silver: Manifest, customer: str, day: date) -> pd.DataFrame:
    """Contract terms, oldest first."""
    return latest(published.table(silver, "contracts", customer=customer), ["contract_start_date"], day)


def prices(published: Published, silver: Manifest, customer: str, day: date) -> pd.DataFrame:
    """Prices, oldest first."""
    return latest(published.table(silver, "prices", customer=customer), ["pricing_date"], day)


def conversations(published: Published, silver: Manifest, customer: str, day: date) -> pd.DataFrame:
    """Conversations, the newest first."""
    rows = published.table(silver, "interactions", customer=customer)
    found = latest(rows, ["date", "channel", "interaction_summary"], day)
    return found.sort_values("date", ascending=False, kind="stable", ignore_index=True)


def days(published: Published, silver: Manifest, customer: str, day: date) -> pd.DataFrame:
    """Consumption per day of the last two years, oldest first."""
    rows = published.table(
        silver,
        "consumption_daily",
        ["customer_id", "day", *PERIODS, "gas_kwh", "hours_expected", "hours_seen", "known_at"],
        customer=customer,
    )
    found = latest(rows, ["day"], day)
    found["day"] = pd.to_datetime(found["day"])
    return found[found["day"] > pd.Timestamp(day) - pd.Timedelta(days=DAYS_SHOWN)].reset_index(drop=True)


def months(per_day: pd.DataFrame) -> pd.DataFrame:
    """Consumption per month with the share of hours seen: ``month``, energy columns, ``coverage``.

    A month is that of the days metered; what was not metered is not there, which is what ``coverage`` tells.
    """
    if per_day.empty:
        return pd.DataFrame(columns=["month", *PERIODS, "gas_kwh", "coverage"])
    month = per_day["day"].dt.to_period("M").dt.to_timestamp()
    sums = per_day.groupby(month)[[*PERIODS, "gas_kwh", "hours_seen", "hours_expected"]].sum()
    sums["coverage"] = sums["hours_seen"] / sums["hours_expected"].where(sums["hours_expected"] > 0)
    return sums.drop(columns=["hours_seen", "hours_expected"]).rename_axis("month").reset_index()
