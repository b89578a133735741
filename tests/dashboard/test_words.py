"""There is a word in both languages for everything that tables may hold."""

import re
from pathlib import Path
from typing import get_args

import pytest

from spanishgas.contracts import decisions, gold, monitoring, sources
from spanishgas.dashboard import words
from spanishgas.dashboard.provinces import PROVINCES, province_name
from spanishgas.dashboard.words import first_reason, limit_name, sentences_of, word
from spanishgas.evaluation import METRICS
from spanishgas.models import gates
from spanishgas.monitoring import signal
from spanishgas.monitoring.checks import CHECKS
from spanishgas.policy.guardrails import GUARDRAILS
from spanishgas.policy.reasons import REASONS
from spanishgas.registry.champions import ROLLED_BACK, Action
from tests.policy.worlds import delivered

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {
    "ACTIONS": decisions.DECIDED,
    "WINDOWS": decisions.OFFERED_WINDOWS,
    "CHANNELS": decisions.OFFERED_CHANNELS,
    "SIZES": decisions.DECIDED[1:],
    "BUCKETS": decisions.RISK_BUCKETS,
    "SALES_CHANNELS": sources.CHANNELS,
    "CONTACTS": sources.CONTACT_CHANNELS,
    "GUARDRAILS": tuple(one.name for one in GUARDRAILS),
    "METRICS": METRICS,
    "ROLES": gold.CONTENDER.domain,
    "GATES": (*gates.NAMES, ROLLED_BACK),
    "GATE_DEMANDS": gates.NAMES,
    "DRIFT_STATES": monitoring.STATES,
    "CHECKS": tuple(CHECKS),
    "CHECK_STATES": monitoring.STATES,
    "CHECK_ROLES": monitoring.DRIFT_CHECKS.column("role").domain,
    "RETRAIN_REASONS": (signal.NO_CHAMPION, signal.PERFORMANCE, signal.DRIFT, signal.AGE, signal.COOLDOWN),
    "POPULATIONS": monitoring.POPULATIONS,
    "STATUSES": monitoring.STATUSES,
    "DECIDED": get_args(Action),
    "GATE_STATES": gold.PROMOTION_GATES.column("state").domain,
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_value_has_a_word_in_both_languages(name: str) -> None:
    found = getattr(words, name)
    assert set(found) == set(FAMILIES[name] or ())
    assert all(
        english and spanish for key, (english, spanish) in found.items() if (name, key) != ("CHECK_ROLES", "none")
    )


def test_whatever_a_stage_publishes_has_a_name() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "spanishgas" / "stages").glob("*.py"))
    locks = {"retention"}  # nothing is published under these names
    named = set(re.findall(r'Publication\(\s*layer="gold", name="(\w+)"', sources)) - locks
    assert named | {"ingest", "silver", "drift", "retrain_signal", "measured"} == set(words.PUBLICATIONS)
    assert all(english and spanish for english, spanish in (*words.PUBLICATIONS.values(), *words.NODES.values()))


def test_every_reason_is_told_as_a_sentence() -> None:
    for code in REASONS:
        for language in ("en", "es"):
            (sentence,) = sentences_of(code, language)  # type: ignore[arg-type]
            assert sentence.endswith(".")


def test_codes_of_a_later_release_are_told_as_they_are() -> None:
    assert sentences_of("complaint|brand_new_code", "en") == ["Has complained.", "brand new code"]
    assert first_reason("complaint|tone", "es") == "Ha presentado quejas."
    assert first_reason("", "es") == ""
    assert word(words.ACTIONS, "huge_offer", "en") == "huge offer"


def test_every_limit_of_a_plan_has_a_name() -> None:
    names = [limit_name(f"channel:{name}", "es") for name in delivered().channels]
    assert sorted(names) == ["Carta", "Correo electrónico", "SMS", "Teléfono"]
    assert [limit_name(one, "en") for one in ("budget", "window:30_60")] == ["Budget", "Days 31 to 60"]


def test_provinces_are_those_of_the_contract() -> None:
    codes = sources.CUSTOMER_ATTRIBUTES.column("province_code").domain
    assert tuple(PROVINCES) == codes
    assert len(set(PROVINCES.values())) == 52
    assert (province_name("28"), province_name("99")) == ("Madrid", "")
