"""Published tables: what readers see, and how it changes in one step.

A *publication* is what one stage publishes at once: one table or several, of one partition. Its data files carry names
that are never used twice; its manifest names them. Readers open only what a manifest names, so replacing the manifest
in one step is what makes a publication visible, all of it or nothing.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from spanishgas import __version__
from spanishgas.engine.integrity import SEAL, digest_of, is_sound, is_unbroken, sealed
from spanishgas.errors import LaterReleaseError, LockTimeoutError, PublishError

GRACE_SECONDS = 3600.0
MENDS = "again as it was run then: it sees the damage and makes this again"
GO_BACK = "Use that release or a later one; to go back, restore the backup from before the upgrade (docs/backup.md)"
LOCK_WAIT_SECONDS = 1800.0
CURRENT = "current"
SHARING = "bronze"
# Raised when a release before would misread a manifest of this one; the seal is taken in the same way in every format.
FORMAT = 1
REMOVED = "_removed"
EDITION = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Publication(_Record):
    """Identity of what a stage publishes at once.

    Attributes:
        layer: First folder under the data root: ``raw``, ``bronze``, ``silver`` or ``gold``.
        name: Name within the layer.
        partition: ``key=value``, or None for what has no partitions.
    """

    layer: str
    name: str
    partition: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.layer, self.name, self.partition) if part)

    @property
    def value(self) -> str:
        """The partition's value, or an empty text."""
        return "" if self.partition is None else self.partition.partition("=")[2]

    @property
    def shares_files(self) -> bool:
        """Whether its partitions name files of each other: landings do, where a raw file did not change."""
        return self.layer == SHARING and self.partition is not None


class DataFile(_Record):
    """One data file.

    Attributes:
        path: Where it lies, relative to the data root.
        origin: Name of the raw file that it was landed from, if it was.
        part: Which part of the source's configuration it belongs to.
        size: Its bytes.
        digest: Their SHA-256, or None in what releases published that took none; such a file is believed.
        content_hash: Digest of what a landed file holds, by the raw file and how it was read.
        made_from: Digest of the raw file, how it is read and the code that reads it: a later landing with the same one
            names this file instead of writing it again. None where that must not be.
        seen: Day (ISO 8601) on which a raw file with these contents was first landed.
    """

    path: str
    origin: str | None = None
    part: int = 0
    size: int = 0
    digest: str | None = None
    content_hash: str | None = None
    made_from: str | None = None
    seen: str | None = None


class PublishedTable(_Record):
    """One table of a publication."""

    files: tuple[DataFile, ...]
    rows: int
    content_hash: str
    contract_version: int
    columns: dict[str, str]


class Manifest(_Record):
    """What a publication consists of, where it came from, and which stage, run and release made it.

    What releases before wrote has neither seal nor digests, stage, format or release, and is read all the same.
    """

    publication: Publication
    fingerprint: str
    inputs: dict[str, str]
    tables: dict[str, PublishedTable]
    metrics: dict[str, float]
    tags: dict[str, str]
    run_id: str
    created_at: str
    stage: str = ""
    format: int = 1
    release: str = ""

    @property
    def again(self) -> str:
        """What a person does to have it made again."""
        command = f"`python -m pipelines.{self.stage}`" if self.stage else "the stage that makes it"
        return f"Run {command} {MENDS}"

    @property
    def content_hash(self) -> str:
        """Digest of all tables, for the fingerprints of those who read them."""
        return "+".join(f"{name}:{table.content_hash}" for name, table in sorted(self.tables.items()))


class Removed(_Record):
    """What is left of a publication whose age was up: what it was, and no rows.

    Attributes:
        manifest: Its manifest as it was.
        removed_at: UTC, ISO 8601.
        removed_by: The run that removed it.
    """

    manifest: Manifest
    removed_at: str
    removed_by: str


