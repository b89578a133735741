"""Settings: frozen, typed, complete. Hydra composes them, this module decides whether they are valid.

Below the entry point nothing sees a configuration mapping: functions take these models, or plain values. An unknown key
is an error everywhere.
"""

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from spanishgas.config.base import SettingsModel
from spanishgas.config.data import (
    ColumnMapping,
    DataSettings,
    DemoData,
    DemoSettings,
    ExtraColumn,
    ExtraTable,
    SourcePart,
    SourceSettings,
    SqlSource,
    WideRows,
)
from spanishgas.config.erasure import ErasureSettings
from spanishgas.config.export import ExportSettings
from spanishgas.config.models import (
    AnyModelSettings,
    BacktestSettings,
    BlendSettings,
    EvaluationSettings,
    GateSettings,
    LogisticSettings,
    ModelSettings,
    OutOfFoldSettings,
    PromotionSettings,
    SearchRange,
    SegmentationSettings,
    TuningSettings,
    XGBoostSettings,
)
from spanishgas.config.monitoring import DriftSettings, MonitoringSettings, PerformanceSettings, SignalSettings
from spanishgas.config.onboarding import OnboardingSettings
from spanishgas.config.policy import (
    AssumedSettings,
    BudgetSettings,
    EconomicsSettings,
    GuardrailSettings,
    HoldoutSettings,
    LearnedSettings,
    PeriodName,
    PolicySettings,
    ReplaySettings,
    ResponseSettings,
    SimulationSettings,
)
from spanishgas.config.quality import QualitySettings
from spanishgas.config.retention import RetentionSettings
from spanishgas.config.storage import StorageSettings
from spanishgas.config.tables import (
    EngineSettings,
    FeatureSettings,
    LabelSettings,
    SampleSettings,
    SplitRange,
    SplitSettings,
)


class TrackingSettings(SettingsModel):
    """Where runs are recorded.

    Attributes:
        uri: Tracking store; ``MLFLOW_TRACKING_URI`` wins over it.
        artifacts: Artifact folder of the local store; unused on a tracking server.
        experiment: Experiment of stand-alone runs; a launched run stays where it was launched.
        lock: What all who promote share, so that one does at a time: the server's database (``postgresql://...``) or a
            file on one machine (``file:///...``). None where ``uri`` itself is a database; ``SPANISHGAS_LOCK_URI`` wins
            over it.
    """

    uri: str
    artifacts: Path
    experiment: str
    lock: str | None = None


class ScoringSettings(SettingsModel):
    """Batch scoring.

    Attributes:
        chunk_rows: Customers scored at a time; bounds memory.
        max_feature_age_days: Days between the features' date and the run date that are still allowed.
    """

    chunk_rows: int = Field(default=50_000, ge=1)
    max_feature_age_days: int = Field(default=62, ge=0)


class PipelineSettings(SettingsModel):
    """Which stages one command runs, in order.

    Attributes:
        stages: Names of the stages.
        skip: Those of them to leave out.
        only_if: A stage among them that says whether those after it are to run; None runs them all.
    """

    stages: tuple[str, ...]
    skip: tuple[str, ...] = ()
    only_if: str | None = None


class Settings(SettingsModel):
    """Everything a run is configured with, composed and validated once at entry.

    Attributes:
        run_date: Day of the ingestion, of scores and of decisions; tables of a run date have a partition each.
        as_of: Date of the features, or several of them.
        force: Make everything again, published or not.
        data: The data set.
        engine: The tables' engine.
        features: What the features are built with.
        labels: Outcomes and splits.
        model: The model to train.
        baseline: The model that others are compared with.
        evaluation: How models are judged.
        segmentation: How customers are grouped.
        promotion: How a challenger becomes champion.
        policy: Who gets which offer.
        scoring: Batch scoring.
        monitoring: Drift, performance and the signal.
        tracking: Where runs are recorded.
        pipeline: Which stages one command runs.
        erasure: Whom to erase.
        export: Which tables to export without names.
        retention: How long what is published is kept.
        storage: How what is published is stored, and as of when it is read.
        quality: Gates that a delivery has to pass.
        onboarding: Which files `onboard` looks at.
    """

    run_date: date
    as_of: tuple[date, ...]
    force: bool = False
    data: Annotated[DataSettings | DemoData, Field(discriminator="kind")]
    engine: EngineSettings
    features: FeatureSettings
    labels: LabelSettings
    model: AnyModelSettings = XGBoostSettings()
    baseline: AnyModelSettings = LogisticSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    promotion: PromotionSettings = PromotionSettings()
    policy: PolicySettings
    scoring: ScoringSettings = ScoringSettings()
    monitoring: MonitoringSettings
    tracking: TrackingSettings
    pipeline: PipelineSettings
    erasure: ErasureSettings = ErasureSettings()
    export: ExportSettings = ExportSettings()
    retention: RetentionSettings = RetentionSettings()
    storage: StorageSettings = StorageSettings()
    quality: QualitySettings
    onboarding: OnboardingSettings = OnboardingSettings()


__all__ = [
    "AnyModelSettings",
    "AssumedSettings",
    "BacktestSettings",
    "BlendSettings",
    "BudgetSettings",
    "ColumnMapping",
    "DataSettings",
    "DemoData",
    "DemoSettings",
    "DriftSettings",
    "EconomicsSettings",
    "EngineSettings",
    "ErasureSettings",
    "EvaluationSettings",
    "ExportSettings",
    "ExtraColumn",
    "ExtraTable",
    "FeatureSettings",
    "GateSettings",
    "GuardrailSettings",
    "HoldoutSettings",
    "LabelSettings",
    "LearnedSettings",
    "LogisticSettings",
    "ModelSettings",
    "MonitoringSettings",
    "OnboardingSettings",
    "OutOfFoldSettings",
    "PerformanceSettings",
    "PeriodName",
    "PipelineSettings",
    "PolicySettings",
    "PromotionSettings",
    "QualitySettings",
    "ReplaySettings",
    "ResponseSettings",
    "RetentionSettings",
    "SampleSettings",
    "ScoringSettings",
    "SearchRange",
    "SegmentationSettings",
    "Settings",
    "SettingsModel",
    "SignalSettings",
    "SimulationSettings",
    "SourcePart",
    "SourceSettings",
    "SplitRange",
    "SplitSettings",
    "SqlSource",
    "StorageSettings",
    "TrackingSettings",
    "TuningSettings",
    "WideRows",
    "XGBoostSettings",
]
