"""What a kept customer is worth, by a slow sum."""

import numpy as np
import pytest

from spanishgas.config import EconomicsSettings
from spanishgas.domain.kept_value import kept_value


def test_what_a_kept_customer_is_worth_by_a_slow_sum() -> None:
    risk, margin, days = 0.3, 20.0, 90
    settings = EconomicsSettings(horizon_months=24, discount_rate_year=0.08)
    total, month = 0.0, 0
    while month <= settings.horizon_months:
        passed = month - days / 30.44
        if passed >= 0:
            total += margin * (1 - risk) ** (passed * 30.44 / 90) / 1.08 ** (month / 12)
        month += 1
    assert kept_value(np.array([risk]), np.array([margin]), days, 90, settings)[0] == pytest.approx(total)
