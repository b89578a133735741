"""Facts about a delivery's tables: whom they tell of, up to when, and how much of what was expected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from spanishgas.config import QualitySettings
from spanishgas.contracts import Contract
from spanishgas.domain.delivered import DeliveredRows
from spanishgas.domain.units import GAS_KWH_PER_M3, HOURS_PER_DAY, MONTHS_PER_YEAR
from spanishgas.engine.session import Engine
from spanishgas.quality.figures import COLUMNS, NO_FIGURES, PRESENT_SHARE, changes, levels, monthly_figures
from spanishgas.quality.tables import TableFacts

CUSTOMERS, TERMS, CHURN = "customer_attributes", "customer_contracts", "churn_label"
COSTS, HOURLY, PERIODS = "costs_by_province_month", "consumption_hourly", "consumption_periods"
# Expected of customers only once they have been there for a while: they are billed and read afterwards.
LATER = ("price_history", HOURLY, PERIODS)
# Sources that tell every month of each of their keys.
MONTHLY = {"price_history": ("customer_id", "pricing_date"), COSTS: ("province_code", "month")}
SECONDS_PER_DAY = 86_400
GROUPS = ("known", "there", "settled")


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
        one = _intervals(engine, table, one)
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


def _intervals(engine: Engine, table: ir.Table, facts: TableFacts) -> TableFacts:
    """What a source tells of regularly: how much is there, and how much between the first of each key and the last."""
    if facts.source == HOURLY:  # of several versions of a day the fullest counts
        steps = table.group_by("customer_id", "day").aggregate(seen=table.hours_seen.max())
        key, per_step = "customer_id", HOURS_PER_DAY
        place = steps.day.cast("timestamp").epoch_seconds() / SECONDS_PER_DAY
    elif facts.source in MONTHLY:
        key, column = MONTHLY[facts.source]
        month = table[column].year() * MONTHS_PER_YEAR + table[column].month()
        steps = table.select(table[key], place=month, seen=ibis.literal(1)).distinct()
        place, per_step = steps.place, 1
    else:
        return facts
    spans = steps.group_by(key).aggregate(seen=steps.seen.sum(), steps=place.max() - place.min() + 1)
    totals = spans.aggregate(seen=spans.seen.sum().fill_null(0), steps=spans.steps.sum().fill_null(0))
    found = engine.frame(totals).iloc[0]
    return replace(facts, intervals=int(found["seen"]), intervals_expected=round(found["steps"]) * per_step)


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
        churn, terms = tables[CHURN], tables[TERMS]
        ids = tables[CUSTOMERS].select("customer_id").distinct()
        left = churn.filter(churn.churn & (churn.churn_date.isnull() | (churn.churn_date <= extracted_on)))
        gone = left.group_by("customer_id").aggregate(gone=ibis.literal(True))
        since = terms.group_by("customer_id").aggregate(since=terms.customer_first_activation_date.min())
        one = ids.left_join(gone, "customer_id").drop("customer_id_right")
        one = one.left_join(since, "customer_id").drop("customer_id_right")
        there = one.gone.isnull()
        fresh = (one.since > extracted_on - timedelta(days=settings.settled_days)).fill_null(False)
        self._known = engine.materialize(
            one.select(
                one.customer_id, known=ibis.literal(1), there=there.cast("int8"), settled=(there & ~fresh).cast("int8")
            )
        )
        totals = self._known.aggregate(**{name: self._known[name].sum().fill_null(0) for name in GROUPS})
        self._totals = engine.frame(totals).iloc[0]

    def counted(self, facts: TableFacts) -> TableFacts:
        """Facts with who ought to have a row, who has one, and who has one without being known."""
        source, table = facts.source, self._tables[facts.source]
        if CUSTOMERS not in self._read or source == CUSTOMERS:
            return facts
        if source == COSTS:
            return self._with_costs(facts)
        group = "known" if source == CHURN else "settled" if source in LATER else "there"
        having = self._having(table)
        # Some are read by the hour, others over periods.
        both = {HOURLY, PERIODS}
        if source in both and both <= self._read.keys():
            either = self._tables[HOURLY].select("customer_id").union(self._tables[PERIODS].select("customer_id"))
            having = self._having(either).assign(named=having["named"], strangers=having["strangers"])
        return replace(
            facts,
            expected=int(self._totals[group]),
            present=int(having[group].iloc[0]),
            named=int(having["named"].iloc[0]),
            strangers=int(having["strangers"].iloc[0]),
        )

    def _having(self, table: ir.Table) -> pd.DataFrame:
        """Customers that a table names: all, those without attributes, and those of each group."""
        named = table.select("customer_id").distinct().left_join(self._known, "customer_id")
        return self._engine.frame(
            named.aggregate(
                named=named.count(),
                strangers=named.known.isnull().sum().fill_null(0),
                **{name: named[name].sum().fill_null(0) for name in GROUPS},
            )
        )

    def _with_costs(self, facts: TableFacts) -> TableFacts:
        """Customers with a known province, and those whose province has costs in the newest month of all."""
        customers, costs = self._tables[CUSTOMERS], self._tables[COSTS]
        there = self._known.filter(self._known.there == 1)
        placed = customers.filter(customers.province_code.notnull()).semi_join(there, "customer_id")
        newest = costs.filter(costs.month == costs.month.max()).select("province_code").distinct()
        one = placed.left_join(newest.mutate(priced=ibis.literal(True)), "province_code")
        counted = one.aggregate(
            expected=one.customer_id.nunique(), present=one.customer_id.nunique(where=one.priced.notnull())
        )
        found = self._engine.frame(counted).iloc[0]
        return replace(facts, expected=int(found["expected"]), present=int(found["present"]))
