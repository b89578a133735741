"""Threads make a stage faster and change nothing: see test_recommend and test_score for decisions and scores."""

import pytest

from spanishgas.stages import features, segment, training_set
from spanishgas.stages.base import Stage
from tests.e2e.worlds import Retailer


@pytest.mark.decided
@pytest.mark.parametrize("stage", [features.STAGE, training_set.STAGE, segment.STAGE], ids=lambda one: one.name)
@pytest.mark.drill
def test_gold_tables_made_with_two_threads_are_those_made_with_one(retailer: Retailer, stage: Stage) -> None:
    one = retailer.run(stage)
    assert one.cached  # the world was made with one thread
    two = retailer.run(stage, "engine.threads=2", "force=true")
    assert not two.cached
    hashes = [
        {(str(manifest.publication), name): table.content_hash for manifest in outcome.manifests
         for name, table in manifest.tables.items()}
        for outcome in (one, two)
    ]  # fmt: skip
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) >= 1
