"""What a tracking store keeps of customers, in rows and artifacts, and how it is taken out.

Runs of this release hold pseudonyms; those of earlier ones, errors that quote a row, and runs that people made by hand
may name customers. Artifacts are read and replaced through MLflow's own repositories, wherever they lie; parameters
never change through its client, so rows of a database are changed there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from spanishgas.engine.cleaning import clean_file, clean_text, replace_by
from spanishgas.engine.finding import Finder
from spanishgas.registry.locks import SQLITE
from spanishgas.registry.models import quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from sqlalchemy import Connection

PAGE = 500
DATABASES = (SQLITE, "postgresql", "mysql")
WAIT_SECONDS = 60
# Folders of a registered model whose files its digests cover: changed, the model would be refused.
SEALED = ("artifacts/", "code/")


@dataclass
class Kept:
    """Where a tracking store names customers, or named them.

    Attributes:
        artifacts: Addresses of artifacts that were rewritten, or removed where they are no text.
        rows: ``table.column`` -> values that were changed.
        sealed: Addresses of files of models, which stay as they are: they are what was registered.
        unreachable: What could not be looked at or changed, and why.
    """

    artifacts: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)


class Records:
    """Everything that a tracking store keeps.

    Args:
        client: Client of the store.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    @property
    def address(self) -> str:
        """Address of the store."""
        return str(self._client.tracking_uri)

    def clean(self, finder: Finder, *, dry: bool, scratch: Path) -> Kept:
        """Takes customers out of rows and artifacts.

        Args:
            finder: Knows the customers.
            dry: Look and change nothing.
            scratch: A folder for copies of artifacts, which may name somebody; empty again afterwards.
        """
        quiet()
        kept = Kept()
        for address, is_model in self._folders():
            self._clean_artifacts(finder, address, scratch, is_model=is_model, dry=dry, kept=kept)
        if self.address.startswith(DATABASES):
            self._clean_database(finder, dry=dry, kept=kept)
        else:
            self._clean_tags(finder, dry=dry, kept=kept)
        return kept

    def local_files(self) -> Iterator[Path]:
        """All files of the store that lie on this machine: artifacts, those that no run names too, and the database."""
        folders = {_local(address) for address, _ in self._folders()}
        folders |= {_local(one.artifact_location) for one in self._experiments()}
        here = sorted(one for one in folders if one is not None and one.is_dir())
        # A folder below another is read with that.
        tops = [one for one in here if not any(other != one and one.is_relative_to(other) for other in here)]
        for folder in tops:
            yield from sorted(path for path in folder.rglob("*") if path.is_file())
        if self.address.startswith(SQLITE):
            file = Path(self.address.removeprefix(SQLITE))
            yield from sorted(one for one in file.parent.glob(f"{file.name}*") if one.is_file())

    def _experiments(self) -> "list[Any]":
        from mlflow.entities import ViewType

        return _paged(lambda token: self._client.search_experiments(ViewType.ALL, PAGE, page_token=token))

    def _folders(self) -> Iterator[tuple[str, bool]]:
        """Addresses of the artifacts of all runs and logged models, deleted ones included; whether it is a model's."""
        from mlflow.entities import ViewType

        for experiment in (str(one.experiment_id) for one in self._experiments()):
            runs = _paged(
                lambda token, of=experiment: self._client.search_runs([of], "", ViewType.ALL, PAGE, None, token)
            )
            yield from ((str(one.info.artifact_uri), False) for one in runs)
            models = _paged(
                lambda token, of=experiment: self._client.search_logged_models([of], max_results=50, page_token=token)
            )
            yield from ((str(one.artifact_location), True) for one in models)

    def _clean_artifacts(
        self, finder: Finder, address: str, scratch: Path, *, is_model: bool, dry: bool, kept: Kept
    ) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            repository = get_artifact_repository(address, tracking_uri=self.address)
            for path in _paths(repository, None):
                name = f"{address}/{path}"
                with TemporaryDirectory(dir=scratch) as folder:
                    local = Path(repository.download_artifacts(path, folder))  # type: ignore[no-untyped-call]
                    if not finder.in_file(local):
                        continue
                    if is_model and path.startswith(SEALED):
                        kept.sealed.append(name)
                        continue
                    kept.artifacts.append(name)
                    if not dry:
                        _replace(finder, repository, path, local, _local(address))
        except (MlflowException, OSError) as error:
            kept.unreachable.append(f"{address}: {error}")

    def _clean_tags(self, finder: Finder, *, dry: bool, kept: Kept) -> None:
        """Tags of runs, through the client of a server; its other rows are its database's."""
        from mlflow.entities import ViewType

        for experiment in (str(one.experiment_id) for one in self._experiments()):
            runs = _paged(
                lambda token, of=experiment: self._client.search_runs([of], "", ViewType.ACTIVE_ONLY, PAGE, None, token)
            )
            for run in runs:
                for name, value in run.data.tags.items():
                    cleaned = clean_text(finder, value, ".md")
                    if cleaned.taken:
                        kept.rows["tags.value"] = kept.rows.get("tags.value", 0) + 1
                        if not dry:
                            self._client.set_tag(run.info.run_id, name, cleaned.text)
                left = [name for name, value in run.data.params.items() if finder.in_text(f"{name} {value}")]
                if left:
                    kept.unreachable.append(f"run {run.info.run_id}: parameters {', '.join(left)}")
        kept.unreachable.append(
            "the database behind the tracking server: erase again with MLFLOW_TRACKING_URI set to it, for all its rows"
        )

    def _clean_database(self, finder: Finder, *, dry: bool, kept: Kept) -> None:
        """Every column of text of every table; then the space that deleted rows have left."""
        from sqlalchemy import create_engine, text
        from sqlalchemy.pool import NullPool

        options = {"timeout": WAIT_SECONDS} if self.address.startswith(SQLITE) else {}
        engine = create_engine(self.address, poolclass=NullPool, connect_args=options)
        with engine.connect() as connection:
            if self.address.startswith(SQLITE):
                connection.execute(text("PRAGMA secure_delete = ON"))
            changed = _clean_rows(connection, finder, dry=dry, kept=kept)
            connection.rollback() if dry else connection.commit()
        if dry:
            return
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self.address.startswith(SQLITE):
                connection.execute(text("VACUUM"))
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            elif self.address.startswith("postgresql"):
                for table in sorted(changed):
                    connection.execute(text(f'VACUUM FULL "{table}"'))


