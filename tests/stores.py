"""Makes a very small store as some release publishes it, to be kept and opened by every later one.

`python -m tests.stores CHECKOUT ARCHIVE`: runs the stages of a checkout, with this environment's libraries, on a
retailer of a few customers, and takes a backup of what they publish. `tests/golden/stores` holds one per release.

"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from spanishgas.stages.backup import back_up
from tests.support import quiet

SETTINGS = (
    "data.customers=60",
    "data.end=2024-09-30",
    "data.churn_rate_90d=0.3",
    "run_date=2024-10-09",
    "as_of=2024-09-30",
    "model=logistic",
    "evaluation.replicates=10",
    "evaluation.explained_rows=5",
    "labels.horizon_days=30",
    "labels.split.train={first: 2024-02-29, last: 2024-03-31}",
    "labels.split.valid={first: 2024-05-31, last: 2024-05-31}",
    "labels.split.test={first: 2024-07-31, last: 2024-07-31}",
    "segmentation.candidates=[3]",
    "segmentation.stability_draws=2",
    "promotion.mode=force",
    "promotion.reason=small",
    "promotion.refit=false",
    "policy.simulation.replicates=20",
    "policy.simulation.futures=2",
    "policy.simulation.particles=20",
)
STAGES = (
    *("demo_data", "ingest", "silver", "training_set", "features", "train", "promote"),
    *("segment", "score", "recommend"),
)
# Raw files and their landing are large, and nothing after silver reads them.
LEFT_OUT = ("raw", "ground_truth", "bronze")


def main(checkout: Path, archive: Path) -> None:
    """Runs the stages of a checkout and takes the backup."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        places = [f"data_root={place / 'data'}", f"tracking.artifacts={place / 'mlruns'}"]
        uri = f"sqlite:///{place / 'mlflow.db'}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        for stage in STAGES:
            command = [sys.executable, "-m", f"pipelines.{stage}", *SETTINGS, *places, f"tracking.uri={uri}"]
            subprocess.run(command, cwd=checkout, env=environment | {"PYTHONPATH": str(checkout)}, check=True)
        for layer in LEFT_OUT:
            shutil.rmtree(place / "data" / layer, ignore_errors=True)
        for file in (place / "mlruns").rglob("*.png"):
            file.unlink()
        print(back_up(place / "data", uri, archive, quiet))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
