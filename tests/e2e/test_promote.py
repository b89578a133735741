"""Champion and challenger on a small demo retailer: by gate, refused, rolled back, told, and killed half-way."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from pipelines._entry import load_settings, run
from spanishgas.config import TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.errors import ConfigError, PromotionError
from spanishgas.models import contest
from spanishgas.registry import CHALLENGER, CHAMPION, Decision, ModelRegistry, Tracker
from spanishgas.stages import promote, train
from spanishgas.stages.runner import Outcome, run_stage
from tests.e2e.worlds import QUIET, WORLD, copy_of, settings_of
from tests.once import Once, hand_out
from tests.pages import hidden_settings

SIZE = (
    "labels.horizon_days=30",
    "labels.split.train={first: 2024-02-29, last: 2024-05-31}",
    "labels.split.valid={first: 2024-07-31, last: 2024-07-31}",
    "labels.split.test={first: 2024-09-30, last: 2024-10-31}",
)
# A few customers tell little: what is asked for absolutely is wide here.
WIDE = (
    *SIZE,
    "promotion.gates.min_roc_auc=0.3",
    "promotion.gates.calibration_slope=[-5,5]",
    "promotion.gates.observed_over_expected=[0.1,10]",
    "promotion.gates.max_ece_growth=2",
    # Who was judged becomes champion: of the refit, test_young tells.
    "promotion.refit=false",
)
# The baseline and the first champion know electricity consumption only, the strong one everything.
FEW = "['[a-df-z]*','e[a-km-z]*']"
WEAK = ("model=logistic", f"model.leave_out={FEW}", f"baseline.leave_out={FEW}")
STRONG = ("model=logistic", f"baseline.leave_out={FEW}")


@pytest.fixture(scope="module")
def trained(once: Once, cleaned: Path) -> Path:
    """A data root with a training set and trained models, made once."""

    def make(folder: Path) -> None:
        retailer = copy_of(cleaned, folder)
        trainer = House(retailer.root, retailer.tracking)
        # What is trained once is found by whoever trains it again, and registered in a registry of its own.
        for model in (WEAK, STRONG, (*WEAK, "model.c=0.01")):
            trainer.train(*model)

    return once("promotion", make) / "data"


class House:
    """A copy of the prepared retailer with a registry of its own."""

    def __init__(self, root: Path, tracking: TrackingSettings) -> None:
        self.root, self.tracking, self.tracker = root, tracking, Tracker(tracking)

    def train(self, *overrides: str) -> Outcome:
        return run_stage(
            train.STAGE, settings_of(self.root, self.tracking, *SIZE, *overrides), self.tracker, console=QUIET
        )

    def promote(self, *overrides: str) -> Outcome:
        settings = settings_of(self.root, self.tracking, *WIDE, "model=logistic", *overrides)
        return run_stage(promote.STAGE, settings, self.tracker, console=QUIET)

    def decision(self, outcome: Outcome) -> Decision:
        return Decision.of(outcome.run_id, self.tracker.client.get_run(outcome.run_id).data.tags)

    @property
    def champion(self) -> str:
        found = ModelRegistry(self.tracker.client).with_alias("churn", CHAMPION)
        return "" if found is None else found.version


def check_compare_page(house: House, *, actions: set[str], models: set[str]) -> None:
    """Runs of a stage that compared or trained something have figures of the same names, and all are numbers.

    Every story has a promotion and a logistic model: what is alike in each of them is alike in all.
    """
    experiment = house.tracker.client.get_experiment_by_name("spanishgas")
    assert experiment is not None
    runs = house.tracker.client.search_runs([experiment.experiment_id])
    compared = [run for run in runs if run.data.tags["stage"] == "promote" and "gates" in run.data.tags]
    assert {run.data.tags["decision.action"] for run in compared} == {"promoted", *actions}
    trained = [run for run in runs if run.data.tags["stage"] == "train"]
    assert {run.data.tags["model"] for run in trained} == {"logistic", *models}
    for found in (compared, trained):
        first = set(found[0].data.metrics)
        assert len(first) > 50
        assert {run.info.run_name: set(run.data.metrics) ^ first for run in found} == {
            run.info.run_name: set() for run in found
        }
        assert all(math.isfinite(value) for run in found for value in run.data.metrics.values())


@pytest.fixture
def house(trained: Path, tmp_path: Path, tracking: TrackingSettings) -> House:
    return House(hand_out(trained, tmp_path / "data"), tracking)


@pytest.mark.drill
def test_the_whole_story(house: House) -> None:
    house.train(*WEAK)
    first = house.promote()
    decision = house.decision(first)
    assert (decision.action, decision.before, decision.after, house.champion) == ("promoted", "", "1", "1")
    assert "v1 is champion, the first one. Passes the gates that need no champion" in first.headline
    house.train(*STRONG)
    # A dry run says what would be.
    dry = house.promote("promotion.mode=dry_run")
    assert "would be: v2 is champion, v1 was" in dry.headline
    assert house.tracker.client.get_run(dry.run_id).info.run_name == "promote v2: dry run, would be promoted"
    assert house.champion == "1"
    second = house.promote()
    decision = house.decision(second)
    assert (decision.action, decision.before, decision.after, house.champion) == ("promoted", "1", "2", "2")
    assert "Better than the champion v1 beyond noise" in decision.reason
    assert second.cached  # the comparison is that of the dry run; the decision is new
    told = house.tracker.client.get_run(second.run_id)
    assert told.info.run_name == "promote v2: promoted"
    assert told.data.metrics["over_champion_pr_auc_lo"] > 0
    assert told.data.tags["mlflow.note.content"].startswith("# churn: promoted")
    assert "## Gates" in told.data.tags["mlflow.note.content"]
    used = {one.model_id for one in told.inputs.model_inputs}
    versions = house.tracker.client.search_model_versions("name='churn'")
    assert used == {one.source.removeprefix("models:/") for one in versions}
    artifacts = {item.path for item in house.tracker.client.list_artifacts(second.run_id, "figures")}
    assert artifacts == {"figures/curves.png"}
    # What was published is what was compared: both models' scores of the same rows.
    store = TableStore(house.root)
    scores = pd.read_parquet(store.files(second.manifests[0], "promotion_scores")[0])
    assert scores["contender"].value_counts().to_dict() == dict.fromkeys(("champion", "challenger"), len(scores) // 2)
    gates = pd.read_parquet(store.files(second.manifests[0], "promotion_gates")[0])
    assert set(gates["state"]) <= {"passed", "not asked"}
    # The timing is this run's own: it stands on the run and in no table.
    assert "| fast | passed | row_ms " in told.data.tags["mlflow.note.content"]
    assert {"challenger_row_ms", "challenger_thousand_rows_ms"} <= set(told.data.metrics)
    assert not {"challenger_row_ms"} & set(second.manifests[0].metrics)
    assert "failed_gates" not in told.data.tags
    # Who became champion challenges nobody any more. Again: there is nothing to decide.
    assert ModelRegistry(house.tracker.client).with_alias("churn", CHALLENGER) is None
    assert house.decision(house.promote()).action == "unchanged"
    # A worse one is refused, and told what it failed.
    house.train(*WEAK, "model.c=0.01")
    settings = settings_of(house.root, house.tracking, *WIDE)
    models = ModelRegistry(house.tracker.client)
    assert hidden_settings(promote.STAGE, settings, TableStore(house.root), models) == ""
    refused = house.promote()
    decision = house.decision(refused)
    assert (decision.action, house.champion) == ("refused", "2")
    assert {"better", "not_worse"} <= set(decision.failed)
    assert "v3 is refused, v2 stays champion. Failed: better" in refused.headline
    # Unless it is forced, with a reason.
    with pytest.raises(ConfigError, match="needs a reason"):
        house.promote("promotion.mode=force")
    forced = house.promote("promotion.mode=force", "promotion.reason='the others left the market'")
    assert (house.decision(forced).action, house.champion) == ("forced", "3")
    assert "the others left the market" in forced.headline
    back = house.promote("action=rollback", "promotion.reason='complaints'")
    assert (house.decision(back).after, house.champion) == ("2", "2")
    assert house.tracker.client.get_run(back.run_id).info.run_name == "promote: rolled back to v2"
    # What was rolled back challenges nobody, and does not come back where it is named.
    assert ModelRegistry(house.tracker.client).with_alias("churn", CHALLENGER) is None
    assert house.decision(house.promote("promotion.candidate=3")).failed[0] == "rolled_back"
    history = house.promote("action=history")
    lines = history.headline.splitlines()
    assert lines[0] == "churn, 7 decisions:"
    assert [word in line for word, line in zip(
        ("v1 is champion", "v2 is champion", "already", "v3 is refused", "overruled", "complaints", "refused"),
        lines[1:], strict=True)] == [True] * 7  # fmt: skip
    assert "tables/history.csv" in {item.path for item in house.tracker.client.list_artifacts(history.run_id, "tables")}
    check_compare_page(house, actions={"refused", "forced"}, models=set())


@pytest.mark.drill
def test_trees_are_fast_enough_for_the_default_limits_and_a_bad_moment_passes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.train(*WEAK)
    house.promote()
    house.train("model=xgboost", "model.min_child_weight=1", f"baseline.leave_out={FEW}")
    # A machine that has no time says no, once.
    monkeypatch.setattr(contest, "time_scoring", lambda _: {"row_ms": 80.0, "thousand_rows_ms": 90.0})
    slow = house.promote("promotion.mode=dry_run")
    assert "fast" in house.decision(slow).failed
    assert "fast (row_ms 80.00, allowed 50)" in slow.headline
    monkeypatch.undo()
    again = house.promote("promotion.mode=dry_run")
    assert again.cached
    assert "fast" not in house.decision(again).failed
    metrics = house.tracker.client.get_run(again.run_id).data.metrics
    assert metrics["challenger_row_ms"] < load_settings(()).promotion.gates.max_row_ms == 50
    # Over a model of another kind, and back.
    house.promote()
    assert house.champion == "2"
    house.promote("promotion.candidate=1", "promotion.mode=force", "promotion.reason=because")
    check_compare_page(house, actions={"refused", "forced"}, models={"xgboost"})


def test_the_history_goes_where_it_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house.train(*WEAK)
    house.promote()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", house.tracking.uri)
    capsys.readouterr()
    assert run("promote", [promote.STAGE], [*WORLD, *WIDE, f"data_root={house.root}", "action=history"]) == 0
    assert "v1 is champion, the first one" in capsys.readouterr().out


def test_without_a_challenger_the_message_says_what_to_run(house: House) -> None:
    with pytest.raises(PromotionError, match="no version has the alias 'challenger'"):
        house.promote()
    with pytest.raises(PromotionError, match="there is no version 7"):
        house.promote("promotion.candidate=7")
    assert house.promote("action=history").headline == "churn: nothing has been decided yet"
    with pytest.raises(PromotionError, match="there is no champion"):
        house.promote("action=rollback")


@pytest.mark.drill
def test_a_champion_that_changes_during_the_comparison_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.train(*WEAK)
    house.promote()
    house.train(*STRONG)
    house.promote()
    house.train(*WEAK, "model.c=0.01")
    build = promote.Promote.build

    def slow(self: promote.Promote, *arguments: object) -> object:
        found = build(self, *arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(promote.Promote, "build", build)
        house.promote("action=rollback")
        return found

    monkeypatch.setattr(promote.Promote, "build", slow)
    with pytest.raises(PromotionError, match="it is v1 now, rolled back by"):
        house.promote("promotion.mode=force", "promotion.reason=because")
    assert house.champion == "1"
    experiment = house.tracker.client.get_experiment_by_name("spanishgas")
    assert experiment is not None
    (lost,) = house.tracker.client.search_runs([experiment.experiment_id], "tags.`decision.action` = 'conflict'")
    assert lost.info.status == "FAILED"
    assert "## Gates" in lost.data.tags["mlflow.note.content"]
    check_compare_page(house, actions={"conflict"}, models=set())


@pytest.mark.drill
def test_a_promotion_that_is_killed_leaves_a_champion(house: House) -> None:
    """By the system, at several moments; the run after it decides as if nothing had been."""
    house.train(*WEAK)
    house.promote()
    house.train(*STRONG)
    command = [sys.executable, "-m", "pipelines.promote", *WORLD, *WIDE, f"data_root={house.root}"]
    command += ["model=logistic", f"tracking.artifacts={house.tracking.artifacts}"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": house.tracking.uri}
    killed = 0
    for delay in (3.0, 4.5, 6.0):
        running = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(delay)
        killed += running.poll() is None
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        assert house.champion in ("1", "2")
    house.promote()
    assert house.champion == "2"
    told = promote_history(house)
    assert {one.state for one in told} <= {"done", "undone"}
    assert [one.after for one in told if one.action == "promoted" and one.state == "done"] == ["1", "2"]
    assert killed >= 1


def promote_history(house: House) -> list[Decision]:
    with house.tracker.run("look", tags={}) as run:
        return run.champions.history("churn")
