"""Where runs are recorded, and how one is opened: resumed, nested or stand-alone."""

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from spanishgas.config import TrackingSettings
from spanishgas.errors import LaterReleaseError, SpanishGasError, TrackingError
from spanishgas.failures import KEPT, keep_in_a_file, note, noted, traceback_of
from spanishgas.redaction import masked, without_secrets
from spanishgas.registry.answering import ask, without_credentials
from spanishgas.registry.locks import SQLITE, exclusive, lock_address
from spanishgas.registry.patience import settle, trouble
from spanishgas.registry.processes import is_dead, process_tags, user_name
from spanishgas.registry.runs import RunLog

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

DATABASES = (SQLITE, "postgresql")
RUN_ID_VARIABLE = "MLFLOW_RUN_ID"
UNFINISHED = ".unfinished-"
# What an experiment is for. Without it MLflow's pages open as for language models: traces and prompts, no runs.
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
# On a run: whether the working tree had changes that the commit does not have.
COMMIT_TAG, CHANGED_TAG = "mlflow.source.git.commit", "git_changed"
TRACEBACK = "traceback.txt"
OUT_OF_DATE = "out-of-date database schema"


class Tracker:
    """The tracking store.

    ``MLFLOW_TRACKING_URI`` wins over the settings; ``MLFLOW_EXPERIMENT_NAME`` names the experiment of stand-alone runs;
    ``MLFLOW_RUN_ID``, which a launched stage is given, is resumed once and then forgotten.

    Args:
        settings: Store, artifact folder and experiment.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        self._address = os.environ.get("MLFLOW_TRACKING_URI") or settings.uri
        self.uri = without_credentials(self._address)
        self.experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or settings.experiment
        self._settings = settings
        self._is_lost = False

    @cached_property
    def client(self) -> "MlflowClient":
        """Client of the store. A database is initialised here, by one process at a time.

        Raises:
            TrackingError: The store cannot be reached or prepared.
        """
        import mlflow

        settle()
        # Making a new store is no news to whoever runs a stage.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        try:
            ask(self.uri)
            with nullcontext() if self._is_ready() else self._initialising():
                _make_file(self.uri)
                client = mlflow.MlflowClient(self.uri, self.uri)
                client.search_experiments(max_results=1)
        except SpanishGasError:  # its own message is the right one
            raise
        except Exception as error:
            if OUT_OF_DATE in str(error):
                raise TrackingError(
                    "its tables are of an earlier MLflow",
                    where=masked(self._address),
                    todo=f"Take a backup (docs/backup.md), then run `mlflow db upgrade {masked(self._address)}`",
                ) from error
            if (told := trouble(error, self._address)) is not None and self.uri.startswith(SQLITE):
                raise told from error
            raise TrackingError(
                f"the tracking store does not answer: {without_secrets(str(error), self.uri)}",
                where=masked(self._address),
                todo="Check MLFLOW_TRACKING_URI, or unset it to use the local store",
            ) from error
        return client

    def _is_ready(self) -> bool:
        """Whether a database needs no preparing; a server prepares its own. What is slow to import is imported here.

        Everybody who starts would else wait for everybody else, each for the seconds that a start takes.
        """
        return not self.uri.startswith(DATABASES) or is_prepared(self.uri)

    def _initialising(self) -> AbstractContextManager[None]:
        """One process at a time prepares a database; a server prepares its own."""
        return exclusive(self.uri, "init") if self.uri.startswith(DATABASES) else nullcontext()

    def _promoting(self, name: str) -> AbstractContextManager[None]:
        """One process at a time changes a model's champion."""
        return exclusive(lock_address(self.uri, self._settings.lock), name)

    def _experiment_id(self) -> str:
        client = self.client
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return self._for_models(found)
        with self._initialising():
            found = client.get_experiment_by_name(self.experiment)
            if found is not None:  # another was faster
                return str(found.experiment_id)
            local = self.uri.startswith(SQLITE)
            location = self._settings.artifacts.resolve().as_uri() if local else None
            return str(client.create_experiment(self.experiment, artifact_location=location, tags={KIND_TAG: KIND}))

    def _for_models(self, experiment: "Experiment") -> str:
        """Marks our experiment as one of models, unless somebody has said what it is for; returns its id."""
        if experiment.name == self.experiment and not experiment.tags.get(KIND_TAG):
            self.client.set_experiment_tag(experiment.experiment_id, KIND_TAG, KIND)
        return str(experiment.experiment_id)

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str], parent: RunLog | None = None) -> Iterator[RunLog]:
        """Opens a run and ends it with the status that fits how its body ended.

        Args:
            name: Name of the run: its stage.
            tags: Tags that hold from the start.
            parent: The run that this one is a child of.

        Raises:
            TrackingError: The store cannot be reached, or does not answer any more.
        """
        with self._telling():
            run = self._open(name, tags, parent)
            try:
                yield run
            except Exception as error:
                self._is_lost = self._is_lost or trouble(error, self._address) is not None
                self._keep_traceback(run, error)
                self._end(run, "FAILED", f"{type(error).__name__}: {error}")
                raise
            except BaseException:
                self._end(run, "KILLED", "interrupted")
                raise
            self.client.set_terminated(run.id, "FINISHED")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Makes one clear error of a store that goes away while it is used."""
        try:
            yield
        except Exception as error:
            told = trouble(error, self._address)
            if told is None:
                raise
            self._is_lost = True
            raise told from error

    def _end(self, run: RunLog, status: str, error: str) -> None:
        """Ends a run that did not go well. A store that is lost is not asked again: the next start marks the run."""
        if self._is_lost:
            return
        try:
            run.set_tags({"error": error})
            self.client.set_terminated(run.id, status)
        except Exception:  # what ended the run is what the user is to hear of
            self._is_lost = True

    def _keep_traceback(self, run: RunLog, error: Exception) -> None:
        """Keeps the traceback of an error that nobody foresaw with the run that it came up in."""
        if isinstance(error, SpanishGasError) or noted(error, KEPT) is not None:
            return
        if self._is_lost:
            keep_in_a_file(error)
            return
        try:
            run.log_text(traceback_of(error), TRACEBACK)
            folder = self.folder_of(run.id)
        except Exception:  # the store may be what failed, and the error is what the user is to hear of
            keep_in_a_file(error)
            return
        note(error, KEPT, f"{folder / TRACEBACK}" if folder else f"artifact {TRACEBACK} of run {run.id}")

    def _open(self, name: str, tags: Mapping[str, str], parent: RunLog | None) -> RunLog:
        marks = {**tags, **process_tags(), **self._checkout, "mlflow.runName": name}
        resumed = os.environ.pop(RUN_ID_VARIABLE, None) if parent is None else None
        if resumed is not None:
            found = self.client.get_run(resumed)
            info = found.info
            run = RunLog(self.client, info.run_id, info.experiment_id, self._promoting, found.data.params)
            self._for_models(self.client.get_experiment(info.experiment_id))
            self.mark_dead_runs(run.experiment_id)
            run.set_tags(marks)
            return run
        if parent is not None:
            experiment_id = parent.experiment_id
            marks["mlflow.parentRunId"] = parent.id
        else:
            experiment_id = self._experiment_id()
            self.mark_dead_runs(experiment_id)
        marks.update(_origin_tags(tags.get("stage", name)))
        created = self.client.create_run(experiment_id, run_name=name, tags=marks)
        return RunLog(self.client, created.info.run_id, experiment_id, self._promoting)

    @cached_property
    def _checkout(self) -> dict[str, str]:
        """Commit of the working tree, and whether it has changes beside; nothing outside a checkout."""
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no") if commit else None
        told = {COMMIT_TAG: commit, CHANGED_TAG: None if changed is None else str(bool(changed)).lower()}
        return {name: value for name, value in told.items() if value}

    def folder_of(self, run_id: str) -> Path | None:
        """Folder of a run's artifacts, seen from where we are; None where a server keeps them or the run is not there.

        A run that was launched lies in the experiment of its launcher, not in ours.
        """
        from mlflow.exceptions import MlflowException

        try:
            address = str(self.client.get_run(run_id).info.artifact_uri)
        except MlflowException:
            return None
        parts = urlsplit(address)
        if parts.scheme not in ("", "file"):
            return None
        folder = Path(unquote(parts.path))
        return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder

    def mark_dead_runs(self, experiment_id: str) -> list[str]:
        """Marks runs as KILLED that are recorded as running and whose process is gone; returns their ids."""
        running = self.client.search_runs([experiment_id], "attributes.status = 'RUNNING'", max_results=1000)
        dead = [run.info.run_id for run in running if is_dead(run.data.tags)]
        for run_id in dead:
            self.client.set_tag(run_id, "error", "its process ended without a word")
            self.client.set_terminated(run_id, "KILLED")
        return dead


def _make_file(uri: str) -> None:
    """Makes a SQLite store that is not there yet; whoever is killed meanwhile leaves none, rather than half of one.

    MLflow makes its tables in dozens of steps and cannot go on where it was stopped, so they are made under another
    name and the file is put in place whole.
    """
    import mlflow

    file = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or not file.name or file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f"{file.name}{UNFINISHED}*"):  # by a process that was killed: we hold the lock
        left.unlink()
    draft = file.with_name(f"{file.name}{UNFINISHED}{os.getpid()}")
    address = f"{SQLITE}{draft}"
    mlflow.MlflowClient(address, address).search_experiments(max_results=1)
    draft.replace(file)


def is_prepared(uri: str) -> bool:
    """Whether a database has MLflow's newest tables and its first experiment, so that opening it changes nothing.

    Raises:
        LaterReleaseError: Its tables are those of a later MLflow.
    """
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    known = ScriptDirectory(str(Path(mlflow.store.__file__).with_name("db_migrations")))
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        return False
    try:
        with create_engine(uri, poolclass=NullPool).connect() as connection:
            version = connection.execute(text("select version_num from alembic_version")).scalar()
            if version is not None:
                known.get_revision(str(version))
            first = connection.execute(text("select 1 from experiments")).first()
            return version == known.get_current_head() and first is not None
    except SQLAlchemyError:  # nothing is there yet, or what is wrong shows when it is opened
        return False
    except CommandError as error:
        raise LaterReleaseError(
            f"its tables are of a later MLflow than {mlflow.__version__}: revision {version} is not known here",
            where=masked(uri),
            todo="Use the release that upgraded it; to go back, restore the backup from before (docs/backup.md)",
        ) from error


def _origin_tags(stage: str) -> dict[str, str]:
    """Tags that a launched run gets from its launcher, for one that was not launched."""
    return {
        "mlflow.user": user_name(),
        "mlflow.source.name": f"pipelines.{stage}",
        "mlflow.source.type": "LOCAL",
    }


def _git(*words: str) -> str | None:
    """What git says; None where there is no git, or no checkout."""
    try:
        found = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
