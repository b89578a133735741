"""Published tables as the tracking store is told of them."""

from spanishgas.engine.store import Manifest, TableStore
from spanishgas.registry.runs import DatasetFacts


def name_of(manifest: Manifest, name: str) -> str:
    """How a published table is called outside: layer, table, partition."""
    return "/".join(filter(None, (manifest.publication.layer, name, manifest.publication.partition)))


def facts_of(store: TableStore, manifest: Manifest, name: str) -> DatasetFacts:
    """What a run records of one published table.

    Args:
        store: The data set's published tables.
        manifest: The publication.
        name: The table.
    """
    table = manifest.tables[name]
    return DatasetFacts(
        name=name_of(manifest, name),
        digest=table.content_hash,
        path=store.where(store.table_folder(manifest.publication, name)),
        columns=table.columns,
        rows=table.rows,
    )
