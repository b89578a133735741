"""A working folder for commands."""

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, empty_store: Path, no_tracking_variables: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a tracking store, as a project's root would be."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    # By its whole path: MLflow keeps one store per address, and tests share a process.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    return tmp_path
