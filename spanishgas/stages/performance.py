"""Stage `performance`: published scores beside what happened, and offers by month beside what the hold-out says."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import EconomicsSettings, LabelSettings, PerformanceSettings, Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.decisions import CUSTOMER_SCORES, RECOMMENDATIONS
from spanishgas.contracts.gold import SEGMENT_SUMMARY, SEGMENTS
from spanishgas.contracts.monitoring import BUSINESS_MONTHS, MODEL_PERFORMANCE, PERFORMANCE_RELIABILITY
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import ModelFileError
from spanishgas.monitoring.business import by_month
from spanishgas.monitoring.performance import HELD_OUT, NEVER, TREATED, Skill, judge, seen_by
from spanishgas.registry import CHAMPION, ModelRegistry, RunLog
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.churn_models import CHAMPION_MODEL, baseline_digest, fetch_baseline, registered_name
from spanishgas.stages.drift import chart_run_dates
from spanishgas.stages.places import recommended_on, segments_at
from spanishgas.stages.score import PARTITION
from spanishgas.stages.silver import SILVER
from spanishgas.stages.training_set import data_cut
from spanishgas.stages.typed import typed
from spanishgas.training.labels import WINDOWS, dated_labels, leavers

SCORES, OFFERS, GROUPS = "scores.", "offers.", "segments."
EVENTS, PAST_OFFERS = "churn_events", "retention_offers"
CONTRACTS: dict[str, Contract] = {
    table.name: table for table in (MODEL_PERFORMANCE, PERFORMANCE_RELIABILITY, BUSINESS_MONTHS)
}
CHARTED = (
    *("perf_pr_auc", "perf_roc_auc", "perf_recall_at_10", "perf_log_loss", "perf_observed_over_expected"),
    *("perf_alarms", "estimated_pr_auc", "estimated_observed_over_expected"),
)


class PerformanceStageSettings(BaseModel):
    """What a judgement depends on beside the tables and the models."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    cut: date
    labels: LabelSettings
    performance: PerformanceSettings
    economics: EconomicsSettings
    follow_days: int
    champion: str
    evidently: bool


