"""Earlier published runs as a decision sees them: which ones, and what their offers have committed."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.config import EngineSettings, PolicySettings
from spanishgas.engine.session import Engine, open_engine
from spanishgas.engine.store import Publication, TableStore
from spanishgas.stages.earlier_runs import committed_before, earlier_runs, later_runs, offered_before, published_runs
from tests.dashboard.worlds import publish
from tests.policy.worlds import changed

RUN_DATE = date(2026, 2, 20)
DAYS = ("2025-11-20", "2025-11-23", "2026-01-31", "2026-02-02", "2026-02-19", "2026-02-20", "2026-02-25", "2026-03-02")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(EngineSettings(threads=1), tmp_path / "scratch") as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    """Runs of many days, each with an offer by phone, one by e-mail, one held out and one without a plan."""
    for place, day in enumerate(DAYS):
        rows = pd.DataFrame(
            {
                "run_date": pd.Timestamp(day),
                "campaign": day,
                "customer_id": [f"{kind}{place}" for kind in "PEHN"],
                "action": ["small", "large", "none", "none"],
                "planned_action": ["small", "large", "medium", "none"],
                "channel": ["phone", "email", "none", "none"],
                "timing_window": ["immediate", "30_60", "none", "none"],
                "expected_spend": [5.0, 1.25, 0.0, 0.0],
                "is_held_out": [False, False, True, False],
            }
        )
        on = f"run_date={day}"
        publish(
            tmp_path / "data",
            Publication(layer="gold", name="recommendations", partition=on),
            {"recommendations": rows},
            check=False,
        )
    return TableStore(tmp_path / "data")


def silver(engine: Engine, left: list[dict[str, object]], offers: list[dict[str, object]]) -> dict[str, ir.Table]:
    day = pa.date32()
    events = pa.schema({"customer_id": pa.string(), "churn": pa.bool_(), "churn_date": day, "known_at": day})
    names = pa.schema(
        {
            "campaign_id": pa.string(),
            "customer_id": pa.string(),
            "offer_date": day,
            "action": pa.string(),
            "known_at": day,
        }
    )
    return {
        "churn_events": engine.table(pa.Table.from_pylist(left, events)),
        "retention_offers": engine.table(pa.Table.from_pylist(offers, names)),
    }


def test_runs_in_force_or_of_the_period_are_seen_and_never_the_own_or_later_ones(store: TableStore) -> None:
    def seen(**parts: object) -> list[str]:
        return [name.removeprefix("recommendations ") for name in earlier_runs(changed(**parts), RUN_DATE, store)]

    # Ninety days of rest and of hold-out: the run of 89 days ago, not that of 92.
    assert seen() == list(DAYS[1:5])
    short: dict[str, object] = {"holdout": {"days": 5}, "guardrails": {"rest_days_after_offer": 3}}
    assert seen(**short) == ["2026-02-02", "2026-02-19"]
    assert seen(**short, budget={"period": "week"}) == ["2026-02-19"]
    assert seen(**short, budget={"period": "quarter"}) == ["2026-01-31", "2026-02-02", "2026-02-19"]
    assert later_runs(changed(), RUN_DATE, store) == ["2026-02-25"]
    assert later_runs(changed(budget={"period": "run"}), RUN_DATE, store) == []
    assert list(published_runs(store, date(2026, 2, 2), date(2026, 2, 20))) == ["2026-02-02", "2026-02-19"]


def committed_by(
    engine: Engine, store: TableStore, policy: PolicySettings, **tables: list[dict[str, object]]
) -> list[float]:
    read = silver(engine, tables.get("left", []), tables.get("offers", []))
    runs = earlier_runs(policy, RUN_DATE, store)
    return committed_before(engine, store, runs, read, policy, RUN_DATE).tolist()


def test_offers_of_the_period_commit_money_and_contacts_and_those_held_out_nothing(
    engine: Engine, store: TableStore
) -> None:
    # EUR, three windows, e-mail, SMS, letter, phone.
    assert committed_by(engine, store, changed()) == [12.5, 2, 2, 0, 2, 0, 0, 2]
    assert committed_by(engine, store, changed(budget={"period": "quarter"})) == [18.75, 3, 3, 0, 3, 0, 0, 3]
    assert committed_by(engine, store, changed(budget={"period": "run"})) == [0.0] * 8


def test_cancelled_offers_commit_nothing_once_that_is_known(engine: Engine, store: TableStore) -> None:
    # E4, to be contacted from 21 March on, has left; P3's leaving is not registered yet.
    left = [
        {"customer_id": "E4", "churn": True, "churn_date": date(2026, 2, 18), "known_at": date(2026, 2, 20)},
        {"customer_id": "P3", "churn": True, "churn_date": date(2026, 2, 1), "known_at": date(2026, 2, 21)},
    ]
    assert committed_by(engine, store, changed(), left=left) == [11.25, 2, 1, 0, 1, 0, 0, 2]
    # The desk struck P3's offer; what it says of P4 comes too late.
    struck = [
        {"campaign_id": "2026-02-02", "customer_id": "P3", "offer_date": date(2026, 2, 3), "action": "none"},
        {"campaign_id": "2026-02-19", "customer_id": "P4", "offer_date": date(2026, 2, 19), "action": "none"},
        {"campaign_id": "2026-02-02", "customer_id": "E3", "offer_date": date(2026, 2, 3), "action": "large"},
    ]
    known = (date(2026, 2, 20), date(2026, 2, 21), date(2026, 2, 3))
    offers = [{**row, "known_at": day} for row, day in zip(struck, known, strict=True)]
    assert committed_by(engine, store, changed(), offers=offers) == [7.5, 1, 2, 0, 2, 0, 0, 1]


def test_days_since_the_last_offer_and_the_last_hold_out(engine: Engine, store: TableStore) -> None:
    runs = earlier_runs(changed(), RUN_DATE, store)
    found = offered_before(engine, store, runs, RUN_DATE)
    assert found is not None
    told = found.set_index("customer_id")
    assert told.loc["P4", "days_since_offer"] == 1
    assert told.loc["E1", "days_since_offer"] == 89
    assert told.loc["H3", "days_since_held_out"] == 18
    assert told["days_since_held_out"].notna().sum() == 4
    assert "N4" not in told.index
    assert offered_before(engine, store, {}, RUN_DATE) is None
