"""A retailer with published decisions and two versions of the model, to be served."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.registry import CHAMPION, ModelRegistry
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.publisher import Publisher
from spanishgas.serving.settings import ServingSettings
from spanishgas.stages import recommend, score
from spanishgas.stages.places import features_at
from tests.e2e.worlds import Retailer, copy_of
from tests.support import without_tracking_variables

RUN, AS_OF, BEFORE = date(2024, 12, 9), date(2024, 11, 30), date(2024, 9, 30)
TODAY = date(2024, 12, 10)


class House:
    """A retailer with published decisions and two versions of the model, served or not."""

    def __init__(self, retailer: Retailer) -> None:
        self.retailer = retailer
        self.decided = retailer.run(recommend.STAGE)
        self.scores = retailer.table(retailer.run(score.STAGE), "scoring")
        self.decisions = retailer.table(self.decided, "recommendations")
        self.registry = ModelRegistry(retailer.tracker.client)

    def settings(self, cache: Path) -> ServingSettings:
        return ServingSettings.read(
            data_root=self.retailer.root, tracking_uri=self.retailer.tracking.uri, cache=cache, today=TODAY
        )

    def champion(self, number: str) -> None:
        version = self.registry.with_number("churn", number)
        assert version is not None
        self.registry.point("churn", CHAMPION, version)

    def bundle(self, cache: Path) -> Bundle:
        return Bundle.load(Publisher(self.settings(cache)).publish())

    def features(self, day: date = AS_OF) -> pd.DataFrame:
        manifest = self.retailer.store.read(features_at(day), made_by="features")
        files = self.retailer.store.files(manifest, "customer_features_asof_date")
        return pd.read_parquet(files[0]).sort_values("customer_id", ignore_index=True)


@pytest.fixture(scope="module")
def house(retrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with without_tracking_variables():
        yield House(copy_of(retrained, tmp_path_factory.mktemp("served")))
