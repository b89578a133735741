"""The only door to MLflow: runs, datasets and models."""

from spanishgas.registry.models import ModelPackage, ModelRegistry, ModelVersion
from spanishgas.registry.runs import RunLog
from spanishgas.registry.tracking import Tracker

__all__ = ["ModelPackage", "ModelRegistry", "ModelVersion", "RunLog", "Tracker"]
