"""What every feature family starts from: who is in the table at each `as_of`, and the rows that hold at it.

Everything here goes through ``point_in_time``; a family that takes its rows from here cannot see the future.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import ibis
import ibis.expr.types as ir

from spanishgas.config import ExtraColumn, FeatureSettings
from spanishgas.contracts.sources import CUSTOMER_ATTRIBUTES
from spanishgas.domain.exact import exact_sum, from_steps
from spanishgas.domain.point_in_time import days_between, visible_at, with_visibility
from spanishgas.domain.units import YEAR_DAYS
from spanishgas.engine.session import Engine
from spanishgas.features.spans import sum_by_span

STATIC = tuple(column.name for column in CUSTOMER_ATTRIBUTES.columns if column.static)
MUTABLE = tuple(
    column.name
    for column in CUSTOMER_ATTRIBUTES.columns
    if not column.static and column.name not in ("customer_id", "recorded_at")
)
POWER_BANDS_KW = (4.6, 10.0, 15.0)


@dataclass
class Context:
    """Inputs of the families, computed once for all dates.

    Attributes:
        engine: The engine.
        tables: Silver tables by name.
        days: The `as_of` dates.
        settings: Feature settings.
        extras: Attributes beyond the contracts, by name.
        present: Silver tables that have rows.
    """

    engine: Engine
    tables: Mapping[str, ir.Table]
    days: Sequence[date]
    settings: FeatureSettings
    extras: Mapping[str, ExtraColumn]
    present: frozenset[str]

    @cached_property
    def dates(self) -> ir.Table:
        """One row per `as_of`."""
        return self.engine.materialize(ibis.memtable({"as_of": list(self.days)}, schema={"as_of": "date"}))

    @cached_property
    def terms(self) -> ir.Table:
        """Contract terms that have begun and are known, per `as_of`."""
        contracts = with_visibility(
            self.tables["contracts"], event="contract_start_date", key=("customer_id", "contract_start_date")
        )
        return self.engine.materialize(visible_at(self.dates, contracts))

    @cached_property
    def term(self) -> ir.Table:
        """The current term of every customer, with the number of terms so far."""
        terms = self.terms
        latest = ibis.window(group_by=["as_of", "customer_id"], order_by=terms.contract_start_date.desc())
        whole = ibis.window(group_by=["as_of", "customer_id"])
        ranked = terms.mutate(
            place=ibis.row_number().over(latest),
            terms=terms.count().over(whole),
            activation=ibis.coalesce(terms.customer_first_activation_date, terms.contract_start_date).min().over(whole),
        )
        return self.engine.materialize(ranked.filter(ranked.place == 0).drop("place"))

    @cached_property
    def departures(self) -> ir.Table:
        """Customers whose leaving has happened and is known, per `as_of`: the last version of their label decides."""
        events = with_visibility(self.tables["churn_events"], event=None, key=("customer_id",))
        known = visible_at(self.dates, events)
        return known.filter(known.churn & (known.churn_date.isnull() | (known.churn_date <= known.as_of)))

    @cached_property
    def population(self) -> ir.Table:
        """Customers known to be active: supplied since a known contract began, and not known to have left.

        A snapshot without churn dates cannot say who had left: everybody in it counts as active.
        """
        term = self.term
        begun = term.filter(term.activation <= term.as_of)
        dated = self.departures.filter(self.departures.churn_date.notnull())
        active = begun.anti_join(dated, ["as_of", "customer_id"])
        return self.engine.materialize(active.select("customer_id", "as_of"))

    @cached_property
    def attributes(self) -> ir.Table:
        """Attributes of the population; mutable ones of an undated source are null before its extraction."""
        customers = self.tables["customers"]
        joined = self.population.join(customers, "customer_id")
        known = joined.known_at <= joined.as_of
        usable = joined.filter(known | joined.is_snapshot)
        known = usable.known_at <= usable.as_of
        # The last version known; failing that, the snapshot that comes first.
        order = [known.desc(), ibis.ifelse(known, days_between(usable.as_of, usable.known_at), 0), usable.known_at]
        ranked = usable.mutate(
            place=ibis.row_number().over(group_by=[usable.as_of, usable.customer_id], order_by=order),
            **{name: ibis.ifelse(known, usable[name], ibis.null(usable[name].type())) for name in MUTABLE},
        )
        found = ranked.filter(ranked.place == 0).select("customer_id", "as_of", *STATIC, *MUTABLE)
        everybody = self.population.left_join(found, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
        return self.engine.materialize(everybody)

    @cached_property
    def spans(self) -> ir.Table:
        """Days of consumption, summed by span."""
        return sum_by_span(self.engine, self.tables["consumption_daily"], self.days, self.settings.margin_months)

    def spans_within(self, length: int) -> ir.Table:
        """The population's spans of the days of a window that ends at `as_of`, as known then."""
        population, spans = self.population, self.spans
        return population.join(
            spans,
            [
                population.customer_id == spans.customer_id,
                spans.known_from <= population.as_of,
                spans.known_until > population.as_of,
                spans.begin > population.as_of - ibis.interval(days=length),
            ],
            rname="{name}_right",
        )

    @cached_property
    def periods(self) -> ir.Table:
        """Metered periods that have ended and are known, per `as_of`."""
        rows = with_visibility(
            self.tables["consumption_periods"],
            event="period_end",
            key=("customer_id", "period_start", "period_end"),
        )
        return self.engine.materialize(visible_at(self.dates, rows))

    @cached_property
    def gas(self) -> ir.Table:
        """Whether a customer has gas: some was used in the last 365 days; null where nothing was metered."""
        population = self.population
        seen = self.spans_within(YEAR_DAYS)
        by_span = seen.group_by("customer_id", "as_of").aggregate(m3=from_steps(seen.gas_m3_steps.sum()))
        periods = self.periods.semi_join(population, ["customer_id", "as_of"])
        recent = periods.filter(days_between(periods.as_of, periods.period_end) < YEAR_DAYS)
        by_period = recent.group_by("customer_id", "as_of").aggregate(m3=exact_sum(recent.consumption_gas_m3))
        both = by_span.union(by_period)
        total = both.group_by("customer_id", "as_of").aggregate(m3=both.m3.sum())
        joined = population.left_join(total, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
        return self.engine.materialize(joined.select("customer_id", "as_of", has_gas=joined.m3 > 0))

    @cached_property
    def prices(self) -> ir.Table:
        """Prices that apply already and are known, per `as_of`, newest `pricing_date` last."""
        rows = with_visibility(self.tables["prices"], event="pricing_date", key=("customer_id", "pricing_date"))
        found = visible_at(self.dates, rows)
        return self.engine.materialize(found.semi_join(self.population, ["customer_id", "as_of"]))

    @cached_property
    def costs(self) -> ir.Table:
        """Costs that are known, per `as_of`."""
        rows = with_visibility(self.tables["costs"], event="month", key=("province_code", "month"))
        return self.engine.materialize(visible_at(self.dates, rows))

    @cached_property
    def peers(self) -> ir.Table:
        """A group of like customers for everyone: business, second home or home, by power band and gas."""
        table = self.attributes.join(self.gas, ["customer_id", "as_of"])
        kind = ibis.cases(
            (table.is_industrial.fill_null(False), "business"),
            (table.is_second_residence.fill_null(False), "second_home"),
            else_="home",
        )
        first, second, third = POWER_BANDS_KW
        power = table.contracted_power_kw
        band = ibis.cases(
            (power.isnull(), "unknown"),
            (power <= first, "small"),
            (power <= second, "medium"),
            (power <= third, "large"),
            else_="above_20td",
        )
        gas = ibis.cases((table.has_gas, "gas"), else_="no_gas")
        return self.engine.materialize(
            table.select("customer_id", "as_of", "province_code", peer_group=kind + "/" + band + "/" + gas)
        )

    @cached_property
    def margin(self) -> ir.Table:
        """Margin per customer and month, as known at each `as_of`."""
        from spanishgas.features.month_margin import month_margin

        return self.engine.materialize(month_margin(self))

    def has(self, source: str) -> bool:
        """Whether a silver table, or one of several written as ``a|b``, has rows."""
        return any(name in self.present for name in source.split("|"))
