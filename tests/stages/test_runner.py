"""What every stage shares: caching, checking, publishing, logging."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spanishgas.config import Settings, TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.errors import ContractError
from spanishgas.registry import Tracker
from spanishgas.stages.base import Request
from spanishgas.stages.pages import PAGES, Page
from spanishgas.stages.runner import Outcome, run_stage
from tests.stages.toy import Toy, settings_for


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's page, which says what its result depends on."""
    told = Page(settings=("run_date", "as_of"), depends=("features.margin_months",))
    monkeypatch.setitem(PAGES, "toy", told)  # type: ignore[arg-type]


JANUARY, FEBRUARY = date(2026, 1, 31), date(2026, 2, 28)


def published(store: TableStore, outcome: Outcome) -> list[pd.DataFrame]:
    return [pd.read_parquet(file) for manifest in outcome.manifests for file in store.files(manifest, "doubles")]


def test_a_stage_publishes_and_tells_the_run(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings, tracker = settings_for(tmp_path, tracking), Tracker(tracking)
    outcome = run_stage(Toy(), settings, tracker)
    (frame,) = published(TableStore(settings.data.root), outcome)
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"number": [0, 1, 2], "double": [0, 2, 4]}))
    run = tracker.client.get_run(outcome.run_id)
    assert {name: run.data.metrics[name] for name in ("rows_doubles", "largest", "cached")} == {
        "rows_doubles": 3.0,
        "largest": 4.0,
        "cached": 0.0,
    }
    assert run.data.metrics["seconds"] > 0
    assert run.data.metrics["peak_memory_mib"] > 10
    assert {name: run.data.tags[name] for name in ("stage", "data", "as_of")} == {
        "stage": "toy",
        "data": "toy",
        "as_of": "2026-01-31",
    }
    assert run.data.tags["fingerprint"] == outcome.manifests[0].fingerprint[:16]
    assert run.data.params == {"run_date": "2026-02-09", "as_of": "2026-01-31", "features.margin_months": "12"}
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert Settings.model_validate(yaml.safe_load((folder / "config.yaml").read_text())) == settings
    provenance = json.loads((folder / "provenance.json").read_text())
    (manifest,) = outcome.manifests
    assert provenance["publications"] == {
        str(manifest.publication): {"fingerprint": manifest.fingerprint, "inputs": {"first": "0"}}
    }
    assert (len(provenance["code"]), len(provenance["lock"])) == (64, 64)
    (output,) = run.inputs.dataset_inputs
    assert output.dataset.name == "gold/doubles/asof_date=2026-01-31"
    assert output.dataset.digest == outcome.manifests[0].tables["doubles"].content_hash[:36]


