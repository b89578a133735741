"""The outlook beside the score: what is read for it, and what is left unknown."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EconomicsSettings
from spanishgas.domain.repricing import Amounts
from spanishgas.domain.survival import OUTLOOK, Calendar, Outlook, Survival
from spanishgas.models import ChurnModel, LogisticHazard
from spanishgas.scoring.outlook import OutlookModel

WINDOWS = ("0_30", "30_60", "60_90")
CURVE = Survival(-4.0, level_sd=0.2)
ECONOMICS = EconomicsSettings(horizon_months=12, discount_rate_year=0.1, margin_features={"margin_eur_month_12m": 1.0})


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    rng = np.random.default_rng(0)
    features = pd.DataFrame({"gap": rng.normal(size=600)})
    left = (rng.uniform(size=(600, 3)) < 0.1).astype(float)
    return ChurnModel("logistic", LogisticHazard().fit(features, left), WINDOWS, survival=CURVE)


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {"gap": [0.1, -1.0], "days_to_renewal": [40.0, np.nan], "margin_eur_month_12m": [12.0, np.nan], "more": [1, 2]}
    )


def test_scores_are_the_model_s_and_the_outlook_that_of_its_curve(model: ChurnModel) -> None:
    one = OutlookModel(model, ECONOMICS, date(2024, 6, 30))
    assert one.columns(list(people().columns)) == ["gap", "days_to_renewal", "margin_eur_month_12m"]
    told = one.predict(people())
    plain = model.predict(people())
    pd.testing.assert_frame_equal(told[list(plain.columns)], plain)
    hazards = plain[[f"hazard_{name}" for name in WINDOWS]].to_numpy()
    ahead = CURVE.ahead(hazards, Calendar.of_table(people(), "2024-06-30"), 12)
    wanted = Outlook.of(ahead, Amounts.flat(people()["margin_eur_month_12m"].to_numpy()), 0.2, 0.1).columns
    assert all(np.array_equal(told[name], wanted[name], equal_nan=True) for name in OUTLOOK)
    assert told["lifetime_value_eur"].isna().tolist() == [False, True]


def test_without_the_features_of_the_margin_only_the_value_is_not_known(model: ChurnModel) -> None:
    told = OutlookModel(model, ECONOMICS, date(2024, 6, 30)).predict(people()[["gap"]])
    assert told["lifetime_value_eur"].isna().all()
    assert told["expected_months"].between(0, 12, inclusive="neither").all()
