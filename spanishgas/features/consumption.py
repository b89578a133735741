"""Consumption: how much, how steadily, and how it changes.

Windows end at `as_of`. Missing hours are not zeros: amounts are what was metered, ``coverage_*`` says how much of the
window that is, and changes compare means per metered hour.
"""

import ibis
import ibis.expr.types as ir

from spanishgas.domain.exact import from_steps, positive
from spanishgas.domain.point_in_time import days_between
from spanishgas.domain.units import GAS_KWH_PER_M3, HOURS_PER_DAY, YEAR_DAYS
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature
from spanishgas.features.spans import WINDOWS

DAILY, EITHER = ("consumption_daily",), ("consumption_daily|consumption_periods",)
DELAY_DAYS = 1
MIN_COVERAGE = 0.5
# A metered period stands for a window when its length is within these days.
PERIOD_LENGTHS = {30: (27, 32), YEAR_DAYS: (350, 380)}


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "consumption", "source": DAILY, "known_at_delay_days": DELAY_DAYS, **told})


FEATURES = (
    *(
        _feature(name=f"elec_kwh_{days}d", type="float", unit="kWh", window_days=days,
                 source=DAILY if days == 90 else EITHER,
                 description=f"Electricity imported in {days} days, as metered.")
        for days in (30, 90, YEAR_DAYS)
    ),
    *(
        _feature(name=f"gas_kwh_{days}d", type="float", unit="kWh", window_days=days,
                 source=DAILY if days == 90 else EITHER,
                 description=f"Gas energy used in {days} days, as metered.")
        for days in (30, 90, YEAR_DAYS)
    ),
    _feature(name="supply_points", type="int", unit="supply points", window_days=YEAR_DAYS, needs="supply_points",
             description="Supply points of the customer on the newest metered day of the year."),
    _feature(name="has_gas", type="bool", source=EITHER, window_days=YEAR_DAYS,
             description="Gas was used in the year."),
    *(
        _feature(name=f"coverage_{days}d", type="float", unit="share", window_days=days, fill=0.0,
                 description=f"Metered hours over all hours of {days} days.")
        for days in (90, YEAR_DAYS)
    ),
    _feature(name="elec_volatility_90d", type="float", unit="ratio", window_days=90,
             description="Standard deviation of daily electricity over its mean."),
    _feature(name="elec_volatility_365d", type="float", unit="ratio", window_days=YEAR_DAYS,
             description="Standard deviation of daily electricity over its mean."),
    _feature(name="elec_trend_90d", type="float", unit="ratio", window_days=180,
             description="Electricity per hour of 90 days over that of the 90 days before, minus 1."),
    _feature(name="elec_change_year_90d", type="float", unit="ratio", window_days=YEAR_DAYS + 90,
             description="Electricity per hour of 90 days over that of the same days a year ago, minus 1."),
    _feature(name="gas_change_year_90d", type="float", unit="ratio", window_days=YEAR_DAYS + 90,
             description="Gas per hour of 90 days over that of the same days a year ago, minus 1."),
    _feature(name="elec_recent_over_year", type="float", unit="ratio", window_days=YEAR_DAYS, source=EITHER,
             description="Electricity per day of the last month over that of the year, minus 1."),
    _feature(name="peak_share_90d", type="float", unit="share", window_days=90,
             description="Share of electricity in the peak period."),
    _feature(name="off_peak_share_90d", type="float", unit="share", window_days=90,
             description="Share of electricity in the off-peak period."),
    _feature(name="weekend_share_90d", type="float", unit="share", window_days=90,
             description="Share of electricity on Saturdays and Sundays."),
    _feature(name="surplus_kwh_365d", type="float", unit="kWh", window_days=YEAR_DAYS,
             description="Negative electricity readings of the year, as a positive amount."),
    _feature(name="estimated_share_90d", type="float", unit="share", window_days=90,
             description="Share of readings that were estimated."),
    _feature(name="load_factor_365d", type="float", unit="share", window_days=YEAR_DAYS,
             source=("consumption_daily", "customers"),
             description="Mean metered load over contracted power."),
)  # fmt: skip


