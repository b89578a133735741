"""What MLflow's launcher keeps of a command: nothing that names a customer."""

from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.projects.utils import load_project

from spanishgas.config import TrackingSettings
from tests.pages import ROOT


@pytest.mark.parametrize(
    ("entry", "parameters"),
    [
        ("lineage", {"recommendation": "C000017@2026-02-09"}),
        ("explain_customer", {"customer": "C000017", "language": "es"}),
    ],
)
def test_what_is_asked_of_one_customer_cannot_be_launched_and_no_run_is_left(
    entry: str, parameters: dict[str, str], tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    mlflow.set_tracking_uri(tracking.uri)
    client = mlflow.MlflowClient(tracking.uri)
    with pytest.raises(MlflowException, match=entry):
        mlflow.projects.run(str(ROOT), entry, parameters=parameters, env_manager="local", experiment_id="0")
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert found == []
    assert b"C000017" not in Path(tracking.uri.removeprefix("sqlite:///")).read_bytes()


def test_every_other_entry_point_takes_no_parameter_of_its_own_that_is_a_customer() -> None:
    project = load_project(str(ROOT))
    assert {name: set(point.parameters) for name, point in project._entry_points.items()} == {
        name: {"overrides"} for name in project._entry_points
    }
