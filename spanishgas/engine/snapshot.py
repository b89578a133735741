"""What a data root shows at one moment: manifests, the files that they name, and what lies beside them.

Left out is what is made again or is nobody else's: locks, drafts, files that no manifest names any more, journals of
searches, the server's copies, the log of requests, and the key of erasures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spanishgas.engine.store import CURRENT, EDITION, REMOVED, Manifest, TableStore
from spanishgas.engine.suppression import FOLDER, LIST
from spanishgas.errors import PublishError

META = "_meta"


@dataclass(frozen=True)
class Snapshot:
    """What a data root shows at one moment; two are equal where nothing was published between them.

    Attributes:
        root: The data root.
        small: Manifests and other small files, by their path below the root.
        links: Links to editions, by their path below the root.
        manifests: The manifests.
    """

    root: Path
    small: dict[str, bytes]
    links: dict[str, str]
    manifests: tuple[Manifest, ...]

    @classmethod
    def of(cls, root: Path) -> "Snapshot":
        """What is published now.

        Raises:
            PublishError: A manifest is damaged, or of a later format.
        """
        store = TableStore(root)
        while True:
            try:
                small = {file.relative_to(root).as_posix(): file.read_bytes() for file in _small_files(root)}
                links = {link.relative_to(root).as_posix(): str(link.readlink()) for link in _links(root)}
            except FileNotFoundError:  # replaced between listing and reading
                continue
            break
        found = (store.manifest_in(content, root / name) for name, content in small.items() if _may_be_one(name))
        return cls(root, small, links, tuple(one for one in found if one is not None))


def roots_in(root: Path) -> list[Path]:
    """Data roots in a folder: itself, and those of further data sets below it, at any depth.

    Raises:
        PublishError: Nothing is published there.
    """
    found, waiting = [], [root]
    while waiting:
        one = waiting.pop()
        below = [path for path in one.glob("*/") if not path.name.startswith(("_", ".")) and not path.is_symlink()]
        layers = [path for path in below if (path / META).is_dir()]
        if layers:
            found.append(one)
        waiting += [path for path in below if path not in layers]
    if not found:
        raise PublishError("nothing is published there", where=str(root), todo="data_root=DIR names the data root")
    return sorted(found)


def link_again(root: Path, links: dict[str, str]) -> None:
    """Makes the links of a restored data root.

    Raises:
        PublishError: One of them leads elsewhere than to an edition.
    """
    for name, target in links.items():
        if Path(name).name != CURRENT or not EDITION.fullmatch(target) or len(Path(name).parts) != 2:
            raise PublishError("is no link to an edition", where=f"{name} -> {target}")
        (root / name).symlink_to(target, target_is_directory=True)


def _small_files(root: Path) -> Iterator[Path]:
    """Manifests, lists that are made from what is published, and records of what was removed."""
    for meta in sorted(root.glob(f"*/{META}")):
        for pattern in ("*", "*/*.json"):
            yield from _plain(meta, pattern)
        yield from _plain(meta.parent, "*")
        yield from _plain(meta.parent / REMOVED, "*/*.json")
    yield from (file for file in [root / FOLDER / LIST] if file.is_file())


def _plain(folder: Path, pattern: str) -> Iterator[Path]:
    yield from sorted(file for file in folder.glob(pattern) if file.is_file() and not file.name.startswith("."))


def _links(root: Path) -> Iterator[Path]:
    yield from sorted(link for link in root.glob(f"*/{CURRENT}") if link.is_symlink())


def _may_be_one(name: str) -> bool:
    return META in Path(name).parts and name.endswith(".json")
