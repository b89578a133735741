"""What a customer who is still there some days later is worth."""

import numpy as np
import numpy.typing as npt

from spanishgas.config import EconomicsSettings

Floats = npt.NDArray[np.float64]
DAYS_PER_MONTH = 30.44


def kept_value(
    risk: Floats, margin_month: Floats, followed_days: int, horizon_days: int, economics: EconomicsSettings
) -> Floats:
    """What a customer who is there after some days is worth over the rest of the margin's horizon.

    sum over months t of (1 + r)^(-t / 12) (1 - h)^(t - t0) m, with the monthly hazard h that gives the risk over its
    horizon.

    Args:
        risk: Probability of leaving within the horizon, shape (customers,).
        margin_month: Margin per month in EUR, shape (customers,).
        followed_days: Days after the decision.
        horizon_days: Horizon of the risk.
        economics: Months that margin counts over, and the yearly rate that later euros are discounted at.

    Returns:
        EUR, shape (customers,).
    """
    begin = followed_days / DAYS_PER_MONTH
    months = np.arange(np.ceil(begin), economics.horizon_months + 1)
    stay = np.power(1 - np.clip(risk, 0.0, 1 - 1e-9), DAYS_PER_MONTH / horizon_days)
    discount = (1 + economics.discount_rate_year) ** (-months / 12)
    there = stay[:, None] ** (months - begin)[None, :]
    return np.asarray(margin_month * (there * discount[None, :]).sum(axis=1))
