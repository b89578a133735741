"""The study of many worlds, on one that is small: made, replayed, tidied up and summed up."""

from pathlib import Path

import pandas as pd
import pytest

from spanishgas.config import TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.registry import ModelRegistry, Tracker
from spanishgas.stages import replay
from spanishgas.stages.runner import run_stage
from tests.e2e.worlds import QUIET, WIDE, settings_of
from tests.pages import hidden_settings

STUDY = (
    "data.customers=200",
    "model=logistic",
    "as_of=2024-11-30",
    "evaluation.explained_rows=20",
    "policy.replay={worlds: [interactions], seeds: [3], keep_raw: false}",
)
GATED = tuple(one for one in WIDE if not one.startswith("promotion."))


@pytest.mark.drill
def test_a_world_is_made_replayed_and_not_made_again(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings = settings_of(tmp_path / "data", tracking, *STUDY, *GATED)
    tracker = Tracker(tracking)
    outcome = run_stage(replay.STAGE, settings, tracker, console=QUIET)
    world = tmp_path / "data" / "replays" / "interactions-3"
    assert (world / "gold").is_dir()
    assert not (world / "raw").exists()
    assert not (world / "bronze").exists()
    store = TableStore(tmp_path / "data")
    study = pd.read_parquet(store.files(outcome.manifests[0], "replay_study")[0]).set_index("policy")
    assert {"assumed", "top_risk_medium", "tier_by_risk", "informed", "with_traits"} <= set(study.index)
    assert set(study["seeds"]) == {1}
    # So small a model passes no gate; the world is replayed all the same, and the record says why.
    champion = tracker.client.get_model_version_by_alias("churn-data_interactions_3", "champion")
    runs = tracker.client.search_runs(
        [tracker.client.get_run(outcome.run_id).info.experiment_id], "tags.stage = 'promote'"
    )
    assert champion.version
    assert [run.data.tags["mode"] for run in runs] == ["force"]
    made = len(tracker.client.search_runs([runs[0].info.experiment_id], "tags.stage = 'replay_world'"))
    assert hidden_settings(replay.STAGE, settings, store, ModelRegistry(tracker.client)) == ""
    again = run_stage(replay.STAGE, settings, tracker, console=QUIET)
    assert again.cached
    assert len(tracker.client.search_runs([runs[0].info.experiment_id], "tags.stage = 'replay_world'")) == made == 1
