"""The only door to MLflow: runs and datasets."""

from spanishgas.registry.runs import RunLog
from spanishgas.registry.tracking import Tracker

__all__ = ["RunLog", "Tracker"]
