"""Runs: opened in the right place, ended with the right status, and never left running by a dead process."""

import json
import multiprocessing
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import mlflow
import pytest
import yaml

from spanishgas.config import TrackingSettings
from spanishgas.errors import TrackingError
from spanishgas.registry import Tracker
from spanishgas.registry.runs import DatasetFacts, RunLog
from spanishgas.registry.tracking import is_prepared


def test_runs_nest_and_end_with_the_status_of_their_body(tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    with tracker.run("pipeline", tags={"stage": "pipeline"}) as parent:
        with tracker.run("silver", tags={"stage": "silver"}, parent=parent) as child:
            child.log_metrics({"rows": 3})
        with pytest.raises(ValueError, match="broken"), tracker.run("features", tags={}, parent=parent) as failed:
            raise ValueError("broken")
        with pytest.raises(KeyboardInterrupt), tracker.run("train", tags={}, parent=parent) as stopped:
            raise KeyboardInterrupt
    runs = {
        name: tracker.client.get_run(run.id)
        for name, run in {"parent": parent, "child": child, "failed": failed, "stopped": stopped}.items()
    }
    assert {name: run.info.status for name, run in runs.items()} == {
        "parent": "FINISHED",
        "child": "FINISHED",
        "failed": "FAILED",
        "stopped": "KILLED",
    }
    assert runs["failed"].data.tags["error"] == "ValueError: broken"
    assert {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()} == {
        "parent": None,
        "child": parent.id,
        "failed": parent.id,
        "stopped": parent.id,
    }
    assert [run.info.run_name for run in runs.values()] == ["pipeline", "silver", "features", "train"]
    experiment = tracker.client.get_experiment_by_name("spanishgas")
    assert experiment is not None
    assert {run.info.experiment_id for run in runs.values()} == {experiment.experiment_id}


def test_a_launched_run_is_resumed_once(tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker(tracking)
    experiment_id = tracker.client.create_experiment("elsewhere")
    launched = tracker.client.create_run(experiment_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", launched.info.run_id)
    with tracker.run("silver", tags={"stage": "silver"}) as run:
        assert (run.id, run.experiment_id) == (launched.info.run_id, experiment_id)
        with tracker.run("features", tags={}, parent=run) as child:
            assert child.id != run.id
            assert child.experiment_id == experiment_id
    assert "MLFLOW_RUN_ID" not in os.environ
    with tracker.run("silver", tags={}) as alone:
        assert alone.id != launched.info.run_id


def test_what_a_run_was_launched_with_and_what_is_logged_are_one_column(
    tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MLflow keeps them: typed differently, or quoted for a shell; it refuses to change a parameter."""
    tracker = Tracker(tracking)
    launched = tracker.client.create_run(tracker.client.create_experiment("elsewhere")).info.run_id
    given = {"model.max_depth": "4", "model.l2": "5.0", "as_of": "'[2025-12-31]'", "model.monotone": "True"}
    for name, value in {**given, "model.seed": "1", "overrides": "model.seed=2"}.items():
        tracker.client.log_param(launched, name, value)
    monkeypatch.setenv("MLFLOW_RUN_ID", launched)
    ours = {"model.max_depth": "4", "model.l2": "5", "as_of": "2025-12-31", "model.monotone": "true"}
    with tracker.run("train", tags={}) as run:
        run.log_parameters({**ours, "model.rounds": "30"})
        assert "settings_overruled" not in tracker.client.get_run(run.id).data.tags
        run.log_parameters({**ours, "model.seed": "2"})
    told = tracker.client.get_run(launched).data
    assert told.params == {**given, "model.seed": "1", "overrides": "model.seed=2", "model.rounds": "30"}
    assert told.tags["settings_overruled"] == "model.seed=2"


def test_an_experiment_of_ours_is_one_of_models_unless_somebody_said_otherwise(
    tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow opens others as for language models."""
    tracker = Tracker(tracking)
    kinds = {}
    for name, tags in {
        "new": None,
        "ours before": {},
        "theirs": {"mlflow.experimentKind": "genai_development"},
    }.items():
        if tags is not None:
            tracker.client.create_experiment(name, tags=tags)
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
        with Tracker(tracking).run("silver", tags={}) as run:
            kinds[name] = tracker.client.get_experiment(run.experiment_id).tags.get("mlflow.experimentKind")
    model = "custom_model_development"
    assert kinds == {"new": model, "ours before": model, "theirs": "genai_development"}


def test_the_folder_of_a_run_is_where_its_artifacts_lie(
    tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tracker = Tracker(tracking)
    elsewhere = tracker.client.create_experiment("elsewhere", artifact_location=(tmp_path / "else where").as_uri())
    launched = tracker.client.create_run(elsewhere).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", launched)
    with tracker.run("promote", tags={}) as run:
        run.log_text("# Promoted", "report.md")
    monkeypatch.chdir(tmp_path)
    assert tracker.folder_of(launched) == Path("else where", launched, "artifacts")
    monkeypatch.chdir(tmp_path.parent)
    folder = tracker.folder_of(launched)
    assert folder is not None
    assert (folder / "report.md").read_text() == "# Promoted"
    served = tracker.client.create_experiment("served", artifact_location="mlflow-artifacts:/7")
    assert tracker.folder_of(tracker.client.create_run(served).info.run_id) is None
    assert tracker.folder_of("0" * 32) is None


def test_the_experiment_of_the_environment_wins(tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "nightly")
    tracker = Tracker(tracking)
    with tracker.run("silver", tags={}) as run:
        pass
    assert tracker.client.get_experiment(run.experiment_id).name == "nightly"


def _die_inside_a_run(tracking: TrackingSettings, connection: "multiprocessing.connection.Connection") -> None:
    with Tracker(tracking).run("ingest", tags={}) as run:
        connection.send(run.id)
        connection.close()
        os._exit(9)


def test_a_run_whose_process_died_is_killed_at_the_next_start(tracking: TrackingSettings) -> None:
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_die_inside_a_run, args=(tracking, sending))
    process.start()
    dead = receiving.recv()
    process.join()
    tracker = Tracker(tracking)
    assert tracker.client.get_run(dead).info.status == "RUNNING"
    with tracker.run("ingest", tags={}) as first, tracker.run("silver", tags={}):
        assert tracker.client.get_run(dead).info.status == "KILLED"
        assert tracker.client.get_run(first.id).info.status == "RUNNING"


def test_settings_datasets_and_texts_are_on_record(tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    with tracker.run("silver", tags={}) as run:
        run.log_parameters({"model.max_depth": "4", "model.kind": "xgboost"})
        run.log_config({"model": {"max_depth": 4, "words": "año: sí"}, "as_of": ["2026-01-31"], "none": None})
        run.log_datasets([DatasetFacts("silver/prices", "d" * 64, "data/silver/prices", {"a": "DOUBLE"}, 7)], "output")
        run.log_text("# Report\n", "report.md")
    found = tracker.client.get_run(run.id)
    assert found.data.params == {"model.max_depth": "4", "model.kind": "xgboost"}
    kept = yaml.safe_load(mlflow.artifacts.load_text(f"{found.info.artifact_uri}/config.yaml"))
    assert kept == {"model": {"max_depth": 4, "words": "año: sí"}, "as_of": ["2026-01-31"], "none": None}
    (entry,) = found.inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("silver/prices", "d" * 36)
    assert json.loads(entry.dataset.profile) == {"num_rows": 7}
    assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "output")]
    stored = {item.path for item in tracker.client.list_artifacts(run.id)}
    assert stored == {"report.md", "config.yaml"}


def test_runs_that_bring_the_same_data_set_at_the_same_moment_all_have_it(tracking: TrackingSettings) -> None:
    """The store looks and then adds: what another has added in between must not fail a run."""
    tracker = Tracker(tracking)
    together = threading.Barrier(4, timeout=120)
    with ExitStack() as stack:
        runs = [stack.enter_context(tracker.run("silver", tags={})) for _ in range(4)]

        def bring(run: RunLog) -> None:
            for turn in range(4):
                together.wait()
                facts = [DatasetFacts(f"t{turn}-{place}", "d" * 36, "x", {"a": "DOUBLE"}, 1) for place in range(8)]
                run.log_datasets(facts, "input")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(bring, runs))
    for run in runs:
        assert len(tracker.client.get_run(run.id).inputs.dataset_inputs) == 32


def test_more_than_a_batch_of_parameters_is_logged(tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    with tracker.run("silver", tags={}) as run:
        run.log_parameters({f"key{number}": str(number) for number in range(250)})
    assert len(tracker.client.get_run(run.id).data.params) == 250


def test_a_store_that_is_no_database_is_a_clear_error(tracking: TrackingSettings, tmp_path: Path) -> None:
    (tmp_path / "notadb").write_text("this is not a database, and long enough to be sure of it" * 20)
    broken = tracking.model_copy(update={"uri": f"sqlite:///{tmp_path / 'notadb'}"})
    with (
        pytest.raises(TrackingError, match="Restore it from a backup"),
        Tracker(broken).run("silver", tags={}),
    ):
        pass


def _open_and_close(tracking: TrackingSettings) -> None:
    with Tracker(tracking).run("ingest", tags={}):
        pass


@pytest.mark.drill
def test_four_processes_may_start_on_a_fresh_store_at_once(fresh_tracking: TrackingSettings) -> None:
    tracking = fresh_tracking
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open_and_close, args=(tracking,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    tracker = Tracker(tracking)
    experiment = tracker.client.get_experiment_by_name("spanishgas")
    assert experiment is not None
    runs = tracker.client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 4


def test_who_finds_a_prepared_store_waits_for_nobody(
    tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tracker(tracking).run("silver", tags={}):
        pass

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("locked")

    monkeypatch.setattr("spanishgas.registry.tracking.exclusive", refuse)
    with Tracker(tracking).run("silver", tags={}):
        pass


def test_a_store_is_prepared_once_all_is_there(fresh_tracking: TrackingSettings) -> None:
    uri = fresh_tracking.uri
    assert not is_prepared(uri)
    file = Path(uri.removeprefix("sqlite:///"))
    assert not file.exists()
    assert Tracker(fresh_tracking).client is not None
    assert is_prepared(uri)
    for change in ("delete from experiments", "update alembic_version set version_num = '451aebb31d03'"):
        copy = file.with_name("copy.db")
        shutil.copy(file, copy)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute(change)
            connection.commit()
        assert not is_prepared(f"sqlite:///{copy}"), change


def test_a_lock_that_cannot_be_had_is_not_told_as_a_store_that_is_away(
    fresh_tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def held(*_: object) -> Iterator[None]:
        raise TrackingError("the lock 'init' has been held by another for more than 120 s")
        yield

    monkeypatch.setattr("spanishgas.registry.tracking.exclusive", held)
    with pytest.raises(TrackingError) as caught:
        assert Tracker(fresh_tracking).client
    assert "held by another" in str(caught.value)
    assert "does not answer" not in str(caught.value)


def _size(file: Path) -> int:
    """Bytes of a file that may be gone by now, as SQLite's journals are."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.drill
def test_who_is_killed_while_the_store_is_made_leaves_nothing_in_the_next_ones_way(
    fresh_tracking: TrackingSettings, tmp_path: Path
) -> None:
    """Killed at several moments of a start; the file of the store is there whole or not at all."""
    file = tmp_path / "mlflow.db"
    seen = False
    for _ in range(4):
        process = multiprocessing.get_context("spawn").Process(target=_open_and_close, args=(fresh_tracking,))
        process.start()
        deadline = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < deadline and not seen:
            seen = any(_size(draft) > 0 for draft in tmp_path.glob("mlflow.db.unfinished-*"))
        process.kill()
        process.join()
        if seen:
            break
    assert seen
    assert not file.exists()
    with Tracker(fresh_tracking).run("silver", tags={}):
        pass
    assert is_prepared(fresh_tracking.uri)
    assert not list(tmp_path.glob("mlflow.db.unfinished-*"))
