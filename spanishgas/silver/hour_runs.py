"""Hourly rows reduced run by run: consecutive rows of one customer, civil day and known-at day become one row.

Meters deliver their hours in order, so nearly every customer-day is one unbroken run, and a run is summed with a few
array operations, many times cheaper than hashing every reading into a group. Runs that are not plainly a whole day once
(repeated hours, corrections, missing hours, rows in another order) also hand out their rows, which
``hour_versions`` resolves by rule; whatever the order of the rows, the result is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanishgas.config import ColumnMapping
from spanishgas.domain.tariff import Zone
from spanishgas.engine.chunks import Chunk
from spanishgas.silver import hour_columns
from spanishgas.silver.dates import DateRule
from spanishgas.silver.hour_keys import (
    DAY_SHIFT,
    INDEX_SLOTS,
    NO_KEY,
    PERIOD_MASK,
    Clock,
    HourFacts,
    Ints,
    facts_of_keys,
    keys_of_seconds,
    keys_of_texts,
)

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
STEPS_PER_UNIT = 1e6
ZONES: tuple[Zone, ...] = ("mainland", "canary", "ceuta_melilla")
ROW_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("day", pa.int32()),
        ("key", pa.int64()),
        ("ambiguous", pa.bool_()),
        ("period", pa.int8()),
        ("hours_expected", pa.int8()),
        ("known_at", pa.int32()),
        ("elec", pa.float64()),
        ("gas", pa.float64()),
        ("is_estimated", pa.bool_()),
    ]
)
REJECT_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("row", pa.string()),
    ]
)


@dataclass(frozen=True)
class HourlyReader:
    """How hourly rows are read.

    Attributes:
        source: Name of the source contract.
        columns: Contract column -> origin.
        clock: Clock of the timestamps.
        delay_days: Days from a reading to its arrival, where the source tells none.
        zones: Customers outside the mainland's tariff zone -> zone.
        dates: Which arrivals mean nothing, and which can be.
    """

    source: str
    columns: Mapping[str, ColumnMapping]
    clock: Clock
    delay_days: int
    zones: Mapping[str, Zone]
    dates: DateRule
    memo: hour_columns.Memo = field(default_factory=hour_columns.Memo)
    kept: dict[Zone, tuple[Ints, HourFacts]] = field(default_factory=dict)

    def facts(self, keys: Ints, zone: Zone) -> HourFacts:
        """Facts of hours; those of the last keys are kept."""
        known = self.kept.get(zone)
        if known is None or known[0] is not keys:
            known = self.kept[zone] = (keys, facts_of_keys(keys, zone, self.clock))
        return known[1]

    def needed(self) -> list[str]:
        """Raw columns to read."""
        return [mapping.column for mapping in self.columns.values() if mapping.column is not None]


@dataclass(frozen=True)
class Runs:
    """Runs of one chunk.

    Attributes:
        customers: Customer of each code.
        columns: Column name -> one value per run that is plainly a whole day.
        odd: Codes and days of the other runs; of those only the rows are handed out.
        rows: Their rows, in ``ROW_SCHEMA``.
        rejected: Rejected rows, in ``REJECT_SCHEMA``.
        read: Rows read.
        sentinels: Rows whose arrival is a day that stands for no date.
    """

    customers: list[str]
    columns: dict[str, npt.NDArray[np.generic]]
    odd: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]
    rows: pa.Table
    rejected: pa.Table
    read: int
    sentinels: int


@dataclass
class _Rows:
    """Typed rows of a chunk."""

    codes: npt.NDArray[np.int32]
    texts: list[str | None]
    names: pa.Array
    hour: npt.NDArray[np.int32]
    keys: Ints
    zone_offset: npt.NDArray[np.int32] | None
    facts: HourFacts
    known: npt.NDArray[np.int32] | None
    elec: Floats
    gas: Floats
    estimated: Mask | None
    sentinels: int
    faults: list[tuple[str, Mask, "pa.Array | None"]] = field(default_factory=list)

    @property
    def slots(self) -> Ints:
        """Position in ``facts`` of every row."""
        slots = self.hour if self.zone_offset is None else self.hour + self.zone_offset[self.codes]
        return slots.astype(np.intp)


@dataclass(frozen=True)
class _Cut:
    """Typed rows with the bounds of their runs."""

    rows: _Rows
    slots: Ints
    packed: Ints
    known: npt.NDArray[np.int32] | None
    delay_days: int
    starts: Ints
    counts: Ints
    expected: npt.NDArray[np.int8]
    clean: Mask

    def days(self, rows: Ints) -> npt.NDArray[np.int32]:
        """Civil days of some rows, days since 1970."""
        return (self.packed[rows] >> DAY_SHIFT).astype(np.int32)

    def known_at(self, rows: Ints) -> npt.NDArray[np.int32]:
        """Known-at days of some rows: as told, else the delay after the day."""
        derived = self.days(rows) + np.int32(self.delay_days)
        if self.known is None:
            return derived
        told = self.known[rows]
        return np.where(told == hour_columns.NO_DAY, derived, told).astype(np.int32)

    @property
    def whole(self) -> Mask:
        """Runs with as many readings as their day has hours."""
        return np.asarray(self.counts == self.expected)

    def rows_of(self, runs: Mask) -> pa.Table:
        """Rows of some runs, in ``ROW_SCHEMA``."""
        return _table(self, np.flatnonzero(np.repeat(runs, self.counts)))


def reduce_chunk(chunk: Chunk, reader: HourlyReader) -> Runs:
    """Reads, checks and reduces one chunk."""
    rows, rejected = _accept(chunk, reader)
    if not len(rows.codes):
        none = (np.zeros(0, np.int32), np.zeros(0, np.int32))
        return Runs([], {}, none, ROW_SCHEMA.empty_table(), rejected, chunk.batch.num_rows, rows.sentinels)
    cut = _cut(rows, reader)
    starts = cut.starts
    customer: npt.NDArray[np.generic]
    used, customer = np.unique(rows.codes[starts], return_inverse=True)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "customer": customer,
        "day": cut.days(starts),
        "known_at": cut.known_at(starts),
        "hours_expected": cut.expected.astype(np.int32),
        "hours_seen": cut.counts.astype(np.int32),
        **_sums(cut),
    }
    plain = cut.clean & cut.whole
    names = [str(rows.texts[code]) for code in used]
    odd = (customer[~plain], columns["day"][~plain])
    columns = {name: values[plain] for name, values in columns.items()}
    return Runs(names, columns, odd, cut.rows_of(~plain), rejected, chunk.batch.num_rows, rows.sentinels)


def whole_days(chunk: Chunk, reader: HourlyReader, wanted: Mapping[str, Ints]) -> pa.Table:
    """Rows of the clean whole days, which ``reduce_chunk`` did not hand out, of some customers.

    Args:
        chunk: Where to look.
        reader: How rows are read.
        wanted: Customer -> days since 1970.
    """
    rows, _ = _accept(chunk, reader)
    if not len(rows.codes) or not any(text in wanted for text in rows.texts):
        return ROW_SCHEMA.empty_table()
    cut = _cut(rows, reader)
    codes, days = rows.codes[cut.starts], cut.days(cut.starts)
    found = np.zeros(len(codes), np.bool_)
    for code in np.unique(codes):
        of_customer = wanted.get(str(rows.texts[code]))
        if of_customer is not None:
            found |= (codes == code) & np.isin(days, of_customer)
    return cut.rows_of(found & cut.clean & cut.whole)


def _cut(rows: _Rows, reader: HourlyReader) -> _Cut:
    slots = rows.slots
    packed = rows.facts.packed[slots]
    same = (packed[1:] ^ packed[:-1]) < (1 << DAY_SHIFT)
    same &= rows.codes[1:] == rows.codes[:-1]
    if rows.known is not None:
        # A day without an arrival and one with the derived arrival told are two runs: that costs time, never truth.
        same &= rows.known[1:] == rows.known[:-1]
    starts = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(~same) + 1])
    same &= packed[1:] <= packed[:-1]
    disordered = np.flatnonzero(same) + 1
    counts = np.diff(np.append(starts, len(rows.codes)))
    expected = rows.facts.expected[slots[starts]]
    if reader.clock == "civil" and len(disordered):
        disordered = disordered[~_doubled(rows, slots, packed, starts, counts == expected, disordered)]
    missing = np.flatnonzero(np.isnan(rows.elec) | np.isnan(rows.gas))
    clean = np.ones(len(starts), np.bool_)
    clean[np.searchsorted(starts, np.concatenate([disordered, missing]), side="right") - 1] = False
    return _Cut(rows, slots, packed, rows.known, reader.delay_days, starts, counts, expected, clean)


def _doubled(rows: _Rows, slots: Ints, packed: Ints, starts: Ints, whole: Mask, disordered: Ints) -> Mask:
    """Second readings of the hour that the clock change doubles, on days that are complete with them."""
    run = np.searchsorted(starts, disordered, side="right") - 1
    alone = np.bincount(run, minlength=len(starts))[run] == 1
    equal = packed[disordered] == packed[disordered - 1]
    return np.asarray(alone & equal & rows.facts.ambiguous[slots[disordered]] & whole[run])


def _sums(cut: _Cut) -> dict[str, npt.NDArray[np.generic]]:
    """Energies and counts of every run."""
    rows, starts = cut.rows, cut.starts
    period = cut.packed & PERIOD_MASK
    elec, surplus, surplus_count = _split(rows.elec, starts)
    gas, back, back_count = _split(rows.gas, starts)
    total = np.add.reduceat(elec, starts)
    peak = np.add.reduceat(elec * (period == 1), starts)
    standard = np.add.reduceat(elec * (period == 2), starts)
    estimated = np.flatnonzero(rows.estimated) if rows.estimated is not None else np.zeros(0, np.int64)
    run = np.searchsorted(starts, estimated, side="right") - 1
    energies = {
        "elec_p1": peak,
        "elec_p2": standard,
        "elec_p3": total - peak - standard,
        "gas": np.add.reduceat(gas, starts),
        "elec_negative": surplus,
        "gas_negative": back,
        "estimated": np.bincount(run, weights=elec[estimated], minlength=len(starts)),
    }
    return {
        **{name: values / STEPS_PER_UNIT for name, values in energies.items()},
        "elec_negative_count": surplus_count,
        "gas_negative_count": back_count,
        "estimated_count": np.bincount(run, minlength=len(starts)).astype(np.int32),
    }


def _split(values: Floats, starts: Ints) -> tuple[Floats, Floats, npt.NDArray[np.int32]]:
    """Values in whole millionths with the negative ones set to 0; their sum and count per run."""
    steps = values * STEPS_PER_UNIT
    np.rint(steps, out=steps)
    # By the sign of the reading, not of its rounded value: a tiny negative is one too.
    negative = np.flatnonzero(values < 0)
    if not len(negative):
        return steps, np.zeros(len(starts)), np.zeros(len(starts), np.int32)
    run = np.searchsorted(starts, negative, side="right") - 1
    energy = np.asarray(np.bincount(run, weights=steps[negative], minlength=len(starts)), np.float64)
    count = np.bincount(run, minlength=len(starts)).astype(np.int32)
    steps[negative] = 0.0
    return steps, energy, count


def _accept(chunk: Chunk, reader: HourlyReader) -> tuple[_Rows, pa.Table]:
    """The rows that can be read, and the others with their reasons."""
    rows = _read(chunk, reader)
    if not rows.faults:
        return rows, REJECT_SCHEMA.empty_table()
    bad = np.zeros(len(rows.codes), np.bool_)
    for _, mask, _ in rows.faults:
        bad |= mask
    rejected = pa.concat_tables(
        [_rejects(chunk, reader.source, reason, np.flatnonzero(mask), given) for reason, mask, given in rows.faults]
    )
    kept = np.flatnonzero(~bad)
    rows.codes, rows.hour = rows.codes[kept], rows.hour[kept]
    rows.known = rows.known[kept] if rows.known is not None else None
    rows.elec, rows.gas = rows.elec[kept], rows.gas[kept]
    rows.estimated = rows.estimated[kept] if rows.estimated is not None else None
    return rows, rejected


def _read(chunk: Chunk, reader: HourlyReader) -> _Rows:
    count = chunk.batch.num_rows
    columns = reader.columns
    customer = hour_columns.coded(chunk, columns["customer_id"], reader.memo)
    assert customer is not None
    hour, keys, missing_time, odd_index = _hours(chunk, reader)
    faults: list[tuple[str, Mask, pa.Array | None]] = []

    def fault(reason: str, mask: Mask | None, column: str | None) -> None:
        if mask is not None and mask.any():
            raw = None if column is None else hour_columns.raw_column(chunk, columns[column])
            faults.append((reason, mask, raw))

    fault("missing_customer_id", customer.codes < 0, None)
    fault("missing_timestamp", missing_time, None)
    fault("invalid_hour_index", odd_index, "hour_index")
    offsets, facts = _facts(customer, keys, reader)
    if not facts.period.all():
        slots = hour if offsets is None else hour + offsets[np.maximum(customer.codes, 0)]
        # A period of 0 says that there is no such hour: unreadable, off the full hour, or skipped by the clock change.
        unknown = facts.period[slots] == 0
        for told in (missing_time, odd_index):
            unknown = unknown if told is None else unknown & ~told
        fault("invalid_timestamp", unknown, "timestamp")
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
            fault(f"invalid_{name}", found[1], name)
    if arrival is not None:
        fault("invalid_recorded_at", arrival.unreadable, "recorded_at")
        fault("outside_recorded_at", arrival.impossible, "recorded_at")
    return _Rows(
        codes=customer.codes,
        texts=customer.texts,
        names=customer.array,
        hour=hour,
        keys=keys,
        zone_offset=offsets,
        facts=facts,
        known=arrival.values if arrival is not None else None,
        elec=elec[0] if elec is not None else np.zeros(count),
        gas=gas[0] if gas is not None else np.zeros(count),
        estimated=flags[0] if flags is not None else None,
        sentinels=arrival.sentinels if arrival is not None else 0,
        faults=faults,
    )


def _hours(chunk: Chunk, reader: HourlyReader) -> tuple[npt.NDArray[np.int32], Ints, Mask | None, Mask | None]:
    """Position of every row in the distinct keys, the keys, and the rows without a time or with an odd index."""
    mapping = reader.columns["timestamp"]
    raw = hour_columns.raw_column(chunk, mapping)
    if raw is not None and (pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type)):
        seconds = raw.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        missing = seconds.is_null().to_numpy(zero_copy_only=False) if seconds.null_count else None
        micros = seconds.fill_null(0).to_numpy(zero_copy_only=False)
        whole = np.where(micros % 1_000_000 == 0, micros // 1_000_000, -1)
        row_keys = keys_of_seconds(whole, reader.clock)
        keys, hour = _dense(row_keys)
    else:
        found = hour_columns.coded(chunk, mapping, reader.memo)
        assert found is not None
        missing = found.codes < 0 if (found.codes < 0).any() else None
        hour = np.maximum(found.codes, 0)
        texts, clock = found.texts, reader.clock
        if found.dictionary is None:
            keys = keys_of_texts(texts, clock, mapping.date_format)
        else:
            keys = reader.memo.get(
                ("keys",), found.dictionary, lambda: keys_of_texts(texts, clock, mapping.date_format)
            )
    if reader.clock != "hour_index":
        return hour.astype(np.int32, copy=False), keys, missing, None
    index = hour_columns.numbers(chunk, reader.columns["hour_index"], reader.memo)
    assert index is not None
    values = index[0]
    with np.errstate(invalid="ignore"):
        odd = ~((values >= 1) & (values < INDEX_SLOTS) & (values == np.rint(values)))
    base = keys[hour]
    indexed = np.where(odd | (base == NO_KEY), NO_KEY, base + np.where(odd, 0, values).astype(np.int64))
    keys, hour = _dense(indexed)
    return hour, keys, missing, odd if odd.any() else None


def _dense(row_keys: Ints) -> tuple[Ints, npt.NDArray[np.int32]]:
    """Distinct keys and every row's position in them; a plain offset while the keys lie close together."""
    known = row_keys[row_keys != NO_KEY]
    if len(known) and int(known.max()) - int(known.min()) < 4_000_000:
        low, high = int(known.min()), int(known.max())
        keys = np.append(np.arange(low, high + 1), NO_KEY)
        return keys, np.where(row_keys == NO_KEY, len(keys) - 1, row_keys - low).astype(np.int32)
    keys, hour = np.unique(row_keys, return_inverse=True)
    return keys, hour.astype(np.int32)