class PerformanceStage(PlainStage):
    """One partition per run date."""

    name = "performance"
    module = __name__
    charted = CHARTED

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The run date."""
        return {"run_date": settings.run_date.isoformat()}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The judgement of the run date; nothing without a champion or scores, or where leavers have no dates.

        Raises:
            ModelFileError: The champion has no baseline.
        """
        champion = models.with_alias(registered_name(settings), CHAMPION)
        if champion is None or settings.labels.kind != "dated":
            return ()
        silver = store.read(SILVER, made_by="silver")
        scores = _first_of_each_date(store, settings)
        if not scores:
            return ()
        manifests: dict[str, Manifest] = {"silver": silver}
        manifests |= {SCORES + one.publication.value: one for one in scores}
        for publication in store.partitions("gold", recommended_on(settings.run_date).name):
            found = store.find(publication) if publication.value <= settings.run_date.isoformat() else None
            if found is not None and not store.missing_files(found):
                manifests[OFFERS + publication.value] = found
        for as_of in {one.tags["as_of"] for one in scores}:
            found = store.find(segments_at(date.fromisoformat(as_of)))
            if found is not None and not store.missing_files(found):
                manifests[GROUPS + as_of] = found
        contenders = {CHAMPION_MODEL: champion}
        for one in scores:
            version = models.with_digest(champion.name, one.tags["model_digest"])
            if version is not None and version.digest != champion.digest:
                contenders[version.digest] = version
        inputs = {
            **{name: silver.tables[name].content_hash for name in (EVENTS, PAST_OFFERS)},
            **{name: one.content_hash for name, one in manifests.items() if name != "silver"},
            **{name: one.digest for name, one in contenders.items()},
            "baseline": baseline_digest(models, champion),
        }
        view = PerformanceStageSettings(
            run_date=settings.run_date,
            cut=min(data_cut(settings, silver), settings.run_date),
            labels=settings.labels,
            performance=settings.monitoring.performance,
            economics=settings.policy.economics,
            follow_days=settings.policy.holdout.days,
            champion=champion.version,
            evidently=settings.monitoring.evidently == "reports",
        )
        return [Target(performance_on(settings.run_date), view, inputs, manifests, contenders)]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Joins, judges and reports."""
        from spanishgas.monitoring.performance_report import figures, headline, page, render_markdown, sentence
        from spanishgas.monitoring.render import render

        (target,) = targets
        view = target.settings
        assert isinstance(view, PerformanceStageSettings)
        champion = target.models[CHAMPION_MODEL]
        workspace.progress("joining scores with outcomes")
        offers = _offers(workspace, target)
        rows, left_out, skill = _judged_rows(workspace, target, view, offers)
        workspace.progress(f"judging {len(rows):,} scores")
        found = judge(rows, skill, view.performance, current=champion.digest, left_out=left_out)
        business = _business(workspace, target, view, offers)
        named = f"version {champion.version} of the churn model"
        tables = {
            MODEL_PERFORMANCE.name: found.table,
            PERFORMANCE_RELIABILITY.name: found.reliability,
            BUSINESS_MONTHS.name: business,
        }
        told = figures(found)
        own = rows.loc[rows["is_mature"], "model_digest"] == champion.digest
        product = Product(
            tables={name: typed(table, CONTRACTS[name], view.run_date) for name, table in tables.items()},
            contracts=CONTRACTS,
            metrics=told,
            tags={
                "performance": found.state,
                "performance_alarms": "; ".join(sentence(row) for _, row in found.counted.iterrows()) or "none",
                "performance_is_of_champion": str(bool(own.any())).lower(),
                "model_version": champion.version,
                "model_digest": champion.digest,
            },
        )
        report = render_markdown(found, business, view.run_date, named)
        texts = {"model_perf.md": report, "tables/model_perf.csv": found.table.to_csv(index=False)}
        texts["tables/business_months.csv"] = business.to_csv(index=False)
        if view.evidently:
            workspace.progress("drawing the report")
            drawn = render(page(found, business, view.run_date, named))
            texts |= {"evidently/model_perf.html": drawn.html, "evidently/model_perf.json": drawn.json}
        return Build({target.publication: product}, Report(markdown=report, texts=texts, headline=headline(found)))

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Repeats the figures of earlier run dates on the run, so that its charts run over run dates."""
        if not manifests:
            if settings.labels.kind != "dated":
                return "leavers of this data set have no dates, so scores cannot be joined to what came after them"
            run.set_tags({"performance": "nothing to judge"})
            return (
                f"nothing to judge: there is no champion yet, or no scores are published at or before "
                f"{settings.run_date}; `score` makes them"
            )
        (manifest,) = manifests
        chart_run_dates(run, store, manifest, settings.monitoring.drift.charted_run_dates, CHARTED)
        return f"already published: {manifest.tags['performance']}"


def performance_on(day: date) -> Publication:
    """Where the judgement of a run date is published."""
    return Publication(layer="gold", name="performance", partition=f"{PARTITION}={day.isoformat()}")


def _first_of_each_date(store: TableStore, settings: Settings) -> list[Manifest]:
    """Of every date of features the first scores that were published of it, the newest dates first, then in order."""
    first: dict[str, Manifest] = {}
    for publication in store.partitions("gold", "scoring"):
        if publication.value > settings.run_date.isoformat():
            continue
        found = store.find(publication)
        if found is not None and not store.missing_files(found):
            first.setdefault(found.tags["as_of"], found)
    newest = sorted(first)[-settings.monitoring.performance.months :]
    return [first[as_of] for as_of in newest]


