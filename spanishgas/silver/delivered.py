"""What became of a delivery's rows: how many were read, how many are in quarantine, and how much energy with them."""

from collections.abc import Mapping, Sequence

import ibis.expr.types as ir

from spanishgas.domain.delivered import DeliveredRows
from spanishgas.engine.session import Engine
from spanishgas.silver.quality import Finding
from spanishgas.silver.raw import RawSource

# Checks of the quality report whose rows were kept although a value of theirs says nothing.
SAY_NOTHING = ("unknown_", "zero_", "month_")
ENERGY = {"consumption_elec_kwh", "consumption_gas_m3"}


def delivered_rows(
    engine: Engine,
    sources: Mapping[str, RawSource],
    read: Mapping[str, int],
    rejects: ir.Table,
    quarantine: ir.Table,
    findings: Sequence[Finding],
) -> dict[str, DeliveredRows]:
    """What became of the rows of every source that has files.

    Args:
        engine: The engine.
        sources: Source -> landed source.
        read: Source -> rows read from what was landed.
        rejects: Rows that could not be landed.
        quarantine: All rejected rows.
        findings: The quality report.
    """
    unread = _lines(engine, rejects)
    kept_out = _lines(engine, quarantine)
    unusable: dict[str, dict[str, float]] = {}
    for one in findings:
        if one.check.startswith(SAY_NOTHING) and one.rows:
            unusable.setdefault(one.source, {})[one.check] = one.affected / one.rows
    return {
        name: DeliveredRows(
            rows=read.get(name, 0) + unread.get(name, 0),
            quarantined=kept_out.get(name, 0),
            quarantined_kwh=_energy(engine, source, quarantine, any_=bool(kept_out.get(name))),
            unusable=unusable.get(name, {}),
        )
        for name, source in sources.items()
        if source.parts
    }


def _lines(engine: Engine, rejected: ir.Table) -> dict[str, int]:
    """Source -> rejected rows; a row with several reasons is one."""
    rows = rejected.select("source", "source_file", "source_line").distinct()
    found = engine.frame(rows.group_by("source").aggregate(rows=rows.count()))
    return {str(source): int(count) for source, count in zip(found["source"], found["rows"], strict=True)}


def _energy(engine: Engine, source: RawSource, quarantine: ir.Table, *, any_: bool) -> float | None:
    if not set(source.contract.column_names) >= ENERGY:
        return None
    if not any_:
        return 0.0
    mine = quarantine.filter(quarantine.source == source.contract.name)
    one = mine.group_by("source_file", "source_line").aggregate(kwh=mine.energy_kwh.max())
    return float(engine.frame(one.aggregate(kwh=one.kwh.sum().fill_null(0.0)))["kwh"].iloc[0])
