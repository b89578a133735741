"""The hourly pass in ranges of customers: memory is bounded by a range, whatever the number of readings.

Readings are read once and reduced to runs, the runs are written to one file per range, and each range is made to days
by itself. Runs are moved, not readings: they are a twentieth of the rows, and they carry the one spelling of an
identifier, which the order and the statistics of a raw file do not know.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import ceil, fsum
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spanishgas.contracts.silver import CONSUMPTION_DAILY
from spanishgas.engine.chunks import Chunk, RowGroup, Spool
from spanishgas.engine.partitions import Ranges
from spanishgas.engine.session import Engine
from spanishgas.silver.hour_columns import Memo
from spanishgas.silver.hour_days import Checks, Collected, Reading, make_days
from spanishgas.silver.hour_keys import Ints
from spanishgas.silver.hour_rows import REJECT_SCHEMA, HourlyReader, accept
from spanishgas.silver.hour_runs import ROW_SCHEMA, Runs, reduce_chunk
from spanishgas.silver.supply_points import BETWEEN

READINGS_PER_RUN = 24
# A run in memory: its columns, its key, and what finding its day needs; measured.
RUN_BYTES = 130
# Of the engine's memory: runs that are kept as they come, and those of one range among several.
SHARE_OF_ONE, SHARE_OF_RANGE = 0.5, 0.25
# Fewer readings are not worth several processes.
WORTH_WORKERS = 4_000_000
# Readings that are sorted into files of their own: what a worker is given at a time.
BLOCK_ROWS = 32_000_000
# Row groups that are looked into for the bounds of the ranges, and their first rows.
SAMPLED_PER_RANGE, SAMPLED_ROWS = 16, 65_536
GROUP, CUSTOMER = "group", "customer"


@dataclass
class PassCounts:
    """What was counted in a pass over readings.

    Attributes:
        read: Rows read.
        sentinels: Rows whose arrival is a day that stands for no date.
        respelled: Rows whose identifiers were written otherwise.
        readable: Whether any row could be read.
        energies: Energy in the rows of each chunk, kWh, electricity and gas, without sign.
        reasons: Reason -> rows rejected.
        contrary: Reason and unit -> rows that contradict the settings.
        days: Civil days that rows are of, days since 1970.
    """

    read: int = 0
    sentinels: int = 0
    respelled: int = 0
    readable: bool = False
    energies: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    contrary: Counter[tuple[str, str]] = field(default_factory=Counter)
    days: set[int] = field(default_factory=set)

    def add(self, runs: Runs) -> None:
        """Counts the runs of one more chunk."""
        self.read += runs.read
        self.sentinels += runs.sentinels
        self.respelled += runs.respelled
        self.readable |= bool(runs.customers)
        self.energies.append(runs.energy_kwh)
        self.reasons.update(runs.rejected["reason"].to_pylist())
        self.contrary += runs.contrary
        self.days |= runs.days

    def join(self, other: "PassCounts") -> None:
        """Adds what was counted elsewhere."""
        self.read += other.read
        self.sentinels += other.sentinels
        self.respelled += other.respelled
        self.readable |= other.readable
        self.energies += other.energies
        self.reasons += other.reasons
        self.contrary += other.contrary
        self.days |= other.days

    @property
    def energy_kwh(self) -> float:
        """Energy in all rows: the exact sum of the chunks', whatever their order."""
        return fsum(self.energies)


class Counted(dict[int, PassCounts]):
    """What was counted in each row group, by its number."""

    def add(self, runs: Runs) -> None:
        """Counts the runs of one more chunk."""
        self.setdefault(runs.group, PassCounts()).add(runs)

    def whole(self) -> PassCounts:
        """What was counted in all of them."""
        found = PassCounts()
        for one in self.values():
            found.join(one)
        return found


class Reducing:
    """Reduces chunks; an object, because a worker process can be handed it.

    Args:
        reader: How the rows are read.
        days: The civil days whose runs are wanted, ascending; None for all.
    """

    def __init__(self, reader: HourlyReader, days: Ints | None = None) -> None:
        self.reader = reader
        self.days = days

    def __call__(self, chunk: Chunk) -> Runs:
        """Runs of a chunk."""
        runs = reduce_chunk(chunk, self.reader)
        return runs if self.days is None else runs.only(self.days)


def ranges_needed(engine: Engine, readings: Sequence[Reading]) -> int:
    """Ranges of customers that the engine's memory asks for; 1 where all runs may be kept at once."""
    rows = sum(group.rows for reading in readings for group in reading.groups)
    workers = engine.workers if rows >= WORTH_WORKERS else 1
    memory = engine.settings.memory_limit_mib * 2**20
    needed = rows / READINGS_PER_RUN * RUN_BYTES
    if workers == 1 and needed <= memory * SHARE_OF_ONE:
        return 1
    return max(ceil(needed / (memory * SHARE_OF_RANGE / workers)), workers)


