"""Published tables: what readers see, and how it changes in one step.

A *publication* is what one stage publishes at once: one table or several, of one partition. Its data files carry names
that are never used twice; its manifest names them. Readers open only what a manifest names, so replacing the manifest
in one step is what makes a publication visible, all of it or nothing.
"""

import hashlib
import io
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
from spanishgas.config.places import Place, below
from spanishgas.config.storage import StorageSettings
from spanishgas.engine import leases
from spanishgas.engine.integrity import SEAL, digest_of, is_sound, is_unbroken, sealed
from spanishgas.engine.leases import Lease
from spanishgas.engine.storage import Content, Entry, ObjectStorage, Storage, replacing, storage_at, sync
from spanishgas.errors import ConfigError, LaterReleaseError, LockTimeoutError, PublishError

GRACE_SECONDS = 3600.0
MENDS = "again as it was run then: it sees the damage and makes this again"
GO_BACK = "Use that release or a later one; to go back, restore the backup from before the upgrade (docs/backup.md)"
LOCK_WAIT_SECONDS = 1800.0
CURRENT = "current"
META, LOCKS, WHOLE, GOING = "_meta", "_locks", "whole", "_going"
LAYERS = ("raw", "ground_truth", "bronze", "silver", "gold")
SHARING = "bronze"
# Raised when a release before would misread a manifest of this one; the seal is taken in the same way in every format.
FORMAT = 1
REMOVED, PAST = "_removed", "_past"
EDITION = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")


# Data roots in object stores whose cache this process has looked through.
_tidied: set[str] = set()


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
        content_hash: Digest of what a landed file holds, by the raw file and how it was read; of a part of a table the
            hash of its rows, which adds up with those of the other parts (``content.RowsHash``).
        made_from: Digest of the raw file, how it is read and the code that reads it, or of all that a part of a table
            is made from: a later landing or publication with the same one names this file instead of writing it again.
            None where that must not be.
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


class Past(_Record):
    """A manifest that was replaced, and when it could be seen.

    Attributes:
        manifest: The manifest.
        visible_from: UTC, seconds since 1970.
        visible_until: UTC, seconds since 1970.
    """

    manifest: Manifest
    visible_from: float
    visible_until: float


