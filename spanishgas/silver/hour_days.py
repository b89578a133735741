"""Runs put together to days: which run is the whole story of its day, and what the rows of all other days say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spanishgas.contracts.silver import CONSUMPTION_DAILY
from spanishgas.domain.civil_time import DAY_SECONDS
from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.chunks import Chunk, RowGroup, Spool
from spanishgas.engine.session import Engine
from spanishgas.silver.hour_keys import Ints
from spanishgas.silver.hour_rows import HourlyReader
from spanishgas.silver.hour_runs import ROW_SCHEMA, STEPS_PER_UNIT, whole_days
from spanishgas.silver.hour_versions import resolve_days
from spanishgas.silver.supply_points import DAY_BITS, per_customer

ODD_KEPT = 20_000_000
COUNTS = ("negative_elec", "negative_gas", "estimated", "duplicate", "conflicting_duplicate", "gap_hours")
ENERGIES = {
    "elec_p1": "elec_p1_kwh",
    "elec_p2": "elec_p2_kwh",
    "elec_p3": "elec_p3_kwh",
    "gas": "gas_m3",
    "elec_negative": "elec_negative_kwh",
    "gas_negative": "gas_negative_m3",
    "estimated": "estimated_kwh",
}
INTEGERS = (
    "hours_expected",
    "hours_seen",
    "readings",
    "elec_negative_count",
    "gas_negative_count",
    "estimated_count",
    "duplicate_count",
)
Arrays = dict[str, npt.NDArray[Any]]
# Civil day (days since 1970) and check -> readings concerned, in the latest version of the day.
Checks = Counter[tuple[int, str]]


@dataclass(frozen=True)
class Reading:
    """One part of the source.

    Attributes:
        reader: How it is read.
        groups: Its row groups; all parts of a source number theirs differently.
    """

    reader: HourlyReader
    groups: tuple[RowGroup, ...]


class Collected:
    """Plain runs, with one number per unit, and the days of all other runs."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.parts: list[Arrays] = []
        # Row group that each of the parts was read from.
        self.groups: list[int] = []
        self._odd: list[Ints] = []
        self._odd_count = 0

    def add(self, units: Sequence[str], columns: Mapping[str, npt.NDArray[Any]], group: int) -> None:
        """Adds plain runs.

        Args:
            units: Unit of each code.
            columns: Column name -> one value per run; ``customer`` holds the codes.
            group: Row group that they were read from.
        """
        if not columns or not len(columns["day"]):
            return
        customer = self._numbers(units)[columns["customer"]]
        packed = _packed(customer, columns["day"])
        self.parts.append({**columns, "customer": customer, "packed": packed})
        self.groups.append(group)

    def add_odd(self, units: Sequence[str], codes: npt.NDArray[Any], days: npt.NDArray[Any]) -> None:
        """Adds days that have other runs, by the codes of their units."""
        if not len(codes):
            return
        self._odd.append(np.unique(_packed(self._numbers(units)[codes], days)))
        self._odd_count += len(self._odd[-1])
        if self._odd_count > ODD_KEPT:
            # Rows in no order make every row a run: the same customer-days come up again and again.
            self._odd = [self.odd]
            self._odd_count = 0

    def _numbers(self, units: Sequence[str]) -> npt.NDArray[np.int32]:
        return np.array([self.numbers.setdefault(unit, len(self.numbers)) for unit in units], np.int32)

    @property
    def names(self) -> list[str]:
        """Unit of each number."""
        return list(self.numbers)

    @property
    def odd(self) -> Ints:
        """Days that have other runs, as packed keys, ascending."""
        return np.unique(np.concatenate(self._odd)) if self._odd else np.zeros(0, np.int64)

    @property
    def packed(self) -> Ints:
        """Customer-day of every plain run, as a packed key."""
        return np.concatenate([part["packed"] for part in self.parts]) if self.parts else np.zeros(0, np.int64)