def find_ranges(engine: Engine, readings: Sequence[Reading], count: int) -> Ranges:
    """Ranges of customers with about equally many readings, by a sample of the readings.

    Args:
        engine: The engine.
        readings: The parts of the source.
        count: Ranges wanted.
    """
    places = [(reading.reader, group) for reading in readings for group in reading.groups if group.rows]
    found: Counter[str] = Counter()
    for at in np.unique(np.linspace(0, len(places) - 1, SAMPLED_PER_RANGE * count).astype(int)) if places else ():
        reader, group = places[at]
        sampled = replace(group, rows=min(group.rows, SAMPLED_ROWS))
        for counted in engine.map_chunks([sampled], reader.needed(), _Counting(reader)):
            found.update(counted)
    return Ranges.of(found, count)


class _Counting:
    def __init__(self, reader: HourlyReader) -> None:
        self.reader = reader

    def __call__(self, chunk: Chunk) -> Counter[str]:
        """Customer -> readings."""
        rows, _ = accept(chunk, self.reader)
        codes, counts = np.unique(rows.codes, return_counts=True)
        found: Counter[str] = Counter()
        for code, count in zip(codes, counts, strict=True):
            found[_customer(str(rows.texts[code]))] += int(count)
        return found


def _customer(unit: str) -> str:
    return unit.partition(BETWEEN)[0]


@dataclass(frozen=True)
class _Block:
    """Consecutive row groups of one part, to be sorted into ranges."""

    reader: HourlyReader
    groups: tuple[RowGroup, ...]
    ranges: Ranges
    folder: Path
    unreadable_rows: int | None
    days: Ints | None

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects.parquet"


@dataclass(frozen=True)
class SortedBlock:
    """A block that was sorted: what was counted, and the files of each range that it has rows of."""

    counts: Counted
    runs: dict[int, Path]
    odd: dict[int, Path]
    rejects: Path


def sort_into_ranges(
    engine: Engine,
    readings: Sequence[Reading],
    ranges: Ranges,
    folder: Path,
    unreadable_rows: int | None = None,
    days: Ints | None = None,
) -> Iterator[SortedBlock]:
    """Reads all readings once, and writes their runs, and the rows of runs that are not plain, to files by range.

    Args:
        engine: The engine.
        readings: The parts of the source.
        ranges: The ranges.
        folder: Where to.
        unreadable_rows: So many rows at the beginning, none of them readable, end the pass; None: it is not ended.
        days: The civil days whose runs are wanted, ascending; None for all.

    Yields:
        One result per block of row groups, in their order.
    """
    blocks: list[_Block] = []
    for reading in readings:
        reader = _bare(reading.reader)
        for groups in _blocks(reading.groups):
            limit = None if blocks else unreadable_rows
            blocks.append(_Block(reader, groups, ranges, folder / f"block-{len(blocks)}", limit, days))
    return engine.map_partitions(blocks, _sort)


def _bare(reader: HourlyReader) -> HourlyReader:
    """The reader without what it remembers, which may be large."""
    return replace(reader, memo=Memo(), kept={})


def _blocks(groups: Sequence[RowGroup]) -> Iterator[tuple[RowGroup, ...]]:
    block: list[RowGroup] = []
    rows = 0
    for group in groups:
        if block and rows + group.rows > BLOCK_ROWS:
            yield tuple(block)
            block, rows = [], 0
        block.append(group)
        rows += group.rows
    if block:
        yield tuple(block)


def _sort(engine: Engine, block: _Block) -> SortedBlock:
    counts, first = Counted(), PassCounts()
    block = replace(block, folder=_of_this_try(block.folder))
    with _Files(block.folder) as files, Spool(block.rejects, REJECT_SCHEMA) as rejects:
        for runs in engine.map_chunks(block.groups, block.reader.needed(), Reducing(block.reader, block.days)):
            counts.add(runs)
            rejects.add(runs.rejected)
            files.add(runs, block.ranges)
            if block.unreadable_rows is not None and not first.readable:
                first.add(runs)
                if not first.readable and first.read >= block.unreadable_rows:
                    break
    return SortedBlock(counts, files.runs, files.odd, block.rejects)


