"""What a bundle consists of, as a file: the publisher writes it, the workers follow it."""

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from spanishgas.errors import PublishError

FILE = "current.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServedRun(_Part):
    """The decisions of a run date.

    Attributes:
        run_date: Day of the decisions.
        as_of: Date of the features that were decided on.
        features_hash: Their digest.
        decisions: Folder of the keyed decisions.
        standing: Folder of the keyed standing.
        terms: File of the terms.
        prices: Dual prices.
        left: What the newest run of its period left of budget and capacities; None for no limit.
        period_start: First day of that period.
        valid_until: Last day of the prices.
        risk_edges: Risks above which a customer is in the bucket high, and medium.
    """

    run_date: date
    as_of: date
    features_hash: str
    decisions: Path
    standing: Path
    terms: Path
    prices: tuple[float, ...]
    left: tuple[float | None, ...]
    period_start: date
    valid_until: date
    risk_edges: tuple[float, float]


def left_by_newest(runs: Sequence[ServedRun]) -> tuple[ServedRun, ...]:
    """Runs, the oldest first, each with what the newest run of its period and of as many limits left."""
    left = {(run.period_start, len(run.left)): run.left for run in runs}
    return tuple(run.model_copy(update={"left": left[run.period_start, len(run.left)]}) for run in runs)


class ServedDate(_Part):
    """The features of a date.

    Attributes:
        as_of: The date.
        features_hash: Digest of the features.
        features: Folder of the keyed features.
        segments: Folder of the keyed segments; None where there are none.
    """

    as_of: date
    features_hash: str
    features: Path
    segments: Path | None


class Descriptor(_Part):
    """A bundle.

    Attributes:
        model_name: Registered model.
        model_version: Version of the champion.
        model_digest: Digest of its files.
        model_files: Folder of its files.
        dates: Features, the oldest first.
        runs: Decisions, the oldest first.
    """

    model_name: str
    model_version: str
    model_digest: str
    model_files: Path
    dates: tuple[ServedDate, ...]
    runs: tuple[ServedRun, ...]

    @property
    def id(self) -> str:
        """Digest of all that an answer can depend on."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def write(self, file: Path) -> None:
        """Puts the descriptor in place in one step."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(file)

    @classmethod
    def read(cls, file: Path) -> "Descriptor | None":
        """The descriptor in place, or None.

        Raises:
            PublishError: It cannot be read.
        """
        try:
            return cls.model_validate_json(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise PublishError(f"the bundle's descriptor cannot be read: {error}", where=str(file)) from error
