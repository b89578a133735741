"""Small retailers on which stages are killed: one that begins with nothing, others that decide with a champion."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spanishgas.config import Settings, TrackingSettings
from spanishgas.engine.snapshot import roots_in
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import PublishError
from spanishgas.registry import Tracker
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.runner import run_stage
from tests.e2e import test_stages as alone
from tests.e2e import worlds
from tests.once import hand_out

LAYERS = ("raw", "bronze", "silver", "gold")
TO_A_CHAMPION = ("demo_data", "ingest", "silver", "training_set", "features", "train", "promote", "segment")
AFTER_A_CHAMPION = ("score", "response", "recommend", "simulate", "drift", "performance", "retrain_signal")
MEASURED_LATER = ("demo_data", "ingest", "silver")
# As few customers as still give a champion, and readings as short as stages take them.
FEW = ("data.customers=160", "monitoring.evidently=none")
ONE_WORLD = ("data.customers=100", "policy.replay={worlds: [loglinear], seeds: [1]}")
NAMED = {stage.name: stage for stage in STAGES}


@dataclass(frozen=True)
class Scene:
    """A retailer and the stages that are run on it.

    Attributes:
        folder: Holds the data root and the tracking store once it is made.
        stages: Names of the stages that are killed, in order.
        settings: Folder -> the settings on a copy that lies there.
        make: Fills the folder: runs what comes before the stages, and them.
        begins: Folder with the data root and the store that a copy begins with; None is the scene's own.
    """

    folder: Path
    stages: tuple[str, ...]
    settings: Callable[[Path], Settings]
    make: Callable[["Scene"], None]
    begins: Path | None = None

    def play(self, folder: Path, stages: tuple[str, ...] | None = None, *overrides: Settings) -> None:
        """Runs stages on a copy; settings given take the place of the scene's own."""
        settings = overrides[0] if overrides else self.settings(folder)
        tracker = Tracker(settings.tracking)
        for name in stages or self.stages:
            run_stage(NAMED[name], settings, tracker, console=worlds.QUIET)

    def copy(self, folder: Path, without: str | None = None) -> TableStore:
        """A copy to do harm to, where a stage has published nothing yet."""
        begins = self.begins or self.folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if (begins / "data").is_dir():
            hand_out(begins / "data", folder / "data")
        shutil.copy(begins / "mlflow.db", folder / "mlflow.db")
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


def beginning(folder: Path, empty: Path, only: Sequence[str] = ()) -> Scene:
    """Forty customers, from raw files to the last of some stages, or to the first comparison of models."""
    names = tuple(stage.name for stage in alone.ALONE)
    last = max((names.index(name) for name in only if name in names), default=len(names) - 1)

    def make(scene: Scene) -> None:
        shutil.copy(empty / "mlflow.db", folder / "mlflow.db")
        scene.play(folder)

    return Scene(folder, names[: last + 1], lambda place: alone.settings_of(place, tracking_in(place)), make)


def _settings(place: Path, artifacts: Path, *overrides: str) -> Settings:
    return worlds.settings_of(
        place / "data", tracking_in(place, artifacts), *worlds.SIZE, *worlds.WIDE, *FEW, *overrides
    )


def deciding(folder: Path, empty: Path) -> Scene:
    """A retailer whose champion decides."""

    def make(scene: Scene) -> None:
        shutil.copy(empty / "mlflow.db", folder / "mlflow.db")
        scene.play(folder, (*TO_A_CHAMPION, *AFTER_A_CHAMPION))

    return Scene(folder, AFTER_A_CHAMPION, lambda place: _settings(place, folder / "mlruns"), make)


def measuring(folder: Path, decided: Path) -> Scene:
    """The deciding retailer five months later, when it is known who left."""
    later = ("data.until=2025-04-30", "quality.accept=[changed]", "quality.reason=months have passed")

    def make(scene: Scene) -> None:
        hand_out(decided / "data", folder / "data")
        shutil.copy(decided / "mlflow.db", folder / "mlflow.db")
        scene.play(folder, MEASURED_LATER, _settings(folder, folder / "mlruns", *later, "run_date=2025-05-10"))
        scene.play(folder)

    return Scene(folder, ("measure",), lambda place: _settings(place, folder / "mlruns", *later), make)


def replaying(folder: Path, empty: Path) -> Scene:
    """A study of one world, which begins with nothing and makes a data root of its own below."""

    def make(scene: Scene) -> None:
        shutil.copy(empty / "mlflow.db", folder / "mlflow.db")
        scene.play(folder)

    return Scene(folder, ("replay",), lambda place: _settings(place, folder / "mlruns", *ONE_WORLD), make, empty)


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


def everywhere(store: TableStore) -> Mapping[str, str]:
    """The same of a data root and of those below it, of which raw files and bronze go once their study stands."""
    try:
        roots = [root for root in roots_in(store.root) if isinstance(root, Path) and root != store.root]
    except PublishError:  # nothing yet
        roots = []
    inner = {f"{root.name} {name}": digest for root in roots for name, digest in contents(TableStore(root)).items()}
    return {
        **contents(store),
        **{name: digest for name, digest in inner.items() if " raw" not in name and " bronze" not in name},
    }
