"""The one door to where published tables lie: a folder, or an object store behind an address.

Engines read and write local files, and nothing else. In a folder these are the published files themselves. With an
object store they are copies in a cache folder: names of data files are never used twice, so that a copy with the bytes
that a manifest tells is good for ever. What changes under one name (manifests, lists, leases) is never cached.
"""

import fnmatch
import hashlib
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import uuid4

from spanishgas.config.places import ObjectAddress, Place
from spanishgas.errors import ConfigError, LostRaceError, StorageError
from spanishgas.redaction import redacted

if TYPE_CHECKING:
    from obstore.store import ObjectStore

EXTRA = "uv pip install 'spanishgas[object-storage]'"
# Requests that fail are repeated for so long; then the store is not reachable.
RETRY_SECONDS, MOST_RETRIES, CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 5, 3.0, 60.0
AT_ONCE = 8
PIECE_BYTES = 16 << 20
# Made by no stage and needed by no other machine: folders of a cache that are not copies of objects.
LOCAL_ONLY = ("_staging", "_studies", "fetched", "serving", "request_log", "raw_file_hashes.json", "current")
# Where clients ask for the credentials of a machine in a cloud when the environment has none.
METADATA_HOST = "169.254.169.254"
T = TypeVar("T")


@dataclass(frozen=True)
class Content:
    """What stands under a name, and which version of it that is.

    Attributes:
        data: Its bytes.
        version: Tells this state from others under the same name; of no use but to ``put_if``.
        changed_at: When it was written, in seconds since 1970.
    """

    data: bytes
    version: str
    changed_at: float


@dataclass(frozen=True)
class Entry:
    """One stored file.

    Attributes:
        name: Where it lies, below the root.
        size: Its bytes.
        changed_at: When it was written, in seconds since 1970.
    """

    name: str
    size: int
    changed_at: float


class Wanted(Protocol):
    """A data file as a manifest names it."""

    @property
    def path(self) -> str:
        """Where it lies, below the root."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def digest(self) -> str | None:
        """Their SHA-256, where it was taken."""


class Storage(Protocol):
    """Stored files by their names below the root, and where they lie on this machine."""

    @property
    def place(self) -> Place:
        """The root: a folder or an address."""

    @property
    def root(self) -> Path:
        """The folder of local files: the root itself, or the cache."""

    @property
    def is_remote(self) -> bool:
        """Whether stored files have to be copied to be read."""

    def get(self, name: str) -> Content | None:
        """What stands under a name, or None."""

    def put(self, name: str, data: bytes) -> None:
        """Writes a file; readers see the old content or the new, never a part."""

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        """Writes a file only where its version is still the one that was seen; None: only where there is none.

        Returns:
            The new version.

        Raises:
            LostRaceError: Another was faster.
        """

    def delete(self, name: str) -> int:
        """Removes a file, and its local copy; returns its bytes, 0 where it is not there."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where it is not there."""

    def list(self, folder: str, pattern: str) -> list[Entry]:
        """Files below a folder whose path below it has the form of a pattern (``*.json``, ``*/*.json``, ``**``)."""

    def bring(self, files: Sequence[Wanted]) -> None:
        """Makes local copies of data files, as far as there are none with the right bytes."""

    def send(self, names: Sequence[str]) -> None:
        """Stores local files under their names, which were never used before."""