def test_the_same_again_is_cached_and_repeats_the_figures(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings, tracker, stage = settings_for(tmp_path, tracking), Tracker(tracking), Toy()
    first = run_stage(stage, settings, tracker)
    second = run_stage(stage, settings, tracker)
    assert (first.cached, second.cached, len(stage.calls)) == (False, True, 1)
    assert second.manifests == first.manifests
    run = tracker.client.get_run(second.run_id)
    assert run.data.tags["cached_from"] == first.run_id
    assert (run.data.metrics["largest"], run.data.metrics["cached"]) == (4.0, 1.0)


@pytest.mark.parametrize("change", [{"factor": 3}, {"first": 1}, {"module": "spanishgas.config"}])
def test_a_changed_setting_input_or_line_of_code_is_not_cached(
    tmp_path: Path, tracking: TrackingSettings, change: dict[str, object]
) -> None:
    settings, tracker = settings_for(tmp_path, tracking), Tracker(tracking)
    first = run_stage(Toy(), settings, tracker)
    second = run_stage(Toy(**change), settings, tracker)  # type: ignore[arg-type]
    assert not second.cached
    assert second.manifests[0].fingerprint != first.manifests[0].fingerprint


def test_a_setting_that_the_stage_does_not_read_is_cached(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings, tracker = settings_for(tmp_path, tracking), Tracker(tracking)
    run_stage(Toy(), settings, tracker)
    engine = settings.engine.model_copy(update={"threads": 1})
    assert run_stage(Toy(), settings.model_copy(update={"engine": engine}), tracker).cached


def test_force_and_a_lost_file_make_it_again(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings, tracker, stage = settings_for(tmp_path, tracking), Tracker(tracking), Toy()
    run_stage(stage, settings, tracker)
    forced = run_stage(stage, settings.model_copy(update={"force": True}), tracker)
    (file,) = TableStore(settings.data.root).files(forced.manifests[0], "doubles")
    file.unlink()
    again = run_stage(stage, settings, tracker)
    assert (forced.cached, again.cached, len(stage.calls)) == (False, False, 3)


@pytest.mark.parametrize("where", ["gold/doubles/*/*.parquet", "gold/_meta/toy/*.json"])
def test_what_is_damaged_is_made_again_and_the_run_says_so(
    tmp_path: Path, tracking: TrackingSettings, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, tracker, stage = settings_for(tmp_path, tracking), Tracker(tracking), Toy()
    first = run_stage(stage, settings, tracker)
    (file,) = settings.data.root.glob(where)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(bytes(content))
    again = run_stage(stage, settings, tracker)
    assert (again.cached, len(stage.calls)) == (False, 2)
    assert [one.content_hash for one in again.manifests] == [one.content_hash for one in first.manifests]
    assert file.name in tracker.client.get_run(again.run_id).data.tags["damaged"]
    assert file.name in "".join(capsys.readouterr().err.split())
    assert run_stage(stage, settings, tracker).cached


@pytest.mark.parametrize("count", [2, 5])
def test_several_at_once_share_one_result(tmp_path: Path, tracking: TrackingSettings, count: int) -> None:
    settings, stage = settings_for(tmp_path, tracking), Toy()
    with ThreadPoolExecutor(count) as pool:
        outcomes = list(pool.map(lambda _: run_stage(stage, settings, Tracker(tracking)), range(count)))
    assert sorted(outcome.cached for outcome in outcomes) == [False, *[True] * (count - 1)]
    assert all(outcome.manifests == outcomes[0].manifests for outcome in outcomes)
    assert len(stage.calls) == 1


def test_only_the_partitions_that_are_missing_are_made(tmp_path: Path, tracking: TrackingSettings) -> None:
    tracker, stage = Tracker(tracking), Toy()
    run_stage(stage, settings_for(tmp_path, tracking, JANUARY), tracker)
    outcome = run_stage(stage, settings_for(tmp_path, tracking, JANUARY, FEBRUARY), tracker)
    assert stage.calls == [["2026-01-31"], ["2026-02-28"]]
    run = tracker.client.get_run(outcome.run_id)
    assert run.data.metrics["rows_doubles"] == 6.0
    assert not [name for name in run.data.metrics if "." in name]
    table = pd.read_csv(f"{run.info.artifact_uri.removeprefix('file://')}/tables/figures.csv")
    assert table.to_numpy().tolist()[-1] == ["largest", "2026-02-28", 4.0]
    assert table[table["figure"] == "rows_doubles"]["value"].tolist() == [6.0, 3.0, 3.0]


def test_what_breaks_its_contract_is_not_published(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings, tracker = settings_for(tmp_path, tracking), Tracker(tracking)
    run_stage(Toy(), settings, tracker)
    with pytest.raises(ContractError, match="number"):
        run_stage(Toy(first=-1), settings, tracker)
    (partition,) = TableStore(settings.data.root).partitions("gold", "toy")
    manifest = TableStore(settings.data.root).read(partition, made_by="toy")
    assert manifest.inputs == {"first": "0"}
    runs = tracker.client.search_runs([tracker.client.get_experiment_by_name("spanishgas").experiment_id])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]


def test_a_stage_that_is_needed_runs_before_as_a_child(tmp_path: Path, tracking: TrackingSettings) -> None:
    tracker, needed = Tracker(tracking), Toy(name="needed")
    settings = settings_for(tmp_path, tracking, FEBRUARY)
    stage = Toy(needs=(Request(needed, settings_for(tmp_path, tracking, JANUARY)),))
    outcome = run_stage(stage, settings, tracker)
    assert (needed.calls, stage.calls) == ([["2026-01-31"]], [["2026-02-28"]])
    experiment = tracker.client.get_run(outcome.run_id).info.experiment_id
    children = tracker.client.search_runs([experiment], f"tags.mlflow.parentRunId = '{outcome.run_id}'")
    assert [child.info.run_name for child in children] == ["needed 2026-01-31"]