def make_days(
    engine: Engine, readings: Sequence[Reading], collected: Collected, odd: Sequence[Path], *, by_point: bool
) -> tuple[ir.Table, Checks]:
    """Days of all units of which runs were collected.

    Args:
        engine: The engine.
        readings: The parts of the source, to read rows of plain runs again.
        collected: All runs of these units.
        odd: Parquet files with the rows of the other runs, in ``ROW_SCHEMA``.
        by_point: Whether units are supply points, to be added up per customer.

    Returns:
        Rows in the contract's columns; day and check -> readings concerned, in the latest version of every day.
    """
    days = _judge(collected)
    with engine.spool(ROW_SCHEMA) as hidden:
        _fetch_hidden(engine, readings, collected, days, hidden)
    simple, found = _plain_rows(engine, collected, days.plain)
    rows = engine.scan([*odd, hidden.file])
    unresolved = rows.semi_join(engine.table(_keys(collected.names, days.unresolved)), ["customer_id", "day"])
    resolved = engine.materialize(_in_contract(resolve_days(engine, unresolved)))
    found.update(_findings(engine, resolved))
    columns = [name for name in CONSUMPTION_DAILY.column_names if name != "supply_points"]
    daily = simple.select(*columns).union(resolved.select(*columns))
    daily = per_customer(engine, daily) if by_point else daily.mutate(supply_points=ibis.null("int32"))
    return daily.select(*CONSUMPTION_DAILY.column_names), found


def _packed(customer: npt.NDArray[Any], day: npt.NDArray[Any]) -> Ints:
    return np.asarray((customer.astype(np.int64) << DAY_BITS) + day, np.int64)


@dataclass(frozen=True)
class _Days:
    """Which runs are the whole story of their customer-day.

    Attributes:
        plain: One flag per run.
        unresolved: The other customer-days, as packed keys.
        hidden: Those of them with plain runs, whose rows were not handed out.
    """

    plain: npt.NDArray[np.bool_]
    unresolved: Ints
    hidden: Ints


def _judge(collected: Collected) -> _Days:
    packed, odd = collected.packed, collected.odd
    # Files in the order of customers and days need no sorting.
    order = np.argsort(packed, kind="stable") if (packed[1:] < packed[:-1]).any() else None
    ordered = packed if order is None else packed[order]
    equal = ordered[1:] == ordered[:-1]
    alone = np.ones(len(packed), np.bool_)
    alone[1:] &= ~equal
    alone[:-1] &= ~equal
    if len(odd):
        place = np.minimum(np.searchsorted(odd, ordered), len(odd) - 1)
        alone &= odd[place] != ordered
    if order is not None:
        back = np.empty_like(alone)
        back[order] = alone
        alone = back
    hidden = np.unique(packed[~alone])
    return _Days(alone, np.union1d(odd, hidden), hidden)


def _fetch_hidden(
    engine: Engine, readings: Sequence[Reading], collected: Collected, days: _Days, hidden: Spool
) -> None:
    """Reads again the row groups of clean whole days that other rows of the same day turned out to belong to."""
    if not len(days.hidden):
        return
    wanted: set[int] = set()
    done = 0
    for group, part in zip(collected.groups, collected.parts, strict=True):
        if not days.plain[done : done + len(part["packed"])].all():
            wanted.add(group)
        done += len(part["packed"])
    names = collected.names
    customers, numbers = np.divmod(days.hidden, 1 << DAY_BITS)
    days_of = {names[customer]: numbers[customers == customer] for customer in np.unique(customers)}
    for reading in readings:

        def work(chunk: Chunk, reader: HourlyReader = reading.reader) -> pa.Table:
            return whole_days(chunk, reader, days_of)

        groups = [group for group in reading.groups if group.number in wanted]
        for rows in engine.map_chunks(groups, reading.reader.needed(), work):
            hidden.add(rows)


def _keys(names: list[str], wanted: Ints) -> pa.Table:
    customers, days = np.divmod(wanted, 1 << DAY_BITS)
    return pa.table(
        {
            "customer_id": pa.array(names, pa.string()).take(pa.array(customers)),
            "day": pa.array(days.astype(np.int32)),
        }
    )


