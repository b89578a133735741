"""Stage `silver`: from landed sources to clean tables, a quarantine and a quality report."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field

from spanishgas.bronze import extras_dataset
from spanishgas.config import ExtraTable, QualitySettings, Settings, SourcePart, SourceSettings
from spanishgas.contracts import SILVER_TABLES, SOURCES
from spanishgas.contracts.bronze import INGESTION_LOG, REJECTS
from spanishgas.contracts.silver import CONSUMPTION_DAILY, DELIVERY_FIGURES
from spanishgas.engine.embedded import EmbeddedEngine
from spanishgas.engine.fingerprint import code_digest, lock_digest
from spanishgas.engine.store import DataFile, Manifest, Publication, TableStore
from spanishgas.errors import PublishError
from spanishgas.quality import TABLE_GATES, TableFacts, accepted_tags, figures_of, judge, refusal, table_facts
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.silver import (
    HOURLY,
    TABLE_OF,
    Before,
    Keeping,
    Month,
    RawPart,
    RawSource,
    SilverResult,
    as_landed,
    build_silver,
    plot_quality,
    render_quality,
)
from spanishgas.stages.base import Build, PlainStage, Product, Report, TablePart, Target, Workspace
from spanishgas.stages.gates import last_delivery, remember, with_gates
from spanishgas.stages.ingest import LANDING
from spanishgas.stages.readings_left import forget_others, left_beside, what_is_left

SILVER = Publication(layer="silver", name="silver")
CONTRACTS = {contract.name: contract for contract in SILVER_TABLES}
# What silver that is found published has to be asked again: days go by.
STALE = tuple(gate for gate in TABLE_GATES if gate.name == "stale")


class SilverSettings(BaseModel):
    """What silver depends on beside the landed files."""

    model_config = ConfigDict(frozen=True)

    data: str
    sources: dict[str, SourceSettings]
    extras: tuple[ExtraTable, ...]
    timezone: str
    extracted_on: date
    # Landed file -> day on which its contents were first landed, where that was before the extraction.
    first_seen: dict[str, date]
    # Gates decide whether silver is published, not what.
    quality: QualitySettings = Field(exclude=True)
    # Whether days that did not change are made again: the same comes out.
    force: bool = Field(exclude=True)


class Silver(PlainStage):
    """Reads the newest landing at or before the run date and publishes all silver tables at once."""

    name = "silver"
    spreads = True
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The silver publication.

        Raises:
            PublishError: Nothing has been ingested at or before the run date.
        """
        found = store.newest("bronze", LANDING, settings.run_date)
        command = f"ingest -P run_date={settings.run_date}"
        if found is None:
            raise PublishError(
                f"nothing has been ingested at or before {settings.run_date}",
                where=store.where("bronze"),
                todo=f"Run `{command}` first",
            )
        landed = store.read(found, made_by=command)
        data = settings.data
        seen = {} if data.extracted_on else _first_seen(landed)
        extracted_on = data.extracted_on or max(seen.values(), default=date.fromisoformat(found.value))
        view = SilverSettings(
            data=data.name,
            sources=data.sources,
            extras=data.extras,
            timezone=data.timezone,
            extracted_on=extracted_on,
            first_seen={file: day for file, day in seen.items() if day < extracted_on},
            quality=settings.quality,
            force=settings.force,
        )
        # The log tells when files were landed: another day with the same files is the same silver.
        inputs = {name: table.content_hash for name, table in landed.tables.items() if name != INGESTION_LOG.name}
        return [Target(SILVER, view, inputs, {"bronze": landed})]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Maps, checks and cleans every source."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, SilverSettings)
        landed = target.manifests["bronze"]
        keeping = _keeping(workspace, target, landed)
        result = build_silver(
            workspace.engine,
            sources=_sources(workspace, landed, view),
            extras=_extras(workspace, landed, view),
            rejects=_rejects(workspace, landed),
            timezone=view.timezone,
            progress=workspace.progress,
            keeping=keeping,
        )
        quality = workspace.engine.frame(result.tables["quality"])
        workspace.progress("asking the gates")
        facts, figures = table_facts(
            workspace.engine,
            {source: result.tables[table] for source, table in TABLE_OF.items()},
            {source: CONTRACTS[table] for source, table in TABLE_OF.items()},
            result.delivered,
            view.extracted_on,
            last_delivery(workspace.store, landed.publication.value),
            view.quality,
        )
        verdicts = judge(TABLE_GATES, facts, view.quality)
        tags = {key: value for key, value in result.facts.items() if isinstance(value, str)}
        metrics = {key: float(value) for key, value in result.facts.items() if isinstance(value, int | float)}
        tags["bronze_run_date"] = landed.publication.value
        tags |= accepted_tags(verdicts, view.quality)
        metrics |= figures_of(verdicts)
        tables = {**result.tables, DELIVERY_FIGURES.name: figures}
        parts: dict[str, Sequence[TablePart]] = {}
        if result.months:
            del tables[CONSUMPTION_DAILY.name]
            parts[CONSUMPTION_DAILY.name] = _parts(workspace.store, result.months)
            if result.left is not None:
                left_beside(workspace.store, [one.made_from for one in result.months if one.made_from], result.left)
        # What is in order already is not sorted again.
        order: dict[str, Sequence[str]] = dict.fromkeys(result.in_order, ())
        product = Product(tables=tables, parts=parts, contracts=CONTRACTS, order_by=order, metrics=metrics, tags=tags)
        report = Report(
            markdown=render_quality(quality),
            figures={"quality": plot_quality(quality)},
            texts={"quality.csv": quality.to_csv(index=False)},
            headline=_headline(result, quality),
        )
        return Build(
            {target.publication: product},
            with_gates(report, TABLE_GATES, verdicts, view.quality),
            refusal(verdicts, f"the delivery of {view.data} of {landed.publication.value}"),
        )

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Remembers the figures of the delivery, for the next to be held against; asks again whether it is old by now.

        Raises:
            DeliveryError: The same files have been delivered for too long.
        """
        (manifest,) = manifests
        remember(store, manifest)
        forget_others(store, manifest)
        found = store.newest("bronze", LANDING, settings.run_date)
        landed = None if found is None or settings.data.extracted_on else store.find(found)
        if landed is not None:
            day = date.fromisoformat(landed.publication.value)
            verdicts = judge(STALE, _aged(manifest, landed, day), settings.quality)
            refused = refusal(verdicts, f"the delivery of {settings.data.name} of {day}")
            if refused is not None:
                raise refused
        return ""


def _keeping(workspace: Workspace, target: Target, landed: Manifest) -> Keeping | None:
    """Where the days of each month are written to, and what is published of them; None where they go in one table."""
    view = target.settings
    assert isinstance(view, SilverSettings)
    table = landed.tables.get(HOURLY)
    if not isinstance(workspace.engine, EmbeddedEngine) or table is None:
        return None
    if any(file.digest is None for file in table.files):
        return None
    code = f"{code_digest(__name__)} {lock_digest()}"
    folder = workspace.drafts[target.publication] / CONSUMPTION_DAILY.name
    return Keeping(code, folder, None if view.force else _before(workspace, landed))


def _before(workspace: Workspace, landed: Manifest) -> Before | None:
    """The days that are published, and what the pass that made them has left; None where they cannot be used."""
    store, engine = workspace.store, workspace.engine
    try:
        found = store.find(SILVER)
    except PublishError:  # damaged, so made again
        return None
    # What was erased from must not come back, and what is left beside it knows nothing of it.
    if found is None or "erased_by" in found.tags or CONSUMPTION_DAILY.name not in found.tables:
        return None
    left = what_is_left(store, found)
    if left is None:
        return None
    months: dict[str, Path] = {}
    for file in found.tables[CONSUMPTION_DAILY.name].files:
        with suppress(PublishError):  # damaged, so made again
            months[str(file.made_from)] = store.checked(found, [file])[0]
    try:
        customers, quarantine = (engine.scan(store.files(found, name)) for name in ("customers", "quarantine"))
    except PublishError:
        return None
    return Before(left, months, customers, as_landed(quarantine, _rejects(workspace, landed)))


def _parts(store: TableStore, months: Sequence[Month]) -> list[TablePart]:
    earlier: dict[str | None, DataFile] = {}
    if any(month.earlier for month in months) and (found := store.find(SILVER)) is not None:
        earlier = {file.made_from: file for file in found.tables[CONSUMPTION_DAILY.name].files}
    return [
        TablePart(month.file, month.made_from, earlier[month.earlier] if month.earlier else None) for month in months
    ]


def _sources(workspace: Workspace, landed: Manifest, view: SilverSettings) -> dict[str, RawSource]:
    """Every source of the contracts; one that the data set does not have has no parts."""
    sources: dict[str, RawSource] = {}
    for contract in SOURCES:
        source = view.sources.get(contract.name, SourceSettings(absent="not configured"))
        parts = tuple(
            _raw_part(workspace, landed, view, contract.name, number, part)
            for number, part in enumerate(source.parts)
            if contract.name in landed.tables
        )
        sources[contract.name] = RawSource(contract, source, parts, view.extracted_on)
    return sources


def _extras(workspace: Workspace, landed: Manifest, view: SilverSettings) -> list[tuple[ExtraTable, RawPart]]:
    return [
        (extra, _raw_part(workspace, landed, view, extras_dataset(number), 0, extra.part))
        for number, extra in enumerate(view.extras)
    ]


def _rejects(workspace: Workspace, landed: Manifest) -> ir.Table:
    return workspace.engine.scan(workspace.store.files(landed, REJECTS.name))


def _raw_part(
    workspace: Workspace, landed: Manifest, view: SilverSettings, table: str, number: int, part: SourcePart
) -> RawPart:
    files = [file for file in landed.tables[table].files if file.part == number]
    names = [file.origin or file.path for file in files]
    seen: dict[date, list[str]] = {}
    for file, name in zip(files, names, strict=True):
        day = view.first_seen.get(_place(table, file))
        if day is not None:
            seen.setdefault(day, []).append(name)
    rows = workspace.engine.scan(workspace.store.checked(landed, files), origins=names)
    digests = {name: f"{file.digest}" for file, name in zip(files, names, strict=True) if file.digest}
    return RawPart(settings=part, table=rows, seen=seen, digests=digests)


def _first_seen(landed: Manifest) -> dict[str, date]:
    """Landed file -> day on which its contents were first landed."""
    return {
        _place(name, file): date.fromisoformat(file.seen or landed.publication.value)
        for name, table in landed.tables.items()
        for file in table.files
        if file.origin
    }


def _aged(manifest: Manifest, landed: Manifest, day: date) -> list[TableFacts]:
    """Facts on the age of sources whose files were landed again on a later day, and did not change."""
    passed = day - max(_first_seen(landed).values(), default=day)
    if not passed:
        return []
    figures = {source: manifest.metrics.get(f"gate_{STALE[0].name}.{source}") for source in TABLE_OF}
    return [
        TableFacts(source, day, newest=day - passed - timedelta(days=days))
        for source, days in figures.items()
        if days is not None
    ]


def _place(table: str, file: DataFile) -> str:
    return f"{table}/{file.part}/{file.origin}"


def _headline(result: SilverResult, quality: Any) -> str:
    quarantined = int(result.facts.get("quarantined_rows", 0))
    flagged = int((quality["affected"] > 0).sum())
    return f"{len(result.tables)} tables, {quarantined:,} rows in quarantine, {flagged} quality checks with findings"


STAGE = Silver()
