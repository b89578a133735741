"""Supply points: whose readings these are, and days of several supply points added up per customer.

A unit is what has one reading at a time: the customer, or, where rows name supply points, the customer's supply point,
written as both with a mark between. Intervals, gaps, repeats and corrections are looked at per unit; customers get the
sum of their units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spanishgas.config import ColumnMapping
from spanishgas.contracts.silver import SUPPLY_POINTS
from spanishgas.domain.exact import exact_sum
from spanishgas.domain.identifiers import Spelling
from spanishgas.domain.units import GAS_KWH_PER_M3
from spanishgas.engine.chunks import Chunk
from spanishgas.engine.session import Engine
from spanishgas.silver import hour_columns
from spanishgas.silver.mapping import Mapped, one_identity
from spanishgas.silver.raw import PROVENANCE, RawPart, RawSource
from spanishgas.silver.values import raw_value, typed_value
from spanishgas.silver.versions import Resolved, resolve_duplicates

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# Column for the customer of rows that name the supply point only.
HOLDER = "customer_of_supply_point"
# No identifier has a control character.
BETWEEN = "\x1f"
DAY_BITS = 20
DAY_SECONDS = 86_400
LAST_DAY = (1 << DAY_BITS) - 1
# A supply point that was silent for longer is not missed any more: it may have been left.
SILENT_DAYS = 31
ENERGIES = (
    "elec_p1_kwh",
    "elec_p2_kwh",
    "elec_p3_kwh",
    "gas_m3",
    "elec_negative_kwh",
    "gas_negative_m3",
    "estimated_kwh",
)
COUNTS = ("readings", "elec_negative_count", "gas_negative_count", "estimated_count", "duplicate_count")


@dataclass(frozen=True)
class Units:
    """Whose rows these are.

    Attributes:
        codes: Position in ``texts`` of every row; -1 where it is not known.
        texts: Customers, supply points or both; see the module.
        array: The same as an array.
        faults: Reason, rows, and the column that shows it.
        respelled: Rows whose identifiers were written otherwise.
    """

    codes: npt.NDArray[np.int32]
    texts: list[str | None]
    array: pa.Array
    faults: list[tuple[str, Mask, str | None]] = field(default_factory=list)
    respelled: int = 0

    def holders(self) -> list[str]:
        """The customer of each text."""
        return [(text or "").partition(BETWEEN)[0] for text in self.texts]


@dataclass(frozen=True)
class Holders:
    """Which customer holds a supply point on a day.

    Attributes:
        points: Number of each supply point.
        since: Number and first day of every holding, packed, ascending.
        until: Its last day.
        customers: Its customer; None where two customers hold the supply point at once.
    """

    points: Mapping[str, int]
    since: Ints
    until: Ints
    customers: list[str | None]

    @classmethod
    def of(cls, engine: Engine, rows: ir.Table) -> "Holders":
        """From the rows of silver ``supply_points``; touching and overlapping holdings of one customer are one."""
        # As numbers: the year 9999 is too late for a frame.
        days = {
            name: ibis.coalesce(rows[column].cast("timestamp").epoch_seconds() // DAY_SECONDS, missing).clip(
                0, LAST_DAY
            )
            for name, column, missing in (("first", "valid_from", 0), ("last", "valid_to", LAST_DAY))
        }
        told = engine.frame(rows.select("supply_point_id", "customer_id", **days)).sort_values(
            ["supply_point_id", "first", "last", "customer_id"]
        )
        points: dict[str, int] = {}
        since: list[int] = []
        until: list[int] = []
        customers: list[str | None] = []
        open_until, unclear = -1, set()
        for point, customer, first, last in zip(
            told["supply_point_id"], told["customer_id"], told["first"], told["last"], strict=True
        ):
            fresh = point not in points
            number = points.setdefault(point, len(points))
            if not fresh and customers[-1] == customer and first <= until[-1] + 1:
                until[-1] = max(until[-1], int(last))
            else:
                if not fresh and first <= open_until:
                    unclear.add(number)
                since.append((number << DAY_BITS) + int(first))
                until.append(int(last))
                customers.append(customer)
            open_until = int(last) if fresh else max(open_until, int(last))
        numbers = np.array(since, np.int64) >> DAY_BITS
        named = [None if number in unclear else one for number, one in zip(numbers, customers, strict=True)]
        return cls(points, np.array(since, np.int64), np.array(until, np.int64), named)

    def at(self, points: Ints, days: Ints) -> Ints:
        """Position of the holding of some supply points on some days, by their numbers; -1 where there is none."""
        if not len(self.since):
            return np.full(len(points), -1, np.int64)
        place = np.searchsorted(self.since, (points << DAY_BITS) + days, side="right") - 1
        found = np.maximum(place, 0)
        held = (place >= 0) & (points >= 0) & (self.since[found] >> DAY_BITS == points) & (days <= self.until[found])
        return np.where(held, place, -1)


def build_supply_points(engine: Engine, mapped: Mapped) -> Resolved:
    """One row per supply point, customer and first day."""
    return resolve_duplicates(engine, mapped.rows, SUPPLY_POINTS)


def name_customers(engine: Engine, source: RawSource, points: ir.Table, day: str, timezone: str) -> RawSource:
    """A source whose rows name the supply point only, with the one customer who holds it on the row's day.

    Args:
        engine: The engine.
        source: The landed source.
        points: Rows of silver ``supply_points``.
        day: Contract column with the day that counts.
        timezone: Civil time of the retailer.
    """
    return replace(source, parts=tuple(_named(engine, source, part, points, day, timezone) for part in source.parts))


def _named(engine: Engine, source: RawSource, part: RawPart, points: ir.Table, day: str, timezone: str) -> RawPart:
    settings = part.settings
    point, when = (raw_value(part, settings.mapping(name)) for name in ("supply_point_id", day))
    if settings.mapping("customer_id").absent is None or point is None or when is None:
        return part
    (column,) = (one for one in source.contract.columns if one.name == day)
    told, _ = one_identity(point, settings.identifiers)
    on = typed_value(when, column, settings.mapping(day), timezone)
    rows = engine.stage(part.table.select(*PROVENANCE, point=told, day=on))
    spans = engine.stage(points.select("supply_point_id", "customer_id", "valid_from", "valid_to"))
    holding = [
        rows.point == spans.supply_point_id,
        (rows.day >= spans.valid_from) | spans.valid_from.isnull(),
        (rows.day <= spans.valid_to) | spans.valid_to.isnull(),
    ]
    held = (
        rows.join(spans, holding)
        .group_by(*PROVENANCE)
        .aggregate(**{HOLDER: ibis._.customer_id.min()}, customers=ibis._.customer_id.nunique())
    )
    one = held.filter(held.customers == 1).drop("customers")
    named = part.table.left_join(one, list(PROVENANCE)).drop(*(f"{name}_right" for name in PROVENANCE))
    columns = {**settings.columns, "customer_id": ColumnMapping(column=HOLDER)}
    return replace(part, settings=settings.model_copy(update={"columns": columns}), table=engine.materialize(named))


def read_units(
    chunk: Chunk, columns: Mapping[str, ColumnMapping], spelling: Spelling, memo: hour_columns.Memo, *, by_point: bool
) -> Units:
    """Whose rows a chunk holds.

    Args:
        chunk: The rows.
        columns: Contract column -> origin.
        spelling: Rule for identifiers.
        memo: What is known of the last dictionaries.
        by_point: Rows name the supply point only; the customer is looked up later.
    """
    names = ("supply_point_id",) if by_point else ("customer_id", "supply_point_id")
    found = {name: hour_columns.identities(chunk, columns[name], spelling, memo) for name in names}
    faults: list[tuple[str, Mask, str | None]] = []
    for name, one in found.items():
        if one is not None:
            faults += [(f"missing_{name}", one.coded.codes < 0, None)]
            faults += [(f"unsafe_{name}", one.unsafe, name)] if one.unsafe is not None else []
    parts = [one for one in found.values() if one is not None]
    respelled = max((one.respelled for one in parts), default=0)
    if len(parts) == 1:
        coded = parts[0].coded
        return Units(coded.codes, coded.texts, coded.array, faults, respelled)
    customer, point = (one.coded for one in parts)
    codes, pairs = _combined(customer.codes, point.codes, len(point.texts))
    texts: list[str | None] = [f"{customer.texts[one]}{BETWEEN}{point.texts[other]}" for one, other in pairs]
    return Units(codes, texts, pa.array(texts, pa.string()), faults, respelled)


def _combined(
    one: npt.NDArray[np.int32], other: npt.NDArray[np.int32], size: int
) -> tuple[npt.NDArray[np.int32], list[tuple[int, int]]]:
    """Codes of pairs of codes, -1 where either is; rows of one pair mostly follow each other."""
    starts = _starts((one[1:] != one[:-1]) | (other[1:] != other[:-1]), len(one))
    pair = np.where(
        (one[starts] < 0) | (other[starts] < 0), -1, one[starts].astype(np.int64) * max(size, 1) + other[starts]
    )
    known, place = np.unique(pair, return_inverse=True)
    lacking = int(len(known) > 0 and known[0] < 0)
    codes = np.repeat(place - lacking, np.diff(np.append(starts, len(one)))).astype(np.int32)
    return codes, [divmod(int(code), max(size, 1)) for code in known[lacking:]]


def _starts(changes: Mask, rows: int) -> Ints:
    return np.concatenate([np.zeros(min(rows, 1), np.int64), np.flatnonzero(changes) + 1])


def holders_of_rows(holders: Holders, units: Units, days: npt.NDArray[np.int32]) -> tuple[Units, Mask, Mask]:
    """Rows of supply points as rows of their customers' supply points, by day.

    Returns:
        The units; the rows of supply points that nobody holds on their day; those that several customers hold.
    """
    codes = units.codes
    starts = _starts((codes[1:] != codes[:-1]) | (days[1:] != days[:-1]), len(codes))
    number = np.array([holders.points.get(text or "", -1) for text in units.texts] or [-1], np.int64)
    of_start = codes[starts]
    place = holders.at(np.where(of_start < 0, -1, number[np.maximum(of_start, 0)]), days[starts].astype(np.int64))
    clear = np.array([customer is not None for customer in holders.customers] or [False])
    several = (place >= 0) & ~clear[np.maximum(place, 0)]
    lengths = np.diff(np.append(starts, len(codes)))
    held = np.where((place < 0) | several, -1, place).astype(np.int32)
    spread = np.repeat(held, lengths)
    combined, pairs = _combined(spread, codes, len(units.texts))
    texts: list[str | None] = [f"{holders.customers[one]}{BETWEEN}{units.texts[other]}" for one, other in pairs]
    told = Units(combined, texts, pa.array(texts, pa.string()), units.faults, units.respelled)
    known = codes >= 0
    return told, known & np.repeat(place < 0, lengths), known & np.repeat(several, lengths)


def per_customer(engine: Engine, units: ir.Table) -> ir.Table:
    """Days of customers' supply points, added up per customer.

    A version of a customer's day holds, of every supply point, its day as known then. A supply point belongs to the day
    when it has a reading of it or of the 31 days before, as known then; where it has none of the day, the day is not
    complete: the hours seen are the mean of the supply points', rounded down.

    Args:
        engine: The engine.
        units: Days of units, in the columns of ``consumption_daily`` but ``supply_points``; ``customer_id`` holds the
            unit.
    """
    named = units.customer_id.split(BETWEEN)
    table = engine.materialize(units.mutate(customer_id=named[0], point=named[1]))
    counted = table.group_by("customer_id").aggregate(points=table.point.nunique())
    several = counted.filter(counted.points > 1)
    alone = table.anti_join(several, "customer_id").mutate(supply_points=ibis.literal(1, "int32")).drop("point")
    if not engine.integer(several.count()):
        return alone
    rows = engine.materialize(table.semi_join(several, "customer_id"))
    return alone.union(_added_up(rows).select(*alone.columns))


def _added_up(rows: ir.Table) -> ir.Table:
    versions = rows.select("customer_id", "day", as_known_at="known_at").distinct()
    heard = rows.group_by("customer_id", "point", "day").aggregate(known_at=rows.known_at.min())
    around = versions.join(
        heard,
        [
            versions.customer_id == heard.customer_id,
            heard.day <= versions.day,
            heard.day > versions.day - ibis.interval(days=SILENT_DAYS + 1),
            heard.known_at <= versions.as_known_at,
        ],
        rname="{name}_heard",
    )
    expected = around.group_by("customer_id", "day", "as_known_at").aggregate(supply_points=around.point.nunique())
    same_day = versions.join(
        rows,
        [
            versions.customer_id == rows.customer_id,
            versions.day == rows.day,
            rows.known_at <= versions.as_known_at,
        ],
        rname="{name}_of_point",
    )
    newest = ibis.window(
        group_by=[same_day.customer_id, same_day.day, same_day.as_known_at, same_day.point],
        order_by=same_day.known_at.desc(),
    )
    ranked = same_day.mutate(rank=ibis.row_number().over(newest))
    latest = ranked.filter(ranked["rank"] == 0)
    sums = latest.group_by("customer_id", "day", "as_known_at").aggregate(
        **{name: exact_sum(latest[name]) for name in ENERGIES},
        **{name: latest[name].sum() for name in COUNTS},
        hours_expected=latest.hours_expected.max(),
        hours_of_all=latest.hours_seen.sum(),
    )
    joined = sums.join(expected, ["customer_id", "day", "as_known_at"])
    whole = {name: joined[name].cast("int32") for name in (*COUNTS, "hours_expected", "supply_points")}
    return joined.mutate(
        **whole,
        known_at=joined.as_known_at,
        gas_kwh=joined.gas_m3 * GAS_KWH_PER_M3,
        hours_seen=(joined.hours_of_all // joined.supply_points).cast("int32"),
    )
