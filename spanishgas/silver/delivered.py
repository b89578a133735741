"""What became of a delivery's rows: how many were read, how many are in quarantine, and how much energy with them."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from spanishgas.config import ColumnMapping
from spanishgas.domain.delivered import DeliveredRows
from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.session import Engine
from spanishgas.silver.quality import Finding
from spanishgas.silver.raw import RawSource
from spanishgas.silver.values import as_number

# Checks of the quality report whose rows were kept although a value of theirs says nothing.
SAY_NOTHING = ("unknown_", "zero_", "month_")
ENERGY = {"consumption_elec_kwh": 1.0, "consumption_gas_m3": GAS_KWH_PER_M3}


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
    if not set(ENERGY) <= set(source.contract.column_names):
        return None
    if not any_:
        return 0.0
    mine = quarantine.filter(quarantine.source == source.contract.name)
    one = mine.group_by("source_file", "source_line").aggregate(row=mine.row.arbitrary())
    kwh: ir.FloatingValue = ibis.literal(0.0)
    for name, factor in ENERGY.items():
        told = [_number(one.row, mapping) for mapping in _mappings(source, name)]
        if told:
            kwh = kwh + ibis.greatest(ibis.coalesce(*told, 0.0), 0.0) * factor
    return float(engine.frame(one.aggregate(kwh=kwh.sum().fill_null(0.0)))["kwh"].iloc[0])


def _mappings(source: RawSource, name: str) -> list[ColumnMapping]:
    """Where the parts of a source take a column from."""
    found = [part.settings.columns.get(name) or ColumnMapping(column=name) for part in source.parts]
    return [mapping for mapping in found if mapping.column is not None]


def _number(row: ir.StringValue, mapping: ColumnMapping) -> ir.FloatingValue:
    assert mapping.column is not None
    # A line that could not be parsed is no JSON, and tells no energy.
    node = row.try_cast("json")[mapping.column]
    return as_number(node.cast("string").strip().replace('"', "")) * mapping.factor
