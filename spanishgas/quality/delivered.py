"""Facts about a delivery's tables: whom they tell of, up to when, and how much of what was expected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import QualitySettings
from spanishgas.contracts import Contract
from spanishgas.domain.delivered import DeliveredRows
from spanishgas.domain.units import GAS_KWH_PER_M3, HOURS_PER_DAY
from spanishgas.engine.session import Engine
from spanishgas.quality.figures import COLUMNS, NO_FIGURES, PRESENT_SHARE, changes, levels, monthly_figures
from spanishgas.quality.tables import TableFacts

CUSTOMERS, TERMS, CHURN = "customer_attributes", "customer_contracts", "churn_label"
COSTS, HOURLY, PERIODS = "costs_by_province_month", "consumption_hourly", "consumption_periods"
# Expected of customers only once they have been there for a while: they are billed and read afterwards.
LATER = ("price_history", HOURLY, PERIODS)


@dataclass(frozen=True)
class Last:
    """The delivery before, as far as it is remembered.

    Attributes:
        run_date: Its run date.
        figures: Its figures, see ``monthly_figures``; one figure ``present_share`` per source among them.
    """

    run_date: str
    figures: pd.DataFrame


def table_facts(
    engine: Engine,
    tables: Mapping[str, ir.Table],
    contracts: Mapping[str, Contract],
    read: Mapping[str, DeliveredRows],
    extracted_on: date,
    last: Last | None,
    settings: QualitySettings,
) -> tuple[list[TableFacts], pd.DataFrame]:
    """Facts for the gates, and the figures that the next delivery is held against.

    Args:
        engine: The engine.
        tables: Source -> its silver table.
        contracts: Source -> contract of that table.
        read: What became of the rows, for the sources that the data set has.
        extracted_on: Day of the extraction.
        last: The delivery before, or None for the first.
        settings: Limits; they decide which events lie ahead and who is expected.

    Returns:
        One entry per source in ``read``; the figures in the columns source, month, figure, value.
    """
    people = _People(engine, tables, read, extracted_on, settings)
    level_of = levels(engine, tables)
    facts: list[TableFacts] = []
    kept: list[pd.DataFrame] = []
    for source, rows in read.items():
        table = tables[source]
        figures = monthly_figures(engine, source, contracts[source], table)
        one = TableFacts(
            source=source,
            extracted_on=extracted_on,
            rows=rows.rows,
            quarantined=rows.quarantined,
            kwh=_energy(engine, source, table),
            quarantined_kwh=rows.quarantined_kwh,
            unusable=rows.unusable,
            levels=level_of.get(source, {}),
        )
        one = people.counted(_events(engine, contracts[source], table, one, settings))
        one = _hours(engine, table, one) if source == HOURLY else one
        facts.append(one if last is None else _against(last, figures, one, settings))
        kept.append(figures)
        if one.expected:
            share = one.present / one.expected
            kept.append(pd.DataFrame([(source, "", PRESENT_SHARE, share)], columns=list(COLUMNS)))
    told = pd.concat(kept, ignore_index=True) if kept else NO_FIGURES
    return facts, told.sort_values(list(COLUMNS[:3]), ignore_index=True)


def _against(last: Last, figures: pd.DataFrame, facts: TableFacts, settings: QualitySettings) -> TableFacts:
    before = last.figures[last.figures["source"] == facts.source]
    if before.empty:
        return facts
    share = before.loc[before["figure"] == PRESENT_SHARE, "value"]
    settled = date.fromisoformat(last.run_date) - timedelta(days=settings.settled_days)
    return replace(
        facts,
        last_date=last.run_date,
        last_share=float(share.iloc[0]) if len(share) else None,
        changes=changes(figures, before, settled),
    )


def _events(
    engine: Engine, contract: Contract, table: ir.Table, facts: TableFacts, settings: QualitySettings
) -> TableFacts:
    if contract.event_time is None:
        return facts
    latest = facts.extracted_on + timedelta(days=settings.ahead_days.get(facts.source, 0))
    day = table[contract.event_time].cast("date")
    inside = day.max(where=day <= latest).cast("string")
    found = engine.frame(
        table.aggregate(dated=day.count(), ahead=(day > latest).sum().fill_null(0), newest=inside)
    ).iloc[0]
    newest = found["newest"]
    return replace(
        facts,
        dated=int(found["dated"]),
        ahead=int(found["ahead"]),
        newest=date.fromisoformat(str(newest)[:10]) if isinstance(newest, str) else None,
    )


def _energy(engine: Engine, source: str, table: ir.Table) -> float | None:
    if source == HOURLY:
        kwh = table.elec_p1_kwh + table.elec_p2_kwh + table.elec_p3_kwh + table.gas_kwh
    elif source == PERIODS:
        kwh = table.consumption_elec_kwh.fill_null(0.0) + table.consumption_gas_m3.fill_null(0.0) * GAS_KWH_PER_M3
    else:
        return None
    return float(engine.frame(table.aggregate(kwh=kwh.sum().fill_null(0.0)))["kwh"].iloc[0])


def _hours(engine: Engine, daily: ir.Table, facts: TableFacts) -> TableFacts:
    """Hours with a reading, and those from each customer's first day to the last; of versions the fullest counts."""
    days = daily.group_by("customer_id", "day").aggregate(seen=daily.hours_seen.max())
    last = days.day.max().delta(days.day.min(), unit="day")
    span = days.group_by("customer_id").aggregate(seen=days.seen.sum(), days=last + 1)
    found = engine.frame(span.aggregate(seen=span.seen.sum().fill_null(0), days=span.days.sum().fill_null(0))).iloc[0]
    return replace(facts, intervals=int(found["seen"]), intervals_expected=int(found["days"]) * HOURS_PER_DAY)


