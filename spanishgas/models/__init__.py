"""Churn models: discrete-time hazards over 30-day windows, calibrated, behind one interface."""

from spanishgas.models.calibration import WindowCalibration
from spanishgas.models.hazard import HazardModel, union_of
from spanishgas.models.logistic import LogisticHazard
from spanishgas.models.xgboost import XGBoostHazard

MODELS: dict[str, type[HazardModel]] = {"logistic": LogisticHazard, "xgboost": XGBoostHazard}

__all__ = ["MODELS", "HazardModel", "LogisticHazard", "WindowCalibration", "XGBoostHazard", "union_of"]
