"""The family of churn models: one line each."""

from spanishgas.models.blend import BlendHazard
from spanishgas.models.hazard import HazardModel
from spanishgas.models.logistic import LogisticHazard
from spanishgas.models.xgboost import XGBoostHazard

MODELS: dict[str, type[HazardModel]] = {
    "blend": BlendHazard,
    "logistic": LogisticHazard,
    "xgboost": XGBoostHazard,
}
