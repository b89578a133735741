"""Features and margin the slow way: one customer and one date at a time, in plain loops over silver rows."""

from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Tables = dict[str, list[Row]]
MADRID = ZoneInfo("Europe/Madrid")
TIERS = [f"variable_price_tier{tier}_eur_kwh" for tier in (1, 2, 3)]
OWN = [
    *TIERS,
    "elec_fixed_fee_eur_month",
    "elec_fixed_cost_eur_month",
    "gas_variable_price_eur_m3",
    "gas_fixed_revenue_eur_year",
    "gas_fixed_cost_eur_year",
]


def visible(rows: Iterable[Row], as_of: date, event: str | None, key: tuple[str, ...]) -> list[Row]:
    """Rows whose event and arrival are at or before the date; of versions of one thing the one that arrived last."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        happened = row[event] if event else None
        if row["known_at"] > as_of or (happened is not None and happened > as_of):
            continue
        name = tuple(row[part] for part in key)
        if name not in found or row["known_at"] > found[name]["known_at"]:
            found[name] = row
    return list(found.values())


def last(rows: Iterable[Row], column: str, order: str) -> Any:
    """The newest value that is not missing."""
    known = [row for row in sorted(rows, key=lambda row: row[order]) if row[column] is not None]
    return known[-1][column] if known else None


def ratio(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None or old <= 0 else new / old - 1


def months_before(as_of: date, count: int) -> list[date]:
    """First days of the last complete months."""
    whole = monthrange(as_of.year, as_of.month)[1] == as_of.day
    number = as_of.year * 12 + as_of.month - 1 + whole
    return [date(n // 12, n % 12 + 1, 1) for n in range(number - count, number)]


def end_of(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


class World:
    """What is known at one date."""

    def __init__(self, tables: Tables, as_of: date, margin_months: int = 12) -> None:
        self.as_of = as_of
        self.margin_months = margin_months
        self.terms = visible(tables["contracts"], as_of, "contract_start_date", ("customer_id", "contract_start_date"))
        self.days = visible(tables["consumption_daily"], as_of, "day", ("customer_id", "day"))
        self.prices = visible(tables["prices"], as_of, "pricing_date", ("customer_id", "pricing_date"))
        self.costs = visible(tables["costs"], as_of, "month", ("province_code", "month"))
        notes = ("customer_id", "date", "channel", "interaction_summary")
        self.notes = visible(tables["interactions"], as_of, "date", notes)
        self.offers = visible(tables["retention_offers"], as_of, "offer_date", ("campaign_id", "customer_id"))
        self.attributes = {
            row["customer_id"]: row for row in visible(tables["customers"], as_of, None, ("customer_id",))
        }
        labels = visible(tables["churn_events"], as_of, None, ("customer_id",))
        self.left = {row["customer_id"]: row for row in labels if row["churn"] and row["churn_date"] <= as_of}
        self.begun: dict[str, date] = {}
        for row in self.terms:
            begin = row["customer_first_activation_date"] or row["contract_start_date"]
            self.begun[row["customer_id"]] = min(begin, self.begun.get(row["customer_id"], begin))
        self.population = sorted(name for name, day in self.begun.items() if day <= as_of and name not in self.left)
        self.margins = {(row["customer_id"], row["month"]): row for row in self._margins()}

    def of(self, rows: list[Row], customer: str) -> list[Row]:
        return [row for row in rows if row["customer_id"] == customer]

    def window(self, customer: str, start: int, end: int = 0) -> list[Row]:
        """Days from ``start`` (exclusive) to ``end`` (inclusive) days before the date."""
        return [row for row in self.of(self.days, customer) if end <= (self.as_of - row["day"]).days < start]

    def has_gas(self, customer: str) -> bool | None:
        days = self.window(customer, 365)
        return sum(row["gas_m3"] for row in days) > 0 if days else None

    def peers(self, customer: str) -> tuple[str, str, bool]:
        row = self.attributes.get(customer, {})
        kind = "business" if row.get("is_industrial") else "second" if row.get("is_second_residence") else "home"
        power = row.get("contracted_power_kw")
        band = "unknown" if power is None else str(sum(power > limit for limit in (4.6, 10.0, 15.0)))
        return kind, band, bool(self.has_gas(customer))

    def energy_price(self, row: Row) -> float | None:
        known = [row[name] for name in TIERS if row[name] is not None and row[name] > 0]
        return sum(known) / len(known) if known else None

    def newest_price(self, customer: str) -> float | None:
        rows = [{"p": self.energy_price(row), "d": row["pricing_date"]} for row in self.of(self.prices, customer)]
        return last(rows, "p", "d")  # type: ignore[no-any-return]

    # margin

    def _own(self, customer: str, month: date, name: str) -> float | None:
        of_month = [row for row in self.of(self.prices, customer) if month <= row["pricing_date"] <= end_of(month)]
        return last(of_month, name, "pricing_date")

    def _margins(self) -> list[Row]:
        months = months_before(self.as_of, self.margin_months)
        grid = [(c, m) for c in self.population for m in months if end_of(m) >= self.begun[c]]
        own = {(c, m, n): self._own(c, m, n) for c, m in grid for n in OWN}

        def carried(customer: str, month: date, name: str) -> float | None:
            rows = [row for row in self.of(self.prices, customer) if row["pricing_date"] <= end_of(month)]
            value = last(rows, name, "pricing_date")
            if value is not None:
                return float(value)
            for alike in (lambda c: self.peers(c) == self.peers(customer), lambda _: True):
                others = [own[c, m, name] for c, m in grid if m == month and alike(c) and own[c, m, name] is not None]
                if others:
                    return float(median(others))  # type: ignore[type-var]
            return None

        return [self._margin(c, m, {n: carried(c, m, n) for n in OWN}, {n: own[c, m, n] for n in OWN}) for c, m in grid]

    def _margin(self, customer: str, month: date, price: Row, own: Row) -> Row:
        days = [row for row in self.of(self.days, customer) if month <= row["day"] <= end_of(month)]
        days = days if sum(row["hours_seen"] for row in days) else []
        province = self.attributes.get(customer, {}).get("province_code")
        costs = [row for row in self.costs if row["province_code"] == province and row["month"] <= month]
        cost = {
            name: last(costs, name, "month")
            for name in ("elec_var_cost_eur_kwh", "peaje_elec_eur_kwh", "gas_var_cost_eur_m3")
        }
        result: Row = {"customer_id": customer, "month": month, "elec": None, "gas": None, "total": None}
        result["carried"] = bool(costs) and max(row["month"] for row in costs) < month
        gas = self.has_gas(customer)
        kwh = [sum(row[f"elec_p{tier}_kwh"] for row in days) for tier in (1, 2, 3)]
        needed = [price[name] for name, used in zip(TIERS, kwh, strict=True) if used]
        needed += [price["elec_fixed_fee_eur_month"], price["elec_fixed_cost_eur_month"]]
        needed += [cost["elec_var_cost_eur_kwh"], cost["peaje_elec_eur_kwh"]]
        if days and None not in needed:
            income = sum(used * (price[name] or 0.0) for used, name in zip(kwh, TIERS, strict=True))
            fixed = price["elec_fixed_fee_eur_month"] - price["elec_fixed_cost_eur_month"]
            result["elec"] = income + fixed - sum(kwh) * (cost["elec_var_cost_eur_kwh"] + cost["peaje_elec_eur_kwh"])
        gas_needed = [price[name] for name in OWN[5:]] + [cost["gas_var_cost_eur_m3"]]
        if gas is False:
            result["gas"] = 0.0
        elif gas and days and None not in gas_needed:
            m3 = sum(row["gas_m3"] for row in days)
            fixed = (price["gas_fixed_revenue_eur_year"] - price["gas_fixed_cost_eur_year"]) / 12
            result["gas"] = m3 * (price["gas_variable_price_eur_m3"] - cost["gas_var_cost_eur_m3"]) + fixed
        if result["elec"] is not None and result["gas"] is not None:
            result["total"] = result["elec"] + result["gas"]
        imputed = [own[name] is None for name, used in zip(TIERS, kwh, strict=True) if used]
        imputed += [own["elec_fixed_fee_eur_month"] is None, own["elec_fixed_cost_eur_month"] is None]
        imputed += [own[name] is None for name in OWN[5:]] if gas else []
        result["imputed"] = any(imputed) if days else True
        begin = datetime(month.year, month.month, 1, tzinfo=MADRID).astimezone(UTC)
        after = end_of(month) + timedelta(days=1)
        end = datetime(after.year, after.month, 1, tzinfo=MADRID).astimezone(UTC)
        hours = (end - begin).total_seconds() / 3600
        result["coverage"] = min(sum(row["hours_seen"] for row in days) / hours, 1.0) if days else None
        return result

    # features

    def features(self, customer: str) -> Row:
        """Every numeric feature of the reference, by name."""
        result: Row = {}
        for part in (
            self._lifecycle,
            self._consumption,
            self._price,
            self._interactions,
            self._offers,
            self._margin_features,
        ):
            result |= part(customer)
        return result

    def _lifecycle(self, customer: str) -> Row:
        terms = self.of(self.terms, customer)
        term = max(terms, key=lambda row: row["contract_start_date"])
        change = term["last_product_change_date"]
        since = (self.as_of - change).days if change is not None and change <= self.as_of else None
        renewal = term["next_renewal_date"]
        return {
            "tenure_days": (self.as_of - self.begun[customer]).days,
            "days_to_renewal": None if renewal is None else (renewal - self.as_of).days,
            "term_age_days": (self.as_of - term["contract_start_date"]).days,
            "contract_terms": len(terms),
            "days_since_product_change": since,
        }

    def _consumption(self, customer: str) -> Row:
        def elec(rows: list[Row]) -> float | None:
            return sum(row[f"elec_p{tier}_kwh"] for row in rows for tier in (1, 2, 3)) if rows else None

        def share(rows: list[Row], value: Callable[[Row], float]) -> float | None:
            total = elec(rows)
            return sum(value(row) for row in rows) / total if total else None

        def change(start: int, end: int, old_start: int, old_end: int) -> float | None:
            new, old = self.window(customer, start, end), self.window(customer, old_start, old_end)
            new_hours, old_hours = (sum(row["hours_seen"] for row in rows) for rows in (new, old))
            if new_hours < 12 * (start - end) or old_hours < 12 * (old_start - old_end):
                return None
            return ratio(elec(new) / new_hours, elec(old) / old_hours)  # type: ignore[operator]

        near, year = self.window(customer, 90), self.window(customer, 365)
        whole = [elec([row]) for row in near if row["hours_seen"] >= 23]
        mean = sum(whole) / len(whole) if whole else None  # type: ignore[arg-type]
        spread = (sum((value - mean) ** 2 for value in whole) / len(whole)) ** 0.5 if mean else None  # type: ignore[operator]
        gas = sum(row["gas_kwh"] for row in year) if year else None
        return {
            "elec_kwh_30d": elec(self.window(customer, 30)),
            "elec_kwh_90d": elec(near),
            "elec_kwh_365d": elec(year),
            "gas_kwh_365d": gas,
            "coverage_90d": min(sum(row["hours_seen"] for row in near) / (24 * 90), 1.0),
            "elec_volatility_90d": spread / mean if mean else None,  # type: ignore[operator]
            "elec_trend_90d": change(90, 0, 180, 90),
            "elec_change_year_90d": change(90, 0, 455, 365),
            "peak_share_90d": share(near, lambda row: row["elec_p1_kwh"]),
            "weekend_share_90d": share(near, lambda row: elec([row]) if row["day"].weekday() >= 5 else 0.0),  # type: ignore[arg-type, return-value]
            "surplus_kwh_365d": -sum(row["elec_negative_kwh"] for row in year) if year else None,
            "estimated_share_90d": (
                sum(row["estimated_count"] for row in near) / sum(row["readings"] for row in near) if near else None
            ),
            "supply_points": last(year, "supply_points", "day"),
        }

    def _began(self, customer: str) -> tuple[int, int]:
        begin = max(row["contract_start_date"] for row in self.of(self.terms, customer))
        return begin.year, begin.month

    def _price(self, customer: str) -> Row:
        rows = sorted(self.of(self.prices, customer), key=lambda row: row["pricing_date"])
        energy = [(row["pricing_date"], self.energy_price(row)) for row in rows]
        known = [(day, value) for day, value in energy if value is not None]
        newest = known[-1][1] if known else None

        def back(days: int) -> float | None:
            older = [value for day, value in known if (self.as_of - day).days >= days]
            return older[-1] if older else None

        steps = [(day, after / before - 1) for (_, before), (day, after) in pairwise(known)]
        recent = [step for day, step in steps if (self.as_of - day).days < 365]
        alike = [
            value
            for other in self.population
            if self.peers(other) == self.peers(customer)
            for value in [self.newest_price(other)]
            if value is not None
        ]
        business = self.attributes.get(customer, {}).get("is_industrial") or False
        new = [
            value
            for other in self.population
            if (self.attributes.get(other, {}).get("is_industrial") or False) == business
            and (self.as_of - max(row["contract_start_date"] for row in self.of(self.terms, other))).days < 31
            for value in [self.newest_price(other)]
            if value is not None
        ]
        same = [
            value
            for other in self.population
            if (self.attributes.get(other, {}).get("is_industrial") or False) == business
            and self._began(other) == self._began(customer)
            for value in [self.newest_price(other)]
            if value is not None
        ]
        return {
            "price_energy_eur_kwh": newest,
            "price_age_days": (self.as_of - rows[-1]["pricing_date"]).days if rows else None,
            "price_rise_90d": ratio(newest, back(90)),
            "price_rise_365d": ratio(newest, back(365)),
            "price_largest_rise_365d": max(recent) if recent else None,
            "price_changes_365d": sum(abs(step) > 1e-6 for step in recent),
            "price_over_peers": ratio(newest, median(alike)) if len(alike) >= 5 else None,
            "price_over_new_terms": ratio(newest, median(new)) if len(new) >= 5 else None,
            "term_peers_over_new_terms": (
                ratio(median(same), median(new)) if len(new) >= 5 and len(same) >= 5 else None
            ),
        }

    def _interactions(self, customer: str) -> Row:
        ages = [(self.as_of - row["date"]).days for row in self.of(self.notes, customer)]
        return {
            **{f"interactions_{days}d": sum(age < days for age in ages) for days in (30, 90, 365)},
            "days_since_interaction": min(ages) if ages else None,
        }

    def _offers(self, customer: str) -> Row:
        rows = [((self.as_of - row["offer_date"]).days, row["action"]) for row in self.of(self.offers, customer)]
        made = [age for age, action in rows if action != "none"]
        return {
            "offers_365d": sum(age < 365 for age in made),
            "days_since_offer": min(made) if made else None,
            "campaigns_365d": sum(age < 365 for age, _ in rows),
        }

    def _margin_features(self, customer: str) -> Row:
        months = months_before(self.as_of, 12)
        rows = [self.margins[customer, month] for month in months if (customer, month) in self.margins]
        known = [row["total"] for row in rows if row["total"] is not None]
        recent = [row["total"] for row in rows if row["month"] in months[-3:] and row["total"] is not None]
        return {
            "margin_eur_month_3m": sum(recent) / len(recent) if recent else None,
            "margin_eur_month_12m": sum(known) / len(known) if known else None,
            "margin_negative_months_12m": sum(value < 0 for value in known),
            "margin_months_12m": len(known),
        }