class TableStore:
    """The published tables under one data root.

    Args:
        root: The data set's root folder.
        grace_seconds: Age from which a file that no manifest names any more is removed.
        lock_wait_seconds: How long to wait for another run that publishes the same partition.
    """

    def __init__(
        self,
        root: Path,
        *,
        grace_seconds: float = GRACE_SECONDS,
        lock_wait_seconds: float = LOCK_WAIT_SECONDS,
    ) -> None:
        self.root = root
        self.grace_seconds = grace_seconds
        self.lock_wait_seconds = lock_wait_seconds

    # reading

    def find(self, publication: Publication) -> Manifest | None:
        """The visible manifest, or None where nothing is published.

        Raises:
            PublishError: The manifest is damaged.
            LaterReleaseError: It is of a format that this release does not know.
        """
        file = self._manifest_file(publication)
        try:
            found = self.manifest_in(file.read_bytes(), file)
        except FileNotFoundError:
            return None
        if found is None:
            raise _damaged_manifest(file)
        return found

    @staticmethod
    def manifest_in(content: bytes, file: Path) -> Manifest | None:
        """The manifest in a file; None where the file is none: lists made from what is published lie there too.

        Args:
            content: The file's bytes.
            file: Where it lies, for messages.

        Raises:
            PublishError: It is damaged.
            LaterReleaseError: It is of a format that this release does not know.
        """
        try:
            told = json.loads(content)
            if not isinstance(told, dict) or "publication" not in told:
                return None
            if is_unbroken(told):
                _know(told, file)
                return Manifest.model_validate({name: value for name, value in told.items() if name != SEAL})
        except ValueError as error:  # no text, no JSON, or no manifest
            raise _damaged_manifest(file) from error
        raise _damaged_manifest(file)

    def read(self, publication: Publication, *, made_by: str) -> Manifest:
        """The visible manifest of something that must be there.

        Args:
            publication: What to read.
            made_by: The command that makes it, for the message.

        Raises:
            PublishError: It is not published, or a file that it names is gone.
        """
        manifest = self.find(publication)
        if manifest is None:
            raise PublishError("is not published yet", where=str(publication), todo=f"Run `{made_by}` first")
        missing = self.missing_files(manifest)
        if missing:
            raise PublishError(
                "files named by the manifest are gone",
                where=str(publication),
                count=len(missing),
                examples=missing,
                todo=f"Run `{made_by}` again",
            )
        return manifest

    def partitions(self, layer: str, name: str) -> list[Publication]:
        """Published partitions of a name, in order of their values."""
        folder = self.root / layer / "_meta" / name
        found = [Publication(layer=layer, name=name, partition=file.stem) for file in folder.glob("*.json")]
        return sorted(found, key=lambda publication: publication.value)

    def publications(self, layer: str) -> list[Publication]:
        """Everything that is published in a layer, whole names first, then partitions."""
        meta = self.root / layer / "_meta"
        whole = [Publication(layer=layer, name=file.stem) for file in sorted(meta.glob("*.json"))]
        whole = [one for one in whole if _is_manifest(self._manifest_file(one))]
        names = sorted(folder.name for folder in meta.glob("*") if folder.is_dir())
        return [*whole, *(one for name in names for one in self.partitions(layer, name))]

    def newest(self, layer: str, name: str, at_or_before: date) -> Publication | None:
        """The newest partition dated at or before a day, or None."""
        dated = [found for found in self.partitions(layer, name) if found.value <= at_or_before.isoformat()]
        return dated[-1] if dated else None

    def files(self, manifest: Manifest, table: str) -> list[Path]:
        """Data files of one table, as paths; each is checked by its digest when the process first asks for it.

        Raises:
            PublishError: The publication has no such table, or files of it are damaged or gone.
        """
        if table not in manifest.tables:
            raise PublishError(
                f"has no table {table!r}", where=str(manifest.publication), examples=sorted(manifest.tables)
            )
        return self.checked(manifest, manifest.tables[table].files)

    def checked(self, manifest: Manifest, files: Sequence[DataFile]) -> list[Path]:
        """Some of a publication's data files, as paths, checked as ``files`` does.

        Raises:
            PublishError: Files are damaged or gone.
        """
        damaged = [file.path for file in files if not self._is_sound(file)]
        if damaged:
            raise PublishError(
                "data files are damaged or gone: they have other bytes than were published",
                where=f"{self.root}: {manifest.publication}",
                count=len(damaged),
                examples=damaged,
                todo=manifest.again,
            )
        return [self.root / file.path for file in files]

    def missing_files(self, manifest: Manifest) -> list[str]:
        """Files that the manifest names and that are not there."""
        named = (file.path for table in manifest.tables.values() for file in table.files)
        return [path for path in named if not (self.root / path).is_file()]

    def damaged_files(self, manifest: Manifest) -> list[str]:
        """Files that the manifest names and that are gone or have other bytes; all that were not read yet are read."""
        named = (file for table in manifest.tables.values() for file in table.files)
        return [file.path for file in named if not self._is_sound(file)]

    def _is_sound(self, file: DataFile) -> bool:
        path = self.root / file.path
        return path.is_file() if file.digest is None else is_sound(path, file.size, file.digest)

    # publishing

    @contextmanager
    def lock(self, *publications: Publication) -> Iterator[None]:
        """Holds the locks of publications; taken in one order, so that two runs never block each other for good.

        The operating system frees a lock when its process ends, however it ends. Whoever holds the lock is the only
        one at work on the publication, so what an interrupted run left in its staging folder is removed first, even
        where nothing is to be made again: a run may die between publishing and tidying up.

        Raises:
            LockTimeoutError: Another run holds one of them for too long.
        """
        with ExitStack() as stack:
            for publication in sorted(publications, key=str):
                stack.enter_context(self._lock_one(publication))
                shutil.rmtree(self._staging(publication), ignore_errors=True)
            yield

    @contextmanager
    def _lock_one(self, publication: Publication) -> Iterator[None]:
        file = self.root / "_locks" / (str(publication).replace("/", ".") + ".lock")
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        try:
            lock.acquire(timeout=self.lock_wait_seconds)
        except Timeout as error:
            raise LockTimeoutError(
                f"another run has been publishing it for more than {self.lock_wait_seconds:.0f} s",
                where=str(publication),
                todo="Wait for that run to end, or stop it, then run again",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def draft(self, publication: Publication) -> "Draft":
        """An empty staging folder for a publication; the caller holds its lock.

        What an earlier, interrupted run left in it is removed.
        """
        folder = self._staging(publication)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Draft(self, publication, folder)

    def _staging(self, publication: Publication) -> Path:
        return self.root / publication.layer / "_staging" / str(publication).replace("/", ".")

    def table_folder(self, publication: Publication, table: str) -> Path:
        """Folder of one table's data files, relative to the root.

        A layer's folder holds one folder per table, and the partition below it.
        """
        parts = [publication.layer, table, *([publication.partition] if publication.partition else [])]
        return Path(*parts)

    def _manifest_file(self, publication: Publication) -> Path:
        meta = self.root / publication.layer / "_meta"
        if publication.partition is None:
            return meta / f"{publication.name}.json"
        return meta / publication.name / f"{publication.partition}.json"

    def _show(self, manifest: Manifest, *, grace_seconds: float | None = None) -> None:
        file = self._manifest_file(manifest.publication)
        write_atomically(file, sealed(manifest.model_dump_json()))
        self._collect(manifest, self.grace_seconds if grace_seconds is None else grace_seconds)

    def remove(self, manifest: Manifest, run_id: str) -> int:
        """Removes a publication for good, all of it or nothing as readers see it; the caller holds its lock.

        What it was is written down first, then nobody sees it any more, then its files go: whoever is killed between
        leaves files that ``finish_removals`` knows.

        Returns:
            Bytes of its files.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = Removed(manifest=manifest, removed_at=now, removed_by=run_id)
        write_atomically(self._removed_file(manifest.publication), sealed(record.model_dump_json()))
        self._manifest_file(manifest.publication).unlink(missing_ok=True)
        return self._remove_files(manifest)

    def removed(self) -> list[Removed]:
        """Publications that were removed and are not there again.

        Raises:
            PublishError: A record of one is damaged.
        """
        return [one for one in self._records_of_removals() if self.find(one.manifest.publication) is None]

    def finish_removals(self) -> int:
        """Removes files that a removal which was killed has left; returns their bytes."""
        freed = 0
        for one in self._records_of_removals():
            with self.lock(one.manifest.publication):
                freed += self._remove_files(one.manifest)
        return freed

    def _records_of_removals(self) -> Iterator[Removed]:
        for file in sorted(self.root.glob(f"*/{REMOVED}/*/*.json")):
            told = read_json(file)
            if not isinstance(told, dict) or not is_unbroken(told):
                raise PublishError(
                    "the record of what was removed is damaged",
                    where=str(file),
                    todo="Restore it, or delete it: then lineage tells of unknown inputs",
                )
            yield Removed.model_validate({name: value for name, value in told.items() if name != SEAL})

    def _removed_file(self, publication: Publication) -> Path:
        return self.root / publication.layer / REMOVED / publication.name / f"{publication.partition or 'whole'}.json"

    def _remove_files(self, manifest: Manifest) -> int:
        """Files of a publication that nobody sees and no other names; no name of a file is used twice.

        Raises:
            PublishError: Another manifest is damaged, so that nobody knows what it names.
        """
        publication, freed = manifest.publication, 0
        with self._sharing(publication):
            # Its own too: whoever was killed between writing the record and removing has removed nothing.
            visible = (
                self.partitions(publication.layer, publication.name) if publication.shares_files else [publication]
            )
            named = {path for one in visible if (found := self.find(one)) is not None for path in _paths(found)}
            for path in _paths(manifest) - named:
                file = self.root / path
                if file.is_file():
                    freed += file.stat().st_size
                    file.unlink()
        for name in manifest.tables:
            folder = self.root / self.table_folder(publication, name)
            with suppress(OSError):  # another publication's files are there, or it is gone
                folder.rmdir()
        return freed

    def tidy(self, manifest: Manifest) -> int:
        """Removes at once what a publication does not name any more; the caller holds its lock.

        Returns:
            Files removed.
        """
        with self._sharing(manifest.publication):
            return self._collect(manifest, 0.0)

    def tidy_editions(self, manifest: Manifest) -> int:
        """The same where files keep their names, in a folder of their own: removes folders that nothing names.

        Returns:
            Folders removed.
        """
        layer = manifest.publication.layer
        visible = [found for one in self.publications(layer) if (found := self.find(one)) is not None]
        kept = {Path(path).parts[1] for one in visible for path in _paths(one)}
        link = self.root / layer / CURRENT
        if link.is_symlink():
            kept.add(link.readlink().name)
        left = [one for one in link.parent.glob("*") if EDITION.fullmatch(one.name) and one.name not in kept]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    def remove_drafts(self) -> int:
        """Removes what runs that were killed have left in staging folders; those at work keep theirs.

        Returns:
            Folders removed.
        """
        removed = 0
        for folder in sorted(self.root.glob("*/_staging/*")):
            lock = FileLock(self.root / "_locks" / f"{folder.name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
            finally:
                lock.release()
        return removed

    @contextmanager
    def _sharing(self, publication: Publication) -> Iterator[None]:
        """Of publications that share files one changes at a time: what it names must not be removed meanwhile."""
        with ExitStack() as stack:
            if publication.shares_files:
                stack.enter_context(self._lock_one(publication.model_copy(update={"partition": None})))
            yield

    def _point_current(self, layer: str, edition: str) -> None:
        """Lets the layer's ``current`` link point to a folder, in one step."""
        link = self.root / layer / CURRENT
        temporary = link.with_name(f".{CURRENT}.{uuid4().hex[:8]}")
        temporary.symlink_to(edition, target_is_directory=True)
        temporary.replace(link)
        oldest = time.time() - self.grace_seconds
        for folder in link.parent.iterdir():
            if EDITION.fullmatch(folder.name) and folder.name != edition and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

    def _collect(self, manifest: Manifest, grace_seconds: float) -> int:
        """Removes data files that are no longer named, once readers have had time to finish."""
        publication = manifest.publication
        try:
            sharing = self._others(publication) if publication.shares_files else []
        except PublishError:  # nobody knows what a damaged manifest names
            return 0
        kept = {self.root / path for one in (manifest, *sharing) for path in _paths(one)}
        oldest = time.time() - grace_seconds
        removed = 0
        for table in manifest.tables:
            if publication.shares_files:
                found = self.root.joinpath(publication.layer, table).glob("**/*-*.*")
            else:
                found = (self.root / self.table_folder(publication, table)).glob("*-*.*")
            for file in found:
                if file not in kept and (grace_seconds <= 0 or file.stat().st_mtime < oldest):
                    file.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _others(self, publication: Publication) -> list[Manifest]:
        """The other partitions of a name."""
        others = [one for one in self.partitions(publication.layer, publication.name) if one != publication]
        return [found for one in others if (found := self.find(one)) is not None]


class Draft:
    """Files of a publication that nobody sees yet."""

    def __init__(self, store: TableStore, publication: Publication, folder: Path) -> None:
        self.publication = publication
        self.folder = folder
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, table: str, part: int = 0) -> Path:
        """Where to write one data file of a table."""
        file = self.folder / table / f"{part:05d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def commit(
        self,
        *,
        fingerprint: str,
        inputs: Mapping[str, str],
        tables: Mapping[str, PublishedTable],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        run_id: str,
        stage: str = "",
        named: bool = False,
    ) -> Manifest:
        """Moves the files to their final names and makes them visible in one step.

        Args:
            fingerprint: Fingerprint of the publication.
            inputs: Digest of every input.
            tables: The tables; the paths of their files are relative to the draft's folder, those of files that are
                published already (they have a digest) to the root: these are named as they are.
            metrics: Figures that a cached run repeats.
            tags: Tags that a cached run repeats.
            run_id: The run that made it.
            stage: The stage that makes it.
            named: Keep the names of the draft's files, in a folder of their own that the layer's ``current`` link
                points to: for files that others address by name.

        Raises:
            PublishError: A file that is published already went meanwhile.
        """
        edition = f"{fingerprint[:16]}-{uuid4().hex[:8]}"
        with self._store._sharing(self.publication):
            manifest = Manifest(
                publication=self.publication,
                fingerprint=fingerprint,
                inputs=dict(inputs),
                tables={name: self._placed(name, table, edition, named=named) for name, table in tables.items()},
                metrics=dict(metrics),
                tags=dict(tags),
                run_id=run_id,
                created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                stage=stage,
                format=FORMAT,
                release=__version__,
            )
            if named:
                self._store._point_current(self.publication.layer, edition)
            self._store._show(manifest)
        return manifest

    def _placed(self, name: str, table: PublishedTable, edition: str, *, named: bool) -> PublishedTable:
        """A table whose files stand at their final places."""
        folder = self._store.table_folder(self.publication, name)
        final: list[DataFile] = []
        for number, file in enumerate(table.files):
            if file.digest is not None:
                final.append(self._published(file))
            elif named:
                final.append(self._place(file, Path(self.publication.layer, edition, file.path)))
            else:
                final.append(self._place(file, folder / f"{edition}-{number:05d}{Path(file.path).suffix}"))
        return table.model_copy(update={"files": tuple(final)})

    def _published(self, file: DataFile) -> DataFile:
        """A file that another partition has published."""
        if not (self._store.root / file.path).is_file():
            raise PublishError(
                "a file that was to be named again went meanwhile",
                where=f"{self._store.root}: {file.path}",
                todo="Run the same command again",
            )
        return file

    def amend(
        self, manifest: Manifest, tables: Mapping[str, PublishedTable], *, fingerprint: str, tags: Mapping[str, str]
    ) -> Manifest:
        """Replaces files of what is published, in one step, and removes those before at once.

        Args:
            manifest: The visible manifest.
            tables: The tables that change; files that lie in the draft's folder are new, all others stay as they are.
            fingerprint: The manifest's own where the stage is to find its work done; another where it is to work
                again.
            tags: Further tags.
        """
        edition = f"{manifest.fingerprint[:16]}-{uuid4().hex[:8]}"
        placed = dict(manifest.tables)
        with self._store._sharing(self.publication):
            for name, table in tables.items():
                folder = self._store.table_folder(self.publication, name)
                final = [
                    self._place(file, folder / f"{edition}-{number:05d}{Path(file.path).suffix}")
                    if (self.folder / file.path).is_file()
                    else file
                    for number, file in enumerate(table.files)
                ]
                placed[name] = table.model_copy(update={"files": tuple(final)})
            counts = {f"rows_{name}": float(table.rows) for name, table in tables.items()}
            known = manifest.metrics
            amended = manifest.model_copy(
                update={
                    "fingerprint": fingerprint,
                    "tables": placed,
                    "metrics": known | {name: rows for name, rows in counts.items() if name in known},
                    "tags": manifest.tags | dict(tags),
                    "format": FORMAT,
                    "release": __version__,
                }
            )
            self._store._show(amended, grace_seconds=0.0)
        return amended

    def amend_named(
        self, manifest: Manifest, tables: Mapping[str, PublishedTable], *, tags: Mapping[str, str]
    ) -> Manifest:
        """The same for files that others address by name: they keep their names, in a folder of their own.

        Args:
            manifest: The visible manifest, published with ``named``.
            tables: All its tables; a file is new where one of its name lies in the draft's folder.
            tags: Further tags.
        """
        layer, edition = self.publication.layer, f"{manifest.fingerprint[:16]}-{uuid4().hex[:8]}"
        placed: dict[str, PublishedTable] = {}
        before: set[Path] = set()
        for name, table in tables.items():
            final: list[DataFile] = []
            for file in table.files:
                inside = Path(*Path(file.path).parts[2:])
                before.add(self._store.root.joinpath(*Path(file.path).parts[:2]))
                target = Path(layer, edition, inside)
                if (self.folder / inside).is_file():
                    final.append(self._place(file.model_copy(update={"path": inside.as_posix()}), target))
                    continue
                (self._store.root / target).parent.mkdir(parents=True, exist_ok=True)
                os.link(self._store.root / file.path, self._store.root / target)
                final.append(file.model_copy(update={"path": target.as_posix()}))
            placed[name] = table.model_copy(update={"files": tuple(final)})
        amended = manifest.model_copy(update={"tables": placed, "tags": manifest.tags | dict(tags)})
        self._store._point_current(layer, edition)
        self._store._show(amended, grace_seconds=0.0)
        for folder in before:
            shutil.rmtree(folder, ignore_errors=True)
        return amended

    def _place(self, file: DataFile, target: Path) -> DataFile:
        """Moves a file of the draft to its final place, with the digest of what is to be found there."""
        draft, final = self.folder / file.path, self._store.root / target
        final.parent.mkdir(parents=True, exist_ok=True)
        sync(draft)
        told = {"path": target.as_posix(), "size": draft.stat().st_size, "digest": digest_of(draft)}
        draft.replace(final)
        return file.model_copy(update=told)


