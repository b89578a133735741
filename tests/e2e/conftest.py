"""A small retailer with a champion, and one with a decision, made once; every test that changes one has a copy."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.stages import demo_data, features, ingest, promote, recommend, segment, silver, train, training_set
from spanishgas.stages.places import recommended_on
from tests.e2e import days
from tests.e2e.worlds import Retailer, begin, copy_of, later, remove_replaced, shorten, spoil
from tests.once import Once


@pytest.fixture(scope="session")
def cleaned(once: Once, empty_store: Path) -> Path:
    """A folder with a data root that has silver tables, and a store."""

    def make(folder: Path) -> None:
        retailer = begin(folder, empty_store)
        for stage in (demo_data.STAGE, ingest.STAGE, silver.STAGE):
            retailer.run(stage)

    return once("silver", make)


@pytest.fixture(scope="session")
def assembled(once: Once, cleaned: Path) -> Path:
    """The same retailer once it has a training set."""
    return once("training", lambda folder: copy_of(cleaned, folder).run(training_set.STAGE))


@pytest.fixture(scope="session")
def prepared(once: Once, assembled: Path) -> Path:
    """The same retailer once it has features and a champion."""

    def make(folder: Path) -> None:
        retailer = copy_of(assembled, folder)
        for stage in (features.STAGE, train.STAGE, promote.STAGE):
            retailer.run(stage)

    return once("champion", make)


@pytest.fixture(scope="session")
def recommended(once: Once, prepared: Path) -> Path:
    """The same retailer once it has segments, scores and a decision."""

    def make(folder: Path) -> None:
        retailer = copy_of(prepared, folder)
        for stage in (segment.STAGE, recommend.STAGE):
            retailer.run(stage)

    return once("decision", make)


@pytest.fixture(scope="session")
def retrained(once: Once, recommended: Path) -> Path:
    """The same retailer with a second version of the model, which is not champion."""
    return once("served", lambda folder: copy_of(recommended, folder).run(train.STAGE, "model.c=0.0001"))


@pytest.fixture(scope="session")
def followed(once: Once, recommended: Path) -> Path:
    """The same retailer five months after the decision, with files in which its offers were made."""

    def make(folder: Path) -> None:
        retailer = copy_of(recommended, folder)
        decision = retailer.store.read(recommended_on(date(2024, 12, 9)), made_by="recommend")
        made = pd.read_parquet(retailer.store.files(decision, "recommendations")[0])
        made.to_parquet(retailer.root / "actions.parquet")
        retailer.run(demo_data.STAGE, *later(retailer))
        for stage in (ingest.STAGE, silver.STAGE):
            retailer.run(stage, *later(retailer), "run_date=2025-05-10")

    return once("followed", make)


@pytest.fixture(scope="session")
def shortened(once: Once, recommended: Path) -> Path:
    """The retailer with a decision, with readings of the last weeks only and some rows that cannot be read."""

    def make(folder: Path) -> None:
        retailer = copy_of(recommended, folder)
        shorten(retailer.root)
        spoil(retailer.root)
        for stage in (ingest.STAGE, silver.STAGE, recommend.STAGE):
            retailer.run(stage)
        remove_replaced(retailer)

    return once("few readings", make)


@pytest.fixture(scope="session")
def on_sunday(once: Once, empty_store: Path) -> Path:
    """Raw files of thirty customers, of which nothing is landed."""
    return once("raw files", lambda folder: days.make_raw_files(folder, empty_store))


@pytest.fixture(scope="session")
def on_monday(once: Once, on_sunday: Path) -> Path:
    """The same retailer with its first delivery in silver; its customer attributes are undated."""

    def make(folder: Path) -> None:
        made = days.copy_of(on_sunday, folder)
        file = made.folder / "data" / "raw" / "current" / "customer_attributes.csv"
        rows = pd.read_csv(file, dtype=str).drop(columns="recorded_at").drop_duplicates("customer_id")
        rows.to_csv(file, index=False)
        made.deliver(days.MONDAY)

    return once("first delivery", make)


@pytest.fixture
def undelivered(on_sunday: Path, tmp_path: Path, no_tracking_variables: None) -> days.Deliveries:
    """Raw files of the test's own, of which nothing is landed."""
    return days.copy_of(on_sunday, tmp_path)


@pytest.fixture
def delivered(on_monday: Path, tmp_path: Path, no_tracking_variables: None) -> days.Deliveries:
    """A retailer of the test's own whose first delivery is in silver."""
    return days.copy_of(on_monday, tmp_path)


@pytest.fixture
def retailer(request: pytest.FixtureRequest, tmp_path: Path, no_tracking_variables: None) -> Retailer:
    """A retailer with a champion, of the test's own; marked `decided`, with segments, scores and a decision too.

    Marked `few_readings`, it has all of this and a fiftieth of the readings, for tests that look at every file.

    Without MLflow's variables: they would lead to the store that was used before.
    """
    marks = {"retrained": "retrained", "decided": "recommended", "few_readings": "shortened"}
    world = next((made for mark, made in marks.items() if request.node.get_closest_marker(mark)), "prepared")
    return copy_of(request.getfixturevalue(world), tmp_path)
