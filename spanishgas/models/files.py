"""Models as files: plain JSON and XGBoost's own binary JSON, never a pickle; what is not known is refused."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.domain.survival import STATED, Survival
from spanishgas.errors import ModelFileError
from spanishgas.models.calibration import WindowCalibration
from spanishgas.models.family import MODELS
from spanishgas.models.hazard import Floats, HazardModel, union_of

CARD = "model.json"
# How the registry names what reads a model of ours.
LOADER = "spanishgas.models:ChurnModel.load"
FORMAT = 1


@dataclass(frozen=True)
class ChurnModel:
    """A fitted model with what a user of its scores must know.

    Attributes:
        kind: Name in the family of models.
        model: The fitted estimator.
        windows: Names of its windows.
        facts: What it was trained on: digests, dates, feature types.
        survival: How hazards go on after the windows.
    """

    kind: str
    model: HazardModel
    windows: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    survival: Survival = STATED

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Scores rows of features.

        Returns:
            ``risk``: probability of leaving within the horizon; ``hazard_<window>``: probability of leaving in the
            window for those still there at its begin.
        """
        hazards = self.model.predict_windows(features)
        return scores(hazards, self.windows, features.index)

    def save(self, folder: Path) -> None:
        """Writes the model's files into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_parts(folder)
        line = self.model.calibration_
        card = {
            "format": FORMAT,
            "kind": self.kind,
            "parameters": self.model.get_params(),
            "features": list(self.model.columns_),
            "windows": list(self.windows),
            "calibration": {"slope": line.slope, "intercepts": list(line.intercepts)},
            "state": self.model.state,
            "facts": dict(self.facts),
            "survival": self.survival.state,
        }
        (folder / CARD).write_text(json.dumps(card, indent=1, default=dict) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ChurnModel":
        """Reads what ``save`` wrote; equal to the last bit.

        Raises:
            ModelFileError: A file is missing or damaged, or the model is of a kind or format that is not known.
        """
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            format_, kind = card["format"], card["kind"]
        except FileNotFoundError as error:
            raise ModelFileError(f"there is no {CARD}", where=str(folder), todo="Is it a model of ours?") from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
            raise ModelFileError(f"{CARD} is damaged: {error!r}", where=str(folder), todo="Train again") from error
        if format_ != FORMAT or kind not in MODELS:
            raise ModelFileError(
                f"is of kind {kind!r} in format {format_!r}",
                where=str(folder),
                todo=f"Known here: {', '.join(MODELS)} in format {FORMAT}; train again, or use the release it is from",
            )
        try:
            model = MODELS[kind](**card["parameters"])
            model.columns_ = tuple(card["features"])
            model.feature_names_in_ = np.asarray(card["features"], dtype=object)
            model.n_features_in_ = len(card["features"])
            model.classes_ = np.array([0, 1])
            model.n_windows_ = len(card["windows"])
            line = card["calibration"]
            model.calibration_ = WindowCalibration(float(line["slope"]), tuple(map(float, line["intercepts"])))
            model.restore(card["state"], folder)
            # Versions of earlier releases have no curve of their own.
            survival = Survival.restore(card["survival"]) if "survival" in card else STATED
        except Exception as error:
            raise ModelFileError(f"cannot be read: {error}", where=str(folder), todo="Train again") from error
        return cls(kind, model, tuple(card["windows"]), card["facts"], survival)


def scores(hazards: Floats, windows: tuple[str, ...], index: pd.Index | None = None) -> pd.DataFrame:
    """Window hazards and their union as a frame."""
    columns = {f"hazard_{window}": hazards[:, place] for place, window in enumerate(windows)}
    return pd.DataFrame({"risk": union_of(hazards), **columns}, index=index)


def digest_of(folder: Path) -> str:
    """Digest of a model's files."""
    files = (path for path in folder.iterdir() if path.is_file())
    return digest_of_digests({file.name: hashlib.sha256(file.read_bytes()).digest() for file in files})


def digest_of_digests(digests: Mapping[str, bytes]) -> str:
    """The same where the SHA-256 of every file is known already.

    Args:
        digests: Name of each file -> its digest.
    """
    total = hashlib.sha256()
    for name, digest in sorted(digests.items()):
        total.update(name.encode())
        total.update(digest)
    return total.hexdigest()
