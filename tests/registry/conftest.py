"""A run to register models from."""

from collections.abc import Iterator

import pytest

from spanishgas.config import TrackingSettings
from spanishgas.registry import RunLog, Tracker


@pytest.fixture
def run(tracking: TrackingSettings) -> Iterator[RunLog]:
    with Tracker(tracking).run("train", tags={}) as run:
        yield run