class _People:
    """Who is there, and who of them has a row."""

    def __init__(
        self,
        engine: Engine,
        tables: Mapping[str, ir.Table],
        read: Mapping[str, DeliveredRows],
        extracted_on: date,
        settings: QualitySettings,
    ) -> None:
        self._engine, self._tables, self._read = engine, tables, read
        self._ids = tables[CUSTOMERS].select("customer_id").distinct()
        churn, terms = tables[CHURN], tables[TERMS]
        gone = churn.filter(churn.churn & (churn.churn_date.isnull() | (churn.churn_date <= extracted_on)))
        self._there = engine.materialize(self._ids.anti_join(gone, "customer_id"))
        since = terms.group_by("customer_id").aggregate(since=terms.customer_first_activation_date.min())
        fresh = since.filter(since.since > extracted_on - timedelta(days=settings.settled_days))
        self._settled = engine.materialize(self._there.anti_join(fresh, "customer_id"))

    def counted(self, facts: TableFacts) -> TableFacts:
        """Facts with who ought to have a row, who has one, and who has one without being known."""
        source, table = facts.source, self._tables[facts.source]
        if CUSTOMERS not in self._read or source == CUSTOMERS:
            return facts
        if source == COSTS:
            return self._with_costs(facts)
        named = table.select("customer_id").distinct()
        having = named
        if source in (HOURLY, PERIODS):  # some are read by the hour, others over periods
            having = self._tables[HOURLY].select("customer_id").union(self._tables[PERIODS].select("customer_id"))
        expected = self._ids if source == CHURN else self._settled if source in LATER else self._there
        return replace(
            facts,
            expected=self._count(expected),
            present=self._count(expected.semi_join(having, "customer_id")),
            named=self._count(named),
            strangers=self._count(named.anti_join(self._ids, "customer_id")),
        )

    def _with_costs(self, facts: TableFacts) -> TableFacts:
        """Customers with a known province, and those whose province has costs in the newest month of all."""
        customers, costs = self._tables[CUSTOMERS], self._tables[COSTS]
        placed = customers.filter(customers.province_code.notnull()).semi_join(self._there, "customer_id")
        newest = costs.filter(costs.month == costs.month.max())
        priced = placed.semi_join(newest, "province_code")
        expected, present = (self._count(one.select("customer_id").distinct()) for one in (placed, priced))
        return replace(facts, expected=expected, present=present)

    def _count(self, rows: ir.Table) -> int:
        return self._engine.integer(rows.count())
