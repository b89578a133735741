"""Customers taken out of what is published: one publication at a time, by amending it in place."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import ibis.expr.types as ir

from spanishgas.bronze import HOLDINGS, Erased, Held, digest_without, extras_dataset, held_by, naming, take_out
from spanishgas.config import DataSettings, SourcePart
from spanishgas.contracts import Contract, find_contract
from spanishgas.contracts.bronze import REJECTED_ROW
from spanishgas.engine.cleaning import clean_file, replace_by
from spanishgas.engine.finding import Finder
from spanishgas.engine.session import Engine
from spanishgas.engine.store import (
    EDITION,
    DataFile,
    Draft,
    Manifest,
    PublishedTable,
    TableStore,
    joined_digest,
    write_atomically,
)
from spanishgas.engine.suppression import FOLDER, Suppression
from spanishgas.errors import PublishError
from spanishgas.stages.checks import check_table

LAYERS = ("bronze", "silver", "gold")
CUSTOMER = "customer_id"
# Rows of these tables have the raw line, and no column of their own for the customer.
REJECTED = {column.name for column in REJECTED_ROW}
# The demo retailer's own files, and what is kept beside published tables.
MADE_UP = ("raw", "ground_truth")
SERVED, REQUESTS = "serving/tables", "request_log"
# Beside the list of erased customers while an erasure is at work.
HELD = "held.json"


@dataclass
class Found:
    """What was found of the customers, and what became of it.

    Attributes:
        rows: Table -> rows.
        partitions: Table -> publications with such rows.
        customers: Who was found.
        unread: Landed files whose customers the configuration does not tell any more.
        made_up: Records of the demo retailer's own files, by publication.
        requests: Lines of the server's request log.
        served: Look-up tables of the server that hold them.
        amended: Publications that were replaced.
        removed: Data files of earlier publishing that were removed.
        before: Publications as they were.
        after: Publications as they are.
    """

    rows: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    customers: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    made_up: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    served: int = 0
    amended: int = 0
    removed: int = 0
    before: list[Manifest] = field(default_factory=list)
    after: list[Manifest] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """What one table of a publication has of the customers."""

    table: PublishedTable
    rows: int
    customers: frozenset[str]


@dataclass(frozen=True)
class Erasing:
    """One pass over everything that is published.

    Attributes:
        engine: An open engine session.
        store: The data set's published tables.
        data: The data set: whose a landed row is, its configuration tells.
        erased: Erased customers.
        run_id: The run that does it.
        dry: Count and change nothing.
        finder: Knows the customers in files that are no tables.
        scratch: A folder of its own below the data root, for what may name somebody.
        held: Supply points of the customers.
        looked: What was found in landed files; several landings may name one.
        unused: Landed files that name a customer in no row, but among the words of a Parquet dictionary.
        written: Landed file -> the file without the customers that took its place.
    """

    engine: Engine
    store: TableStore
    data: DataSettings
    erased: Suppression
    run_id: str
    dry: bool
    finder: Finder
    scratch: Path
    held: Held = field(default_factory=Held)
    looked: dict[str, Erased | None] = field(default_factory=dict)
    unused: set[str] = field(default_factory=set)
    written: dict[str, DataFile] = field(default_factory=dict)


def erase_everywhere(erasing: Erasing) -> Found:
    """Takes the customers out of every publication that has them, each under its lock.

    Raises:
        LockTimeoutError: Another run holds one of them; those before it are done.
        ContractError: A table would break its contract without them; it stays as it is.
    """
    found = Found()
    if not erasing.dry:
        erasing.store.remove_drafts()
    erasing = replace(erasing, held=_held(erasing))
    _remember(erasing)
    for publication in (one for layer in LAYERS for one in erasing.store.publications(layer)):
        with erasing.store.lock(publication):
            manifest = erasing.store.find(publication)
            if manifest is not None:
                _erase_from(erasing, manifest, found)
    for publication in (one for layer in MADE_UP for one in erasing.store.publications(layer)):
        with erasing.store.lock(publication):
            manifest = erasing.store.find(publication)
            if manifest is not None and not erasing.store.missing_files(manifest):
                _erase_made_up(erasing, manifest, found)
    _erase_beside(erasing, found)
    if not erasing.dry:
        (erasing.store.root / FOLDER / HELD).unlink(missing_ok=True)
    return found


def _erase_made_up(erasing: Erasing, manifest: Manifest, found: Found) -> None:
    """The demo retailer's own files, which are published under names that others know; the caller holds their lock."""
    store, publication = erasing.store, manifest.publication
    named = any(EDITION.fullmatch(Path(file.path).parts[1]) for one in manifest.tables.values() for file in one.files)
    tables: dict[str, PublishedTable] = {}
    taken = 0
    store.bring(manifest)
    with store.draft(publication) as draft:
        for name, table in manifest.tables.items():
            of_table, changed, files = 0, False, []
            for number, file in enumerate(table.files):
                path = store.root / file.path
                inside = Path(*Path(file.path).parts[2:]) if named else Path(name, f"{number}{path.suffix}")
                gone = clean_file(erasing.finder, path, draft.folder / inside) if erasing.finder.in_file(path) else None
                of_table += gone.records if gone else 0
                changed = changed or bool(gone)
                files.append(file if named or not gone else file.model_copy(update={"path": inside.as_posix()}))
            if changed:
                digest = hashlib.sha256(
                    f"{table.content_hash} without {of_table} {erasing.run_id}".encode()
                ).hexdigest()
                told = {"files": tuple(files), "rows": table.rows - of_table, "content_hash": digest}
                tables[name] = table.model_copy(update=told)
                taken += of_table
        if tables:
            found.made_up[str(publication)] = taken
        if erasing.dry:
            return
        after, tags = manifest, {"erased_by": erasing.run_id}
        if tables:
            found.amended += 1
            if named:
                after = draft.amend_named(manifest, {**manifest.tables, **tables}, tags=tags)
            else:
                after = draft.amend(manifest, tables, fingerprint=manifest.fingerprint, tags=tags)
        found.removed += store.tidy_editions(after) if named else store.tidy(after)


