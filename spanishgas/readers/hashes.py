"""Digests of raw files, taken once for every state of a file."""

import hashlib
import json
import os
import time
from pathlib import Path

from spanishgas.engine.store import read_json, write_atomically
from spanishgas.errors import SourceError
from spanishgas.readers.content import PROGRESS_SECONDS, Progress, quiet

HASH_CHUNK_BYTES = 1 << 20


class HashCache:
    """SHA-256 of raw files, computed once for every state of a file.

    A file's state is its real path, size and modification time in nanoseconds.

    Args:
        file: Where digests are kept between runs; damaged or absent content is made again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        kept = read_json(file)
        self._kept: dict[str, str] = kept if isinstance(kept, dict) else {}
        self._changed = False

    def digest(self, file: Path, progress: Progress = quiet) -> str:
        """The digest of a file's bytes.

        Raises:
            SourceError: The file cannot be read, or changes while it is read.
        """
        before = self._state(file)
        if before not in self._kept:
            digest = _sha256(file, progress)
            if self._state(file) != before:
                raise SourceError(
                    "changed while it was read", where=str(file), todo="Run again when the file is complete"
                )
            path = before.split("|")[0]
            self._kept = {key: value for key, value in self._kept.items() if key.split("|")[0] != path}
            self._kept[before] = digest
            self._changed = True
        return self._kept[before]

    def save(self) -> None:
        """Keeps the digests for the next run."""
        if self._changed:
            write_atomically(self._file, json.dumps(self._kept, indent=0, sort_keys=True))
            self._changed = False

    @staticmethod
    def _state(file: Path) -> str:
        try:
            status = file.stat()
        except OSError as error:
            raise SourceError("cannot be read", where=str(file), examples=[error.strerror]) from error
        return f"{os.path.realpath(file)}|{status.st_size}|{status.st_mtime_ns}"


def _sha256(file: Path, progress: Progress) -> str:
    digest, size, done = hashlib.sha256(), file.stat().st_size, 0
    told = time.monotonic()
    try:
        with file.open("rb", buffering=0) as handle:
            while chunk := handle.read(HASH_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                if time.monotonic() - told > PROGRESS_SECONDS:
                    told = time.monotonic()
                    progress(f"hashing {file.name}: {done / size:.0%} of {size / 2**20:,.0f} MiB")
    except OSError as error:
        raise SourceError("cannot be read", where=str(file), examples=[error.strerror]) from error
    return digest.hexdigest()
