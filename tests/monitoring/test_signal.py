"""The retraining signal: one rule after the other, with what holds it back."""

import json
from dataclasses import replace
from datetime import date

import pytest

from spanishgas.config import SignalSettings
from spanishgas.monitoring.signal import DriftPeriod, Evidence, decide, persistent, render_markdown

SETTINGS = SignalSettings(drift_periods=2, min_new_leavers=100, max_age_days=365, cooldown_days=30)
TENURE, RISK = "distribution:tenure_days", "prediction:risk"
CALM = Evidence(
    run_date=date(2026, 2, 9),
    champion="2",
    learned_until=date(2025, 9, 30),
    trained_until=date(2025, 12, 31),
    new_leavers=250,
    performance_state="ok",
    drift=(
        DriftPeriod(date(2026, 1, 31), date(2026, 2, 9), frozenset()),
        DriftPeriod(date(2025, 12, 31), date(2026, 1, 9), frozenset()),
    ),
)


def period(month: int, *alarms: str) -> DriftPeriod:
    return DriftPeriod(date(2026, month, 28), date(2026, month, 28), frozenset(alarms), tuple(alarms), "alarm")


def test_nothing_is_a_reason_for_nothing() -> None:
    found = decide(CALM, SETTINGS)
    assert (found.retrain, found.investigate, found.reasons, found.held_back_by) == (False, False, (), "")
    assert found.sentences == ("nothing speaks for training again",)


def test_without_a_champion_there_is_one_to_be_trained() -> None:
    found = decide(Evidence(date(2026, 2, 9)), SETTINGS)
    assert (found.retrain, found.reasons) == (True, ("no_champion",))


CASES = {
    "performance beyond its bounds": (replace(CALM, performance=("ROC-AUC is below",)), True, ("performance",)),
    "drift once": (replace(CALM, drift=(period(2, TENURE), CALM.drift[1])), False, ()),
    "drift twice": (replace(CALM, drift=(period(2, TENURE, RISK), period(1, TENURE))), True, ("persistent_drift",)),
    "other drift each time": (replace(CALM, drift=(period(2, TENURE), period(1, RISK))), False, ()),
    "drift twice without outcomes to learn from": (
        replace(CALM, drift=(period(2, TENURE), period(1, TENURE)), new_leavers=99), False, (),
    ),
    "drift twice and nobody knows of outcomes": (
        replace(CALM, drift=(period(2, TENURE), period(1, TENURE)), new_leavers=None), False, (),
    ),
    "one date only": (replace(CALM, drift=(period(2, TENURE),)), False, ()),
    "old": (replace(CALM, learned_until=date(2025, 2, 8)), True, ("age",)),
    "not old yet": (replace(CALM, learned_until=date(2025, 2, 9)), False, ()),
    "all of it": (
        replace(CALM, performance=("x",), drift=(period(2, TENURE), period(1, TENURE)), learned_until=date(2024, 1, 1)),
        True, ("performance", "persistent_drift", "age"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_a_reason(case: str) -> None:
    evidence, retrain, reasons = CASES[case]
    found = decide(evidence, SETTINGS)
    assert (found.retrain, found.reasons) == (retrain, reasons)
    assert found.investigate is bool(evidence.performance or (evidence.drift and evidence.drift[0].roots))


def test_soon_after_a_training_reasons_are_held_back() -> None:
    due = replace(CALM, performance=("x",), trained_until=date(2026, 1, 11))
    found = decide(due, SETTINGS)
    assert (found.retrain, found.reasons, found.held_back_by) == (False, ("performance",), "cooldown")
    assert "29 days ago" in found.sentences[-1]
    assert decide(replace(due, trained_until=date(2026, 1, 10)), SETTINGS).retrain
    assert decide(replace(due, trained_until=None), SETTINGS).retrain


def test_what_lasts_is_what_all_dates_have() -> None:
    assert persistent([period(2, TENURE, RISK), period(1, RISK)], 2) == {RISK}
    assert persistent([period(2, TENURE)], 2) == frozenset()
    assert persistent([period(2, TENURE)], 1) == {TENURE}


def test_the_file_for_schedulers_says_it_all() -> None:
    evidence, *_ = CASES["drift twice"]
    found = decide(evidence, SETTINGS)
    told = json.loads(found.to_json(date(2026, 2, 9), "2"))
    assert told["retrain"] is True
    assert told["reasons"] == ["persistent_drift"]
    assert told["evidence"]["lasting"] == [TENURE]
    assert told["evidence"]["new_leavers"] == 250
    assert told["model_version"] == "2"
    assert "train again" in render_markdown(found, date(2026, 2, 9), "2").splitlines()[0]
