"""Silver `consumption_daily`: readings reduced to customer, civil day and version, in one streaming pass."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from spanishgas.silver.hour_keys import Ints
from spanishgas.silver.hour_rows import REJECT_SCHEMA, HourlyReader
from spanishgas.silver.hour_runs import ROW_SCHEMA, STEPS_PER_UNIT, Runs, reduce_chunk, whole_days
from spanishgas.silver.hour_settings import make_readers, refuse_contradictions, refuse_contrary
from spanishgas.silver.hour_versions import resolve_days
from spanishgas.silver.mapping import empty_quarantine, hopeless
from spanishgas.silver.raw import RawPart, RawSource
from spanishgas.silver.supply_points import DAY_BITS, Holders, per_customer

ODD_KEPT = 20_000_000
# So many readings, and not one of them readable: the rest need not be tried.
HOPELESS_ROWS = 1_000_000
COUNTS = ("negative_elec", "negative_gas", "estimated", "duplicate", "conflicting_duplicate", "gap_hours")
RESPELLED = "respelled_identifier"
SENTINELS = "sentinel_recorded_at"
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
Progress = Callable[[str], None]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class DailyResult:
    """The readings by day.

    Attributes:
        daily: Rows in the contract's columns.
        rejected: Rejected rows, in the columns of the quarantine.
        counts: Check -> readings concerned (`gap_hours`: hours), in the latest version of every day, beside `rows`.
        found: What was found of intervals and stamps -> supply points or days concerned, and all that it was looked for
            among; empty where the settings leave nothing to find.
        energy_kwh: Energy in the rows read: electricity and gas, without sign.
    """

    daily: ir.Table
    rejected: ir.Table
    counts: Mapping[str, int]
    found: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    energy_kwh: float = 0.0


def build_consumption_daily(
    engine: Engine, source: RawSource, zones: ir.Table | None, progress: Progress, holders: Holders | None = None
) -> DailyResult:
    """Reduces readings to days.

    Args:
        engine: The engine.
        source: The landed source; its parts are tables from ``Engine.scan``.
        zones: ``customer_id`` and tariff ``zone`` of customers outside the mainland's; None where there are none.
        progress: Is told how far the pass has come.
        holders: Customers of supply points, where a table tells them.

    Raises:
        ContractError: Every single reading is rejected, or the readings contradict the source's settings.
    """
    if not source.parts:
        return DailyResult(_no_days(engine), empty_quarantine(engine), {"rows": 0, **_no_counts()})
    zone_of: dict[str, Zone] = {}
    if zones is not None:
        frame = engine.frame(zones)
        zone_of = {str(row.customer_id): cast(Zone, row.zone) for row in frame.itertuples()}
    readers = make_readers(engine, source, zone_of, holders, progress)
    collected = _Collected()
    with engine.spool(ROW_SCHEMA) as odd, engine.spool(REJECT_SCHEMA) as rejects:
        for part, reader in readers.parts:
            for runs in engine.map_chunks(part.table, reader.needed(), _reducing(reader)):
                collected.add(runs)
                odd.add(runs.rows)
                rejects.add(runs.rejected)
                if not collected.numbers and collected.read >= HOPELESS_ROWS:
                    _refuse(source, collected)
                progress(f"{collected.read:,} readings")
        _refuse(source, collected)
        days = _judge(collected)
        _fetch_hidden(engine, readers.parts, collected.names, days.hidden, odd)
    simple, found = _plain_rows(engine, collected, days.plain)
    unresolved = engine.spooled(odd).semi_join(
        engine.table(_keys(collected.names, days.unresolved)), ["customer_id", "day"]
    )
    resolved = engine.materialize(_in_contract(resolve_days(engine, unresolved)))
    found += _findings(engine, resolved)
    refuse_contradictions(int(found["conflicting_duplicate"]), collected.read, source.contract.name)
    columns = [name for name in CONSUMPTION_DAILY.column_names if name != "supply_points"]
    daily = simple.select(*columns).union(resolved.select(*columns))
    daily = per_customer(engine, daily) if readers.by_point else daily.mutate(supply_points=ibis.null("int32"))
    return DailyResult(
        daily.select(*CONSUMPTION_DAILY.column_names),
        engine.spooled(rejects),
        {
            "rows": collected.read,
            RESPELLED: collected.respelled,
            SENTINELS: collected.sentinels,
            **{name: int(found[name]) for name in COUNTS},
        },
        {name: (count, readers.totals[name]) for name, count in readers.found.items()},
        # Sums of chunks end in other digits when the rows come in another order.
        round(collected.energy_kwh, 3),
    )


def _no_days(engine: Engine) -> ir.Table:
    types = {"string": "string", "date": "date", "int": "int64", "float": "float64"}
    return engine.empty({column.name: types[column.type] for column in CONSUMPTION_DAILY.columns})


def _no_counts() -> dict[str, int]:
    return {RESPELLED: 0, SENTINELS: 0, **dict.fromkeys(COUNTS, 0)}


def _refuse(source: RawSource, collected: "_Collected") -> None:
    """Ends the run where nothing can be read, or what is read is not written as the settings say."""
    refuse_contrary(collected.contrary, source.contract.name)
    if collected.read and not collected.numbers:
        raise hopeless(source.contract.name, collected.read, collected.reasons)


def _reducing(reader: HourlyReader) -> Callable[[Chunk], Runs]:
    def work(chunk: Chunk) -> Runs:
        return reduce_chunk(chunk, reader)

    return work


class _Collected:
    """Runs of all chunks, with one number per unit."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.read = 0
        self.sentinels = 0
        self.respelled = 0
        self.energy_kwh = 0.0
        self.reasons: Counter[str] = Counter()
        self.contrary: Counter[tuple[str, str]] = Counter()
        self.parts: list[Arrays] = []
        self._odd: list[Ints] = []
        self._odd_count = 0

    def add(self, runs: Runs) -> None:
        """Adds the runs of the next chunk."""
        self.read += runs.read
        self.sentinels += runs.sentinels
        self.respelled += runs.respelled
        self.energy_kwh += runs.energy_kwh
        self.contrary += runs.contrary
        self.reasons.update(runs.rejected["reason"].to_pylist())
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
        """Unit of each number."""
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
