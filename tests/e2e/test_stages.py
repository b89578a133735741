"""All stages as tracked runs on a small demo retailer: what they publish, tell and skip, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from rich.console import Console

from spanishgas.config import Settings, TrackingSettings
from spanishgas.engine.store import Publication, TableStore
from spanishgas.registry import Tracker
from spanishgas.stages import features, ingest, silver, training_set
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.figures import COMPARED, MOST
from spanishgas.stages.parameters import parameters_of
from spanishgas.stages.runner import Outcome, run_stage
from tests.support import settings_at, without_tracking_variables

ROOT = Path(__file__).resolve().parents[2]
WORLD = (
    "data.customers=40",
    "data.end=2024-09-30",
    "data.churn_rate_90d=0.2",
    "run_date=2024-10-09",
    "as_of=2024-09-30",
)
SPLIT = (
    "evaluation.replicates=10",
    "evaluation.backtest={first: 2024-06-30, last: 2024-07-31, every: 1}",
    "model.rounds=20",
    "segmentation.candidates=[3,4]",
    "segmentation.stability_draws=2",
    "labels.horizon_days=30",
    "labels.split.train={first: 2024-02-29, last: 2024-03-31}",
    "labels.split.valid={first: 2024-05-31, last: 2024-05-31}",
    "labels.split.test={first: 2024-07-31, last: 2024-07-31}",
)
QUIET = Console(quiet=True)
# Stages that need a champion, which forty customers do not give: see test_recommend.
AFTER_A_CHAMPION = (
    *("score", "response", "recommend", "simulate", "measure", "replay"),
    *("drift", "performance", "retrain_signal"),
)
# Take out of what others publish, or hand it out, and are told what: see test_erase, test_retention, test_export.
ASKED_FOR = ("erase", "retention", "export")
ALONE = tuple(stage for stage in STAGES if stage.name not in (*AFTER_A_CHAMPION, *ASKED_FOR))


def settings_of(folder: Path, tracking: TrackingSettings, *overrides: str) -> Settings:
    settings = settings_at(folder / "data", *WORLD, *SPLIT, *overrides)
    return settings.model_copy(update={"tracking": tracking})


def run_all(settings: Settings) -> dict[str, Outcome]:
    tracker = Tracker(settings.tracking)
    return {stage.name: run_stage(stage, settings, tracker, console=QUIET) for stage in ALONE}


def hashes(store: TableStore) -> dict[str, str]:
    """Content of everything that is published."""
    files = sorted(store.root.glob("*/_meta/**/*.json"))
    found = {}
    for file in files:
        record = json.loads(file.read_text())
        if isinstance(record, dict) and "tables" in record:
            manifest = store.find(Publication(**record["publication"]))
            assert manifest is not None
            assert store.missing_files(manifest) == []
            found[str(manifest.publication)] = manifest.content_hash
    return found


def test_the_stages_publish_what_they_promise_and_run_again_for_nothing(
    tmp_path: Path, tracking: TrackingSettings
) -> None:
    settings = settings_of(tmp_path, tracking)
    first = run_all(settings)
    assert not any(outcome.cached for outcome in first.values())
    data = tmp_path / "data"
    for path in (
        "bronze/price_history/run_date=2024-10-09",
        "silver/consumption_daily",
        "silver/quarantine",
        "gold/customer_features_asof_date/asof_date=2024-09-30",
        "gold/customer_month_margin/asof_date=2024-09-30",
        "gold/churn_training_dataset",
    ):
        assert list((data / path).glob("*.parquet")), path
    log = pd.read_parquet(data / "bronze" / "_meta" / "ingestion_log.parquet")
    assert set(log["dataset"]) >= {"churn_label", "consumption_hourly", "customer_interactions"}
    listed = json.loads((data / "gold" / "_meta" / "feature_manifest.json").read_text())
    table = pd.read_parquet(next((data / "gold" / "customer_features_asof_date" / "asof_date=2024-09-30").glob("*")))
    assert [entry["name"] for entry in listed] == [
        name for name in table.columns if name not in ("customer_id", "as_of", "asof_date")
    ]
    _check_runs(settings, first)
    before = hashes(TableStore(data))
    second = run_all(settings)
    assert all(outcome.cached for outcome in second.values())
    assert hashes(TableStore(data)) == before
    # What does not read a setting does not mind it.
    other = settings.model_copy(update={"labels": settings.labels.model_copy(update={"audit_min_rows": 20})})
    third = run_all(other)
    assert {name for name, outcome in third.items() if not outcome.cached} == {"training_set", "backtest"}
    # Another input is another result.
    raw = data / "raw" / "current" / "price_history.csv"
    frame = pd.read_csv(raw)
    frame["elec_fixed_fee_eur_month"] += 1
    frame.to_csv(raw, index=False)
    fourth = {
        stage.name: run_stage(stage, settings, Tracker(tracking), console=QUIET)
        for stage in (ingest.STAGE, silver.STAGE, features.STAGE, training_set.STAGE)
    }
    assert not any(outcome.cached for outcome in fourth.values())


def _check_runs(settings: Settings, outcomes: dict[str, Outcome]) -> None:
    client = mlflow.MlflowClient(settings.tracking.uri)
    for name, outcome in outcomes.items():
        run = client.get_run(outcome.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.tags["stage"] == name
        assert len(run.data.tags["fingerprint"]) >= 16
        assert dict(run.data.params) == parameters_of(name, settings)
        assert len(run.data.metrics) <= MOST or name in COMPARED
        kept = yaml.safe_load(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/config.yaml"))
        assert Settings.model_validate(kept) == settings
        assert {"seconds", "peak_memory_mib", "cached"} <= set(run.data.metrics)
        assert any(metric.startswith("rows_") for metric in run.data.metrics)
        artifacts = {artifact.path for artifact in client.list_artifacts(outcome.run_id)}
        assert "report.md" in artifacts, name
        outputs = [dataset.dataset.name for dataset in run.inputs.dataset_inputs]
        assert outputs, name
    quality = client.list_artifacts(outcomes["silver"].run_id, "figures")
    assert [artifact.path for artifact in quality] == ["figures/quality.png"]
    split_rows = client.get_run(outcomes["training_set"].run_id).data.metrics
    assert split_rows["rows_train"] > 0
    figures = pd.read_csv(
        mlflow.artifacts.download_artifacts(run_id=outcomes["training_set"].run_id, artifact_path="tables/figures.csv")
    )
    of_a_date = figures[(figures["figure"] == "churners_train") & (figures["of"] == f"{date(2024, 2, 29)}")]
    assert len(of_a_date) == 1
    children = client.search_runs(
        [client.get_run(outcomes["training_set"].run_id).info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{outcomes['training_set'].run_id}'",
    )
    assert [child.info.run_name for child in children] == ["features 2024-02-29 to 2024-07-31"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> dict[str, str]:
    """What the stages publish when nobody kills them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with without_tracking_variables():
        run_all(settings_of(folder, TrackingSettings(uri=uri, artifacts=folder / "mlruns", experiment="spanishgas")))
    return hashes(TableStore(folder / "data"))


