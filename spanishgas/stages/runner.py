"""One way to run every stage: resolve, lock, skip or call, check, publish, log.

What a stage publishes is decided by its fingerprint: where that is published already, the run is marked as cached and
repeats the figures of the run that made it.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
from rich.console import Console

from spanishgas.config import Settings
from spanishgas.contracts import Contract, find_contract
from spanishgas.engine.content import RowsHash, digest_of_files, hash_file
from spanishgas.engine.embedded import open_embedded
from spanishgas.engine.fingerprint import code_digest, fingerprint, lock_digest
from spanishgas.engine.session import Engine, open_engine
from spanishgas.engine.store import (
    GO_BACK,
    DataFile,
    Draft,
    Manifest,
    Publication,
    PublishedTable,
    TableStore,
    joined_digest,
)
from spanishgas.errors import ContractError, LaterReleaseError, PublishError, SpanishGasError
from spanishgas.failures import PLACE, STAGE, STEP, note
from spanishgas.registry import ModelRegistry, RunLog, Tracker
from spanishgas.stages.base import Build, Product, Progress, Report, Stage, TablePart, Target, Workspace
from spanishgas.stages.checks import check_table
from spanishgas.stages.datasets import facts_of
from spanishgas.stages.display import Display
from spanishgas.stages.figures import COST, MOST, ROWS, TABLE, metrics_of, table_of
from spanishgas.stages.memory import peak_mib, reset_peak
from spanishgas.stages.open_lineage import lineage_events
from spanishgas.stages.parameters import parameters_of, recorded

PROVENANCE = "provenance.json"
# Name of a stage, its run, and what the run's result hangs on beside its settings.
Begun = Callable[[str, RunLog, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """How a stage's run ended.

    Attributes:
        stage: Name of the stage.
        run_id: Its tracked run.
        cached: Whether nothing had to be made.
        seconds: Seconds from the opening of the run to its end.
        manifests: What is published now.
        headline: One or two lines for the terminal.
    """

    stage: str
    run_id: str
    cached: bool
    seconds: float
    manifests: tuple[Manifest, ...]
    headline: str


def run_stage(
    stage: Stage,
    settings: Settings,
    tracker: Tracker,
    *,
    parent: RunLog | None = None,
    console: Display | None = None,
    begun: Begun | None = None,
) -> Outcome:
    """Runs one stage as a tracked run.

    Args:
        stage: The stage.
        settings: Resolved settings.
        tracker: The tracking store.
        parent: The run to nest under.
        console: Where progress is shown; None shows it on standard error.
        begun: Told of the run's provenance before anything is made.

    Raises:
        SpanishGasError: An input is missing or breaks its contract, an output does, or another run holds the partition.
            The run is marked as failed, with the message; nothing is published.
    """
    console = console if console is not None else Console(stderr=True, highlight=False)
    reset_peak()
    tags = {"stage": stage.name, "data": settings.data.name, **stage.tags(settings)}

    def tell(text: str) -> None:
        console.print(f"{stage.name}: {text}", markup=False)

    with (
        tracker.run(_name_of(stage.name, tags), tags=tags, parent=parent) as run,
        lineage_events(f"{settings.data.name}.{stage.name}", run.id, tell) as events,
        _placing(stage, settings) as at,
    ):
        started = time.perf_counter()
        run.log_parameters(parameters_of(stage.name, settings))
        run.log_config(recorded(settings))
        store = TableStore.of(settings.data.root, settings.storage)
        store.forget_copies()
        for request in stage.requests(settings, store):
            if request.if_stale and is_current(request.stage, request.settings, store, run.models):
                continue
            run_stage(request.stage, request.settings, tracker, parent=run, console=console)
        at("looking at the inputs")
        with console.status(f"{stage.name}: looking at the inputs"):
            targets = stage.plan(settings, store, run.models)
        for target in targets:
            _check_versions(target)
        inputs = [found for target in targets for found in target.manifests.values()]
        _log_tables(run, store, inputs, "input")
        events.reads(inputs)
        run.log_models(version for target in targets for version in target.models.values())
        prints = _fingerprints(stage, targets)
        run.set_tags({"fingerprint": ",".join(sorted({prints[target.publication][:16] for target in targets}))})
        provenance = _provenance(stage, targets, prints)
        run.log_text(json.dumps(provenance, indent=1), PROVENANCE)
        if begun is not None:
            begun(stage.name, run, provenance)
        with store.lock(*(target.publication for target in targets)):
            _refuse_later(store, targets)
            damaged: list[str] = []
            with console.status(f"{stage.name}: checking what is published"):
                published = _published(store, prints, force=settings.force, damaged=damaged)
            if damaged:
                run.set_tags({"damaged": ", ".join(damaged)})
                tell(f"damaged, so made again: {', '.join(damaged)}")
            pending = [target for target in targets if target.publication not in published]
            if pending:
                with console.status(f"{stage.name}: starting") as status:

                    def say(text: str) -> None:
                        at(text)
                        status.update(f"{stage.name}: {text}")

                    build, made = _make(stage, settings, store, pending, prints, run, tracker, say)
                published.update(made)
            else:
                build = Build(products={}, report=Report(markdown=""))
        cached = bool(targets) and not pending
        manifests = tuple(published[target.publication] for target in targets)
        events.publishes(manifests)
        at("telling what is published")
        _log_figures(stage, run, _figures_of(manifests))
        try:
            told = stage.finish(settings, store, manifests, run)
        except SpanishGasError:
            # What was published stays published: a run that fails after it shows the same figures as any other.
            seconds = time.perf_counter() - started
            _log_outcome(run, store, manifests, build.report, cached=cached, seconds=seconds)
            raise
        seconds = time.perf_counter() - started
        _log_outcome(run, store, manifests, build.report, cached=cached, seconds=seconds)
    headline = build.report.headline or told or _cached_headline(manifests)
    return Outcome(stage.name, run.id, cached, seconds, manifests, headline)


def _provenance(stage: Stage, targets: Sequence[Target], prints: Mapping[Publication, str]) -> dict[str, Any]:
    """All that a fingerprint covers but for the settings, as it is kept with the run."""
    publications = {
        str(target.publication): {"fingerprint": prints[target.publication], "inputs": dict(target.inputs)}
        for target in targets
    }
    return {"code": code_digest(stage.module), "lock": lock_digest(), "publications": publications}


@contextmanager
def _placing(stage: Stage, settings: Settings) -> Iterator[Progress]:
    """Hears what a stage is at, and writes it down on an error that nobody foresaw."""
    steps = ["starting"]
    try:
        yield steps.append
    except SpanishGasError:
        raise
    except Exception as error:
        note(error, STAGE, stage.name)
        note(error, STEP, steps[-1])
        note(error, PLACE, str(TableStore.of(settings.data.root, settings.storage).root.absolute()))
        raise


def _name_of(stage: str, tags: Mapping[str, str]) -> str:
    """Name of a run: the stage, and what tells this run from the stage's others."""
    known = (tags[name] for name in ("model", "as_of", "run_date") if tags.get(name))
    days = next(known, "").split(",")
    return f"{stage} {days[0]}".strip() + (f" to {days[-1]}" if len(days) > 1 else "")


