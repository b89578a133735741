"""How long customers are expected to stay and what they are worth, from a model and the features of a date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.config import EconomicsSettings
from spanishgas.domain.survival import CALENDAR, Calendar, Outlook
from spanishgas.policy.candidates import monthly_amounts, window_hazards

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel


@dataclass(frozen=True)
class OutlookModel:
    """A churn model that tells the outlook beside the risk.

    Attributes:
        model: The model.
        economics: The margin, and the months that it is counted over.
        as_of: Date of the features.
    """

    model: "ChurnModel"
    economics: EconomicsSettings
    as_of: date

    def columns(self, known: Sequence[str]) -> list[str]:
        """Features to read, of those that there are: the model's, the calendar's and those of the margin."""
        wanted = (*self.model.model.columns_, *CALENDAR, *self.economics.margin_features)
        return [name for name in dict.fromkeys(wanted) if name in known or name in self.model.model.columns_]

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Scores as ``ChurnModel.predict`` gives them, and the columns of ``Outlook``."""
        told = self.model.predict(features[list(self.model.model.columns_)])
        calendar = Calendar.of_table(features, np.datetime64(self.as_of))
        hazards, _ = window_hazards(told, calendar.to_renewal)
        economics, unknown = self.economics, np.full(len(features), np.nan)
        ahead = self.model.survival.ahead(hazards, calendar, economics.horizon_months)
        # Whoever scores need not decide: without the features of the margin a value is not known, and that is all.
        is_told = set(economics.margin_features) <= set(features.columns)
        margin, bill = monthly_amounts(features, economics.margin_features) if is_told else (unknown, unknown)
        gaps = calendar.price_gap, calendar.market_gap
        amounts = self.model.survival.repricing.amounts(margin, bill, *gaps, calendar.to_renewal)
        outlook = Outlook.of(ahead, amounts, self.model.survival.spread, economics.discount_rate_year)
        return told.assign(**outlook.columns)
