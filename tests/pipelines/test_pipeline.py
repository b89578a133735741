"""Pipelines: which steps run, what is shown meanwhile, how they end, and what the last lines say."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
from rich.console import Console

from pipelines._entry import CONF, _steps, load_settings, run
from pipelines._summary import RULES as TOLD_RULES
from pipelines._summary import closing, summarise
from spanishgas.errors import ConfigError, LockTimeoutError, PublishError, SpanishGasError
from spanishgas.policy.rules import RULES
from spanishgas.stages.base import PlainStage
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.display import Steps
from spanishgas.stages.runner import Outcome

NAMES = [stage.name for stage in STAGES]
MONITORING = ("drift", "performance", "retrain_signal")


def steps(*overrides: str) -> list[str]:
    return [stage.name for stage in _steps("run_pipeline", STAGES, load_settings(overrides))]


@pytest.mark.parametrize("option", sorted(file.stem for file in (CONF / "pipeline").glob("*.yaml")))
def test_every_pipeline_is_made_of_stages_in_the_order_in_which_tables_flow(option: str) -> None:
    found = steps(f"pipeline={option}")
    # Monitoring looks at what stands: at the end, or before a training that hangs on it.
    others = [name for name in found if name not in MONITORING]
    assert others == sorted(others, key=NAMES.index)
    assert tuple(name for name in found if name in MONITORING) == MONITORING
    assert len(found) == len(set(found)) > 3


def test_what_each_pipeline_is_for() -> None:
    assert steps() == steps("pipeline=full")
    assert steps()[0] == "demo_data"
    assert steps()[-7:] == ["promote", "score", "recommend", "simulate", *MONITORING]
    assert {"train", "promote", "training_set"}.isdisjoint(steps("pipeline=daily"))
    assert steps("pipeline=daily")[-5:] == ["score", "recommend", *MONITORING]
    assert steps("pipeline=retrain")[-7:] == [*MONITORING, "training_set", "train", "segment", "promote"]
    asked = {option: load_settings([f"pipeline={option}"]).pipeline.only_if for option in ("full", "daily", "retrain")}
    assert asked == {"full": None, "daily": None, "retrain": "retrain_signal"}


def test_own_files_are_not_generated_and_steps_can_be_left_out() -> None:
    assert steps("data=powerco", "pipeline=full") == [name for name in steps() if name != "demo_data"]
    assert steps("pipeline.skip=[simulate,segment]") == [
        name for name in steps() if name not in ("simulate", "segment")
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("pipeline.stages=[ingest,sliver]",), "no such stage .*sliver.*Known stages: demo_data, ingest, silver"),
        (("pipeline.skip=[simulat]",), "no such stage .*simulat"),
        (("pipeline.stages=[ingest]", "pipeline.skip=[ingest]"), "no stage is left to run"),
        (("pipeline.only_if=drift",), "no such stage .*drift .pipeline.only_if asks retrain_signal or nobody"),
    ],
)
def test_a_pipeline_without_sense_is_told_before_anything_runs(
    here: Path, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        steps(*overrides)


class Toy(PlainStage):
    """A stage that publishes nothing, or fails."""

    module = __name__

    def __init__(self, name: str, error: BaseException | None = None) -> None:
        self.name, self.error, self.calls = name, error, 0

    def tags(self, settings: Any) -> dict[str, str]:
        return {}

    def plan(self, settings: Any, store: Any, models: Any) -> tuple[()]:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return ()

    def build(self, workspace: Any, targets: Any) -> Any:
        raise AssertionError("nothing is to be made")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (PublishError("no table", todo="Run it first"), 1),
        (ConfigError("a value is wrong"), 2),
        (LockTimeoutError("another run holds it"), 75),
        (KeyboardInterrupt(), 130),
    ],
    ids=["well", "failed", "settings", "try again", "interrupted"],
)
def test_a_scheduler_can_tell_how_a_pipeline_ended(
    here: Path, capsys: pytest.CaptureFixture[str], error: BaseException | None, code: int
) -> None:
    stages = [Toy("first"), Toy("second", error), Toy("third")]
    assert run("run_pipeline", stages, ["pipeline.stages=[first,second,third]"]) == code
    assert [stage.calls for stage in stages] == [1, 1, 1 if error is None else 0]
    told = capsys.readouterr().err
    assert "[1/3] first ..." in told
    assert "[1/3] first done in" in told
    if isinstance(error, SpanishGasError):
        assert "[2/3] second failed; the 1 steps before it stay published" in told
        assert error.what in told
    client = mlflow.MlflowClient(f"sqlite:///{here / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    parent, *children = client.search_runs(experiments, order_by=["attributes.start_time ASC"])
    wanted = {0: "FINISHED", 130: "KILLED"}.get(code, "FAILED")
    assert parent.info.status == wanted
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert len(children) == (3 if code == 0 else 2)
    if code == 0:
        assert {"seconds.first", "seconds.second", "seconds.third", "cached_stages"} <= set(parent.data.metrics)
        assert parent.data.tags["mlflow.note.content"].startswith("# Pipeline on demo, run date 2026-02-09")


def signalling(monkeypatch: pytest.MonkeyPatch, retrain: bool) -> list[str]:
    """Stages that only say that they were run; the signal says yes or no."""
    ran: list[str] = []

    def run_stage(stage: Any, *_: Any, **__: Any) -> Outcome:
        ran.append(stage.name)
        tags = {"retrain": str(retrain).lower(), "retrain_in_words": "because"}
        manifest: Any = SimpleNamespace(publication=stage.name, metrics={}, tags=tags, tables={}, run_id="r")
        return Outcome(stage.name, "r", False, 0.1, (manifest,), "said")

    monkeypatch.setattr("pipelines._entry.run_stage", run_stage)
    return ran


PIPELINE = ("pipeline.stages=[ingest,retrain_signal,train]",)
CASES = {
    "yes": (True, ("pipeline.only_if=retrain_signal",), ["ingest", "retrain_signal", "train"]),
    "no": (False, ("pipeline.only_if=retrain_signal",), ["ingest", "retrain_signal"]),
    "no, but not obeyed": (
        False,
        ("pipeline.only_if=retrain_signal", "monitoring.signal.obey=false"),
        ["ingest", "retrain_signal", "train"],
    ),
    "no, but not asked": (False, (), ["ingest", "retrain_signal", "train"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pipeline_obeys_the_signal_that_it_asks(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    retrain, overrides, wanted = CASES[case]
    ran = signalling(monkeypatch, retrain)
    stages = [Toy("ingest"), Toy("retrain_signal"), Toy("train")]
    assert run("run_pipeline", stages, [*PIPELINE, *overrides]) == 0
    assert ran == wanted
    told = capsys.readouterr().err
    assert ("retrain_signal says no, so these steps are not run: train" in told) == (wanted[-1] != "train")
    assert "training  because" in told


@pytest.mark.parametrize(("retrain", "option", "code"), [(True, 10, 10), (False, 10, 0), (True, 0, 0)])
def test_the_signal_can_end_with_a_code_of_its_own(
    here: Path, monkeypatch: pytest.MonkeyPatch, retrain: bool, option: int, code: int
) -> None:
    signalling(monkeypatch, retrain)
    assert run("retrain_signal", [Toy("retrain_signal")], [f"monitoring.signal.exit_code={option}"]) == code


def test_a_terminal_shows_the_step_what_it_does_and_for_how_long() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    display = Steps(console, 4)
    with display.step("silver"), display.step("features"), display.status("features: reading") as line:
        line.update("features: writing [customer_features]")
        display._progress.refresh()
    shown = written.getvalue()
    assert "1/4" in shown
    assert "0:00:0" in shown
    assert "features: writing [customer_features]" in shown
    assert display.label == "[2/4]"


def test_a_log_gets_a_line_for_the_begin_of_every_step_and_no_bars() -> None:
    written = io.StringIO()
    display = Steps(Console(file=written, force_terminal=False, width=100), 2)
    with display.step("silver"), display.status("silver: reading") as line:
        line.update("silver: writing")
    assert written.getvalue() == "[1/2] silver ...\n"


def outcome(stage: str, *, cached: bool = False, headline: str = "", **metrics: float) -> Outcome:
    table = SimpleNamespace(rows=12)
    manifest: Any = SimpleNamespace(
        publication=f"gold/{stage}",
        metrics=metrics,
        tags={"response": "learned", "model_version": "3"},
        tables={"one": table, "two": table},
        run_id="made-it",
    )
    return Outcome(stage, f"run-{stage}", cached, 1.5, (manifest,), headline)


DECIDED = (
    outcome("promote", cached=True, headline="churn: v3 is champion, because it ranks better"),
    outcome(
        "recommend",
        cached=True,
        offers=210,
        customers=1900,
        held_out=23,
        spend_eur=470.4,
        budget_eur=500,
        expected_margin_impact_eur=812.6,
        promised_eur=950.2,
        promised_lo_eur=-40.0,
        promised_hi_eur=2100.0,
    ),
    outcome(
        "simulate",
        replay_share_of_informed=0.41,
        replay_share_of_informed_lo=0.3,
        replay_share_of_informed_hi=0.5,
        replay_informed_eur=4000,
        replay_share_of_informed_top_risk_medium=0.22,
        replay_share_of_informed_tier_by_risk=0.18,
    ),
)


def kept(run_id: str) -> Path | None:
    return None if run_id == "run-promote" else Path("mlruns", run_id, "artifacts")


def test_the_last_lines_say_what_was_decided_and_where_to_look() -> None:
    told = closing(DECIDED, load_settings(()), kept)
    assert "3 steps in 4 s, 2 of them published before" in told
    for line in (
        "champion  churn: v3 is champion, because it ranks better",
        "offers    210 offers to 1,900 active customers, 23 held out to measure by; 470 of 500 EUR",
        "expected  813 EUR of margin beyond cost, response learned, model v3",
        "promised  950 EUR by the whole plan, the held out included; with 90 % probability between -40 and 2,100",
        "replayed  by the demo world's true probabilities 41% (30% to 50%) of the 4,000 EUR that whoever "
        "knows all that is recorded would earn; medium offer to the riskiest 22%, offer by risk tier 18%",
        "recommend   mlruns/made-it/artifacts/report.md",
        "simulate    mlruns/run-simulate/artifacts/report.md",
        "make ui",
    ):
        assert line in told, line


def test_the_rules_that_are_told_are_those_that_are_replayed() -> None:
    assert set(TOLD_RULES) == set(RULES)


def test_where_nothing_was_decided_or_replayed_nothing_is_claimed() -> None:
    ingested = closing([outcome("ingest")], load_settings(()), kept)
    assert "Decided" not in ingested
    own = replace(DECIDED[2], manifests=(outcome("simulate", net_eur=5.0).manifests[0],))
    told = closing([own], load_settings(("data=powerco",)), kept)
    assert "replayed" not in told
    assert "data=powerco" in told


def test_the_pipelines_own_report_lists_decisions_and_tables() -> None:
    report = summarise(DECIDED, load_settings(()))
    assert "- **offers**: 210 offers" in report
    assert "| recommend | 1.5 | cached | gold/recommend: one, two, 24 rows |" in report
