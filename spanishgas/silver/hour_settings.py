"""How a source's readings are to be read: as its settings say, held against what the readings themselves say.

Settings that contradict the readings would lose or invent energy, so they end the run. What ``auto`` finds is counted.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import ColumnMapping, SourceSettings
from spanishgas.domain.tariff import Zone
from spanishgas.engine.chunks import Chunk
from spanishgas.engine.session import Engine
from spanishgas.errors import ContractError
from spanishgas.silver.dates import DateRule
from spanishgas.silver.hour_habits import INTERVALS, Found, Seen, find, look
from spanishgas.silver.hour_keys import Clock, Layout
from spanishgas.silver.hour_rows import HourlyReader
from spanishgas.silver.hour_times import read_times
from spanishgas.silver.raw import RawPart, RawSource
from spanishgas.silver.supply_points import BETWEEN, DAY_BITS, Holders, read_units

# A supply point with so many readings off its interval is no slip of the pen.
SYSTEMATIC = 12
CONTRADICTING_SHARE = 0.2
SET_INTERVAL = "Set interval_minutes to what the supply points deliver, or to `auto`, which finds it for each of them"
EXAMPLES = 5
Progress = Callable[[str], None]


@dataclass
class Readers:
    """Parts of a source with how each is read.

    Attributes:
        parts: Landed files and their readers.
        found: What was found of intervals and stamps -> supply points or days concerned; empty where nothing had to be
            found.
        totals: Supply points or days that each of these is counted among.
        by_point: Whether rows name supply points.
    """

    parts: list[tuple[RawPart, HourlyReader]]
    found: Counter[str] = field(default_factory=Counter)
    totals: dict[str, int] = field(default_factory=dict)
    by_point: bool = False


def make_readers(
    engine: Engine,
    source: RawSource,
    zones: Mapping[str, Zone],
    holders: Holders | None,
    progress: Progress,
) -> Readers:
    """How the parts of a source are read.

    Args:
        engine: The engine.
        source: The landed source.
        zones: Customers outside the mainland's tariff zone -> zone.
        holders: Customers of supply points, or None where no table tells them.
        progress: Is told about passes over the readings.

    Raises:
        ContractError: Rows name neither customer nor supply point, or a supply point that no table gives a customer; or
            intervals or stamps are not what the settings say.
    """
    readers = Readers([])
    for part in source.parts:
        settings = _of_part(source.settings, part)
        reader = _reader(source, part, settings, zones, holders)
        readers.by_point |= reader.columns["supply_point_id"].absent is None
        if settings.stamp != "start" or settings.interval_minutes != 60:
            progress(f"intervals and stamps of {part.settings.place}")
            found = find(engine.map_chunks(part.table, _columns_of_time(reader), _looking(reader)))
            reader = _with_habits(source, part, settings, reader, found)
            _count(readers, found, settings)
        readers.parts.append((part, reader))
    return readers


def _of_part(source: SourceSettings, part: RawPart) -> SourceSettings:
    """The source's settings with what the part says otherwise."""
    names = ("clock", "stamp", "interval_minutes", "quantity")
    told = {name: getattr(part.settings, name) for name in names if getattr(part.settings, name) is not None}
    return source.model_copy(update=told)


