"""Silver `consumption_daily`: hourly readings reduced to customer, civil day and version, in one streaming pass."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spanishgas.contracts.silver import CONSUMPTION_DAILY
from spanishgas.domain.tariff import Zone
from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.chunks import Chunk, Spool
from spanishgas.engine.session import Engine
from spanishgas.silver.dates import DateRule
from spanishgas.silver.hour_keys import Clock, Ints
from spanishgas.silver.hour_runs import (
    REJECT_SCHEMA,
    ROW_SCHEMA,
    STEPS_PER_UNIT,
    HourlyReader,
    Runs,
    reduce_chunk,
    whole_days,
)
from spanishgas.silver.hour_versions import resolve_days
from spanishgas.silver.mapping import empty_quarantine, hopeless
from spanishgas.silver.raw import RawPart, RawSource

DAY_BITS = 20
ODD_KEPT = 20_000_000
# So many readings, and not one of them readable: the rest need not be tried.
HOPELESS_ROWS = 1_000_000
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
    "elec_negative_count",
    "gas_negative_count",
    "estimated_count",
    "duplicate_count",
)
Progress = Callable[[str], None]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class DailyResult:
    """The hourly fact by day.

    Attributes:
        daily: Rows in the contract's columns.
        rejected: Rejected hourly rows, in the columns of the quarantine.
        counts: Check -> readings concerned (`gap_hours`: hours), in the latest version of every day, beside `rows`.
    """

    daily: ir.Table
    rejected: ir.Table
    counts: Mapping[str, int]


def build_consumption_daily(
    engine: Engine, source: RawSource, zones: ir.Table | None, progress: Progress
) -> DailyResult:
    """Reduces hourly readings to days.

    Args:
        engine: The engine.
        source: The landed source; its parts are tables from ``Engine.scan``.
        zones: ``customer_id`` and tariff ``zone`` of customers outside the mainland's; None where there are none.
        progress: Is told how far the pass has come.

    Raises:
        ContractError: Every single reading is rejected.
    """
    if not source.parts:
        types = {"string": "string", "date": "date", "int": "int64", "float": "float64"}
        schema = {column.name: types[column.type] for column in CONSUMPTION_DAILY.columns}
        return DailyResult(engine.empty(schema), empty_quarantine(engine), {"rows": 0, **dict.fromkeys(COUNTS, 0)})
    zone_of: dict[str, Zone] = {}
    if zones is not None:
        frame = engine.frame(zones)
        zone_of = {str(row.customer_id): cast(Zone, row.zone) for row in frame.itertuples()}
    readers = [(part, _reader(source, part, zone_of)) for part in source.parts]
    clock = readers[0][1].clock
    collected = _Collected()
    reasons: Counter[str] = Counter()
    with engine.spool(ROW_SCHEMA) as odd, engine.spool(REJECT_SCHEMA) as rejects:
        for part, reader in readers:
            for runs in engine.map_chunks(part.table, reader.needed(), _reducing(reader)):
                collected.add(runs)
                odd.add(runs.rows)
                rejects.add(runs.rejected)
                reasons.update(runs.rejected["reason"].to_pylist())
                if not collected.numbers and collected.read >= HOPELESS_ROWS:
                    raise hopeless(source.contract.name, collected.read, reasons)
                progress(f"{collected.read:,} hourly readings")
        if collected.read and not collected.numbers:
            raise hopeless(source.contract.name, collected.read, reasons)
        days = _judge(collected)
        _fetch_hidden(engine, readers, collected.names, days.hidden, odd)
    simple, found = _plain_rows(engine, collected, days.plain)
    unresolved = engine.spooled(odd).semi_join(
        engine.table(_keys(collected.names, days.unresolved)), ["customer_id", "day"]
    )
    resolved = engine.materialize(_in_contract(resolve_days(engine, unresolved, clock)))
    found += _findings(engine, resolved)
    columns = CONSUMPTION_DAILY.column_names
    daily = simple.select(*columns).union(resolved.select(*columns))
    counts = {name: int(found[name]) for name in COUNTS}
    counts["sentinel_recorded_at"] = collected.sentinels
    return DailyResult(daily, engine.spooled(rejects), {"rows": collected.read, **counts})


def _reader(source: RawSource, part: RawPart, zones: Mapping[str, Zone]) -> HourlyReader:
    columns = {column.name: part.settings.mapping(column.name) for column in source.contract.columns}
    kind = part.table[columns["timestamp"].column].type() if columns["timestamp"].column else None
    zoned = kind is not None and kind.is_timestamp() and kind.timezone is not None
    clock: Clock = "utc" if zoned else source.settings.clock
    dates = DateRule.of(part.settings)
    return HourlyReader(source.contract.name, columns, clock, source.contract.known_at.delay_days, zones, dates)


def _reducing(reader: HourlyReader) -> Callable[[Chunk], Runs]:
    def work(chunk: Chunk) -> Runs:
        return reduce_chunk(chunk, reader)

    return work


class _Collected:
    """Runs of all chunks, with one number per customer."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.read = 0
        self.sentinels = 0
        self.parts: list[Arrays] = []
        self._odd: list[Ints] = []
        self._odd_count = 0

    def add(self, runs: Runs) -> None:
        """Adds the runs of the next chunk."""
        self.read += runs.read
        self.sentinels += runs.sentinels
        if not runs.columns:
            return
        number = np.array([self.numbers.setdefault(name, len(self.numbers)) for name in runs.customers], np.int32)
        customer = number[runs.columns["customer"]]
        packed = _packed(customer, runs.columns["day"])
        if len(packed):
            self.parts.append({**runs.columns, "customer": customer, "packed": packed})
        codes, days = runs.odd
        self._odd.append(np.unique(_packed(number[codes], days)))
        self._odd_count += len(self._odd[-1])
        if self._odd_count > ODD_KEPT:
            # Rows in no order make every row a run: the same customer-days come up again and again.
            self._odd = [self.odd]
            self._odd_count = 0

    @property
    def names(self) -> list[str]:
        """Customer of each number."""
        return list(self.numbers)

    @property
    def odd(self) -> Ints:
        """Customer-days that are not plain in some chunk, as packed keys, ascending."""
        return np.unique(np.concatenate(self._odd)) if self._odd else np.zeros(0, np.int64)

    @property
    def packed(self) -> Ints:
        """Customer-day of every plain run, as a packed key."""
        return np.concatenate([part["packed"] for part in self.parts]) if self.parts else np.zeros(0, np.int64)


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


