"""Gold `customer_month_margin`: what each month earned, as far as it was known at `as_of`.

Prices that are missing are imputed forward only: from the customer's last known price, else from the median of like
customers in that month, else from the median of the month; medians are those of the population at `as_of`. Costs
that are not known yet are those of the last month that is.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from spanishgas.domain.civil_time import add_months, day_end, month_end, month_start
from spanishgas.domain.exact import from_steps
from spanishgas.domain.margin import electricity_margin_eur, fixed_fee_eur_month, gas_margin_eur
from spanishgas.features.context import Context

TIERS = tuple(f"variable_price_tier{tier}_eur_kwh" for tier in (1, 2, 3))
FEE, FIXED_COST = "elec_fixed_fee_eur_month", "elec_fixed_cost_eur_month"
GAS_PRICES = ("gas_variable_price_eur_m3", "gas_fixed_revenue_eur_year", "gas_fixed_cost_eur_year")
PRICES = (*TIERS, FEE, FIXED_COST, *GAS_PRICES)
COSTS = ("elec_var_cost_eur_kwh", "peaje_elec_eur_kwh", "gas_var_cost_eur_m3")
METERED = ("p1_steps", "p2_steps", "p3_steps", "surplus_steps", "gas_m3_steps", "hours_seen")
KEY = ["customer_id", "as_of", "month"]


def last_months(day: date, count: int) -> list[date]:
    """First days of the last complete months at a date, oldest first."""
    end = month_start(day) if month_end(day) != day else add_months(month_start(day), 1)
    return [add_months(end, -back) for back in range(count, 0, -1)]


def hours_of_month(month: date) -> int:
    """Hours of a month in civil time of the mainland."""
    begin, end = day_end(month - timedelta(days=1)), day_end(month_end(month))
    return round((end - begin).total_seconds() / 3600)


def month_margin(context: Context) -> ir.Table:
    """Margins of the population's last complete months, in the columns of the contract."""
    months = _months(context)
    grid = _grid(context, months)
    used = _consumption(context, months)
    prices = _prices(context, grid)
    costs = _costs(context, months)
    table = (
        grid.join(context.peers.select("customer_id", "as_of", "province_code"), ["customer_id", "as_of"])
        .join(context.gas, ["customer_id", "as_of"])
        .left_join(used, KEY).drop(*(f"{name}_right" for name in KEY))
        .left_join(prices, KEY).drop(*(f"{name}_right" for name in KEY))
        .left_join(costs, ["as_of", "month", "province_code"])
        .drop("as_of_right", "month_right", "province_code_right")
    )  # fmt: skip
    table = context.engine.materialize(table)
    kwh = [table[f"p{tier}_kwh"] for tier in (1, 2, 3)]
    elec = electricity_margin_eur(
        period_kwh=kwh,
        period_price_eur_kwh=[
            # A price at which nothing was used does not matter.
            ibis.ifelse(energy == 0, table[name].fill_null(0.0), table[name])
            for energy, name in zip(kwh, TIERS, strict=True)
        ],
        fixed_fee_eur=table[FEE],
        fixed_cost_eur=table[FIXED_COST],
        energy_cost_eur_kwh=table.elec_var_cost_eur_kwh,
        toll_eur_kwh=table.peaje_elec_eur_kwh,
        surplus_kwh=table.surplus_kwh,
        surplus_price_eur_kwh=context.settings.surplus_price_eur_kwh,
    )
    with_gas = gas_margin_eur(
        gas_m3=table.used_gas_m3,
        price_eur_m3=table.gas_variable_price_eur_m3,
        cost_eur_m3=table.gas_var_cost_eur_m3,
        fixed_revenue_eur_year=table.gas_fixed_revenue_eur_year,
        fixed_cost_eur_year=table.gas_fixed_cost_eur_year,
    )
    gas = ibis.ifelse(table.has_gas, with_gas, 0.0)
    tiers_imputed = ibis.or_(*((energy != 0) & ~table[f"{name}_own"] for energy, name in zip(kwh, TIERS, strict=True)))
    fixed_imputed = ~table[f"{FEE}_own"] | ~table[f"{FIXED_COST}_own"]
    gas_imputed = table.has_gas.fill_null(False) & ~ibis.and_(*(table[f"{name}_own"] for name in GAS_PRICES))
    return table.select(
        "customer_id",
        "as_of",
        "month",
        elec_kwh=kwh[0] + kwh[1] + kwh[2],
        gas_m3=table.used_gas_m3,
        elec_margin_eur=elec,
        gas_margin_eur=gas,
        margin_eur=elec + gas,
        is_price_imputed=(tiers_imputed | fixed_imputed | gas_imputed).fill_null(True),
        is_cost_carried=table.is_cost_carried.fill_null(False),
        coverage=ibis.least(table.hours_seen / table.month_hours.cast("float64"), 1.0),
    )


