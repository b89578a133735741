"""Rows of databases: fetched once, told by their content, landed from what was fetched.

A database has no file whose bytes tell whether anything changed, so its rows are read to find out; and what was read is
what is landed, as the rows may be others a minute later.
"""

import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from spanishgas.bronze.land import content_hash
from spanishgas.bronze.locate import RawFile
from spanishgas.engine.embedded import EmbeddedEngine
from spanishgas.errors import SourceError
from spanishgas.readers import Progress, fetch, quiet

# What a run that died left behind is removed by a later one, after so long.
KEPT_SECONDS = 3600.0


def fetch_rows(engine: EmbeddedEngine, raw: RawFile, folder: Path, progress: Progress = quiet) -> RawFile:
    """A source in a database with its rows, and the digest of their content: their order does not matter.

    Args:
        engine: The engine that digests.
        raw: The source, as located.
        folder: Where rows wait for their landing, named by content; made when needed.
        progress: Is told about long work.

    Raises:
        SourceError: The database cannot be read.
    """
    assert raw.settings.sql is not None
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{uuid4().hex}.parquet"
    try:
        fetch(raw.settings.sql, fresh, where=raw.origin, progress=progress)
        digest, _ = engine.content_hash([fresh])
        kept = folder / f"{content_hash(raw, digest)}-{digest}.parquet"
        fresh.replace(kept)
    finally:
        fresh.unlink(missing_ok=True)
    return replace(raw, path=kept, digest=digest)


def fetched_rows(
    engine: EmbeddedEngine, raw: RawFile, wanted: str, folder: Path, progress: Progress = quiet
) -> RawFile:
    """A source in a database with the rows that its landing was planned with; fetched again where they are gone.

    Args:
        engine: The engine that digests.
        raw: The source, as located.
        wanted: The content hash that was planned with.
        folder: Where rows wait.
        progress: Is told about long work.

    Raises:
        SourceError: The rows are not what they were.
    """
    for kept in folder.glob(f"{wanted}-*.parquet"):
        return replace(raw, path=kept, digest=kept.stem.partition("-")[2])
    again = fetch_rows(engine, raw, folder, progress)
    if content_hash(again, str(again.digest)) != wanted:
        raise SourceError("the rows changed while they were landed", where=raw.origin, todo="Run again")
    return again


def drop_rows(folder: Path, landed: Collection[str]) -> None:
    """Removes rows that wait no longer.

    Args:
        folder: Where rows wait.
        landed: Content hashes of what is landed; anything else goes once it is old.
    """
    for file in folder.glob("*.parquet") if folder.is_dir() else ():
        try:
            old = time.time() - file.stat().st_mtime > KEPT_SECONDS
        except FileNotFoundError:  # another run was faster
            continue
        if old or file.name.partition("-")[0] in landed:
            file.unlink(missing_ok=True)
