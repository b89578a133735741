"""`consumption_daily` the slow way: every reading by itself, every version by hand."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

MADRID = ZoneInfo("Europe/Madrid")
FIXED_HOLIDAYS = {(1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (11, 1), (12, 6), (12, 8), (12, 25)}


@dataclass(frozen=True)
class Reading:
    """One raw row under the civil clock; ``hour`` is the start of its interval."""

    customer: str
    hour: datetime
    known_at: date
    elec: float | None
    gas: float | None
    estimated: bool


def period_of(hour: datetime) -> int:
    """Tariff period of an hour of wall-clock time on the mainland."""
    if hour.weekday() >= 5 or (hour.month, hour.day) in FIXED_HOLIDAYS or hour.hour < 8:
        return 3
    return 1 if hour.hour in (10, 11, 12, 13, 18, 19, 20, 21) else 2


def hours_of_day(day: date) -> int:
    """Hours between this midnight and the next."""
    begin = datetime(day.year, day.month, day.day, tzinfo=MADRID).astimezone(UTC)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=MADRID).astimezone(UTC)
    return round((end - begin).total_seconds() / 3600)


def is_doubled(hour: datetime) -> bool:
    """Whether the wall-clock hour stands twice."""
    first, second = (hour.replace(tzinfo=MADRID, fold=fold).utcoffset() for fold in (0, 1))
    return first > second  # type: ignore[operator]


def exists(hour: datetime) -> bool:
    """Whether the wall-clock hour is not skipped by the spring clock change."""
    aware = hour.replace(tzinfo=MADRID)
    return aware.astimezone(UTC).astimezone(MADRID).replace(tzinfo=None) == hour


def rounded(value: float) -> Decimal:
    """Whole millionths, as sums are taken."""
    return (Decimal(value) * 1_000_000).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)


def daily_versions(readings: list[Reading], minutes: int = 60) -> dict[tuple[str, date, date], dict[str, float]]:
    """Customer, day, known-at day -> what the day's row must say."""
    by_day: dict[tuple[str, date], list[Reading]] = defaultdict(list)
    for reading in readings:
        if exists(reading.hour) and (reading.elec is not None or reading.gas is not None):
            by_day[reading.customer, reading.hour.date()].append(reading)
    result: dict[tuple[str, date, date], dict[str, float]] = {}
    for (customer, day), rows in by_day.items():
        for known_at in {row.known_at for row in rows}:
            result[customer, day, known_at] = _version(day, [row for row in rows if row.known_at <= known_at], minutes)
    return result


def _version(day: date, rows: list[Reading], minutes: int) -> dict[str, float]:
    used: dict[tuple[datetime, int], Reading] = {}
    duplicates = 0
    for known_at in sorted({row.known_at for row in rows}):
        for hour in {row.hour for row in rows if row.known_at == known_at}:
            equal = sorted((row for row in rows if row.known_at == known_at and row.hour == hour), key=_rank)
            places = 2 if is_doubled(hour) else 1
            duplicates += max(len(equal) - places, 0)
            for place, row in enumerate(equal[:places]):
                used[hour, place] = row
    sums: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    for (hour, _), row in used.items():
        if row.elec is not None and row.elec < 0:
            counts["elec_negative_count"] += 1
            sums["elec_negative_kwh"] += rounded(row.elec)
        elif row.elec is not None:
            sums[f"elec_p{period_of(hour)}_kwh"] += rounded(row.elec)
            sums["estimated_kwh"] += rounded(row.elec) if row.estimated else 0
        if row.gas is not None and row.gas < 0:
            counts["gas_negative_count"] += 1
            sums["gas_negative_m3"] += rounded(row.gas)
        elif row.gas is not None:
            sums["gas_m3"] += rounded(row.gas)
        counts["estimated_count"] += row.estimated
    names = (
        "elec_p1_kwh",
        "elec_p2_kwh",
        "elec_p3_kwh",
        "gas_m3",
        "elec_negative_kwh",
        "gas_negative_m3",
        "estimated_kwh",
    )
    return {
        **{name: float(sums[name]) / 1_000_000 for name in names},
        **{name: counts[name] for name in ("elec_negative_count", "gas_negative_count", "estimated_count")},
        "hours_seen": len(used) * minutes // 60,
        "readings": len(used),
        "hours_expected": hours_of_day(day),
        "duplicate_count": duplicates,
    }


def _rank(row: Reading) -> tuple[bool, bool, float, bool, float]:
    """Measured before estimated, known before missing, then the greater."""
    return (row.estimated, row.elec is None, -(row.elec or 0.0), row.gas is None, -(row.gas or 0.0))
