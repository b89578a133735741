"""Features and margins of made-up silver tables against the slow way, whole frames at a time."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanishgas.config import EngineSettings
from spanishgas.contracts import SILVER_TABLES, Contract
from spanishgas.engine.session import Engine, open_engine
from spanishgas.features import build_features
from tests.reference.features import Tables, World
from tests.support import ALL_FAMILIES, quiet

TYPES = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "date": pa.date32()}
FIRST, LAST = date(2023, 6, 1), date(2025, 2, 28)
DATES = (date(2024, 9, 30), date(2025, 1, 15), date(2025, 2, 28))
CUSTOMERS = [f"C{number:02d}" for number in range(12)]
PROVINCES = ("28", "35")


def make_tables(seed: int, gaps: float, late: float) -> Tables:
    """Silver rows of a few customers with versions, holes and late arrivals.

    Args:
        seed: Seed of everything.
        gaps: Share of missing days, prices and values.
        late: Share of rows that have a second, later version.
    """
    rng = np.random.default_rng(seed)
    tables: Tables = {contract.name: [] for contract in SILVER_TABLES}

    def chance(share: float) -> bool:
        return bool(rng.uniform() < share)

    def maybe(value: Any) -> Any:
        return None if chance(gaps) else value

    def put(name: str, row: dict[str, Any], known_at: date, **correction: Any) -> None:
        contract = next(contract for contract in SILVER_TABLES if contract.name == name)
        full = {column.name: row.get(column.name) for column in contract.columns} | {"known_at": known_at}
        tables[name].append(full)
        if chance(late):
            tables[name].append({**full, **correction, "known_at": known_at + timedelta(days=int(rng.integers(1, 60)))})

    for province in PROVINCES:
        for number in range(21):
            month = date(2023 + (5 + number) // 12, (5 + number) % 12 + 1, 1)
            cost = {
                "elec_var_cost_eur_kwh": 0.08 + 0.01 * rng.normal(),
                "peaje_elec_eur_kwh": 0.03,
                "gas_var_cost_eur_m3": maybe(0.7),
            }
            if not chance(gaps / 2):
                known = month + timedelta(days=40)
                put("costs", {"province_code": province, "month": month, **cost}, known, elec_var_cost_eur_kwh=0.1)
    for customer in CUSTOMERS:
        begin = FIRST + timedelta(days=int(rng.integers(0, 500)))
        gas, level = chance(0.2), float(rng.uniform(2, 20))
        attributes = {
            "customer_id": customer,
            "contracted_power_kw": maybe(float(rng.choice([3.45, 3.45, 3.45, 3.45, 4.6, 9.2, 20.0]))),
            "is_industrial": chance(0.1),
            "is_second_residence": chance(0.1),
            "province_code": maybe(str(rng.choice(PROVINCES))),
            "is_snapshot": False,
        }
        put("customers", attributes, begin, contracted_power_kw=15.0)
        start, terms = begin, 0
        while start <= LAST and terms < 3:
            end = start + timedelta(days=365)
            change = maybe(start + timedelta(days=int(rng.integers(-200, 200))))
            term = {"customer_id": customer, "contract_start_date": start, "next_renewal_date": maybe(end)}
            term |= {"customer_first_activation_date": begin, "last_product_change_date": change}
            put("contracts", term, start, next_renewal_date=end + timedelta(days=30))
            start, terms = end, terms + 1
        # Terms that have just begun at the last date, and some that are a little older: what is offered now.
        renewed = LAST - timedelta(days=4 * CUSTOMERS.index(customer))
        term = {"customer_id": customer, "contract_start_date": renewed, "customer_first_activation_date": begin}
        put("contracts", term | {"next_renewal_date": renewed + timedelta(days=365)}, renewed)
        left = maybe(begin + timedelta(days=int(rng.integers(100, 600)))) if chance(0.3) else None
        label = {"customer_id": customer, "churn": left is not None, "churn_date": left}
        put("churn_events", label, (left or LAST) + timedelta(days=5))
        for month in pd.date_range(begin, LAST, freq="MS"):
            base = 0.15 * float(np.exp(0.1 * rng.normal()))
            price = {name: maybe(base * factor) for name, factor in zip(TIERS, (1.3, 1.0, 0.8), strict=True)}
            price |= {"elec_fixed_fee_eur_month": maybe(6.0), "elec_fixed_cost_eur_month": 4.0}
            price |= {"gas_variable_price_eur_m3": maybe(1.0), "gas_fixed_revenue_eur_year": maybe(60.0)}
            price |= {"gas_fixed_cost_eur_year": 40.0, "customer_id": customer, "pricing_date": month.date()}
            if not chance(gaps):
                put("prices", price, month.date(), elec_fixed_fee_eur_month=9.0)
        for number in range((LAST - begin).days):
            day = begin + timedelta(days=number)
            if chance(gaps / 2):
                continue
            periods = level * rng.uniform(0.0, 0.5, 3) * (rng.uniform(size=3) > 0.05)
            hours = int(rng.choice([24, 24, 24, 20]))
            reading = {f"elec_p{tier}_kwh": round(float(periods[tier - 1]), 6) for tier in (1, 2, 3)}
            reading |= {
                "gas_m3": round(float(rng.uniform(0, 2)), 6) if gas else 0.0,
                "customer_id": customer,
                "day": day,
            }
            reading |= {
                "gas_kwh": reading["gas_m3"] * 11,
                "hours_expected": 24,
                "hours_seen": hours,
                "readings": 2 * hours,
                "supply_points": None if number % 9 == 0 or customer == CUSTOMERS[0] else 1 + (number > 300),
                "estimated_kwh": 0.0,
            }
            reading |= {"elec_negative_count": 0, "elec_negative_kwh": -0.25 if chance(0.1) else 0.0}
            reading |= {"gas_negative_count": 0, "gas_negative_m3": 0.0, "estimated_count": int(rng.integers(0, 3))}
            put("consumption_daily", reading | {"duplicate_count": 0}, day + timedelta(days=1), elec_p1_kwh=5.0)
        for number in range(int(rng.integers(0, 6))):
            day = begin + timedelta(days=int(rng.integers(0, 600)))
            note = {"customer_id": customer, "date": day, "channel": "phone", "interaction_summary": f"note {number}"}
            put("interactions", note, day + timedelta(days=int(rng.integers(0, 5))))
        for number in range(int(rng.integers(0, 4))):
            day = begin + timedelta(days=int(rng.integers(0, 600)))
            made = {"campaign_id": f"K{number}", "customer_id": customer, "offer_date": day}
            put("retention_offers", made | {"action": str(rng.choice(["none", "small"]))}, day)
    return tables


TIERS = [f"variable_price_tier{tier}_eur_kwh" for tier in (1, 2, 3)]


def as_tables(engine: Engine, tables: Tables) -> dict[str, Any]:
    def typed(contract: Contract) -> pa.Table:
        schema = pa.schema([(column.name, TYPES[column.type]) for column in contract.columns])
        return pa.Table.from_pylist(tables[contract.name], schema)

    return {contract.name: engine.table(typed(contract)) for contract in SILVER_TABLES}


def plain(value: Any) -> float:
    """A number; NaN for what is missing."""
    return float("nan") if value is None or pd.isna(value) else float(value)


def test_the_made_up_tables_give_every_compared_feature_a_value() -> None:
    """Missing equals missing: a feature that is null for everybody would be compared with nothing."""
    told: dict[str, int] = {}
    for seed in (1, 7):
        for as_of in DATES:
            world = World(make_tables(seed, 0.1, 0.1), as_of)
            for customer in world.population:
                for name, value in world.features(customer).items():
                    told[name] = told.get(name, 0) + (value is not None)
    assert [name for name, count in told.items() if count < 5] == []


@settings(max_examples=3)
@given(seed=st.integers(0, 10**6), gaps=st.floats(0.02, 0.25), late=st.floats(0.0, 0.2))
def test_features_and_margins_are_those_of_the_slow_way(seed: int, gaps: float, late: float) -> None:
    tables = make_tables(seed, gaps, late)
    with open_engine(EngineSettings(threads=1), Path("unused")) as engine:
        result = build_features(engine, as_tables(engine, tables), DATES, ALL_FAMILIES, {}, progress=quiet)
        features, margin = engine.frame(result.features), engine.frame(result.margin)
    for frame, column in ((features, "as_of"), (margin, "as_of"), (margin, "month")):
        frame[column] = pd.to_datetime(frame[column]).dt.date
    for as_of in DATES:
        world = World(tables, as_of)
        at_date = features[features["as_of"] == as_of].set_index("customer_id")
        assert sorted(at_date.index) == world.population
        for customer in world.population:
            for name, wanted in world.features(customer).items():
                found = plain(at_date.loc[customer, name])
                assert found == pytest.approx(plain(wanted), rel=1e-6, abs=1e-6, nan_ok=True), (as_of, customer, name)
        found_margin = {
            (row["customer_id"], row["month"]): row for row in margin[margin["as_of"] == as_of].to_dict("records")
        }
        assert set(found_margin) == set(world.margins)
        pairs = {
            "elec_margin_eur": "elec",
            "gas_margin_eur": "gas",
            "margin_eur": "total",
            "is_price_imputed": "imputed",
            "is_cost_carried": "carried",
            "coverage": "coverage",
        }
        for key, wanted in world.margins.items():
            for name, slow in pairs.items():
                told = plain(found_margin[key][name])
                assert told == pytest.approx(plain(wanted[slow]), rel=1e-6, abs=1e-6, nan_ok=True), (as_of, key, name)
