"""Stage `export`: chosen tables for others, with keyed pseudonyms in the place of identifiers and without free text."""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from spanishgas.config import Settings
from spanishgas.contracts import ALL_CONTRACTS, Contract, find_contract
from spanishgas.engine.drafts import draft_folder
from spanishgas.engine.embedded import open_embedded
from spanishgas.engine.integrity import digest_of
from spanishgas.engine.session import Engine
from spanishgas.engine.storage import sync
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import ConfigError, PublishError
from spanishgas.features.table import FAMILIES
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.stages.base import Build, PlainStage, Target, Workspace
from spanishgas.stages.datasets import facts_of

KEY_VARIABLE = "SPANISHGAS_EXPORT_KEY"
SHORTEST_KEY, LETTERS = 32, 32
LAYERS = ("silver", "gold")
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Exported:
    """One table as it was exported.

    Attributes:
        table: ``layer/table``.
        publication: The publication that it is of.
        content_hash: Digest of the rows that it was made of.
        contract_version: Version of its contract.
        rows: Rows.
        kept: Columns as they were.
        replaced: Columns that hold pseudonyms.
        left_out: Column -> why it was left out.
        files: File -> SHA-256 of its bytes.
    """

    table: str
    publication: str
    content_hash: str
    contract_version: int
    rows: int
    kept: tuple[str, ...]
    replaced: tuple[str, ...]
    left_out: Mapping[str, str]
    files: Mapping[str, str]


class Export(PlainStage):
    """Publishes nothing under the data root, and is never cached."""

    name = "export"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date of what is exported."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """No targets: nothing is published.

        Raises:
            ConfigError: The key, the tables, the folder or a library are missing or not allowed.
            PublishError: A table is not published.
        """
        _key()
        _need_delta(settings.export.formats)
        _folder(settings, store)
        for table in settings.export.tables:
            _found(store, table, settings.run_date)
        return ()

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Nothing to make: there are no targets.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Writes the tables beside the folder, then puts the folder in place as a whole."""
        into, key = _folder(settings, store), _key()
        done: list[Exported] = []
        with draft_folder(into.parent, into.name) as folder:
            draft, scratch = folder / "tables", folder / "scratch"
            draft.mkdir()
            scratch.mkdir()
            with open_embedded(settings.engine, scratch) as engine:
                for table in settings.export.tables:
                    manifest, name = _found(store, table, settings.run_date)
                    run.log_datasets([facts_of(store, manifest, name)], "input")
                    done.append(_export(engine, store, manifest, name, key, draft, settings.export.formats))
            told = {
                "data": settings.data.name,
                "run_id": run.id,
                "run_date": settings.run_date.isoformat(),
                "pseudonyms": f"HMAC-SHA-256 of column name and value, the first {LETTERS} hexadecimal digits; equal "
                "values of a column have equal pseudonyms in all tables that were exported with the same key",
                "key": hmac.new(key, b"the key of this export", hashlib.sha256).hexdigest()[:16],
                "caution": "Pseudonymised is not anonymous: dates, places and consumption may tell who somebody is.",
                "tables": [asdict(one) for one in done],
            }
            (draft / MANIFEST).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            for file in sorted(one for one in draft.rglob("*") if one.is_file()):
                sync(file)
            if into.exists():
                into.rename(folder / "before")  # goes with the draft
            draft.rename(into)
        return _log(run, into, done, json.dumps(told, indent=1) + "\n")


