"""Readings reduced run by run: consecutive rows of one unit, civil day and known-at day become one row.

Meters deliver their readings in order, so nearly every day is one unbroken run, and a run is summed with a few array
operations, many times cheaper than hashing every reading into a group. Runs that are not plainly a whole day once
(repeated or missing intervals, corrections, rows in another order) also hand out their rows, which ``hour_versions``
resolves by rule; whatever the order of the rows, the result is the same.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.chunks import Chunk
from spanishgas.silver import hour_columns
from spanishgas.silver.hour_keys import DAY_SHIFT, PERIOD_MASK, Ints
from spanishgas.silver.hour_rows import HourlyReader, Rows, accept

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
STEPS_PER_UNIT = 1e6
ELEC, GAS = ("elec_p1", "elec_p2", "elec_p3", "elec_negative"), ("gas", "gas_negative")
ROW_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("day", pa.int32()),
        ("start", pa.int64()),
        ("twice", pa.int8()),
        ("period", pa.int8()),
        ("minutes", pa.int8()),
        ("hours_expected", pa.int8()),
        ("known_at", pa.int32()),
        ("elec", pa.float64()),
        ("gas", pa.float64()),
        ("is_estimated", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Runs:
    """Runs of one chunk.

    Attributes:
        customers: Unit of each code.
        columns: Column name -> one value per run that is plainly a whole day.
        odd: Codes and days of the other runs; of those only the rows are handed out.
        rows: Their rows, in ``ROW_SCHEMA``.
        rejected: Rejected rows, in ``hour_rows.REJECT_SCHEMA``.
        read: Rows read.
        sentinels: Rows whose arrival is a day that stands for no date.
        respelled: Rows whose identifiers were written otherwise.
        contrary: Reason and unit -> rows that contradict the settings.
        lost_kwh: Energy in the rejected rows.
        group: Row group that the chunk is of.
    """

    customers: list[str]
    columns: dict[str, npt.NDArray[np.generic]]
    odd: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]
    rows: pa.Table
    rejected: pa.Table
    read: int
    sentinels: int
    respelled: int
    contrary: Counter[tuple[str, str]]
    lost_kwh: float
    group: int

    @property
    def energy_kwh(self) -> float:
        """Energy in all rows read, electricity and gas, without sign."""
        summed = sum(float(np.abs(self.columns[name]).sum()) for name in ELEC if self.columns)
        summed += sum(float(np.abs(self.columns[name]).sum()) for name in GAS if self.columns) * GAS_KWH_PER_M3
        summed += _total(self.rows["elec"]) + _total(self.rows["gas"]) * GAS_KWH_PER_M3
        return summed + self.lost_kwh

    @property
    def days(self) -> set[int]:
        """Civil days that any row is of, days since 1970."""
        told = (self.odd[1], self.columns["day"]) if self.columns else (self.odd[1],)
        return {int(day) for days in told for day in np.unique(days)}

    def only(self, days: Ints) -> "Runs":
        """The runs and rows of some civil days, given ascending; what was counted stays."""
        columns, (codes, of_codes) = self.columns, self.odd
        if columns:
            kept = np.isin(columns["day"], days)
            columns = {name: values[kept] for name, values in columns.items()}
        odd = np.isin(of_codes, days)
        rows = self.rows
        if rows.num_rows:
            rows = rows.filter(pa.array(np.isin(rows["day"].to_numpy(), days)))
        return replace(self, columns=columns, odd=(codes[odd], of_codes[odd]), rows=rows)


def _total(values: pa.ChunkedArray) -> float:
    return float(pc.sum(pc.abs(values)).as_py() or 0.0)


@dataclass(frozen=True)
class _Cut:
    """Typed rows with the bounds of their runs."""

    rows: Rows
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
        """Runs with as many readings as their day has intervals."""
        return np.asarray(self.counts == self.expected)

    def rows_of(self, runs: Mask) -> pa.Table:
        """Rows of some runs, in ``ROW_SCHEMA``."""
        return _table(self, np.flatnonzero(np.repeat(runs, self.counts)))


def reduce_chunk(chunk: Chunk, reader: HourlyReader) -> Runs:
    """Reads, checks and reduces one chunk."""
    rows, rejected = accept(chunk, reader)
    told: dict[str, Any] = {"rejected": rejected, "read": chunk.batch.num_rows, "lost_kwh": rows.lost_kwh}
    told |= {"sentinels": rows.sentinels, "respelled": rows.respelled, "contrary": rows.contrary, "group": chunk.group}
    if not len(rows.codes):
        none = (np.zeros(0, np.int32), np.zeros(0, np.int32))
        return Runs([], {}, none, ROW_SCHEMA.empty_table(), **told)
    cut = _cut(rows, reader)
    starts = cut.starts
    customer: npt.NDArray[np.generic]
    used, customer = np.unique(rows.codes[starts], return_inverse=True)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "customer": customer,
        "day": cut.days(starts),
        "known_at": cut.known_at(starts),
        **_lengths(cut, reader),
        **_sums(cut),
    }
    plain = cut.clean & cut.whole
    names = [str(rows.texts[code]) for code in used]
    odd = (customer[~plain], columns["day"][~plain])
    columns = {name: values[plain] for name, values in columns.items()}
    return Runs(names, columns, odd, cut.rows_of(~plain), **told)


def _lengths(cut: _Cut, reader: HourlyReader) -> dict[str, npt.NDArray[np.generic]]:
    """Readings of every run and the hours that they and its day cover."""
    readings, expected = cut.counts.astype(np.int32), cut.expected.astype(np.int32)
    if all(layout.minutes == 60 for layout in reader.layouts):
        return {"hours_expected": expected, "hours_seen": readings, "readings": readings}
    minutes = cut.rows.facts.minutes[cut.slots[cut.starts]].astype(np.int32)
    return {
        "hours_expected": expected * minutes // 60,
        "hours_seen": readings * minutes // 60,
        "readings": readings,
    }


def whole_days(chunk: Chunk, reader: HourlyReader, wanted: Mapping[str, Ints]) -> pa.Table:
    """Rows of the clean whole days, which ``reduce_chunk`` did not hand out, of some customers.

    Args:
        chunk: Where to look.
        reader: How rows are read.
        wanted: Customer -> days since 1970.
    """
    rows, _ = accept(chunk, reader)
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


def _cut(rows: Rows, reader: HourlyReader) -> _Cut:
    slots = rows.slot.astype(np.intp)
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
    if len(disordered):
        disordered = disordered[~_doubled(rows, slots, packed, starts, counts == expected, disordered)]
    missing = np.flatnonzero(np.isnan(rows.elec) | np.isnan(rows.gas))
    clean = np.ones(len(starts), np.bool_)
    clean[np.searchsorted(starts, np.concatenate([disordered, missing]), side="right") - 1] = False
    return _Cut(rows, slots, packed, rows.known, reader.delay_days, starts, counts, expected, clean)


def _doubled(rows: Rows, slots: Ints, packed: Ints, starts: Ints, whole: Mask, disordered: Ints) -> Mask:
    """Second readings of an hour that the clock change doubles, on days that are complete with them."""
    run = np.searchsorted(starts, disordered, side="right") - 1
    alone = np.bincount(run, minlength=len(starts))[run] == 1
    equal = packed[disordered] == packed[disordered - 1]
    return np.asarray(alone & equal & (rows.facts.twice[slots[disordered]] > 0) & whole[run])


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


def _table(cut: _Cut, wanted: Ints) -> pa.Table:
    rows = cut.rows
    at = cut.slots[wanted]
    estimated = rows.estimated[wanted] if rows.estimated is not None else np.zeros(len(wanted), np.bool_)
    return pa.table(
        {
            "customer_id": rows.names.take(pa.array(rows.codes[wanted])),
            "day": cut.days(wanted),
            "start": rows.facts.start[at],
            "twice": rows.facts.twice[at],
            "period": rows.facts.period[at],
            "minutes": rows.facts.minutes[at],
            "hours_expected": (rows.facts.expected[at].astype(np.int64) * rows.facts.minutes[at] // 60).astype(np.int8),
            "known_at": cut.known_at(wanted),
            "elec": _known(rows.elec[wanted], measured=rows.measured[0]),
            "gas": _known(rows.gas[wanted], measured=rows.measured[1]),
            "is_estimated": estimated,
        },
        schema=ROW_SCHEMA,
    )


def _known(values: Floats, *, measured: bool) -> pa.Array:
    """Values with null for what is missing: a source without gas says nothing of it, so an empty row is no reading."""
    return pa.array(values, from_pandas=True) if measured else pa.nulls(len(values), pa.float64())
