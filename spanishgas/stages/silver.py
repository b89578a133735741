"""Stage `silver`: from landed sources to clean tables, a quarantine and a quality report."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field

from spanishgas.bronze import extras_dataset
from spanishgas.config import ExtraTable, QualitySettings, Settings, SourcePart, SourceSettings
from spanishgas.contracts import SILVER_TABLES, SOURCES
from spanishgas.contracts.bronze import INGESTION_LOG, REJECTS
from spanishgas.contracts.silver import DELIVERY_FIGURES
from spanishgas.engine.store import DataFile, Manifest, Publication, TableStore
from spanishgas.errors import PublishError
from spanishgas.quality import TABLE_GATES, TableFacts, accepted_tags, figures_of, judge, refusal, table_facts
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.silver import TABLE_OF, RawPart, RawSource, SilverResult, build_silver, plot_quality, render_quality
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.gates import last_delivery, remember, with_gates
from spanishgas.stages.ingest import LANDING

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
        result = build_silver(
            workspace.engine,
            sources=_sources(workspace, landed, view),
            extras=_extras(workspace, landed, view),
            rejects=_rejects(workspace, landed),
            timezone=view.timezone,
            progress=workspace.progress,
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
        # What is in order already is not sorted again.
        order: dict[str, Sequence[str]] = dict.fromkeys(result.in_order, ())
        product = Product(tables=tables, contracts=CONTRACTS, order_by=order, metrics=metrics, tags=tags)
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
        found = store.newest("bronze", LANDING, settings.run_date)
        landed = None if found is None or settings.data.extracted_on else store.find(found)
        if landed is not None:
            day = date.fromisoformat(landed.publication.value)
            verdicts = judge(STALE, _aged(manifest, landed, day), settings.quality)
            refused = refusal(verdicts, f"the delivery of {settings.data.name} of {day}")
            if refused is not None:
                raise refused
        return ""


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
    return RawPart(settings=part, table=rows, seen=seen)


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
