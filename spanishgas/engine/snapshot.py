"""What a data root shows at one moment: manifests, the files that they name, and what lies beside them.

Left out is what is made again or is nobody else's: locks, drafts, files that no manifest names any more, journals of
searches, the server's copies, the log of requests, and the key of erasures.
"""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from spanishgas.config.places import ObjectAddress, Place, below
from spanishgas.engine.storage import Storage, storage_at
from spanishgas.engine.store import CURRENT, EDITION, META, REMOVED, Manifest, TableStore
from spanishgas.engine.suppression import NAME
from spanishgas.errors import PublishError


@dataclass(frozen=True)
class Snapshot:
    """What a data root shows at one moment; two are equal where nothing was published between them.

    Attributes:
        place: The data root.
        small: Manifests and other small files, by their path below the root.
        links: Links to editions, by their path below the root; an object store has none.
        manifests: The manifests.
        storage: The door to the data root.
        cache: Folder for local copies of what lies in an object store.
    """

    place: Place
    small: dict[str, bytes]
    links: dict[str, str]
    manifests: tuple[Manifest, ...]
    storage: Storage = field(compare=False, repr=False)
    cache: Path | None = None

    @classmethod
    def of(cls, place: Place, cache: Path | None = None) -> "Snapshot":
        """What is published now.

        Args:
            place: The data root.
            cache: Folder for local copies of what lies in an object store.

        Raises:
            PublishError: A manifest is damaged, or of a later format.
            StorageError: The object store cannot be reached.
        """
        store = TableStore(place, cache=cache)
        storage = store.storage
        while True:
            small = {name: storage.get(name) for name in _small_files(storage)}
            links = _links(place) if isinstance(place, Path) else {}
            read = {name: content.data for name, content in small.items() if content is not None}
            if len(read) == len(small) and links is not None:  # else replaced between listing and reading
                break
        found = (store.manifest_in(content, store.where(name)) for name, content in read.items() if _may_be_one(name))
        return cls(place, read, links, tuple(one for one in found if one is not None), storage, cache)


def roots_in(place: Place, cache: Path | None = None) -> list[Place]:
    """Data roots in a place: itself, and those of further data sets below it, at any depth.

    Args:
        place: A folder, or an address in an object store.
        cache: Folder for local copies of what lies in an object store.

    Raises:
        PublishError: Nothing is published there.
        StorageError: The object store cannot be reached.
    """
    found = _prefixes_in(place, cache) if isinstance(place, ObjectAddress) else _folders_in(place)
    if not found:
        raise PublishError("nothing is published there", where=str(place), todo="data_root=DIR names the data root")
    return found


def _folders_in(root: Path) -> list[Place]:
    found, waiting = [], [root]
    while waiting:
        one = waiting.pop()
        inner = [path for path in one.glob("*/") if not path.name.startswith(("_", ".")) and not path.is_symlink()]
        layers = [path for path in inner if (path / META).is_dir()]
        if layers:
            found.append(one)
        waiting += [path for path in inner if path not in layers]
    return sorted(found)


def _prefixes_in(address: ObjectAddress, cache: Path | None) -> list[Place]:
    names = (PurePosixPath(entry.name).parts for entry in storage_at(address, cache).list("", "**"))
    found = {parts[: parts.index(META) - 1] for parts in names if META in parts[1:]}
    return [below(address, *parts) if parts else address for parts in sorted(found)]


def link_again(root: Path, links: dict[str, str]) -> None:
    """Makes the links of a restored data root.

    Raises:
        PublishError: One of them leads elsewhere than to an edition.
    """
    for name, target in links.items():
        if Path(name).name != CURRENT or not EDITION.fullmatch(target) or len(Path(name).parts) != 2:
            raise PublishError("is no link to an edition", where=f"{name} -> {target}")
        (root / name).symlink_to(target, target_is_directory=True)


def _small_files(storage: Storage) -> list[str]:
    """Names of manifests, lists that are made from what is published, and records of what was removed."""
    told = [entry.name for pattern in (f"*/{META}/*", f"*/{META}/*/*.json") for entry in storage.list("", pattern)]
    layers = sorted({PurePosixPath(name).parts[0] for name in told})
    for layer in layers:
        for folder, pattern in ((layer, "*"), (f"{layer}/{REMOVED}", "*/*.json")):
            told += [entry.name for entry in storage.list(folder, pattern)]
    told += [NAME] if storage.size(NAME) is not None else []
    return [name for name in told if not PurePosixPath(name).name.startswith(".")]


def _links(root: Path) -> dict[str, str] | None:
    """Links to editions; None where one of them is being replaced."""
    try:
        links = sorted(link for link in root.glob(f"*/{CURRENT}") if link.is_symlink())
        return {link.relative_to(root).as_posix(): str(link.readlink()) for link in links}
    except FileNotFoundError:
        return None


def _may_be_one(name: str) -> bool:
    return META in PurePosixPath(name).parts and name.endswith(".json")
