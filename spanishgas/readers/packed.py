"""Files inside gzip, bzip2, xz and zip: which there are, and one of them unpacked for its reader, within a limit.

Names inside an archive are compared and shown, never used as paths.
"""

import bz2
import fnmatch
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from uuid import uuid4

from spanishgas.errors import SourceError
from spanishgas.readers.content import Progress

COPY_BYTES = 1 << 22
ZIP = ".zip"
# Ending -> what unpacks a file that is packed as a whole. Files of meter readings between distributors come as .bz2.
OPENERS: Mapping[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda source: gzip.GzipFile(fileobj=source),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


def without_packing(name: str) -> str:
    """The name of what is in a packed file, in small letters; of any other file its own."""
    return name.lower().removesuffix(_packing(name))


def _packing(name: str) -> str:
    return next((ending for ending in OPENERS if name.lower().endswith(ending)), "")


def is_packed(name: str) -> bool:
    """Whether a name ends as that of a file that is packed as a whole."""
    return bool(_packing(name))


def opened(file: Path, source: IO[bytes]) -> IO[bytes]:
    """What is in a file that was opened, unpacked where it is packed as a whole."""
    packing = _packing(file.name)
    return cast(IO[bytes], OPENERS[packing](source)) if packing else source


def is_zip(name: str) -> bool:
    """Whether a name ends as that of an archive."""
    return name.lower().endswith(ZIP)


def members_of(file: Path, pattern: str | None) -> list[str]:
    """Members of an archive, sorted; folders, and what begins with a dot or an underscore, are left out.

    Args:
        file: The archive.
        pattern: Glob on a member's path in the archive, or on its name alone; None takes all.

    Raises:
        SourceError: The file is no whole archive, or a member's name points outside of it.
    """
    with _opened(file) as archive:
        names = sorted({entry.filename for entry in archive.infolist() if not entry.is_dir()})
    odd = [name for name in names if _is_trick(name)]
    if odd:
        raise SourceError(
            "the archive has members whose names point outside of it",
            where=str(file),
            count=len(odd),
            examples=[ascii(name) for name in odd],
            todo="Pack the files again, with plain relative names",
        )
    if pattern is not None:
        return [
            name for name in names if any(fnmatch.fnmatch(one, pattern) for one in (name, PurePosixPath(name).name))
        ]
    return [name for name in names if not any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)]


def _is_trick(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    drive = len(name) > 1 and name[1] == ":"
    return path.is_absolute() or drive or ".." in path.parts or not name.isprintable()


@contextmanager
def unpacked(
    file: Path, member: str | None, scratch: Path, *, limit_mib: int, where: str, progress: Progress
) -> Iterator[Path]:
    """The file itself, or what is packed in it as a file that is removed afterwards.

    Args:
        file: The raw file.
        member: Path in a zip archive, or None.
        scratch: Folder for the unpacked file.
        limit_mib: What may be unpacked.
        where: Name for messages.
        progress: Is told about long work.

    Raises:
        SourceError: It is encrypted, damaged, cut off, packed in a way that is not known, or too large unpacked.
    """
    packing = _packing(member or file.name)
    if member is None and not packing:
        yield file
        return
    progress(f"unpacking {where}")
    copy = scratch / f".{uuid4().hex}.unpacked"
    try:
        try:
            with ExitStack() as stack:
                source: IO[bytes]
                if member is not None:
                    source = _member(stack, file, member, where)
                else:
                    source = stack.enter_context(file.open("rb"))
                if packing:
                    source = cast(IO[bytes], stack.enter_context(OPENERS[packing](source)))
                _copy(source, copy, min(limit_mib << 20, shutil.disk_usage(scratch).free), where)
        except EOFError as error:
            raise _damaged("is cut off: the packed data does not reach its end", where, error) from error
        except (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of the file
                raise
            raise _damaged("cannot be unpacked", where, error) from error
        except (NotImplementedError, RuntimeError) as error:
            raise SourceError(
                "is packed in a way that cannot be read", where=where, examples=[error], todo="Pack it with deflate"
            ) from error
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _member(stack: ExitStack, file: Path, member: str, where: str) -> IO[bytes]:
    archive = stack.enter_context(_opened(file))
    entry = archive.getinfo(member)
    if entry.flag_bits & 0x1:
        raise SourceError("is encrypted", where=where, todo="Deliver it without a password")
    return stack.enter_context(archive.open(entry))


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise SourceError(
            "is no whole zip archive: its list of members stands at its end",
            where=str(file),
            examples=[error],
            todo="Deliver it again; a partial transfer looks like this",
        ) from error
    with archive:
        yield archive


def _copy(source: IO[bytes], target: Path, limit: int, where: str) -> None:
    done = 0
    with target.open("wb") as sink:
        while chunk := source.read(COPY_BYTES):
            done += len(chunk)
            if done > limit:
                raise SourceError(
                    f"holds more than {limit / 2**20:,.0f} MiB unpacked",
                    where=where,
                    todo="If that is right, raise the part's `unpacked_limit_mib`, and look at the free disk space",
                )
            sink.write(chunk)


def _damaged(what: str, where: str, error: Exception) -> SourceError:
    return SourceError(what, where=where, examples=[error] if str(error) else [], todo="Deliver it again")