def _plain_rows(engine: Engine, collected: Collected, plain: npt.NDArray[np.bool_]) -> tuple[ir.Table, Checks]:
    """Plain days in the contract's columns, as a view of the arrays, and their findings."""
    names = pa.array(collected.names, pa.string())
    batches: list[pa.RecordBatch] = []
    found = Checks()
    done = 0
    for part in collected.parts:
        flags = plain[done : done + len(part["packed"])]
        done += len(flags)
        kept = part if flags.all() else {name: values[flags] for name, values in part.items()}
        batches.append(_batch(kept, names))
        told = {
            "negative_elec": kept["elec_negative_count"],
            "negative_gas": kept["gas_negative_count"],
            "estimated": kept["estimated_count"],
            "gap_hours": kept["hours_expected"].astype(np.int64) - kept["hours_seen"],
        }
        for check, counts in told.items():
            at = np.flatnonzero(counts)
            days, place = np.unique(kept["day"][at], return_inverse=True)
            sums = np.bincount(place, weights=counts[at]).astype(np.int64)
            found.update({(int(day), check): int(count) for day, count in zip(days, sums, strict=True)})
    if not batches:
        empty = {name: np.zeros(0, np.int32) for name in ("customer", "day", "known_at", *ENERGIES, *INTEGERS)}
        batches = [_batch(empty, names)]
    return _typed(engine.view(pa.Table.from_batches(batches))), found


def _batch(part: Arrays, names: pa.Array) -> pa.RecordBatch:
    energies = {final: part[name].astype(np.float64, copy=False) for name, final in ENERGIES.items()}
    zero = np.zeros(len(part["customer"]), np.int32)
    counts = {name: part.get(name, zero).astype(np.int32, copy=False) for name in INTEGERS}
    return pa.RecordBatch.from_pydict(
        {
            "customer_id": pa.DictionaryArray.from_arrays(
                pa.array(part["customer"].astype(np.int32, copy=False)), names
            ),
            "day": pa.array(part["day"].astype(np.int32, copy=False)).cast(pa.date32()),
            "known_at": pa.array(part["known_at"].astype(np.int32, copy=False)).cast(pa.date32()),
            **energies,
            "gas_kwh": energies["gas_m3"] * GAS_KWH_PER_M3,
            **counts,
        }
    )


def _in_contract(days: ir.Table) -> ir.Table:
    energies = {final: days[name].fill_null(0.0).cast("float64") / STEPS_PER_UNIT for name, final in ENERGIES.items()}
    epoch = ibis.date(1970, 1, 1)
    plain = days.select(
        customer_id=days.customer_id,
        day=(epoch + days.day.as_interval("D")).cast("date"),
        known_at=(epoch + days.known_at.as_interval("D")).cast("date"),
        **energies,
        **{name: days[name] for name in (*INTEGERS, "conflicting_count")},
    )
    return _typed(plain.mutate(gas_kwh=plain.gas_m3 * GAS_KWH_PER_M3))


def _typed(table: ir.Table) -> ir.Table:
    whole = {name: table[name].cast("int32") for name in INTEGERS}
    return table.mutate(customer_id=table.customer_id.cast("string"), **whole)


def _findings(engine: Engine, resolved: ir.Table) -> Checks:
    """Findings in the latest version of every resolved day."""
    last = resolved.mutate(
        _place=ibis.row_number().over(group_by=["customer_id", "day"], order_by=resolved.known_at.desc())
    )
    last = last.filter(last._place == 0)
    rows = engine.frame(
        last.group_by(number=last.day.cast("timestamp").epoch_seconds() // DAY_SECONDS).aggregate(
            negative_elec=last.elec_negative_count.sum(),
            negative_gas=last.gas_negative_count.sum(),
            estimated=last.estimated_count.sum(),
            duplicate=(last.duplicate_count - last.conflicting_count).sum(),
            conflicting_duplicate=last.conflicting_count.sum(),
            gap_hours=(last.hours_expected - last.hours_seen).sum(),
        )
    )
    return Checks(
        {
            (int(day), check): int(count)
            for check in COUNTS
            for day, count in zip(rows["number"], rows[check].astype("float64").fillna(0.0), strict=True)
            if count
        }
    )
