"""Features of one date on Spark in this process, beside the same on the embedded engine: what a small table costs."""

from pathlib import Path

from spanishgas.config import EngineSettings
from tests.benchmarks import case_features
from tests.benchmarks.harness import Case
from tests.spark import end_spark

CASE = Case(
    name="spark_features",
    what="features: one date of 3,000 customers on Spark with two cores, its start included",
    reference="the same on the embedded engine",
    repeats=1,
)
LAST = [case_features.DATES[-1:]]
prepare = case_features.prepare


def run(folder: Path) -> None:
    case_features.build(folder, LAST, EngineSettings(kind="spark", threads=2))
    end_spark()


def reference(folder: Path) -> None:
    case_features.build(folder, LAST, EngineSettings(threads=2))