class _Files:
    """Runs and rows of one block, in one file of each per range."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.runs: dict[int, Path] = {}
        self.odd: dict[int, Path] = {}
        self._folder = folder
        self._streams: dict[int, pa.RecordBatchWriter] = {}
        self._spools: dict[int, Spool] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, runs: Runs, ranges: Ranges) -> None:
        """Adds the runs of a chunk."""
        if not runs.customers:
            return
        units = pa.array(runs.customers, pa.string())
        place = ranges.places([_customer(unit) for unit in runs.customers])
        for at, chosen in _apart(place[runs.columns[CUSTOMER]]):
            columns = runs.columns if chosen is None else {name: one[chosen] for name, one in runs.columns.items()}
            self._add_runs(at, _batch(columns, units, runs.group))
        if runs.rows.num_rows:
            named = runs.rows["customer_id"].combine_chunks().dictionary_encode()
            place = ranges.places([_customer(str(unit)) for unit in named.dictionary.to_pylist()])
            for at, chosen in _apart(place[named.indices.to_numpy()]):
                self._add_rows(at, runs.rows if chosen is None else runs.rows.filter(pa.array(chosen)))

    def _add_runs(self, at: int, batch: pa.RecordBatch) -> None:
        if at not in self._streams:
            self.runs[at] = self._folder / f"runs-{at}.arrows"
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            writer = pa.ipc.new_stream(str(self.runs[at]), batch.schema, options=options)
            self._streams[at] = self._open.enter_context(writer)
        self._streams[at].write_batch(batch)

    def _add_rows(self, at: int, rows: pa.Table) -> None:
        if at not in self._spools:
            self.odd[at] = self._folder / f"odd-{at}.parquet"
            self._spools[at] = self._open.enter_context(Spool(self.odd[at], ROW_SCHEMA))
        self._spools[at].add(rows)


def _apart(place: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.bool_] | None]]:
    """Ranges of some rows, each with its rows; None for all."""
    if not len(place):
        return
    found = np.unique(place)
    for one in found:
        yield int(one), None if len(found) == 1 else place == one


def _batch(columns: dict[str, npt.NDArray[Any]], units: pa.Array, group: int) -> pa.RecordBatch:
    # The batch names its own units only: a reader that puts ranges together keeps no others.
    used, codes = np.unique(columns[CUSTOMER], return_inverse=True)
    named = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), units.take(pa.array(used)))
    told = {name: pa.array(values) for name, values in columns.items() if name != CUSTOMER}
    return pa.RecordBatch.from_pydict({CUSTOMER: named, GROUP: pa.array(np.full(len(codes), group, np.int32)), **told})


@dataclass(frozen=True)
class _Range:
    """One range of customers, to be made to days."""

    readings: tuple[Reading, ...]
    runs: tuple[Path, ...]
    odd: tuple[Path, ...]
    by_point: bool
    file: Path


@dataclass(frozen=True)
class RangeDays:
    """Days of a range: their file, and day and check -> readings concerned."""

    file: Path
    found: Checks


def days_of_ranges(
    engine: Engine,
    readings: Sequence[Reading],
    blocks: Sequence[SortedBlock],
    count: int,
    folder: Path,
    *,
    by_point: bool,
) -> Iterator[RangeDays]:
    """Makes the days of every range.

    Args:
        engine: The engine.
        readings: The parts of the source.
        blocks: What ``sort_into_ranges`` gave.
        count: Ranges.
        folder: Where to.
        by_point: Whether units are supply points.

    Yields:
        One result per range, in their order; each file is in the order of the contract's key, so all of them are.
    """
    bare = tuple(Reading(_bare(reading.reader), reading.groups) for reading in readings)
    jobs = [
        _Range(
            bare,
            tuple(block.runs[at] for block in blocks if at in block.runs),
            tuple(block.odd[at] for block in blocks if at in block.odd),
            by_point,
            folder / f"days-{at}.parquet",
        )
        for at in range(count)
    ]
    for job, done in zip(jobs, engine.map_partitions(jobs, _finish), strict=True):
        # Not by the work itself: a cluster does it again where a worker died before it could tell.
        for file in (*job.runs, *job.odd):
            file.unlink()
        yield done


def _finish(engine: Engine, one: _Range) -> RangeDays:
    collected = Collected()
    for file in one.runs:
        with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                _collect(collected, batch)
    if one.odd:
        rows = engine.scan(one.odd)
        _collect_odd(collected, engine.arrow(rows.select("customer_id", "day").distinct()))
    daily, found = make_days(engine, one.readings, collected, one.odd, by_point=one.by_point)
    file = _of_this_try(one.file)
    engine.write(daily, file, order_by=CONSUMPTION_DAILY.primary_key)
    return RangeDays(file, found)


def _of_this_try(path: Path) -> Path:
    """A path of its own: a cluster may begin the same work again while the first try still writes."""
    return path.with_stem(f"{path.stem}-{uuid4().hex[:8]}")


def _collect(collected: Collected, batch: pa.RecordBatch) -> None:
    named = batch[CUSTOMER]
    columns = {name: batch[name].to_numpy() for name in batch.schema.names if name not in (CUSTOMER, GROUP)}
    columns[CUSTOMER] = named.indices.to_numpy()
    collected.add(named.dictionary.to_pylist(), columns, batch[GROUP][0].as_py())


def _collect_odd(collected: Collected, days: pa.Table) -> None:
    named = days["customer_id"].combine_chunks().dictionary_encode()
    units = [str(unit) for unit in named.dictionary.to_pylist()]
    collected.add_odd(units, named.indices.to_numpy(), days["day"].to_numpy())


def daily_of(engine: Engine, days: Sequence[RangeDays]) -> ir.Table:
    """The days of all ranges, in the order of the contract's key."""
    return engine.scan([one.file for one in days])
