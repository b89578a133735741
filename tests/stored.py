"""Data roots of tests, in a folder and in an object store, with what a test has to do behind the store's back."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from spanishgas.config.places import ObjectAddress, Place
from spanishgas.engine.leases import Lease
from spanishgas.engine.storage import ObjectStorage, storage_at
from spanishgas.engine.store import TableStore


@dataclass
class Base:
    """A data root of a test.

    Attributes:
        place: The root.
        folder: The test's own folder; caches lie in it.
    """

    place: Place
    folder: Path
    _caches: int = field(default=0)

    @property
    def is_remote(self) -> bool:
        return isinstance(self.place, ObjectAddress)

    def store(self, **told: Any) -> TableStore:
        """The store, with the cache that the test's other stores have."""
        return TableStore(self.place, cache=self.folder / "cache", **told)

    def elsewhere(self, **told: Any) -> TableStore:
        """The store as another machine sees it: with a cache of its own."""
        self._caches += 1
        return TableStore(self.place, cache=self.folder / f"cache-{self._caches}", **told)

    def names(self, pattern: str = "/") -> list[str]:
        """Names of all stored files that have a text in them, without locks."""
        stored = storage_at(self.place, self.folder / "look").list("", "**")
        return [one.name for one in stored if pattern in one.name and not one.name.startswith("_locks")]

    def tables(self) -> list[str]:
        """Contents of all stored data files, in order."""
        return sorted(self.read(name).decode() for name in self.names() if name.endswith(".parquet"))

    def read(self, name: str) -> bytes:
        found = storage_at(self.place, self.folder / "look").get(name)
        assert found is not None
        return found.data

    def write(self, name: str, data: bytes) -> None:
        if isinstance(self.place, Path):
            (self.place / name).write_bytes(data)
            return
        storage_at(self.place, self.folder / "look").put(name, data)

    def remove(self, name: str) -> None:
        storage_at(self.place, self.folder / "look").delete(name)

    def make_older(self, name: str, seconds: float) -> None:
        """Lets a stored file be of an earlier time."""
        if not isinstance(self.place, ObjectAddress):
            then = time.time() - seconds
            os.utime(self.place / name, (then, then))
            return
        from moto.s3.models import s3_backends

        (backend,) = (one["aws"] for one in s3_backends.values() if self.place.bucket in one["aws"].buckets)
        key = backend.buckets[self.place.bucket].keys[f"{self.place.prefix}/{name}"]
        key.last_modified -= timedelta(seconds=seconds)

    @contextmanager
    def crashing(self, step: str) -> Iterator[None]:
        """Lets whoever publishes crash: when ``files`` are stored, or when the ``manifest`` is."""

        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        put_if = ObjectStorage.put_if

        def crash_at_manifests(storage: ObjectStorage, name: str, *rest: Any) -> str:
            if "/_meta/" in name:
                raise KeyboardInterrupt
            return put_if(storage, name, *rest)

        there = {
            (False, "files"): ("spanishgas.engine.store.sync", crash),
            (False, "manifest"): ("spanishgas.engine.store.write_atomically", crash),
            (True, "files"): ("spanishgas.engine.storage.ObjectStorage.send", crash),
            (True, "manifest"): ("spanishgas.engine.storage.ObjectStorage.put_if", crash_at_manifests),
        }
        target, instead = there[self.is_remote, step]
        with patch(target, instead):
            yield


@contextmanager
def not_renewed() -> Iterator[None]:
    """Leases that their holders do not renew, as where another machine stands still."""
    patches = [patch.object(Lease, "_keep", lambda lease: None), patch("spanishgas.engine.leases._machine", str)]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()
