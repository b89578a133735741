"""Stage `features`: what was known of every active customer at each `as_of`."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict

from spanishgas.config import ExtraColumn, FeatureSettings, Settings
from spanishgas.contracts import Contract
from spanishgas.contracts.gold import CUSTOMER_FEATURES, CUSTOMER_MONTH_MARGIN
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.features import FeatureResult, build_features, declared, manifest, render_report
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.stages.base import Build, PlainStage, Product, Report, Target, Workspace
from spanishgas.stages.places import features_at
from spanishgas.stages.silver import SILVER

PARTITION = "asof_date"
STALE_DAYS = 31
CONTRACTS: dict[str, Contract] = {table.name: table for table in (CUSTOMER_FEATURES, CUSTOMER_MONTH_MARGIN)}


class FeaturesSettings(BaseModel):
    """What the features of one date depend on beside the silver tables."""

    model_config = ConfigDict(frozen=True)

    as_of: date
    features: FeatureSettings
    extras: dict[str, ExtraColumn]


class Features(PlainStage):
    """Publishes one partition per `as_of`; those that are missing are built together in one pass."""

    name = "features"
    spreads = True
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The dates."""
        return {"as_of": ",".join(day.isoformat() for day in settings.as_of)}

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """One target per `as_of`.

        Raises:
            PublishError: The silver tables are not published.
        """
        silver = store.read(SILVER, made_by="silver")
        return [
            Target(
                features_at(day),
                FeaturesSettings(as_of=day, features=settings.features, extras=declared_extras(settings)),
                {"silver": silver.content_hash},
                {"silver": silver},
            )
            for day in sorted(set(settings.as_of))
        ]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Builds all dates in one pass and splits the result by date."""
        views = [target.settings for target in targets]
        first = views[0]
        assert isinstance(first, FeaturesSettings)
        days = [view.as_of for view in views if isinstance(view, FeaturesSettings)]
        silver = targets[0].manifests["silver"]
        tables = {name: workspace.engine.scan(workspace.store.files(silver, name)) for name in silver.tables}
        result = build_features(
            workspace.engine, tables, days, first.features, first.extras, progress=workspace.progress
        )
        features = workspace.engine.materialize(result.features)
        margin = workspace.engine.materialize(result.margin)
        listed = manifest(result.declarations)
        tags = {key: value for key, value in result.facts.items() if isinstance(value, str)}
        metrics = {key: float(value) for key, value in result.facts.items() if isinstance(value, int | float)}
        metrics["features"] = float(len(listed))
        last = silver.tags["latest_event"]
        metrics["days_after_last_event"] = float(max((max(days) - date.fromisoformat(last)).days, 0)) if last else 0.0
        products = {
            target.publication: Product(
                tables={
                    CUSTOMER_FEATURES.name: features.filter(features.as_of == day),
                    CUSTOMER_MONTH_MARGIN.name: margin.filter(margin.as_of == day),
                },
                contracts=CONTRACTS,
                metrics=metrics,
                tags=tags,
            )
            for target, day in zip(targets, days, strict=True)
        }
        report = Report(
            markdown=render_report(workspace.engine, features, margin, result) + _staleness(days, last),
            texts={"feature_manifest.json": manifest_text(listed)},
            headline=_headline(result, len(listed), len(days)),
        )
        return Build(products, report)

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Writes `gold/_meta/feature_manifest.json`."""
        published = manifests[0].tables[CUSTOMER_FEATURES.name].columns
        features = declared(settings.features.families, declared_extras(settings))
        listed = manifest([feature for feature in features if feature.name in published])
        name, text = "gold/_meta/feature_manifest.json", manifest_text(listed).encode()
        found = store.storage.get(name)
        if found is None or found.data != text:
            store.storage.put(name, text)
        return ""


def _staleness(days: Sequence[date], last: str) -> str:
    late = [day.isoformat() for day in days if last and (day - date.fromisoformat(last)).days > STALE_DAYS]
    if not late:
        return ""
    return f"\n**Stale**: the last known event is of {last}; {', '.join(late)} lie more than {STALE_DAYS} days later.\n"


def _headline(result: FeatureResult, features: int, dates: int) -> str:
    lacking = int(result.facts["null_features"])
    lost = f", {lacking} of them null for want of {', '.join(result.lost)}" if lacking else ""
    return f"{features} features at {dates} as_of date{'s' if dates > 1 else ''}{lost}"


def manifest_text(listed: Sequence[Mapping[str, object]]) -> str:
    """The manifest as JSON text."""
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def declared_extras(settings: Settings) -> dict[str, ExtraColumn]:
    """Attributes beyond the contracts that the data set declares, by name."""
    return {name: column for table in settings.data.extras for name, column in table.columns.items()}


STAGE = Features()
