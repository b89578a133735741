"""What only several tables together can tell."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from spanishgas.domain.tariff import MAX_20TD_KW, ZONE_OF_PROVINCE
from spanishgas.engine.session import Engine
from spanishgas.silver.quality import Finding

# Silver table -> the source that names customers; of those in ``EVERYBODYS`` each should have a row.
NAMING = {
    "contracts": "customer_contracts",
    "prices": "price_history",
    "interactions": "customer_interactions",
    "churn_events": "churn_label",
    "retention_offers": "retention_offers",
    "consumption_periods": "consumption_periods",
    "consumption_daily": "consumption_hourly",
}
EVERYBODYS = ("customer_contracts", "price_history")
DATED = {
    "contracts": "contract_start_date",
    "prices": "pricing_date",
    "interactions": "date",
    "consumption_daily": "day",
    "consumption_periods": "period_end",
    "churn_events": "churn_date",
    "retention_offers": "offer_date",
}

# What features look back on: without either, a month knows too little of its customers to be learned from.
LOOKED_BACK_ON = {"prices": "pricing_date", "consumption_daily": "day"}


def supply_zones(engine: Engine, customers: ir.Table) -> ir.Table | None:
    """Customers outside the mainland's tariff zone (``customer_id``, ``zone``), or None where there are none."""
    zones = ibis.cases(
        *((customers.province_code == code, zone) for code, zone in ZONE_OF_PROVINCE.items()), else_=ibis.null("string")
    )
    found = customers.mutate(zone=zones)
    # The supply point does not move: the last version that names a province holds for all days.
    latest = (
        found.filter(found.zone.notnull())
        .group_by("customer_id")
        .aggregate(zone=found.zone.last(order_by=found.known_at))
    )
    table = engine.materialize(latest)
    return table if engine.integer(table.count()) else None


def relations(engine: Engine, tables: Mapping[str, ir.Table]) -> list[Finding]:
    """Rows that point at nothing, and supplies that the three tariff periods only approximate."""
    customers = tables["customers"]
    ids = customers.select("customer_id").distinct()
    total = engine.integer(ids.count())
    large = customers.filter(customers.contracted_power_kw > MAX_20TD_KW).select("customer_id").distinct()
    found = [
        Finding("customer_attributes", "supply_above_15_kw", total, engine.integer(large.count()),
                "3.0TD: its six periods are approximated by three"),
    ]  # fmt: skip
    counted = engine.frame(_named(tables, ids)).sort_values("source")
    for source, named, strangers in zip(counted["source"], counted["named"], counted["strangers"], strict=True):
        if source in EVERYBODYS:
            lacking = total - (int(named) - int(strangers))
            found.append(Finding(source, "customer_without_row", total, lacking, "features from it are null"))
        found.append(Finding(source, "row_without_customer", int(named), int(strangers), "kept; attributes are null"))
    placed = customers.filter(customers.province_code.notnull()).select("province_code").distinct()
    provinces = tables["costs"].select("province_code").distinct()
    found.append(
        Finding(
            "costs_by_province_month",
            "province_without_cost",
            engine.integer(placed.count()),
            engine.integer(placed.anti_join(provinces, "province_code").count()),
            "margins of its customers are null",
        )
    )
    return found


def latest_event(engine: Engine, tables: Mapping[str, ir.Table]) -> str:
    """The latest day that any dated table tells of, as ISO text; empty without dated rows."""
    latest = [
        engine.frame(tables[name].aggregate(day=tables[name][column].max().cast("string")))["day"].iloc[0]
        for name, column in DATED.items()
    ]
    return max((str(day)[:10] for day in latest if isinstance(day, str)), default="")


def history_from(engine: Engine, tables: Mapping[str, ir.Table]) -> str:
    """The first day from which prices and readings are both there, as ISO text; of one alone where that is all."""
    first = [
        engine.frame(tables[name].aggregate(day=tables[name][column].min().cast("string")))["day"].iloc[0]
        for name, column in LOOKED_BACK_ON.items()
    ]
    return max((str(day)[:10] for day in first if isinstance(day, str)), default="")


def _named(tables: Mapping[str, ir.Table], ids: ir.Table) -> ir.Table:
    """Customers that each source names, and how many of them the attributes do not know, in one query."""
    parts = []
    for table, source in NAMING.items():
        if table in tables:
            named = tables[table].filter(tables[table].customer_id.notnull()).select("customer_id").distinct()
            known = named.left_join(ids, "customer_id")
            counted = known.aggregate(named=known.count(), strangers=known.customer_id_right.isnull().sum())
            parts.append(counted.fill_null({"strangers": 0}).mutate(source=ibis.literal(source)))
    return ibis.union(*parts)
