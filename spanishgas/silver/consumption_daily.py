"""Silver `consumption_daily`: readings reduced to customer, civil day and version, in one streaming pass."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import ibis.expr.types as ir

from spanishgas.contracts.silver import CONSUMPTION_DAILY
from spanishgas.domain.tariff import Zone
from spanishgas.engine.session import Engine
from spanishgas.silver.hour_days import COUNTS, Collected, Reading, make_days
from spanishgas.silver.hour_ranges import (
    PassCounts,
    RangeDays,
    Reducing,
    SortedBlock,
    daily_of,
    days_of_ranges,
    find_ranges,
    ranges_needed,
    sort_into_ranges,
)
from spanishgas.silver.hour_rows import REJECT_SCHEMA
from spanishgas.silver.hour_runs import ROW_SCHEMA
from spanishgas.silver.hour_settings import Readers, make_readers, refuse_contradictions, refuse_contrary
from spanishgas.silver.mapping import empty_quarantine, hopeless
from spanishgas.silver.raw import RawSource
from spanishgas.silver.supply_points import Holders

# So many readings, and not one of them readable: the rest need not be tried.
HOPELESS_ROWS = 1_000_000
RESPELLED = "respelled_identifier"
SENTINELS = "sentinel_recorded_at"
Progress = Callable[[str], None]


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
        in_order: Whether the rows are in the order of the contract's key already.
    """

    daily: ir.Table
    rejected: ir.Table
    counts: Mapping[str, int]
    found: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    energy_kwh: float = 0.0
    in_order: bool = False


@dataclass(frozen=True)
class _Passed:
    """What a pass over all readings gave; ``checks`` is ``counts`` of the result."""

    daily: ir.Table
    rejects: Sequence[Path]
    counts: PassCounts
    checks: Counter[str]
    in_order: bool


def build_consumption_daily(
    engine: Engine, source: RawSource, zones: ir.Table | None, progress: Progress, holders: Holders | None = None
) -> DailyResult:
    """Reduces readings to days.

    Where the runs of all customers at once would take too much of the engine's memory, or several worker processes
    are set, ranges of customers are worked on by themselves; the result is the same to the last bit.

    Args:
        engine: The engine.
        source: The landed source; its parts are tables from ``Engine.scan``.
        zones: ``customer_id`` and tariff ``zone`` of customers outside the mainland's; None where there are none.
        progress: Is told how far the pass has come.
        holders: Customers of supply points, where a table tells them.

    Raises:
        ContractError: Every single reading is rejected, or the readings contradict the source's settings.
        WorkerError: A worker process was ended from outside.
    """
    if not source.parts:
        return DailyResult(_no_days(engine), empty_quarantine(engine), {"rows": 0, **_no_counts()})
    zone_of: dict[str, Zone] = {}
    if zones is not None:
        frame = engine.frame(zones)
        zone_of = {str(row.customer_id): cast(Zone, row.zone) for row in frame.itertuples()}
    readers = make_readers(engine, source, zone_of, holders, progress)
    readings: list[Reading] = []
    for part, reader in readers.parts:
        first = sum(len(reading.groups) for reading in readings)
        readings.append(Reading(reader, tuple(engine.row_groups(part.table, first))))
    count = ranges_needed(engine, readings)
    if count == 1:
        passed = _at_once(engine, source, readings, readers, progress)
    else:
        passed = _in_ranges(engine, source, readings, readers, count, progress)
    counts = passed.counts
    refuse_contradictions(passed.checks["conflicting_duplicate"], counts.read, source.contract.name)
    return DailyResult(
        passed.daily,
        engine.scan(passed.rejects),
        {
            "rows": counts.read,
            RESPELLED: counts.respelled,
            SENTINELS: counts.sentinels,
            **{name: passed.checks[name] for name in COUNTS},
        },
        {name: (count, readers.totals[name]) for name, count in readers.found.items()},
        round(counts.energy_kwh, 3),
        passed.in_order,
    )


def _at_once(
    engine: Engine, source: RawSource, readings: Sequence[Reading], readers: Readers, progress: Progress
) -> _Passed:
    """The pass with the runs of all customers in memory."""
    collected, counts = Collected(), PassCounts()
    with engine.spool(ROW_SCHEMA) as odd, engine.spool(REJECT_SCHEMA) as rejects:
        for reading in readings:
            for runs in engine.map_chunks(reading.groups, reading.reader.needed(), Reducing(reading.reader)):
                counts.add(runs)
                collected.add(runs.customers, runs.columns, runs.group)
                collected.add_odd(runs.customers, *runs.odd)
                odd.add(runs.rows)
                rejects.add(runs.rejected)
                if not counts.readable and counts.read >= HOPELESS_ROWS:
                    _refuse(source, counts)
                progress(f"{counts.read:,} readings")
        _refuse(source, counts)
    daily, checks = make_days(engine, readings, collected, [odd.file], by_point=readers.by_point)
    return _Passed(daily, [rejects.file], counts, checks, in_order=False)


def _in_ranges(
    engine: Engine, source: RawSource, readings: Sequence[Reading], readers: Readers, count: int, progress: Progress
) -> _Passed:
    """The pass with the runs of one range of customers in memory at a time."""
    progress("ranges of customers")
    ranges, folder = find_ranges(engine, readings, count), engine.scratch("ranges")
    counts, checks = PassCounts(), Counter[str]()
    blocks: list[SortedBlock] = []
    for block in sort_into_ranges(engine, readings, ranges, folder, HOPELESS_ROWS):
        counts.join(block.counts)
        blocks.append(block)
        if not counts.readable and counts.read >= HOPELESS_ROWS:
            _refuse(source, counts)
        progress(f"{counts.read:,} readings")
    _refuse(source, counts)
    days: list[RangeDays] = []
    for one in days_of_ranges(engine, readings, blocks, len(ranges), folder, by_point=readers.by_point):
        days.append(one)
        checks.update(one.found)
        progress(f"{len(days):,} of {len(ranges):,} ranges of customers")
    return _Passed(daily_of(engine, days), [block.rejects for block in blocks], counts, checks, in_order=True)


def _no_days(engine: Engine) -> ir.Table:
    types = {"string": "string", "date": "date", "int": "int64", "float": "float64"}
    return engine.empty({column.name: types[column.type] for column in CONSUMPTION_DAILY.columns})


def _no_counts() -> dict[str, int]:
    return {RESPELLED: 0, SENTINELS: 0, **dict.fromkeys(COUNTS, 0)}


def _refuse(source: RawSource, counts: PassCounts) -> None:
    """Ends the run where nothing can be read, or what is read is not written as the settings say."""
    refuse_contrary(counts.contrary, source.contract.name)
    if counts.read and not counts.readable:
        raise hopeless(source.contract.name, counts.read, counts.reasons)