def _paths(manifest: Manifest) -> set[str]:
    """Files that a manifest names, below the root."""
    return {file.path for table in manifest.tables.values() for file in table.files}


def joined_digest(files: Iterable[tuple[int, str]]) -> str:
    """Digest of a landed table: of the parts and contents of its files, in no order."""
    return hashlib.sha256("\n".join(sorted(f"{part}:{digest}" for part, digest in files)).encode()).hexdigest()


def write_atomically(file: Path, text: str) -> None:
    """Writes a text file so that a reader sees the old content or the new, never a part."""
    with _replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_frame_atomically(file: Path, frame: pd.DataFrame) -> None:
    """Writes a frame as one Parquet file, in the same way."""
    with _replacing(file) as temporary:
        frame.to_parquet(temporary, compression="zstd", index=False, write_page_checksum=True)


def read_frame(file: Path) -> pd.DataFrame:
    """A frame that ``write_frame_atomically`` wrote.

    Raises:
        PublishError: It is damaged.
    """
    try:
        frame: pd.DataFrame = pq.read_table(file, partitioning=None, page_checksum_verification=True).to_pandas()
        return frame
    except (pa.ArrowException, OSError) as error:
        raise PublishError(
            "the file is damaged",
            where=str(file),
            todo="Restore it, or remove it: what it remembers is then not compared with any more",
        ) from error


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{uuid4().hex[:8]}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def read_json(file: Path) -> Any:
    """Content of a JSON file, or None where it is absent or damaged (it is then made again)."""
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _is_manifest(file: Path) -> bool:
    """Whether a file beside the manifests is one: lists that are made from what is published lie there too."""
    found = read_json(file)
    return found is None or (isinstance(found, dict) and "publication" in found)


def _know(told: dict[str, Any], file: Path) -> None:
    """Refuses what a later release published: read as if it were ours it would be damaged, and made again over it."""
    if isinstance(told.get("format"), int) and told["format"] > FORMAT:
        raise LaterReleaseError(
            f"was published in format {told['format']} by SpanishGas {told.get('release') or 'of a later release'}; "
            f"this is {__version__}, which knows up to format {FORMAT}",
            where=str(file),
            todo=GO_BACK,
        )


def _damaged_manifest(file: Path) -> PublishError:
    return PublishError(
        "the manifest is damaged",
        where=str(file),
        todo=f"Run the stage that makes it {MENDS}",
    )


def sync(file: Path) -> None:
    """Waits until a file's bytes are on the disk."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
