"""Small retailers on which stages are killed: one that begins with nothing, and one that decides with a champion."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spanishgas.config import Settings, TrackingSettings
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.registry import Tracker
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.runner import run_stage
from tests.e2e import test_stages as alone
from tests.e2e import worlds
from tests.once import hand_out

LAYERS = ("raw", "bronze", "silver", "gold")
TO_A_CHAMPION = ("demo_data", "ingest", "silver", "training_set", "features", "train", "promote", "segment")
AFTER_A_CHAMPION = ("score", "response", "recommend", "simulate", "drift", "performance", "retrain_signal")
NAMED = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True)
class Scene:
    """A retailer and the stages that are run on it.

    Attributes:
        folder: Holds the data root and the tracking store once ``play`` has run them all.
        stages: Names of stages, in order.
        settings: Folder -> the settings on a copy that lies there.
    """

    folder: Path
    stages: tuple[str, ...]
    settings: Callable[[Path], Settings]

    def play(self, folder: Path, stages: tuple[str, ...] | None = None) -> None:
        """Runs stages on a copy."""
        settings = self.settings(folder)
        tracker = Tracker(settings.tracking)
        for name in stages or self.stages:
            run_stage(NAMED[name], settings, tracker, console=worlds.QUIET)

    def copy(self, folder: Path, without: str | None = None) -> TableStore:
        """A copy to do harm to, where a stage has published nothing yet."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        hand_out(self.folder / "data", folder / "data")
        shutil.copy(self.folder / "mlflow.db", folder / "mlflow.db")
        store = TableStore(folder / "data")
        for manifest in published(store):
            if manifest.stage == without:
                store.storage.delete(store._manifest_name(manifest.publication))
        return store


def tracking_in(folder: Path, artifacts: Path | None = None) -> TrackingSettings:
    """A SQLite store in a folder."""
    return TrackingSettings(
        uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=artifacts or folder / "mlruns", experiment="spanishgas"
    )


def beginning(folder: Path, *overrides: str) -> Scene:
    """Forty customers, from raw files to the first comparison of models."""
    names = tuple(stage.name for stage in alone.ALONE)
    return Scene(folder, names, lambda place: alone.settings_of(place, tracking_in(place), *overrides))


def deciding(folder: Path, empty_store: Path) -> tuple[Scene, Callable[[], None]]:
    """A retailer whose champion decides, and what makes it."""

    def settings(place: Path) -> Settings:
        return worlds.settings_of(
            place / "data",
            tracking_in(place, folder / "mlruns"),
            *worlds.SIZE,
            *worlds.WIDE,
            "monitoring.evidently=none",
        )

    scene = Scene(folder, AFTER_A_CHAMPION, settings)

    def make() -> None:
        shutil.copy(empty_store, folder / "mlflow.db")
        scene.play(folder, (*TO_A_CHAMPION, *AFTER_A_CHAMPION))

    return scene, make


def published(store: TableStore) -> list[Manifest]:
    """All that readers see."""
    found = [store.find(publication) for layer in LAYERS for publication in store.publications(layer)]
    return [manifest for manifest in found if manifest is not None]


def contents(store: TableStore) -> Mapping[str, str]:
    """Digests of all that readers see; each file has to be what was published."""
    manifests = published(store)
    damaged = [file for manifest in manifests for file in store.damaged_files(manifest)]
    assert damaged == [], f"visible and not whole: {damaged}"
    return {str(manifest.publication): manifest.content_hash for manifest in manifests}
