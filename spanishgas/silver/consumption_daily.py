"""Silver `consumption_daily`: readings reduced to customer, civil day and version, in one streaming pass."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from spanishgas.contracts.silver import CONSUMPTION_DAILY
from spanishgas.domain.tariff import Zone
from spanishgas.engine.chunks import RowGroup, Spool
from spanishgas.engine.session import Engine
from spanishgas.silver.cross_checks import supply_zones
from spanishgas.silver.hour_days import COUNTS, Checks, Collected, Reading, make_days
from spanishgas.silver.hour_kept import (
    LOOKED_BACK,
    Before,
    DayFacts,
    Facts,
    FileFacts,
    Keeping,
    Month,
    Wanted,
    checks_of,
    digest_of,
    month_of,
    months_of,
    wanted_days,
)
from spanishgas.silver.hour_keys import Ints
from spanishgas.silver.hour_ranges import (
    Counted,
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
from spanishgas.silver.hour_rows import REJECT_SCHEMA, HourlyReader
from spanishgas.silver.hour_runs import ROW_SCHEMA, Runs
from spanishgas.silver.hour_settings import Readers, make_readers, refuse_contradictions, refuse_contrary
from spanishgas.silver.mapping import empty_quarantine, hopeless
from spanishgas.silver.raw import RawPart, RawSource
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
        months: The rows by month, where they are to be published so.
        facts: What the pass leaves to the next one; None where nothing can be taken over.
    """

    daily: ir.Table
    rejected: ir.Table
    counts: Mapping[str, int]
    found: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    energy_kwh: float = 0.0
    in_order: bool = False
    months: tuple[Month, ...] = ()
    facts: Facts | None = None


