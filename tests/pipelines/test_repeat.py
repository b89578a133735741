"""The same run again: its settings, what the command line changes in them, and what is different today."""

import csv
import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from pipelines._arguments import read_arguments
from pipelines._entry import load_settings, run
from pipelines._repeat import Difference, bring_up_to_date
from spanishgas.errors import ConfigError
from spanishgas.stages.demo_data import STAGE as DEMO_DATA
from spanishgas.stages.ingest import STAGE as INGEST

TINY = (
    "data.customers=4", "data.end=2024-02-29", "data.seed=7", "labels=snapshot", "model=logistic", "model.c=0.3",
    "quality.accept=[no_rows]", "quality.reason='four customers were made no offer'",
)  # fmt: skip


def all_runs(folder: Path) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, order_by=["attributes.start_time ASC"]))


def artifact(one: mlflow.entities.Run, file: str) -> Path:
    return Path(one.info.artifact_uri.removeprefix("file://")) / file


def config_of(one: mlflow.entities.Run) -> dict[str, Any]:
    return dict(yaml.safe_load(artifact(one, "config.yaml").read_text()))


def differences(one: mlflow.entities.Run) -> list[tuple[str, ...]]:
    with artifact(one, "tables/differences.csv").open() as file:
        return [tuple(row.values()) for row in csv.DictReader(file)]


def test_every_way_of_naming_a_run_is_read() -> None:
    for words in (
        ["--from-run", "r1", "a=2"],
        ["--from_run=r1", "a=2"],
        ["from_run=r1", "a=2"],
        ["--overrides", "a=2 from_run=r1"],
    ):
        arguments = read_arguments(words)
        assert (arguments.from_run, arguments.overrides) == ("r1", ("a=2",))
    assert read_arguments(["--from_run", ""]).from_run is None


