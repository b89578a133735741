"""From raw columns to the contract's columns: typed, checked, every rejected row with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import ibis
import ibis.expr.types as ir

from spanishgas.contracts import Column, Contract
from spanishgas.domain.exact import exact_sum
from spanishgas.domain.identifiers import Spelling, is_unsafe_value, one_spelling_of
from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.session import Engine
from spanishgas.errors import ContractError
from spanishgas.silver.dates import DateRule
from spanishgas.silver.raw import PROVENANCE, RawPart, RawSource
from spanishgas.silver.values import IBIS_TYPES, as_text, raw_value, typed_value

UNKNOWN = "unknown"
SEPARATOR = "\x1f"
MAX_DETAIL = 200
QUARANTINE_SCHEMA = {
    "source": "string",
    "source_file": "string",
    "source_line": "int64",
    "reason": "string",
    "detail": "string",
    "row": "string",
    "energy_kwh": "float64",
}
IDENTIFIERS = ("customer_id", "supply_point_id")
ENERGY_PER_UNIT = {"consumption_elec_kwh": 1.0, "consumption_gas_m3": GAS_KWH_PER_M3}


@dataclass(frozen=True)
class Mapped:
    """A source in its contract's words.

    Attributes:
        rows: The contract's columns beside ``known_at``, ``is_snapshot``, ``source_file`` and ``source_line``.
        rejected: Rejected rows, in the columns of the quarantine.
        read: Rows read.
        counts: Check -> rows concerned, of rows that were kept.
        energy_kwh: Energy in the rows read, electricity and gas, without sign; None where the source has none.
    """

    rows: ir.Table
    rejected: ir.Table
    read: int
    counts: Mapping[str, int] = field(default_factory=dict)
    energy_kwh: float | None = None


def lacking_columns(sources: Sequence[RawSource]) -> list[str]:
    """Columns that contracts require and that the files do not have, with the nearest raw names."""
    lacking: list[str] = []
    for source in sources:
        for part in source.parts:
            for column in source.contract.columns:
                mapping = part.settings.mapping(column.name)
                if mapping.absent is not None or raw_value(part, mapping) is not None:
                    continue
                if column.required or column.name in part.settings.columns:
                    wanted = mapping.column or column.name
                    near = get_close_matches(wanted, part.table.columns, n=2, cutoff=0.4)
                    hint = f" (nearest: {', '.join(near)})" if near else ""
                    lacking.append(f"{source.contract.name} in {part.settings.place}: {wanted}{hint}")
    return lacking


def require_columns(sources: Sequence[RawSource]) -> None:
    """Checks that every required column is there, for all sources at once.

    Raises:
        ContractError: Columns are missing; all of them are listed.
    """
    lacking = lacking_columns(sources)
    if lacking:
        raise ContractError(
            "columns that the contracts require are not in the files: " + "; ".join(lacking),
            where="sources",
            count=len(lacking),
            todo="Map them in conf/data/<name>.yaml, or say `absent: <why>` for a column the retailer does not have",
        )


def map_source(engine: Engine, source: RawSource, timezone: str) -> Mapped:
    """Types and checks a source.

    Args:
        engine: The engine; the typed rows are computed once.
        source: The landed source.
        timezone: Civil time of the retailer.

    Returns:
        Accepted rows and rejected ones. Every row read is in exactly one of them.

    Raises:
        ContractError: Every single row is rejected.
    """
    contract = source.contract
    if not source.parts:
        return Mapped(_empty(engine, contract), empty_quarantine(engine), 0)
    typed = [engine.map_rows(part.table, _Typing(part, source, timezone)) for part in source.parts]
    table = engine.materialize(ibis.union(*typed))
    good = table.faults.length() == 0
    accepted = table.filter(good)
    rejected = table.filter(table.faults.length() > 0)
    flags = [name for name in table.columns if name.startswith("flag_")]
    totals = engine.frame(
        table.aggregate(
            read=table.count(),
            accepted=good.sum(),
            energy_kwh=exact_sum(table.energy_kwh),
            **{name: (table[name] & good).sum() for name in flags},
        )
    ).iloc[0]
    if int(totals["read"]) and not int(totals["accepted"] or 0):
        found = engine.frame(_quarantine(rejected, contract.name).group_by("reason").aggregate(rows=ibis._.count()))
        raise hopeless(contract.name, int(totals["read"]), dict(zip(found["reason"], found["rows"], strict=True)))
    counts = {name.removeprefix("flag_"): int(totals[name] or 0) for name in flags}
    kept = [*contract.column_names, "known_at", "is_snapshot", *PROVENANCE]
    has_energy = any(name in contract.column_names for name in ENERGY_PER_UNIT)
    return Mapped(
        accepted.select(*dict.fromkeys(kept)),
        _quarantine(rejected, contract.name),
        int(totals["read"]),
        counts,
        float(totals["energy_kwh"]) if has_energy and totals["energy_kwh"] == totals["energy_kwh"] else None,
    )


def hopeless(source: str, rows: int, reasons: Mapping[str, int]) -> ContractError:
    """What to say when not one row of a source can be used: a quarantine of everything is no result."""
    told = sorted(reasons.items(), key=lambda reason: -reason[1])
    return ContractError(
        "every row is rejected",
        where=source,
        count=rows,
        examples=[f"{reason} ({count:,} rows)" for reason, count in told],
        todo="The mapping in conf/data/<name>.yaml does not fit the files: check columns, date_format, codes and clock",
    )


def empty_quarantine(engine: Engine) -> ir.Table:
    """A quarantine without rows."""
    return engine.empty(QUARANTINE_SCHEMA)


def _empty(engine: Engine, contract: Contract) -> ir.Table:
    schema = {column.name: IBIS_TYPES[column.type] for column in contract.columns}
    return engine.empty(
        schema | {"known_at": "date", "is_snapshot": "boolean", "source_file": "string", "source_line": "int64"}
    )


class _Typing:
    """Types the rows of a part, whichever of its files they are of; an object, because a worker can be handed it."""

    def __init__(self, part: RawPart, source: RawSource, timezone: str) -> None:
        self.part, self.source, self.timezone = part.without_table(), source.without_tables(), timezone

    def __call__(self, engine: Engine, table: ir.Table) -> ir.Table:
        return _typed(engine, replace(self.part, table=table), self.source, self.timezone)


def _typed(engine: Engine, part: RawPart, source: RawSource, timezone: str) -> ir.Table:
    """One part in the contract's columns, with its faults and flags per row."""
    contract = source.contract
    read = engine.stage(_read(engine, part, contract, timezone))
    values: dict[str, ir.Value] = {}
    faults: list[ir.StringValue] = []
    flags: dict[str, ir.BooleanValue] = {}
    for column in contract.columns:
        name = column.name
        value, given, none, impossible = (read[f"{kind}_{name}"] for kind in ("value", "given", "none", "impossible"))
        if name in IDENTIFIERS:
            value, unsafe = one_identity(value, part.settings.identifiers)
            flags[f"flag_respelled_{name}"] = (value != given).fill_null(False)
            faults.append(_fault(unsafe, f"unsafe_{name}", given))
            given = value
        faults.append(_fault(given.notnull() & value.isnull() & ~(none | impossible), f"invalid_{name}", given))
        faults.append(_fault(impossible, f"outside_{name}", given))
        if part.settings.mapping(name).zero == "missing":
            zero = (value == 0).fill_null(False)
            flags[f"flag_zero_{name}"] = zero
            value = ibis.ifelse(zero, ibis.null(value.type()), value)
        value, outside = _inside(value, column)
        if outside is not None and column.outside == "quarantine":
            faults.append(_fault(outside, f"outside_{name}", given))
        elif outside is not None:
            flags[f"flag_unknown_{name}"] = outside
        values[name] = value
        if not column.nullable:
            faults += [_fault(given.isnull(), f"missing_{name}", None), _fault(none, f"sentinel_{name}", given)]
        elif column.type == "date":
            flags[f"flag_sentinel_{name}"] = none
        elif column.type == "float":
            flags[f"flag_missing_{name}"] = value.isnull()
    known, is_snapshot = _known_at(source, part.extracted_on(read, source.extracted_on), values)
    reasons = ibis.array(faults).filter(lambda reason: reason.notnull())
    return read.select(
        **values,
        known_at=known,
        is_snapshot=is_snapshot,
        faults=reasons,
        **{name: flags.get(name, ibis.literal(False)) for name in _flag_names(source)},
        energy_kwh=_energy(values),
        row=read.row,
        source_file=read.source_file,
        source_line=read.source_line,
    )


