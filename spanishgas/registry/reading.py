"""What the tracking store tells to those who only look: who is champion, how that came about, what runs left.

Nothing is written, and a store that is not there is not made.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from spanishgas.config import TrackingSettings
from spanishgas.errors import TrackingError
from spanishgas.redaction import masked, without_secrets
from spanishgas.registry.champions import Champions, Decision
from spanishgas.registry.locks import SQLITE
from spanishgas.registry.models import ModelVersion, quiet, version_of
from spanishgas.registry.tracking import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as a reader sees it.

    Attributes:
        version: The version.
        aliases: Aliases that point to it.
        created_at: UTC, ISO 8601.
    """

    version: ModelVersion
    aliases: tuple[str, ...]
    created_at: str


@dataclass(frozen=True)
class RunRecord:
    """A run as a reader sees it.

    Attributes:
        run_id: Its identity.
        status: How it ended, as ``FINISHED``; or ``RUNNING``.
        tags: Its tags.
    """

    run_id: str
    status: str
    tags: Mapping[str, str]


class Reader:
    """Reads a tracking store.

    Args:
        settings: Where it is; ``MLFLOW_TRACKING_URI`` wins, as everywhere.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        self._tracker = Tracker(settings)

    @property
    def uri(self) -> str:
        """Address of the store."""
        return self._tracker.uri

    @property
    def exists(self) -> bool:
        """Whether there is a store to ask; a server is taken to be there."""
        file = self.uri.removeprefix(SQLITE)
        return not self.uri.startswith(SQLITE) or Path(file).is_file()

    @property
    def _client(self) -> "MlflowClient":
        if not self.exists:
            raise TrackingError(
                "there is no tracking store", where=masked(self.uri), todo="Run a stage first, or `make demo`"
            )
        return self._tracker.client

    def versions(self, name: str) -> Sequence[RegisteredVersion]:
        """Versions of a registered model, the newest first; none where the model is not registered.

        Raises:
            TrackingError: There is no store, or it does not answer.
        """
        from mlflow.exceptions import MlflowException

        try:
            found = list(self._client.search_model_versions(f"name='{name}'"))
            pointing = self._client.get_registered_model(name).aliases if found else {}
        except MlflowException as error:
            raise TrackingError(f"the model registry does not answer: {error}", where=f"models:/{name}") from error
        rows = [
            RegisteredVersion(
                version_of(one),
                tuple(sorted(alias for alias, number in pointing.items() if str(number) == str(one.version))),
                datetime.fromtimestamp(one.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
            )
            for one in found
        ]
        return sorted(rows, key=lambda one: -int(one.version.version))

    def history(self, name: str) -> Sequence[Decision]:
        """All decisions on a model, oldest first.

        Raises:
            TrackingError: There is no store, or it does not answer.
        """
        return Champions(self._client, lambda _: nullcontext()).history(name)

    def run(self, run_id: str) -> RunRecord:
        """A run.

        Raises:
            TrackingError: There is no store, it does not answer, or there is no such run.
        """
        from mlflow.exceptions import MlflowException

        try:
            return _record(self._client.get_run(run_id))
        except MlflowException as error:
            gone = error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
            what = f"there is no run {run_id!r}" if gone else f"the tracking store does not answer: {error}"
            raise TrackingError(without_secrets(what, self.uri), where=masked(self.uri)) from error

    def children(self, run_id: str) -> Sequence[RunRecord]:
        """Runs directly below a run, the first first."""
        info = self._client.get_run(run_id).info
        wanted = f"tags.`mlflow.parentRunId` = '{run_id}'"
        found = self._client.search_runs([info.experiment_id], wanted, order_by=["attributes.start_time ASC"])
        return [_record(one) for one in found]

    def files(self, run_id: str, folder: str | None = None) -> Sequence[str]:
        """Paths of a run's artifacts in a folder, or at its top.

        Raises:
            TrackingError: The run is gone.
        """
        try:
            return [str(one.path) for one in self._client.list_artifacts(run_id, folder) if not one.is_dir]
        except TrackingError:
            raise
        except Exception as error:  # each kind of artifact store has errors of its own
            raise TrackingError(f"the artifacts of the run cannot be listed: {error}", where=run_id) from error

    def text(self, run_id: str, file: str) -> str:
        """An artifact as text.

        Raises:
            TrackingError: The run or the artifact is gone.
        """
        quiet()
        try:
            with TemporaryDirectory() as folder:
                return Path(self._client.download_artifacts(run_id, file, folder)).read_text(encoding="utf-8")
        except TrackingError:
            raise
        except Exception as error:
            raise TrackingError(f"the artifact cannot be read: {error}", where=f"{run_id}/{file}") from error


def _record(run: "Run") -> RunRecord:
    return RunRecord(run.info.run_id, run.info.status, dict(run.data.tags))
