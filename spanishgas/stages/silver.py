"""Stage `silver`: from landed sources to clean tables, a quarantine and a quality report."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, Field

from spanishgas.bronze import extras_dataset
from spanishgas.config import ExtraTable, QualitySettings, Settings, SourceSettings
from spanishgas.contracts import SILVER_TABLES, SOURCES
from spanishgas.contracts.bronze import REJECTS
from spanishgas.contracts.silver import DELIVERY_FIGURES
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import PublishError
from spanishgas.quality import TABLE_GATES, accepted_tags, figures_of, judge, refusal, table_facts
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.silver import TABLE_OF, RawPart, RawSource, SilverResult, build_silver, plot_quality, render_quality
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.gates import last_delivery, remember, with_gates
from spanishgas.stages.ingest import LANDING

SILVER = Publication(layer="silver", name="silver")
CONTRACTS = {contract.name: contract for contract in SILVER_TABLES}


class SilverSettings(BaseModel):
    """What silver depends on beside the landed files."""

    model_config = ConfigDict(frozen=True)

    data: str
    sources: dict[str, SourceSettings]
    extras: tuple[ExtraTable, ...]
    timezone: str
    extracted_on: date
    # Gates decide whether silver is published, not what.
    quality: QualitySettings = Field(exclude=True)


class Silver(PlainStage):
    """Reads the newest landing at or before the run date and publishes all silver tables at once."""

    name = "silver"
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
                where=str(store.root / "bronze"),
                todo=f"Run `{command}` first",
            )
        landed = store.read(found, made_by=command)
        data = settings.data
        view = SilverSettings(
            data=data.name,
            sources=data.sources,
            extras=data.extras,
            timezone=data.timezone,
            extracted_on=data.extracted_on or date.fromisoformat(found.value),
            quality=settings.quality,
        )
        return [Target(SILVER, view, {"bronze": landed.content_hash}, {"bronze": landed})]

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
        """Remembers the figures of the delivery, for the next to be held against."""
        remember(store, manifests[0])
        return ""


def _sources(workspace: Workspace, landed: Manifest, view: SilverSettings) -> dict[str, RawSource]:
    """Every source of the contracts; one that the data set does not have has no parts."""
    sources: dict[str, RawSource] = {}
    for contract in SOURCES:
        source = view.sources.get(contract.name, SourceSettings(absent="not configured"))
        parts = tuple(
            RawPart(settings=part, table=_scan(workspace, landed, contract.name, number))
            for number, part in enumerate(source.parts)
            if contract.name in landed.tables
        )
        sources[contract.name] = RawSource(contract, source, parts, view.extracted_on)
    return sources


def _extras(workspace: Workspace, landed: Manifest, view: SilverSettings) -> list[tuple[ExtraTable, RawPart]]:
    return [
        (extra, RawPart(settings=extra.part, table=_scan(workspace, landed, extras_dataset(number), 0)))
        for number, extra in enumerate(view.extras)
    ]


def _rejects(workspace: Workspace, landed: Manifest) -> ir.Table:
    return workspace.engine.scan(workspace.store.files(landed, REJECTS.name))


def _scan(workspace: Workspace, landed: Manifest, table: str, part: int) -> ir.Table:
    files = [file for file in landed.tables[table].files if file.part == part]
    return workspace.engine.scan(
        workspace.store.checked(landed, files), origins=[file.origin or file.path for file in files]
    )


def _headline(result: SilverResult, quality: Any) -> str:
    quarantined = int(result.facts.get("quarantined_rows", 0))
    flagged = int((quality["affected"] > 0).sum())
    return f"{len(result.tables)} tables, {quarantined:,} rows in quarantine, {flagged} quality checks with findings"


STAGE = Silver()
