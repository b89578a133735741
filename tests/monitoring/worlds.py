"""Made-up customers with every declared feature, and the settings as they are delivered."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from pipelines._entry import load_settings
from spanishgas.config import DriftSettings, MonitoringSettings
from spanishgas.features import declared
from spanishgas.monitoring.baseline import Baseline, build_baseline
from spanishgas.monitoring.drift import Drift, compare
from spanishgas.monitoring.facts import Source, Watched

LEARNED = date(2025, 1, 31)
AS_OF = date(2026, 1, 31)
RUN_DATE = date(2026, 2, 9)
CATEGORIES = {
    "sales_channel": ["in_person", "unknown", "comparison_site", "office", "telemarketing"],
    "region": ["Madrid", "Andalucia", "Galicia", "Cataluna", "Murcia", "Aragon"],
}
# Every feature that every data set has.
FEATURES = tuple(one for one in declared(load_settings(()).features.families, {}) if one.needs is None)
TRENDING = frozenset(one.name for one in FEATURES if one.trending)
PRICE_AND_MARGIN = ("price", "margin")


@lru_cache(maxsize=1)
def monitoring() -> MonitoringSettings:
    return load_settings(()).monitoring


@lru_cache(maxsize=1)
def watched() -> dict[str, Watched]:
    """Every declared feature; those whose level trends are not used, as in the models."""
    return {
        one.name: Watched(
            one.family,
            tuple(name for need in one.source for name in need.split("|")),
            one.name not in TRENDING,
            one.window_days,
        )
        for one in FEATURES
    }


def customers(rows: int, seed: int, *, price_factor: float = 1.0) -> pd.DataFrame:
    """Customers with every declared feature: skewed, counted, mostly zero, flags, words, some missing.

    Prices and margins are made from one another, so that what is done to prices reaches the margins.
    """
    draw = np.random.default_rng(seed)
    table: dict[str, object] = {"customer_id": [f"C{number:06d}" for number in range(rows)]}
    for number, one in enumerate(FEATURES):
        if one.type == "string":
            names = CATEGORIES.get(one.name, ["none", "small", "medium", "large"])
            chances = np.arange(len(names), 0, -1) / np.arange(len(names) + 1).sum()
            values = draw.choice(np.array(names, object), rows, p=chances)
        elif one.type == "bool":
            values = draw.random(rows) < 0.05 + 0.3 * (number % 3)
        elif one.type == "int":
            values = draw.poisson(0.3 + 3 * (number % 4), rows) * (30 if "days" in one.name else 1)
        else:
            skew = draw.lognormal(0.0, 1.0, rows) if number % 2 else draw.normal(0.0, 1.0, rows)
            values = np.where(draw.random(rows) < 0.8, 0.0, skew) if number % 5 == 0 else skew
        column = pd.Series(values, dtype=object if one.type == "string" else None)
        if number % 4 == 1:
            column = column.astype("float64" if one.type in ("int", "float") else object)
            column[draw.random(rows) < 0.02] = None if column.dtype == object else np.nan
        table[one.name] = column
    energy = draw.lognormal(-1.9, 0.2, rows)
    before = energy * draw.lognormal(0.0, 0.08, rows)
    use, energy = draw.lognormal(5.0, 0.8, rows), energy * price_factor
    table |= {
        "price_energy_eur_kwh": energy,
        "price_peak_eur_kwh": energy * 1.3,
        "price_standard_eur_kwh": energy,
        "price_off_peak_eur_kwh": energy * 0.8,
        "price_gas_eur_m3": np.where(draw.random(rows) < 0.8, np.nan, draw.lognormal(0.0, 0.1, rows) * price_factor),
        "price_rise_90d": energy / before - 1,
        "price_rise_365d": energy / (before * draw.lognormal(0.0, 0.05, rows)) - 1,
        "price_largest_rise_365d": np.maximum(energy / before - 1, 0.0),
        "price_over_cost": energy / 0.12 - 1,
    }
    margin = use * (energy - 0.12)
    for name in ("margin_eur_1m", "margin_eur_month_3m", "margin_eur_month_12m", "elec_margin_eur_month_12m"):
        table[name] = margin * draw.lognormal(0.0, 0.1, rows)
    return pd.DataFrame(table)


def risk(table: pd.DataFrame) -> pd.Series:
    """A model that uses tenure, margin and the price's rise."""
    tenure = table["tenure_days"].fillna(0).astype("float64") / 30
    score = 3.0 + tenure - 2 * table["price_rise_365d"].fillna(0).clip(-1, 2) + 0.005 * table["margin_eur_month_12m"]
    return 1 / (1 + np.exp(score))


def baseline(table: pd.DataFrame, *days: date) -> Baseline:
    """The baseline of a model that learned from these customers at each of some dates."""
    features = [name for name in table.columns if name != "customer_id"]
    rows = pd.concat([table.assign(as_of=pd.Timestamp(day)) for day in days or (LEARNED,)], ignore_index=True)
    return build_baseline(rows, features, risk, horizon_days=90)


def sources(newest: date = date(2026, 1, 31), oldest: date | None = None) -> dict[str, Source]:
    """Tables that are fresh and whole."""
    months = {date(2026, 1, 1): 1000, date(2025, 12, 1): 1000, date(2025, 11, 1): 1000, date(2025, 10, 1): 1000}
    names = ("consumption_daily", "prices", "costs", "interactions", "contracts", "churn_events")
    return {name: Source(newest, months, oldest) for name in names}


def drift(
    told: Baseline,
    table: pd.DataFrame,
    settings: DriftSettings | None = None,
    *,
    as_of: date = AS_OF,
    known: dict[str, Source] | None = None,
) -> Drift:
    """Today's customers beside a baseline."""
    return compare(
        told,
        table,
        risk(table),
        run_date=RUN_DATE,
        as_of=as_of,
        features=watched(),
        sources=sources() if known is None else known,
        settings=settings or monitoring().drift,
    )
