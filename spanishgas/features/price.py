"""Price: level, rise, and against what like customers pay."""

import ibis
import ibis.expr.types as ir
from ibis import _

from spanishgas.domain.exact import positive
from spanishgas.domain.point_in_time import days_between
from spanishgas.domain.units import YEAR_DAYS
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature

TIERS = ("variable_price_tier1_eur_kwh", "variable_price_tier2_eur_kwh", "variable_price_tier3_eur_kwh")
MIN_PEERS = 5
# A month: shorter would be few customers, longer would mix in yesterday's offers.
NEW_TERM_DAYS = 31
# A change below this is rounding.
NOTICED = 1e-6


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "price", "source": ("prices",), **told})


FEATURES = (
    *(
        _feature(name=f"price_{label}_eur_kwh", type="float", trending=True, unit="EUR/kWh",
                 description=f"Newest known energy price of the {label.replace('_', '-')} period.")
        for label in ("peak", "standard", "off_peak")
    ),
    _feature(name="price_energy_eur_kwh", type="float", trending=True, unit="EUR/kWh",
             description="Mean of the newest known energy prices of the periods that the tariff has."),
    _feature(name="price_fixed_fee_eur_month", type="float", unit="EUR/month", description="Newest known fixed fee."),
    _feature(name="price_gas_eur_m3", type="float", unit="EUR/m3", trending=True,
             description="Newest known gas price."),
    _feature(name="price_age_days", type="int", unit="days", description="Days since the newest price applies."),
    _feature(name="price_rise_90d", type="float", unit="ratio", window_days=90,
             description="Energy price over the one of 90 days ago, minus 1."),
    _feature(name="price_rise_365d", type="float", unit="ratio", window_days=YEAR_DAYS,
             description="Energy price over the one of a year ago, minus 1."),
    _feature(name="price_largest_rise_365d", type="float", unit="ratio", window_days=YEAR_DAYS,
             description="Largest rise from one price to the next within the year."),
    _feature(name="price_changes_365d", type="int", unit="changes", window_days=YEAR_DAYS, fill=0,
             description="Changes of the energy price within the year."),
    _feature(name="price_over_peers", type="float", unit="ratio", monotone=1,
             source=("prices", "customers"),
             description="Energy price over the median of like customers (kind of supply, power, gas), minus 1."),
    _feature(name="price_over_new_terms", type="float", unit="ratio", monotone=1,
             source=("prices", "contracts", "customers"),
             description="Energy price over the median of businesses, or of homes, whose term began within 31 days: "
             "how much dearer than today's offers, minus 1."),
    _feature(name="term_peers_over_new_terms", type="float", unit="ratio", trending=True,
             source=("prices", "contracts", "customers"),
             description="Median energy price of the businesses, or homes, whose term began in the same month over "
             "that of new terms, minus 1: what the market has done since."),
    _feature(name="price_missing_365d", type="int", unit="prices", window_days=YEAR_DAYS, fill=0,
             description="Prices of the year without any energy price."),
)  # fmt: skip