def is_current(stage: Stage, settings: Settings, store: TableStore, models: ModelRegistry) -> bool:
    """Whether all that a stage would publish, and all that it would have made before, is published as it would be."""
    requests = stage.requests(settings, store)
    if not all(is_current(request.stage, request.settings, store, models) for request in requests):
        return False
    try:
        prints = _fingerprints(stage, stage.plan(settings, store, models))
    except PublishError:  # an input is not there
        return False
    return len(_published(store, prints)) == len(prints)


def _fingerprints(stage: Stage, targets: Sequence[Target]) -> dict[Publication, str]:
    code, lock = code_digest(stage.module), lock_digest()
    return {
        target.publication: fingerprint(
            stage=stage.name,
            target=str(target.publication),
            settings=target.settings,
            inputs=target.inputs,
            code=code,
            lock=lock,
        )
        for target in targets
    }


def _published(
    store: TableStore, prints: Mapping[Publication, str], *, force: bool = False, damaged: list[str] | None = None
) -> dict[Publication, Manifest]:
    """Targets that are published with the wanted fingerprint, with all files as they were published.

    Args:
        store: The published tables.
        prints: Target -> wanted fingerprint.
        force: Take nothing as published.
        damaged: Is told of what is there and not as it was published.
    """
    found: dict[Publication, Manifest] = {}
    told: list[str] = []
    for publication, wanted in prints.items() if not force else ():
        try:
            manifest = store.find(publication)
        except PublishError as error:
            told.append(f"{error.where} (the manifest)")
            continue
        if manifest is not None and manifest.fingerprint == wanted:
            broken = store.damaged_files(manifest)
            told += broken
            if not broken:
                found[publication] = manifest
    if damaged is not None:
        damaged += told
    return found


