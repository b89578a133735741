"""Archives: one compressed tar whose last member is a table of contents; it is there whole or not at all.

Tar by the standard library, Zstandard by pyarrow: ``tar --zstd -tf`` reads it too.
"""

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa

from spanishgas.errors import PublishError, SpanishGasError

FORMAT = 1
HEAD, CONTENTS = "backup.json", "contents.json"
BLOCK = 1 << 20
TODO = "Take another archive; nothing was put in place"


class ChangedError(SpanishGasError):
    """A file is gone, or has other bytes than it was said to have."""


class Packer:
    """An archive that is being written.

    Args:
        tar: The tar.
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.contents: dict[str, tuple[int, str]] = {}

    @property
    def files(self) -> int:
        """Files in it, without its head and its table of contents."""
        return len(self.contents.keys() - {HEAD, CONTENTS})

    @property
    def size(self) -> int:
        """Bytes of these files, before they were compressed."""
        return sum(size for name, (size, _) in self.contents.items() if name not in (HEAD, CONTENTS))

    def add_bytes(self, name: str, content: bytes, *, mode: int = 0o644) -> None:
        """Adds a file with some content, and the rights that it gets when it is unpacked."""
        self._add(name, len(content), BytesIO(content), time.time(), mode)

    def add(self, name: str, file: Path, *, size: int | None = None, digest: str | None = None) -> None:
        """Adds a file.

        Args:
            name: Its name in the archive.
            file: Where it lies.
            size: The bytes that it must have, if that is known.
            digest: Their SHA-256, if that is known.

        Raises:
            ChangedError: It is gone, has other bytes, or was cut while it was read.
        """
        try:
            with file.open("rb") as handle:
                status = os.fstat(handle.fileno())
                if size not in (None, status.st_size):
                    raise ChangedError(f"has {status.st_size:,} bytes instead of {size:,}", where=str(file))
                found = self._add(name, status.st_size, handle, status.st_mtime, status.st_mode)
        except FileNotFoundError as error:
            raise ChangedError("is gone", where=str(file)) from error
        if digest not in (None, found):
            raise ChangedError("has other bytes", where=str(file))

    def _add(self, name: str, size: int, handle: BinaryIO, changed_at: float, mode: int) -> str:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size, int(changed_at), mode & 0o666
        reading = _Reading(handle)
        try:
            self._tar.addfile(member, reading)
        except OSError as error:
            if reading.count >= size:  # the disk, not the file
                raise
            raise ChangedError("was cut while it was read", where=name) from error
        self.contents[name] = (size, reading.digest.hexdigest())
        return self.contents[name][1]


@contextmanager
def packing(archive: Path, head: dict[str, Any], folder: Path) -> Iterator[Packer]:
    """An archive to fill; it appears under its name, readable by its owner only, once it is whole.

    Args:
        archive: The file to make.
        head: What stands at its beginning, beside the format.
        folder: A folder on the same disk, where it is filled; whose it is removes what is left in it.

    Raises:
        PublishError: There is such a file already.
    """
    if archive.exists():
        raise PublishError("is there already", where=str(archive), todo="Give another name, as with the day in it")
    archive.parent.mkdir(parents=True, exist_ok=True)
    draft = folder / archive.name
    with (
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as plain,
        pa.CompressedOutputStream(plain, "zstd") as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        packer = Packer(tar)
        packer.add_bytes(HEAD, _text({"format": FORMAT, **head}))
        yield packer
        packer.add_bytes(CONTENTS, _text(packer.contents))
    with draft.open("rb") as whole:
        os.fsync(whole.fileno())
    draft.replace(archive)


def unpack(archive: Path, folder: Path) -> dict[str, Any]:
    """Unpacks an archive into an empty folder, and checks every file by its digest.

    Returns:
        What stands at its beginning.

    Raises:
        PublishError: It is not there, no such archive, cut, damaged, or of a later format. The folder may hold parts.
    """
    found: dict[str, tuple[int, str]] = {}
    try:
        with (
            archive.open("rb") as plain,
            pa.CompressedInputStream(plain, "zstd") as packed,
            tarfile.open(fileobj=packed, mode="r|") as tar,
        ):
            for member in tar:
                if member.name == CONTENTS:
                    content = tar.extractfile(member)
                    assert content is not None
                    told = json.load(content)
                    while packed.read(1 << 20):  # to its end, where the checksum of the whole is
                        pass
                    return _compared(archive, told, found, folder)
                found[member.name] = _unpacked(archive, tar, member, folder)
                if len(found) == 1:
                    _head(archive, folder)
    except FileNotFoundError as error:
        raise PublishError("there is no such archive", where=str(archive)) from error
    except (tarfile.TarError, pa.ArrowException, EOFError, ValueError) as error:
        raise _damaged(archive, str(error)) from error
    except OSError as error:
        if error.errno is not None:  # the disk, not the archive
            raise
        raise _damaged(archive, str(error)) from error
    raise _damaged(archive, "its table of contents is missing")


def _unpacked(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> tuple[int, str]:
    name = PurePosixPath(member.name)
    if not member.isfile() or name.is_absolute() or ".." in name.parts or "\0" in member.name:
        raise _damaged(archive, f"{member.name!r} is no file that belongs into it")
    target = folder / name
    if target.exists():
        raise _damaged(archive, f"{member.name!r} is in it twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    reading = _Reading(content)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o666), "wb") as handle:
        while block := reading.read(BLOCK):
            handle.write(block)
    return reading.count, reading.digest.hexdigest()


def _head(archive: Path, folder: Path) -> dict[str, Any]:
    """What stands at the beginning.

    Raises:
        PublishError: It is of a later format, or of none.
    """
    file = folder / HEAD
    head = json.loads(file.read_bytes()) if file.is_file() else None
    if not isinstance(head, dict) or not isinstance(head.get("format"), int):
        raise _damaged(archive, f"it does not begin with {HEAD}")
    if head["format"] > FORMAT:
        raise PublishError(
            f"is of format {head['format']}, of SpanishGas {head.get('release', 'of a later release')}; this release "
            f"reads up to {FORMAT}",
            where=str(archive),
            todo="Restore it with that release or a later one",
        )
    return head


def _compared(
    archive: Path, told: dict[str, list[Any]], found: dict[str, tuple[int, str]], folder: Path
) -> dict[str, Any]:
    wanted = {name: tuple(entry) for name, entry in told.items()}
    other = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if other:
        raise PublishError(
            "files of the archive are not those of its table of contents",
            where=str(archive),
            count=len(other),
            examples=other,
            todo=TODO,
        )
    return _head(archive, folder)


def _damaged(archive: Path, why: str) -> PublishError:
    return PublishError(f"the archive is cut or damaged: {why}", where=str(archive), todo=TODO)


def _text(told: Any) -> bytes:
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()


class _Reading:
    """A file with a count and a digest of what was read of it."""

    def __init__(self, handle: Any) -> None:
        self._handle, self.count, self.digest = handle, 0, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._handle.read(size)
        self.count += len(block)
        self.digest.update(block)
        return block