def build(context: Context) -> ir.Table:
    """Features of the prices known at each `as_of`."""
    prices = _with_energy(context)
    rows = prices.mutate(age=days_between(prices.as_of, prices.pricing_date))
    rows = context.engine.carried_forward(rows, ["energy"], within=["customer_id", "as_of"], order="pricing_date")
    before = ibis.window(group_by=["customer_id", "as_of"], order_by="pricing_date")
    rows = rows.mutate(previous=rows.energy_carried.lag().over(before))
    step = rows.energy / positive(rows.previous) - 1
    rows = context.engine.materialize(rows.mutate(step=step))
    order = rows.pricing_date
    year = rows.age < YEAR_DAYS
    table = rows.group_by("customer_id", "as_of").aggregate(
        price_peak_eur_kwh=rows[TIERS[0]].last(order_by=order),
        price_standard_eur_kwh=rows[TIERS[1]].last(order_by=order),
        price_off_peak_eur_kwh=rows[TIERS[2]].last(order_by=order),
        price_energy_eur_kwh=rows.energy.last(order_by=order),
        price_fixed_fee_eur_month=rows.elec_fixed_fee_eur_month.last(order_by=order),
        price_gas_eur_m3=rows.gas_variable_price_eur_m3.last(order_by=order),
        price_age_days=rows.age.min(),
        old_90d=rows.energy.last(where=rows.age >= 90, order_by=order),
        old_365d=rows.energy.last(where=rows.age >= YEAR_DAYS, order_by=order),
        price_largest_rise_365d=rows.step.max(where=year),
        price_changes_365d=(rows.step.abs() > NOTICED).sum(where=year),
        price_missing_365d=rows.energy.isnull().sum(where=year),
    )
    table = context.engine.materialize(table)
    with_peers = table.join(context.peers.select("customer_id", "as_of", "peer_group"), ["customer_id", "as_of"])
    group = with_peers.group_by("as_of", "peer_group").aggregate(
        peers=with_peers.price_energy_eur_kwh.count(), median=with_peers.price_energy_eur_kwh.median()
    )
    joined = with_peers.join(group, ["as_of", "peer_group"])
    for level in (_new_terms(context, table), _same_terms(context, table)):
        joined = joined.left_join(level, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
    enough = ibis.ifelse(joined.peers >= MIN_PEERS, joined["median"], ibis.null("float64"))
    return joined.mutate(
        price_rise_90d=joined.price_energy_eur_kwh / positive(joined.old_90d) - 1,
        price_rise_365d=joined.price_energy_eur_kwh / positive(joined.old_365d) - 1,
        price_over_peers=joined.price_energy_eur_kwh / positive(enough) - 1,
        price_over_new_terms=joined.price_energy_eur_kwh / positive(joined.offered) - 1,
        term_peers_over_new_terms=joined.same_terms / positive(joined.offered) - 1,
    ).select("customer_id", "as_of", *(feature.name for feature in FEATURES))


def energy_price(context: Context) -> ir.Table:
    """Feature ``price_energy_eur_kwh`` of everybody who has a price: the one that applies at `as_of`."""
    rows = _with_energy(context)
    last = rows.energy.last(order_by=rows.pricing_date)
    return rows.group_by("customer_id", "as_of").aggregate(price_energy_eur_kwh=last)


def _with_energy(context: Context) -> ir.Table:
    """Prices with the mean of a row's energy prices; a price of zero says that the tariff has no such period."""
    prices = context.prices
    return prices.mutate(energy=_mean_of_known([positive(prices[name]) for name in TIERS]))


def _same_terms(context: Context, prices: ir.Table) -> ir.Table:
    """What like customers whose term began in the same month pay: ``customer_id``, ``as_of``, ``same_terms``."""
    term = context.term
    began = term.select("customer_id", "as_of", began=term.contract_start_date.truncate("M"))
    whose = _kinds(context).join(began, ["customer_id", "as_of"])
    group = ["as_of", "is_business", "began"]
    same = prices.join(whose, ["customer_id", "as_of"]).group_by(*group)
    level = same.aggregate(count=_.price_energy_eur_kwh.count(), middle=_.price_energy_eur_kwh.median())
    joined = whose.join(level.filter(level["count"] >= MIN_PEERS), group)
    return joined.select("customer_id", "as_of", same_terms=joined.middle)


def _kinds(context: Context) -> ir.Table:
    who = context.attributes
    return who.select("customer_id", "as_of", is_business=who.is_industrial.fill_null(False))


def _new_terms(context: Context, prices: ir.Table) -> ir.Table:
    """What like customers whose term has just begun pay: ``customer_id``, ``as_of``, ``offered``."""
    kinds = _kinds(context)
    term = context.term
    fresh = term.filter(days_between(term.as_of, term.contract_start_date) < NEW_TERM_DAYS)
    new = prices.semi_join(fresh, ["customer_id", "as_of"]).join(kinds, ["customer_id", "as_of"])
    level = new.group_by("as_of", "is_business").aggregate(
        count=new.price_energy_eur_kwh.count(), middle=new.price_energy_eur_kwh.median()
    )
    known = level.filter(level["count"] >= MIN_PEERS)
    joined = kinds.join(known, ["as_of", "is_business"])
    return joined.select("customer_id", "as_of", offered=joined.middle)


def _mean_of_known(values: list[ir.NumericValue]) -> ir.NumericValue:
    total = sum((value.fill_null(0.0) for value in values), ibis.literal(0.0))
    count = sum((value.notnull().cast("int64") for value in values), ibis.literal(0))
    return total / count.nullif(0)


FAMILY = Family(name="price", build=build, features=FEATURES)
