"""What tables tell in English is told in Spanish for every identifier, with the figures beside it."""

import json
import re
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from spanishgas.dashboard.formatting import Format
from spanishgas.dashboard.sentences import (
    FOUND,
    UNTOLD,
    bin_label,
    check_sentence,
    decision_reason,
    drift_told,
    effect_verdict,
    gate_sentence,
    month_verdict,
    significant,
)
from spanishgas.dashboard.signals import evidence_of
from spanishgas.evaluation.contrast import Contrast
from spanishgas.models import gates
from spanishgas.monitoring.bins import learn_bins
from spanishgas.monitoring.checks import CHECKS
from spanishgas.policy.measurement import verdict
from spanishgas.registry import Decision
from spanishgas.registry.champions import Action

EN, ES = Format("en"), Format("es")
S = "\u00a0"


def check(name: str, value: float, reference: float = 200.0, current: float = 150.0) -> dict[str, Any]:
    return {"check": name, "value": value, "reference": reference, "current": current, "sentence": "as published"}


def test_every_drift_check_is_told_with_a_figure_and_without() -> None:
    assert set(FOUND) == set(UNTOLD) == set(CHECKS)
    for name in CHECKS:
        told = [check_sentence(ES, check(name, value)) for value in (0.25, float("nan"))]
        assert "as published" not in told
        assert told[0] != told[1]
        assert check_sentence(EN, check(name, 0.25)) == "as published"
    assert check_sentence(ES, check("brand_new", 0.25)) == "as published"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (check("freshness", -34.0, 45.0, 11.0), "la última fila es de 11 días antes; se admiten 45 días"),
        (
            check("source_rows", 0.25, 61330.0, 46000.0),
            f"46.000 filas en el último mes, frente a 61.330 al mes antes, -25{S}%",
        ),
        (check("rows", 0.04, 2055.0, 1973.0), f"1.973 clientes, frente a 2.055 en lo aprendido, -4{S}%"),
        (check("missingness", 0.05, 0.02, 0.07), f"falta el 7,0{S}%, antes faltaba el 2,0{S}%"),
        (check("new_categories", 0.0), "ninguna categoría es nueva"),
        (check("new_categories", 0.031), f"el 3,1{S}% está en categorías nunca vistas"),
        (check("vanished_categories", 0.0), "no ha desaparecido ninguna categoría"),
        (check("vanished_categories", 0.2), f"ha desaparecido una categoría que tenía el 20,0{S}%"),
        (check("distribution", 0.1741, 0.06541, 1038.2), "PSI 0,174, media 1.038 frente a 0,0654"),
        (check("distribution", 0.1741, float("nan"), float("nan")), "PSI 0,174"),
        (check("prediction", 0.016, 0.0483, 0.046), f"PSI 0,016, riesgo medio 4,60{S}% frente a 4,83{S}%"),
    ],
)
def test_drift_checks(row: dict[str, Any], told: str) -> None:
    assert check_sentence(ES, row) == told


@pytest.mark.parametrize(
    ("effect", "lo", "hi", "held_out", "offered", "more", "told"),
    [
        (-0.05, -0.08, -0.01, 40, 90, 0, "Las ofertas retienen clientes: 5,0 puntos menos de bajas (entre 1,0 y 8,0)."),
        (0.05, 0.01, 0.08, 40, 90, 0, "Las ofertas ahuyentan clientes: 5,0 puntos más de bajas (entre 1,0 y 8,0)."),
        (
            0.0,
            -0.02,
            0.03,
            40,
            90,
            None,
            "No se distingue del azar: entre -2,0 y +3,0 puntos de bajas; se vería uno de 5,6.",
        ),
        (
            0.0,
            -0.02,
            0.03,
            40,
            90,
            1200,
            "No se distingue del azar: entre -2,0 y +3,0 puntos de bajas; se vería uno de 5,6. Para los -4,0 esperados "
            "hacen falta 1.200 fechas más como estas.",
        ),
        (np.nan, np.nan, np.nan, 9, 90, None, "Demasiado pocos para saberlo: 9 en control."),
        (np.nan, np.nan, np.nan, 40, 0, None, "Demasiado pocos para saberlo: ninguno con oferta."),
    ],
)
def test_the_verdict_on_offers(
    effect: float, lo: float, hi: float, held_out: int, offered: int, more: int | None, told: str
) -> None:
    contrast = Contrast(effect, lo, hi, 0.02)
    english = verdict(contrast, held_out, -0.04, more) if offered else "too few to tell: 0 offered"
    row = {
        "adjusted_effect": effect,
        "adjusted_lo": lo,
        "adjusted_hi": hi,
        "smallest_effect": contrast.smallest(),
        "expected_effect": -0.04,
        "runs_to_decide": more,
        "held_out": held_out,
        "offered": offered,
        "verdict": english,
    }
    assert effect_verdict(ES, row) == told
    assert effect_verdict(EN, row) == english


