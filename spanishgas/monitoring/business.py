"""Offers by month in euros: what was made and spent, what was expected of it, and what the hold-out says it brought."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from spanishgas.config import EconomicsSettings
from spanishgas.domain.kept_value import kept_value
from spanishgas.evaluation.shares import difference

MEASURED, UNKNOWN = "measured", "unknown"
NONE = "none"
LEAST_ARM: Final = 10
LEAST_DAYS: Final = 30
COLUMNS = [
    "month",
    "decisions",
    "customers",
    "offers",
    "held_out",
    "spend_eur",
    "expected_margin_eur",
    "followed_days",
    "status",
    "effect",
    "lo",
    "hi",
    "measured_margin_eur",
    "measured_lo_eur",
    "measured_hi_eur",
    "verdict",
]


def by_month(
    decisions: pd.DataFrame,
    left_on: "pd.Series[pd.Timestamp]",
    *,
    known_until: date,
    follow_days: int,
    horizon_days: int,
    economics: EconomicsSettings,
) -> pd.DataFrame:
    """Offers by month of the decision.

    Within a run date the held out differ from the offered by chance alone, so the difference in the share that left by
    the last day followed is what offers did. It is turned into euros as the policy does it: a customer kept by then is
    worth what is left of the margin's horizon, discounted, while the usual risk of leaving goes on; costs are the
    planned ones.

    Args:
        decisions: Published recommendations of all run dates.
        left_on: Day that each customer left, by ``customer_id``; missing for those who stayed, absent for those who are
            in no register.
        known_until: Last day that leaving is known for.
        follow_days: Days after an offer that the arms are kept apart for.
        horizon_days: Days that ``risk_score`` looks ahead.
        economics: How margins count.

    Returns:
        The table ``business_months`` but for ``run_date``.
    """
    days = pd.to_datetime(decisions["run_date"])
    told = [
        _month(some, pd.Timestamp(str(month)).date(), left_on, known_until, follow_days, horizon_days, economics)
        for month, some in decisions.groupby(days.dt.to_period("M"))
    ]
    return pd.DataFrame(told, columns=COLUMNS)


def _month(
    rows: pd.DataFrame,
    month: date,
    left_on: "pd.Series[pd.Timestamp]",
    known_until: date,
    follow_days: int,
    horizon_days: int,
    economics: EconomicsSettings,
) -> dict[str, Any]:
    made = (rows["action"] != NONE).to_numpy()
    held = rows["is_held_out"].to_numpy(bool)
    days = pd.to_datetime(rows["run_date"])
    followed = int(np.clip((pd.Timestamp(known_until) - days.max()).days, 0, follow_days))
    spend = float(rows.loc[made, "expected_spend"].sum())
    expected = float(rows.loc[made, "expected_margin_impact"].sum())
    fact: dict[str, Any] = {
        "month": pd.Timestamp(month),
        "decisions": int(days.nunique()),
        "customers": len(rows),
        "offers": int(made.sum()),
        "held_out": int(held.sum()),
        "spend_eur": spend,
        "expected_margin_eur": expected,
        "followed_days": followed,
    }
    nothing = float("nan")
    unknown = {name: nothing for name in COLUMNS if name in ("effect", "lo", "hi") or name.startswith("measured_")}
    known = rows["customer_id"].isin(left_on.index).to_numpy()
    arms = made & known, held & known
    if followed < LEAST_DAYS:
        text = f"too early: {followed} days followed, {LEAST_DAYS} needed"
        return {**fact, "status": UNKNOWN, **unknown, "verdict": text}
    if min(arm.sum() for arm in arms) < LEAST_ARM:
        text = f"too few to tell: {arms[0].sum()} offered, {arms[1].sum()} held out"
        return {**fact, "status": UNKNOWN, **unknown, "verdict": text}
    left = pd.to_datetime(rows["customer_id"].map(left_on))
    gone = ((left > days) & (left <= days + pd.Timedelta(days=followed))).to_numpy()
    effect, lo, hi = difference(*((int(gone[arm].sum()), int(arm.sum())) for arm in arms))
    kept = kept_value(
        rows.loc[made, "risk_score"].to_numpy(np.float64),
        rows.loc[made, "expected_margin_month"].fillna(0.0).to_numpy(np.float64),
        followed,
        horizon_days,
        economics,
    )
    euros = [-change * float(kept.sum()) - spend for change in (effect, hi, lo)]
    return {
        **fact,
        "status": MEASURED,
        "effect": effect,
        "lo": lo,
        "hi": hi,
        "measured_margin_eur": euros[0],
        "measured_lo_eur": euros[1],
        "measured_hi_eur": euros[2],
        "verdict": _verdict(euros, expected),
    }


def _verdict(euros: Sequence[float], expected: float) -> str:
    value, lo, hi = euros
    told = f"{value:,.0f} EUR ({lo:,.0f} to {hi:,.0f}) where {expected:,.0f} were expected"
    if lo <= expected <= hi:
        return f"agrees with the plan: {told}"
    return f"{'more' if value > expected else 'less'} than planned: {told}"