def _erase_beside(erasing: Erasing, found: Found) -> None:
    """What a server has laid out and written down: it lays out again what is published now."""
    root, finder = erasing.store.root, erasing.finder
    for folder in sorted((root / SERVED).glob("*")):
        if any(finder.in_file(file) for file in sorted(folder.rglob("*")) if file.is_file()):
            found.served += 1
            if not erasing.dry:
                shutil.rmtree(folder, ignore_errors=True)
    for file in sorted((root / REQUESTS).rglob("*.jsonl")):
        cleaned = erasing.scratch / f"{uuid4().hex}.jsonl"
        gone = clean_file(finder, file, cleaned)
        found.requests += gone.records if gone else 0
        if gone and not erasing.dry:
            replace_by(cleaned, file)


def _held(erasing: Erasing) -> Held:
    """Supply points of the customers, as any landing tells them: of rows that name nothing else, these are whose.

    Landings that an erasure which was killed has been through tell no more: what it knew lies beside the list.
    """
    parts, held = _parts_of(erasing.data, HOLDINGS), _remembered(erasing)
    for publication in erasing.store.publications("bronze"):
        manifest = erasing.store.find(publication)
        if manifest is None or HOLDINGS not in manifest.tables:
            continue
        for file in manifest.tables[HOLDINGS].files:
            if file.part < len(parts):
                (path,) = erasing.store.checked(manifest, [file])
                told = held_by(erasing.engine, path, str(file.origin), parts[file.part], erasing.erased)
                held = held.joined(told)
    return held


def _remember(erasing: Erasing) -> None:
    """Writes down whose supply points these are until all is done: the landings that tell it go first."""
    held = erasing.held
    if held.days and not erasing.dry:
        told = {"days": {point: sorted(days) for point, days in held.days.items()}, "customers": sorted(held.customers)}
        write_atomically(erasing.store.root / FOLDER / HELD, json.dumps(told))


