"""Gates, one by one: what passes, what fails, and what is told of it."""

from dataclasses import replace
from datetime import date

import pytest

from pipelines._entry import load_settings
from spanishgas.config import QualitySettings
from spanishgas.config.quality import LANDING_GATES as LANDING_NAMES
from spanishgas.config.quality import TABLE_GATES as TABLE_NAMES
from spanishgas.errors import ConfigError
from spanishgas.quality import (
    LANDING_GATES,
    TABLE_GATES,
    LandingFacts,
    TableFacts,
    accepted_tags,
    figures_of,
    judge,
    refusal,
    render_verdicts,
    unneeded,
    verdicts_frame,
)

SETTINGS = load_settings(("quality=default",)).quality
FILES = LandingFacts("price_history", files=2, rows=900, last_rows=1000, last_date="2026-02-08")
TABLE = TableFacts(
    "price_history",
    date(2026, 2, 9),
    rows=1000,
    quarantined=5,
    kwh=995.0,
    quarantined_kwh=5.0,
    newest=date(2025, 12, 11),
    dated=1000,
    ahead=5,
    expected=200,
    present=194,
    last_share=0.98,
    named=200,
    strangers=2,
    intervals=950,
    intervals_expected=1000,
    unusable={"zero_price": 0.5, "unknown_code": 0.1},
    levels={"median_variable_price_eur_kwh": 0.2, "median_of_no_range": 1e9},
    changes={"rows": 0.05, "price": 0.01},
    last_date="2026-02-08",
)


def test_every_gate_has_a_limit_and_a_sentence() -> None:
    assert tuple(gate.name for gate in LANDING_GATES) == LANDING_NAMES
    assert tuple(gate.name for gate in TABLE_GATES) == TABLE_NAMES
    assert all(gate.asks.endswith(".") for gate in (*LANDING_GATES, *TABLE_GATES))


def test_a_delivery_at_its_limits_passes_and_every_gate_was_asked() -> None:
    files, tables = judge(LANDING_GATES, [FILES], SETTINGS), judge(TABLE_GATES, [TABLE], SETTINGS)
    assert [one.gate for one in (*files, *tables)] == [*LANDING_NAMES, *TABLE_NAMES]
    assert [one.name for one in (*files, *tables) if not one.found.passed] == []


WORSE_FILES = {
    "cut_off": ({"cut_off": ("part-1.csv",)}, "1 of 2 files are cut off (part-1.csv)"),
    "no_rows": ({"rows": 0, "last_rows": None}, "0 rows in 2 files"),
    "fewer_rows": ({"rows": 899}, "899 rows are 89.9% of the 1,000 of 2026-02-08"),
}
WORSE_TABLES = {
    "quarantined_rows": ({"quarantined": 6}, "6 of 1,000 rows are in quarantine (0.60%)"),
    "quarantined_energy": ({"quarantined_kwh": 6.0}, "6 of 1,001 kWh are in quarantine (0.60%)"),
    "coverage": ({"present": 193, "last_share": None}, "193 of 200 customers have a row (96.5%)"),
    "fewer_customers": ({"last_share": 0.985}, "97.0% of the customers have a row, 98.5% had one on 2026-02-08"),
    "strangers": ({"strangers": 3}, "3 of 200 customers with a row have no attributes (1.50%)"),
    "stale": ({"newest": date(2025, 12, 10)}, "the newest event is of 2025-12-10, 61 days before 2026-02-09"),
    "ahead": ({"ahead": 6}, "6 of 1,000 events are more than 92 days after 2026-02-09 (0.60%)"),
    "intervals": ({"intervals": 949}, "949 of 1,000 hours or months are there (94.9%)"),
    "unusable": ({"unusable": {"zero_price": 0.51, "unknown_code": 0.1}}, "zero_price 51.0%"),
    "implausible": ({"levels": {"median_variable_price_eur_kwh": 200.0}}, "median_variable_price_eur_kwh 200"),
    "changed": (
        {"changes": {"rows": 0.06, "price": 0.5, "fee": 0.01}},
        "against 2026-02-08 settled months differ: price by 50.0%, rows by 6.00%",
    ),
}


@pytest.mark.parametrize("gate", WORSE_FILES)
def test_a_file_beyond_a_limit_fails_that_gate_alone(gate: str) -> None:
    changes, told = WORSE_FILES[gate]
    failed = [one for one in judge(LANDING_GATES, [replace(FILES, **changes)], SETTINGS) if not one.found.passed]
    assert [(one.gate, one.found.told) for one in failed] == [(gate, told)]


@pytest.mark.parametrize("gate", WORSE_TABLES)
def test_a_table_beyond_a_limit_fails_that_gate_alone(gate: str) -> None:
    changes, told = WORSE_TABLES[gate]
    failed = [one for one in judge(TABLE_GATES, [replace(TABLE, **changes)], SETTINGS) if not one.found.passed]
    assert [(one.gate, one.found.told) for one in failed] == [(gate, told)]


def test_a_first_delivery_is_compared_with_none() -> None:
    first = replace(FILES, last_rows=None, last_date="", rows=1)
    assert [one.gate for one in judge(LANDING_GATES, [first], SETTINGS)] == ["cut_off", "no_rows"]
    table = replace(TABLE, last_share=None, changes={}, last_date="")
    assert {"fewer_customers", "changed"} & {one.gate for one in judge(TABLE_GATES, [table], SETTINGS)} == set()


