"""Stage `ingest`: raw files landed as they are, with a log of what was found in them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from pydantic import Field

from spanishgas.bronze import (
    Earlier,
    Landed,
    RawFile,
    build_ingestion_log,
    build_rejects,
    content_hash,
    drop_rows,
    earlier_files,
    fetch_rows,
    fetched_rows,
    first_seen,
    land_source,
    locate_sources,
    without_erased,
)
from spanishgas.bronze.locate import extras_dataset
from spanishgas.config import DataSettings, QualitySettings, Settings, SettingsModel, SourceSettings
from spanishgas.contracts import SOURCES, Contract
from spanishgas.contracts.bronze import INGESTION_LOG, REJECTS
from spanishgas.engine.embedded import EmbeddedEngine, open_embedded
from spanishgas.engine.fingerprint import code_digest, lock_digest
from spanishgas.engine.store import DataFile, Manifest, Publication, TableStore, write_frame
from spanishgas.engine.suppression import Suppression
from spanishgas.errors import PublishError
from spanishgas.quality import LANDING_GATES, LandingFacts, accepted_tags, figures_of, judge, refusal
from spanishgas.readers import HashCache
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.gates import with_gates

LANDING = "ingest"
CONTRACTS: dict[str, Contract] = {contract.name: contract for contract in SOURCES}
HASHES = "raw_file_hashes.json"
LOG = "ingestion_log.parquet"
FETCHED = "fetched"
# What `demo_data` publishes.
RAW = "demo"


class IngestSettings(SettingsModel):
    """What landing depends on beside the raw files; the gates decide whether it is published and not what is."""

    data: DataSettings
    quality: QualitySettings = Field(exclude=True)
    # Whether files that an earlier landing has are landed again: the same comes out.
    force: bool = Field(exclude=True)


class Ingest(PlainStage):
    """Lands every raw file of a data set under one run date."""

    name = "ingest"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The partition of the run date; every raw file is an input, and the rows of every database are fetched.

        Raises:
            SourceError: Required sources are missing, one error lists them all; or a database cannot be read.
        """
        hashes = HashCache(_hash_file(store))
        found = list(_all_files(locate_sources(_with_raw_files(settings.data, store))))
        if any(raw.settings.sql for raw in found):
            folder = _fetched(store)
            drop_rows(folder, ())
            with open_embedded(settings.engine, folder / "scratch") as engine:
                found = [fetch_rows(engine, raw, folder) if raw.settings.sql else raw for raw in found]
        inputs = {_key(raw): content_hash(raw, raw.digest or hashes.digest(raw.path)) for raw in found}
        hashes.save()
        view = IngestSettings(data=_without_dates(settings.data), quality=settings.quality, force=settings.force)
        return [Target(landing_of(settings), view, inputs)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Lands the files, source by source, without the customers who were erased; unchanged ones are named again.

        Raises:
            SourceError: Files cannot be read as configured.
            PublishError: There is a list of erased customers that cannot be used.
        """
        (target,) = targets
        view = target.settings
        assert isinstance(view, IngestSettings)
        folder = workspace.drafts[target.publication]
        hashes = HashCache(_hash_file(workspace.store))
        erased = Suppression.of(workspace.store.storage)
        extras = {extras_dataset(number): extra for number, extra in enumerate(view.data.extras)}
        earlier = _earlier(workspace.store, target.publication)
        if view.force:
            earlier = replace(earlier, files={})
        landed = [
            land_source(
                _engine(workspace),
                [_with_rows(workspace, raw, target.inputs) for raw in files],
                folder / dataset,
                contract=CONTRACTS.get(dataset),
                hashes=hashes,
                extras=extras.get(dataset),
                earlier=earlier,
                progress=workspace.progress,
            )
            for dataset, files in locate_sources(_with_raw_files(view.data, workspace.store)).items()
        ]
        landed = without_erased(workspace.engine, landed, erased)
        verdicts = judge(LANDING_GATES, _facts(workspace.store, view.data, landed, target.publication), view.quality)
        run_date = date.fromisoformat(target.publication.value)
        log = build_ingestion_log(run_date, landed)
        product = Product(
            tables={REJECTS.name: build_rejects(landed), INGESTION_LOG.name: log},
            contracts={**CONTRACTS, REJECTS.name: REJECTS, INGESTION_LOG.name: INGESTION_LOG},
            landed={source.dataset: list(_landed_files(source, run_date)) for source in landed},
            landed_columns={source.dataset: _schema(source) for source in landed},
            metrics=_metrics(landed) | figures_of(verdicts),
            tags={"absent_sources": ", ".join(_absent(view.data, landed)) or "none"}
            | accepted_tags(verdicts, view.quality),
        )
        return Build(
            {target.publication: product},
            with_gates(_report(view.data, landed, log), LANDING_GATES, verdicts, view.quality),
            refusal(verdicts, f"the delivery of {view.data.name} of {target.publication.value}"),
        )

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Writes `bronze/_meta/ingestion_log.parquet`: the logs of all run dates; forgets rows that wait no longer."""
        drop_rows(_fetched(store), {digest for manifest in manifests for digest in manifest.inputs.values()})
        with store.lock(Publication(layer="bronze", name=INGESTION_LOG.name)):
            files = [
                file
                for publication in store.partitions("bronze", LANDING)
                for manifest in [store.find(publication)]
                if manifest is not None
                for file in store.files(manifest, INGESTION_LOG.name)
            ]
            whole = pd.concat([_frame(file) for file in files], ignore_index=True)
            # Logs of earlier releases do not know the column.
            whole["first_seen"] = whole.get("first_seen", whole["run_date"]).fillna(whole["run_date"])
            write_frame(store, f"bronze/_meta/{LOG}", whole)
        return ""


def landing_of(settings: Settings) -> Publication:
    """The publication of a run date's landing."""
    return Publication(layer="bronze", name=LANDING, partition=f"run_date={settings.run_date.isoformat()}")


def _without_dates(data: DataSettings) -> DataSettings:
    """The data set without what landing does not read, so that it does not decide whether to land again."""
    told = {name: getattr(data, name) for name in ("name", "root", "raw", "sources", "extras")}
    return DataSettings(**told, run_date=date.min, as_of=date.min)


def _with_raw_files(data: DataSettings, store: TableStore) -> DataSettings:
    """The data set with the folder in which its raw files lie on this machine."""
    if isinstance(data.raw, Path):
        return data
    return data.model_copy(update={"raw": store.current(Publication(layer="raw", name=RAW))})


def _hash_file(store: TableStore) -> Path:
    return store.root / "bronze" / "_meta" / HASHES


def _fetched(store: TableStore) -> Path:
    """Where the rows of databases wait between the planning and the landing."""
    return store.root / "bronze" / "_meta" / FETCHED


def _key(raw: RawFile) -> str:
    return f"{raw.dataset}/{raw.part}/{raw.origin}"


def _engine(workspace: Workspace) -> EmbeddedEngine:
    """Files land on one machine."""
    assert isinstance(workspace.engine, EmbeddedEngine)
    return workspace.engine


def _with_rows(workspace: Workspace, raw: RawFile, inputs: Mapping[str, str]) -> RawFile:
    if raw.settings.sql is None:
        return raw
    return fetched_rows(_engine(workspace), raw, inputs[_key(raw)], _fetched(workspace.store), workspace.progress)


def _all_files(found: Mapping[str, Sequence[RawFile]]) -> Iterator[RawFile]:
    for files in found.values():
        yield from files


def _landed_files(source: Landed, run_date: date) -> Iterator[LandedFile]:
    for file in source.files:
        yield LandedFile(
            path=file.path,
            rows=file.content.rows,
            content_hash=file.content_hash,
            origin=file.raw.origin,
            part=file.raw.part,
            made_from=file.made_from,
            seen=first_seen(file, run_date),
            earlier=file.earlier,
        )


def _code() -> str:
    """Digest of the code that decides what a raw file is landed as."""
    return f"{code_digest(land_source.__module__)} {lock_digest()}"


def _earlier(store: TableStore, publication: Publication) -> Earlier:
    """Files of the landing before a run date, or of this run date where it is landed again."""
    before = store.newest("bronze", LANDING, date.fromisoformat(publication.value))
    try:
        found = None if before is None else store.find(before)
        if found is None:
            return Earlier(code=_code())
        log, rejects = (
            pd.concat([_frame(file) for file in store.files(found, name)])
            for name in (INGESTION_LOG.name, REJECTS.name)
        )
    except PublishError:  # damaged: whoever reads it is told so, and nothing of it is used here
        return Earlier(code=_code())

    def checked(file: DataFile) -> Path | None:
        try:
            return store.checked(found, [file])[0]
        except PublishError:
            return None

    return earlier_files(found, log, rejects, _code(), checked)


def _frame(file: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(file, partitioning=None).to_pandas()
    return frame


def _facts(
    store: TableStore, data: DataSettings, landed: Sequence[Landed], publication: Publication
) -> list[LandingFacts]:
    """What the gates look at: every source that has files, or had rows in the last delivery before this run date."""
    before = store.newest("bronze", LANDING, date.fromisoformat(publication.value) - timedelta(days=1))
    last = None if before is None else store.find(before)
    by_name = {source.dataset: source for source in landed}
    facts = []
    for name in dict.fromkeys([*CONTRACTS, *by_name]):
        source, known = by_name.get(name), last.tables.get(name) if last is not None else None
        gone = source is None and known is not None and name in data.sources and data.sources[name].absent is None
        if source is None and not gone:
            continue
        facts.append(
            LandingFacts(
                source=name,
                files=len(source.files) if source is not None else 0,
                rows=source.rows if source is not None else 0,
                cut_off=tuple(file.raw.origin for file in source.files if file.content.cut_off) if source else (),
                last_rows=known.rows if known is not None else None,
                last_date=before.value if before is not None else "",
            )
        )
    return facts


def _schema(source: Landed) -> dict[str, str]:
    schema: dict[str, str] = {}
    for file in source.files:
        schema |= file.content.schema
    return schema


def _metrics(landed: Sequence[Landed]) -> dict[str, float]:
    files = [file for source in landed for file in source.files]
    metrics = {
        "raw_files": float(len(files)),
        "raw_bytes": float(sum(file.bytes for file in files)),
        "raw_rows": float(sum(source.rows for source in landed)),
        "rejected_rows": float(sum(source.rejected for source in landed)),
        "schema_differences": float(sum(len(file.differences) for file in files)),
    }
    return metrics | {f"rejected_{source.dataset}": float(source.rejected) for source in landed if source.rejected}


def _absent(data: DataSettings, landed: Sequence[Landed]) -> dict[str, str]:
    """Sources that the data set does not have -> why."""
    have = {source.dataset for source in landed}
    configured: Mapping[str, SourceSettings] = data.sources
    return {
        name: (configured[name].absent if name in configured else None) or "optional, and there are no such files"
        for name in CONTRACTS
        if name not in have
    }


def _report(data: DataSettings, landed: Sequence[Landed], log: pd.DataFrame) -> Report:
    lines = [f"# Ingestion of {data.name}", "", "| dataset | files | MiB | rows | unreadable rows | differences |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for source in landed:
        size = sum(file.bytes for file in source.files) / 2**20
        differences = sum(len(file.differences) for file in source.files)
        lines.append(
            f"| {source.dataset} | {len(source.files)} | {size:,.1f} | {source.rows:,} | {source.rejected:,} "
            f"| {differences} |"
        )
    absent = _absent(data, landed)
    if absent:
        lines += ["", "Absent sources; features that need them are null:", ""]
        lines += [f"- `{name}`: {why}" for name, why in absent.items()]
    lines += ["", "## Differences to the contracts", ""]
    told = {
        f"- `{source.dataset}` {difference.column}: {difference.kind.replace('_', ' ')} ({difference.detail})"
        for source in landed
        for file in source.files
        for difference in file.differences
    }
    lines += sorted(told) or ["None."]
    rows, bytes_ = int(log["rows"].sum()), int(log["bytes"].sum())
    headline = (
        f"{rows:,} rows from {len(log)} files ({bytes_ / 2**20:,.1f} MiB), {int(log['rejected'].sum()):,} unreadable"
    )
    schemas = {f"{row.dataset}/{row.source_file}": json.loads(str(row.schema)) for row in log.itertuples(index=False)}
    texts = {
        "ingestion_log.csv": log.drop(columns="schema").to_csv(index=False),
        "schemas.json": json.dumps(schemas, indent=1, ensure_ascii=False) + "\n",
    }
    return Report(markdown="\n".join(lines) + "\n", texts=texts, headline=headline)


STAGE = Ingest()
