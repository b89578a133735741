"""The feature table: every family side by side, and what the run has to say about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import ExtraColumn, FeatureSettings
from spanishgas.engine.session import Engine
from spanishgas.errors import ConfigError, SourceError
from spanishgas.features import consumption, extras, interactions, lifecycle, margin, market, offers, price
from spanishgas.features.context import Context
from spanishgas.features.declaration import ENGINE_TYPES, Family, Feature

FAMILIES: tuple[Family, ...] = (
    lifecycle.FAMILY,
    consumption.FAMILY,
    price.FAMILY,
    margin.FAMILY,
    interactions.FAMILY,
    market.FAMILY,
    offers.FAMILY,
    extras.FAMILY,
)
Progress = Callable[[str], None]
# Silver tables that no feature is made of.
NO_SOURCES = ("quarantine", "quality", "supply_points")


@dataclass(frozen=True)
class FeatureResult:
    """Features at some dates.

    Attributes:
        features: One row per customer and `as_of`, in the order of the declarations.
        margin: ``customer_month_margin`` at the same dates.
        declarations: The features.
        facts: Figures and facts for the run.
        lost: Silver table without rows -> features that are null for everybody because of it.
    """

    features: ir.Table
    margin: ir.Table
    declarations: tuple[Feature, ...]
    facts: Mapping[str, float | int | str]
    lost: Mapping[str, Sequence[str]]


def declared(names: Sequence[str], columns: Mapping[str, ExtraColumn]) -> tuple[Feature, ...]:
    """Declarations of some families, in their order.

    Raises:
        ConfigError: There is no such family, or one is listed twice.
    """
    return tuple(feature for family in _families(names) for feature in family.declared(columns))


def _families(names: Sequence[str]) -> list[Family]:
    known = {family.name: family for family in FAMILIES}
    wrong = [name for name in names if name not in known] + sorted({name for name in names if names.count(name) > 1})
    if wrong:
        raise ConfigError(
            "no such feature family, or one listed twice",
            where="features.families",
            examples=wrong,
            todo=f"Known families: {', '.join(known)}",
        )
    return [known[name] for name in names]


def build_features(
    engine: Engine,
    tables: Mapping[str, ir.Table],
    days: Sequence[date],
    settings: FeatureSettings,
    columns: Mapping[str, ExtraColumn],
    *,
    progress: Progress,
) -> FeatureResult:
    """Features at one or many dates, in one pass over the silver tables.

    Args:
        engine: The engine.
        tables: Silver tables by name.
        days: The `as_of` dates.
        settings: Families and margin settings.
        columns: Attributes beyond the contracts, by name.
        progress: Is told about long work.

    Raises:
        ConfigError: A family is not known.
        SourceError: Nobody is active at one of the dates.
    """
    families = _families(settings.families)
    sources = [name for name in tables if name not in NO_SOURCES]
    present = frozenset(name for name in sources if engine.integer(tables[name].limit(1).count()))
    context = Context(engine, tables, list(days), settings, columns, present)
    progress("population")
    table = context.population
    _require_people(engine, table, days)
    declarations: list[Feature] = []
    for family in families:
        listed = tuple(one for one in family.declared(columns) if _can_be_known(context, one))
        if not listed:
            continue
        progress(family.name)
        built = engine.materialize(family.build(context).select("customer_id", "as_of", *(one.name for one in listed)))
        table = table.left_join(built, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
        declarations += listed
    finished = table.select(
        "customer_id", "as_of", **{feature.name: _final(context, table, feature) for feature in declarations}
    )
    lacking = [feature for feature in declarations if not _has_sources(context, feature)]
    lost: dict[str, list[str]] = {}
    for feature in lacking:
        for source in feature.source:
            if not context.has(source):
                lost.setdefault(source.replace("|", " or "), []).append(feature.name)
    facts: dict[str, float | int | str] = {
        "null_features": len(lacking),
        "absent_tables": ", ".join(sorted(set(sources) - present)) or "none",
    }
    return FeatureResult(finished, context.margin, tuple(declarations), facts, lost)


def _require_people(engine: Engine, population: ir.Table, days: Sequence[date]) -> None:
    """An empty table would look like a result."""
    found = engine.frame(population.select("as_of").distinct())
    peopled = {pd.Timestamp(day).date() for day in found["as_of"]}
    empty = [day.isoformat() for day in days if day not in peopled]
    if empty:
        raise SourceError(
            "nobody is known to be an active customer",
            where="as_of",
            count=len(empty),
            examples=empty,
            todo="Choose dates after the first known contract began, or check customer_contracts in the silver tables",
        )


def _has_sources(context: Context, feature: Feature) -> bool:
    return all(context.has(source) for source in feature.source)


def _can_be_known(context: Context, feature: Feature) -> bool:
    """Whether anybody has a value in the column that the feature needs."""
    if feature.needs is None:
        return True
    column = context.tables[feature.source[0]][feature.needs]
    return context.engine.integer(column.notnull().any().cast("int8").fill_null(0)) > 0


def _final(context: Context, table: ir.Table, feature: Feature) -> ir.Value:
    """The feature in its declared type; null for everybody where the data set has no source for it."""
    kind = ENGINE_TYPES[feature.type]
    if not _has_sources(context, feature):
        return ibis.null(kind)
    value = table[feature.name].cast(kind)
    return value if feature.fill is None else value.fill_null(feature.fill)


def render_report(engine: Engine, features: ir.Table, month_margin: ir.Table, result: FeatureResult) -> str:
    """The report in Markdown: rows, margin and coverage per date; null shares per feature."""
    names = {feature.name for feature in result.declarations}
    told: dict[str, ir.Value] = {"customers": features.count()}
    if "coverage_365d" in names:
        told["mean coverage of the year"] = features.coverage_365d.mean()
    by_date = engine.frame(features.group_by("as_of").aggregate(**told).order_by("as_of"))
    margins = engine.frame(
        month_margin.group_by("as_of").aggregate(
            **{
                "months": month_margin.count(),
                "median margin of a month, EUR": month_margin.margin_eur.median(),
                "margin unknown": month_margin.margin_eur.isnull().mean(),
                "price imputed": month_margin.is_price_imputed.mean(),
                "cost carried": month_margin.is_cost_carried.mean(),
            }
        )
    )
    summary = by_date.merge(margins, on="as_of", how="left")
    nulls = engine.frame(
        features.aggregate(**{feature.name: features[feature.name].isnull().mean() for feature in result.declarations})
    ).iloc[0]
    lines = ["# Features", "", *_markdown(summary), "", *_missing(result), ""]
    lines += ["| feature | family | unit | window, days | null | meaning |", "| --- | --- | --- | ---: | ---: | --- |"]
    lines += [
        f"| {one.name} | {one.family} | {one.unit or ''} | {one.window_days or ''} "
        f"| {0.0 if pd.isna(nulls[one.name]) else nulls[one.name]:.1%} | {one.description} |"
        for one in result.declarations
    ]
    return "\n".join(lines) + "\n"


def _missing(result: FeatureResult) -> list[str]:
    """What the data set does not have, and what that costs."""
    if not result.lost:
        return ["Every feature has its sources."]
    count = int(result.facts["null_features"])
    lines = [f"**{count} of {len(result.declarations)} features are null for everybody**, for want of:", ""]
    lines += [f"- `{source}`: {len(names)} features ({', '.join(names)})" for source, names in result.lost.items()]
    if any(source in ("consumption_daily", "costs") for source in result.lost):
        lines += [
            "",
            "Without hourly consumption and costs there is no monthly margin: offers cannot be valued in euros.",
        ]
    return lines


def _markdown(frame: pd.DataFrame) -> list[str]:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value:,.4g}"
        return f"{value:,}" if isinstance(value, int) else str(value)[:10]

    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + " --- |" * len(frame.columns)]
    return lines + ["| " + " | ".join(cell(value) for value in row) + " |" for row in frame.itertuples(index=False)]