class FolderStorage:
    """Stored files in a folder; the caller's locks keep others away from what ``put_if`` writes.

    Args:
        root: The folder.
    """

    is_remote = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> Place:
        """The folder."""
        return self.root

    def get(self, name: str) -> Content | None:
        """What stands under a name, or None."""
        try:
            with (self.root / name).open("rb") as handle:
                status = os.fstat(handle.fileno())
                return Content(handle.read(), _state(status), status.st_mtime)
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes) -> None:
        """Writes a file so that a reader sees the old content or the new, never a part."""
        with replacing(self.root / name) as temporary:
            temporary.write_bytes(data)

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        """Writes a file where it is still what was seen.

        Raises:
            LostRaceError: It is not.
        """
        found = self.get(name)
        if (None if found is None else found.version) != version:
            raise _lost(self.root / name)
        self.put(name, data)
        return _state((self.root / name).stat())

    def delete(self, name: str) -> int:
        """Removes a file; returns its bytes."""
        file = self.root / name
        try:
            size = file.stat().st_size
            file.unlink()
        except FileNotFoundError:
            return 0
        return size

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where it is not there."""
        file = self.root / name
        return file.stat().st_size if file.is_file() else None

    def list(self, folder: str, pattern: str) -> list[Entry]:
        """Files below a folder, in order of their names."""
        found = []
        for file in sorted((self.root / folder).glob("**/*" if pattern == "**" else pattern)):
            with suppress(FileNotFoundError):  # removed since the folder was read
                status = file.stat()
                if stat.S_ISREG(status.st_mode):
                    found.append(Entry(file.relative_to(self.root).as_posix(), status.st_size, status.st_mtime))
        return found

    def bring(self, files: Sequence[Wanted]) -> None:
        """Nothing: the files are here."""

    def send(self, names: Sequence[str]) -> None:
        """Nothing: the files are here."""


class ObjectStorage:
    """Stored files in an object store, with a cache folder on this machine.

    Args:
        place: The address.
        cache: Folder of local copies; None takes one below the user's cache folder, of this address only.
    """

    is_remote = True

    def __init__(self, place: ObjectAddress, cache: Path | None = None) -> None:
        self.place: Place = place
        self._address = place
        self.root = default_cache(place) if cache is None else cache / _folder_of(place)
        self._store = _open(place)
        self._looked = False

    def get(self, name: str) -> Content | None:
        """What stands under a name, or None."""
        import obstore

        def read() -> Content | None:
            try:
                found = obstore.get(self._store, self._key(name))
                return Content(bytes(found.bytes()), _told(found.meta), found.meta["last_modified"].timestamp())
            except FileNotFoundError:
                return None

        content = self._ask(read)
        if content is None:
            self._look()
        return content

    def put(self, name: str, data: bytes) -> None:
        """Writes an object."""
        import obstore

        self._ask(lambda: obstore.put(self._store, self._key(name), data, use_multipart=False))

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        """Writes an object where its version is still the one that was seen, as the store itself decides.

        Raises:
            LostRaceError: It is another, or the object is there although none was seen.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if version is None else _mode(version)

        def write() -> str | None:
            try:
                return _told(obstore.put(self._store, self._key(name), data, mode=mode))
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return None

        written = self._ask(write)
        if written is not None:
            return written
        # The answer to a write may be lost and the write repeated, which then meets what it wrote itself.
        found = self.get(name)
        if found is not None and found.data == data and version != found.version:
            return found.version
        raise _lost(f"{self.place}/{name}")

    def delete(self, name: str) -> int:
        """Removes an object and its local copy; returns its bytes."""
        import obstore

        size = self.size(name)
        if size is not None:

            def remove() -> None:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, self._key(name))

            self._ask(remove)
        (self.root / name).unlink(missing_ok=True)
        return size or 0

    def size(self, name: str) -> int | None:
        """Bytes of an object, or None where it is not there."""
        import obstore

        def look() -> int | None:
            try:
                return int(obstore.head(self._store, self._key(name))["size"])
            except FileNotFoundError:
                return None

        return self._ask(look)

    def list(self, folder: str, pattern: str) -> list[Entry]:
        """Objects below a folder, in order of their names."""
        import obstore

        def look() -> list[Entry]:
            found = []
            prefix = self._key(folder) if folder else self._address.prefix
            for batch in obstore.list(self._store, prefix or None):
                for one in batch:
                    name = str(one["path"]).removeprefix(f"{self._address.prefix}/" if self._address.prefix else "")
                    rest = name.removeprefix(f"{folder}/" if folder else "")
                    if _fits(rest, pattern):
                        found.append(Entry(name, int(one["size"]), one["last_modified"].timestamp()))
            return sorted(found, key=lambda entry: entry.name)

        return self._ask(look)

    def bring(self, files: Sequence[Wanted]) -> None:
        """Copies data files that are not here, or not with the bytes that their manifest tells, several at a time.

        A file whose object is gone is left out: whoever checks the local files afterwards misses it.

        Raises:
            StorageError: The store cannot be reached.
        """
        from spanishgas.engine.integrity import is_sound

        missing = []
        for file in files:
            local = self.root / file.path
            here = is_sound(local, file.size, file.digest) if file.digest is not None else local.is_file()
            if not here:
                missing.append(file)
        _each(self._bring, missing)

    def _bring(self, file: Wanted) -> None:
        local = self.root / file.path
        size = self.size(file.path)
        if size is None:
            local.unlink(missing_ok=True)
            return
        local.parent.mkdir(parents=True, exist_ok=True)
        draft = local.with_name(f".{local.name}.{uuid4().hex[:8]}")
        try:
            self._copy(file.path, size, draft)
            draft.replace(local)
        except FileNotFoundError:  # removed since it was looked at
            local.unlink(missing_ok=True)
        finally:
            draft.unlink(missing_ok=True)

    def send(self, names: Sequence[str]) -> None:
        """Stores local files, several at a time.

        Raises:
            StorageError: The store cannot be reached, or refuses them.
        """
        _each(self._send, names)

    def _send(self, name: str) -> None:
        import obstore

        def write() -> None:
            obstore.put(self._store, self._key(name), self.root / name, chunk_size=PIECE_BYTES, max_concurrency=4)

        self._ask(write)

    def forget(self) -> int:
        """Removes local copies of what the store does not hold any more; returns how many.

        Files younger than an hour stay: a run of this machine may be about to store them.
        """
        if not self.root.is_dir():
            return 0
        stored = {entry.name for entry in self.list("", "**")}
        oldest, gone = time.time() - 3600.0, 0
        for file in self.root.rglob("*"):
            parts = file.relative_to(self.root).parts
            if any(part in LOCAL_ONLY for part in parts) or file.is_symlink() or not file.is_file():
                continue
            name = "/".join(parts)
            with suppress(FileNotFoundError):
                if name not in stored and file.stat().st_mtime < oldest:
                    file.unlink()
                    gone += 1
        return gone

    def copies(self, scratch: Path) -> Iterator[tuple[str, Path]]:
        """Every object with a file that has its bytes: a copy that is here already, or one that goes afterwards.

        Args:
            scratch: An empty folder.
        """
        for entry in self.list("", "**"):
            local = self.root / entry.name
            changes = any(part.startswith("_") for part in Path(entry.name).parts[:-1])
            if not changes and local.is_file() and local.stat().st_size == entry.size:
                yield entry.name, local
                continue
            folder = scratch / uuid4().hex[:8]
            folder.mkdir()
            draft = folder / Path(entry.name).name
            with suppress(FileNotFoundError):  # removed since it was listed
                self._copy(entry.name, entry.size, draft)
                yield entry.name, draft
            shutil.rmtree(folder)

    def _copy(self, name: str, size: int, target: Path) -> None:
        import obstore

        with target.open("wb") as handle:
            for start in range(0, size, PIECE_BYTES):
                end = min(start + PIECE_BYTES, size)

                def piece(start: int = start, end: int = end) -> bytes:
                    return bytes(obstore.get_range(self._store, self._key(name), start=start, end=end))

                handle.write(self._ask(piece))

    def _key(self, name: str) -> str:
        return f"{self._address.prefix}/{name}" if self._address.prefix else name

    def _look(self) -> None:
        """Asks once whether the bucket is there at all: of an object that is not found that is not clear."""
        if self._looked:
            return
        import obstore

        def look() -> None:
            for _ in obstore.list(self._store, self._key("_locks"), chunk_size=1):
                break

        self._ask(look, is_whole=True)
        self._looked = True

    def _ask(self, request: Callable[[], T], *, is_whole: bool = False) -> T:
        """The answer to a request.

        Raises:
            StorageError: There is none.
        """
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            return request()
        except FileNotFoundError as error:
            if not is_whole:
                raise
            told, todo = "there is no such bucket", "Make it, or correct the address"
            cause: Exception = error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            told, todo, cause = "the store refuses these credentials", "Check the variables of the environment", error
        except (BaseError, OSError) as error:
            told, todo, cause = *_meant(str(error)), error
        raise StorageError(
            told, where=str(self.place), examples=[_short(cause)], todo=f"{todo} (docs/object_storage.md)"
        ) from None