def test_a_source_that_is_not_delivered_any_more_has_lost_all_its_rows() -> None:
    gone = LandingFacts("retention_offers", files=0, rows=0, last_rows=30, last_date="2026-02-08")
    (verdict,) = judge(LANDING_GATES, [gone], SETTINGS)
    assert (verdict.gate, verdict.found.value, verdict.refuses) == ("fewer_rows", 0.0, True)


def test_one_row_of_a_small_source_is_no_broken_delivery_but_its_only_row_is() -> None:
    small = TableFacts("customer_interactions", date(2026, 2, 9), rows=40, quarantined=1)
    assert not any(one.refuses for one in judge(TABLE_GATES, [small], SETTINGS))
    two, all_ = replace(small, quarantined=2), replace(small, rows=1)
    assert [len([one for one in judge(TABLE_GATES, [x], SETTINGS) if one.refuses]) for x in (two, all_)] == [1, 1]


def test_a_gate_that_a_source_is_not_held_to_is_not_asked() -> None:
    offers = replace(TABLE, source="retention_offers", newest=date(2001, 1, 1))
    asked = {one.gate for one in judge(TABLE_GATES, [offers], SETTINGS)}
    assert asked.isdisjoint({"stale", "coverage", "fewer_customers"})


def accepting(*accept: str) -> QualitySettings:
    return SETTINGS.model_copy(update={"accept": accept, "reason": "seen by the supplier"})


def test_one_message_lists_every_gate_that_refuses_with_figure_limit_and_how_to_accept() -> None:
    bad = replace(FILES, rows=10, cut_off=("a.csv",))
    error = refusal(judge(LANDING_GATES, [bad], SETTINGS), "the delivery of demo of 2026-02-09")
    assert str(error) == (
        "the delivery of demo of 2026-02-09: does not pass 2 gates, so nothing is published and what was published "
        "before stays. cut_off.price_history: 1 of 2 files are cut off (a.csv), limit: at most 0; "
        "fewer_rows.price_history: 10 rows are 1.00% of the 1,000 of 2026-02-08, limit: at least 90.0%. "
        "Have it delivered again; or, if it is right all the same, accept it with "
        "'quality.accept=[cut_off,fewer_rows]' 'quality.reason=<why>'. All figures are in the run's report"
    )


def test_a_failure_is_accepted_by_gate_or_by_gate_and_source() -> None:
    bad = [replace(FILES, rows=10), replace(FILES, source="churn_label", rows=10)]
    by_gate = judge(LANDING_GATES, bad, accepting("fewer_rows"))
    by_source = judge(LANDING_GATES, bad, accepting("fewer_rows.churn_label"))
    assert refusal(by_gate, "it") is None
    assert [one.name for one in by_source if one.refuses] == ["fewer_rows.price_history"]
    assert accepted_tags(by_gate, accepting("fewer_rows")) == {
        "accepted_gates": "fewer_rows.price_history, fewer_rows.churn_label",
        "accepted_because": "seen by the supplier",
    }


def test_what_is_accepted_without_having_failed_is_said_and_kept_nowhere() -> None:
    settings = accepting("cut_off", "fewer_rows.churn_label", "stale")
    verdicts = judge(LANDING_GATES, [FILES], settings)
    assert unneeded(LANDING_GATES, verdicts, settings) == ["cut_off", "fewer_rows.churn_label"]
    assert accepted_tags(verdicts, settings) == {}


def test_the_report_shows_passes_too_and_failures_first() -> None:
    verdicts = judge(LANDING_GATES, [replace(FILES, rows=10)], SETTINGS)
    frame = verdicts_frame(verdicts)
    assert list(frame["verdict"]) == ["passed", "passed", "failed"]
    assert frame.loc[2, ["gate", "source", "value", "limit"]].tolist() == [
        "fewer_rows",
        "price_history",
        0.01,
        "at least 90.0%",
    ]
    lines = [line for line in render_verdicts(LANDING_GATES, verdicts, SETTINGS).splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines] == ["| verdict", "| ---", "| **failed**", "| passed", "| passed"]
    assert figures_of(verdicts) == {
        "gates_asked": 3.0,
        "gates_failed": 1.0,
        "gate_cut_off.price_history": 0.0,
        "gate_no_rows.price_history": 10.0,
        "gate_fewer_rows.price_history": 0.01,
    }


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("quality.accept=[fewer_rows]", "needs quality.reason"),
        ("quality.accept=[few_rows]", "no such gate: few_rows. Known gates: cut_off, no_rows, fewer_rows"),
        ("+quality.limits.colour=1", "no such gate: colour"),
        ("+quality.sources.churn_label.colour=1", "no such gate: colour"),
    ],
)
def test_settings_of_gates_that_cannot_be_meant_are_told(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings((override,))
    assert told in str(caught.value)


def test_one_gate_may_be_accepted_without_brackets() -> None:
    settings = load_settings(("quality.accept=stale", "quality.reason=2024")).quality
    assert (settings.accept, settings.reason) == (("stale",), "2024")