@pytest.mark.drill
def test_a_pipeline_killed_twice_leaves_nothing_half_done_and_finishes_on_the_next_run(
    undisturbed: dict[str, str], tmp_path: Path, tracking: TrackingSettings
) -> None:
    stages = ",".join(stage.name for stage in ALONE if stage.name != "backtest")
    command = [sys.executable, "-m", "pipelines.run_pipeline", *WORLD, *SPLIT, f"data_root={tmp_path / 'data'}"]
    command.append(f"pipeline.stages=[{stages}]")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking.uri, "PYTHONPATH": str(ROOT)}
    store = TableStore(tmp_path / "data")
    client = mlflow.MlflowClient(tracking.uri)

    def begun() -> int:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return len(client.search_runs(experiments))

    for delay in (0.5, 3.0):
        before = begun()
        victim = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            # The clock starts when a stage's run is open: imports take as long as they take.
            while begun() < before + 2 and victim.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(delay)
        finally:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        assert victim.returncode == -signal.SIGKILL
        hashes(store)  # everything visible is whole
    outcomes = run_all(settings_of(tmp_path, tracking))
    assert set(outcomes) == {stage.name for stage in ALONE}
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert client.search_runs(experiments, "attributes.status = 'RUNNING'") == []
    assert hashes(store) == undisturbed
    leftovers = [path for path in (tmp_path / "data").glob("*/_staging/*") if any(path.iterdir())]
    assert leftovers == []