def _make(
    stage: Stage,
    settings: Settings,
    store: TableStore,
    pending: Sequence[Target],
    prints: Mapping[Publication, str],
    run: RunLog,
    tracker: Tracker,
    say: Progress,
) -> tuple[Build, dict[Publication, Manifest]]:
    made: dict[Publication, Manifest] = {}
    with ExitStack() as stack:
        drafts = {target.publication: stack.enter_context(store.draft(target.publication)) for target in pending}
        scratch = next(iter(drafts.values())).folder / "_scratch"
        opened = open_engine if stage.spreads else open_embedded
        engine: Engine = stack.enter_context(opened(settings.engine, scratch))
        workspace = Workspace(
            engine=engine,
            store=store,
            models=run.models,
            drafts={publication: draft.folder for publication, draft in drafts.items()},
            progress=say,
            child=lambda name, tags: tracker.run(name, tags=tags, parent=run),
        )
        build = stage.build(workspace, pending)
        if build.refused is not None:
            found = {name: value for product in build.products.values() for name, value in product.metrics.items()}
            _log_figures(stage, run, {name: value for name, value in found.items() if math.isfinite(value)})
            _log_report(run, build.report)
            raise build.refused
        written = {
            target.publication: _write(engine, drafts[target.publication], build.products[target.publication], say)
            for target in pending
        }
        for target in pending:
            product = build.products[target.publication]
            tables = written[target.publication]
            metrics = {f"rows_{name}": float(table.rows) for name, table in tables.items()}
            # What is not defined is not a figure.
            metrics |= {name: value for name, value in product.metrics.items() if math.isfinite(value)}
            made[target.publication] = drafts[target.publication].commit(
                fingerprint=prints[target.publication],
                inputs=target.inputs,
                tables=tables,
                metrics=metrics,
                tags=product.tags,
                run_id=run.id,
                stage=stage.name,
                named=product.named,
            )
    return build, made


def _write(engine: Engine, draft: Draft, product: Product, say: Progress) -> dict[str, PublishedTable]:
    """Writes and checks every table of a product; nothing is visible yet."""
    written: dict[str, PublishedTable] = {}
    for name, rows in product.tables.items():
        say(f"writing {name}")
        contract = product.contracts[name]
        expression = rows if isinstance(rows, ir.Table) else engine.table(rows)
        file = draft.file(name)
        parts = engine.write(expression, file, order_by=product.order_by.get(name, contract.primary_key))
        check_table(engine, contract, engine.scan(parts))
        digest, count = engine.content_hash(parts)
        written[name] = PublishedTable(
            files=tuple(DataFile(path=_relative(draft, one)) for one in parts),
            rows=count,
            content_hash=digest,
            contract_version=contract.version,
            columns=engine.column_types(parts[0]),
        )
    for name, parts_of in product.parts.items():
        say(f"checking {name}")
        written[name] = _in_parts(engine, draft, product.contracts[name], parts_of)
    for name, files in product.landed.items():
        written[name] = PublishedTable(
            files=tuple(file.data_file(draft.folder) for file in files),
            rows=sum(file.rows for file in files),
            content_hash=joined_digest((file.part, file.content_hash) for file in files),
            contract_version=product.contracts[name].version if name in product.contracts else 0,
            columns=dict(product.landed_columns.get(name, {})),
        )
    return written


def _in_parts(engine: Engine, draft: Draft, contract: Contract, parts: Sequence[TablePart]) -> PublishedTable:
    """A table whose rows are in several files, of which some may be published already: these were checked then."""
    fresh = [part.path for part in parts if part.earlier is None]
    if fresh:
        check_table(engine, contract, engine.scan(fresh))
    files, hashes = list[DataFile](), list[RowsHash]()
    for part in parts:
        told = part.earlier and part.earlier.content_hash
        hashes.append(RowsHash.of(told) if told else hash_file(part.path))
        found = part.earlier or DataFile(path=_relative(draft, part.path))
        kept = {"made_from": part.made_from, "content_hash": hashes[-1].told()}
        files.append(found.model_copy(update=kept))
    digest, count = digest_of_files([part.path for part in parts], hashes)
    return PublishedTable(
        files=tuple(files),
        rows=count,
        content_hash=digest,
        contract_version=contract.version,
        columns=engine.column_types(parts[0].path),
    )


def _relative(draft: Draft, file: Path) -> str:
    return file.relative_to(draft.folder).as_posix()