def build(context: Context) -> ir.Table:
    """Features of the days before each `as_of`, or of metered periods where there are no days."""
    days = context.engine.materialize(_from_days(context))
    periods = context.engine.materialize(_from_periods(context))
    joined = (
        context.attributes.select("customer_id", "as_of", "contracted_power_kw")
        .left_join(days, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
        .left_join(periods, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
        .join(context.gas, ["customer_id", "as_of"])
    )  # fmt: skip
    month, year = joined.elec_kwh_30d, joined.elec_kwh_365d
    window_change = _change(month, joined.hours_30d, year, joined.hours_365d, 30, YEAR_DAYS)
    period_change = (joined.period_elec_30d / joined.period_days_30d) / positive(
        joined.period_elec_365d / joined.period_days_365d
    ) - 1
    load = joined.elec_kwh_365d / positive(joined.hours_365d)
    return joined.select(
        "customer_id",
        "as_of",
        "has_gas",
        "supply_points",
        elec_kwh_30d=ibis.coalesce(month, joined.period_elec_30d),
        elec_kwh_90d=joined.elec_kwh_90d,
        elec_kwh_365d=ibis.coalesce(year, joined.period_elec_365d),
        gas_kwh_30d=ibis.coalesce(joined.gas_kwh_30d, joined.period_gas_30d),
        gas_kwh_90d=joined.gas_kwh_90d,
        gas_kwh_365d=ibis.coalesce(joined.gas_kwh_365d, joined.period_gas_365d),
        coverage_90d=_coverage(joined.hours_90d, 90),
        coverage_365d=_coverage(joined.hours_365d, YEAR_DAYS),
        elec_volatility_90d=joined.elec_volatility_90d,
        elec_volatility_365d=joined.elec_volatility_365d,
        elec_trend_90d=_change(
            joined.elec_kwh_90d, joined.hours_90d, joined.elec_kwh_before_90d, joined.hours_before_90d, 90, 90
        ),
        elec_change_year_90d=_change(
            joined.elec_kwh_90d, joined.hours_90d, joined.elec_kwh_year_ago_90d, joined.hours_year_ago_90d, 90, 90
        ),
        gas_change_year_90d=_change(
            joined.gas_kwh_90d, joined.hours_90d, joined.gas_kwh_year_ago_90d, joined.hours_year_ago_90d, 90, 90
        ),
        elec_recent_over_year=ibis.coalesce(window_change, period_change),
        peak_share_90d=joined.peak_kwh_90d / positive(joined.elec_kwh_90d),
        off_peak_share_90d=joined.off_peak_kwh_90d / positive(joined.elec_kwh_90d),
        weekend_share_90d=joined.weekend_kwh_90d / positive(joined.elec_kwh_90d),
        surplus_kwh_365d=joined.surplus_kwh_365d,
        estimated_share_90d=joined.estimated_90d / positive(joined.readings_90d),
        load_factor_365d=load / positive(joined.contracted_power_kw),
    )


def _from_days(context: Context) -> ir.Table:
    joined = context.spans_within(max(window.start for window in WINDOWS))
    rows = joined.mutate(age=days_between(joined.as_of, joined.end))

    def inside(name: str) -> ir.BooleanValue:
        window = next(window for window in WINDOWS if window.name == name)
        return (rows.age < window.start) & (rows.age >= window.end)

    def amount(name: str, where: ir.BooleanValue) -> ir.FloatingScalar:
        return from_steps(rows[f"{name}_steps"].sum(where=where))

    sums: dict[str, ir.Value] = {}
    for window in WINDOWS:
        where = inside(window.name)
        sums[f"elec_kwh_{window.name}"] = amount("elec", where)
        sums[f"gas_kwh_{window.name}"] = amount("gas_kwh", where)
        sums[f"hours_{window.name}"] = rows.hours_seen.sum(where=where)
    near, year = inside("90d"), inside("365d")
    sums |= {
        "peak_kwh_90d": amount("p1", near),
        "off_peak_kwh_90d": amount("p3", near),
        "weekend_kwh_90d": amount("weekend", near),
        "estimated_90d": rows.estimated_count.sum(where=near),
        "readings_90d": rows.readings.sum(where=near),
        "supply_points": rows.supply_points.last(where=year, order_by=rows.supply_points_day),
        "surplus_kwh_365d": amount("surplus", year),
    }
    for name, where in (("90d", near), ("365d", year)):
        # Only days that were metered whole say how much a day takes.
        count = rows.whole_days.sum(where=where).nullif(0)
        sums[f"mean_{name}"] = amount("whole", where) / count
        sums[f"square_{name}"] = amount("whole_square", where) / count
    table = rows.group_by("customer_id", "as_of").aggregate(**sums)
    spread = {
        f"elec_volatility_{name}": ibis.greatest(
            # A product: engines round powers each in their own way.
            table[f"square_{name}"] - table[f"mean_{name}"] * table[f"mean_{name}"],
            0.0,
        ).sqrt()
        / positive(table[f"mean_{name}"])
        for name in ("90d", "365d")
    }
    return table.mutate(**spread).drop("mean_90d", "mean_365d", "square_90d", "square_365d")


def _from_periods(context: Context) -> ir.Table:
    """The newest metered period of about the length of a window; it must have ended within that window's length."""
    rows = context.periods
    length = days_between(rows.period_end, rows.period_start) + 1
    age = days_between(rows.as_of, rows.period_end)
    sums: dict[str, ir.Value] = {}
    for days, (shortest, longest) in PERIOD_LENGTHS.items():
        fits = length.between(shortest, longest) & (age < days)
        newest = [rows.period_end, rows.period_start]
        sums[f"period_elec_{days}d"] = rows.consumption_elec_kwh.last(where=fits, order_by=newest)
        gas = rows.consumption_gas_m3.last(where=fits, order_by=newest)
        sums[f"period_gas_{days}d"] = gas * GAS_KWH_PER_M3
        sums[f"period_days_{days}d"] = length.last(where=fits, order_by=newest)
    return rows.group_by("customer_id", "as_of").aggregate(**sums)


def _coverage(hours: ir.NumericValue, days: int) -> ir.NumericValue:
    return ibis.least(hours.fill_null(0) / float(HOURS_PER_DAY * days), 1.0)


def _change(
    new: ir.NumericValue,
    new_hours: ir.NumericValue,
    old: ir.NumericValue,
    old_hours: ir.NumericValue,
    new_days: int,
    old_days: int,
) -> ir.NumericValue:
    """Relative change of the amount per metered hour; null where half of either window was not metered."""
    enough = (new_hours >= MIN_COVERAGE * HOURS_PER_DAY * new_days) & (
        old_hours >= MIN_COVERAGE * HOURS_PER_DAY * old_days
    )
    ratio = (new / positive(new_hours)) / positive(old / positive(old_hours)) - 1
    return ibis.ifelse(enough, ratio, ibis.null("float64"))


FAMILY = Family(name="consumption", build=build, features=FEATURES)