def _clean_rows(connection: "Connection", finder: Finder, *, dry: bool, kept: Kept) -> set[str]:
    """Changes what names somebody; returns the tables concerned."""
    from sqlalchemy import MetaData, String, select, update

    known = MetaData()
    known.reflect(connection)
    changed = set()
    for table in known.sorted_tables:
        for column in table.columns:
            if not isinstance(column.type, String):
                continue
            for value in connection.execute(select(column).distinct().where(column.is_not(None))).scalars().all():
                if not finder.in_text(str(value)):
                    continue
                place = f"{table.name}.{column.name}"
                kept.rows[place] = kept.rows.get(place, 0) + 1
                changed.add(table.name)
                if not dry:
                    cleaned = clean_text(finder, str(value), ".md").text
                    connection.execute(update(table).where(column == value).values({column.name: cleaned}))
    return changed


def _replace(finder: Finder, repository: "ArtifactRepository", path: str, local: Path, folder: Path | None) -> None:
    """A text is put back without the customers, in one step where it lies on this machine; anything else is removed."""
    if clean_file(finder, local):
        if folder is not None and (folder / path).is_file():
            replace_by(local, folder / path)
            return
        repository.log_artifact(str(local), str(Path(path).parent) if "/" in path else None)  # type: ignore[no-untyped-call]
    else:
        repository.delete_artifacts(path)  # type: ignore[no-untyped-call]


def _paths(repository: "ArtifactRepository", folder: str | None) -> Iterator[str]:
    for one in repository.list_artifacts(folder):
        if one.is_dir:
            yield from _paths(repository, one.path)
        else:
            yield str(one.path)


def _paged(ask: Any) -> "list[Any]":
    found: list[Any] = []
    token: str | None = None
    while True:
        page = ask(token)
        found += page
        token = page.token
        if not token:
            return found


def _local(address: str | None) -> Path | None:
    parts = urlsplit(str(address or ""))
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") and parts.path else None