class TableStore:
    """The published tables under one data root.

    Args:
        root: The data set's root: a folder, or an address in an object store.
        cache: Folder for local copies of what lies in an object store; None takes one below the user's cache folder.
        grace_seconds: Age from which a file that no manifest names any more is removed.
        lock_wait_seconds: How long to wait for another run that publishes the same partition.
        lease_seconds: Term of a lock in an object store: how long a holder that is gone keeps others waiting.
        keep_published_days: Days for which a manifest that was replaced, and its files, are kept.
        as_published: Show what was published then, and publish nothing; None shows what is published now.

    Attributes:
        storage: The door to the stored files.
        root: The folder of local files: the data root itself, or the cache of an object store.
        place: The data root, for messages.
    """

    def __init__(
        self,
        root: Place,
        *,
        cache: Path | None = None,
        grace_seconds: float = GRACE_SECONDS,
        lock_wait_seconds: float = LOCK_WAIT_SECONDS,
        lease_seconds: float = leases.TERM_SECONDS,
        keep_published_days: float = 0,
        as_published: datetime | None = None,
    ) -> None:
        self.storage: Storage = storage_at(root, cache)
        self.root = self.storage.root
        self._cache = cache
        self.place = root
        self.grace_seconds = grace_seconds
        self.lock_wait_seconds = lock_wait_seconds
        self.lease_seconds = lease_seconds
        self.keep_published_days = keep_published_days
        self.as_published = as_published
        # Version of each manifest as it was seen under the publication's lock: what a conditional write compares.
        self._seen: dict[Publication, str | None] = {}
        self._leases: dict[Publication, Lease] = {}

    @classmethod
    def of(cls, root: Place, settings: StorageSettings) -> "TableStore":
        """The published tables of a data set, stored as the settings say.

        Raises:
            ConfigError: Its root is in an object store, and the library for it is not installed.
        """
        return cls(
            root,
            cache=settings.cache,
            keep_published_days=settings.keep_published_days,
            as_published=settings.as_published,
        )

    def below(self, *parts: str) -> "TableStore":
        """The published tables of another data set, below this one's root."""
        return TableStore(below(self.place, *parts), cache=self._cache)

    def where(self, path: str | Path) -> str:
        """Where something below the root lies, for messages and for runs."""
        return str(below(self.place, *Path(path).parts))

    # reading

    def find(self, publication: Publication) -> Manifest | None:
        """The visible manifest, or None where nothing is published.

        Raises:
            PublishError: The manifest is damaged.
            LaterReleaseError: It is of a format that this release does not know.
        """
        if self.as_published is not None:
            return self._find_past(publication, self.as_published.timestamp())
        name = self._manifest_name(publication)
        content = self.storage.get(name)
        return None if content is None else self._manifest(content, name)

    def _manifest(self, content: Content, name: str) -> Manifest:
        found = self.manifest_in(content.data, self.where(name))
        if found is None:
            raise _damaged_manifest(self.where(name))
        return found

    @staticmethod
    def manifest_in(content: bytes, file: Path | str) -> Manifest | None:
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
        if manifest is None and self.as_published is not None:
            raise PublishError(
                f"was not published at {self.as_published.isoformat()}, or is not kept any more",
                where=str(publication),
                todo="storage.keep_published_days says how long what is replaced is kept",
            )
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
        names = (Path(entry.name).stem for entry in self.storage.list(f"{layer}/{META}/{name}", "*.json"))
        found = [Publication(layer=layer, name=name, partition=partition) for partition in names]
        if self.as_published is not None:
            found = [one for one in {*found, *self._past_partitions(layer, name)} if self.find(one) is not None]
        return sorted(found, key=lambda publication: publication.value)

    def publications(self, layer: str) -> list[Publication]:
        """Everything that is published in a layer, whole names first, then partitions."""
        meta = f"{layer}/{META}"
        whole = [Publication(layer=layer, name=Path(entry.name).stem) for entry in self.storage.list(meta, "*.json")]
        whole = [one for one in whole if self._is_manifest(one)]
        names = {Path(entry.name).parent.name for entry in self.storage.list(meta, "*/*.json")}
        if self.as_published is not None:
            past = [Publication(layer=layer, name=name) for name in self._past_names(layer)]
            whole = sorted({*whole, *past}, key=str)
            whole = [one for one in whole if self.find(one) is not None]
            names |= set(self._past_names(layer))
        return [*whole, *(one for name in sorted(names) for one in self.partitions(layer, name))]

    def _is_manifest(self, publication: Publication) -> bool:
        """Whether a file beside the manifests is one: lists that are made from what is published lie there too."""
        content = self.storage.get(self._manifest_name(publication))
        found = None if content is None else _json(content.data)
        return found is None or (isinstance(found, dict) and "publication" in found)

    def of_run_dates(self, layer: str, day: date | None = None) -> list[Publication]:
        """Every publication of a layer that is of a run date, or of a certain one, in order of names and dates."""
        pattern = f"*/run_date={'*' if day is None else day.isoformat()}.json"
        found = [Path(entry.name) for entry in self.storage.list(f"{layer}/{META}", pattern)]
        return [Publication(layer=layer, name=file.parent.name, partition=file.stem) for file in found]

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
        self.storage.bring(files)
        damaged = [file.path for file in files if not self._is_sound(file)]
        if damaged:
            raise PublishError(
                "data files are damaged or gone: they have other bytes than were published",
                where=f"{self.place}: {manifest.publication}",
                count=len(damaged),
                examples=damaged,
                todo=manifest.again,
            )
        return [self.root / file.path for file in files]

    def missing_files(self, manifest: Manifest) -> list[str]:
        """Files that the manifest names and that are not there."""
        named = [file.path for table in manifest.tables.values() for file in table.files]
        if self.storage.is_remote:
            there = self._stored(named)
            return [path for path in named if path not in there]
        return [path for path in named if not (self.root / path).is_file()]

    def _stored(self, paths: Iterable[str]) -> dict[str, int]:
        """Which of some data files are in the object store, with their bytes; a list per folder is one request."""
        folders = {str(Path(path).parent) for path in paths}
        return {entry.name: entry.size for folder in sorted(folders) for entry in self.storage.list(folder, "*")}

    def state(self) -> tuple[tuple[str, float], ...]:
        """Tells whether anything was published since: name and time of every manifest, and of lists beside them."""
        forms = ("*.json", "*/*.json")
        found = (self.storage.list(f"{layer}/{META}", form) for layer in LAYERS for form in forms)
        return tuple((entry.name, entry.changed_at) for entries in found for entry in entries)

    def size_of(self, manifest: Manifest) -> int:
        """Bytes of a publication's files, as far as they are there."""
        paths = _paths(manifest)
        if self.storage.is_remote:
            there = self._stored(paths)
            return sum(there.get(path, 0) for path in paths)
        return sum(self.storage.size(path) or 0 for path in paths)

    def clear(self, layer: str) -> None:
        """Removes a whole layer for good, out of sight in one step: what is published, and all that lies beside it."""
        going = self.root / GOING
        if (self.root / layer).is_dir():
            shutil.rmtree(going / layer, ignore_errors=True)
            going.mkdir(exist_ok=True)
            (self.root / layer).rename(going / layer)
        shutil.rmtree(going, ignore_errors=True)
        if self.storage.is_remote:
            # Manifests first: what they named is then nobody's any more.
            for entry in [*self.storage.list(f"{layer}/{META}", "**"), *self.storage.list(layer, "**")]:
                self.storage.delete(entry.name)

    def forget_copies(self) -> None:
        """Removes copies in the cache of an object store whose objects are gone; once per process."""
        if isinstance(self.storage, ObjectStorage) and str(self.place) not in _tidied:
            _tidied.add(str(self.place))
            self.storage.forget()

    def bring(self, manifest: Manifest) -> None:
        """Makes local copies of all data files of a publication, see ``Storage.bring``; those that are gone are not."""
        self.storage.bring([file for table in manifest.tables.values() for file in table.files])

    def damaged_files(self, manifest: Manifest) -> list[str]:
        """Files that the manifest names and that are gone or have other bytes; all that were not read yet are read.

        Of what lies in an object store only the bytes of local copies are looked at, and of the rest how many there
        are: the store keeps digests of its own, and whoever makes a copy compares it.
        """
        named = [file for table in manifest.tables.values() for file in table.files]
        if not self.storage.is_remote:
            return [file.path for file in named if not self._is_sound(file)]
        there = self._stored(file.path for file in named)
        copied = [file for file in named if (self.root / file.path).is_file()]
        self.storage.bring([file for file in copied if file.path in there])
        broken = {file.path for file in copied if not self._is_sound(file)}
        return [
            file.path
            for file in named
            if file.path in broken
            or file.path not in there
            or (file.digest is not None and there[file.path] != file.size)
        ]

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

        In an object store locks are leases (``leases.py``), and the manifest's version is looked at under them.

        Raises:
            LockTimeoutError: Another run holds one of them for too long.
            ConfigError: The store shows what was published at another time.
        """
        if publications and self.as_published is not None:
            raise ConfigError(
                "what was published at another time can be read, and nothing can be published with it",
                where=f"storage.as_published={self.as_published.isoformat()}",
                todo="Leave it out, or use it with commands that only read: export, lineage, explain_customer",
            )
        with ExitStack() as stack:
            for publication in sorted(publications, key=str):
                stack.enter_context(self._lock_one(publication))
                shutil.rmtree(self._staging(publication), ignore_errors=True)
            yield

    @contextmanager
    def _lock_one(self, publication: Publication) -> Iterator[None]:
        name = f"{LOCKS}/{str(publication).replace('/', '.')}.lock"
        if self.storage.is_remote:
            with leases.held(
                self.storage,
                name,
                f"{self.place}: {publication}",
                wait_seconds=self.lock_wait_seconds,
                term_seconds=self.lease_seconds,
            ) as lease:
                self._leases[publication] = lease
                self._see(publication)
                try:
                    yield
                finally:
                    self._leases.pop(publication, None)
                    self._seen.pop(publication, None)
            return
        file = self.root / name
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
        if self.storage.is_remote:
            # Of its own: a holder that lost its lock and goes on must not write among the next one's files.
            folder = folder / uuid4().hex[:8]
            if publication not in self._leases:
                self._see(publication)
        folder.mkdir(parents=True)
        return Draft(self, publication, folder)

    def _see(self, publication: Publication) -> None:
        found = self.storage.get(self._manifest_name(publication))
        self._seen[publication] = None if found is None else found.version

    def _staging(self, publication: Publication) -> Path:
        return self.root / publication.layer / "_staging" / str(publication).replace("/", ".")

    def table_folder(self, publication: Publication, table: str) -> Path:
        """Folder of one table's data files, relative to the root.

        A layer's folder holds one folder per table, and the partition below it.
        """
        parts = [publication.layer, table, *([publication.partition] if publication.partition else [])]
        return Path(*parts)

    @staticmethod
    def _manifest_name(publication: Publication) -> str:
        meta = f"{publication.layer}/{META}"
        if publication.partition is None:
            return f"{meta}/{publication.name}.json"
        return f"{meta}/{publication.name}/{publication.partition}.json"

    def _show(self, manifest: Manifest, *, grace_seconds: float | None = None) -> None:
        """Makes a manifest the visible one, in one step, and removes what it does not name any more.

        Raises:
            LostRaceError: In an object store another run has published it meanwhile.
            PublishError: The lock was lost.
        """
        publication, name = manifest.publication, self._manifest_name(manifest.publication)
        text = sealed(manifest.model_dump_json())
        # In an object store the grace period counts from here: whoever has read the manifest before may be copying.
        if (self.keep_published_days > 0 or self.storage.is_remote) and grace_seconds is None:
            self._keep_past(publication)
        if self.storage.is_remote:
            sharing = publication.model_copy(update={"partition": None})
            for lease in (self._leases.get(publication), self._leases.get(sharing)):
                if lease is not None:
                    lease.check()
            self._seen[publication] = self.storage.put_if(name, text.encode(), self._seen.get(publication))
        else:
            self._begin_grace(manifest)
            write_atomically(self.root / name, text)
        self._collect(manifest, self.grace_seconds if grace_seconds is None else grace_seconds)

    def _begin_grace(self, manifest: Manifest) -> None:
        """Files that a manifest is about to replace age from now on: whoever has read the one before may be reading."""
        with suppress(PublishError):  # nobody knows what a damaged manifest names
            before = self.find(manifest.publication)
            for path in set() if before is None else _paths(before) - _paths(manifest):
                with suppress(FileNotFoundError):
                    os.utime(self.root / path)

    def remove(self, manifest: Manifest, run_id: str) -> int:
        """Removes a publication for good, all of it or nothing as readers see it; the caller holds its lock.

        What it was is written down first, then nobody sees it any more, then its files go: whoever is killed between
        leaves files that ``finish_removals`` knows.

        Returns:
            Bytes of its files.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = Removed(manifest=manifest, removed_at=now, removed_by=run_id)
        self.storage.put(self._removed_name(manifest.publication), sealed(record.model_dump_json()).encode())
        if (lease := self._leases.get(manifest.publication)) is not None:
            lease.check()
        self.storage.delete(self._manifest_name(manifest.publication))
        past = self.forget_past(manifest.publication)
        return sum(self._remove_files(one) for one in (*past, manifest))

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
        for name in self._list_small(REMOVED):
            content = self.storage.get(name)
            told = None if content is None else _json(content.data)
            if not isinstance(told, dict) or not is_unbroken(told):
                raise PublishError(
                    "the record of what was removed is damaged",
                    where=self.where(name),
                    todo="Restore it, or delete it: then lineage tells of unknown inputs",
                )
            yield Removed.model_validate({key: value for key, value in told.items() if key != SEAL})

    def _list_small(self, kind: str) -> list[str]:
        """Names of the records of one kind, in all layers."""
        if not self.storage.is_remote:
            return [entry.name for entry in self.storage.list("", f"*/{kind}/*/*.json")]
        # Object stores list by what names begin with: a look at each layer is cheaper than one at everything.
        found = (self.storage.list(f"{layer}/{kind}", "*/*.json") for layer in sorted(LAYERS))
        return [entry.name for entries in found for entry in entries]

    @staticmethod
    def _removed_name(publication: Publication) -> str:
        return f"{publication.layer}/{REMOVED}/{publication.name}/{publication.partition or WHOLE}.json"

    # what was published before

    def _keep_past(self, publication: Publication) -> None:
        """Writes down the visible manifest, which is about to be replaced."""
        name = self._manifest_name(publication)
        content, now = self.storage.get(name), time.time()
        if content is None:
            return
        try:
            manifest = self._manifest(content, name)
        except PublishError:  # damaged: it is made again, and nobody wants it back
            return
        if any(_in_edition(path) for path in _paths(manifest)):
            return  # raw files that the demo retailer made; its seed makes them again
        # Where a run is killed between this and the new manifest, the next one writes another record of the same.
        record = Past(manifest=manifest, visible_from=content.changed_at, visible_until=now)
        folder = f"{publication.layer}/{PAST}/{publication.name}/{publication.partition or WHOLE}"
        self.storage.put(f"{folder}/{now:017.6f}.json", sealed(record.model_dump_json()).encode())

    def past(self, publication: Publication) -> list[tuple[str, Past]]:
        """Kept manifests of a publication that were replaced, oldest first, each with the name of its record.

        Raises:
            PublishError: A record is damaged.
        """
        folder = f"{publication.layer}/{PAST}/{publication.name}/{publication.partition or WHOLE}"
        found = []
        for entry in self.storage.list(folder, "*.json"):
            content = self.storage.get(entry.name)
            if content is None:
                continue
            told = _json(content.data)
            if not isinstance(told, dict) or not is_unbroken(told):
                raise PublishError(
                    "the record of what was published before is damaged",
                    where=self.where(entry.name),
                    todo="Restore it, or delete it: then what was published then cannot be read any more",
                )
            found.append((entry.name, Past.model_validate({key: one for key, one in told.items() if key != SEAL})))
        return found

    def _find_past(self, publication: Publication, moment: float) -> Manifest | None:
        """The manifest that was visible at a moment, as far as it is kept.

        Raises:
            PublishError: Another was visible then, and it is not kept any more.
        """
        name = self._manifest_name(publication)
        content = self.storage.get(name)
        if content is not None and content.changed_at <= moment:
            return self._manifest(content, name)
        kept = [one for _, one in self.past(publication)]
        found = [one for one in kept if one.visible_from <= moment < one.visible_until]
        if found:
            return found[-1].manifest
        return None

    def _past_names(self, layer: str) -> list[str]:
        return sorted({Path(entry.name).parts[2] for entry in self.storage.list(f"{layer}/{PAST}", "*/*/*.json")})

    def _past_partitions(self, layer: str, name: str) -> list[Publication]:
        found = {Path(entry.name).parts[3] for entry in self.storage.list(f"{layer}/{PAST}/{name}", "*/*.json")}
        return [Publication(layer=layer, name=name, partition=one) for one in sorted(found) if one != WHOLE]

    def forget_past(self, publication: Publication) -> list[Manifest]:
        """Removes the kept manifests of a publication; the caller holds its lock.

        Their files go when the publication is tidied next, or by the caller.

        Returns:
            The manifests, oldest first.
        """
        found = []
        for name, one in self.past(publication):
            self.storage.delete(name)
            found.append(one.manifest)
        return found

    def _kept_past(self, publication: Publication) -> list[Manifest]:
        """Kept manifests of a publication; those whose time is over are removed."""
        kept, oldest = [], time.time() - max(self.keep_published_days * 86400.0, self.grace_seconds)
        for name, one in self.past(publication):
            if one.visible_until < oldest:
                self.storage.delete(name)
            else:
                kept.append(one.manifest)
        return kept

    def _remove_files(self, manifest: Manifest) -> int:
        """Files of a publication that nobody sees and no other names; no name of a file is used twice.

        Raises:
            PublishError: Another manifest is damaged, so that nobody knows what it names.
        """
        publication, freed = manifest.publication, 0
        with self._sharing(publication):
            named = {path for one in self._others(publication) for path in _paths(one)}
            # Its own too: whoever was killed between writing the record and removing has removed nothing.
            visible = self.find(publication)
            named |= set() if visible is None else _paths(visible)
            for path in _paths(manifest) - named:
                freed += self.storage.delete(path)
        for name in manifest.tables:
            folder = self.root / self.table_folder(publication, name)
            with suppress(OSError):  # another publication's files are there, or it is gone
                folder.rmdir()
        return freed

    def tidy(self, manifest: Manifest) -> int:
        """Removes at once what a publication does not name any more; the caller holds its lock.

        What was published before and was kept goes too.

        Returns:
            Files removed.
        """
        self.forget_past(manifest.publication)
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

    def current(self, publication: Publication) -> Path:
        """The folder in which files that are published under names of their own are found by these names.

        Of an object store it is a link in the cache, made here, with copies of all the files.

        Raises:
            PublishError: Files are damaged or gone.
        """
        link = self.root / publication.layer / CURRENT
        if self.storage.is_remote and (manifest := self.find(publication)) is not None:
            files = [file for table in manifest.tables.values() for file in table.files]
            self.checked(manifest, files)
            editions = {Path(file.path).parts[1] for file in files if _in_edition(file.path)}
            if len(editions) == 1:
                self._point_current(publication.layer, editions.pop())
        return link

    def _point_current(self, layer: str, edition: str) -> None:
        """Lets the layer's ``current`` link point to a folder, in one step."""
        link = self.root / layer / CURRENT
        link.parent.mkdir(parents=True, exist_ok=True)
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
            naming = [manifest, *self._others(publication), *self._kept_past(publication)]
        except PublishError:  # nobody knows what a damaged manifest names
            return 0
        kept = {path for one in naming for path in _paths(one)}
        oldest = time.time() - grace_seconds
        removed = 0
        tables = {name for one in naming for name in one.tables}
        for table in sorted(tables):
            if publication.shares_files:
                found = self.storage.list(f"{publication.layer}/{table}", "**/*-*.*")
            else:
                found = self.storage.list(self.table_folder(publication, table).as_posix(), "*-*.*")
            removed += self._remove_old(found, kept, oldest if grace_seconds > 0 else None)
        if self.storage.is_remote and any(_in_edition(path) for path in kept):
            stored = self.storage.list(publication.layer, "**")
            found = [entry for entry in stored if _in_edition(entry.name)]
            removed += self._remove_old(found, kept, oldest if grace_seconds > 0 else None)
        return removed

    def _remove_old(self, found: Iterable[Entry], kept: set[str], oldest: float | None) -> int:
        removed = 0
        for entry in found:
            if entry.name not in kept and (oldest is None or entry.changed_at < oldest):
                self.storage.delete(entry.name)
                removed += 1
        return removed

    def _others(self, publication: Publication) -> list[Manifest]:
        """What may name the same files: the other partitions of a name that shares them, and what they were before."""
        if not publication.shares_files:
            return []
        now = [one for one in self.partitions(publication.layer, publication.name) if one != publication]
        before = [one for one in self._past_partitions(publication.layer, publication.name) if one != publication]
        found = [found for one in now if (found := self.find(one)) is not None]
        return [*found, *(past.manifest for one in before for _, past in self.past(one))]


