"""Everything of a retailer in one archive, taken while stages publish, and put back elsewhere.

What an archive holds is what was there at one moment: manifests are looked at before and after the tracking store is
copied, until nothing was published between.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from spanishgas import __version__
from spanishgas.config.places import Place, below, inside
from spanishgas.engine.archive import HEAD, ChangedError, Packer, packing, unpack
from spanishgas.engine.drafts import draft_folder
from spanishgas.engine.snapshot import Snapshot, link_again, roots_in
from spanishgas.engine.storage import storage_at
from spanishgas.engine.store import DataFile, Manifest, TableStore
from spanishgas.engine.suppression import KEY_NAME, NAME, Suppression
from spanishgas.errors import ConfigError, PublishError
from spanishgas.registry.copies import (
    artifact_roots,
    copy_store,
    end_runs,
    move_artifacts,
    store_file,
    whole_folders,
)

DATA, STORE, ARTIFACTS, DRAFT = "data", "mlflow.db", "mlruns", "backup"
# How often to look again while stages publish, and to begin again where files went meanwhile.
LOOKS, BEGINNINGS = 100, 3
Say = Callable[[str], None]


class _MovedError(Exception):
    """What was looked at has been published anew, and its files are gone."""


@dataclass(frozen=True)
class Backup:
    """What an archive holds, or what was put back.

    Attributes:
        place: The archive, or the folder.
        publications: Publications.
        files: Files.
        size: Their bytes.
        runs_ended: Runs that were at work when it was taken.
        keys: Data roots whose key of erasures is in it, by their path below ``data``.
        without_keys: Data roots with a list of erased customers whose key is not in it.
    """

    place: Path
    publications: int
    files: int
    size: int
    runs_ended: int = 0
    keys: tuple[str, ...] = ()
    without_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Moment:
    """What was there at one moment: tables of all data roots, and a copy of the tracking store."""

    tables: tuple[Snapshot, ...]
    store: Path | None


def back_up(
    root: Place, uri: str | None, archive: Path, say: Say, *, with_key: bool = False, cache: Path | None = None
) -> Backup:
    """Takes all data sets below a place, the tracking store and its artifacts, whatever stages do meanwhile.

    Args:
        root: The folder of all published tables, or their address in an object store.
        uri: Address of the tracking store; None takes the tables only.
        archive: The file to make.
        say: Is told what goes on.
        with_key: Take the key of erasures too, where it lies with the tables.
        cache: Folder for local copies of what lies in an object store.

    Raises:
        PublishError: The archive is there already, nothing is published, or what is published is damaged.
        StorageError: The object store cannot be reached.
        TrackingError: The store is no local one, holds artifacts elsewhere, or cannot be copied.
    """
    for _ in range(BEGINNINGS):
        try:
            return _back_up(root, uri, archive.absolute(), say, with_key, cache)
        except _MovedError as moved:
            say(f"{moved} was published anew and its files went; beginning again")
    raise PublishError(
        "files went while they were read, each time",
        where=str(root),
        todo="Take the backup while no erasure runs, and faster than within an hour",
    )


def _back_up(root: Place, uri: str | None, archive: Path, say: Say, with_key: bool, cache: Path | None) -> Backup:
    # One name for archives of all days: what a killed backup leaves is a copy of everything, and goes with the next.
    with draft_folder(archive.parent, DRAFT) as folder:
        moment = _look(root, uri, folder, cache)
        # Those that are there first: MLflow's own experiment names a folder that it may never have made.
        roots = [] if moment.store is None else sorted(artifact_roots(moment.store), key=lambda one: not one.is_dir())
        artifacts = {one: ARTIFACTS if not number else f"{ARTIFACTS}-{number + 1}" for number, one in enumerate(roots)}
        names = {_below(root, one.place): one for one in moment.tables}
        lists = [name for name, one in names.items() if NAME in one.small]
        found = {name: names[name].storage.get(KEY_NAME) for name in lists if with_key}
        keys = {name: key.data for name, key in found.items() if key is not None}
        head = {
            "release": __version__,
            "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "links": {name: one.links for name, one in names.items()},
            "artifacts": {name: str(one) for one, name in artifacts.items()},
        }
        with packing(archive, head, folder) as packer:
            for name, one in names.items():
                say(f"taking {one.place}")
                _pack_tables(packer, name, one)
            for name, key in keys.items():
                packer.add_bytes(f"{name}/{KEY_NAME}", key, mode=0o600)
            ended = 0
            if moment.store is not None:
                say("taking the tracking store and its artifacts")
                _pack_artifacts(packer, whole_folders(moment.store), artifacts)
                ended = end_runs(moment.store)
                packer.add(STORE, moment.store)
        return Backup(
            archive,
            sum(len(one.manifests) for one in moment.tables),
            packer.files,
            packer.size,
            ended,
            tuple(keys),
            tuple(name for name in lists if name not in keys),
        )


def _look(root: Place, uri: str | None, folder: Path, cache: Path | None) -> _Moment:
    """What is there at one moment: nothing was published while the store was copied.

    Raises:
        PublishError: Stages publish faster than can be looked.
    """
    file = None if uri is None else store_file(uri)
    copy = None if file is None else folder / STORE
    for _ in range(LOOKS):
        before = tuple(Snapshot.of(one, cache) for one in roots_in(root, cache))
        if file is not None and copy is not None:
            copy_store(file, copy)
        if tuple(Snapshot.of(one, cache) for one in roots_in(root, cache)) == before:
            return _Moment(before, copy)
    raise PublishError(
        f"something was published each of the {LOOKS} times that all was looked at",
        where=str(root),
        todo="Take the backup while fewer stages run",
    )


def _below(root: Place, one: Place) -> str:
    """Name of a data root in the archive."""
    return PurePosixPath(DATA, *(() if one == root else inside(one, root) or ())).as_posix()


def _pack_tables(packer: Packer, name: str, taken: Snapshot) -> None:
    packed: set[str] = set()
    root = taken.storage.root
    for manifest in taken.manifests:
        files = [file for file in _files(manifest) if file.path not in packed]  # landings name each other's files
        taken.storage.bring(files)
        for file in files:
            packed.add(file.path)
            try:
                packer.add(f"{name}/{file.path}", root / file.path, size=file.size or None, digest=file.digest)
            except ChangedError as error:
                if TableStore(taken.place, cache=taken.cache).find(manifest.publication) != manifest:
                    raise _MovedError(str(manifest.publication)) from error
                raise PublishError(
                    f"what is published is damaged: {error}",
                    where=f"{taken.place}: {manifest.publication}",
                    todo=f"{manifest.again}; then take the backup",
                ) from error
    for path, content in taken.small.items():
        packer.add_bytes(f"{name}/{path}", content)


def _files(manifest: Manifest) -> Iterator[DataFile]:
    for table in manifest.tables.values():
        yield from table.files


def _pack_artifacts(packer: Packer, folders: Sequence[Path], roots: Mapping[Path, str]) -> None:
    files = {file for folder in folders for file in folder.rglob("*") if file.is_file()}
    for file in sorted(files):
        root = next(one for one in roots if file.is_relative_to(one))
        try:
            packer.add(f"{roots[root]}/{file.relative_to(root).as_posix()}", file)
        except ChangedError as error:
            raise PublishError(
                "an artifact went or changed while it was read",
                where=str(file),
                examples=[error],
                todo="Take the backup again, while nobody deletes runs",
            ) from error


def restore(archive: Path, into: Path, say: Say, *, erased: Place | None = None) -> Backup:
    """Puts an archive into an empty place, whole and checked, or not at all.

    Args:
        archive: What ``back_up`` made.
        into: A folder that is empty or not there; it gets ``data``, ``mlflow.db`` and ``mlruns``.
        say: Is told what goes on.
        erased: A data root that is newer than the archive, whose list of erased customers is to hold.

    Raises:
        ConfigError: The folder is not empty, there is no list in that data root, or its key is another.
        PublishError: The archive is cut, damaged, or of a later release; or the key of the list is missing.
    """
    into = into.absolute()
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise ConfigError("is not empty", where=str(into), todo="Name a folder that is empty or not there: into=DIR")
    with draft_folder(into.parent, into.name) as draft:
        say(f"unpacking and checking {archive}")
        head = unpack(archive, draft)
        found = _put_right(draft, into, head, erased)
        os.sync()  # the rename must not be on the disk before what it shows
        draft.replace(into)
    return found


def _put_right(draft: Path, into: Path, head: Mapping[str, Any], erased: Place | None) -> Backup:
    """Makes of unpacked files what can be opened in the place where they are going to lie."""
    publications, lists, taken_lists = 0, [], 0
    for name, links in head["links"].items():
        root = draft / name
        link_again(root, links)
        taken = Snapshot.of(root)
        publications += len(taken.manifests)
        missing = [path for one in taken.manifests for path in TableStore(root).missing_files(one)]
        if missing:
            raise PublishError(
                "files that manifests name are not in the archive",
                where=name,
                count=len(missing),
                examples=missing,
                todo="Take another archive; nothing was put in place",
            )
        if erased is not None:
            taken_lists += _take_list(below(erased, *PurePosixPath(name).relative_to(DATA).parts), root)
        if (root / NAME).is_file():
            lists.append(name)
    if erased is not None and not taken_lists:
        raise ConfigError("has no list of erased customers", where=str(erased), todo="erased=DIR names a data root")
    if (draft / STORE).is_file():
        move_artifacts(draft / STORE, {Path(was): into / name for name, was in head["artifacts"].items()})
    (draft / HEAD).unlink()
    files = [file for file in draft.rglob("*") if file.is_file()]
    keys = tuple(name for name in lists if (draft / name / KEY_NAME).is_file())
    return Backup(
        into,
        publications,
        len(files),
        sum(file.stat().st_size for file in files),
        keys=keys,
        without_keys=tuple(name for name in lists if name not in keys),
    )


def _take_list(newer: Place, root: Path) -> bool:
    """Puts the list of erased customers of a newer data root, and its key, in place of what came out of the archive.

    Returns:
        Whether there is one.

    Raises:
        ConfigError: Its key is another than that of the environment.
        PublishError: It cannot be read, or its key is not to be found.
        StorageError: The object store cannot be reached.
    """
    storage = storage_at(newer)
    found = {name: storage.get(name) for name in (NAME, KEY_NAME)}
    if found[NAME] is None:
        return False
    Suppression.of(storage)
    for name, content in found.items():
        if content is not None:
            file = root / name
            file.parent.mkdir(exist_ok=True)
            file.unlink(missing_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
                handle.write(content.data)
    return True
