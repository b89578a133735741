"""Rows of readings as arrays: whose, when and how much; and the rows that cannot be read, with reasons."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanishgas.config import ColumnMapping
from spanishgas.domain.identifiers import Spelling
from spanishgas.domain.tariff import Zone
from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.chunks import Chunk
from spanishgas.silver import hour_columns
from spanishgas.silver.dates import DateRule
from spanishgas.silver.hour_habits import Habits
from spanishgas.silver.hour_keys import Clock, HourFacts, Ints, Layout, facts_of_keys, fault_of_keys
from spanishgas.silver.hour_times import Times, read_times
from spanishgas.silver.supply_points import Holders, Units, holders_of_rows, read_units

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
ZONES: tuple[Zone, ...] = ("mainland", "canary", "ceuta_melilla")
# Rows that say the source is not written as its settings say.
CONTRARY = ("off_interval", "off_stamp", "off_clock")
REJECT_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("row", pa.string()),
        ("energy_kwh", pa.float64()),
    ]
)


@dataclass(frozen=True)
class HourlyReader:
    """How readings are read.

    Attributes:
        source: Name of the source contract.
        columns: Contract column -> origin.
        clock: Clock of the timestamps.
        delay_days: Days from a reading to its arrival, where the source tells none.
        zones: Customers (supply points, where ``holders`` are given) outside the mainland's tariff zone -> zone.
        dates: Which arrivals mean nothing, and which can be.
        layouts: What times mean; several only where ``habits`` tell which one is meant.
        habits: What was found of each supply point's days, or None where all are alike.
        power: Whether electricity is told as mean power.
        spelling: Rule for identifiers.
        holders: Customers of supply points, where rows name the supply point only.
    """

    source: str
    columns: Mapping[str, ColumnMapping]
    clock: Clock
    delay_days: int
    zones: Mapping[str, Zone]
    dates: DateRule
    layouts: tuple[Layout, ...] = (Layout(),)
    habits: Habits | None = None
    power: bool = False
    spelling: Spelling = "folded"
    holders: Holders | None = None
    memo: hour_columns.Memo = field(default_factory=hour_columns.Memo)
    kept: dict[tuple[Zone, Layout], tuple[Ints, HourFacts]] = field(default_factory=dict)

    def facts(self, keys: Ints, zone: Zone, layout: Layout) -> HourFacts:
        """Facts of intervals; those of the last keys are kept."""
        known = self.kept.get((zone, layout))
        if known is None or known[0] is not keys:
            known = self.kept[zone, layout] = (keys, facts_of_keys(keys, zone, layout))
        return known[1]

    def needed(self) -> list[str]:
        """Raw columns to read."""
        of_columns = [(mapping.column, *mapping.plus) for mapping in self.columns.values()]
        return list(dict.fromkeys(name for names in of_columns for name in names if name is not None))


@dataclass
class Rows:
    """Typed rows of a chunk, without those that cannot be read.

    Attributes:
        codes: Unit of every row, as a position in ``texts``.
        texts: Customers, or customers with their supply points; see ``supply_points``.
        names: The same as an array.
        slot: Position in ``facts`` of every row.
        facts: Facts of intervals.
        known: Arrival, days since 1970, or None where the source tells none.
        elec: Electricity, kWh; NaN where missing, 0 where the source has none.
        gas: Gas, m3; likewise.
        measured: Whether the source has electricity, and gas.
        estimated: Which readings are estimated, or None.
        respelled: Rows whose identifiers were written otherwise.
        sentinels: Rows whose arrival is a day that stands for no date.
        contrary: Reason and unit -> rows that contradict the settings.
        lost_kwh: Energy in the rows that cannot be read, electricity and gas, without sign.
    """

    codes: npt.NDArray[np.int32]
    texts: list[str | None]
    names: pa.Array
    slot: npt.NDArray[np.int32]
    facts: HourFacts
    known: npt.NDArray[np.int32] | None
    elec: Floats
    gas: Floats
    measured: tuple[bool, bool]
    estimated: Mask | None
    respelled: int = 0
    sentinels: int = 0
    contrary: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost_kwh: float = 0.0

    def keep(self, kept: Ints) -> None:
        """Drops all other rows."""
        self.codes, self.slot = self.codes[kept], self.slot[kept]
        self.known = self.known[kept] if self.known is not None else None
        self.elec, self.gas = self.elec[kept], self.gas[kept]
        self.estimated = self.estimated[kept] if self.estimated is not None else None


class _Faults:
    """Rows of a chunk that cannot be read: reason, rows, what was given."""

    def __init__(self, chunk: Chunk, reader: HourlyReader) -> None:
        self.found: list[tuple[str, Mask, pa.Array | None]] = []
        self._chunk, self._columns = chunk, reader.columns

    def add(self, reason: str, mask: Mask | None, column: str | None) -> None:
        """Adds rows with a reason, and the column that shows it."""
        if mask is not None and mask.any():
            raw = None if column is None else hour_columns.raw_column(self._chunk, self._columns[column])
            self.found.append((reason, mask, raw))


def accept(chunk: Chunk, reader: HourlyReader) -> tuple[Rows, pa.Table]:
    """The rows that can be read, and the others with their reasons, in ``REJECT_SCHEMA``."""
    faults = _Faults(chunk, reader)
    rows = _read(chunk, reader, faults)
    if not faults.found:
        return rows, REJECT_SCHEMA.empty_table()
    bad = np.zeros(len(rows.codes), np.bool_)
    for reason, mask, _ in faults.found:
        bad |= mask
        if reason in CONTRARY:
            units, counts = np.unique(rows.codes[mask & (rows.codes >= 0)], return_counts=True)
            for unit, count in zip(units, counts, strict=True):
                rows.contrary[reason, str(rows.texts[unit])] += int(count)
    energy = np.abs(np.nan_to_num(rows.elec)) + np.abs(np.nan_to_num(rows.gas)) * GAS_KWH_PER_M3
    rows.lost_kwh = float(energy[bad].sum())
    rejected = pa.concat_tables(
        [
            _rejects(chunk, reader.source, reason, np.flatnonzero(mask), given, energy)
            for reason, mask, given in faults.found
        ]
    )
    rows.keep(np.flatnonzero(~bad))
    return rows, rejected


def _read(chunk: Chunk, reader: HourlyReader, faults: _Faults) -> Rows:
    count = chunk.batch.num_rows
    columns = reader.columns
    units = read_units(chunk, columns, reader.spelling, reader.memo, by_point=reader.holders is not None)
    for reason, mask, column in units.faults:
        faults.add(reason, mask, column)
    times = read_times(chunk, columns, reader.clock, reader.memo)
    for reason, mask, column in times.faults:
        faults.add(reason, mask, column)
    layout = reader.habits.of_rows(units, times) if reader.habits is not None else None
    slot, facts = _facts(units, times, layout, reader)
    _add_unknown(faults, times, layout, slot, facts, reader)
    if reader.holders is not None:
        held, lacking, several = holders_of_rows(reader.holders, units, facts.day[slot])
        known_time = facts.period[slot] != 0
        faults.add("no_customer_of_supply_point", lacking & known_time, "supply_point_id")
        faults.add("several_customers_of_supply_point", several & known_time, "supply_point_id")
        units = held
    elec = hour_columns.numbers(chunk, columns["consumption_elec_kwh"], reader.memo)
    gas = hour_columns.numbers(chunk, columns["consumption_gas_m3"], reader.memo)
    flags = hour_columns.flags(chunk, columns["is_estimated"], reader.memo)
    arrival = hour_columns.days(chunk, columns["recorded_at"], reader.memo, reader.dates)
    for found, name in (
        (elec, "consumption_elec_kwh"),
        (gas, "consumption_gas_m3"),
        (flags, "is_estimated"),
    ):
        if found is not None:
            faults.add(f"invalid_{name}", found[1], name)
    if arrival is not None:
        faults.add("invalid_recorded_at", arrival.unreadable, "recorded_at")
        faults.add("outside_recorded_at", arrival.impossible, "recorded_at")
    electricity = elec[0] if elec is not None else np.zeros(count)
    if reader.power:
        hours = np.array([told.minutes / 60 for told in reader.layouts])
        electricity = electricity * (hours[0] if layout is None else hours[layout])
    return Rows(
        codes=units.codes,
        texts=units.texts,
        names=units.array,
        slot=slot,
        facts=facts,
        known=arrival.values if arrival is not None else None,
        elec=electricity,
        gas=gas[0] if gas is not None else np.zeros(count),
        measured=(elec is not None, gas is not None),
        estimated=flags[0] if flags is not None else None,
        respelled=units.respelled,
        sentinels=arrival.sentinels if arrival is not None else 0,
    )


def _add_unknown(
    faults: _Faults,
    times: Times,
    layout: npt.NDArray[np.int8] | None,
    slot: npt.NDArray[np.int32],
    facts: HourFacts,
    reader: HourlyReader,
) -> None:
    """Rows whose time stands for no interval: unreadable, between two intervals, or skipped by the clock change."""
    if facts.period.all():
        return
    unknown = facts.period[slot] == 0
    for _, told, _ in times.faults:
        unknown &= ~told
    at = np.flatnonzero(unknown)
    if not len(at):
        return
    keys = times.keys[times.hour[at]]
    reasons = np.empty(len(at), dtype=object)
    for number, meant in enumerate(reader.layouts):
        of_layout = np.ones(len(at), np.bool_) if layout is None else layout[at] == number
        reasons[of_layout] = fault_of_keys(keys[of_layout], meant)
    for reason in np.unique(reasons):
        mask = np.zeros(len(unknown), np.bool_)
        mask[at[reasons == reason]] = True
        faults.add(str(reason), mask, times.shown)


def _facts(
    units: Units, times: Times, layout: npt.NDArray[np.int8] | None, reader: HourlyReader
) -> tuple[npt.NDArray[np.int32], HourFacts]:
    """Every row's position in the facts, and the facts in each zone that the customers live in and each layout."""
    keys, slot = times.keys, times.hour
    zones: list[Zone] = ["mainland"]
    if reader.zones:
        present = np.zeros(len(units.texts), np.bool_)
        changes = np.flatnonzero(np.diff(units.codes)) + 1
        used = np.unique(units.codes[np.concatenate([np.zeros(1, np.int64), changes])])
        present[used[used >= 0]] = True
        zone_of = [
            reader.zones.get(holder, "mainland") if here and holder else "mainland"
            for here, holder in zip(present, units.holders(), strict=True)
        ]
        zones = [zone for zone in ZONES if zone == "mainland" or zone in zone_of]
        if len(zones) > 1:
            size = len(keys) * len(reader.layouts)
            offsets = np.array([zones.index(zone) * size for zone in zone_of], dtype=np.int32)
            slot = slot + offsets[np.maximum(units.codes, 0)]
    if layout is not None:
        slot = slot + layout * np.int32(len(keys))
    parts = [reader.facts(keys, zone, meant) for zone in zones for meant in reader.layouts]
    return slot, parts[0] if len(parts) == 1 else HourFacts.stack(parts)


def _rejects(chunk: Chunk, source: str, reason: str, at: Ints, given: pa.Array | None, energy: Floats) -> pa.Table:
    found = chunk.batch.take(pa.array(at))
    detail = pa.nulls(len(at), pa.string()) if given is None else given.take(pa.array(at)).cast(pa.string())
    return pa.table(
        {
            "source": pa.repeat(source, len(at)),
            "source_file": pa.repeat(chunk.origin, len(at)),
            "source_line": pa.array(at + chunk.first_line),
            "reason": pa.repeat(reason, len(at)),
            "detail": pc.utf8_slice_codeunits(detail, 0, 200),
            "row": [json.dumps(row, default=str, ensure_ascii=False) for row in hour_columns.shown(found)],
            "energy_kwh": energy[at],
        },
        schema=REJECT_SCHEMA,
    )
