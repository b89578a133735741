"""What was made of what, as the manifests of published tables tell it by digests: back to raw files, and forward."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.parquet as pq

from spanishgas.contracts.bronze import INGESTION_LOG
from spanishgas.engine.store import Manifest, PublishedTable, TableStore
from spanishgas.errors import PublishError

LAYERS = ("raw", "bronze", "silver", "gold")
LANDED = "bronze"


@dataclass(frozen=True)
class Node:
    """Something that was made, or delivered.

    Attributes:
        kind: ``publication``, ``raw file``, or ``unknown``: an input that is not published any more.
        name: Publication, raw file, or name of the input.
        digest: Of its contents; of a raw file the SHA-256 of its bytes (of its rows where it is a database), empty
            where the landing's log is gone.
        stage: The stage that makes it.
        run_id: The run that made it.
        created_at: UTC, ISO 8601.
        used: Names of the inputs by which the node above read it, or this one read the node above.
        models: Digests of the models whose files it holds.
        told_before: Whether what follows from it stands further up.
        removed: When and by which run it was removed because its age was up; empty for what is still there.
        next: What it was made of, or what was made of it.
    """

    kind: str
    name: str
    digest: str
    stage: str = ""
    run_id: str = ""
    created_at: str = ""
    used: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    told_before: bool = False
    removed: str = ""
    next: tuple["Node", ...] = ()

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class Lineage:
    """Everything published under a data root, linked by digests.

    Args:
        store: The published tables.
    """

    def __init__(self, store: TableStore) -> None:
        self._store = store
        found = (store.find(publication) for layer in LAYERS for publication in store.publications(layer))
        self._removed = {str(one.manifest.publication): one for one in store.removed()}
        gone = [one.manifest for one in self._removed.values()]
        self.manifests = [*(manifest for manifest in found if manifest is not None), *gone]
        self._made: dict[str, list[Manifest]] = {}
        for manifest in self.manifests:
            for digest in dict.fromkeys(_digests(manifest)):
                self._made.setdefault(digest, []).append(manifest)

    def back(self, manifest: Manifest) -> Node:
        """What a publication was made of, down to raw files."""
        return self._back(manifest, (), set())

    def forward(self, raw: str) -> list[Node]:
        """What was made of a raw file: one tree for each landing that has it.

        Args:
            raw: Name of the file, or the end of its path.
        """
        seen: set[str] = set()
        landings = [one for one in self.manifests if one.publication.layer == LANDED]
        return [
            self._forward(one, tuple(keys), seen)
            for one in landings
            if (keys := [key for key in one.inputs if f"/{key}".endswith(f"/{raw}")])
        ]

    @property
    def raw_files(self) -> list[str]:
        """Names of all raw files that were landed."""
        landings = (one for one in self.manifests if one.publication.layer == LANDED)
        return sorted({key for one in landings for key in one.inputs})

    def models_in(self, manifest: Manifest) -> list[str]:
        """Digests of the models whose files a publication holds."""
        return [one for table in manifest.tables.values() if (one := _model_digest(table))]

    def _back(self, manifest: Manifest, used: tuple[str, ...], seen: set[str]) -> Node:
        name = str(manifest.publication)
        if name in seen:
            return self._node(manifest, used, (), told_before=True)
        seen.add(name)
        grouped: dict[str, list[str]] = {}
        strangers: list[Node] = []
        told = self._raw_digests(manifest) if manifest.publication.layer == LANDED else {}
        for key, digest in manifest.inputs.items():
            if manifest.publication.layer == LANDED:
                strangers.append(Node("raw file", key, told.get(key, "")))
                continue
            source = self._source(manifest, digest)
            if source is None:
                strangers.append(Node("unknown", key, digest))
            else:
                grouped.setdefault(str(source.publication), []).append(key)
        named = {str(one.publication): one for one in self.manifests}
        below = [self._back(named[one], tuple(keys), seen) for one, keys in grouped.items()]
        return self._node(manifest, used, (*below, *strangers))

    def _raw_digests(self, manifest: Manifest) -> dict[str, str]:
        """SHA-256 of a landing's raw files, as its log has it: a landing's inputs also say how the files are read."""
        table = manifest.tables.get(INGESTION_LOG.name)
        if table is None or str(manifest.publication) in self._removed:
            return {}
        names = ["dataset", "part", "source_file", "sha256"]
        try:
            files = self._store.files(manifest, INGESTION_LOG.name)
        except PublishError:  # damaged: what was made of what is known all the same
            return {}
        rows = [row for file in files for row in pq.read_table(file, partitioning=None, columns=names).to_pylist()]
        return {f"{row['dataset']}/{row['part']}/{row['source_file']}": str(row["sha256"]) for row in rows}

    def _forward(self, manifest: Manifest, used: tuple[str, ...], seen: set[str]) -> Node:
        name = str(manifest.publication)
        if name in seen:
            return self._node(manifest, used, (), told_before=True)
        seen.add(name)
        above = [
            self._forward(other, tuple(keys), seen)
            for other in self.manifests
            if other is not manifest
            and other.publication.layer != LANDED
            and (keys := [key for key, digest in other.inputs.items() if self._source(other, digest) is manifest])
        ]
        return self._node(manifest, used, tuple(above))

    def _source(self, reader: Manifest, digest: str) -> Manifest | None:
        """The publication with some contents; of several with equal contents the last that the reader can have seen."""
        found = [one for one in self._made.get(digest, ()) if one is not reader]
        before = [one for one in found if one.created_at <= reader.created_at] or found
        return max(before, key=lambda one: one.created_at, default=None)

    def _node(
        self, manifest: Manifest, used: Sequence[str], following: tuple[Node, ...], *, told_before: bool = False
    ) -> Node:
        gone = self._removed.get(str(manifest.publication))
        return Node(
            kind="publication",
            name=str(manifest.publication),
            digest=manifest.content_hash,
            stage=manifest.stage,
            run_id=manifest.run_id,
            created_at=manifest.created_at,
            used=tuple(used),
            models=tuple(one for table in manifest.tables.values() if (one := _model_digest(table))),
            told_before=told_before,
            removed="" if gone is None else f"removed {gone.removed_at} by run {gone.removed_by}",
            next=following,
        )


def steps(node: Node, depth: int = 0) -> Iterator[tuple[int, Node]]:
    """A tree line by line: how deep each node stands, and the node."""
    yield depth, node
    for one in node.next:
        yield from steps(one, depth + 1)


def render(top: Node, names: Mapping[str, str]) -> Iterator[str]:
    """A tree for the terminal, line by line.

    Args:
        top: Its top.
        names: Digest of a model -> its version in the registry, with its aliases.
    """
    for depth, node in steps(top):
        facts = [node.digest[:16]] if node.kind != "publication" else [f"run {node.run_id}", node.created_at]
        facts += [names.get(one, f"model {one[:16]}") for one in node.models]
        facts += [node.removed] if node.removed else []
        facts += ["see above"] if node.told_before else []
        kind = "" if node.kind == "publication" else f" ({node.kind})"
        yield f"{'  ' * depth}{node.name}{kind}: {', '.join(facts)}"


def _digests(manifest: Manifest) -> Iterator[str]:
    """All under which others know a publication, its tables and the models in it."""
    yield manifest.content_hash
    for table in manifest.tables.values():
        yield table.content_hash
        if model := _model_digest(table):
            yield model


def _model_digest(table: PublishedTable) -> str:
    """The digest that a model's files are registered under; empty where a table is no model."""
    from spanishgas.models.files import CARD, digest_of_digests

    files = {str(file.origin).rpartition("/")[2]: file.digest for file in table.files}
    if CARD not in files or not all(files.values()):
        return ""
    return digest_of_digests({name: bytes.fromhex(str(digest)) for name, digest in files.items()})
