"""Landing of one source: every raw file becomes one Parquet file, with the facts about it."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spanishgas.bronze.differences import Difference, compare_schema
from spanishgas.bronze.earlier import Earlier
from spanishgas.bronze.locate import RawFile
from spanishgas.config import ExtraTable, SourcePart
from spanishgas.contracts import Contract
from spanishgas.engine.embedded import EmbeddedEngine
from spanishgas.engine.store import DataFile
from spanishgas.errors import SourceError
from spanishgas.readers import Fault, FileContent, HashCache, Progress, land_file, quiet, shape_of

REJECTS_COLUMNS = ("source", "source_file", "source_line", "reason", "detail", "row")


@dataclass(frozen=True)
class LandedRawFile:
    """One raw file and the Parquet file that it became.

    Attributes:
        raw: The raw file.
        path: The Parquet file.
        bytes: Size of the raw file, of the archive for a member.
        sha256: Digest of the raw file's bytes, or of the rows of a database.
        content_hash: Digest of what was landed: the bytes, and how they were read.
        content: Rows, rejects, inferred schema, and how the file had to be read.
        differences: Differences to the contract, with the mapping applied.
        seconds: Seconds that landing took.
        made_from: Digest of the raw file, how it is read and the code that reads it.
        draft: Where the Parquet file goes if it has to be written, which ``path`` is unless an earlier landing has it.
        seen: Day on which a landing before first had these contents; None where none has.
        earlier: The file as an earlier landing published it, where it is named again.
    """

    raw: RawFile
    path: Path
    bytes: int
    sha256: str
    content_hash: str
    content: FileContent
    differences: tuple[Difference, ...]
    seconds: float
    made_from: str
    draft: Path
    seen: str | None = None
    earlier: DataFile | None = None


@dataclass(frozen=True)
class Landed:
    """One landed source.

    Attributes:
        dataset: Name of the source contract, or ``customer_extras_<n>``.
        contract_version: Version of the contract it was compared with; 0 for extra attributes.
        files: Its files, in the order of their names.
    """

    dataset: str
    contract_version: int
    files: tuple[LandedRawFile, ...]

    @property
    def rows(self) -> int:
        """Rows landed."""
        return sum(file.content.rows for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows that could not be parsed."""
        return sum(len(file.content.rejects) for file in self.files)

    @property
    def faults(self) -> list[tuple[str, Fault]]:
        """What is wrong with files as a whole, with the name of each file."""
        return [(file.raw.origin, fault) for file in self.files for fault in file.content.faults]


def land_source(
    engine: EmbeddedEngine,
    files: Sequence[RawFile],
    target: Path,
    *,
    contract: Contract | None,
    hashes: HashCache,
    extras: ExtraTable | None = None,
    earlier: Earlier | None = None,
    progress: Progress = quiet,
) -> Landed:
    """Lands the raw files of one source; a file that an earlier landing has is not written again.

    Args:
        engine: The engine that reads and writes.
        files: Its raw files, all of one dataset; at least one.
        target: Folder for the Parquet files, named ``00000.parquet`` and so on; made when needed.
        contract: The source's contract; None for extra attributes.
        hashes: Digests of raw files.
        extras: The extra attributes, where the dataset holds them.
        earlier: What was landed earlier; None to land everything anew.
        progress: Is told about long work.

    Raises:
        SourceError: Files cannot be read as configured; one error lists them all.
    """
    target.mkdir(parents=True, exist_ok=True)
    earlier = earlier or Earlier()
    landed: list[LandedRawFile] = []
    broken: list[SourceError] = []
    for number, raw in enumerate(files):
        progress(f"landing {raw.origin}")
        try:
            file = target / f"{number:05d}.parquet"
            landed.append(_land(engine, raw, file, contract, extras, hashes, earlier, progress))
        except SourceError as error:
            broken.append(error)
    if len(broken) == 1:
        raise broken[0]
    if broken:
        raise SourceError(
            "raw files cannot be read: " + "; ".join(str(error) for error in broken),
            where=files[0].dataset,
            count=len(broken),
        )
    version = 0 if contract is None else contract.version
    return Landed(dataset=files[0].dataset, contract_version=version, files=tuple(landed))


def _land(
    engine: EmbeddedEngine,
    raw: RawFile,
    path: Path,
    contract: Contract | None,
    extras: ExtraTable | None,
    hashes: HashCache,
    earlier: Earlier,
    progress: Progress,
) -> LandedRawFile:
    started = time.perf_counter()
    sha256 = raw.digest or hashes.digest(raw.path, progress)
    digest = content_hash(raw, sha256)
    made_from = earlier.key(digest)
    known = earlier.find(made_from)
    content = known.content if known is not None else _content(engine, raw, path, sha256, hashes, progress)
    return LandedRawFile(
        raw=raw,
        path=known.path if known is not None else path,
        bytes=raw.path.stat().st_size,
        sha256=sha256,
        content_hash=str(known.file.content_hash) if known is not None else digest,
        content=content,
        differences=compare_schema(content.schema, raw.settings.columns, contract, extras),
        seconds=time.perf_counter() - started,
        made_from=made_from,
        draft=path,
        seen=earlier.seen.get((raw.dataset, sha256)),
        earlier=known.file if known is not None else None,
    )


def _content(
    engine: EmbeddedEngine, raw: RawFile, path: Path, sha256: str, hashes: HashCache, progress: Progress
) -> FileContent:
    content = land_file(
        engine,
        raw.path,
        path,
        format=raw.format,
        part=raw.settings,
        member=raw.member,
        where=raw.origin if raw.settings.sql is not None else None,
        progress=progress,
    )
    if raw.digest is None and hashes.digest(raw.path, progress) != sha256:
        raise SourceError("changed while it was landed", where=str(raw.path), todo="Run again when it is complete")
    return content


def content_hash(raw: RawFile, sha256: str) -> str:
    """Digest of what a raw file is landed as: its bytes and the settings that they are read with."""
    part = raw.settings
    read_with: tuple[object, ...] = (
        sha256, raw.format, raw.member, part.delimiter, part.encoding, part.header_row, part.sheet
    )  # fmt: skip
    shape = shape_of(part)
    # What no part said is left out, so that what was landed before the setting was there is still the same.
    if shape != shape_of(SourcePart(files="x")):
        read_with += shape
    return hashlib.sha256(repr(read_with).encode()).hexdigest()