def _read(engine: Engine, part: RawPart, contract: Contract, timezone: str) -> ir.Table:
    """Every column as given in the file and as read, null where it cannot be or means nothing.

    Returns:
        For every contract column ``given_`` (trimmed text), ``value_`` (in the contract's type), ``none_`` (a date that
        stands for none) and ``impossible_`` (a date that cannot be); and ``row`` with the provenance.
    """
    raw: dict[str, ir.Value] = {}
    lacking: set[str] = set()
    for column in contract.columns:
        found = raw_value(part, part.settings.mapping(column.name))
        if found is None:
            lacking.add(column.name)
            found = ibis.null("string")
        raw[column.name] = as_text(found) if found.type().is_string() else found
    table = engine.stage(
        part.table.select(
            **{f"raw_{name}": value for name, value in raw.items()},
            row=_as_json(part),
            source_file=part.table.source_file,
            source_line=part.table.source_line,
        )
    )
    dates = DateRule.of(part.settings)
    columns: dict[str, ir.Value] = {}
    for column in contract.columns:
        name, kind = column.name, IBIS_TYPES[column.type]
        given, value = table[f"raw_{name}"], ibis.null(kind)
        none = impossible = ibis.literal(False)
        if name not in lacking:
            value = typed_value(given, column, part.settings.mapping(name), timezone)
            if column.type == "date":
                none, impossible = dates.stands_for_none(given, value), dates.impossible(value)
        columns |= {f"given_{name}": as_text(given), f"value_{name}": value.cast(kind)}
        columns |= {f"none_{name}": none, f"impossible_{name}": impossible & ~none}
    read = engine.stage(
        table.select(**columns, row=table.row, source_file=table.source_file, source_line=table.source_line)
    )
    dated = [column.name for column in contract.columns if column.type == "date"]
    usable = {name: ~(read[f"none_{name}"] | read[f"impossible_{name}"]) for name in dated}
    return read.mutate(
        **{f"value_{name}": usable[name].ifelse(read[f"value_{name}"], ibis.null("date")) for name in dated}
    )


