"""Models stay young: what decides has learned from the newest mature month, and six months later from newer ones."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from pipelines._entry import run
from spanishgas.config import TrackingSettings
from spanishgas.engine.store import TableStore
from spanishgas.registry import CHALLENGER, CHAMPION, Decision, ModelRegistry, ModelVersion, Tracker
from spanishgas.stages import demo_data, ingest, promote, silver, train
from spanishgas.stages.base import Stage
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.churn_models import fetch_baseline, fetch_model
from spanishgas.stages.runner import Outcome, run_stage
from tests.e2e.worlds import QUIET
from tests.once import hand_out
from tests.support import settings_at

WORLD = (
    "data.customers=200",
    "data.end=2024-11-30",
    "data.churn_rate_90d=0.2",
    "labels.horizon_days=30",
    "labels.split.train_months=4",
    "labels.split.valid_months=1",
    "labels.split.test_months=1",
    "labels.split.warmup_months=1",
    "evaluation.replicates=20",
    "model=logistic",
    "promotion.gates.min_roc_auc=0.3",
    "promotion.gates.calibration_slope=[-5,5]",
    "promotion.gates.observed_over_expected=[0.1,10]",
    "promotion.gates.max_ece_growth=2",
    "promotion.gates.max_group_log_loss_growth=1",
    "segmentation.candidates=[3]",
    "segmentation.stability_draws=2",
    "monitoring.evidently=none",
    # Of two hundred customers a few who move are many.
    "quality.accept=[changed]",
    "quality.reason=small",
)
NOW = ("run_date=2024-12-09", "as_of=2024-11-30")
LATER = ("run_date=2025-06-09", "as_of=2025-05-31", "data.until=2025-05-31")


class Office:
    """A retailer who trains and promotes, and whom time passes by."""

    def __init__(self, root: Path, tracking: TrackingSettings) -> None:
        self.root, self.tracking, self.tracker = root, tracking, Tracker(tracking)
        self.models = ModelRegistry(self.tracker.client)

    def run(self, stage: Stage, *overrides: str) -> Outcome:
        settings = settings_at(self.root, *WORLD, *overrides).model_copy(update={"tracking": self.tracking})
        return run_stage(stage, settings, self.tracker, console=QUIET)

    def decision(self, outcome: Outcome) -> Decision:
        return Decision.of(outcome.run_id, self.tracker.client.get_run(outcome.run_id).data.tags)

    def version(self, alias: str) -> ModelVersion | None:
        return self.models.with_alias("churn", alias)

    @property
    def champion(self) -> ModelVersion:
        found = self.version(CHAMPION)
        assert found is not None
        return found

    @property
    def versions(self) -> int:
        return len(self.tracker.client.search_model_versions("name='churn'"))

    def splits(self) -> pd.DataFrame:
        store = TableStore(self.root)
        manifest = store.read(train.TRAINING_SET, made_by="training_set")
        rows = pd.read_parquet(store.files(manifest, "churn_training_dataset")[0], columns=["split", "as_of"])
        return rows.astype("string").groupby("split")["as_of"].agg(["min", "max", "nunique"])


@pytest.mark.drill
def test_what_decides_has_learned_from_the_newest_mature_month(
    cleaned: Path, tmp_path: Path, tracking: TrackingSettings
) -> None:
    check_refit(Office(hand_out(cleaned / "data", tmp_path / "data"), tracking), tmp_path)


def check_refit(office: Office, tmp_path: Path) -> None:
    """Trains and promotes with silver tables: the judged recipe decides as learned from all mature rows."""
    office.run(train.STAGE, *NOW)
    assert office.splits().to_dict("index") == {
        "train": {"min": "2024-02-29", "max": "2024-05-31", "nunique": 4},
        "valid": {"min": "2024-07-31", "max": "2024-07-31", "nunique": 1},
        "test": {"min": "2024-09-30", "max": "2024-09-30", "nunique": 1},
        "embargo": {"min": "2024-06-30", "max": "2024-08-31", "nunique": 2},
    }
    dry = office.run(promote.STAGE, *NOW, "promotion.mode=dry_run")
    assert (office.decision(dry).candidate, office.versions) == ("1", 1)  # foretold of the judged, nothing registered
    made = office.decision(office.run(promote.STAGE, *NOW))
    assert (made.action, made.candidate, made.after) == ("promoted", "2", "2")
    assert made.reason.endswith("v2 is the recipe of v1, learned from all rows until 2024-09-30.")
    champion = office.champion
    named = {name: champion.tags[name] for name in ("judged_version", "verdict", "learned_until")}
    assert named == {"judged_version": "1", "verdict": "passed", "learned_until": "2024-09-30"}
    judged = office.models.with_number("churn", "1")
    assert judged is not None
    assert (judged.tags["learned_until"], judged.digest) == ("2024-07-31", champion.tags["judged_digest"])
    model, _ = fetch_model(office.models, champion, tmp_path / "fetched")
    assert model.facts["learned_as_of"][-1] == "2024-09-30"
    assert len(model.facts["learned_as_of"]) == 8
    # Drift is told against what it learned, skill by what its recipe was judged at.
    baselines = [fetch_baseline(office.models, one, tmp_path / one.version) for one in (judged, champion)]
    assert [one.last_date for one in baselines] == [date(2024, 7, 31), date(2024, 9, 30)]
    assert baselines[1].figures == baselines[0].figures
    assert (baselines[1].judged_on, baselines[1].outcomes_until) == ("test", date(2024, 10, 30))

    # The same data finds nothing new: no version is made, nobody challenges.
    office.run(train.STAGE, *NOW, "force=true")
    again = office.run(promote.STAGE, *NOW)
    assert (office.decision(again).action, office.champion.version, office.versions) == ("unchanged", "2", 2)
    assert office.version(CHALLENGER) is None


@pytest.mark.drill
def test_retrain_learns_from_what_has_matured_since(
    tmp_path: Path, tracking: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path / "data", tracking)
    for stage in (demo_data.STAGE, ingest.STAGE, silver.STAGE):
        office.run(stage, *NOW)
    check_refit(office, tmp_path)

    # Six months later the signal asks for a training because of age, and it learns from what has matured.
    office.run(demo_data.STAGE, *NOW, LATER[-1])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    monkeypatch.chdir(tmp_path)
    assert run("run_pipeline", STAGES, [*WORLD, *LATER, "pipeline=retrain", f"data_root={office.root}"]) == 0
    assert office.splits()["max"].to_dict() == {
        "train": "2024-11-30", "valid": "2025-01-31", "test": "2025-03-31", "embargo": "2025-02-28",
    }  # fmt: skip
    decided = office.tracker.client.search_model_versions("name='churn'", order_by=["version_number DESC"])[0]
    assert (decided.tags["learned_until"], decided.tags["judged_version"]) == ("2025-03-31", "3")
    assert office.champion.version == str(decided.version) == "4"
    assert "Younger than the champion v2 (judged as v1)" in decided.tags["verdict_reason"]

    # Rolled back, the older one decides again, and the same rows do not bring the younger one back.
    office.run(promote.STAGE, *LATER, "action=rollback", "promotion.reason=complaints")
    assert office.champion.version == "2"
    office.run(train.STAGE, *LATER)
    refused = office.decision(office.run(promote.STAGE, *LATER))
    assert (refused.action, refused.candidate, refused.failed[0]) == ("refused", "4", "rolled_back")
    assert (office.champion.version, office.versions) == ("2", 4)
