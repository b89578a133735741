"""The only door to MLflow: runs, datasets, models and who is champion."""

from spanishgas.registry.champions import (
    CHALLENGER,
    CHAMPION,
    JUDGED_TAG,
    JUDGED_VERSION_TAG,
    LEARNED_TAG,
    Champions,
    Decision,
    Verdict,
    same_as,
)
from spanishgas.registry.models import ModelRegistry, ModelVersion
from spanishgas.registry.package import ModelPackage
from spanishgas.registry.reading import Reader, RegisteredVersion, RunRecord
from spanishgas.registry.runs import RunLog
from spanishgas.registry.tracking import Tracker

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "JUDGED_TAG",
    "JUDGED_VERSION_TAG",
    "LEARNED_TAG",
    "Champions",
    "Decision",
    "ModelPackage",
    "ModelRegistry",
    "ModelVersion",
    "Reader",
    "RegisteredVersion",
    "RunLog",
    "RunRecord",
    "Tracker",
    "Verdict",
    "same_as",
]
