"""What the cases of models share: the demo's training set, and a fitted model with 20,000 rows to score."""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from pipelines._entry import load_settings
from spanishgas.config import Settings
from spanishgas.engine.store import TableStore
from spanishgas.models import ChurnModel
from spanishgas.models.fitting import choose_features
from spanishgas.models.rows import Rows
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, ingest, silver, train, training_set
from spanishgas.stages.runner import run_stage

CUSTOMERS = 20_000
MODEL, FEATURES = "model", "features.parquet"


def settings_of(folder: Path) -> Settings:
    """The default configuration, below a folder."""
    settings = load_settings((f"data_root={folder / 'data'}",))
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    tracking = settings.tracking.model_copy(update={"uri": uri, "artifacts": folder / "mlruns"})
    return settings.model_copy(update={"tracking": tracking})


def prepare_training_set(folder: Path) -> None:
    """Makes the demo's training set."""
    settings = settings_of(folder)
    for stage in (demo_data.STAGE, ingest.STAGE, silver.STAGE, training_set.STAGE):
        run_stage(stage, settings, Tracker(settings.tracking), console=Console(quiet=True))


def training_rows(folder: Path) -> tuple[Rows, Rows]:
    """Train and valid, with the features that the default model uses."""
    settings = settings_of(folder)
    store = TableStore(settings.data.root)
    manifest = store.read(training_set.TRAINING_SET, made_by="training_set")
    rows = Rows.of(pd.read_parquet(store.files(manifest, "churn_training_dataset")[0]))
    known = train.known_features(settings)
    names = choose_features(list(rows.features.columns), settings.model, known.trending, is_temporal=True)
    rows = rows.with_features(names)
    return rows.of_split("train"), rows.of_split("valid")


def prepare_model(folder: Path) -> None:
    """Trains the default model and lays 20,000 rows of features beside it."""
    prepare_training_set(folder)
    settings = settings_of(folder)
    outcome = run_stage(train.STAGE, settings, Tracker(settings.tracking), console=Console(quiet=True))
    train.collect_files(TableStore(settings.data.root), outcome.manifests[0], folder / MODEL)
    rows, _ = training_rows(folder)
    rows.features.iloc[np.arange(CUSTOMERS) % len(rows)].reset_index(drop=True).to_parquet(folder / FEATURES)


def prepared_model(folder: Path) -> tuple[ChurnModel, pd.DataFrame]:
    """The model and the rows."""
    return ChurnModel.load(folder / MODEL), pd.read_parquet(folder / FEATURES)