class Draft:
    """Files of a publication that nobody sees yet."""

    def __init__(self, store: TableStore, publication: Publication, folder: Path) -> None:
        self.publication = publication
        self.folder = folder
        self._store = store
        self._placed_now: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._store.storage.is_remote:
            with suppress(OSError):  # another's draft is there
                self.folder.parent.rmdir()

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
            self._send()
            if named:
                self._store._point_current(self.publication.layer, edition)
            self._store._show(manifest)
        return manifest

    def _send(self) -> None:
        """Stores the files that were placed; nobody sees them before a manifest names them."""
        self._store.storage.send(self._placed_now)
        self._placed_now = []

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
        if self._store.storage.size(file.path) is None:
            raise PublishError(
                "a file that was to be named again went meanwhile",
                where=self._store.where(file.path),
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
            self._send()
            self._store.forget_past(self.publication)
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
        self._store.bring(manifest)
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
                self._placed_now.append(target.as_posix())
                final.append(file.model_copy(update={"path": target.as_posix()}))
            placed[name] = table.model_copy(update={"files": tuple(final)})
        amended = manifest.model_copy(update={"tables": placed, "tags": manifest.tags | dict(tags)})
        self._send()
        self._store.forget_past(self.publication)
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
        self._placed_now.append(target.as_posix())
        return file.model_copy(update=told)


def _paths(manifest: Manifest) -> set[str]:
    """Files that a manifest names, below the root."""
    return {file.path for table in manifest.tables.values() for file in table.files}


def joined_digest(files: Iterable[tuple[int, str]]) -> str:
    """Digest of a landed table: of the parts and contents of its files, in no order."""
    return hashlib.sha256("\n".join(sorted(f"{part}:{digest}" for part, digest in files)).encode()).hexdigest()


def write_atomically(file: Path, text: str) -> None:
    """Writes a text file so that a reader sees the old content or the new, never a part."""
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_frame(store: TableStore, name: str, frame: pd.DataFrame) -> None:
    """Writes a frame as one Parquet file below the root, in the same way."""
    content = io.BytesIO()
    frame.to_parquet(content, compression="zstd", index=False, write_page_checksum=True)
    store.storage.put(name, content.getvalue())


def read_frame(store: TableStore, name: str) -> pd.DataFrame | None:
    """A frame that ``write_frame`` wrote, or None where there is none.

    Raises:
        PublishError: It is damaged.
    """
    content = store.storage.get(name)
    if content is None:
        return None
    try:
        frame: pd.DataFrame = pq.read_table(pa.BufferReader(content.data), page_checksum_verification=True).to_pandas()
        return frame
    except (pa.ArrowException, OSError) as error:
        raise PublishError(
            "the file is damaged",
            where=store.where(name),
            todo="Restore it, or remove it: what it remembers is then not compared with any more",
        ) from error


def read_json(file: Path) -> Any:
    """Content of a JSON file, or None where it is absent or damaged (it is then made again)."""
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _json(data: bytes) -> Any:
    """Content of a JSON file, or None where it is damaged."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def _in_edition(path: str) -> bool:
    """Whether a file is published under a name of its own, in the folder of an edition."""
    parts = Path(path).parts
    return len(parts) > 2 and EDITION.fullmatch(parts[1]) is not None


def _know(told: dict[str, Any], file: Path | str) -> None:
    """Refuses what a later release published: read as if it were ours it would be damaged, and made again over it."""
    if isinstance(told.get("format"), int) and told["format"] > FORMAT:
        raise LaterReleaseError(
            f"was published in format {told['format']} by SpanishGas {told.get('release') or 'of a later release'}; "
            f"this is {__version__}, which knows up to format {FORMAT}",
            where=str(file),
            todo=GO_BACK,
        )


def _damaged_manifest(file: Path | str) -> PublishError:
    return PublishError(
        "the manifest is damaged",
        where=str(file),
        todo=f"Run the stage that makes it {MENDS}",
    )
