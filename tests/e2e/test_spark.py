"""A retailer on Spark has the tables of the embedded engine, on a cluster that loses a worker, too."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanishgas.stages import drift, features, recommend, score, silver, training_set
from spanishgas.stages.runner import Outcome
from tests.e2e.worlds import Retailer
from tests.spark import BRIEF, needs_spark

# They take some CPU minutes, and have not yet ended within the time of a whole run of tests and drills.
asked = pytest.mark.skipif("SPANISHGAS_SPARK_DRILLS" not in os.environ, reason="SPANISHGAS_SPARK_DRILLS=1 runs them")
pytestmark = [needs_spark, asked, pytest.mark.drill]
STAGES = (silver.STAGE, features.STAGE, training_set.STAGE, score.STAGE, recommend.STAGE, drift.STAGE)
ON_SPARK = ("engine=spark", "engine.threads=2", "force=true")
HERE = "engine.spark=[" + ",".join(f'"{one}"' for one in BRIEF) + "]"
WAIT_SECONDS = 240
ROOT = Path(__file__).parents[2]
CLUSTER = '"spark.executor.memory=512m","spark.driver.host=127.0.0.1","spark.default.parallelism=4"'
# What a process of its own does: a stage on a cluster, and what it published.
CHILD = """
import importlib, json, sys
from pathlib import Path
from tests.e2e.worlds import Retailer
root, uri, artifacts, name, *overrides = sys.argv[1:]
from spanishgas.config import TrackingSettings
from spanishgas.silver import hour_ranges
hour_ranges.WORTH_WORKERS = 0
tracking = TrackingSettings(uri=uri, artifacts=Path(artifacts), experiment="spanishgas")
retailer = Retailer(Path(root), tracking)
outcome = retailer.run(importlib.import_module(f"spanishgas.stages.{name}").STAGE, *overrides)
print(json.dumps({f"{m.publication} {n}": t.content_hash for m in outcome.manifests for n, t in m.tables.items()}))
"""


def hashes(outcome: Outcome) -> dict[str, str]:
    return {
        f"{manifest.publication} {name}": table.content_hash
        for manifest in outcome.manifests
        for name, table in manifest.tables.items()
    }


@pytest.mark.decided
def test_every_table_is_the_one_that_the_embedded_engine_makes(
    retailer: Retailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Readings go through ranges on Spark's workers, few as they are.
    monkeypatch.setattr("spanishgas.silver.hour_ranges.WORTH_WORKERS", 0)
    retailer.run(drift.STAGE)
    for stage in STAGES:
        one = retailer.run(stage)
        two = retailer.run(stage, *ON_SPARK, HERE)
        assert not two.cached
        assert hashes(two) == hashes(one), stage.name
        assert two.headline.split(", ")[0] == one.headline.split(", ")[0] or one.cached
        # The engine is no part of a result: the other one finds it published.
        assert retailer.run(stage).cached


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A standalone master with two workers of one core each: its address, and the workers."""
    import pyspark

    home = Path(pyspark.__file__).parent
    spark_class = str(home / "bin" / "spark-class")
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }

    def start(log: str, *words: str) -> subprocess.Popen[bytes]:
        with (folder / log).open("wb") as said:
            return subprocess.Popen(
                [spark_class, *words], env=environment, stdout=said, stderr=said, start_new_session=True, cwd=folder
            )

    place = ("--host", "127.0.0.1", "--webui-port", "0")
    started = [start("master.log", "org.apache.spark.deploy.master.Master", *place, "--port", "0")]
    try:
        address = _heard(folder / "master.log", r"Starting Spark master at (spark://\S+)", started[0])
        for number in (1, 2):
            told = (*place, "--cores", "1", "--memory", "1g")
            started.append(
                start(f"worker{number}.log", "org.apache.spark.deploy.worker.Worker", *told,
                      "--work-dir", str(folder / f"work{number}"), address)
            )  # fmt: skip
        for number in (1, 2):
            _heard(folder / f"worker{number}.log", r"(Successfully registered) with master", started[number])
        yield address, started[1:]
    finally:
        for process in started:
            _end(process)


def _heard(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = re.search(pattern, log.read_text(errors="replace") if log.exists() else "")
        if found:
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise AssertionError(f"{pattern!r} was not heard: {log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process, and the executors that it started, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_cluster_of_two_workers_finishes_when_one_is_killed(retailer: Retailer, tmp_path: Path) -> None:
    expected = {stage.name: hashes(retailer.run(stage)) for stage in (silver.STAGE, features.STAGE)}
    logs = tmp_path / "cluster"
    logs.mkdir()
    with cluster(logs) as (address, workers):
        killed = False
        for name in expected:
            tracking = retailer.tracking
            told = (str(retailer.root), tracking.uri, str(tracking.artifacts), name, *ON_SPARK)
            told = (*told, f"engine.master={address}", f"engine.spark=[{CLUSTER}]")
            with (logs / f"{name}.out").open("wb") as out, (logs / f"{name}.err").open("wb") as err:
                child = subprocess.Popen([sys.executable, "-c", CHILD, *told], cwd=ROOT, stdout=out, stderr=err)
            try:
                if not killed:
                    # Once its executor has begun a task.
                    _heard_in(logs / "work1", r"Running task", child)
                    _end(workers[0])
                    killed = True
                assert child.wait(WAIT_SECONDS) == 0, (logs / f"{name}.err").read_text(errors="replace")[-3000:]
            finally:
                _end_child(child)
            made = json.loads((logs / f"{name}.out").read_text().strip().splitlines()[-1])
            assert made == expected[name]
        assert workers[0].poll() is not None
        assert workers[1].poll() is None


def _end_child(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        child.wait()


def _heard_in(folder: Path, pattern: str, child: subprocess.Popen[bytes]) -> None:
    """Waits until an executor's log says something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        if any(re.search(pattern, log.read_text(errors="replace")) for log in folder.rglob("stderr")):
            return
        time.sleep(0.1)
    raise AssertionError(f"{pattern!r} was not heard of any executor")
