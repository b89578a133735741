"""Batch scoring of a run date: the champion's numbers, chunk by chunk, and what changes them."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from spanishgas.errors import PromotionError, PublishError
from spanishgas.stages import features, promote, recommend, score
from spanishgas.stages.churn_models import champion_of, fetch_model
from tests.e2e.worlds import SIZE, WIDE, Retailer, settings_of
from tests.support import without_tracking_variables


def published(retailer: Retailer, *overrides: str) -> pd.DataFrame:
    return retailer.table(retailer.run(score.STAGE, *overrides), "scoring")


def the_features(retailer: Retailer, as_of: str = "2024-11-30") -> pd.DataFrame:
    store = retailer.store
    manifest = store.find(features.features_at(pd.Timestamp(as_of).date()))
    assert manifest is not None
    return pd.read_parquet(store.files(manifest, "customer_features_asof_date")[0])


def test_scores_are_those_of_the_champion_whatever_the_chunks(retailer: Retailer) -> None:
    found = published(retailer, "scoring.chunk_rows=7")
    settings = settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE)
    tracker = retailer.tracker
    with tracker.run("look", tags={}) as run, TemporaryDirectory() as folder:
        version = champion_of(settings, run.models)
        model, _ = fetch_model(run.models, version, Path(folder))
    rows = the_features(retailer).sort_values("customer_id", ignore_index=True)
    wanted = model.predict(rows)
    assert found["customer_id"].tolist() == rows["customer_id"].tolist()
    assert np.array_equal(found["risk"], wanted["risk"])
    assert np.array_equal(found["hazard_0_30"], wanted["hazard_0_30"])
    assert np.array_equal(found["hazard_30_60"], wanted["hazard_30_60"])
    assert found["hazard_60_90"].isna().all()  # the horizon of this retailer's model is 60 days
    order = found.sort_values(["risk", "customer_id"], ascending=[False, True])
    assert order["risk_rank"].tolist() == list(range(1, len(found) + 1))
    assert set(found["model_digest"]) == {version.digest}
    assert set(found["model_version"]) == {version.version}
    assert set(pd.to_datetime(found["as_of"]).dt.date.astype(str)) == {"2024-11-30"}


def test_the_size_of_chunks_is_no_reason_to_score_again(retailer: Retailer) -> None:
    first = retailer.run(score.STAGE, "scoring.chunk_rows=7")
    second = retailer.run(score.STAGE, "scoring.chunk_rows=1000")
    assert (first.cached, second.cached) == (False, True)


def test_scoring_again_gives_the_same_scores(retailer: Retailer) -> None:
    first = retailer.run(score.STAGE)
    again = retailer.run(score.STAGE, "force=true", "scoring.chunk_rows=33", "engine.threads=2")
    assert not again.cached
    one, two = (outcome.manifests[0] for outcome in (first, again))
    assert one.tables["scoring"].content_hash == two.tables["scoring"].content_hash
    assert one.fingerprint == two.fingerprint


@pytest.mark.retrained
def test_another_model_or_other_features_are_scored_anew(retailer: Retailer) -> None:
    first = retailer.run(score.STAGE).manifests[0]
    retailer.run(promote.STAGE, "model.c=0.0001")
    second = retailer.run(score.STAGE)
    assert not second.cached
    other = second.manifests[0]
    assert other.tags["model_version"] != first.tags["model_version"]
    assert other.tags["features_hash"] == first.tags["features_hash"]
    assert other.tables["scoring"].content_hash != first.tables["scoring"].content_hash
    third = retailer.run(score.STAGE, "run_date=2024-09-29").manifests[0]
    assert third.tags["as_of"] == "2024-08-31"
    assert third.tags["features_hash"] != first.tags["features_hash"]


@pytest.mark.retrained
def test_scores_of_another_champion_are_not_mixed_into_a_decision(retailer: Retailer) -> None:
    retailer.run(recommend.STAGE)
    retailer.run(promote.STAGE, "model.c=0.0001")
    settings = settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE)
    with (
        retailer.tracker.run("look", tags={}) as run,
        pytest.raises(PublishError, match=r"scores are of model v\d+ .* not of the champion"),
    ):
        recommend.STAGE.plan(settings, retailer.store, run.models)


def test_counts_and_speed_are_logged(retailer: Retailer) -> None:
    outcome = retailer.run(score.STAGE, "scoring.chunk_rows=10")
    run = retailer.tracker.client.get_run(outcome.run_id)
    told = run.data.metrics
    assert told["customers"] == told["rows_scoring"] == len(the_features(retailer))
    assert told["rows_per_second"] > 0
    assert told["latency_ms_per_thousand_p95"] >= told["latency_ms_per_thousand_p50"] > 0
    assert run.data.tags["run_date"] == "2024-12-09"
    assert run.data.tags["features_hash"]


def test_features_that_are_too_old_are_refused(retailer: Retailer) -> None:
    with pytest.raises(PublishError, match="61 days old; 30 are allowed") as caught:
        retailer.run(score.STAGE, "run_date=2025-01-30", "scoring.max_feature_age_days=30")
    assert "Run `features -P as_of=" in str(caught.value)
    with pytest.raises(PublishError, match="no features are published at or before"):
        retailer.run(score.STAGE, "run_date=2024-01-31")


def test_without_a_champion_there_is_nothing_to_score_with(
    retailer: Retailer, empty_store: Path, tmp_path: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "empty.db")
    tracking = retailer.tracking.model_copy(update={"uri": f"sqlite:///{tmp_path / 'empty.db'}"})
    with without_tracking_variables(), pytest.raises(PromotionError, match="there is no champion"):
        Retailer(retailer.root, tracking).run(score.STAGE)


@pytest.mark.decided
def test_a_decision_scores_first_and_takes_what_is_published(retailer: Retailer) -> None:
    outcome = retailer.run(recommend.STAGE)
    scored = retailer.run(score.STAGE)
    assert scored.cached
    scores = retailer.table(scored, "scoring").set_index("customer_id")
    decided = retailer.table(outcome, "recommendations").set_index("customer_id")
    assert np.array_equal(decided["risk_score"], scores.loc[decided.index, "risk"])
    assert scored.manifests[0].tags["model_digest"] == decided["model_digest"].iloc[0]
