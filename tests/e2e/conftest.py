"""A small retailer with a champion, and one with a decision, made once; every test that changes one has a copy."""

from pathlib import Path

import pytest

from spanishgas.stages import features, promote, recommend, segment, train
from tests.e2e.worlds import SIZE, Retailer, copy_of, prepare
from tests.once import Once
from tests.support import without_tracking_variables


@pytest.fixture(scope="session")
def prepared(once: Once, empty_store: Path) -> Path:
    """A folder with a data root and a store that has a champion."""

    def make(folder: Path) -> None:
        prepare(folder, empty_store, *SIZE)
        with without_tracking_variables():
            retailer = Retailer.at(folder, folder / "mlruns")
            for stage in (features.STAGE, train.STAGE, promote.STAGE):
                retailer.run(stage)

    return once("champion", make)


@pytest.fixture(scope="session")
def recommended(once: Once, prepared: Path) -> Path:
    """The same retailer once it has segments, scores and a decision."""

    def make(folder: Path) -> None:
        with without_tracking_variables():
            retailer = copy_of(prepared, folder)
            for stage in (segment.STAGE, recommend.STAGE):
                retailer.run(stage)

    return once("decision", make)


@pytest.fixture
def retailer(request: pytest.FixtureRequest, tmp_path: Path, no_tracking_variables: None) -> Retailer:
    """A retailer with a champion, of the test's own; marked `decided`, with segments, scores and a decision too.

    Without MLflow's variables: they would lead to the store that was used before.
    """
    world = "recommended" if request.node.get_closest_marker("decided") else "prepared"
    return copy_of(request.getfixturevalue(world), tmp_path)
