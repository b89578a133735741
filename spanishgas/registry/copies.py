"""Copies of a local tracking store: the database at one moment, the artifacts it names, and their move elsewhere."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from spanishgas.errors import TrackingError
from spanishgas.redaction import masked
from spanishgas.registry.locks import SQLITE
from spanishgas.registry.patience import LOCKED_SECONDS

# Where MLflow's tables keep addresses of artifacts: table, column, which rows.
ADDRESSES = (
    ("experiments", "artifact_location", ""),
    ("runs", "artifact_uri", ""),
    ("logged_models", "artifact_location", ""),
    ("model_versions", "source", ""),
    ("model_versions", "storage_location", ""),
    ("trace_tags", "value", "key = 'mlflow.artifactLocation'"),
)
# Addresses by which MLflow means something else that it knows, whose own address stands elsewhere.
NAMED = ("models", "runs")
# Runs that are over, and models that were logged whole: what others hold may be half written. 1 is PENDING.
WHOLE = (
    "select artifact_uri from runs where status not in ('RUNNING', 'SCHEDULED')",
    "select artifact_location from logged_models where status <> 1",
    "select storage_location from model_versions where status = 'READY'",
    "select source from model_versions where status = 'READY'",
    "select value from trace_tags where key = 'mlflow.artifactLocation'",
)
AT_WORK = "it was at work when the backup was taken"


def store_file(uri: str) -> Path:
    """File of a local store.

    Raises:
        TrackingError: It is no SQLite file, or there is none.
    """
    if not uri.startswith(SQLITE):
        raise TrackingError(
            "only a SQLite store can be taken here",
            where=masked(uri),
            todo="Take a server's database and artifacts by their own means (pg_dump, a copy of the artifact store), "
            "then the tables with only=tables: docs/backup.md",
        )
    file = Path(uri.removeprefix(SQLITE))
    if not file.is_file():
        raise TrackingError("there is no tracking store", where=masked(uri), todo="Run a stage first, or only=tables")
    return file


def copy_store(file: Path, copy: Path) -> None:
    """Copies a SQLite store as it is at one moment, while others may write to it.

    Args:
        file: The store.
        copy: The copy; what is there is replaced.

    Raises:
        TrackingError: It is held by another program for too long, or damaged.
    """
    copy.unlink(missing_ok=True)
    deadline = time.monotonic() + LOCKED_SECONDS

    def patient(*_: int) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError

    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target, progress=patient)
            target.execute("pragma journal_mode = delete")
            found = target.execute("pragma quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
    except TimeoutError as error:
        raise TrackingError(
            "another program has held the tracking store for too long", where=str(file), todo="See who has it open"
        ) from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"the tracking store cannot be copied: {error}", where=str(file), todo="Restore it from an earlier backup"
        ) from error


def end_runs(store: Path) -> int:
    """Ends runs that were at work when a store was copied: nobody is at work in the copy. Returns how many."""
    running = "from runs where status in ('RUNNING', 'SCHEDULED')"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(
            f"insert or replace into tags (key, value, run_uuid) select 'error', ?, run_uuid {running}", [AT_WORK]
        )
        return connection.execute(
            f"update runs set status = 'KILLED', end_time = ? where run_uuid in (select run_uuid {running})",
            [int(time.time() * 1000)],
        ).rowcount


def whole_folders(store: Path) -> list[Path]:
    """Folders of artifacts of runs that are over and of models that were logged whole, before ``end_runs``."""
    with closing(sqlite3.connect(store)) as connection:
        named = {str(value) for query in WHOLE for (value,) in connection.execute(query) if value}
    folders = (folder for value in sorted(named) if (folder := _local(value)) is not None)
    return [folder for folder in folders if folder.is_dir()]


def artifact_roots(store: Path) -> list[Path]:
    """Folders below which all artifacts of a store lie, none below another.

    Raises:
        TrackingError: Artifacts lie elsewhere than in folders of this machine.
    """
    with closing(sqlite3.connect(store)) as connection:
        named = set(_addresses(connection))
    elsewhere = sorted(value for value in named if _local(value) is None)
    if elsewhere:
        raise TrackingError(
            "artifacts lie elsewhere than in folders of this machine",
            where=str(store),
            count=len(elsewhere),
            examples=[masked(value) for value in elsewhere],
            todo="Take that artifact store by its own means, then the tables with only=tables: docs/backup.md",
        )
    roots: list[Path] = []
    for folder in sorted({folder for value in named if (folder := _local(value)) is not None}):
        if not any(folder.is_relative_to(root) for root in roots):
            roots.append(folder)
    return roots


def move_artifacts(store: Path, moved: Mapping[Path, Path]) -> int:
    """Lets a store name artifacts where they lie now.

    Args:
        store: A copy of a store.
        moved: Folder that all of them lay below -> where it is now.

    Returns:
        Addresses that were changed.
    """

    def now(value: str | None) -> str | None:
        folder = None if not value or urlsplit(value).scheme in NAMED else _local(value)
        root = None if folder is None else next((one for one in moved if folder.is_relative_to(one)), None)
        if folder is None or root is None:
            return value
        return (moved[root] / folder.relative_to(root)).as_uri()

    with closing(sqlite3.connect(store)) as connection, connection:
        connection.create_function("now", 1, now, deterministic=True)
        return sum(
            connection.execute(
                f"update {table} set {column} = now({column}) where {rows or 'true'} and {column} is not now({column})"
            ).rowcount
            for table, column, rows in ADDRESSES
        )


def _addresses(connection: sqlite3.Connection) -> Iterator[str]:
    for table, column, rows in ADDRESSES:
        found = connection.execute(f"select distinct {column} from {table} where {rows or 'true'}")
        yield from (str(value) for (value,) in found if value and urlsplit(str(value)).scheme not in NAMED)


def _local(address: str) -> Path | None:
    """The folder that an address means; None where it is no folder of this machine."""
    parts = urlsplit(address)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path) if parts.scheme else address).absolute()
