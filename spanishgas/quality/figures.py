"""Figures of a delivery by source and month: of nobody in particular, and what the next delivery is held against.

Sums are taken over whole millionths of the unit, so equal rows give equal figures.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import reduce
from operator import add

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.contracts import Contract
from spanishgas.domain.exact import exact_sum
from spanishgas.engine.session import Engine

COLUMNS = ("source", "month", "figure", "value")
NO_FIGURES = pd.DataFrame(columns=list(COLUMNS)).astype({"value": "float64"})
ROWS = "rows"
DAY = "day"
ENERGIES = ("elec_p1_kwh", "elec_p2_kwh", "elec_p3_kwh", "gas_kwh")
PRESENT_SHARE = "present_share"
# Columns of a table that say nothing of what the source told.
NOT_TOLD = ("customer_id", "known_at", "is_snapshot")
# A figure below so much of its unit has no relative change worth telling.
LEAST = 1.0


def monthly_figures(engine: Engine, source: str, contract: Contract, table: ir.Table) -> pd.DataFrame:
    """What a table says, month by month of its events.

    Args:
        engine: The engine.
        source: Name of the source that the table was made from.
        contract: The table's contract.
        table: Its rows.

    Returns:
        Columns source, month (``YYYY-MM``, empty where there is no event), figure (``rows``, ``<column>`` for a sum,
        ``<column>.told`` for values that are there, ``<column>=<value>`` for rows with a value, ``day=<day>`` for rows
        of a day of the month, ``kwh.day=<day>`` for its energy), value.
    """
    month, frames = ibis.literal(""), []
    if contract.event_time is not None:
        month = table[contract.event_time].strftime("%Y-%m").fill_null("")
        frames.append(_by_day(engine, contract.event_time, table))
    wanted: dict[str, ir.Scalar] = {ROWS: table.count()}
    coded: list[str] = []
    for column in contract.columns:
        if column.name in (*NOT_TOLD, contract.event_time):
            continue
        value = table[column.name]
        if column.domain is not None:
            coded.append(column.name)
        elif column.type == "bool":
            wanted[column.name] = value.fill_null(False).sum()
        elif column.type in ("float", "int"):
            wanted[column.name] = exact_sum(value.cast("float64")).fill_null(0.0)
        if column.nullable:
            wanted[f"{column.name}.told"] = value.count()
    grouped = table.group_by(month=month).aggregate(**{name: value.cast("float64") for name, value in wanted.items()})
    frames.append(engine.frame(grouped).melt(id_vars="month", var_name="figure"))
    for name in coded:
        counted = table.group_by(month=month, code=table[name].fill_null("")).aggregate(value=table.count())
        found = engine.frame(counted)
        frames.append(found.assign(figure=f"{name}=" + found["code"]).drop(columns="code"))
    figures = pd.concat(frames, ignore_index=True).assign(source=source)
    return figures.astype({"value": "float64"})[list(COLUMNS)]


def _by_day(engine: Engine, event: str, table: ir.Table) -> pd.DataFrame:
    """Rows, and energy where there is any, by day: a clock that is a day off moves no sum of a month."""
    dated = table.filter(table[event].notnull())
    wanted: dict[str, ir.Scalar] = {DAY: dated.count().cast("float64")}
    if set(ENERGIES) <= set(table.columns):
        wanted[f"kwh.{DAY}"] = exact_sum(reduce(add, (dated[name] for name in ENERGIES))).fill_null(0.0)
    days = dated.group_by(month=dated[event].strftime("%Y-%m"), day_of_month=dated[event].strftime("%d"))
    long = engine.frame(days.aggregate(**wanted)).melt(id_vars=["month", "day_of_month"], var_name="figure")
    return long.assign(figure=long["figure"] + "=" + long["day_of_month"]).drop(columns="day_of_month")


def changes(now: pd.DataFrame, last: pd.DataFrame, settled_until: date) -> dict[str, float]:
    """How far figures of one source differ from those of its last delivery.

    Months that both deliveries know and that were settled are compared as they stand, months that are gone count as
    emptied where earlier ones are there, or where none that was settled is left. What has no month is compared per row,
    for there may be more of it by now.

    Args:
        now: Figures of the delivery.
        last: Those of the last one.
        settled_until: Last day of which the last delivery was settled.

    Returns:
        Figure -> sum of the absolute differences, relative to the last delivery's sum.
    """
    before, after = _wide(last), _wide(now)
    newest = (settled_until.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    first = min((month for month in after.index if month), default="")
    # A history that begins later was archived; one of which nothing settled is left was moved or lost.
    first = first if first <= newest else ""
    months = [month for month in before.index if month and first <= month <= newest]
    dated = _differences(before.loc[months], after.reindex(months))
    undated = [""] if "" in before.index and "" in after.index else []
    per_row = _differences(_per_row(before.loc[undated]), _per_row(after.loc[undated]), least=0.01)
    return {name: max(dated.get(name, 0.0), per_row.get(name, 0.0)) for name in {**dated, **per_row}}


def _wide(figures: pd.DataFrame) -> pd.DataFrame:
    kept = figures[figures["figure"] != PRESENT_SHARE]
    return kept.pivot_table(index="month", columns="figure", values="value", aggfunc="sum").fillna(0.0)


def _per_row(wide: pd.DataFrame) -> pd.DataFrame:
    return wide.div(wide[ROWS].where(wide[ROWS] > 0), axis=0) if len(wide) else wide


def _differences(before: pd.DataFrame, after: pd.DataFrame, least: float = LEAST) -> dict[str, float]:
    if before.empty:
        return {}
    columns = before.columns.union(after.columns)
    before, after = (frame.reindex(columns=columns).fillna(0.0) for frame in (before, after))
    # The codes of one column are one figure.
    stems = columns.str.partition("=").get_level_values(0)
    moved = (after - before).abs().sum().groupby(stems).sum()
    level = before.abs().sum().groupby(stems).sum()
    return {str(name): float(moved[name] / max(level[name], least)) for name in moved.index}


def levels(engine: Engine, tables: Mapping[str, ir.Table]) -> dict[str, dict[str, float]]:
    """Levels of a whole delivery, by source; a table without rows has none.

    Args:
        engine: The engine.
        tables: Source -> its silver table.
    """
    customers, daily = tables["customer_attributes"], tables["consumption_hourly"]
    prices, costs = tables["price_history"], tables["costs_by_province_month"]
    energy = daily.elec_p1_kwh + daily.elec_p2_kwh + daily.elec_p3_kwh
    per_day = daily.group_by("customer_id").aggregate(kwh_per_day=energy.mean(), days=daily.count())
    power = customers.group_by("customer_id").aggregate(kw=customers.contracted_power_kw.max())
    loaded = per_day.inner_join(power, "customer_id").filter(power.kw > 0)
    load = loaded.aggregate(load=(loaded.kwh_per_day / (loaded.kw * 24.0)).median())
    tiers = [prices[f"variable_price_tier{tier}_eur_kwh"] for tier in (1, 2, 3)]
    asked: dict[str, dict[str, ir.Table]] = {
        "customer_attributes": {
            "median_contracted_power_kw": customers.aggregate(level=customers.contracted_power_kw.median())
        },
        "price_history": {
            # A tariff without a period may say zero for it.
            "median_variable_price_eur_kwh": prices.aggregate(level=ibis.greatest(*tiers).median()),
            "median_gas_variable_price_eur_m3": prices.aggregate(level=prices.gas_variable_price_eur_m3.median()),
        },
        "costs_by_province_month": {
            "median_elec_var_cost_eur_kwh": costs.aggregate(level=costs.elec_var_cost_eur_kwh.median()),
            "median_gas_var_cost_eur_m3": costs.aggregate(level=costs.gas_var_cost_eur_m3.median()),
        },
        "consumption_hourly": {
            "mean_kwh_per_customer_day": per_day.aggregate(
                level=(per_day.kwh_per_day * per_day.days).sum() / per_day.days.sum()
            ),
            "median_load_factor": load.rename(level="load"),
        },
    }
    found: dict[str, dict[str, float]] = {}
    for source, figures in asked.items():
        values = {name: engine.frame(table)["level"].iloc[0] for name, table in figures.items()}
        found[source] = {name: float(value) for name, value in values.items() if pd.notna(value)}
    return found
