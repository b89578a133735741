"""Clean tables: typed, every version kept with its known-at day, nothing dropped in silence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from spanishgas.config import ExtraTable
from spanishgas.domain.delivered import DeliveredRows
from spanishgas.domain.exact import exact_sum
from spanishgas.engine.session import Engine
from spanishgas.silver.churn_events import build_churn_events
from spanishgas.silver.consumption_daily import DailyResult, build_consumption_daily
from spanishgas.silver.consumption_periods import build_consumption_periods
from spanishgas.silver.contracts import build_contracts
from spanishgas.silver.costs import build_costs
from spanishgas.silver.cross_checks import history_from, latest_event, relations, supply_zones
from spanishgas.silver.customer_extras import build_customer_extras, map_extras
from spanishgas.silver.customers import build_customers
from spanishgas.silver.delivered import delivered_rows
from spanishgas.silver.hour_kept import Before, Facts, Keeping, Month, name_of
from spanishgas.silver.interactions import build_interactions
from spanishgas.silver.mapping import QUARANTINE_SCHEMA, Mapped, map_source, require_columns
from spanishgas.silver.prices import build_prices
from spanishgas.silver.quality import Finding, handling_of, plot_quality, quality_frame, render_quality
from spanishgas.silver.raw import RawPart, RawSource
from spanishgas.silver.retention_offers import build_retention_offers
from spanishgas.silver.supply_points import Holders, build_supply_points, name_customers
from spanishgas.silver.versions import Resolved

__all__ = [
    "HOURLY",
    "TABLE_OF",
    "Before",
    "Facts",
    "Keeping",
    "Month",
    "RawPart",
    "RawSource",
    "SilverResult",
    "as_landed",
    "build_silver",
    "name_of",
    "plot_quality",
    "render_quality",
]

Progress = Callable[[str], None]
Builder = Callable[[Engine, Mapped], Resolved]

# Source -> silver table and the rule that makes it. `consumption_hourly` has a pass of its own.
BUILDERS: dict[str, tuple[str, Builder]] = {
    "customer_attributes": ("customers", build_customers),
    "customer_contracts": ("contracts", build_contracts),
    "price_history": ("prices", build_prices),
    "costs_by_province_month": ("costs", build_costs),
    "customer_interactions": ("interactions", build_interactions),
    "supply_points": ("supply_points", build_supply_points),
    "consumption_periods": ("consumption_periods", build_consumption_periods),
    "churn_label": ("churn_events", build_churn_events),
    "retention_offers": ("retention_offers", build_retention_offers),
}
HOURLY, PERIODS = "consumption_hourly", "consumption_periods"
# Source -> the silver table that is made from it.
TABLE_OF = {**{source: table for source, (table, _) in BUILDERS.items()}, HOURLY: "consumption_daily"}


@dataclass(frozen=True)
class SilverResult:
    """All silver tables of a data set.

    Attributes:
        tables: Silver table name -> rows in its contract's columns.
        facts: Figures and facts for the run.
        delivered: What became of the rows of each source that has files.
        in_order: Tables whose rows are in the order of their contract's key already.
        months: Rows of ``consumption_daily`` by month, where they are to be published so.
        left: What the pass over readings leaves to the next one.
    """

    tables: Mapping[str, ir.Table]
    facts: Mapping[str, float | int | str]
    delivered: Mapping[str, DeliveredRows]
    in_order: frozenset[str] = frozenset()
    months: tuple[Month, ...] = ()
    left: Facts | None = None


def build_silver(
    engine: Engine,
    sources: Mapping[str, RawSource],
    extras: Sequence[tuple[ExtraTable, RawPart]],
    rejects: ir.Table,
    timezone: str,
    progress: Progress,
    keeping: Keeping | None = None,
) -> SilverResult:
    """Maps, checks, cleans and counts every source.

    Args:
        engine: The engine.
        sources: Source name -> landed source; an absent source has no parts.
        extras: Tables with attributes beyond the contracts.
        rejects: Rows that ingestion could not parse, in the columns of the quarantine.
        timezone: Civil time of the retailer's mainland.
        progress: Is told about long work.
        keeping: Where days go by month, and what is published of them; None to give all days as one table.

    Raises:
        ContractError: Columns that the contracts require are not in the files; all are listed.
    """
    sources = {name: source.with_columns() for name, source in sources.items()}
    require_columns(list(sources.values()))
    findings: list[Finding] = []
    read: dict[str, int] = {}
    tables: dict[str, ir.Table] = {}
    # Nobody knows what energy stands in a line that cannot be parsed.
    unparsed = rejects.mutate(energy_kwh=ibis.null("float64")).select(*QUARANTINE_SCHEMA)
    quarantine = [unparsed]
    for name, (table, build) in BUILDERS.items():
        progress(table)
        source = sources[name]
        if name == PERIODS and sources["supply_points"].parts:
            source = name_customers(engine, source, tables["supply_points"], "period_end", timezone)
        mapped = map_source(engine, source, timezone)
        read[name] = mapped.read
        resolved = build(engine, mapped)
        tables[table] = resolved.rows
        quarantine.append(mapped.rejected)
        findings.extend(_findings(engine, name, mapped, resolved, absent=not sources[name].parts))
    mapped = map_extras(engine, extras, sources["customer_attributes"].extracted_on)
    resolved = build_customer_extras(engine, mapped)
    tables["customer_extras"] = resolved.rows
    quarantine.append(mapped.rejected)
    findings.extend(_findings(engine, "customer_extras", mapped, resolved, absent=not extras))
    progress("consumption_daily")
    zones = supply_zones(engine, tables["customers"])
    held = Holders.of(engine, tables["supply_points"]) if sources["supply_points"].parts else None
    daily = build_consumption_daily(engine, sources[HOURLY], zones, progress, held, keeping)
    tables["consumption_daily"] = daily.daily
    read[HOURLY] = daily.counts["rows"]
    quarantine.append(daily.rejected)
    findings.extend(_hourly_findings(engine, daily, absent=not sources[HOURLY].parts))
    findings.extend(relations(engine, tables))
    rejected = engine.materialize(_true_lines(engine, _stack(quarantine).distinct(), unparsed))
    tables["quarantine"] = rejected
    tables["quality"] = engine.table(quality_frame(findings))
    facts: dict[str, float | int | str] = {
        "quarantined_rows": engine.integer(rejected.select("source", "source_file", "source_line").distinct().count()),
        "latest_event": latest_event(engine, tables),
        "history_from": history_from(engine, tables),
        "absent_sources": ", ".join(name for name, source in sources.items() if not source.parts) or "none",
    }
    facts.update(
        {f"found_{finding.source}.{finding.check}": finding.affected for finding in findings if finding.affected}
    )
    delivered = delivered_rows(engine, sources, read, rejects, rejected, findings)
    in_order = frozenset({"consumption_daily"} if daily.in_order else ())
    return SilverResult(tables, facts, delivered, in_order, daily.months, daily.facts)


def _findings(engine: Engine, source: str, mapped: Mapped, resolved: Resolved, *, absent: bool) -> list[Finding]:
    if absent:
        return [Finding(source, "absent", 0, 1, handling_of("absent"))]
    usual = ("missing_customer_id",) if "customer_id" in mapped.rows.columns else ()
    doubled = {"duplicate": resolved.duplicates, "conflicting_duplicate": resolved.conflicting}
    kept = {**mapped.counts, **resolved.counts, **doubled}
    return _rejected(engine, source, mapped.rejected, mapped.read, mapped.energy_kwh, usual) + [
        Finding(source, check, mapped.read, count, handling_of(check)) for check, count in kept.items()
    ]


def _rejected(
    engine: Engine, source: str, rejected: ir.Table, rows: int, energy: float | None, usual: Sequence[str]
) -> list[Finding]:
    """Rows in quarantine by reason, and all of them: a row with two reasons is one row."""
    by_reason = engine.frame(
        rejected.group_by("reason").aggregate(rows=rejected.count(), energy=exact_sum(rejected.energy_kwh))
    )
    lines = rejected.group_by("source_file", "source_line").aggregate(energy_kwh=rejected.energy_kwh.max())
    total = engine.frame(lines.aggregate(rows=lines.count(), energy=exact_sum(lines.energy_kwh))).iloc[0]
    counts = dict.fromkeys(usual, (0, 0.0))
    for reason, count, part in zip(by_reason["reason"], by_reason["rows"], by_reason["energy"], strict=True):
        counts[str(reason)] = int(count), float(part)
    counts["quarantined"] = int(total["rows"]), float(total["energy"] or 0.0)
    return [
        Finding(
            source, check, rows, count, handling_of("rejected"), energy,
            None if energy is None else (part if part == part else 0.0),
        )
        for check, (count, part) in counts.items()
    ]  # fmt: skip


def _hourly_findings(engine: Engine, daily: DailyResult, *, absent: bool) -> list[Finding]:
    if absent:
        return [Finding(HOURLY, "absent", 0, 1, handling_of("absent"))]
    counts = daily.counts
    told = {
        "negative_elec": "counted and kept apart, with their energy",
        "negative_gas": "counted and kept apart, with their volume",
        "estimated": "kept, counted, with their energy",
        "gap_hours": "not filled: hours seen and expected are told",
    }
    rows = counts["rows"]
    found = [Finding(HOURLY, check, total, count, handling_of(check)) for check, (count, total) in daily.found.items()]
    kept = [
        Finding(
            HOURLY,
            check,
            max(rows, count) if check == "gap_hours" else rows,
            count,
            told.get(check, handling_of(check)),
        )
        for check, count in counts.items()
        if check != "rows"
    ]
    rejected = _rejected(engine, HOURLY, daily.rejected, rows, daily.energy_kwh, ("missing_customer_id",))
    return rejected + found + kept


def _true_lines(engine: Engine, quarantine: ir.Table, rejects: ir.Table) -> ir.Table:
    """Lines as they stand in the raw file: landed rows are counted without those that could not be parsed."""
    if not engine.integer(rejects.count()):
        return quarantine
    place = ibis.row_number().over(group_by=["source", "source_file"], order_by=rejects.source_line)
    skipped = rejects.select("source", "source_file", passed=rejects.source_line - place)
    landed = quarantine.anti_join(rejects, ["source", "source_file", "source_line", "reason"])
    joined = landed.left_join(
        skipped,
        [
            landed.source == skipped.source,
            landed.source_file == skipped.source_file,
            skipped.passed <= landed.source_line,
        ],
        rname="{name}_right",
    )
    shifted = joined.group_by(landed.columns).aggregate(before=joined.passed.count())
    return (
        rejects.select(*QUARANTINE_SCHEMA)
        .cast(QUARANTINE_SCHEMA)
        .union(shifted.mutate(source_line=shifted.source_line + shifted.before).select(*QUARANTINE_SCHEMA))
    )


def as_landed(quarantine: ir.Table, rejects: ir.Table) -> ir.Table:
    """Rejected readings with their lines counted as they were landed: the reverse of what tells true lines.

    Args:
        quarantine: Published rows of the quarantine.
        rejects: Rows of the same files that ingestion could not parse.
    """
    mine = quarantine.filter(quarantine.source == HOURLY).cast(QUARANTINE_SCHEMA)
    landed = mine.anti_join(rejects, ["source", "source_file", "source_line", "reason"])
    lines = rejects.select("source", "source_file", skipped=rejects.source_line)
    joined = landed.left_join(
        lines,
        [
            landed.source == lines.source,
            landed.source_file == lines.source_file,
            lines.skipped < landed.source_line,
        ],
        rname="{name}_right",
    )
    counted = joined.group_by(landed.columns).aggregate(before=joined.skipped.count())
    return counted.mutate(source_line=counted.source_line - counted.before).select(*QUARANTINE_SCHEMA)


def _stack(tables: Sequence[ir.Table]) -> ir.Table:
    first, *others = (table.cast(QUARANTINE_SCHEMA) for table in tables)
    return first.union(*others) if others else first