@pytest.mark.parametrize(
    ("status", "days", "expected", "told"),
    [
        ("unknown", 12, 30.0, "Demasiado pronto: 12 días de seguimiento, hacen falta 30"),
        ("unknown", 90, 30.0, "Demasiado pocos para saberlo: 1.200 con oferta, 3 en control"),
        ("measured", 90, 30.0, f"Acorde con el plan: 40{S}€ (-5{S}€ a 90{S}€), se esperaban 30{S}€"),
        ("measured", 90, -20.0, f"Más de lo previsto: 40{S}€ (-5{S}€ a 90{S}€), se esperaban -20{S}€"),
        ("measured", 90, 120.0, f"Menos de lo previsto: 40{S}€ (-5{S}€ a 90{S}€), se esperaban 120{S}€"),
    ],
)
def test_the_verdict_on_a_month(status: str, days: int, expected: float, told: str) -> None:
    row = {
        "status": status,
        "followed_days": days,
        "offers": 1200,
        "held_out": 3,
        "measured_margin_eur": 40.0,
        "measured_lo_eur": -5.0,
        "measured_hi_eur": 90.0,
        "expected_margin_eur": expected,
        "verdict": "as published",
    }
    assert month_verdict(ES, row) == told
    assert month_verdict(EN, row) == "as published"


def decision(action: str, reason: str = "As written.", failed: tuple[str, ...] = ()) -> Decision:
    return Decision("churn", action, "done", "", "ana", "3", "2", "2", reason, failed)  # type: ignore[arg-type]


def test_every_decision_on_a_model_is_told() -> None:
    told = {action: decision_reason(ES, decision(action)) for action in get_args(Action)}
    assert told.pop("rolled back") == "As written."  # somebody's own words
    assert "As written." not in told.values()
    assert len(set(told.values())) == len(told)
    assert decision_reason(ES, decision("rolled back", "No reason was given.")) == "No se indicó el motivo."
    assert decision_reason(EN, decision("refused")) == "As written."
    refused = decision_reason(ES, decision("refused", failed=("better", "calibrated")))
    assert refused == "No supera: mejor que el campeón y calibrado."


def test_every_gate_is_told_with_its_figures() -> None:
    figures = {
        (metric, who): f"{metric} of {who}"
        for metric in ("pr_auc", "recall_at_10", "roc_auc", "ece", "calibration_slope", "observed_over_expected")
        for who in ("challenger", "champion", "baseline")
    }
    for fmt in (EN, ES):
        told = [gate_sentence(fmt, name, figures) for name in gates.NAMES]
        assert all(told)
        assert len(set(told)) == len(told)
    assert "pr_auc of challenger frente a pr_auc of baseline" in gate_sentence(ES, "baseline", figures)
    assert "roc_auc of challenger" in gate_sentence(EN, "ranks", figures)
    # A contender that was not compared has no figures, and none are told.
    assert gate_sentence(EN, "better", {("pr_auc", "challenger"): "0.2"}).count("0.2") == 0


def test_bins_of_every_kind_have_a_name() -> None:
    numbers = pd.Series(np.r_[np.zeros(60), np.linspace(-1e7, 1e7, 100)])
    words = pd.Series(["gas", "luz"] * 5, dtype=object)
    labels = [*learn_bins(numbers).labels, *learn_bins(words).labels, *learn_bins(pd.Series([np.nan])).labels]
    assert {bin_label(EN, one) for one in labels} == set(labels)
    told = [bin_label(ES, one) for one in labels]
    assert not [one for one in told if re.search(r"\b(up|to|below|over|any|missing|new|others)\b", one)]
    assert {"gas", "luz", "sin valor", "nuevas", "las demás", "cualquier valor"} <= set(told)
    assert bin_label(ES, "up to -0.108") == "hasta -0,108"
    assert bin_label(ES, "1.5e+06 to 2e+06") == "1,5e+06 a 2e+06"
    assert bin_label(ES, "2.0A") == "2.0A"  # a tariff, not a number


def test_what_drifts_is_told_from_the_evidence() -> None:
    one = {"roots": ["distribution:price_rise_365d", "rows:customers"]}
    assert drift_told(ES, {"drift": [one], "lasting": []}) == (
        r"hay deriva que aún no dura: price\_rise\_365d y customers"
    )
    assert "too few new leavers" in drift_told(EN, {"drift": [one], "lasting": ["distribution:price_rise_365d"]})
    for nothing in ({}, {"drift": []}, {"drift": [{}]}):
        assert drift_told(ES, nothing) == "la deriva por sí sola no obliga a entrenar"
    assert evidence_of(pd.Series({"evidence": json.dumps({"drift": [one]})}))["drift"] == [one]
    for broken in ("{", "[]", "", None):
        assert evidence_of(pd.Series({"evidence": broken})) == {}


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "0"), (0.06541, "0,0654"), (12345.6, "12.346"), (-2.5, "-2,50"), (1e-12, "0,000000")]
)
def test_significant_digits(value: float, told: str) -> None:
    assert significant(ES, value) == told
