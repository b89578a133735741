"""How customers stand on the day of the decision: by what was known at its end, and by nothing that came later."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.config import EngineSettings
from spanishgas.contracts import SILVER_TABLES
from spanishgas.engine.session import Engine, open_engine
from spanishgas.scoring.standing import departures, standing, withheld_offers

TYPES = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "date": pa.date32()}
USED = ("customers", "contracts", "interactions", "churn_events", "retention_offers")
# Features are of the end of January; the decision is taken ten days later.
RUN_DATE = date(2026, 2, 10)
AS_OF = date(2026, 1, 31)
Row = dict[str, Any]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(EngineSettings(threads=1), tmp_path / "scratch") as opened:
        yield opened


def ago(days: int) -> date:
    """A day before the decision's, or after it."""
    return RUN_DATE - timedelta(days=days)


def stands(engine: Engine, people: tuple[str, ...] = ("A",), **tables: list[Row]) -> dict[str, Row]:
    """Customer -> how they stand, from a few silver rows."""
    silver = {}
    for contract in SILVER_TABLES:
        if contract.name in USED:
            schema = pa.schema([(column.name, TYPES[column.type]) for column in contract.columns])
            assert all(set(row) <= set(schema.names) for row in tables.get(contract.name, []))
            rows = [{name: row.get(name) for name in schema.names} for row in tables.get(contract.name, [])]
            silver[contract.name] = engine.table(pa.Table.from_pylist(rows, schema))
    concerned = engine.table(pa.table({"customer_id": list(people)}))
    frame = engine.frame(standing(concerned, silver, RUN_DATE))
    assert sorted(frame["customer_id"]) == sorted(people)
    return {
        row["customer_id"]: {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    }


def consent(known_at: date, marketing: bool | None, customer: str = "A", **changes: Any) -> Row:
    row = {"customer_id": customer, "marketing_consent": marketing, "phone_consent": True, "is_vulnerable": False}
    return {**row, "is_snapshot": False, "known_at": known_at, **changes}


def term(start: date, known_at: date, renewal: date | None = None, customer: str = "A") -> Row:
    renewal = renewal or start + timedelta(days=365)
    return {
        "customer_id": customer,
        "contract_start_date": start,
        "next_renewal_date": renewal,
        "known_at": known_at,
    }


def offered(day: date, known_at: date | None = None, action: str = "small", campaign: str = "K1") -> Row:
    return {
        "campaign_id": campaign,
        "customer_id": "A",
        "offer_date": day,
        "action": action,
        "known_at": known_at or day,
    }


def contact(day: date, known_at: date | None = None) -> Row:
    return {"customer_id": "A", "date": day, "channel": "phone", "known_at": known_at or day}


def leaving(churned: bool, day: date | None, known_at: date, customer: str = "A") -> Row:
    return {"customer_id": customer, "churn": churned, "churn_date": day, "known_at": known_at}


def test_of_whom_nothing_is_told_nothing_is_known_and_they_have_not_left(engine: Engine) -> None:
    found = stands(engine, ("A", "B"), customers=[consent(ago(400), True, "B")])
    assert found["A"] == {
        "customer_id": "A",
        "has_left": False,
        "is_vulnerable": None,
        "marketing_consent": None,
        "phone_consent": None,
        "days_since_offer": None,
        "days_since_contact": None,
        "days_to_renewal": None,
        "term_age_days": None,
    }
    assert found["B"]["marketing_consent"] is True


@pytest.mark.parametrize(("known", "holds"), [(ago(5), False), (RUN_DATE, False), (ago(-1), True)])
def test_consent_counts_as_known_on_the_day_of_the_decision(engine: Engine, known: date, holds: bool) -> None:
    """Withdrawn after the features' date: known by the decision's day it counts, known only later it does not."""
    assert known > AS_OF
    rows = [consent(known, False, phone_consent=False, is_vulnerable=True), consent(ago(400), True)]
    found = stands(engine, customers=rows)["A"]
    told = (found["marketing_consent"], found["phone_consent"], found["is_vulnerable"])
    assert told == (holds, holds, not holds)


def test_the_newest_answer_holds_even_where_it_is_unknown(engine: Engine) -> None:
    rows = [consent(ago(100), True), consent(ago(20), None), consent(ago(300), False)]
    assert stands(engine, customers=rows)["A"]["marketing_consent"] is None


def test_the_newest_term_that_has_begun_and_is_known_counts(engine: Engine) -> None:
    begun = term(ago(30), ago(35))
    rows = [term(ago(395), ago(395)), begun, term(ago(-5), ago(40)), term(ago(3), ago(-2))]
    found = stands(engine, contracts=rows)["A"]
    assert (found["term_age_days"], found["days_to_renewal"]) == (30, 335)


def test_a_correction_of_the_term_counts_once_it_is_known(engine: Engine) -> None:
    rows = [
        term(ago(300), ago(300), ago(-65)),
        term(ago(300), ago(4), ago(-20)),
        term(ago(300), ago(-1), ago(-500)),
    ]
    assert stands(engine, contracts=rows)["A"]["days_to_renewal"] == 20


def test_a_renewal_that_is_past_is_negative(engine: Engine) -> None:
    found = stands(engine, contracts=[term(ago(380), ago(380), ago(15))])["A"]
    assert (found["days_to_renewal"], found["term_age_days"]) == (-15, 380)


def test_offers_count_from_the_newest_made_and_known(engine: Engine) -> None:
    rows = [
        offered(ago(200)),
        offered(ago(50), campaign="K2"),
        offered(ago(20), action="none", campaign="K3"),
        offered(ago(8), known_at=ago(-1), campaign="K4"),
        offered(ago(-3), known_at=ago(1), campaign="K5"),
    ]
    assert stands(engine, retention_offers=rows)["A"]["days_since_offer"] == 50
    same_day = [*rows, offered(RUN_DATE, campaign="K6")]
    assert stands(engine, retention_offers=same_day)["A"]["days_since_offer"] == 0


def test_who_was_only_passed_over_was_never_offered_anything(engine: Engine) -> None:
    found = stands(engine, retention_offers=[offered(ago(20), action="none")])
    assert found["A"]["days_since_offer"] is None


def test_an_offer_counts_as_corrected(engine: Engine) -> None:
    """Registered by mistake and then as given nothing: the newest version known holds, not the one that vetoes."""
    rows = [offered(ago(20)), offered(ago(20), known_at=ago(10), action="none"), offered(ago(150), campaign="K0")]
    assert stands(engine, retention_offers=rows)["A"]["days_since_offer"] == 150
    late = [offered(ago(20)), offered(ago(20), known_at=ago(-1), action="none")]
    assert stands(engine, retention_offers=late)["A"]["days_since_offer"] == 20


def test_contacts_count_from_the_newest_that_has_happened_and_is_known(engine: Engine) -> None:
    rows = [contact(ago(90)), contact(ago(12)), contact(ago(2), known_at=ago(-1)), contact(ago(-4), known_at=ago(1))]
    assert stands(engine, interactions=rows)["A"]["days_since_contact"] == 12
    assert stands(engine, interactions=[contact(RUN_DATE)])["A"]["days_since_contact"] == 0
    assert stands(engine, interactions=[contact(ago(-1))])["A"]["days_since_contact"] is None


@pytest.mark.parametrize(
    ("day", "known_at", "left"),
    [
        (ago(5), ago(3), True),
        (RUN_DATE, RUN_DATE, True),
        (ago(5), ago(-1), False),  # known only later
        (ago(-1), ago(20), False),  # announced, not happened
        (None, ago(20), False),  # nobody says when
    ],
)
def test_who_has_left_is_who_is_known_to_have_left(
    engine: Engine, day: date | None, known_at: date, left: bool
) -> None:
    assert stands(engine, churn_events=[leaving(True, day, known_at)])["A"]["has_left"] is left


def test_leaving_that_was_taken_back_is_none(engine: Engine) -> None:
    rows = [leaving(True, ago(30), ago(25)), leaving(False, None, ago(10))]
    assert stands(engine, churn_events=rows)["A"]["has_left"] is False
    rows = [leaving(True, ago(30), ago(25)), leaving(False, None, ago(-10))]
    assert stands(engine, churn_events=rows)["A"]["has_left"] is True


def test_every_customer_stands_once_with_their_own(engine: Engine) -> None:
    people = ("C", "A", "B")
    found = stands(
        engine,
        people,
        customers=[consent(ago(30), True), consent(ago(20), False, "B"), consent(ago(9), True, "B")],
        contracts=[term(ago(100), ago(100)), term(ago(50), ago(50), customer="C"), term(ago(9), ago(9), customer="D")],
        retention_offers=[offered(ago(40)), offered(ago(30), campaign="K2")],
        interactions=[contact(ago(4)), contact(ago(4))],
        churn_events=[leaving(True, ago(9), ago(8), "C")],
    )
    keys = ("marketing_consent", "term_age_days", "days_since_offer", "days_since_contact", "has_left")
    assert {name: tuple(row[key] for key in keys) for name, row in found.items()} == {
        "A": (True, 100, 30, 4, False),
        "B": (True, None, None, None, False),
        "C": (None, 50, None, None, True),
    }


def rows_of(engine: Engine, name: str, rows: list[Row]) -> ir.Table:
    contract = next(one for one in SILVER_TABLES if one.name == name)
    schema = pa.schema([(column.name, TYPES[column.type]) for column in contract.columns])
    return engine.table(pa.Table.from_pylist([{one: row.get(one) for one in schema.names} for row in rows], schema))


def test_departures_are_told_as_they_were_known(engine: Engine) -> None:
    events = [
        leaving(True, ago(5), ago(2), "A"),
        leaving(True, ago(5), ago(-1), "B"),  # registered the day after
        leaving(True, ago(-3), ago(1), "C"),  # gives notice
        leaving(False, None, ago(3), "D"),
    ]
    found = engine.frame(departures(rows_of(engine, "churn_events", events), RUN_DATE))
    assert [(row.customer_id, pd.Timestamp(row.left_on).date()) for row in found.itertuples()] == [("A", ago(5))]


def test_offers_withheld_are_told_as_they_were_known(engine: Engine) -> None:
    offers = [
        offered(ago(4), action="none", campaign="K1"),
        offered(ago(4), action="small", campaign="K2"),
        offered(ago(4), ago(-1), action="none", campaign="K3"),  # told the day after
        offered(ago(6), action="small", campaign="K4"),
        offered(ago(6), ago(1), action="none", campaign="K4"),  # corrected
    ]
    found = engine.frame(withheld_offers(rows_of(engine, "retention_offers", offers), RUN_DATE))
    assert sorted(found["campaign_id"]) == ["K1", "K4"]
    assert list(found.columns) == ["campaign_id", "customer_id", "offer_date"]
