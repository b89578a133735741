"""Fixtures that several rooms share."""

import gc
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Before anything loads numpy, and for processes that tests start: the workers of pytest share the cores already, and
# threads that wait for each other would cost as much again.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings

from spanishgas.config import TrackingSettings
from spanishgas.config.places import ObjectAddress
from spanishgas.registry import Tracker
from tests.once import Once
from tests.support import without_tracking_variables

# The same examples in every run, none kept on disk; shrinking would let a failure take minutes.
hypothesis_settings.register_profile(
    "house", database=None, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)
hypothesis_settings.load_profile("house")


# What takes long is begun first, or one worker would be at it while the others have nothing left to do; what shares a
# server before the rest, as other workers take over from the end.
FIRST = (
    "tests/e2e/test_getting_started.py",
    "tests/e2e/test_serving.py",
    "tests/e2e/",
    "tests/registry/test_team_server.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders tests by how long their module takes."""

    def place(item: pytest.Item) -> int:
        return next((rank for rank, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Spares the garbage collector what was imported: to look at it again and again takes a tenth of a stage's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _settings(folder: Path) -> TrackingSettings:
    return TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "mlruns", experiment="spanishgas"
    )


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    """Makes worlds once per run of the suite; see tests/once.py."""
    worlds = Once.of(tmp_path_factory)
    yield worlds
    assert worlds.changed() == [], "a test has written into a world that others read: it has to change a copy"


@pytest.fixture(scope="session")
def object_server() -> Iterator[str]:
    """The address of an S3 server of this worker."""
    from tests.object_server import serving

    with serving() as address:
        yield address


@pytest.fixture
def object_store(object_server: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectAddress]:
    """An empty data root of the test's own on that server, with the environment to reach it."""
    from tests.object_server import BUCKET, reached

    with reached(object_server, tmp_path / "caches"):
        yield ObjectAddress(f"s3://{BUCKET}/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}/data")


@pytest.fixture(scope="session")
def empty_store(once: Once) -> Path:
    """A tracking store that is initialised and empty; its migration takes seconds, a copy takes none."""

    def make(folder: Path) -> None:
        with without_tracking_variables():
            tracker = Tracker(_settings(folder))
            assert tracker.client.search_experiments() is not None

    return once("store", make) / "mlflow.db"


@pytest.fixture
def no_tracking_variables() -> Iterator[None]:
    """A shell without MLflow's variables."""
    with without_tracking_variables():
        yield


@pytest.fixture
def fresh_tracking(tmp_path: Path, no_tracking_variables: None) -> TrackingSettings:
    """A tracking store that nobody has touched yet."""
    return _settings(tmp_path)


@pytest.fixture
def tracking(tmp_path: Path, empty_store: Path, no_tracking_variables: None) -> TrackingSettings:
    """An empty tracking store of the test's own."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return _settings(tmp_path)
