"""A small demo retailer with a training set, made once and copied for every test."""

import shutil
from pathlib import Path

from rich.console import Console

from pipelines._entry import load_settings
from spanishgas.config import Settings, TrackingSettings
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, ingest, silver, training_set
from spanishgas.stages.runner import run_stage
from tests.support import without_tracking_variables

WORLD = (
    "data.customers=200",
    "data.end=2024-11-30",
    "data.churn_rate_90d=0.2",
    "run_date=2024-12-09",
    "as_of=2024-09-30",
    "labels.horizon_days=60",
    "labels.split.train={first: 2024-02-29, last: 2024-02-29}",
    "labels.split.valid={first: 2024-05-31, last: 2024-05-31}",
    "labels.split.test={first: 2024-08-31, last: 2024-08-31}",
    "evaluation.replicates=20",
    "evaluation.backtest={first: 2024-06-30, last: 2024-08-31, every: 1, history_months: 3}",
    "segmentation.candidates=[3,4]",
    "segmentation.stability_draws=2",
)
QUIET = Console(quiet=True)


def prepare(folder: Path, empty_store: Path, *overrides: str) -> Path:
    """Generates a retailer and its training set; returns the data root."""
    shutil.copy(empty_store, folder / "mlflow.db")
    tracking = TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "mlruns", experiment="spanishgas"
    )
    settings = load_settings((*WORLD, *overrides, f"data_root={folder / 'data'}"))
    settings = settings.model_copy(update={"tracking": tracking})
    with without_tracking_variables():
        for stage in (demo_data.STAGE, ingest.STAGE, silver.STAGE, training_set.STAGE):
            run_stage(stage, settings, Tracker(tracking), console=QUIET)
    return folder / "data"


def settings_of(root: Path, tracking: TrackingSettings, *overrides: str) -> Settings:
    """Settings on a prepared retailer; trees are few and may be small."""
    quick = (
        () if any(one.startswith("model=") for one in overrides) else ("model.rounds=30", "model.min_child_weight=1")
    )
    return load_settings((*WORLD, f"data_root={root}", *quick, *overrides)).model_copy(update={"tracking": tracking})