def _reader(
    source: RawSource, part: RawPart, settings: SourceSettings, zones: Mapping[str, Zone], holders: Holders | None
) -> HourlyReader:
    columns = {column.name: part.settings.mapping(column.name) for column in source.contract.columns}
    for name, mapping in columns.items():
        if mapping.column is not None and mapping.column not in part.table.columns:
            columns[name] = ColumnMapping(absent="not in the files")
    if "time" not in part.settings.columns and columns["time"].column == columns["timestamp"].column:
        columns["time"] = ColumnMapping(absent="the column of that name is the timestamp")
    by_table = columns["customer_id"].absent is not None
    if by_table and (holders is None or columns["supply_point_id"].absent is not None):
        raise ContractError(
            "readings name no customer",
            where=f"{source.contract.name} in {part.settings.place}",
            todo="Map customer_id, or map supply_point_id and give the source supply_points, which tells the customers",
        )
    kind = part.table[columns["timestamp"].column].type() if columns["timestamp"].column else None
    zoned = kind is not None and kind.is_timestamp() and kind.timezone is not None
    clock: Clock = "utc" if zoned and settings.clock != "hour_index" else settings.clock
    stamp, minutes = settings.stamp, settings.interval_minutes
    return HourlyReader(
        source=source.contract.name,
        columns=columns,
        clock=clock,
        delay_days=source.contract.known_at.delay_days,
        zones=_zones_of_points(zones, holders) if by_table and holders is not None else zones,
        dates=DateRule.of(part.settings),
        layouts=(Layout("start" if stamp == "auto" else stamp, 60 if minutes == "auto" else minutes),),
        power=settings.quantity == "power",
        spelling=part.settings.identifiers,
        holders=holders if by_table else None,
    )


def _zones_of_points(zones: Mapping[str, Zone], holders: Holders) -> dict[str, Zone]:
    """A supply point does not move: the zone of any of its customers is its own."""
    names = list(holders.points)
    numbers = holders.since >> DAY_BITS
    return {
        names[number]: zones[customer]
        for number, customer in zip(numbers, holders.customers, strict=True)
        if customer is not None and customer in zones
    }


def _columns_of_time(reader: HourlyReader) -> list[str]:
    names = ("customer_id", "supply_point_id", "timestamp", "time", "hour_index")
    return [column for name in names if (column := reader.columns[name].column) is not None]


def _looking(reader: HourlyReader) -> Callable[[Chunk], Seen]:
    def work(chunk: Chunk) -> Seen:
        by_point = reader.holders is not None
        units = read_units(chunk, reader.columns, reader.spelling, reader.memo, by_point=by_point)
        return look(units, read_times(chunk, reader.columns, reader.clock, reader.memo))

    return work


def _with_habits(
    source: RawSource, part: RawPart, settings: SourceSettings, reader: HourlyReader, found: Found
) -> HourlyReader:
    """The reader with what was found, where the settings leave it open; else the settings must agree with it."""
    where = f"{source.contract.name} in {part.settings.place}"
    minutes, ends = found.minutes, found.ends
    if settings.interval_minutes != "auto":
        _refuse_interval(found, settings.interval_minutes, where)
        minutes = np.full(len(minutes), settings.interval_minutes, np.int64)
    if reader.clock == "hour_index":
        ends = np.zeros(len(ends), np.bool_)
    elif settings.stamp != "auto":
        if settings.stamp == "end":
            _refuse_both_midnights(found, where)
        ends = np.full(len(ends), settings.stamp == "end")
    pairs = sorted({(bool(end), int(length)) for end, length in zip(ends, minutes, strict=True)})
    layouts = tuple(Layout("end" if end else "start", length) for end, length in pairs) or reader.layouts
    habits = found.habits(layouts, minutes, ends) if len(layouts) > 1 else None
    return replace(reader, layouts=layouts, habits=habits)


def _refuse_interval(found: Found, minutes: int, where: str) -> None:
    wrong = found.told & (found.minutes != minutes)
    if wrong.any():
        raise ContractError(
            f"readings do not come every {minutes} minutes",
            where=where,
            count=len(np.unique(found.unit[wrong])),
            examples=_examples(found, wrong, lambda at: f"every {found.minutes[at]} minutes"),
            todo=SET_INTERVAL,
        )


def _refuse_both_midnights(found: Found, where: str) -> None:
    """24:00 and the next day's 0:00 are one moment: who writes both means two things by them."""
    both = np.intersect1d(found.unit[found.closes], found.unit[found.opens & ~found.closes])
    if len(both):
        wrong = np.isin(found.unit, both) & found.opens
        raise ContractError(
            "times of 0:00 and of 24:00 stand beside each other: the stamp is not `end` on all days",
            where=where,
            count=len(both),
            examples=_examples(found, wrong, lambda _: "0:00"),
            todo="Set `stamp: auto`: days that know 24:00 are then read as ends, the others as starts",
        )


