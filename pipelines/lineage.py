"""`lineage`: what a recommendation was made of, down to raw files, or what was made of a raw file.

No entry point of `MLproject`: a launched run would keep the customer as a parameter.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date

import pyarrow.parquet as pq
from rich.console import Console

from pipelines._arguments import Arguments, words_of
from pipelines._entry import guarded, load_settings
from spanishgas.config import Settings
from spanishgas.contracts.decisions import RECOMMENDATIONS
from spanishgas.engine.store import TableStore
from spanishgas.errors import ConfigError, PublishError, TrackingError
from spanishgas.registry.reading import Reader
from spanishgas.stages.churn_models import registered_name
from spanishgas.stages.lineage import Lineage, Node, render
from spanishgas.stages.places import recommended_on

NAME = "lineage"
OWN = ("recommendation", "raw", "format")
USE = "Say recommendation=<customer>@<run_date>, or raw=<file>; format=json gives it to programs"


def main(argv: Sequence[str] | None = None) -> int:
    """Tells where something comes from, or what became of it; returns the exit code."""
    return guarded(NAME, _lineage, argv)


def _lineage(arguments: Arguments, _: Console) -> int:
    own, others = words_of(arguments, OWN)
    if ("recommendation" in own) == ("raw" in own) or own.get("format", "tree") not in ("tree", "json"):
        raise ConfigError("what is asked for is not clear", where=NAME, examples=arguments.overrides, todo=USE)
    settings = load_settings(others)
    store = TableStore.of(settings.data.root, settings.storage)
    found = _of_raw(store, own["raw"]) if "raw" in own else [_of_recommendation(store, own["recommendation"])]
    names = _models(settings)
    if own.get("format") == "json":
        print(json.dumps({"models": names, "lineage": [node.record() for node in found]}, indent=1))
    else:
        print("\n".join(line for node in found for line in render(node, names)))
    return 0


def _of_recommendation(store: TableStore, asked: str) -> Node:
    """The decision run that has a customer's recommendation, and all that it was made of."""
    customer, _, day = asked.rpartition("@")
    try:
        publication = recommended_on(date.fromisoformat(day))
    except ValueError as error:
        raise ConfigError(f"{day!r} is no date", where=f"recommendation={asked}", todo=USE) from error
    manifest = store.read(publication, made_by=f"recommend run_date={day}")
    rows = [
        row
        for file in store.files(manifest, RECOMMENDATIONS.name)
        for row in pq.read_table(file, partitioning=None, filters=[("customer_id", "=", customer)]).to_pylist()
    ]
    if not rows:
        raise PublishError(f"has no recommendation for {customer!r}", where=str(publication), todo=USE)
    return Lineage(store).back(manifest)


def _of_raw(store: TableStore, raw: str) -> list[Node]:
    lineage = Lineage(store)
    found = lineage.forward(raw)
    if not found:
        told = f"no landing has the raw file {raw!r}"
        raise PublishError(told, where=str(store.place), examples=lineage.raw_files, todo=USE)
    return found


def _models(settings: Settings) -> Mapping[str, str]:
    """Digest of a model -> its version in the registry, with its aliases; nothing where there is no store to ask."""
    name = registered_name(settings)
    try:
        versions = Reader(settings.tracking).versions(name)
    except TrackingError:
        return {}
    return {
        one.version.digest: f"model {one.version.uri}" + (f" ({', '.join(one.aliases)})" if one.aliases else "")
        for one in reversed(versions)
    }


if __name__ == "__main__":
    sys.exit(main())