def _judge(collected: _Collected) -> _Days:
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
    engine: Engine, readers: list[tuple[RawPart, HourlyReader]], names: list[str], hidden: Ints, odd: Spool
) -> None:
    """Reads the sources again for clean whole days that other rows of the same day turned out to belong to."""
    if not len(hidden):
        return
    customers, days = np.divmod(hidden, 1 << DAY_BITS)
    days_of = {names[customer]: days[customers == customer] for customer in np.unique(customers)}
    for part, reader in readers:

        def work(chunk: Chunk, reader: HourlyReader = reader) -> pa.Table:
            return whole_days(chunk, reader, days_of)

        for rows in engine.map_chunks(part.table, reader.needed(), work):
            odd.add(rows)


def _keys(names: list[str], wanted: Ints) -> pa.Table:
    customers, days = np.divmod(wanted, 1 << DAY_BITS)
    return pa.table(
        {
            "customer_id": pa.array(names, pa.string()).take(pa.array(customers)),
            "day": pa.array(days.astype(np.int32)),
        }
    )


def _plain_rows(engine: Engine, collected: _Collected, plain: npt.NDArray[np.bool_]) -> tuple[ir.Table, pd.Series]:
    """Plain days in the contract's columns, as a view of the arrays, and their findings."""
    names = pa.array(collected.names, pa.string())
    batches: list[pa.RecordBatch] = []
    found = pd.Series(0, index=list(COUNTS))
    done = 0
    for part in collected.parts:
        flags = plain[done : done + len(part["packed"])]
        done += len(flags)
        kept = part if flags.all() else {name: values[flags] for name, values in part.items()}
        batches.append(_batch(kept, names))
        found["negative_elec"] += int(kept["elec_negative_count"].sum())
        found["negative_gas"] += int(kept["gas_negative_count"].sum())
        found["estimated"] += int(kept["estimated_count"].sum())
        found["gap_hours"] += int(kept["hours_expected"].sum()) - int(kept["hours_seen"].sum())
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


def _findings(engine: Engine, resolved: ir.Table) -> pd.Series:
    """Findings in the latest version of every resolved day."""
    last = resolved.mutate(
        _place=ibis.row_number().over(group_by=["customer_id", "day"], order_by=resolved.known_at.desc())
    )
    last = last.filter(last._place == 0)
    row = engine.frame(
        last.aggregate(
            negative_elec=last.elec_negative_count.sum(),
            negative_gas=last.gas_negative_count.sum(),
            estimated=last.estimated_count.sum(),
            duplicate=(last.duplicate_count - last.conflicting_count).sum(),
            conflicting_duplicate=last.conflicting_count.sum(),
            gap_hours=(last.hours_expected - last.hours_seen).sum(),
        )
    )
    return row.iloc[0].astype("float64").fillna(0.0).astype("int64")
