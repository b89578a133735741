"""How long customers are expected to stay and what they are worth, from a model and the features of a date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.config import EconomicsSettings
from spanishgas.domain.survival import CALENDAR, Calendar, Outlook
from spanishgas.policy.candidates import AMOUNTS, monthly_amounts, window_hazards
from spanishgas.policy.economics import Floats

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
        wanted = (*self.model.model.columns_, *CALENDAR, *self.economics.margin_features, *AMOUNTS)
        return [name for name in dict.fromkeys(wanted) if name in known or name in self.model.model.columns_]

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Scores as ``ChurnModel.predict`` gives them, and the columns of ``Outlook``."""
        told = self.model.predict(features[list(self.model.model.columns_)])
        known = {name: _numbers(features[name]) for name in CALENDAR if name in features}
        hazards, _ = window_hazards(told, known.get("days_to_renewal", np.full(len(features), np.nan)))
        economics = self.economics
        ahead = self.model.survival.ahead(
            hazards, Calendar.of(known, np.datetime64(self.as_of)), economics.horizon_months
        )
        margin, _ = monthly_amounts(features, economics.margin_features)
        outlook = Outlook.of(ahead, margin, self.model.survival.spread, economics.discount_rate_year)
        return told.assign(**outlook.columns)


def _numbers(values: "pd.Series[float]") -> Floats:
    return np.asarray(values.to_numpy(np.float64, na_value=np.nan), np.float64)