def one_identity(value: ir.Value, spelling: Spelling) -> tuple[ir.StringValue, ir.BooleanValue]:
    """The one spelling of identifiers, null where nothing is left, and which of them nobody should carry."""
    told = one_spelling_of(as_text(value), spelling)
    return told, is_unsafe_value(told)


def _energy(values: Mapping[str, ir.Value]) -> ir.FloatingValue:
    """Energy of every row, electricity and gas, without sign; null where the source has none."""
    parts = [values[name].abs().fill_null(0.0) * factor for name, factor in ENERGY_PER_UNIT.items() if name in values]
    return sum(parts[1:], parts[0]).cast("float64") if parts else ibis.null("float64")


def _flag_names(source: RawSource) -> list[str]:
    """The same flags for every part, so that parts can be stacked."""
    names: dict[str, None] = {}
    for column in source.contract.columns:
        if column.name in IDENTIFIERS:
            names[f"flag_respelled_{column.name}"] = None
        if any(part.settings.mapping(column.name).zero == "missing" for part in source.parts):
            names[f"flag_zero_{column.name}"] = None
        if column.outside == "count" and (column.domain or column.minimum is not None or column.maximum is not None):
            names[f"flag_unknown_{column.name}"] = None
        if column.nullable and column.type == "float":
            names[f"flag_missing_{column.name}"] = None
        if column.nullable and column.type == "date":
            names[f"flag_sentinel_{column.name}"] = None
    return list(names)


def _fault(condition: ir.BooleanValue, reason: str, given: ir.StringValue | None) -> ir.StringValue:
    detail = ibis.literal("") if given is None else given.substr(0, MAX_DETAIL).fill_null("")
    return ibis.ifelse(condition.fill_null(False), ibis.literal(reason + SEPARATOR) + detail, ibis.null("string"))


def _inside(value: ir.Value, column: Column) -> tuple[ir.Value, ir.BooleanValue | None]:
    """The value with what lies outside the contract's domain replaced, and which values those are."""
    if column.domain is None and column.minimum is None and column.maximum is None:
        return value, None
    outside = ibis.literal(False)
    if column.domain is not None:
        outside = outside | value.notin(column.domain)
    if column.minimum is not None:
        outside = outside | (value < column.minimum)
    if column.maximum is not None:
        outside = outside | (value > column.maximum)
    outside = (value.notnull() & outside).fill_null(False)
    if column.outside == "quarantine":
        return value, outside
    unknown = column.domain is not None and UNKNOWN in column.domain
    instead = ibis.literal(UNKNOWN) if unknown else ibis.null(value.type())
    value = ibis.ifelse(outside, instead, value)
    if unknown:
        # A label that means unknown is unknown too: both are counted.
        outside = outside | (value == UNKNOWN).fill_null(False)
    return value, outside


def _known_at(
    source: RawSource, extracted_on: ir.DateValue, values: Mapping[str, ir.Value]
) -> tuple[ir.DateValue, ir.BooleanValue]:
    """Arrival where the source tells it, else as the contract derives it; and whether only the extraction is known."""
    rule = source.contract.known_at
    derived = extracted_on
    undated = ibis.literal(True)
    if rule.event is not None:
        event = values[rule.event].cast("date")
        if rule.month_end:
            event = event.truncate("M").cast("date") + ibis.interval(months=1) - ibis.interval(days=1)
        arrival = (event + ibis.interval(days=rule.delay_days)).cast("date")
        undated = arrival.isnull()
        derived = ibis.coalesce(arrival, derived)
    recorded = values.get(rule.column) if rule.column else None
    if recorded is None:
        return derived.cast("date"), undated
    return ibis.coalesce(recorded.cast("date"), derived).cast("date"), recorded.isnull() & undated


def _as_json(part: RawPart) -> ir.StringValue:
    raw = [name for name in part.table.columns if name not in PROVENANCE]
    return ibis.struct({name: part.table[name].cast("string") for name in raw}).cast("json").cast("string")


def _quarantine(rejected: ir.Table, source: str) -> ir.Table:
    one = rejected.select("source_file", "source_line", "row", "energy_kwh", fault=rejected.faults.unnest())
    parts = one.fault.split(SEPARATOR)
    return one.select(
        source=ibis.literal(source),
        source_file=one.source_file,
        source_line=one.source_line,
        reason=parts[0],
        detail=parts[1].nullif(""),
        row=one.row,
        energy_kwh=one.energy_kwh,
    )
