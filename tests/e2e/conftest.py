"""A small retailer with a champion, made once per worker and copied for every test that changes it."""

import shutil
from pathlib import Path

import pytest

from spanishgas.config import TrackingSettings
from spanishgas.stages import features, promote, train
from tests.e2e.worlds import SIZE, Retailer, prepare
from tests.support import without_tracking_variables


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder with a data root and a store that has a champion, made once."""
    folder = tmp_path_factory.mktemp("recommend")
    root = prepare(folder, empty_store, *SIZE)
    tracking = TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "mlruns", experiment="spanishgas"
    )
    with without_tracking_variables():
        retailer = Retailer(root, tracking)
        for stage in (features.STAGE, train.STAGE, promote.STAGE):
            retailer.run(stage)
    return folder


@pytest.fixture
def retailer(prepared: Path, tmp_path: Path, no_tracking_variables: None) -> Retailer:
    """A copy of its own, with a store of its own: MLflow's variables would lead to the one that was used before."""
    shutil.copytree(prepared / "data", tmp_path / "data", symlinks=True)
    shutil.copy(prepared / "mlflow.db", tmp_path / "mlflow.db")
    # The model's files stay where they were registered.
    tracking = TrackingSettings(
        uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifacts=prepared / "mlruns", experiment="spanishgas"
    )
    return Retailer(tmp_path / "data", tracking)