def _judged_rows(
    workspace: Workspace, target: Target, view: PerformanceStageSettings, offers: pd.DataFrame
) -> tuple[pd.DataFrame, list[str], Skill]:
    """Scores with outcomes and roles, what was left out, and the champion's skill."""
    engine, store = workspace.engine, workspace.store
    until, skill = _learned(workspace, target)
    parts, left_out = [], []
    for name, manifest in target.manifests.items():
        if not name.startswith(SCORES):
            continue
        digest, as_of = manifest.tags["model_digest"], date.fromisoformat(manifest.tags["as_of"])
        version = f"scores of features of {as_of} by version {manifest.tags['model_version']}"
        if digest not in until:
            left_out.append(f"{version}: what it learned from is not on record any more")
        elif seen_by(as_of, until[digest]):
            left_out.append(f"{version}: it learned from outcomes until {until[digest]}, so they are no foresight")
        else:
            table = engine.scan(store.files(manifest, CUSTOMER_SCORES.name))
            columns = ("customer_id", "as_of", "risk", "model_version", "model_digest")
            parts.append(engine.frame(table.select(*columns).order_by("customer_id")))
    if not parts:
        return _nothing(), left_out, skill
    rows = pd.concat(parts, ignore_index=True)
    rows["as_of"] = pd.to_datetime(rows["as_of"])
    outcomes = _outcomes(workspace, target, view, rows)
    joined = rows.merge(outcomes, on=["customer_id", "as_of"], how="inner", validate="one_to_one")
    ready = timedelta(days=view.labels.horizon_days + view.labels.registration_lag_days)
    joined["is_mature"] = joined["as_of"] + ready <= pd.Timestamp(view.cut)
    return _with_roles(joined, offers, view, _segments(workspace, target)), left_out, skill