def test_a_run_again_has_its_settings_and_finds_its_result(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo_data", [DEMO_DATA], [*TINY]) == 0
    (first,) = all_runs(here)
    capsys.readouterr()
    assert run("demo_data", [DEMO_DATA], ["--from-run", first.info.run_id]) == 0
    again = all_runs(here)[-1]
    assert config_of(again) == config_of(first)
    assert again.data.tags["fingerprint"] == first.data.tags["fingerprint"]
    assert again.data.tags["cached_from"] == again.data.tags["from_run"] == first.info.run_id
    assert again.data.tags["from_run_differences"] == "none"
    assert differences(again) == []
    told = capsys.readouterr().err
    assert f"settings of run {first.info.run_id}: as they were\n" in told
    assert "demo_data: code, lock file and inputs: as they were\n" in told


def test_the_command_line_wins_and_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting of an option that is not today's choice, and one that is today's default, are taken from there too."""
    assert run("demo_data", [DEMO_DATA], [*TINY]) == 0
    (first,) = all_runs(here)
    given = ["--from-run", first.info.run_id, "model.c=0.5", "data.seed=20240101", "model@baseline=xgboost"]
    assert run("demo_data", [DEMO_DATA], given) == 0
    again = all_runs(here)[-1]
    wanted = config_of(first)
    wanted["model"]["c"] = 0.5
    wanted["data"]["seed"] = 20240101
    wanted["baseline"] = config_of(again)["baseline"]
    assert config_of(again) == wanted
    assert wanted["baseline"]["kind"] == "xgboost"
    rows = differences(again)
    assert ("setting", "model.c", "0.3", "0.5") in rows
    assert ("setting", "data.seed", "7", "20240101") in rows
    assert "setting model.c: 0.5, was 0.3" in capsys.readouterr().err
    # Shown without running.
    assert run("demo_data", [DEMO_DATA], ["--cfg", *given]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"]["c"] == 0.5
    assert len(all_runs(here)) == 2
    # Swept.
    assert run("demo_data", [DEMO_DATA], ["-m", "--from-run", first.info.run_id, "data.seed=1,2"]) == 0
    assert [config_of(one)["data"]["seed"] for one in all_runs(here)[-2:]] == [1, 2]
    assert {one.data.tags["from_run"] for one in all_runs(here)[-2:]} == {first.info.run_id}


def test_what_is_different_today_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("demo_data", [DEMO_DATA], [*TINY]) == 0
    assert run("ingest", [INGEST], [*TINY]) == 0
    first = all_runs(here)[-1]
    raw = here / "data" / "raw" / "current" / "price_history.csv"
    raw.write_text(raw.read_text().replace("\n", "\r\n"))
    monkeypatch.setattr("spanishgas.stages.runner.lock_digest", lambda: "0" * 64)
    monkeypatch.setattr("spanishgas.stages.runner.code_digest", lambda _: "1" * 64)
    capsys.readouterr()
    assert run("ingest", [INGEST], ["--from-run", first.info.run_id]) == 0
    again = all_runs(here)[-1]
    then = json.loads(artifact(first, "provenance.json").read_text())
    rows = {row[:2]: row[2:] for row in differences(again)}
    assert rows.pop(("code", "ingest")) == (then["code"], "1" * 64)
    assert rows.pop(("lock file", "ingest")) == (then["lock"], "0" * 64)
    ((kind, name),) = rows
    assert kind == "input"
    assert "price_history" in name
    words = again.data.tags["from_run_differences"]
    assert words.startswith("code: ingest; lock file: ingest; input: ")
    assert "lock file ingest: 0000" in capsys.readouterr().err


def test_a_pipeline_again_compares_every_stage_with_its_run_of_then(here: Path) -> None:
    stages = [DEMO_DATA, INGEST]
    assert run("run_pipeline", stages, [*TINY, "pipeline.stages=[demo_data,ingest]"]) == 0
    parent = all_runs(here)[0]
    assert run("run_pipeline", stages, ["--from-run", parent.info.run_id]) == 0
    again, *children = all_runs(here)[3:]
    assert (again.info.run_name, again.data.tags["from_run"]) == ("run_pipeline", parent.info.run_id)
    assert [child.data.tags["from_run_differences"] for child in children] == ["none", "none"]
    assert [child.data.tags["stage"] for child in children] == ["demo_data", "ingest"]


@pytest.mark.drill
def test_a_run_that_cannot_be_repeated_is_told_with_what_to_do(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo_data", [DEMO_DATA], [*TINY, "-m", "data.seed=1,2"]) == 0
    parent, first, _ = all_runs(here)

    def fault(*words: str) -> str:
        capsys.readouterr()
        assert run("demo_data", [DEMO_DATA], list(words)) in (1, 2)
        return capsys.readouterr().err.replace("\n", " ")

    assert "there is no run 'nonesuch'" in fault("--from-run", "nonesuch")
    assert "has no config.yaml" in fault("--from-run", parent.info.run_id)
    for given, instead in (("data=powerco", "data.root"), ("experiment=x", "one by one"), ("data_root=x", "data.raw")):
        assert instead in fault("--from-run", first.info.run_id, given)
    assert "nearest to data.custmers: data.customers" in fault("--from-run", first.info.run_id, "data.custmers=5")
    capsys.readouterr()
    assert run("ingest", [INGEST], ["--from-run", first.info.run_id]) == 2
    assert f"python -m pipelines.demo_data --from-run {first.info.run_id}" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("content", [b"data: [", b"data", b"\xff\xfe\x00", b"", b"{}", b"data: {name: 3}"])
def test_settings_of_a_run_that_were_damaged_are_told(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    assert run("demo_data", [DEMO_DATA], [*TINY]) == 0
    (first,) = all_runs(here)
    artifact(first, "config.yaml").write_bytes(content)
    assert run("demo_data", [DEMO_DATA], ["--from-run", first.info.run_id]) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert f"--from-run {first.info.run_id}" in told


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"code": 1}', b"\xff"])
def test_a_record_that_was_damaged_is_told_as_missing(here: Path, content: bytes) -> None:
    assert run("demo_data", [DEMO_DATA], [*TINY]) == 0
    (first,) = all_runs(here)
    artifact(first, "provenance.json").write_bytes(content)
    assert run("demo_data", [DEMO_DATA], ["--from-run", first.info.run_id]) == 0
    (_, again) = all_runs(here)
    assert [row for row in differences(again) if row[0] == "record"]


def test_settings_that_went_and_came_are_told() -> None:
    today = load_settings(())
    values = load_settings(("model=logistic", "model.c=0.3", "scoring.chunk_rows=7")).model_dump(mode="json")
    values["model"]["colour"] = "blue"
    values["gone"] = {"a": 1}
    del values["model"]["max_iter"], values["scoring"], values["features"]["families"], values["force"]
    settings, moved = bring_up_to_date(values, today, "--from-run x")
    assert (settings.model.kind, settings.model.c, settings.scoring) == ("logistic", 0.3, today.scoring)
    assert settings.features == today.features
    assert {(one.kind, one.name) for one in moved} == {
        ("setting no longer known", "model.colour"),
        ("setting no longer known", "gone"),
        ("new setting", "model.max_iter"),
        ("new setting", "scoring.chunk_rows"),
        ("new setting", "scoring.max_feature_age_days"),
        ("new setting", "features.families"),
        ("new setting", "force"),
    }
    assert str(Difference("new setting", "force", "", "false")) == "new setting force: false, was none"
    values["labels"]["horizon_days"] = 45
    with pytest.raises(ConfigError, match="not allowed any more"):
        bring_up_to_date(values, today, "--from-run x")