def _months(context: Context) -> ir.Table:
    rows = [
        {"as_of": day, "month": month, "month_end": month_end(month), "month_hours": hours_of_month(month)}
        for day in context.days
        for month in last_months(day, context.settings.margin_months)
    ]
    schema = {"as_of": "date", "month": "date", "month_end": "date", "month_hours": "int32"}
    return context.engine.materialize(ibis.memtable(rows, schema=schema))


def _grid(context: Context, months: ir.Table) -> ir.Table:
    """Customer x month, from the month on in which supply began."""
    if not context.has("consumption_daily"):
        months = months.filter(ibis.literal(False))
    term = context.term.semi_join(context.population, ["customer_id", "as_of"])
    joined = term.select("customer_id", "as_of", "activation").join(months, "as_of")
    return context.engine.materialize(
        joined.filter(joined.month_end >= joined.activation).select(*KEY, "month_end", "month_hours")
    )


def _consumption(context: Context, months: ir.Table) -> ir.Table:
    """Metered energy by month; months without a single reading are left out."""
    spans = context.spans
    known = ["customer_id", "month", "known_from", "known_until"]
    # No span reaches from one month into the next.
    monthly = spans.mutate(month=spans.begin.truncate("M").cast("date")).group_by(*known)
    monthly = context.engine.materialize(monthly.aggregate(**{name: spans[name].sum() for name in METERED}))
    bounds = context.population.join(months, "as_of")
    rows = bounds.join(
        monthly,
        ["customer_id", "month", monthly.known_from <= bounds.as_of, monthly.known_until > bounds.as_of],
    )
    grouped = rows.group_by(*KEY).aggregate(
        p1_kwh=from_steps(rows.p1_steps.sum()),
        p2_kwh=from_steps(rows.p2_steps.sum()),
        p3_kwh=from_steps(rows.p3_steps.sum()),
        surplus_kwh=from_steps(-rows.surplus_steps.sum()),
        used_gas_m3=from_steps(rows.gas_m3_steps.sum()),
        hours_seen=rows.hours_seen.sum(),
    )
    return context.engine.materialize(grouped.filter(grouped.hours_seen > 0))


def _prices(context: Context, grid: ir.Table) -> ir.Table:
    """Price of every component and month, and whether it is the customer's own of that month."""
    own = _own_prices(context)
    # Months before the first of the grid only serve to carry prices forward.
    keys = grid.select(*KEY).union(own.select(*KEY), distinct=True)
    table = keys.left_join(own, KEY).drop(*(f"{name}_right" for name in KEY))
    carried = context.engine.carried_forward(
        table.mutate(**{f"{name}_own": table[name].notnull() for name in PRICES}),
        PRICES,
        within=["customer_id", "as_of"],
        order="month",
    )
    wanted = carried.semi_join(grid, KEY)
    wanted = wanted.join(context.peers.select("customer_id", "as_of", "peer_group"), ["customer_id", "as_of"])
    wanted = context.engine.materialize(wanted)
    of_peers = wanted.group_by("as_of", "month", "peer_group").aggregate(
        **{f"{name}_peers": wanted[name].median() for name in PRICES}
    )
    of_all = wanted.group_by("as_of", "month").aggregate(**{f"{name}_all": wanted[name].median() for name in PRICES})
    joined = (
        wanted.left_join(of_peers, ["as_of", "month", "peer_group"])
        .drop("as_of_right", "month_right", "peer_group_right")
        .left_join(of_all, ["as_of", "month"])
        .drop("as_of_right", "month_right")
    )
    return context.engine.materialize(
        joined.select(
            *KEY,
            *(f"{name}_own" for name in PRICES),
            **{
                name: ibis.coalesce(joined[f"{name}_carried"], joined[f"{name}_peers"], joined[f"{name}_all"])
                for name in PRICES
            },
        )
    )


def _own_prices(context: Context) -> ir.Table:
    """The customer's own prices by month: the last that began to apply in it, component by component."""
    prices = context.prices.join(
        context.attributes.select("customer_id", "as_of", "contracted_power_kw"), ["customer_id", "as_of"]
    )
    fee = fixed_fee_eur_month(prices.elec_fixed_price_eur_kw_year, prices.contracted_power_kw)
    rows = prices.mutate(month=prices.pricing_date.truncate("M").cast("date"), **{FEE: ibis.coalesce(prices[FEE], fee)})
    return context.engine.materialize(
        rows.group_by(*KEY).aggregate(**{name: rows[name].last(order_by=rows.pricing_date) for name in PRICES})
    )


def _costs(context: Context, months: ir.Table) -> ir.Table:
    """Costs by province and month; of a month that is not known yet, those of the last one before it."""
    costs = context.costs
    named = costs.select("as_of", "province_code", cost_month="month", **{name: costs[name] for name in COSTS})
    joined = months.select("as_of", "month").join(named, "as_of")
    usable = joined.filter(joined.cost_month <= joined.month)
    grouped = usable.group_by("as_of", "month", "province_code").aggregate(
        **{name: usable[name].last(order_by=usable.cost_month) for name in COSTS},
        newest=usable.cost_month.max(),
    )
    return context.engine.materialize(grouped.mutate(is_cost_carried=grouped.newest < grouped.month).drop("newest"))
