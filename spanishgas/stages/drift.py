"""Stage `drift`: a run date's features and predictions beside what the champion learned from."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import DriftSettings, Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.gold import CUSTOMER_FEATURES
from spanishgas.contracts.monitoring import DRIFT_BINS, DRIFT_CHECKS, DRIFT_SUMMARY
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.features import declared
from spanishgas.monitoring.drift import Drift, compare, figures, summary
from spanishgas.monitoring.facts import Source, Watched
from spanishgas.registry import CHAMPION, ModelRegistry, ModelVersion, RunLog
from spanishgas.scoring.batch import score_table
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.churn_models import (
    CHAMPION_MODEL,
    baseline_digest,
    fetch_baseline,
    fetch_model,
    registered_name,
)
from spanishgas.stages.features import STAGE as FEATURES
from spanishgas.stages.features import declared_extras
from spanishgas.stages.figures import table_of
from spanishgas.stages.places import features_at
from spanishgas.stages.score import PARTITION, features_for
from spanishgas.stages.silver import SILVER
from spanishgas.stages.typed import typed

DRIFT = "drift"
CONTRACTS: dict[str, Contract] = {table.name: table for table in (DRIFT_CHECKS, DRIFT_BINS, DRIFT_SUMMARY)}
# Day of the event in each dated silver table.
EVENTS = {
    "consumption_daily": "day",
    "consumption_periods": "period_end",
    "prices": "pricing_date",
    "costs": "month",
    "interactions": "date",
    "contracts": "contract_start_date",
    "churn_events": "churn_date",
    "retention_offers": "offer_date",
}
MONTHS = 4
CHUNK_ROWS = 50_000
CHARTED = (
    *("drift_alarms", "drift_roots", "drift_unknown", "prediction_psi", "largest_psi"),
    *("mean_risk", "reference_mean_risk", "customers"),
)
RUN_DATES = "tables/run_dates.csv"


class DriftStageSettings(BaseModel):
    """What a comparison depends on beside the tables and the champion."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    as_of: date
    drift: DriftSettings
    features: dict[str, tuple[str, tuple[str, ...], int | None]]
    evidently: bool