def _remembered(erasing: Erasing) -> Held:
    """What an erasure that was killed knew.

    Raises:
        PublishError: It cannot be read.
    """
    file = erasing.store.root / FOLDER / HELD
    if not file.is_file():
        return Held()
    try:
        told = json.loads(file.read_bytes())
        days = {
            str(point): frozenset((str(one), str(two)) for one, two in days) for point, days in told["days"].items()
        }
        customers = frozenset(map(str, told["customers"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PublishError(
            "what an erasure that was killed knew of supply points cannot be read",
            where=str(file),
            todo="Delete it; rows that name a supply point only are then to be looked for by hand",
        ) from error
    listed = erasing.erased.matches(customers)
    return Held(days, frozenset(listed)) if listed == customers else Held()


def _erase_from(erasing: Erasing, manifest: Manifest, found: Found) -> None:
    """One publication; the caller holds its lock."""
    store = erasing.store
    with store.draft(manifest.publication) as draft:
        parts: dict[str, _Part] = {}
        for name in manifest.tables:
            part = _part(erasing, draft, manifest, name, found)
            if part is not None:
                parts[name] = part
        for name, part in parts.items():
            key = f"{manifest.publication.layer}/{name}"
            if part.rows:
                found.rows[key] = found.rows.get(key, 0) + part.rows
                found.partitions[key] = found.partitions.get(key, 0) + 1
            found.customers |= part.customers
        if erasing.dry:
            return
        after = manifest
        if parts:
            rows = sum(part.rows for part in parts.values())
            tags = {"erased_by": erasing.run_id, "erased_rows": str(rows + int(manifest.tags.get("erased_rows", "0")))}
            after = draft.amend(
                manifest,
                {name: part.table for name, part in parts.items()},
                fingerprint=_fingerprint(manifest, erasing.run_id),
                tags=tags,
            )
            for name in parts:
                files = zip(manifest.tables[name].files, after.tables[name].files, strict=False)
                erasing.written.update({old.path: new for old, new in files if old.origin and old.path != new.path})
            found.amended += 1
            found.before.append(manifest)
            found.after.append(after)
        found.removed += store.tidy(after)


def _fingerprint(manifest: Manifest, run_id: str) -> str:
    """A landing stays what its raw files are landed as; whatever is derived from it is to be derived again.

    With their own fingerprints derived tables would pass for made from a landing that holds the customers, should it
    ever come back.
    """
    if manifest.publication.layer == "bronze":
        return manifest.fingerprint
    return hashlib.sha256(f"{manifest.fingerprint} amended by {run_id}".encode()).hexdigest()


def _part(erasing: Erasing, draft: Draft, manifest: Manifest, name: str, found: Found) -> _Part | None:
    """A table without the customers, in the draft; None where it has none of them."""
    engine, store, data, erased = erasing.engine, erasing.store, erasing.data, erasing.erased
    table = manifest.tables[name]
    if manifest.publication.layer == "bronze" and name in _datasets(data, table):
        return _landed(erasing, draft, manifest, name, found)
    if not all(file.path.endswith(".parquet") for file in table.files) or not table.files:
        return None
    rows = engine.scan(store.files(manifest, name))
    if CUSTOMER in table.columns:
        listed = engine.frame(rows.select(whose=rows[CUSTOMER].cast("string")).distinct())["whose"].dropna()
        customers = erased.matches(map(str, listed))
        if not customers:
            return None
        kept = rows.filter(~rows[CUSTOMER].cast("string").isin(sorted(customers)).fill_null(False))
    elif set(table.columns) >= REJECTED:
        told = engine.frame(rows.select(row=rows.row.fill_null("") + "\n" + rows.detail.fill_null("")).distinct())
        named = naming(erased, erasing.held)
        texts = [str(text) for text in told["row"] if named.named_in(str(text))]
        if not texts:
            return None
        customers = set()
        kept = rows.filter(~(rows.row.fill_null("") + "\n" + rows.detail.fill_null("")).isin(texts))
    else:
        return None
    if erasing.dry:
        return _Part(table, table.rows - engine.integer(kept.count()), frozenset(customers))
    return _written(engine, draft, manifest, name, kept, customers)


def _written(engine: Engine, draft: Draft, manifest: Manifest, name: str, kept: ir.Table, customers: set[str]) -> _Part:
    """Writes and checks a table as the runner does; the order of its rows stays."""
    before = manifest.tables[name]
    file = draft.file(name)
    engine.write(kept, file)
    contract = _contract(manifest.publication.layer, name)
    if contract is not None and contract.version == before.contract_version:
        check_table(engine, contract, engine.scan([file]))
    digest, count = engine.content_hash([file])
    placed = DataFile(path=file.relative_to(draft.folder).as_posix())
    after = before.model_copy(update={"files": (placed,), "rows": count, "content_hash": digest})
    return _Part(after, before.rows - count, frozenset(customers))


def _contract(layer: str, name: str) -> Contract | None:
    try:
        return find_contract(layer, name)
    except KeyError:
        return None


def _datasets(data: DataSettings, table: PublishedTable) -> set[str]:
    """Names of landed tables; those that landing tells of itself have no raw file behind them."""
    if not all(file.origin for file in table.files):
        return set()
    return {*data.sources, *(extras_dataset(number) for number in range(len(data.extras)))}


def _parts_of(data: DataSettings, dataset: str) -> tuple[SourcePart, ...]:
    if dataset in data.sources:
        return data.sources[dataset].parts
    return next(((extra.part,) for number, extra in enumerate(data.extras) if extras_dataset(number) == dataset), ())


def _landed(erasing: Erasing, draft: Draft, manifest: Manifest, name: str, found: Found) -> _Part | None:
    """A landed table, file by file: those without any of the customers stay as they are."""
    table, parts = manifest.tables[name], _parts_of(erasing.data, name)
    files: list[DataFile] = []
    customers: set[str] = set()
    taken, unused, digest = 0, False, table.content_hash
    for number, file in enumerate(table.files):
        if file.part >= len(parts):
            found.unread.append(f"{manifest.publication}/{name}: {file.origin}")
            files.append(file)
            continue
        one, after = _without(erasing, manifest, file, parts[file.part], draft.folder, draft.file(name, number))
        files.append(after)
        unused = unused or file.path in erasing.unused
        if one is not None:
            customers |= one.customers
            taken += one.rows
            digest = digest_without(digest, erasing.erased, one.customers)
    if not taken and not unused:
        return None
    if all(file.content_hash is not None for file in files):
        # As a landing of these files tells it.
        digest = joined_digest((file.part, str(file.content_hash)) for file in files)
    after_all = table.model_copy(update={"files": tuple(files), "rows": table.rows - taken, "content_hash": digest})
    return _Part(after_all, taken, frozenset(customers))


def _without(
    erasing: Erasing, manifest: Manifest, file: DataFile, part: SourcePart, folder: Path, target: Path
) -> tuple[Erased | None, DataFile]:
    """What a landed file has of the customers, and the file without them; it is written once for all landings."""
    known = file.path in erasing.looked
    if not known:
        (path,) = erasing.store.checked(manifest, [file])
        where = None if erasing.dry else target
        one = take_out(erasing.engine, path, str(file.origin), part, erasing.erased, where, erasing.held)
        erasing.looked[file.path] = one
        if one is None and erasing.finder.in_file(path) and clean_file(erasing.finder, path, target):
            erasing.unused.add(file.path)  # it was landed byte by byte
    one = erasing.looked[file.path]
    if one is None and file.path not in erasing.unused:
        return None, file
    digest = file.content_hash
    if one is not None and digest is not None:
        digest = digest_without(digest, erasing.erased, one.customers)
    if known and not erasing.dry:
        kept = erasing.written[file.path]
        return one, kept.model_copy(update={"origin": file.origin, "part": file.part, "seen": file.seen})
    place = {"path": target.relative_to(folder).as_posix(), "digest": None}
    return one, file.model_copy(update={**place, "content_hash": digest})
