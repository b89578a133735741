"""Stages on a machine whose clock was set back come to the same tables, and nothing of before is lost."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spanishgas.registry import champions
from spanishgas.stages import features, ingest, measure, promote, recommend, retention, score, segment, silver, train
from spanishgas.stages.base import Stage
from tests.e2e.worlds import Retailer, copy_of, later, published
from tests.faults.clock import set_back
from tests.faults.scenes import contents

YEAR = 400.0
DAY = 86400.0


def status(retailer: Retailer, run_id: str) -> str:
    return str(retailer.tracker.client.get_run(run_id).info.status)


def test_the_clock_of_tests_is_set_back_and_on_again() -> None:
    before = time.time()
    with set_back(YEAR):
        assert abs(before - YEAR * DAY - time.time()) < DAY
        told = champions.datetime.now(UTC)
        assert abs(before - YEAR * DAY - told.timestamp()) < DAY
        assert isinstance(told, datetime)
        assert isinstance(told, champions.datetime)
    assert time.time() >= before
    assert champions.datetime is datetime


@pytest.mark.drill
@pytest.mark.decided
@pytest.mark.parametrize(
    "stage",
    [ingest.STAGE, silver.STAGE, features.STAGE, train.STAGE, segment.STAGE, score.STAGE, recommend.STAGE],
    ids=lambda stage: stage.name,
)
def test_a_stage_comes_to_the_same(retailer: Retailer, stage: Stage) -> None:
    before = contents(retailer.store)
    with set_back(YEAR):
        found = retailer.run(stage)
        made = retailer.run(stage, "force=true")
    assert not made.cached
    assert status(retailer, made.run_id) == status(retailer, found.run_id) == "FINISHED"
    after = contents(retailer.store)
    assert before.items() <= after.items()
    (newest,) = [one for one in published(retailer) if one.run_id == made.run_id][:1]
    assert newest.created_at < str(datetime.now(UTC).date())
    # Set right again, what was made under the wrong time is found.
    assert retailer.run(stage).cached
    assert contents(retailer.store) == after
    for manifest in published(retailer):
        assert retailer.store.missing_files(manifest) == []


@pytest.mark.drill
@pytest.mark.decided
def test_what_is_old_is_told_by_run_dates_and_not_by_the_clock(retailer: Retailer) -> None:
    ages = ("retention.gold_days=30", "run_date=2026-12-09")
    retailer.run(features.STAGE, "as_of=2024-06-15")
    before = contents(retailer.store)
    with set_back(YEAR):
        retailer.run(retention.STAGE, *ages)
        assert contents(retailer.store) == before
        retailer.run(retention.STAGE, *ages, "retention.mode=remove")
    after = contents(retailer.store)
    assert before.keys() - after.keys() == {"gold/features/asof_date=2024-06-15"}
    assert after.items() <= before.items()


@pytest.mark.drill
@pytest.mark.decided
def test_a_decision_on_the_champion_is_the_newest_all_the_same(retailer: Retailer) -> None:
    with set_back(YEAR):
        retailer.run(train.STAGE, "model.c=0.0001")
        promoted = retailer.run(promote.STAGE)
    assert status(retailer, promoted.run_id) == "FINISHED"
    champion = retailer.tracker.client.get_model_version_by_alias("churn", "champion")
    assert int(champion.version) == 2
    assert not retailer.run(score.STAGE).cached


@pytest.mark.drill
def test_what_offers_did_is_measured_the_same(followed: Path, tmp_path: Path, no_tracking_variables: None) -> None:
    retailer = copy_of(followed, tmp_path)
    made = retailer.run(measure.STAGE, *later(retailer)).manifests[0]
    with set_back(YEAR):
        again = retailer.run(measure.STAGE, *later(retailer), "force=true").manifests[0]
    assert again.content_hash == made.content_hash
