"""Stage `erase`: customers taken out of everything that is published and of runs, and kept out; then looked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from spanishgas.config import Settings
from spanishgas.engine.cleaning import clean_text
from spanishgas.engine.drafts import draft_folder
from spanishgas.engine.embedded import open_embedded
from spanishgas.engine.finding import Finder
from spanishgas.engine.storage import ObjectStorage
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.engine.suppression import FOLDER, Suppression
from spanishgas.errors import ConfigError
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.registry.records import Kept, Records
from spanishgas.stages.base import Build, PlainStage, Target, Workspace
from spanishgas.stages.datasets import facts_of
from spanishgas.stages.erasing import LAYERS, Erasing, Found, erase_everywhere

THE_LIST = Publication(layer=FOLDER, name="customers")  # nothing is published: its lock keeps two from writing at once


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
        listed = Suppression.of(store.storage)
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
        listed = Suppression.of(store.storage)
        named = [] if wanted.customers is None else _read(wanted.customers)
        if wanted.mode == "lift":
            return _lift(listed, named, run)
        erased = listed.including(named)
        if wanted.mode == "erase":
            erased.save()
        dry, finder = wanted.mode == "dry_run", Finder(erased, named)
        # Here and nowhere else is anything written that may name somebody: the next erasure removes what a kill leaves.
        with draft_folder(store.root / FOLDER, self.name) as folder, open_embedded(settings.engine, folder) as engine:
            naming = _search(store, run.records, finder) if dry else []
            found = erase_everywhere(
                Erasing(engine, store, settings.data, erased, run.id, dry=dry, finder=finder, scratch=folder)
            )
            kept = run.records.clean(finder, dry=dry, scratch=folder)
        if not dry:
            naming = _search(store, run.records, finder)
        facts = _Facts(
            found=found,
            kept=kept,
            naming=naming,
            beyond=[clean_text(finder, one, ".md").text for one in _beyond(found, kept, naming, dry=dry)],
            mode=wanted.mode,
            listed=len(erased.hashes),
            named=len(set(named)),
            strangers=len(set(named) - found.customers),
        )
        _log(run, store, settings.data.name, facts)
        return facts.headline


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


def _search(store: TableStore, records: Records, finder: Finder) -> list[str]:
    """Files that name one of the customers: all that lie under the data root, and those of the tracking store."""
    root = store.root.resolve()
    here = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    listed = [*here, *(path for path in records.local_files() if not path.resolve().is_relative_to(root))]
    found = [str(file) for file in listed if file.exists() and finder.in_file(file)]
    if isinstance(store.storage, ObjectStorage):
        with TemporaryDirectory() as scratch:
            copies = store.storage.copies(Path(scratch))
            found += [store.where(name) for name, file in copies if finder.in_file(file)]
    return found


def _beyond(found: Found, kept: Kept, naming: Sequence[str], *, dry: bool) -> list[str]:
    """What still holds them, or may, and what to do with it."""
    sealed = {one.removeprefix("file://") for one in kept.sealed}
    told = [f"`{one}`: {_left_to_do(one)}" for one in naming if one not in sealed] if not dry else []
    told += [
        f"`{one}`: a file of a registered model, which would be refused if it changed. Train again, promote, and "
        "delete the version and its logged model."
        for one in kept.sealed
    ]
    told += [
        f"`{one}`: the configuration tells no longer whose rows these are. Delete the partition."
        for one in found.unread
    ]
    told += [f"{one}." for one in kept.unreachable]
    return [
        *told,
        "Raw files as the source delivers them, wherever they lie outside the data root. They are never changed; "
        "`ingest` leaves these customers out. Have the source delete them.",
        "Back-ups, and exports and explanations that were handed out. Erase again after restoring a back-up that is "
        "older than the erasure.",
        "A model names nobody: it is coefficients or trees, and counts. What it learned stays until the next one.",
        "Pictures are not read: no stage draws the name of a customer.",
    ]


def _left_to_do(file: str) -> str:
    """What to do about a file that still names somebody."""
    if "/bronze/_meta/" in file or "/ingestion_log/" in file:
        return "a raw file has the name. Have it renamed, delete the partition, and land the date again."
    if any(f"/{layer}/" in file for layer in LAYERS):
        return "published, and no table. Make it again with force=true."
    return "no stage makes it. Look at it, and delete it or take them out."


@dataclass(frozen=True)
class _Facts:
    """What one run found and did.

    Attributes:
        found: In published tables, and in what stands beside them.
        kept: In runs and rows of the tracking store.
        naming: Files that name one of the customers: at the end, or, where nothing is changed, now.
        beyond: What is left to do.
        mode: What was asked for.
        listed: Customers on the list.
        named: Customers in the file.
        strangers: Those of them who are in no table.
    """

    found: Found
    kept: Kept
    naming: Sequence[str]
    beyond: Sequence[str]
    mode: str
    listed: int
    named: int
    strangers: int

    @property
    def rows(self) -> int:
        """Rows of published tables."""
        return sum(self.found.rows.values())

    @property
    def headline(self) -> str:
        """What came of it, in one line."""
        who = f"{self.named:,} customers named, {self.strangers:,} of them in no table; " if self.named else ""
        rows, tables, files = f"{self.rows:,}", len(self.found.rows), len(self.naming)
        runs = (
            f"{len(self.kept.artifacts):,} artifacts and {sum(self.kept.rows.values()):,} values of the tracking store"
        )
        if self.mode == "dry_run":
            return (
                f"{who}{rows} rows of {tables} tables would go, {runs} would be cleaned; {files:,} files name them; "
                "erasure.mode=erase does it"
            )
        left = f"{files:,} files still name them, see the report" if files else "no file names them any more"
        done = f"{rows} rows of {tables} tables erased, {self.found.amended} publications amended, {runs} cleaned"
        return f"{who}{done}; {left}"


def _log(run: RunLog, store: TableStore, data: str, facts: _Facts) -> None:
    """Counts, digests and what is left to do; no customer."""
    found, kept = facts.found, facts.kept
    for manifests, context in ((found.before, "input"), (found.after, "output")):
        run.log_datasets(
            [facts_of(store, one, name) for one in manifests for name in one.tables],
            "input" if context == "input" else "output",
        )
    run.log_metrics(
        {
            "customers_listed": float(facts.listed),
            "customers_named": float(facts.named),
            "customers_found": float(len(found.customers)),
            "customers_not_found": float(facts.strangers),
            "erased_rows": float(facts.rows),
            "erased_raw_records": float(sum(found.made_up.values())),
            "erased_requests": float(found.requests),
            "removed_look_up_tables": float(found.served),
            "cleaned_artifacts": float(len(kept.artifacts)),
            "cleaned_tracking_values": float(sum(kept.rows.values())),
            "files_naming": float(len(facts.naming)),
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
    lines = [
        f"# {'What erasing would take out' if facts.mode == 'dry_run' else 'Customers erased'} of {data}",
        "",
        f"{facts.headline}.",
        "",
        "| table | publications | rows |",
        "| --- | ---: | ---: |",
        *(f"| {row.table} | {row.publications} | {row.rows:,} |" for row in table.itertuples()),
        "",
        "| elsewhere | what |",
        "| --- | ---: |",
        *(f"| {name}, the demo retailer's own files | {count:,} records |" for name, count in found.made_up.items()),
        *(f"| tracking store: {place} | {count:,} values |" for place, count in kept.rows.items()),
        f"| artifacts of runs | {len(kept.artifacts):,} files |",
        f"| request log | {found.requests:,} lines |",
        f"| look-up tables of a server | {found.served:,} folders |",
        "",
        "## Beyond reach",
        "",
        *(f"- {text}" for text in facts.beyond),
        "",
    ]
    text = "\n".join(lines)
    run.log_text(text, "report.md")
    run.describe(text)


STAGE = Erase()