class DriftStage(PlainStage):
    """One partition per run date."""

    name = "drift"
    spreads = True
    module = __name__
    charted = CHARTED

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The comparison of the run date; nothing while there is no champion to compare with.

        Raises:
            PublishError: No features are published that are new enough.
            ModelFileError: The champion has no baseline.
        """
        champion = models.with_alias(registered_name(settings), CHAMPION)
        if champion is None:
            return ()
        as_of = features_for(settings, store)
        features = store.read(features_at(as_of), made_by=f"{FEATURES.name} -P as_of={as_of}")
        silver = store.read(SILVER, made_by="silver")
        inputs = {
            "features": features.tables[CUSTOMER_FEATURES.name].content_hash,
            CHAMPION_MODEL: champion.digest,
            "baseline": baseline_digest(models, champion),
            **{name: silver.tables[name].content_hash for name in EVENTS if name in silver.tables},
        }
        view = DriftStageSettings(
            run_date=settings.run_date,
            as_of=as_of,
            drift=settings.monitoring.drift,
            features={
                one.name: (
                    one.family,
                    tuple(name for need in one.source for name in need.split("|")),
                    one.window_days,
                )
                for one in declared(settings.features.families, declared_extras(settings))
            },
            evidently=settings.monitoring.evidently == "reports",
        )
        manifests = {"features": features, "silver": silver}
        return [Target(drift_on(settings.run_date), view, inputs, manifests, {CHAMPION_MODEL: champion})]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Compares and reports."""
        from spanishgas.monitoring.drift_report import headline, page, render_markdown
        from spanishgas.monitoring.render import render

        (target,) = targets
        view = target.settings
        assert isinstance(view, DriftStageSettings)
        version = target.models[CHAMPION_MODEL]
        drift = _compare(workspace, target, view, version)
        named = f"version {version.version} of the churn model"
        told = figures(drift)
        product = Product(
            tables=_tables(drift, view, version),
            contracts=CONTRACTS,
            metrics=told,
            tags={
                "drift": drift.state,
                "drift_roots": "|".join(drift.roots) or "none",
                "as_of": view.as_of.isoformat(),
                "reference_as_of": drift.facts.reference_as_of.isoformat(),
                "model_version": version.version,
                "model_digest": version.digest,
            },
        )
        texts = {"tables/drift_checks.csv": drift.checks.to_csv(index=False)}
        if view.evidently:
            workspace.progress("drawing the report")
            drawn = render(page(drift, named))
            texts |= {"evidently/drift.html": drawn.html, "evidently/drift.json": drawn.json}
        report = Report(markdown=render_markdown(drift, named), texts=texts, headline=headline(drift))
        return Build({target.publication: product}, report)

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Repeats the figures of earlier run dates on the run, so that its charts run over run dates."""
        if not manifests:
            run.set_tags({"drift": "no champion"})
            return "there is no champion yet, so there is nothing to compare with"
        (manifest,) = manifests
        count = settings.monitoring.drift.charted_run_dates
        chart_run_dates(run, store, manifest, count, CHARTED)
        return f"already published: {manifest.tags['drift']}, roots {manifest.tags['drift_roots']}"


def drift_on(day: date) -> Publication:
    """Where the comparison of a run date is published."""
    return Publication(layer="gold", name=DRIFT, partition=f"{PARTITION}={day.isoformat()}")


def chart_run_dates(run: RunLog, store: TableStore, manifest: Manifest, count: int, charted: tuple[str, ...]) -> None:
    """Logs some figures of a run date and of those before it, each at its own date: a chart of one run runs over them.

    They stand under ``run_dates/``, apart from the run's own figures, which have the time of the run. A table beside
    has all figures of all these run dates.

    Args:
        run: The run.
        store: The published tables.
        manifest: What the run has published.
        count: Run dates before it at most.
        charted: Figures to chart.
    """
    publication = manifest.publication
    earlier = [one for one in store.partitions(publication.layer, publication.name) if one.value < publication.value]
    tables = []
    for one in [*earlier[max(len(earlier) - count, 0) :], publication]:
        found = manifest if one == publication else store.find(one)
        if found is None:
            continue
        day = date.fromisoformat(one.value)
        told = {f"run_dates/{name}": found.metrics[name] for name in charted if name in found.metrics}
        run.log_metrics(told, step=int(day.strftime("%Y%m%d")), day=day)
        tables.append(table_of(found.metrics).assign(run_date=one.value))
    run.log_text(pd.concat(tables)[["run_date", "figure", "of", "value"]].to_csv(index=False), RUN_DATES)


def _compare(workspace: Workspace, target: Target, view: DriftStageSettings, version: ModelVersion) -> Drift:
    engine, store = workspace.engine, workspace.store
    features = engine.scan(store.files(target.manifests["features"], CUSTOMER_FEATURES.name))
    with TemporaryDirectory() as folder:
        model, _ = fetch_model(workspace.models, version, Path(folder) / "model")
        baseline = fetch_baseline(workspace.models, version, Path(folder) / "beside")
    workspace.progress("scoring")
    # A risk does not hang on who is scored beside it: these are the published scores, whether published or not.
    scored, _ = score_table(
        engine,
        features,
        model.model.columns_,
        model.predict,
        CHUNK_ROWS,
        lambda rows: workspace.progress(f"scored {rows:,} customers"),
    )
    risk = engine.frame(scored.order_by("customer_id").select("customer_id", "risk"))["risk"]
    table = engine.frame(features.order_by("customer_id"))
    used = set(model.model.columns_)
    workspace.progress("comparing with the baseline")
    return compare(
        baseline,
        table,
        risk,
        run_date=view.run_date,
        as_of=view.as_of,
        features={
            name: Watched(family, tables, name in used, window)
            for name, (family, tables, window) in view.features.items()
        },
        sources=_sources(workspace, target.manifests["silver"], view),
        settings=view.drift,
    )


def _sources(workspace: Workspace, silver: Manifest, view: DriftStageSettings) -> dict[str, Source]:
    """What is known of every dated table on the run date; tables without any row are not the retailer's."""
    months = _months_before(view.as_of)
    found = {}
    for name, column in EVENTS.items():
        if name not in silver.tables or not silver.tables[name].rows:
            continue
        rows = workspace.engine.scan(workspace.store.files(silver, name))
        day = rows[column].cast("date")
        known = rows.filter((rows.known_at.cast("date") <= view.run_date) & (day <= view.run_date))
        dated = known.mutate(event=known[column].cast("date"))
        counts = {
            f"m{place}": ((dated.event >= first) & (dated.event <= last)).sum()
            for place, (first, last) in enumerate(months)
        }
        row = workspace.engine.frame(
            dated.aggregate(newest=dated.event.max().cast("string"), oldest=dated.event.min().cast("string"), **counts)
        ).iloc[0]
        newest = _day(row["newest"])
        found[name] = Source(
            newest,
            {first: int(row[f"m{place}"]) if newest else 0 for place, (first, _) in enumerate(months)},
            _day(row["oldest"]),
        )
    return found


def _day(text: object) -> date | None:
    return date.fromisoformat(text[:10]) if isinstance(text, str) else None


def _months_before(as_of: date) -> list[tuple[date, date]]:
    """First and last day of the last whole months at or before a date, newest first."""
    end = as_of if (as_of + timedelta(days=1)).day == 1 else as_of.replace(day=1) - timedelta(days=1)
    months = []
    for _ in range(MONTHS):
        months.append((end.replace(day=1), end))
        end = end.replace(day=1) - timedelta(days=1)
    return months


def _tables(drift: Drift, view: DriftStageSettings, version: ModelVersion) -> dict[str, pd.DataFrame]:
    row = {**summary(drift), "model_version": version.version, "model_digest": version.digest}
    tables = {
        DRIFT_CHECKS.name: drift.checks,
        DRIFT_BINS.name: drift.bins,
        DRIFT_SUMMARY.name: pd.DataFrame([row]),
    }
    return {name: typed(table, CONTRACTS[name], view.run_date) for name, table in tables.items()}


STAGE = DriftStage()
