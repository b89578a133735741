"""Real files of other retailers on Spark have the tables of the embedded engine."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from pipelines._entry import load_settings
from spanishgas.config import Settings, TrackingSettings
from spanishgas.registry import Tracker
from spanishgas.stages import features, ingest, silver
from spanishgas.stages.base import Stage
from spanishgas.stages.runner import run_stage
from tests.e2e.test_spark import HERE, ON_SPARK, hashes
from tests.spark import needs_spark

REAL = Path(os.environ.get("SPANISHGAS_REAL_DATA", "datasets"))
pytestmark = [needs_spark, pytest.mark.drill]


@pytest.mark.parametrize(
    ("data", "stages"),
    [("powerco", (silver.STAGE, features.STAGE)), ("meters", (silver.STAGE,))],  # meters tell of no customers
    ids=["powerco", "meters"],
)
def test_real_files_give_the_same(
    data: str, stages: Sequence[Stage], tmp_path: Path, tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (REAL / data).is_dir():
        pytest.skip(f"SPANISHGAS_REAL_DATA has no {data}")
    # Readings go through ranges on Spark's workers, few as they are.
    monkeypatch.setattr("spanishgas.silver.hour_ranges.WORTH_WORKERS", 0)
    tracker, quiet = Tracker(tracking), Console(quiet=True)

    def settings(*overrides: str) -> Settings:
        told = load_settings((f"data={data}", f"data_root={tmp_path / 'data'}", "engine.threads=1", *overrides))
        return told.model_copy(update={"tracking": tracking})

    run_stage(ingest.STAGE, settings(), tracker, console=quiet)
    for stage in stages:
        one = run_stage(stage, settings(), tracker, console=quiet)
        two = run_stage(stage, settings(*ON_SPARK, HERE), tracker, console=quiet)
        assert not two.cached
        assert hashes(two) == hashes(one), stage.name
