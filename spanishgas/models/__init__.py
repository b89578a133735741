"""Churn models: discrete-time hazards over 30-day windows, calibrated, behind one interface."""

from spanishgas.models.calibration import WindowCalibration
from spanishgas.models.family import MODELS
from spanishgas.models.files import ChurnModel
from spanishgas.models.hazard import HazardModel, union_of
from spanishgas.models.logistic import LogisticHazard
from spanishgas.models.rows import Rows
from spanishgas.models.xgboost import XGBoostHazard

__all__ = [
    "MODELS",
    "ChurnModel",
    "HazardModel",
    "LogisticHazard",
    "Rows",
    "WindowCalibration",
    "XGBoostHazard",
    "union_of",
]