def _nothing() -> pd.DataFrame:
    columns = {
        "customer_id": "object",
        "as_of": "datetime64[ns]",
        "risk": "float64",
        "model_version": "object",
        "model_digest": "object",
        "is_mature": "bool",
        "outcome": "float64",
        "outcome_any": "float64",
        "weight": "float64",
        "role": "object",
        "segment": "object",
        "segment_name": "object",
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def _learned(workspace: Workspace, target: Target) -> tuple[dict[str, date], Skill]:
    """Digest of each model that scored -> last day of outcomes that it can have seen; and the champion's skill."""
    until: dict[str, date] = {}
    skill = Skill({})
    for name, version in target.models.items():
        with TemporaryDirectory() as folder:
            try:
                baseline = fetch_baseline(workspace.models, version, Path(folder))
            except ModelFileError:
                if name == CHAMPION_MODEL:
                    raise
                continue
        until[version.digest] = baseline.outcomes_until
        if name == CHAMPION_MODEL and baseline.judged_on == "test":
            skill = Skill(baseline.figures)
    return until, skill


def _outcomes(workspace: Workspace, target: Target, view: PerformanceStageSettings, rows: pd.DataFrame) -> pd.DataFrame:
    """What happened to everyone: followed until an offer, and followed whatever was offered."""
    engine, store = workspace.engine, workspace.store
    silver = target.manifests["silver"]
    events, offers = (engine.scan(store.files(silver, name)) for name in (EVENTS, PAST_OFFERS))
    at_risk = engine.table(rows[["customer_id", "as_of"]])
    at_risk = engine.materialize(at_risk.mutate(as_of=at_risk.as_of.cast("date")))
    found = {}
    for name, censor in (("outcome", True), ("outcome_any", False)):
        labels = view.labels.model_copy(update={"censor_at_offers": censor})
        table = engine.frame(dated_labels(engine, at_risk, events, offers, labels, view.cut))
        found[name] = table[~table["without_label"] & ~table["left_unregistered"].fillna(False)]
    first = found["outcome"]
    # A customer weighs what the last window of their follow-up weighs.
    weights = first[[f"weight_{window}" for window in reversed(WINDOWS)]].astype("float64").bfill(axis=1).iloc[:, 0]
    table = pd.DataFrame(
        {
            "customer_id": first["customer_id"],
            "as_of": pd.to_datetime(first["as_of"]),
            "outcome": first["left_horizon"].astype("float64"),
            "weight": weights.fillna(1.0),
        }
    )
    other = found["outcome_any"]
    any_offer = pd.DataFrame(
        {
            "customer_id": other["customer_id"],
            "as_of": pd.to_datetime(other["as_of"]),
            "outcome_any": other["left_horizon"].astype("float64"),
        }
    )
    return table.merge(any_offer, on=["customer_id", "as_of"], validate="one_to_one")


def _with_roles(
    rows: pd.DataFrame, offers: pd.DataFrame, view: PerformanceStageSettings, segments: pd.DataFrame
) -> pd.DataFrame:
    """Adds who was targeted within the horizon, the weight of those held out, and segments."""
    chosen = offers[offers["planned_action"] != "none"]
    parts = []
    for as_of, some in rows.groupby("as_of"):
        last = as_of + pd.Timedelta(days=view.labels.horizon_days)  # type: ignore[operator]
        inside = chosen[(chosen["run_date"] > as_of) & (chosen["run_date"] <= last)]
        first = inside.sort_values("run_date", kind="stable").drop_duplicates("customer_id").set_index("customer_id")
        held = some["customer_id"].map(first["is_held_out"])
        propensity = some["customer_id"].map(first["propensity"]).astype("float64")
        role = np.where(held.isna(), NEVER, np.where(held.eq(True), HELD_OUT, TREATED))
        # Where the file of offers tells of the draw too, its weight stands already.
        drawn = (role == HELD_OUT) & (some["weight"] == 1.0)
        weight = np.where(drawn, 1.0 / propensity, some["weight"])
        parts.append(some.assign(role=role, weight=weight))
    told = pd.concat(parts, ignore_index=True) if parts else rows.assign(role="")
    told = told.merge(segments, on=["customer_id", "as_of"], how="left")
    return told.assign(segment=told["segment"].fillna(""), segment_name=told["segment_name"].fillna(""))


def _segments(workspace: Workspace, target: Target) -> pd.DataFrame:
    """Segment of every customer at the dates that have segments."""
    engine, store = workspace.engine, workspace.store
    parts = []
    for name, manifest in target.manifests.items():
        if not name.startswith(GROUPS):
            continue
        who = engine.frame(
            engine.scan(store.files(manifest, SEGMENTS.name)).select("customer_id", "as_of", "segment_id")
        )
        names = engine.frame(engine.scan(store.files(manifest, SEGMENT_SUMMARY.name)).select("segment_id", "name_en"))
        parts.append(who.merge(names, on="segment_id", how="left"))
    if not parts:
        nothing = {"customer_id": "object", "as_of": "datetime64[ns]", "segment": "object", "segment_name": "object"}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in nothing.items()})
    table = pd.concat(parts, ignore_index=True).rename(columns={"segment_id": "segment", "name_en": "segment_name"})
    table["as_of"] = pd.to_datetime(table["as_of"])
    return table


def _offers(workspace: Workspace, target: Target) -> pd.DataFrame:
    """Published recommendations of all run dates up to this one."""
    engine, store = workspace.engine, workspace.store
    columns = [
        "run_date",
        "customer_id",
        "risk_score",
        "action",
        "planned_action",
        "is_held_out",
        "propensity",
        "expected_spend",
        "expected_margin_impact",
        "expected_margin_month",
    ]
    parts = [
        engine.frame(engine.scan(store.files(manifest, RECOMMENDATIONS.name)).select(*columns).order_by("customer_id"))
        for name, manifest in target.manifests.items()
        if name.startswith(OFFERS)
    ]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return table.assign(run_date=pd.to_datetime(table["run_date"]))


def _business(
    workspace: Workspace, target: Target, view: PerformanceStageSettings, offers: pd.DataFrame
) -> pd.DataFrame:
    engine, store = workspace.engine, workspace.store
    events = engine.scan(store.files(target.manifests["silver"], EVENTS))
    known = engine.frame(leavers(events, view.cut)).set_index("customer_id")["left_on"]
    return by_month(
        offers,
        pd.to_datetime(known),
        known_until=view.cut - timedelta(days=view.labels.registration_lag_days),
        follow_days=view.follow_days,
        horizon_days=view.labels.horizon_days,
        economics=view.economics,
    )


STAGE = PerformanceStage()
