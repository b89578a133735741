"""Stage `erase`: customers taken out of everything that is published, and kept out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from spanishgas.config import Settings
from spanishgas.engine.session import open_engine
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.engine.suppression import FOLDER, Suppression
from spanishgas.errors import ConfigError
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.stages.base import Build, PlainStage, Target, Workspace
from spanishgas.stages.datasets import facts_of
from spanishgas.stages.erasing import LAYERS, Erasing, Found, erase_everywhere

THE_LIST = Publication(layer=FOLDER, name="customers")  # nothing is published: its lock keeps two from writing at once
MADE_UP = ("raw", "ground_truth")
BESIDE = {
    "serving": "a running server lays out what is published now within seconds and removes the old copies an hour "
    "later, at the next change; while it is down, delete the folder.",
    "request_log": "requests by day, with customer ids. Delete the days concerned.",
}


class Erase(PlainStage):
    """Publishes nothing of its own: it amends what other stages have published, and is never cached."""

    name = "erase"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """Whether it is in earnest; never whom it is about."""
        return {"mode": settings.erasure.mode}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """No targets: what is amended belongs to other stages.

        Raises:
            ConfigError: The file of customers is not there, or names nobody; or nobody is to be erased.
        """
        listed = Suppression.of(store.root)
        if settings.erasure.customers is not None:
            _read(settings.erasure.customers)
        elif settings.erasure.mode == "lift" or not listed.hashes:
            raise ConfigError(
                "nobody is named",
                where="erasure.customers",
                todo="Give a text file with one customer id per line: erasure.customers=FILE",
            )
        return ()

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Nothing to make: there are no targets.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Puts the customers on the list, then takes them out of everything that is published.

        The list comes first: whoever is killed between has kept them out of new landings, and the same command, or one
        without a file, does the rest.
        """
        with store.lock(THE_LIST):
            return self._erase(settings, store, run)

    def _erase(self, settings: Settings, store: TableStore, run: RunLog) -> str:
        """The work of one run at a time."""
        wanted = settings.erasure
        listed = Suppression.of(store.root)
        named = [] if wanted.customers is None else _read(wanted.customers)
        if wanted.mode == "lift":
            return _lift(listed, named, run)
        erased = listed.including(named)
        if wanted.mode == "erase":
            erased.save()
        scratch = store.root / FOLDER
        scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=scratch) as folder, open_engine(settings.engine, Path(folder)) as engine:
            found = erase_everywhere(
                Erasing(engine, store, settings.data, erased, run.id, dry=wanted.mode == "dry_run")
            )
        beyond = _beyond(store, found)
        strangers = len(set(named) - found.customers)
        _log(run, store, found, beyond, settings, len(erased.hashes), len(set(named)), strangers)
        return _headline(found, wanted.mode, len(set(named)), strangers)