def build_consumption_daily(
    engine: Engine,
    source: RawSource,
    zones: ir.Table | None,
    progress: Progress,
    holders: Holders | None = None,
    keeping: Keeping | None = None,
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
        keeping: Where days go by month, and what is published of them; None to give all days as one table.

    Raises:
        ContractError: Every single reading is rejected, or the readings contradict the source's settings.
        WorkerError: A worker process was ended from outside.
    """
    if not source.parts:
        return DailyResult(_no_days(engine), empty_quarantine(engine), {"rows": 0, **_no_counts()})
    zone_of = {} if zones is None else _zones(engine, zones)
    readers = make_readers(engine, source, zone_of, holders, progress)
    readings: list[Reading] = []
    for part, reader in readers.parts:
        first = sum(len(reading.groups) for reading in readings)
        readings.append(Reading(reader, tuple(engine.row_groups(part.table, first))))
    if keeping is None:
        made = _whole(engine, source, readings, readers, progress)
    else:
        made = _by_month(engine, source, readings, readers, zone_of, keeping, progress)
    counts, totals = made.counts, Counter[str](dict.fromkeys(COUNTS, 0))
    for (_, check), count in made.checks.items():
        totals[check] += count
    refuse_contradictions(totals["conflicting_duplicate"], counts.read, source.contract.name)
    return DailyResult(
        made.daily,
        made.rejected,
        {
            "rows": counts.read,
            RESPELLED: counts.respelled,
            SENTINELS: counts.sentinels,
            **{name: totals[name] for name in COUNTS},
        },
        {name: (count, readers.totals[name]) for name, count in readers.found.items()},
        round(counts.energy_kwh, 3),
        made.in_order,
        made.months,
        made.facts,
    )


@dataclass(frozen=True)
class _Made:
    """Days, and what was counted in the readings that they are made from."""

    daily: ir.Table
    rejected: ir.Table
    counts: PassCounts
    checks: Checks
    in_order: bool = False
    months: tuple[Month, ...] = ()
    facts: Facts | None = None


class _Pass:
    """A pass over readings. Where the runs of all customers fit into memory they are kept there.

    Attributes:
        counted: What was counted in each row group that was read for the first time.
        rejects: Files with the rejected rows of these.
    """

    in_order = False

    def __init__(self, engine: Engine, readings: Sequence[Reading], *, by_point: bool) -> None:
        self.counted, self.rejects = Counted(), list[Path]()
        self._engine, self._readings, self._by_point = engine, readings, by_point
        self._collected, self._odd = Collected(), list[Path]()

    def read(self, readings: Sequence[Reading], progress: Progress, limit: int | None) -> None:
        """Reads row groups for the first time.

        Args:
            readings: Parts of the source with the row groups.
            progress: Is told how far it has come.
            limit: So many rows at the beginning, none of them readable, end the pass.
        """
        first = PassCounts()
        rows = 0
        with self._engine.spool(REJECT_SCHEMA) as rejects, self._engine.spool(ROW_SCHEMA) as odd:
            self.rejects.append(rejects.file)
            self._odd.append(odd.file)
            for runs in self._runs(readings, None, odd):
                self.counted.add(runs)
                rejects.add(runs.rejected)
                rows += runs.read
                progress(f"{rows:,} readings")
                if limit is not None and not first.readable:
                    first.add(runs)
                    if not first.readable and first.read >= limit:
                        return

    def read_again(self, readings: Sequence[Reading], days: Ints) -> None:
        """Reads row groups that are known for the runs of some days."""
        with self._engine.spool(ROW_SCHEMA) as odd:
            self._odd.append(odd.file)
            for _ in self._runs(readings, days, odd):
                pass

    def _runs(self, readings: Sequence[Reading], days: Ints | None, odd: Spool) -> Iterator[Runs]:
        for reading in readings:
            work = Reducing(reading.reader, days)
            for runs in self._engine.map_chunks(reading.groups, reading.reader.needed(), work):
                self._collected.add(runs.customers, runs.columns, runs.group)
                self._collected.add_odd(runs.customers, *runs.odd)
                odd.add(runs.rows)
                yield runs

    def days(self, progress: Progress) -> tuple[ir.Table, Checks]:
        """Days of all that was read; day and check -> readings concerned."""
        progress("days")
        return make_days(self._engine, self._readings, self._collected, self._odd, by_point=self._by_point)


class _RangesPass(_Pass):
    """The same with the runs of one range of customers in memory at a time."""

    in_order = True

    def __init__(
        self, engine: Engine, readings: Sequence[Reading], sampled: Sequence[Reading], count: int, *, by_point: bool
    ) -> None:
        super().__init__(engine, readings, by_point=by_point)
        self._ranges, self._folder = find_ranges(engine, sampled, count), engine.scratch("ranges")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._blocks: list[SortedBlock] = []

    def read(self, readings: Sequence[Reading], progress: Progress, limit: int | None) -> None:
        """See ``_Pass``."""
        rows = 0
        first = PassCounts()
        for block in self._sorted(readings, limit, None):
            self.counted.update(block.counts)
            self.rejects.append(block.rejects)
            whole = block.counts.whole()
            rows += whole.read
            first.join(whole)
            progress(f"{rows:,} readings")
            if limit is not None and not first.readable and first.read >= limit:
                return

    def read_again(self, readings: Sequence[Reading], days: Ints) -> None:
        """See ``_Pass``."""
        for _ in self._sorted(readings, None, days):
            pass

    def _sorted(self, readings: Sequence[Reading], limit: int | None, days: Ints | None) -> Iterator[SortedBlock]:
        folder = self._folder / f"from-{len(self._blocks)}"
        for block in sort_into_ranges(self._engine, readings, self._ranges, folder, limit, days):
            self._blocks.append(block)
            yield block

    def days(self, progress: Progress) -> tuple[ir.Table, Checks]:
        """See ``_Pass``."""
        days, checks = list[RangeDays](), Checks()
        for one in days_of_ranges(
            self._engine, self._readings, self._blocks, len(self._ranges), self._folder, by_point=self._by_point
        ):
            days.append(one)
            checks.update(one.found)
            progress(f"{len(days):,} of {len(self._ranges):,} ranges of customers")
        return daily_of(self._engine, days), checks


def _begin(
    engine: Engine, readings: Sequence[Reading], read: Sequence[Reading], count: int, *, by_point: bool
) -> _Pass:
    if count == 1:
        return _Pass(engine, readings, by_point=by_point)
    return _RangesPass(engine, readings, read, count, by_point=by_point)


def _whole(
    engine: Engine, source: RawSource, readings: Sequence[Reading], readers: Readers, progress: Progress
) -> _Made:
    """All days from all readings."""
    passed = _begin(engine, readings, readings, ranges_needed(engine, readings), by_point=readers.by_point)
    passed.read(readings, progress, HOPELESS_ROWS)
    counts = passed.counted.whole()
    _refuse(source, counts)
    daily, checks = passed.days(progress)
    return _Made(daily, engine.scan(passed.rejects), counts, checks, passed.in_order)


@dataclass(frozen=True)
class _File:
    """One landed file: its digest with its part and its raw name, that name, and its row groups."""

    key: str
    origin: str
    groups: tuple[RowGroup, ...]


def _by_month(
    engine: Engine,
    source: RawSource,
    readings: Sequence[Reading],
    readers: Readers,
    zone_of: Mapping[str, Zone],
    keeping: Keeping,
    progress: Progress,
) -> _Made:
    """All days, in one file per month; those that did not change are taken from what is published."""
    files = _files(readers, readings)
    # What is found of a supply point's day follows from the days around it.
    keeps = all(reader.habits is None for _, reader in readers.parts)
    look_back = LOOKED_BACK if readers.by_point else 0
    base = digest_of(keeping.code, source.settings, *(_how(part, reader) for part, reader in readers.parts))
    zones = digest_of(sorted(zone_of.items()))
    before = keeping.before if keeps and keeping.before and keeping.before.facts.base == base else None
    known = {} if before is None else _known(engine, before, files, zones, zone_of)
    if not known:
        before = None
    fresh = _of_files(readings, [one for one in files if one.key not in known])
    count, sampled = ranges_needed(engine, fresh), fresh
    while True:
        passed = _begin(engine, readings, sampled, count, by_point=readers.by_point)
        passed.read(fresh, progress, None if known else HOPELESS_ROWS)
        found = {one.key: known.get(one.key) or _found(passed.counted, one) for one in files}
        counts = PassCounts()
        for facts in found.values():
            counts.join(facts.counts)
        _refuse(source, counts)
        days = {key: facts.days for key, facts in found.items()}
        wanted = wanted_days(base, zones, days, known, before, look_back)
        again = _of_files(readings, [_needed(one, found[one.key], wanted) for one in files if one.key in known])
        needed = ranges_needed(engine, [*fresh, *again])
        if needed <= count or not any(reading.groups for reading in again):
            break
        count, sampled = needed, [*fresh, *again]
    passed.read_again(again, np.array(sorted(wanted.needed), np.int64))
    made, checks = passed.days(progress)
    months = list(_months(engine, wanted, made, keeping, before, look_back, progress))
    daily = engine.scan([month.file for month in months])
    all_checks = Checks({at: count for at, count in checks.items() if at[0] in wanted.dirty})
    if before is not None:
        for day in wanted.made_from.keys() - wanted.dirty:
            all_checks.update(dict(zip([(day, one) for one in COUNTS], before.facts.days[day].checks, strict=True)))
    left = Facts(
        base,
        zones,
        {key: one for key, one in found.items() if not one.counts.contrary},
        {day: DayFacts(told, checks_of(all_checks, day)) for day, told in wanted.made_from.items()},
    )
    rejected = engine.scan(passed.rejects) if passed.rejects else empty_quarantine(engine)
    if before is not None:
        kept = [one.origin for one in files if one.key in known and known[one.key].counts.reasons]
        if kept:
            rejected = rejected.union(
                before.rejected.filter(before.rejected.source_file.isin(kept)).select(*rejected.columns)
            )
    return _Made(daily, rejected, counts, all_checks, False, tuple(months), left if keeps else None)


def _months(
    engine: Engine,
    wanted: Wanted,
    made: ir.Table,
    keeping: Keeping,
    before: Before | None,
    look_back: int,
    progress: Progress,
) -> Iterator[Month]:
    """The days of every month: published ones, or written anew."""
    told = months_of(wanted.made_from)
    published = {} if before is None else before.facts.months()
    there = {} if before is None else {day: month_of(day) for day in before.facts.days}
    if look_back:
        made = made.semi_join(_table_of(engine, wanted.dirty), "day")
    for number, (month, made_from) in enumerate(sorted(told.items())):
        days = {day for day in wanted.made_from if month_of(day) == month}
        clean = days - wanted.dirty
        if before is not None and clean == days == {day for day, of in there.items() if of == month}:
            yield Month(made_from, before.months[published[month]], published[month])
            continue
        progress(f"days of {month}")
        first = date.fromisoformat(f"{month}-01")
        last = (first + timedelta(days=31)).replace(day=1)
        rows = made.filter((made.day >= first) & (made.day < last))
        if before is not None and clean:
            kept = engine.scan([before.months[published[month]]])
            rows = rows.union(kept.semi_join(_table_of(engine, clean), "day").select(*rows.columns))
        yield _written(engine, rows, keeping, number, made_from)
    if not told:
        yield _written(engine, _no_days(engine), keeping, 0, None)


def _written(engine: Engine, rows: ir.Table, keeping: Keeping, number: int, made_from: str | None) -> Month:
    keeping.folder.mkdir(parents=True, exist_ok=True)
    (file,) = engine.write(rows, keeping.folder / f"{number:05d}.parquet", order_by=CONSUMPTION_DAILY.primary_key)
    return Month(made_from, file)


def _table_of(engine: Engine, days: Iterable[int]) -> ir.Table:
    numbers = pa.array(sorted(days), pa.int32())
    return engine.table(pa.table({"day": numbers.cast(pa.date32())}))


def _files(readers: Readers, readings: Sequence[Reading]) -> list[_File]:
    """Landed files in the order of their parts; the digest of each names its part and its raw file, too."""
    found: list[_File] = []
    for number, ((part, _), reading) in enumerate(zip(readers.parts, readings, strict=True)):
        groups: dict[str, list[RowGroup]] = {origin: [] for origin in part.digests}
        for group in reading.groups:
            groups.setdefault(group.origin, []).append(group)
        found += [
            _File(digest_of(number, origin, part.digests.get(origin)), origin, tuple(of_file))
            for origin, of_file in groups.items()
        ]
    return found


def _how(part: RawPart, reader: HourlyReader) -> str:
    """How a part is read, in words that tell it from any other way."""
    held = reader.holders
    holders = None if held is None else digest_of(held.points, held.since.tolist(), held.until.tolist(), held.customers)
    return digest_of(part.settings, part.table.schema(), reader.layouts, reader.clock, reader.power, holders)


def _known(
    engine: Engine, before: Before, files: Sequence[_File], zones: str, zone_of: Mapping[str, Zone]
) -> dict[str, FileFacts]:
    """Files that were read before and need not be read as if for the first time."""
    names = Counter(one.origin for one in files)
    keys = [one.key for one in files if names[one.origin] == 1]
    known = {key: before.facts.files[key] for key in keys if key in before.facts.files}
    if before.facts.zones == zones:
        return known
    told = supply_zones(engine, before.customers)
    zone_before = {} if told is None else _zones(engine, told)
    if digest_of(sorted(zone_before.items())) != before.facts.zones:
        return {}
    moved = [one for one in {*zone_of, *zone_before} if zone_of.get(one) != zone_before.get(one)]
    if not before.months:
        return {}
    days = engine.scan(sorted(before.months.values()))
    mine = days.semi_join(engine.table(pa.table({"customer_id": pa.array(moved, pa.string())})), "customer_id")
    numbers = engine.arrow(mine.select("day").distinct())["day"].cast(pa.int32()).to_pylist()
    # A day as it was read may be the day before or after it as it is to be read.
    theirs = {int(day) + one for day in numbers for one in (-1, 0, 1)}
    return {key: one for key, one in known.items() if not one.counts.reasons and not theirs & one.days}


def _zones(engine: Engine, zones: ir.Table) -> dict[str, Zone]:
    return {str(row.customer_id): cast(Zone, row.zone) for row in engine.frame(zones).itertuples()}


def _found(counted: Counted, file: _File) -> FileFacts:
    """What was found in a file that was read for the first time."""
    whole = PassCounts()
    for group in file.groups:
        whole.join(counted.get(group.number, PassCounts()))
    days = tuple(frozenset(counted.get(group.number, PassCounts()).days) for group in file.groups)
    whole.days = set()  # told by row group
    return FileFacts(days, whole)


def _needed(file: _File, facts: FileFacts, wanted: Wanted) -> _File:
    """The row groups of a known file that hold readings of days that are needed."""
    groups = zip(file.groups, facts.groups, strict=True)
    return replace(file, groups=tuple(group for group, days in groups if days & wanted.needed))


def _of_files(readings: Sequence[Reading], files: Sequence[_File]) -> list[Reading]:
    """The parts of the source with the row groups of some files."""
    numbers = {group.number for one in files for group in one.groups}
    return [
        Reading(reading.reader, tuple(group for group in reading.groups if group.number in numbers))
        for reading in readings
    ]


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
