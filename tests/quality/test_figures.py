"""Figures of a delivery, and how far two deliveries differ."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.config import EngineSettings
from spanishgas.contracts.silver import CHURN_EVENTS, COSTS
from spanishgas.engine.session import Engine, open_engine
from spanishgas.quality.figures import changes, monthly_figures

JULY = date(2024, 7, 31)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        yield engine


def costs(*rows: tuple[str, str, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["province_code", "month", "elec_var_cost_eur_kwh"])
    return frame.assign(
        month=pd.to_datetime(frame["month"]).dt.date,
        gas_var_cost_eur_m3=0.5,
        peaje_elec_eur_kwh=0.25,
        known_at=date(2024, 9, 1),
    )


def figures(engine: Engine, frame: pd.DataFrame) -> pd.DataFrame:
    return monthly_figures(engine, "costs_by_province_month", COSTS, engine.table(frame))


def test_figures_are_counts_and_exact_sums_by_month(engine: Engine) -> None:
    found = figures(engine, costs(("28", "2024-05-01", 0.1), ("08", "2024-05-01", 0.2), ("28", "2024-06-01", None)))
    values = {(row.month, row.figure): row.value for row in found.itertuples()}
    assert values[("2024-05", "rows")] == 2.0
    assert values[("2024-05", "elec_var_cost_eur_kwh")] == 0.3
    assert values[("2024-06", "elec_var_cost_eur_kwh.told")] == 0.0
    assert values[("2024-05", "province_code=08")] == 1.0
    assert ("2024-06", "province_code=08") not in values


def test_what_has_no_day_stands_under_no_month(engine: Engine) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["A", "B", "C"],
            "churn": [True, False, False],
            "churn_date": [date(2024, 5, 3), None, None],
            "reason": ["switch", None, None],
            "known_at": date(2024, 9, 1),
        }
    )
    found = monthly_figures(engine, "churn_label", CHURN_EVENTS, engine.table(frame))
    values = {(row.month, row.figure): row.value for row in found.itertuples()}
    assert (values[("", "rows")], values[("2024-05", "rows")], values[("2024-05", "churn")]) == (2.0, 1.0, 1.0)
    # Customers who are new since change nothing of what was said of the others.
    twice = monthly_figures(engine, "churn_label", CHURN_EVENTS, engine.table(pd.concat([frame.iloc[1:], frame])))
    assert max(changes(twice, found, JULY).values()) == 0.0


def test_settled_months_that_both_know_are_compared(engine: Engine) -> None:
    last = figures(
        engine, costs(*(("28", f"2024-{month:02d}-01", 10.0) for month in (3, 4, 5, 6, 7)), ("08", "2024-07-01", 10.0))
    )
    # July was not settled, August is new, March has left the window: none of them is a change.
    window = [("28", f"2024-{month:02d}-01", 10.0) for month in (4, 5, 6, 8)]
    assert max(changes(figures(engine, costs(*window)), last, JULY).values()) == 0.0
    dearer = [(code, month, 10000.0 if month == "2024-05-01" else cost) for code, month, cost in window]
    assert changes(figures(engine, costs(*dearer)), last, JULY)["elec_var_cost_eur_kwh"] == pytest.approx(9990 / 30)
    gone = [row for row in window if row[1] != "2024-05-01"]
    assert changes(figures(engine, costs(*gone)), last, JULY)["rows"] == pytest.approx(1 / 3)
    # Nothing that was settled is left: its days were moved, as by a year.
    moved = [(code, month.replace("2024", "2025"), cost) for code, month, cost in window]
    assert changes(figures(engine, costs(*moved)), last, JULY)["rows"] == 1.0


def test_codes_that_trade_places_are_a_change(engine: Engine) -> None:
    last = figures(engine, costs(("28", "2024-05-01", 10.0), ("08", "2024-05-01", 10.0)))
    now = figures(engine, costs(("28", "2024-05-01", 10.0), ("28", "2024-05-01", 10.0)))
    found = changes(now, last, JULY)
    assert (found["province_code"], found["rows"]) == (1.0, 0.0)