def _key() -> bytes:
    """The key of the pseudonyms.

    Raises:
        ConfigError: It is missing or too short.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < SHORTEST_KEY:
        found = f"it has {len(key)} characters" if key else "it is not set"
        raise ConfigError(
            f"an export needs a key of at least {SHORTEST_KEY} characters; {found}",
            where=KEY_VARIABLE,
            todo="Set it in the environment, e.g. by `openssl rand -hex 32`, and keep it to join later exports",
        )
    return key.encode()


def _folder(settings: Settings, store: TableStore) -> Path:
    """Where to write.

    Raises:
        ConfigError: No folder is given, it lies under the data root, it is there already, or no table is asked for.
    """
    wanted = settings.export
    if wanted.into is None or not wanted.tables:
        raise ConfigError(
            "an export needs tables and a folder",
            where="export",
            todo="Say export.tables=[gold/recommendations] export.into=FOLDER",
        )
    into = wanted.into.resolve()
    if into.is_relative_to(store.root.resolve()) or store.root.resolve().is_relative_to(into):
        raise ConfigError("the folder must lie outside the data root", where=f"export.into={wanted.into}")
    if into.exists() and not settings.force:
        raise ConfigError(
            "the folder is there already",
            where=f"export.into={wanted.into}",
            todo="Name another, or say force=true to replace it",
        )
    if into.exists() and not (into / MANIFEST).is_file():
        raise ConfigError("the folder holds something else than an export", where=f"export.into={wanted.into}")
    return into


def _found(store: TableStore, table: str, run_date: date) -> tuple[Manifest, str]:
    """The publication with a table, the newest at or before a day where there is one per date.

    Raises:
        ConfigError: There is no such table.
        PublishError: It is not published.
    """
    layer, _, name = table.partition("/")
    known = sorted(f"{one.layer}/{one.name}" for one in ALL_CONTRACTS if one.layer in LAYERS)
    if table not in known:
        raise ConfigError(f"there is no table {table!r}", where="export.tables", examples=known)
    found = [
        manifest
        for publication in store.publications(layer)
        if publication.value <= run_date.isoformat() or not publication.partition
        for manifest in [store.find(publication)]
        if manifest is not None and name in manifest.tables and manifest.tables[name].files
    ]
    if not found:
        raise PublishError(f"{table} is not published at or before {run_date}", where=str(store.place))
    return max(found, key=lambda one: (one.publication.value, one.created_at)), name


def _export(
    engine: Engine, store: TableStore, manifest: Manifest, name: str, key: bytes, folder: Path, formats: Sequence[str]
) -> Exported:
    layer, published = manifest.publication.layer, manifest.tables[name]
    contract = find_contract(layer, name)
    rows = engine.scan(store.files(manifest, name))
    replaced, left_out = treatment(contract, rows.columns)
    kept = [one for one in rows.columns if one not in replaced and one not in left_out]
    for column in replaced:
        rows = _with_pseudonyms(engine, rows, column, key)
    order = [*replaced, *(one for one in contract.primary_key if one in kept)]
    target = folder / f"{layer}.{name}.parquet"
    # In the order of the pseudonyms: that of the identifiers would tell something of them.
    engine.write(rows.select(*[one for one in rows.columns if one in kept or one in replaced]), target, order_by=order)
    files = [target]
    if "csv" in formats:
        files.append(_as_csv(target))
    if "delta" in formats:
        files += _as_delta(target, contract.description)
    if "parquet" not in formats:
        target.unlink()
        files.remove(target)
    return Exported(
        table=f"{layer}/{name}",
        publication=str(manifest.publication),
        content_hash=published.content_hash,
        contract_version=published.contract_version,
        rows=published.rows,
        kept=tuple(kept),
        replaced=tuple(replaced),
        left_out=left_out,
        files={file.relative_to(folder).as_posix(): digest_of(file) for file in files},
    )


def treatment(contract: Contract, columns: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Which columns of a table get pseudonyms, and which are left out, and why.

    Args:
        contract: The table's contract: it says which columns identify somebody or may hold anything.
        columns: The columns that the table has; of those that no contract and no feature declares nobody knows what
            they hold.
    """
    told = {column.name: column.personal for column in contract.columns}
    features = {feature.name for family in FAMILIES for feature in family.declared({})}
    replaced = [one for one in columns if told.get(one) == "identifier"]
    left_out = {one: "may hold anything" for one in columns if told.get(one) == "free"}
    left_out |= {one: "declared nowhere" for one in columns if one not in told and one not in features}
    return replaced, left_out


def _with_pseudonyms(engine: Engine, rows: ir.Table, column: str, key: bytes) -> ir.Table:
    values = engine.frame(rows.select(column).distinct())[column].dropna().astype(str)
    called = [hmac.new(key, f"{column}\0{value}".encode(), hashlib.sha256).hexdigest()[:LETTERS] for value in values]
    names = engine.table(
        pd.DataFrame({"_value": values.to_numpy(object), "_called": called}, dtype="object").astype("string")
    )
    joined = rows.mutate(_key=rows[column].cast("string")).left_join(names, [("_key", "_value")])
    return joined.mutate(**{column: joined["_called"]}).select(*rows.columns)


def _as_csv(file: Path) -> Path:
    target = file.with_suffix(".csv")
    with pq.ParquetFile(file) as source, pyarrow.csv.CSVWriter(target, source.schema_arrow) as writer:
        for batch in source.iter_batches():
            writer.write_batch(batch)
    return target


def _as_delta(file: Path, description: str) -> list[Path]:
    """A table of Delta Lake with one version, batch by batch; the files of its folder."""
    from deltalake import write_deltalake

    target = file.with_suffix(".delta")
    with pq.ParquetFile(file) as source:
        rows = pa.RecordBatchReader.from_batches(source.schema_arrow, source.iter_batches())
        write_deltalake(target, rows, name=file.stem, description=description)
    return sorted(one for one in target.rglob("*") if one.is_file())


def _need_delta(formats: Sequence[str]) -> None:
    """Asks for the library before anything is made.

    Raises:
        ConfigError: It is not installed.
    """
    if "delta" in formats and find_spec("deltalake") is None:
        raise ConfigError(
            "delta needs a library that is not installed",
            where="export.formats",
            todo="pip install 'spanishgas[delta]', or do without",
        )


def _log(run: RunLog, into: Path, done: Sequence[Exported], manifest: str) -> str:
    rows = sum(one.rows for one in done)
    run.log_metrics({"exported_tables": float(len(done)), "exported_rows": float(rows)})
    run.log_text(manifest, MANIFEST)
    headline = f"{rows:,} rows of {len(done)} tables in {into}"
    lines = [
        "# Export without names",
        "",
        f"{headline}. Pseudonymised is not anonymous.",
        "",
        "| table | of | rows | pseudonyms | left out |",
        "| --- | --- | ---: | --- | --- |",
        *(
            f"| {one.table} | {one.publication} | {one.rows:,} | {', '.join(one.replaced)} | "
            f"{', '.join(one.left_out)} |"
            for one in done
        ),
        "",
    ]
    text = "\n".join(lines)
    run.log_text(text, "report.md")
    run.describe(text)
    return headline


STAGE = Export()