def _check_versions(target: Target) -> None:
    """An input published under another version of its contract must not be read as if it were of this one.

    Raises:
        LaterReleaseError: A version is later than ours.
        ContractError: A version is earlier.
    """
    other = [one for manifest in target.manifests.values() for one in _other_versions(manifest)]
    _raise_later(str(target.publication), [told for told, is_later in other if is_later])
    stale = [told for told, _ in other]
    if stale:
        raise ContractError(
            "inputs were published under another contract version",
            where=str(target.publication),
            count=len(stale),
            examples=stale,
            todo="Run the stages that make them again",
        )


def _refuse_later(store: TableStore, targets: Sequence[Target]) -> None:
    """What a later release published must not be replaced by what this one would make of it.

    Raises:
        LaterReleaseError: It is of a later format, or a contract of it is of a later version.
    """
    for target in targets:
        try:
            manifest = store.find(target.publication)
        except PublishError:  # damaged, so made again
            continue
        if manifest is not None:
            _raise_later(str(target.publication), [told for told, is_later in _other_versions(manifest) if is_later])


def _other_versions(manifest: Manifest) -> Iterator[tuple[str, bool]]:
    """Tables whose contract had another version than now: in words, and whether it was a later one."""
    for name, table in manifest.tables.items():
        contract = _contract_or_none(manifest.publication.layer, name)
        if contract is not None and table.contract_version != contract.version:
            told = f"{manifest.publication} {name} v{table.contract_version} (now v{contract.version})"
            yield told, table.contract_version > contract.version


def _raise_later(where: str, later: Sequence[str]) -> None:
    if later:
        raise LaterReleaseError(
            "tables were published under a later contract version than this release knows",
            where=where,
            count=len(later),
            examples=later,
            todo=GO_BACK,
        )


def _contract_or_none(layer: str, name: str) -> Contract | None:
    for place in (layer, "source"):
        try:
            return find_contract(place, name)
        except KeyError:
            continue
    return None


def _log_tables(run: RunLog, store: TableStore, manifests: Sequence[Manifest], context: str) -> None:
    unique = {manifest.publication: manifest for manifest in manifests}
    run.log_datasets(
        [facts_of(store, manifest, name) for manifest in unique.values() for name in manifest.tables],
        "input" if context == "input" else "output",
    )


def _figures_of(manifests: Sequence[Manifest]) -> dict[str, float]:
    """The figures of what is published."""
    metrics: dict[str, float] = {}
    for manifest in manifests:
        label = manifest.publication.value
        for name, value in manifest.metrics.items():
            # Row counts of several partitions add up; other figures of several partitions stand under their own name.
            if len(manifests) == 1 or not label:
                metrics[name] = value
            elif name.startswith(ROWS):
                metrics[name] = metrics.get(name, 0.0) + value
                metrics[f"{name}.{label}"] = value
            else:
                metrics[f"{name}.{label}"] = value
    return metrics


def _log_figures(stage: Stage, run: RunLog, figures: Mapping[str, float]) -> None:
    """Logs figures: the chosen ones as metrics, all as a table where these are not all.

    The stage's own come first, before whatever it logs when it finishes: in this order a page shows them.
    """
    chosen = metrics_of(stage.name, figures, MOST - len(COST) - len(stage.charted))
    run.log_metrics(chosen)
    if len(chosen) < len(figures):
        run.log_text(table_of(figures).to_csv(index=False), TABLE)


def _log_outcome(
    run: RunLog,
    store: TableStore,
    manifests: Sequence[Manifest],
    report: Report,
    *,
    cached: bool,
    seconds: float,
) -> None:
    _log_tables(run, store, manifests, "output")
    tags = {name: value for manifest in manifests for name, value in manifest.tags.items()}
    run.log_metrics(dict(zip(COST, (seconds, peak_mib(), float(cached)), strict=True)))
    if cached:
        tags["cached_from"] = ",".join(sorted({manifest.run_id for manifest in manifests}))
    run.set_tags(tags)
    _log_report(run, report)
    if cached and not report.markdown and not run.is_described:
        run.describe_as(manifests[0].run_id, "Nothing was made: run {run} had published it, and this is its report.")


def _log_report(run: RunLog, report: Report) -> None:
    if report.markdown:
        run.log_text(report.markdown, "report.md")
        run.describe(report.markdown)
    for name, figure in report.figures.items():
        run.log_figure(figure, f"figures/{name}.png")
    for name, text in report.texts.items():
        run.log_text(text, name)


def _cached_headline(manifests: Sequence[Manifest]) -> str:
    rows = sum(table.rows for manifest in manifests for table in manifest.tables.values())
    return f"already published: {rows:,} rows"
