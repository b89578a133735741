"""Spark for tests: whether it is there, and one session per worker of the suite."""

import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from spanishgas.config import EngineSettings

THREADS = 2
BRIEF = ("spark.sql.shuffle.partitions=2",)  # tables of tests are small


@cache
def lacking() -> str:
    """What Spark lacks on this machine; empty where nothing."""
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed: make spark"
    java = shutil.which("java")
    if java is None:
        return "Java is not installed"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    return "" if any(f'version "{one}' in told for one in ("17", "21")) else "Java is neither 17 nor 21"


needs_spark = pytest.mark.skipif(bool(lacking()), reason=lacking() or "Spark is there")


def on_spark(**told: object) -> EngineSettings:
    """Settings of a session on Spark in this process."""
    return EngineSettings.model_validate(
        {"kind": "spark", "threads": THREADS, "driver_memory_mib": 1024, "spark": BRIEF, **told}
    )


def embedded() -> EngineSettings:
    """Settings of the embedded engine."""
    return EngineSettings(threads=1)


def odd_folder(folder: Path) -> Path:
    """A folder whose name has what addresses and patterns give a meaning to."""
    odd = folder / "a=b [1]{x}%20 ñ*"
    odd.mkdir()
    return odd


def end_spark() -> None:
    """Ends Spark and waits for its process, so that what it used is counted."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    session.stop()
    gateway = SparkContext._gateway
    assert gateway is not None
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
