"""A retailer on Spark has the tables of the embedded engine, on a cluster that loses a worker, too."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
import pytest

from spanishgas.config.places import ObjectAddress
from spanishgas.engine.spark import SparkEngine
from spanishgas.stages import drift, features, recommend, score, silver, training_set
from spanishgas.stages.base import Stage
from spanishgas.stages.runner import Outcome
from tests.e2e.worlds import Retailer, taken_up
from tests.spark import BRIEF, needs_spark

pytestmark = needs_spark


def quoted(*settings: str) -> str:
    """Spark's settings as an override."""
    return "engine.spark=[" + ",".join(f'"{one}"' for one in settings) + "]"


# Silver is compared on the cluster below.
BRIEFLY: tuple[Stage, ...] = (score.STAGE, recommend.STAGE)
AT_LENGTH: tuple[Stage, ...] = (features.STAGE, training_set.STAGE, drift.STAGE)
# Frames that the driver takes are small, but for these: one row per customer or supply point, or bounded otherwise.
SMALL = 100
LARGER = {
    "spanishgas.quality.figures": "months x days of a month x codes of a column",
    "spanishgas.stages.silver": "the table of quality checks",
    "spanishgas.silver.supply_points": "who holds which supply point, for reading the readings",
    "spanishgas.silver.consumption_daily": "the time zone of each customer, where files do not tell hours with it",
    "spanishgas.training.dataset": "what the audit looks at: at most AUDITED_ROWS",
    "spanishgas.stages.decisions": "candidates of the allocation, which knows one budget for all",
    "spanishgas.stages.drift": "a distribution per feature, of one date",
    "spanishgas.stages.earlier_runs": "what was decided before and is not over",
}
ON_SPARK = ("engine=spark", "engine.threads=2", "force=true")
HERE = quoted(*BRIEF)
WAIT_SECONDS = 900  # of a machine that does much else; what hangs for longer hangs
ROOT = Path(__file__).parents[2]
CLUSTER = quoted(
    "spark.executor.memory=512m",
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1",
    "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1",
    "spark.driver.host=127.0.0.1",
    "spark.default.parallelism=4",
    "spark.sql.shuffle.partitions=2",
)
# What a process of its own does: a stage on a cluster, and what it published.
CHILD = """
import importlib, json, sys
from pathlib import Path
import pytest
from tests.e2e.test_spark import hashes, record_fetched
from tests.e2e.worlds import Retailer, taken_up
root, uri, artifacts, name, *overrides = sys.argv[1:]
from spanishgas.config import TrackingSettings
from spanishgas.silver import hour_ranges
hour_ranges.WORTH_WORKERS = 0
tracking = TrackingSettings(uri=uri, artifacts=Path(artifacts), experiment="spanishgas")
retailer = Retailer(Path(root), tracking)
fetched = record_fetched(pytest.MonkeyPatch())
outcome = retailer.run(importlib.import_module(f"spanishgas.stages.{name}").STAGE, *overrides)
print(json.dumps([hashes(outcome), fetched]))
"""


def hashes(outcome: Outcome) -> dict[str, str]:
    return {
        f"{manifest.publication} {name}": table.content_hash
        for manifest in outcome.manifests
        for name, table in manifest.tables.items()
    }


@pytest.mark.decided
@pytest.mark.parametrize("stages", [BRIEFLY, pytest.param(AT_LENGTH, marks=pytest.mark.drill)], ids=["brief", "long"])
def test_every_table_is_the_one_that_the_embedded_engine_makes(
    retailer: Retailer, stages: Sequence[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = record_fetched(monkeypatch)
    for stage in stages:
        one = retailer.run(stage)
        two = retailer.run(stage, *ON_SPARK, HERE)
        assert not two.cached
        assert hashes(two) == hashes(one), stage.name
        assert two.headline.split(", ")[0] == one.headline.split(", ")[0] or one.cached
        # The engine is no part of a result: the other one finds it published.
        assert retailer.run(stage).cached
    assert len(fetched) >= len(stages)
    require_few(fetched, retailer)


def require_few(fetched: Mapping[str, int], retailer: Retailer) -> None:
    """Nothing that grows with readings, or with customers and dates, has come to the driver."""
    customers = retailer.silver("contracts")["customer_id"].nunique()
    large = {place: rows for place, rows in fetched.items() if rows > SMALL}
    assert set(large) <= set(LARGER), large
    assert all(rows <= 2 * customers for rows in large.values()), large


def record_fetched(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Module that asks -> most rows that one answer has; filled as sessions on Spark are asked."""
    fetched: dict[str, int] = {}
    fetch = SparkEngine.arrow
    # Bounds that small tables would not reach: beyond them contracts are checked by counts, and the audit samples.
    monkeypatch.setattr("spanishgas.stages.checks.MAX_FRAME_ROWS", SMALL)
    monkeypatch.setattr("spanishgas.training.dataset.AUDITED_ROWS", 3 * SMALL)

    def arrow(engine: SparkEngine, expression: ir.Table) -> pa.Table:
        rows = fetch(engine, expression)
        frame = inspect.currentframe()
        while frame is not None and frame.f_globals["__name__"] in (__name__, SparkEngine.__module__):
            frame = frame.f_back
        assert frame is not None
        place = frame.f_globals["__name__"]
        fetched[place] = max(fetched.get(place, 0), rows.num_rows)
        return rows

    monkeypatch.setattr(SparkEngine, "arrow", arrow)
    return fetched


@pytest.mark.drill
@pytest.mark.decided
def test_tables_in_an_object_store_are_the_same(retailer: Retailer, object_store: ObjectAddress) -> None:
    stored = taken_up(retailer, object_store)
    for stage in (features.STAGE, score.STAGE):
        made = stored.run(stage, *ON_SPARK, HERE)
        assert not made.cached
        assert hashes(made) == hashes(retailer.run(stage))


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


@pytest.mark.drill
@pytest.mark.few_readings
def test_a_cluster_of_two_workers_finishes_when_one_is_killed(retailer: Retailer, tmp_path: Path) -> None:
    expected = {stage.name: hashes(retailer.run(stage)) for stage in (silver.STAGE, score.STAGE)}
    logs = tmp_path / "cluster"
    logs.mkdir()
    with cluster(logs) as (address, workers):
        killed = False
        for name in expected:
            tracking = retailer.tracking
            told = (str(retailer.root), tracking.uri, str(tracking.artifacts), name, *ON_SPARK)
            told = (*told, f"engine.master={address}", CLUSTER, "engine.driver_memory_mib=512")
            with (logs / f"{name}.out").open("wb") as out, (logs / f"{name}.err").open("wb") as err:
                child = subprocess.Popen([sys.executable, "-c", CHILD, *told], cwd=ROOT, stdout=out, stderr=err)
            try:
                if not killed:
                    # Once its executor is in the middle of it.
                    _heard_in(logs / "work1", r"Running task \S+ in stage (?:[4-9]\d|\d{3})\.0", child)
                    _end(workers[0])
                    killed = True
                assert child.wait(WAIT_SECONDS) == 0, (logs / f"{name}.err").read_text(errors="replace")[-3000:]
            finally:
                _end_child(child)
            made, fetched = json.loads((logs / f"{name}.out").read_text().strip().splitlines()[-1])
            assert made == expected[name]
            assert fetched
            require_few(fetched, retailer)
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
