"""What a pass over readings leaves beside silver for the next one.

It is named after what the published days are made from, so it is there before they can be seen, and whoever is killed
in between leaves nothing that could be taken for another table's. Where it is gone or damaged all days are made anew.
"""

from collections.abc import Iterable

from spanishgas.contracts.silver import CONSUMPTION_DAILY
from spanishgas.engine.store import META, Manifest, TableStore
from spanishgas.silver import Facts, name_of

FOLDER = f"silver/{META}/readings"


def left_beside(store: TableStore, months: Iterable[str], facts: Facts) -> None:
    """Keeps what a pass leaves for the next one.

    Args:
        store: The published tables.
        months: What each month of days is made from.
        facts: What it leaves.
    """
    store.storage.put(_place(name_of(months)), facts.packed())


def what_is_left(store: TableStore, manifest: Manifest) -> Facts | None:
    """What the pass that made published days has left; None where nothing of it can be used."""
    name = _name(manifest)
    content = None if name is None else store.storage.get(_place(name))
    return None if content is None else Facts.unpacked(content.data)


def forget_others(store: TableStore, manifest: Manifest) -> None:
    """Removes what earlier passes left; the caller has just published."""
    name = _name(manifest)
    kept = "" if name is None else _place(name)
    for entry in store.storage.list(FOLDER, "*"):
        if entry.name != kept:
            store.storage.delete(entry.name)


def _name(manifest: Manifest) -> str | None:
    table = manifest.tables.get(CONSUMPTION_DAILY.name)
    made_from = [] if table is None else [file.made_from for file in table.files]
    return name_of([one for one in made_from if one]) if made_from and all(made_from) else None


def _place(name: str) -> str:
    return f"{FOLDER}/{name}.json.gz"
