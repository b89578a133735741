"""Churn models: discrete-time hazards over 30-day windows, calibrated, behind one interface.

What is imported here travels with every registered model (``registry.carried_code``): what loading and scoring need,
and no more.
"""

from spanishgas.models.blend import BlendHazard
from spanishgas.models.calibration import WindowCalibration
from spanishgas.models.family import MODELS
from spanishgas.models.files import ChurnModel
from spanishgas.models.hazard import HazardModel, union_of
from spanishgas.models.logistic import LogisticHazard
from spanishgas.models.xgboost import XGBoostHazard

__all__ = [
    "MODELS",
    "BlendHazard",
    "ChurnModel",
    "HazardModel",
    "LogisticHazard",
    "WindowCalibration",
    "XGBoostHazard",
    "union_of",
]
