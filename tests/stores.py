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

from spanishgas.stages.backup import Backup, back_up
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
    "policy=assumed",
)
STAGES = (
    *("demo_data", "ingest", "silver", "training_set", "features", "train", "promote"),
    *("segment", "score", "recommend"),
)
# What is large, and not read to score: the layers before features, a comparison of models, reports of runs.
LEFT_OUT = (
    *("data/raw", "data/ground_truth", "data/bronze", "data/silver"),
    *("data/gold/_meta/promotion", "mlruns/[0-9a-f]*"),
)


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
        print(keep(place, archive, checkout))


def keep(place: Path, archive: Path, checkout: Path) -> Backup:
    """Takes a backup of a small part of what lies in a folder, without the place where it was made."""
    for file in (place / "mlruns").rglob("MLmodel"):
        file.write_text(file.read_text().replace(str(checkout), "/srv/spanishgas"))
    for pattern in LEFT_OUT:
        for folder in place.glob(pattern):
            shutil.rmtree(folder)
    return back_up(place / "data", f"sqlite:///{place / 'mlflow.db'}", archive, quiet)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
