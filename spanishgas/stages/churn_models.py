"""What the stages share that make, compare and use churn models."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from spanishgas.config import Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.gold import HAZARDS
from spanishgas.engine.session import Engine
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import ModelFileError, PromotionError
from spanishgas.registry import CHAMPION, ModelRegistry, ModelVersion

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel
    from spanishgas.monitoring.baseline import Baseline

MODEL_FILES = "model_files"
MODEL_BASELINE = "model_baseline"
CHAMPION_MODEL = "champion"
BASELINE = "baseline"


def registered_name(settings: Settings) -> str:
    """Name of the data set's registered model."""
    return model_name(settings.data.name)


def model_name(data: str) -> str:
    """Name of the registered model of a data set of that name; the default data set's has no suffix."""
    return "churn" if data == "demo" else f"churn-{data}"


def champion_of(settings: Settings, models: ModelRegistry) -> ModelVersion:
    """The version that decides.

    Raises:
        PromotionError: There is none.
    """
    found = models.with_alias(registered_name(settings), CHAMPION)
    if found is None:
        raise PromotionError(
            "there is no champion", where=f"models:/{registered_name(settings)}@{CHAMPION}", todo="Run `promote` first"
        )
    return found


def fetch_model(models: ModelRegistry, version: ModelVersion, folder: Path) -> tuple["ChurnModel", int]:
    """A registered model, and the size of its files in bytes.

    Raises:
        ModelFileError: It is no model of this project, or its files are not those that were registered.
    """
    from spanishgas.models import ChurnModel
    from spanishgas.models.files import LOADER, digest_of

    files = models.fetch(version, folder / version.version, loader=LOADER, digest=digest_of)
    return ChurnModel.load(files), sum(file.stat().st_size for file in files.iterdir())


def baseline_digest(models: ModelRegistry, version: ModelVersion) -> str:
    """Digest of the baseline that goes with a version.

    Raises:
        ModelFileError: It has none.
    """
    found = models.beside_digest(version)
    if not found:
        raise _without_baseline(version)
    return found


def fetch_baseline(models: ModelRegistry, version: ModelVersion, folder: Path) -> "Baseline":
    """What a registered model learned from.

    Raises:
        ModelFileError: The version has no baseline, or it is damaged.
    """
    from spanishgas.monitoring.baseline import FILE, Baseline

    files = models.fetch_beside(version, folder)
    if files is None:
        raise _without_baseline(version)
    return Baseline.from_json((files / FILE).read_text(encoding="utf-8"), version.uri)


def _without_baseline(version: ModelVersion) -> ModelFileError:
    return ModelFileError(
        "has no baseline of what it was trained on: it was registered by an earlier release",
        where=version.uri,
        todo="Run `train` with the same settings on the same training set, which adds it, or train a new model",
    )


def collect_files(store: TableStore, manifest: Manifest, folder: Path, name: str = MODEL_FILES) -> Path:
    """A model's published files under the names that they were written with."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, path in zip(manifest.tables[name].files, store.files(manifest, name), strict=True):
        shutil.copyfile(path, folder / str(file.origin))
    return folder


def read_rows(engine: Engine, store: TableStore, manifest: Manifest, table: str) -> pd.DataFrame:
    """A published table by customer and date, always in the same order."""
    rows = engine.scan(store.files(manifest, table))
    # Results must not depend on the order in which an engine happens to hand out rows.
    keys = [name for name in ("split", "as_of", "customer_id") if name in rows.columns]
    return engine.frame(rows.order_by(keys))


def with_all_windows(predictions: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Predictions in a contract's columns; windows that the source cannot tell apart are null."""
    missing = {column.name: float("nan") for column in HAZARDS if column.name not in predictions.columns}
    whole = predictions.assign(**missing)
    return whole[list(contract.column_names)]
