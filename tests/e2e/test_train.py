"""Training, segments and backtest on a small demo retailer: what is published, registered, repeated and resumed."""

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipelines._entry import run
from spanishgas.config import TrackingSettings
from spanishgas.engine import integrity
from spanishgas.engine.store import TableStore
from spanishgas.models import ChurnModel
from spanishgas.models.files import LOADER, digest_of
from spanishgas.registry import Tracker
from spanishgas.stages import backtest, churn_models, segment, train
from spanishgas.stages.runner import Outcome, run_stage
from spanishgas.stages.training_set import TRAINING_SET
from tests.e2e.worlds import QUIET, WORLD, copy_of, settings_of
from tests.once import Once, hand_out


@pytest.fixture
def untrained(assembled: Path, tmp_path: Path) -> Path:
    """A data root with a training set, of the test's own."""
    return hand_out(assembled / "data", tmp_path / "data")


@pytest.fixture(scope="module")
def trained(once: Once, assembled: Path) -> Path:
    """A data root with trees and their baseline, made once."""

    def make(folder: Path) -> None:
        retailer = copy_of(assembled, folder)
        run_stage(train.STAGE, settings_of(retailer.root, retailer.tracking), retailer.tracker, console=QUIET)

    return once("trees", make) / "data"


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    """The same, of the test's own; what was trained is found, and registered in a registry of its own."""
    return hand_out(trained, tmp_path / "data")


