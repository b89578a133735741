"""The command line: what composes, what fails and how, and that every way of saying the same does the same."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import pytest
from omegaconf import OmegaConf

from pipelines._entry import CONF, NO_GROUPS, _compose, expand_sweep, load_settings, run
from spanishgas.config import DemoData
from spanishgas.errors import ConfigError
from spanishgas.stages.base import Build, Target, Workspace
from spanishgas.stages.demo_data import STAGE as DEMO_DATA
from spanishgas.stages.ingest import STAGE as INGEST
from tests.stages.toy import Toy

GROUPS = {
    folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name not in NO_GROUPS and any(folder.glob("*.yaml"))
}
CHOICES = [f"{group}={option}" for group, options in GROUPS.items() for option in options]
TINY = ("data.customers=4", "data.end=2024-02-29")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_option_of_every_group_composes_and_validates(choice: str) -> None:
    settings = load_settings((choice,))
    assert settings.as_of


@pytest.mark.parametrize("pair", list(itertools.product(GROUPS["data"], GROUPS["labels"])), ids="-".join)
def test_any_data_goes_with_any_labels(pair: tuple[str, str]) -> None:
    data, labels = pair
    assert load_settings((f"data={data}", f"labels={labels}")).labels == load_settings((f"labels={labels}",)).labels


def test_a_data_set_brings_its_own_labels_dates_and_folder() -> None:
    settings = load_settings(("data=powerco",))
    assert settings.labels.kind == "snapshot"
    assert str(settings.as_of[0]) == "2016-01-01"
    assert settings.data.root.name == "powerco"


def test_the_demo_is_a_data_set_with_a_world() -> None:
    assert isinstance(load_settings(()).data, DemoData)


WRONG = {
    ("data.custmers=5",): "data.customers",
    ("modle=xgboost",): "nearest",
    ("data=dema",): "Known options: demo, demo_large, meters, powerco",
    ("labels.horizon_days=45",): "multiple of window_days",
    ("labels.horizon_days=120",): "30, 60 or 90",
    ("data.customers=0",): "greater than or equal to 1",
    ("+data.colour=blue",): "data.demo.colour",
    ("data.customers=1,2",): "Add -m",
    ("data.end=2020-01-01",): "must be after start",
}


@pytest.mark.parametrize("overrides", WRONG, ids=" ".join)
def test_a_wrong_setting_is_told_with_what_would_be_right(overrides: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(overrides)
    assert WRONG[overrides] in str(caught.value)


MINE = """
defaults: [meters, _self_]
name: mine
raw: files/mine
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of options outside the project, with a data set and a policy."""
    folder = tmp_path / "our options, 2026"
    for group in ("data", "policy", "experiment"):
        (folder / group).mkdir(parents=True)
    (folder / "data" / "mine.yaml").write_text(MINE)
    (folder / "policy" / "ours.yaml").write_text("defaults: [default, _self_]\nbudget: {eur: 77}\n")
    (folder / "experiment" / "wide.yaml").write_text("# @package _global_\nengine: {threads: 1}\n")
    monkeypatch.setenv("SPANISHGAS_CONFIG_DIR", str(folder))
    return folder


def test_options_from_outside_compose_with_ours(outside: Path) -> None:
    settings = load_settings(("data=mine", "policy=ours", "experiment=wide"))
    assert (settings.data.name, settings.data.raw) == ("mine", Path("files/mine"))
    assert settings.data.sources == load_settings(("data=meters",)).data.sources
    assert (settings.policy.budget.eur, settings.engine.threads) == (77, 1)
    with pytest.raises(ConfigError, match="Known options: demo, demo_large, meters, mine, powerco"):
        load_settings(("data=minee",))


def test_an_option_in_two_folders_is_refused(outside: Path) -> None:
    (outside / "data" / "demo.yaml").write_text(MINE)
    with pytest.raises(ConfigError, match=r"data/demo\.yaml in .*conf and .*our options"):
        load_settings(())


def test_a_folder_of_options_that_is_not_there_is_named(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ingest", [INGEST], ["--cfg", "--config-dir", str(outside / "gone")]) == 2
    assert str(outside / "gone") in capsys.readouterr().err.replace("\n", "")


def test_the_command_line_adds_folders_to_those_of_the_environment(
    outside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "data" / "third.yaml").write_text(MINE.replace("mine", "third"))
    assert run("ingest", [INGEST], ["--config-dir", str(other), "--help"]) == 0
    assert "data: demo, demo_large, meters, mine, powerco, third" in capsys.readouterr().out
    assert load_settings(("data=third",)).data.name == "third"


def test_public_files_that_are_not_there_are_told_with_the_page_that_says_where_from(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPANISHGAS_REAL_DATA", raising=False)
    assert run("ingest", [INGEST], ["data=powerco"]) == 1
    told = capsys.readouterr().err.replace("\n", " ")
    assert "datasets/powerco" in told
    assert "docs/bring_your_own_data.md" in told


def test_a_sweep_is_expanded_in_order() -> None:
    found = expand_sweep(("labels.horizon_days=30,60", "engine.threads=1", "features.margin_months=6,12"))
    assert [combination[0] for combination in found] == ["labels.horizon_days=30"] * 2 + ["labels.horizon_days=60"] * 2
    assert len(found) == 4


def runs(folder: Path) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, order_by=["attributes.start_time ASC"]))


def test_an_unknown_key_leaves_a_failed_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ingest", [INGEST], ["data.custmers=5"]) == 2
    assert "nearest to data.custmers: data.customers" in capsys.readouterr().err.replace("\n", " ")
    (failed,) = runs(here)
    assert failed.info.status == "FAILED"
    assert "data.customers" in failed.data.tags["error"]


def test_the_three_ways_of_giving_settings_do_the_same(here: Path) -> None:
    ways = [list(TINY), ["--overrides", " ".join(TINY)], ["--data.customers", "4", "--data.end", "2024-02-29"]]
    for arguments in ways:
        assert run("demo_data", [DEMO_DATA], arguments) == 0
    first, *others = runs(here)
    assert first.data.params["data.customers"] == "4"
    for other in others:
        assert other.data.tags["fingerprint"] == first.data.tags["fingerprint"]
        assert other.data.metrics["cached"] == 1.0
        assert other.data.tags["cached_from"] == first.info.run_id


def test_a_sweep_is_one_parent_with_comparable_children(here: Path) -> None:
    assert run("demo_data", [DEMO_DATA], ["-m", "data.customers=2,3", "data.end=2024-02-29"]) == 0
    parent, *children = runs(here)
    assert parent.info.run_name == "demo_data sweep"
    assert [child.data.params["data.customers"] for child in children] == ["2", "3"]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}


def test_a_missing_input_says_which_command_makes_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ingest", [INGEST], []) == 1
    told = capsys.readouterr().err.replace("\n", " ")
    assert "Run `demo_data` first" in told
    assert "7 sources are missing" in told


def test_help_and_cfg_run_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ingest", [INGEST], ["--help"]) == 0
    assert "data: demo, demo_large, meters, powerco" in capsys.readouterr().out
    assert run("ingest", [INGEST], ["--cfg", "data.customers=77"]) == 0
    assert "customers: 77" in capsys.readouterr().out
    assert runs(here) == []


class Broken(Toy):
    """A stage with a fault."""

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        workspace.progress("prices")
        raise ZeroDivisionError("division by zero")


def test_an_error_that_nobody_foresaw_is_told_and_its_traceback_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("toy", [Broken()], [f"data_root={here / 'data'}"]) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "toy failed toy, while at: prices: an error that nobody foresaw: ZeroDivisionError" in told
    (failed,) = runs(here)
    assert failed.info.status == "FAILED"
    kept = mlflow.artifacts.download_artifacts(run_id=failed.info.run_id, artifact_path="traceback.txt")
    assert "ZeroDivisionError: division by zero" in Path(kept).read_text()
    (named,) = re.findall(r"The full traceback is in (\S+)", told)
    assert Path(named).read_text() == Path(kept).read_text()


def test_the_traceback_is_shown_where_it_is_asked_for(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"data_root={here / 'data'}"
    assert run("toy", [Broken()], [root, "--traceback"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    monkeypatch.setenv("SPANISHGAS_TRACEBACK", "1")
    assert run("toy", [Broken()], [root]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_store_that_cannot_keep_the_traceback_leaves_it_in_a_file(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spanishgas.registry.runs.RunLog.log_text", fail)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    assert run("toy", [Broken()], [f"data_root={here / 'data'}"]) == 1
    (named,) = re.findall(r"The full traceback is in (\S+)", capsys.readouterr().err)
    assert "No space left on device" in Path(named).read_text()


@pytest.mark.parametrize("raised", [BrokenPipeError, SystemExit])
def test_a_broken_pipe_and_a_wish_to_end_stay_what_they_are(
    here: Path, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr("pipelines._entry.describe", fail)
    with pytest.raises(raised):
        run("ingest", [INGEST], ["--help"])


LISTED = ("data.sources.", "model.tuning.space.", "policy.economics.margin_features.")


def names_of(values: Any, place: str = "") -> set[str]:
    """Names of all settings; what a retailer lists, such as sources and ranges of a search, is one."""
    if not isinstance(values, dict) or place in LISTED:
        return {place.rstrip(".")}
    return {place.rstrip("."), *(name for key in values for name in names_of(values[key], f"{place}{key}."))}


def test_every_setting_can_be_given_by_its_name() -> None:
    """Of a setting that only the class knows Hydra says that it is unknown."""
    told = load_settings(())
    assert (
        names_of(told.model_dump(mode="json")) - names_of(OmegaConf.to_container(_compose(()), resolve=True)) == set()
    )
