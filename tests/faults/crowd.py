"""Several pipelines at once, each a process of its own, on one data root and one tracking store."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow

from spanishgas.engine.store import TableStore
from tests.e2e.test_stages import SPLIT, WORLD
from tests.faults.disk import STEPS
from tests.faults.scenes import contents
from tests.faults.server import LONGEST_SECONDS
from tests.pages import ROOT


def together(folder: Path, count: int) -> dict[str, str]:
    """Begins pipelines at the same moment; each has to come to its end.

    Args:
        folder: An empty folder.
        count: How many.

    Returns:
        Digests of all that is published then.
    """
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    arguments = [*WORLD, *SPLIT, f"data_root={folder / 'data'}", f"pipeline.stages=[{','.join(STEPS)}]"]
    command = [sys.executable, "-m", "pipelines.run_pipeline", *arguments]
    environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT)}
    places = [folder / f"from-{number}" for number in range(count)]
    begun = []
    for place in places:
        place.mkdir(parents=True)
        with (place / "said.txt").open("wb") as file:
            begun.append(subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, env=environment))
    for child, place in zip(begun, places, strict=True):
        assert child.wait(LONGEST_SECONDS) == 0, (place / "said.txt").read_text()[-3000:]
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    assert {one.info.status for one in runs} == {"FINISHED"}
    pipelines = [one for one in runs if one.data.tags.get("stage") == "run_pipeline"]
    assert len(pipelines) == count
    return dict(contents(TableStore(folder / "data")))