def _examples(found: Found, which: npt.NDArray[np.bool_], say: Callable[[int], str]) -> list[str]:
    shown = np.flatnonzero(which)[:EXAMPLES]
    units = [found.units[found.unit[at]].replace(BETWEEN, " ") for at in shown]
    days = [np.datetime64(int(found.day[at]), "D") for at in shown]
    return [f"{unit} on {day}: {say(int(at))}" for unit, day, at in zip(units, days, shown, strict=True)]


def _count(readers: Readers, found: Found, settings: SourceSettings) -> None:
    """Counts what was found, so that nothing is taken for granted in silence."""
    days = pd.DataFrame({"unit": found.unit, "minutes": found.minutes})
    of_unit = days.groupby("unit")["minutes"]
    finest = of_unit.min()
    told = {f"points_of_{minutes}_minutes": int((finest == minutes).sum()) for minutes in INTERVALS}
    told["points_of_changing_interval"] = int((of_unit.max() > finest).sum())
    of_days = {"days_of_unclear_interval": int(found.unclear.sum())}
    if settings.clock != "hour_index":
        ends = found.ends if settings.stamp == "auto" else np.full(len(found.day), settings.stamp == "end")
        of_days["days_stamped_at_the_end"] = int(ends.sum())
        of_days["days_stamped_at_the_start"] = int((~ends).sum())
        if settings.stamp == "auto":
            of_days["days_of_unclear_stamp"] = int(found.stamp_unclear.sum())
    readers.found.update(told)
    readers.found.update(of_days)
    for names, total in ((told, len(finest)), (of_days, len(found.day))):
        for name in names:
            readers.totals[name] = readers.totals.get(name, 0) + total


# Reason of the quarantine, rows of a supply point from which on it is no slip, what is wrong, and the mend.
CONTRARY = (
    (
        "off_interval",
        SYSTEMATIC,
        "readings stand between the intervals that interval_minutes says",
        f"{SET_INTERVAL}. Intervals shorter than a quarter of an hour cannot be read: add them up first",
    ),
    (
        "off_clock",
        1,
        "times go beyond 24: they are numbers of the interval in its day",
        "Set `clock: hour_index`, and map hour_index instead of time",
    ),
    (
        "off_stamp",
        1,
        "readings are stamped 24:00, which only the end of an interval can be",
        "Set `stamp: end`, or `stamp: auto` where supply points do both",
    ),
)


def refuse_contrary(contrary: Counter[tuple[str, str]], where: str) -> None:
    """Ends the run where readings contradict the settings on purpose, not by a slip.

    Args:
        contrary: Reason and unit -> rows in quarantine for it.
        where: Name of the source.

    Raises:
        ContractError: A supply point writes times that the settings do not know.
    """
    for reason, least, what, todo in CONTRARY:
        units = {unit: rows for (one, unit), rows in contrary.items() if one == reason and rows >= least}
        if units:
            raise ContractError(
                what,
                where=where,
                count=len(units),
                examples=[f"{unit.replace(BETWEEN, ' ')}: {rows:,} readings" for unit, rows in _most(units)],
                todo=todo,
            )


def refuse_contradictions(conflicting: int, rows: int, where: str) -> None:
    """Ends the run where readings contradict each other as a rule: their rows tell of different things.

    Args:
        conflicting: Readings that were dropped for another one of the same interval and arrival.
        rows: Readings in all.
        where: Name of the source.

    Raises:
        ContractError: They are more than a slip or a correction can be.
    """
    if conflicting >= SYSTEMATIC and conflicting > rows * CONTRADICTING_SHARE:
        raise ContractError(
            "readings of the same interval say different things",
            where=where,
            count=conflicting,
            todo="Where rows are of several registers, or of imported and exported energy, say which are meant by the "
            "part's `only`; where the later ones correct the earlier ones, map recorded_at",
        )


def _most(rows: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(rows.items(), key=lambda unit: (-unit[1], unit[0]))[:EXAMPLES]
