"""Days of consumption summed once for all dates: a window of one `as_of` shares most of its days with other windows.

The days at which some window of some `as_of` begins or ends cut time into spans. No window begins or ends inside a
span, so a sum over a window is a sum over spans; sums are whole millionths, so the result is the same to the last bit.
Days of one span are summed separately where some `as_of` knows them and another does not: those of the newest day, of
late deliveries and of corrections.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from spanishgas.domain.civil_time import month_ends
from spanishgas.domain.exact import to_steps
from spanishgas.domain.point_in_time import NEVER, with_visibility
from spanishgas.domain.units import HOURS_PER_DAY, YEAR_DAYS
from spanishgas.engine.session import Engine

WEEKEND = 5
CALENDAR = ("day", "begin", "end", "seen_at")
KEY = ("customer_id", "begin", "end", "known_from", "known_until")


@dataclass(frozen=True)
class Window:
    """Days before `as_of`, from ``start`` (exclusive) to ``end`` (inclusive)."""

    name: str
    start: int
    end: int = 0


WINDOWS = (
    Window("30d", 30),
    Window("90d", 90),
    Window("365d", YEAR_DAYS),
    Window("before_90d", 180, 90),
    Window("year_ago_90d", YEAR_DAYS + 90, YEAR_DAYS),
)


def sum_by_span(engine: Engine, daily: ir.Table, days: Sequence[date], months: int) -> ir.Table:
    """Sums of silver `consumption_daily` by customer and span.

    Args:
        engine: The engine.
        daily: Silver `consumption_daily`.
        days: The `as_of` dates.
        months: Complete months before each `as_of` that are wanted beside ``WINDOWS``.

    Returns:
        One row per customer, span and range of dates at which the same days are known: ``begin`` and ``end`` (first and
        last day), ``known_from`` (first `as_of` at which it counts) and ``known_until`` (first at which it counts no
        more). Amounts are whole millionths of kWh and m3 (``*_steps``), null over no reading; of days that were metered
        whole also count, sum and sum of squares of electricity; ``supply_points`` is of ``supply_points_day``.
    """
    calendar = engine.materialize(ibis.memtable(_calendar(days, months), schema=dict.fromkeys(CALENDAR, "date")))
    recent = with_visibility(daily, event="day", key=("customer_id", "day")).join(
        calendar.select("day", "begin", "end"), "day"
    )
    rows = _first_at(
        _first_at(recent, calendar, "visible_from", "known_from"), calendar, "visible_until", "known_until"
    )
    # Who counts at no date is left out: known only after the last, or corrected before the next.
    rows = rows.filter(rows.known_from < rows.known_until)
    kwh = rows.elec_p1_kwh + rows.elec_p2_kwh + rows.elec_p3_kwh
    elec, square = to_steps(kwh), to_steps(kwh * kwh)
    weekend = rows.day.day_of_week.index() >= WEEKEND
    whole = rows.hours_seen >= HOURS_PER_DAY - 1
    named = rows.supply_points.notnull()
    return engine.materialize(
        rows.group_by(*KEY).aggregate(
            elec_steps=elec.sum(),
            p1_steps=to_steps(rows.elec_p1_kwh).sum(),
            p2_steps=to_steps(rows.elec_p2_kwh).sum(),
            p3_steps=to_steps(rows.elec_p3_kwh).sum(),
            weekend_steps=elec.sum(where=weekend),
            surplus_steps=to_steps(-rows.elec_negative_kwh).sum(),
            gas_kwh_steps=to_steps(rows.gas_kwh).sum(),
            gas_m3_steps=to_steps(rows.gas_m3).sum(),
            hours_seen=rows.hours_seen.sum(),
            readings=rows.readings.sum(),
            estimated_count=rows.estimated_count.sum(),
            whole_days=elec.count(where=whole),
            whole_steps=elec.sum(where=whole),
            whole_square_steps=square.sum(where=whole),
            supply_points=rows.supply_points.last(where=named, order_by=rows.day),
            supply_points_day=rows.day.max(where=named),
        )
    )


def _calendar(days: Sequence[date], months: int) -> list[dict[str, date]]:
    """Every day from the first of the first window to the last `as_of`, its span, and the first `as_of` from it on."""
    last = max(days)
    # Enough days for that many complete months, whatever their lengths.
    reach = max(max(window.start for window in WINDOWS), 31 * (months + 1))
    begin = min(days) - timedelta(days=reach - 1)
    borders = {day - timedelta(days=edge) for day in days for window in WINDOWS for edge in (window.start, window.end)}
    borders |= set(month_ends(begin, last))
    rows = []
    for end in sorted(border for border in borders if begin <= border <= last):
        for offset in range((end - begin).days + 1):
            day = begin + timedelta(days=offset)
            seen = min(one for one in days if one >= day)
            rows.append({"day": day, "begin": begin, "end": end, "seen_at": seen})
        begin = end + timedelta(days=1)
    return rows


def _first_at(rows: ir.Table, calendar: ir.Table, column: str, name: str) -> ir.Table:
    """Adds the first `as_of` that is not before a day, ``NEVER`` where there is none."""
    seen = calendar.select(on_day="day", seen_at="seen_at")
    joined = rows.left_join(seen, rows[column] == seen.on_day)
    return joined.mutate(**{name: ibis.coalesce(joined.seen_at, ibis.literal(NEVER))}).drop("on_day", "seen_at")