def _facts(
    customer: hour_columns.Coded, keys: Ints, reader: HourlyReader
) -> tuple[npt.NDArray[np.int32] | None, HourFacts]:
    """Facts of the keys in every zone that the chunk's customers live in, stacked, and each customer's offset."""
    zones: list[Zone] = ["mainland"]
    offsets = None
    if reader.zones:
        present = np.zeros(len(customer.texts), np.bool_)
        changes = np.flatnonzero(np.diff(customer.codes)) + 1
        used = np.unique(customer.codes[np.concatenate([np.zeros(1, np.int64), changes])])
        present[used[used >= 0]] = True
        zone_of = [
            reader.zones.get(text, "mainland") if used and text else "mainland"
            for used, text in zip(present, customer.texts, strict=True)
        ]
        zones = [zone for zone in ZONES if zone == "mainland" or zone in zone_of]
        if len(zones) > 1:
            offsets = np.array([zones.index(zone) * len(keys) for zone in zone_of], dtype=np.int32)
    parts = [reader.facts(keys, zone) for zone in zones]
    if len(parts) == 1:
        return None, parts[0]
    return offsets, HourFacts.stack(parts)


def _table(cut: _Cut, wanted: Ints) -> pa.Table:
    rows = cut.rows
    at = cut.slots[wanted]
    estimated = rows.estimated[wanted] if rows.estimated is not None else np.zeros(len(wanted), np.bool_)
    return pa.table(
        {
            "customer_id": rows.names.take(pa.array(rows.codes[wanted])),
            "day": cut.days(wanted),
            "key": rows.keys[rows.hour[wanted]],
            "ambiguous": rows.facts.ambiguous[at],
            "period": rows.facts.period[at],
            "hours_expected": rows.facts.expected[at],
            "known_at": cut.known_at(wanted),
            "elec": pa.array(rows.elec[wanted], from_pandas=True),
            "gas": pa.array(rows.gas[wanted], from_pandas=True),
            "is_estimated": estimated,
        },
        schema=ROW_SCHEMA,
    )


def _rejects(chunk: Chunk, source: str, reason: str, at: Ints, given: pa.Array | None) -> pa.Table:
    import json

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
        },
        schema=REJECT_SCHEMA,
    )