def storage_at(place: Place | Storage, cache: Path | None = None) -> Storage:
    """The door to a folder or an address.

    Args:
        place: The root; a door stays as it is.
        cache: Folder for local copies of what lies in object stores.
    """
    if isinstance(place, ObjectAddress):
        return ObjectStorage(place, cache)
    return FolderStorage(place) if isinstance(place, Path) else place


def default_cache(place: ObjectAddress) -> Path:
    """Where local copies lie where nothing is set: below the user's cache folder, by address."""
    home = os.environ.get("SPANISHGAS_CACHE") or os.environ.get("XDG_CACHE_HOME")
    base = Path(home) if home else Path.home() / ".cache"
    return base / "spanishgas" / _folder_of(place)


def _folder_of(place: ObjectAddress) -> str:
    # The same bucket behind another endpoint is another store.
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    digest = hashlib.sha256(f"{endpoint} {place}".encode()).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9.-]+', '-', place.name)}-{digest}"


_memory: dict[str, "ObjectStore"] = {}
_opened: dict[tuple[str, ...], "ObjectStore"] = {}
_opening = threading.Lock()


def _open(place: ObjectAddress) -> "ObjectStore":
    """The client of a store; one per process and bucket, as it keeps connections.

    Raises:
        ConfigError: The library is not installed, or the environment has settings that it does not know.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store
    except ImportError as error:
        raise ConfigError(
            "object storage needs a library that is not installed", where=str(place), todo=f"Run `{EXTRA}`"
        ) from error
    with _opening:
        if place.scheme == "memory":
            return _memory.setdefault(place.bucket, MemoryStore())
        told = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_VARIABLES))
        key = (place.scheme, place.bucket, str(os.getpid()), *told)
        if key in _opened:
            return _opened[key]
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options: Any = {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
        }
        if endpoint.startswith("http://"):
            options["allow_http"] = True
        retries: Any = {"max_retries": MOST_RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
        try:
            store: ObjectStore
            if place.scheme == "s3":
                more: Any = {"endpoint": endpoint} if endpoint else {}
                store = S3Store(place.bucket, client_options=options, retry_config=retries, **more)
            elif place.scheme == "gs":
                store = GCSStore(place.bucket, client_options=options, retry_config=retries)
            else:
                container, _, host = place.bucket.partition("@")
                account: Any = {"account_name": host.partition(".")[0]} if host else {}
                store = AzureStore(container, client_options=options, retry_config=retries, **account)
        except (BaseError, ValueError, OSError) as error:
            raise ConfigError(
                "the store cannot be opened with what the environment says",
                where=str(place),
                examples=[_short(error)],
                todo="Check its variables (docs/object_storage.md)",
            ) from None
        _opened[key] = store
        return store


_VARIABLES = ("AWS_", "GOOGLE_", "AZURE_")


def _each(work: Callable[[Any], None], these: Sequence[Any]) -> None:
    """Does the same with each, several at a time; the first error is raised when all are done."""
    if len(these) < 2:
        for one in these:
            work(one)
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(these))) as pool:
        for done in [pool.submit(work, one) for one in these]:
            done.result()


def _fits(rest: str, pattern: str) -> bool:
    if pattern == "**":
        return True
    names, wanted = rest.split("/"), pattern.split("/")
    if wanted[0] == "**":
        return len(names) >= len(wanted) - 1 and _all_fit(names[-(len(wanted) - 1) :], wanted[1:])
    return len(names) == len(wanted) and _all_fit(names, wanted)


def _all_fit(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return all(fnmatch.fnmatchcase(name, one) for name, one in zip(names, patterns, strict=True))


def _state(status: os.stat_result) -> str:
    """Tells states of a file apart: each is another file that took the place of the one before."""
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_size}"


def _told(meta: Any) -> str:
    """What a store tells a version by, as one text."""
    return f"{meta.get('e_tag') or ''}\n{meta.get('version') or ''}"


def _mode(version: str) -> dict[str, str]:
    tag, _, number = version.partition("\n")
    return {name: value for name, value in (("e_tag", tag), ("version", number)) if value}


def _lost(where: Path | str) -> LostRaceError:
    return LostRaceError(
        "another run has written it meanwhile; nothing of this run is visible",
        where=str(where),
        todo="Run the same command again",
    )


def _meant(text: str) -> tuple[str, str]:
    """What a client's error means, and what to do."""
    if METADATA_HOST in text:
        return "there are no credentials for the store", "Set the variables of the environment"
    if re.search(r"NoSuchBucket|ContainerNotFound|bucket does not exist", text):
        return "there is no such bucket", "Make it, or correct the address"
    if re.search(r"\b(401|403)\b|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch", text):
        return "the store refuses these credentials", "Check the variables of the environment"
    return "the store cannot be reached", "Check the address, the network and the variables of the environment"


def _short(error: Exception) -> str:
    """The beginning of a client's error, without what requests carry in their addresses."""
    text = re.sub(r"\?\S+", "", redacted(str(error).partition("Debug source")[0]))
    return re.sub(r"\s+", " ", text)[:300]


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A file beside another one that takes its place when all is written, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{uuid4().hex[:8]}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def sync(file: Path) -> None:
    """Waits until a file's bytes are on the disk."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