def test_a_model_is_trained_judged_compared_registered_and_then_found(
    untrained: Path, tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = untrained
    settings, tracker = settings_of(root, tracking), Tracker(tracking)
    outcome = run_stage(train.STAGE, settings, tracker, console=QUIET)
    told = tracker.client.get_run(outcome.run_id)
    assert told.data.tags["model_version"].startswith("churn/")
    assert told.data.tags["verdict"] in {"better", "not better", "better but badly calibrated"}
    assert {"test_pr_auc", "test_pr_auc_lo", "test_ece", "test_share_of_ceiling"} <= set(told.data.metrics)
    figures = {item.path for item in tracker.client.list_artifacts(outcome.run_id, "figures")}
    names = ("curves_valid", "curves_test", "importance", "shap_summary", "against_baseline")
    assert figures == {f"figures/{name}.png" for name in names}
    tables = {item.path for item in tracker.client.list_artifacts(outcome.run_id, "tables")}
    assert {"tables/shap_global.csv", "tables/shap_per_customer.csv", "tables/importance.csv"} <= tables
    report = told.data.tags["mlflow.note.content"]
    assert "outperform" in report
    assert "Share of the ceiling" in report
    children = _children(tracker, outcome)
    assert [(child.info.run_name, child.data.tags["model"]) for child in children] == [("train logistic", "logistic")]
    assert children[0].data.tags["model_version"] == "churn/1"
    # The compare view has no empty figure.
    assert set(children[0].data.metrics) == set(told.data.metrics)
    registry = outcome_registry(tracker)
    challenger, baseline = registry.with_alias("churn", "challenger"), registry.with_alias("churn", "baseline")
    assert challenger is not None
    assert baseline is not None
    assert (challenger.tags["kind"], baseline.tags["kind"]) == ("xgboost", "logistic")
    assert challenger.tags["training_set"] == outcome.manifests[0].inputs["training_set"]
    # The model's page links to its version and to the training set that the run has read.
    logged = tracker.client.get_logged_model(challenger.model_id)
    assert logged.name == "churn-xgboost"
    assert [one.model_id for one in told.outputs.model_outputs] == [challenger.model_id]
    read = {(one.dataset.name, one.dataset.digest) for one in told.inputs.dataset_inputs}
    measured_on = {(one.dataset_name, one.dataset_digest) for one in logged.metrics if one.key.startswith("test_")}
    assert measured_on <= read
    assert {name for name, _ in measured_on} == {"gold/churn_training_dataset/split=test"}
    (rows,) = (one.dataset for one in told.inputs.dataset_inputs if one.dataset.name.endswith("/split=test"))
    # The registered model scores the published test rows as they were scored.
    model = ChurnModel.load(registry.fetch(challenger, root / "fetched", loader=LOADER, digest=digest_of))
    store = TableStore(root)
    published = pd.read_parquet(store.files(outcome.manifests[0], "model_predictions")[0])
    table = pd.read_parquet(next((root / "gold" / "churn_training_dataset").glob("*.parquet")))
    test = table[table["split"] == "test"].sort_values("customer_id")
    assert json.loads(rows.profile) == {"num_rows": len(test)}
    wanted = published[published["split"] == "test"].sort_values("customer_id")
    assert model.predict(test)["risk"].tolist() == wanted["risk"].tolist()
    # Again: nothing is made, the version is the same.
    again = run_stage(train.STAGE, settings, tracker, console=QUIET)
    assert again.cached
    assert tracker.client.get_run(again.run_id).data.tags["model_version"] == told.data.tags["model_version"]
    assert tracker.client.get_run(again.run_id).data.metrics["test_pr_auc"] == told.data.metrics["test_pr_auc"]
    assert tracker.client.get_run(again.run_id).data.tags["mlflow.note.content"].startswith(report.strip()[:200])
    # Made again from the run alone, it is the same model to the last bit: its files have the version's digest.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    assert run("train", [train.STAGE], ["--from-run", outcome.run_id, "force=true"]) == 0
    repeated = next(
        one
        for one in tracker.client.search_runs([told.info.experiment_id], "tags.stage = 'train'")
        if one.data.tags.get("from_run") == outcome.run_id
    )
    assert repeated.data.metrics["cached"] == 0.0
    assert repeated.data.tags["from_run_differences"] == "setting: force"
    assert repeated.data.tags["model_version"] == told.data.tags["model_version"]
    assert len(tracker.client.search_model_versions("name='churn'")) == 2
    # A cached run whose version is gone registers it again from the published files.
    tracker.client.delete_model_version("churn", challenger.version)
    third = run_stage(train.STAGE, settings, tracker, console=QUIET)
    assert third.cached
    restored = registry.with_alias("churn", "challenger")
    assert restored is not None
    assert (restored.digest, int(restored.version) > int(challenger.version)) == (challenger.digest, True)


def outcome_registry(tracker: Tracker):  # type: ignore[no-untyped-def]
    from spanishgas.registry import ModelRegistry

    return ModelRegistry(tracker.client)


def _children(tracker: Tracker, outcome: Outcome):  # type: ignore[no-untyped-def]
    experiment = tracker.client.get_run(outcome.run_id).info.experiment_id
    return tracker.client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{outcome.run_id}'")


@pytest.mark.drill
def test_training_again_after_a_change_does_not_mix_with_what_was(root: Path, tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    first = run_stage(train.STAGE, settings_of(root, tracking), tracker, console=QUIET)
    deeper = settings_of(root, tracking, "model.max_depth=2")
    second = run_stage(train.STAGE, deeper, tracker, console=QUIET)
    assert not second.cached
    assert first.manifests[0].publication != second.manifests[0].publication
    # The model card has the settings of its run.
    files = churn_models.collect_files(TableStore(root), second.manifests[0], root / "files")
    card = json.loads((files / "model.json").read_text())
    assert card["facts"]["settings"]["max_depth"] == 2
    assert card["facts"]["train_as_of"] == ["2024-02-29"]
    assert set(card["facts"]["types"]) == set(card["features"])
    assert {path.suffix for path in files.iterdir()} == {".json", ".ubj"}
    assert mlflow.active_run() is None
    # Coming back costs nothing.
    assert run_stage(train.STAGE, settings_of(root, tracking), tracker, console=QUIET).cached
    # The training set follows the labels that the command names.
    other = settings_of(root, tracking, "model=logistic", "labels.horizon_days=30")
    assert not run_stage(train.STAGE, other, tracker, console=QUIET).cached


def test_the_truth_reaches_nothing_but_the_ceiling(root: Path, tracking: TrackingSettings) -> None:
    """Only the share of the ceiling may change when the ground truth does: no score, no other figure."""
    tracker = Tracker(tracking)
    one = run_stage(train.STAGE, settings_of(root, tracking, "model=logistic"), tracker, console=QUIET)
    before = TableStore(root).files(one.manifests[0], "model_predictions")[0]
    scores = pd.read_parquet(before)
    folder = next((root / "ground_truth").glob("*-*"))
    truth = pd.read_parquet(folder / "hazards.parquet")
    truth.assign(p_horizon=truth["p_horizon"].sample(frac=1.0, random_state=0).to_numpy()).to_parquet(
        folder / "hazards.parquet", index=False
    )
    _publish_as_it_is(root / "ground_truth" / "_meta" / "demo.json", folder / "hazards.parquet")
    other = run_stage(train.STAGE, settings_of(root, tracking, "model=logistic", "force=true"), tracker, console=QUIET)
    pd.testing.assert_frame_equal(
        scores, pd.read_parquet(TableStore(root).files(other.manifests[0], "model_predictions")[0])
    )
    changed = {
        name
        for name, value in one.manifests[0].metrics.items()
        if other.manifests[0].metrics[name] != pytest.approx(value, abs=1e-12)
    }
    assert changed == {"test_share_of_ceiling"}


def _publish_as_it_is(manifest: Path, file: Path) -> None:
    """Lets a manifest name a file's present bytes."""
    told = json.loads(manifest.read_text())
    (entry,) = (one for table in told["tables"].values() for one in table["files"] if one["path"].endswith(file.name))
    entry |= {"size": file.stat().st_size, "digest": integrity.digest_of(file)}
    manifest.write_text(integrity.sealed(json.dumps(told)))


@pytest.mark.drill
def test_a_search_is_one_parent_with_comparable_children(root: Path, tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    settings = settings_of(root, tracking, "model.tuning.trials=3")
    outcome = run_stage(train.STAGE, settings, tracker, console=QUIET)
    trials = [child for child in _children(tracker, outcome) if "trial" in child.data.tags]
    assert len(trials) == 3
    assert len({trial.data.params["model.max_depth"] for trial in trials}) > 1
    for trial in trials:
        assert {"valid_log_loss", "valid_window_log_loss"} <= set(trial.data.metrics)
        assert set(trial.data.params) == set(trials[0].data.params)
    metrics = tracker.client.get_run(outcome.run_id).data.metrics
    assert (metrics["trials"], metrics["trials_resumed"]) == (3, 0)
    more = run_stage(train.STAGE, settings_of(root, tracking, "model.tuning.trials=4"), tracker, console=QUIET)
    metrics = tracker.client.get_run(more.run_id).data.metrics
    assert (metrics["trials"], metrics["trials_resumed"]) == (4, 3)


@pytest.mark.drill
def test_a_sweep_from_the_command_line_has_children_with_the_same_names(
    root: Path, tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    monkeypatch.chdir(root)
    arguments = [*WORLD, f"data_root={root}", "-m", "model=logistic,xgboost"]
    assert run("train", [train.STAGE], arguments) == 0
    tracker = Tracker(tracking)
    experiment = tracker.client.get_experiment_by_name("spanishgas")
    assert experiment is not None
    (parent,) = tracker.client.search_runs([experiment.experiment_id], "attributes.run_name = 'train sweep'")
    children = tracker.client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    assert {child.data.tags["model"] for child in children} == {"logistic", "xgboost"}
    one, other = (set(child.data.metrics) for child in children)
    # On so few rows scores may be constant, and their slope is not defined.
    assert all("calibration_slope" in name for name in one ^ other)
    assert len(one & other) > 50
    assert {child.info.run_name for child in children} == {"train logistic", "train xgboost"}


@pytest.mark.drill
def test_a_sample_holds_all_who_leave_and_goes_through_the_stages(root: Path, tracking: TrackingSettings) -> None:
    """A third of the customers: leavers, their rate and the weights are those of the whole set."""
    tracker, store = Tracker(tracking), TableStore(root)
    whole = pd.read_parquet(store.files(store.read(TRAINING_SET, made_by="training_set"), "churn_training_dataset")[0])
    settings = settings_of(root, tracking, "labels.sample.stayers=0.33", "model=logistic")
    outcome = run_stage(train.STAGE, settings, tracker, console=QUIET)
    manifest = store.read(TRAINING_SET, made_by="training_set")
    rows = pd.read_parquet(store.files(manifest, "churn_training_dataset")[0])
    assert 0.3 * len(whole) < len(rows) < 0.7 * len(whole)
    assert (rows["left_horizon"] == 1).sum() == (whole["left_horizon"] == 1).sum()
    # Weights of random rows: near the number of all, and exact for leavers.
    assert rows["sample_weight"].sum() == pytest.approx(len(whole), rel=0.15)
    assert manifest.metrics["sample_stayers"] == 0.33
    told = tracker.client.get_run(outcome.run_id).data
    assert told.metrics["train_leavers"] > 0
    grouped = run_stage(segment.STAGE, settings, tracker, console=QUIET)
    table = pd.read_parquet(store.files(grouped.manifests[0], "segment_summary")[0])
    drawn = rows[rows["sampled"] & rows["left_horizon"].notna()]
    assert table["churn_rows"].sum() == len(drawn)


@pytest.mark.drill
def test_segments_go_on_from_the_date_before(root: Path, tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    settings = settings_of(root, tracking, "as_of=[2024-08-31,2024-09-30]")
    outcome = run_stage(segment.STAGE, settings, tracker, console=QUIET)
    metrics = tracker.client.get_run(outcome.run_id).data.metrics
    assert metrics["kept_share"] > 0.8
    assert tracker.client.get_run(outcome.run_id).data.tags["before"] == "2024-08-31"
    folder = root / "gold" / "segments"
    assert {path.name for path in folder.iterdir()} == {"asof_date=2024-08-31", "asof_date=2024-09-30"}
    features = pd.read_parquet(
        next((root / "gold" / "customer_features_asof_date" / "asof_date=2024-09-30").glob("*.parquet"))
    )
    table = pd.read_parquet(next((folder / "asof_date=2024-09-30").glob("*.parquet")))
    assert sorted(table["customer_id"]) == sorted(features["customer_id"])
    model = segment.model_of(TableStore(root), outcome.manifests[0])
    placed = dict(zip(features["customer_id"], model.assign(features), strict=True))
    assert placed == dict(zip(table["customer_id"], table["segment_id"], strict=True))
    assert run_stage(segment.STAGE, settings, tracker, console=QUIET).cached
    anew = settings_of(root, tracking, "as_of=2024-09-30", "segmentation.restart=true")
    fresh = run_stage(segment.STAGE, anew, tracker, console=QUIET)
    assert tracker.client.get_run(fresh.run_id).data.tags["before"] == "none"


@pytest.mark.drill
def test_a_backtest_tells_every_origin(root: Path, tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    settings = settings_of(root, tracking, "model=logistic")
    outcome = run_stage(backtest.STAGE, settings, tracker, console=QUIET)
    store = TableStore(root)
    metrics = pd.read_parquet(store.files(outcome.manifests[0], "backtest_metrics")[0])
    assert metrics["origin"].nunique() == 3
    used = pd.read_parquet(store.files(outcome.manifests[0], "backtest_features")[0])
    assert (used.groupby("origin")["rank"].min() == 1).all()
    told = tracker.client.get_run(outcome.run_id)
    assert "backtest_pr_auc_mean" in told.data.metrics
    at_each = outcome.manifests[0].metrics
    assert {f"backtest_pr_auc.{day}" for day in metrics["origin"].astype(str)} <= set(at_each)
    assert {item.path for item in tracker.client.list_artifacts(outcome.run_id, "figures")} == {
        "figures/over_time.png",
        "figures/features.png",
    }
    assert run_stage(backtest.STAGE, settings, tracker, console=QUIET).cached