def _read(file: Path) -> list[str]:
    """Customer ids of a text file, one per line.

    Raises:
        ConfigError: It is not there or names nobody.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigError("the file of customers cannot be read", where=str(file), examples=[error]) from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise ConfigError("the file names nobody", where=str(file), todo="Write one customer id per line")
    return ids


def _lift(listed: Suppression, named: Sequence[str], run: RunLog) -> str:
    left = listed.without(named)
    lifted = len(listed.hashes) - len(left.hashes)
    if lifted:
        left.save()
    run.log_metrics({"customers_listed": float(len(left.hashes)), "customers_lifted": float(lifted)})
    text = (
        f"{lifted:,} of {len(set(named)):,} customers taken off the list. `ingest` and the stages after it with "
        "force=true bring back what the raw files still hold of them"
    )
    run.log_text(f"# Erasure lifted\n\n{text}.\n", "report.md")
    run.describe(text)
    return text


def _beyond(store: TableStore, found: Found) -> list[str]:
    """What still holds them, or may, and what to do with it."""
    told = [
        "Raw files as the source delivers them. They are never changed; `ingest` leaves these customers out. Have the "
        "source delete them."
    ]
    told += [
        f"`{store.root / layer}`: the demo retailer's own files, as good as raw ones."
        for layer in MADE_UP
        if store.publications(layer)
    ]
    naming = _naming_files(store, found.customers)
    if naming:
        told.append(
            f"{len(naming):,} published files that are no tables name one of them, as `{naming[0]}`. Make them again "
            "with force=true."
        )
    told += [
        f"`{one}`: the configuration tells no longer whose rows these are. Delete the partition."
        for one in found.unread
    ]
    told += [f"`{store.root / name}`: {what}" for name, what in BESIDE.items() if (store.root / name).exists()]
    told.append(
        "Reports of runs that scored, trained or recommended name customers. Delete these runs, and earlier ones of "
        f"the same dates, then `mlflow gc`: {', '.join(sorted(found.runs)) or 'none that is published now'}."
    )
    told.append("Back-ups. Erase again after restoring one that is older than the erasure.")
    told.append(
        "A model names nobody: it is coefficients or trees, and counts. What it learned stays until the next one."
    )
    return told


def _naming_files(store: TableStore, customers: set[str]) -> list[str]:
    """Published files that are no tables and that name one of the customers as a value of its own."""
    needles = [mark + one.encode() + mark for one in customers for mark in (b'"', b",")]
    return [
        file.path
        for manifest in _visible(store)
        for table in manifest.tables.values()
        for file in table.files
        if not file.path.endswith(".parquet")
        and any(needle in content for content in [(store.root / file.path).read_bytes()] for needle in needles)
    ]


def _visible(store: TableStore) -> Iterator[Manifest]:
    for layer in LAYERS:
        for publication in store.publications(layer):
            manifest = store.find(publication)
            if manifest is not None and not store.missing_files(manifest):
                yield manifest


def _log(
    run: RunLog,
    store: TableStore,
    found: Found,
    beyond: Sequence[str],
    settings: Settings,
    listed: int,
    named: int,
    strangers: int,
) -> None:
    """Counts, digests and what is left to do; no customer."""
    for manifests, context in ((found.before, "input"), (found.after, "output")):
        run.log_datasets(
            [facts_of(store, one, name) for one in manifests for name in one.tables],
            "input" if context == "input" else "output",
        )
    rows = sum(found.rows.values())
    run.log_metrics(
        {
            "customers_listed": float(listed),
            "customers_named": float(named),
            "customers_found": float(len(found.customers)),
            "customers_not_found": float(strangers),
            "erased_rows": float(rows),
            "amended_publications": float(found.amended),
            "removed_files": float(found.removed),
            **{f"erased_rows.{name.replace('/', '.')}": float(count) for name, count in found.rows.items()},
        }
    )
    table = pd.DataFrame(
        [{"table": name, "publications": found.partitions[name], "rows": count} for name, count in found.rows.items()],
        columns=["table", "publications", "rows"],
    )
    run.log_text(table.to_csv(index=False), "tables/erased.csv")
    dry = settings.erasure.mode == "dry_run"
    lines = [
        f"# {'What erasing would take out' if dry else 'Customers erased'} of {settings.data.name}",
        "",
        f"{_headline(found, settings.erasure.mode, named, strangers)}.",
        "",
        "| table | publications | rows |",
        "| --- | ---: | ---: |",
        *(f"| {row.table} | {row.publications} | {row.rows:,} |" for row in table.itertuples()),
        "",
        "## Beyond reach",
        "",
        *(f"- {text}" for text in beyond),
        "",
    ]
    text = "\n".join(lines)
    run.log_text(text, "report.md")
    run.describe(text)


def _headline(found: Found, mode: str, named: int, strangers: int) -> str:
    who = f"{named:,} customers named, {strangers:,} of them in no table; " if named else ""
    rows, tables = sum(found.rows.values()), len(found.rows)
    if mode == "dry_run":
        return f"{who}{rows:,} rows of {tables} tables would go; erasure.mode=erase does it"
    return f"{who}{rows:,} rows of {tables} tables erased, {found.amended} publications amended"


STAGE = Erase()
