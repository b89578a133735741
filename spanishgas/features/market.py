"""Market: what energy costs in the province, how the customer's price stands to it, and how hard it is contested."""

import ibis
import ibis.expr.types as ir

from spanishgas.domain.point_in_time import days_between
from spanishgas.domain.units import YEAR_DAYS
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature
from spanishgas.features.price import energy_price

# Costs are settled ten days after their month.
DELAY_DAYS = 10
MIN_CUSTOMERS = 20


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "market", "source": ("costs", "customers"), **told})


FEATURES = (
    _feature(name="is_high_competition", type="bool", source=("customers",),
             description="Province where competitors are most active."),
    _feature(name="market_elec_cost_eur_kwh", type="float", unit="EUR/kWh",
             known_at_delay_days=DELAY_DAYS, trending=True,
             description="Newest known energy cost of the province, toll included."),
    _feature(name="market_gas_cost_eur_m3", type="float", unit="EUR/m3",
             known_at_delay_days=DELAY_DAYS, trending=True, description="Newest known gas cost of the province."),
    _feature(name="market_elec_cost_change_90d", type="float", trending=True, unit="ratio", window_days=90,
             known_at_delay_days=DELAY_DAYS, description="Energy cost over the one of three months before, minus 1."),
    _feature(name="market_elec_cost_change_365d", type="float", trending=True, unit="ratio", window_days=YEAR_DAYS,
             known_at_delay_days=DELAY_DAYS, description="Energy cost over the one of a year before, minus 1."),
    _feature(name="price_over_cost", type="float", unit="ratio", source=("prices", "costs", "customers"),
             known_at_delay_days=DELAY_DAYS,
             description="Customer's energy price over the province's energy cost with toll, minus 1."),
    _feature(name="province_churn_90d", type="float", trending=True, unit="share", window_days=90,
             source=("churn_events", "customers"),
             description="Share of the province's customers known to have left within 90 days; null in small ones."),
)  # fmt: skip


def build(context: Context) -> ir.Table:
    """Features of the province's costs and of its known departures."""
    who = context.attributes.select("customer_id", "as_of", "province_code", "is_high_competition_province")
    joined = (
        who.left_join(_costs(context), ["as_of", "province_code"]).drop("as_of_right", "province_code_right")
        .left_join(_departures(context), ["as_of", "province_code"]).drop("as_of_right", "province_code_right")
        .left_join(energy_price(context), ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
    )  # fmt: skip
    cost = ibis.ifelse(joined.market_elec_cost_eur_kwh > 0, joined.market_elec_cost_eur_kwh, ibis.null("float64"))
    return joined.mutate(
        is_high_competition=joined.is_high_competition_province,
        price_over_cost=joined.price_energy_eur_kwh / cost - 1,
    ).select("customer_id", "as_of", *(feature.name for feature in FEATURES))


def _costs(context: Context) -> ir.Table:
    costs = context.costs
    rows = costs.mutate(elec=costs.elec_var_cost_eur_kwh + costs.peaje_elec_eur_kwh)
    newest = ibis.window(group_by=["as_of", "province_code"])
    rows = rows.mutate(back=days_between(rows.month.max().over(newest), rows.month))
    table = rows.group_by("as_of", "province_code").aggregate(
        market_elec_cost_eur_kwh=rows.elec.last(order_by=rows.month),
        market_gas_cost_eur_m3=rows.gas_var_cost_eur_m3.last(order_by=rows.month),
        old_90d=rows.elec.last(where=rows.back >= 89, order_by=rows.month),
        old_365d=rows.elec.last(where=rows.back >= YEAR_DAYS, order_by=rows.month),
    )
    return table.mutate(
        market_elec_cost_change_90d=table.market_elec_cost_eur_kwh / table.old_90d.nullif(0) - 1,
        market_elec_cost_change_365d=table.market_elec_cost_eur_kwh / table.old_365d.nullif(0) - 1,
    ).drop("old_90d", "old_365d")


def _departures(context: Context) -> ir.Table:
    """Known departures of the last 90 days over customers there are and were."""
    left = context.departures
    recent = left.filter(days_between(left.as_of, left.churn_date) < 90)
    customers = context.tables["customers"]
    # The supply point does not move: any version that is visible tells the province.
    located = recent.select("customer_id", "as_of").join(customers, "customer_id")
    located = located.filter((located.known_at <= located.as_of) | located.is_snapshot)
    gone = (
        located.group_by("as_of", "customer_id")
        .aggregate(province_code=located.province_code.max())
        .group_by("as_of", "province_code")
        .aggregate(gone=ibis._.count())
    )
    here = context.attributes.group_by("as_of", "province_code").aggregate(here=ibis._.count())
    joined = here.left_join(gone, ["as_of", "province_code"]).drop("as_of_right", "province_code_right")
    total = joined.here + joined.gone.fill_null(0)
    share = ibis.ifelse(total >= MIN_CUSTOMERS, joined.gone.fill_null(0) / total, ibis.null("float64"))
    return context.engine.materialize(joined.select("as_of", "province_code", province_churn_90d=share))


FAMILY = Family(name="market", build=build, features=FEATURES)
