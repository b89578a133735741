"""Sentences that tables hold in English, told in Spanish from the identifiers and figures beside them.

In English they are as published. What is not told by an identifier or a figure, such as the name of a category that is
gone, the Spanish sentence leaves out.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd

from spanishgas.dashboard.formatting import Format, plain
from spanishgas.dashboard.words import GATE_DEMANDS, GATES, METRICS, word
from spanishgas.monitoring.bins import MISSING, NEW, OTHER
from spanishgas.monitoring.business import LEAST_DAYS
from spanishgas.policy.measurement import LEAST_ARM
from spanishgas.registry import Decision

Row = Any
Write = Callable[[Format, Row], str]
SIGNIFICANT: Final = 3
# Gate -> whom the challenger is held against, where to somebody, and by which figures.
GATE_FIGURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "baseline": ("baseline", ("pr_auc", "recall_at_10")),
    "better": ("champion", ("pr_auc", "recall_at_10")),
    "not_worse": ("champion", ("pr_auc", "recall_at_10")),
    "calibrated": ("", ("calibration_slope", "observed_over_expected")),
    "calibration": ("champion", ("ece",)),
    "ranks": ("", ("roc_auc",)),
}
NO_REASON: Final = "No reason was given."


def gate_sentence(fmt: Format, gate: str, figures: Mapping[tuple[str, str], str]) -> str:
    """What a gate asks for, and the figures that it looks at.

    Args:
        fmt: How values are written.
        gate: The gate.
        figures: Metric and contender -> the figure as text.
    """
    told = word(GATE_DEMANDS, gate, fmt.language) if gate in GATE_DEMANDS else ""
    other, metrics = GATE_FIGURES.get(gate, ("", ()))
    parts = []
    for metric in metrics:
        own, theirs = figures.get((metric, "challenger")), figures.get((metric, other))
        if own is None or (other and theirs is None):
            continue
        against = "" if theirs is None else (" frente a " if fmt.language == "es" else " against ") + theirs
        parts.append(f"{word(METRICS, metric, fmt.language)}: {own}{against}")
    return " ".join(filter(None, (told, "; ".join(parts))))


def decision_reason(fmt: Format, one: Decision) -> str:
    """Why a model became champion or did not."""
    if fmt.language == "en":
        return one.reason
    failed = fmt.listed([word(GATES, gate, fmt.language).lower() for gate in one.failed])
    if one.action == "rolled back":  # somebody's own words
        return "No se indicó el motivo." if one.reason == NO_REASON else one.reason
    told = {
        "promoted": "Supera todas las pruebas que se le aplican.",
        "forced": "Se decidió a pesar de las pruebas" + (f": {failed}." if failed else "."),
        "refused": f"No supera: {failed}." if failed else "No supera las pruebas.",
        "conflict": "El campeón cambió después de la comparación; hay que comparar de nuevo.",
        "unchanged": "No había nada que decidir.",
    }
    return told.get(one.action, one.reason)


def effect_verdict(fmt: Format, row: Row) -> str:
    """What can be said of the effect of a run's offers: a row of ``measured_effect``."""
    if fmt.language == "en":
        return str(row["verdict"])
    if not row["offered"]:
        return "Demasiado pocos para saberlo: ninguno con oferta."
    names = ("adjusted_effect", "adjusted_lo", "adjusted_hi", "smallest_effect", "expected_effect")
    effect, lo, hi, smallest, expected = (row[name] for name in names)
    more = ""
    if pd.notna(row["runs_to_decide"]) and row["runs_to_decide"]:
        runs, points = fmt.number(row["runs_to_decide"]), fmt.number(100 * expected, 1, sign=True)
        more = f" Para los {points} esperados hacen falta {runs} fechas más como estas."
    if row["held_out"] < LEAST_ARM:
        return f"Demasiado pocos para saberlo: {fmt.number(row['held_out'])} en control.{more}"
    points, low, high = (fmt.number(100 * abs(one), 1) for one in (effect, lo, hi))
    if hi < 0:
        return f"Las ofertas retienen clientes: {points} puntos menos de bajas (entre {high} y {low})."
    if lo > 0:
        return f"Las ofertas ahuyentan clientes: {points} puntos más de bajas (entre {low} y {high})."
    low, high = (fmt.number(100 * one, 1, sign=True) for one in (lo, hi))
    found = fmt.number(100 * smallest, 1)
    return f"No se distingue del azar: entre {low} y {high} puntos de bajas; se vería uno de {found}.{more}"


def month_verdict(fmt: Format, row: Row) -> str:
    """What can be said of a month's offers: a row of ``business_months``."""
    if fmt.language == "en":
        return str(row["verdict"])
    if row["status"] != "measured":
        if row["followed_days"] < LEAST_DAYS:
            return f"Demasiado pronto: {fmt.number(row['followed_days'])} días de seguimiento, hacen falta {LEAST_DAYS}"
        return (
            f"Demasiado pocos para saberlo: {fmt.number(row['offers'])} con oferta, "
            f"{fmt.number(row['held_out'])} en control"
        )
    value, lo, hi, expected = (
        row[f"{name}_eur"] for name in ("measured_margin", "measured_lo", "measured_hi", "expected_margin")
    )
    head = "Más de lo previsto" if value > expected else "Menos de lo previsto"
    if lo <= expected <= hi:
        head = "Acorde con el plan"
    return f"{head}: {fmt.eur(value)} ({fmt.eur(lo)} a {fmt.eur(hi)}), se esperaban {fmt.eur(expected)}"


def check_sentence(fmt: Format, row: Row) -> str:
    """What a drift check found: a row of ``drift_checks``."""
    if fmt.language == "en":
        return str(row["sentence"])
    write = (UNTOLD if pd.isna(row["value"]) else FOUND).get(str(row["check"]))
    return str(row["sentence"]) if write is None else write(fmt, row)


def _change(fmt: Format, row: Row) -> str:
    before, now = row["reference"], row["current"]
    return fmt.pct(now / before - 1 if before else None, 0, sign=True)


def _freshness(fmt: Format, row: Row) -> str:
    return (
        f"la última fila es de {fmt.number(row['current'])} días antes; se admiten {fmt.number(row['reference'])} días"
    )


def _source_rows(fmt: Format, row: Row) -> str:
    usual = fmt.number(row["reference"])
    return f"{fmt.number(row['current'])} filas en el último mes, frente a {usual} al mes antes, {_change(fmt, row)}"


def _rows(fmt: Format, row: Row) -> str:
    before = fmt.number(row["reference"])
    return f"{fmt.number(row['current'])} clientes, frente a {before} en lo aprendido, {_change(fmt, row)}"


def _missingness(fmt: Format, row: Row) -> str:
    return f"falta el {fmt.pct(row['current'])}, antes faltaba el {fmt.pct(row['reference'])}"


def _new(fmt: Format, row: Row) -> str:
    if not row["value"]:
        return "ninguna categoría es nueva"
    return f"el {fmt.pct(row['value'])} está en categorías nunca vistas"


def _vanished(fmt: Format, row: Row) -> str:
    if not row["value"]:
        return "no ha desaparecido ninguna categoría"
    return f"ha desaparecido una categoría que tenía el {fmt.pct(row['value'])}"


def _distribution(fmt: Format, row: Row) -> str:
    told = f"PSI {fmt.number(row['value'], 3)}"
    if pd.isna(row["reference"]) or pd.isna(row["current"]):
        return told
    return f"{told}, media {significant(fmt, row['current'])} frente a {significant(fmt, row['reference'])}"


def _prediction(fmt: Format, row: Row) -> str:
    risks = f"riesgo medio {fmt.pct(row['current'], 2)} frente a {fmt.pct(row['reference'], 2)}"
    return f"PSI {fmt.number(row['value'], 3)}, {risks}"


def _always(text: str) -> Write:
    return lambda *_: text


# Check -> what it found; and why it cannot tell, where it has no figure.
FOUND: Mapping[str, Write] = {
    "freshness": _freshness,
    "source_rows": _source_rows,
    "rows": _rows,
    "missingness": _missingness,
    "new_categories": _new,
    "vanished_categories": _vanished,
    "distribution": _distribution,
    "prediction": _prediction,
}
_TOO_FEW = _always("no comparable: pocas filas o poca historia")
UNTOLD: Mapping[str, Write] = {
    "freshness": _always("no se conoce ninguna fila"),
    "source_rows": _always("no hay bastantes meses con filas para comparar"),
    "rows": _always("no hay filas con las que comparar"),
    "missingness": _TOO_FEW,
    "new_categories": _TOO_FEW,
    "vanished_categories": _TOO_FEW,
    "distribution": _always("no comparable: otra época del año o poca historia"),
    "prediction": _TOO_FEW,
}

_NUMBER = r"(-?\d[\d.]*(?:e[+-]?\d+)?)"
# Bins of numbers as they are called in tables -> Spanish.
BINS: Mapping[str, str] = {
    rf"up to {_NUMBER}": "hasta {}",
    rf"below {_NUMBER}": "menos de {}",
    rf"over {_NUMBER}": "más de {}",
    rf"{_NUMBER} to {_NUMBER}": "{} a {}",
    _NUMBER: "{}",
}
NAMED_BINS: Mapping[str, str] = {
    MISSING: "sin valor",
    NEW: "nuevas",
    OTHER: "las demás",
    "any value": "cualquier valor",
    "True": "sí",
    "False": "no",
}


def bin_label(fmt: Format, label: str) -> str:
    """What a bin of a distribution is called."""
    if fmt.language == "en":
        return label
    for pattern, told in BINS.items():
        found = re.fullmatch(pattern, label)
        if found:
            return told.format(*(one.replace(".", ",") for one in found.groups()))
    return NAMED_BINS.get(label, label)


def drift_told(fmt: Format, evidence: Mapping[str, Any]) -> str:
    """What drifts, of the evidence of a retraining signal that asks nobody to train."""
    periods = evidence.get("drift") or []
    roots = [str(one).partition(":")[2] or str(one) for one in (periods[0].get("roots") if periods else None) or []]
    lasting = bool(evidence.get("lasting"))
    if not roots:
        return (
            "la deriva por sí sola no obliga a entrenar"
            if fmt.language == "es"
            else "drift alone is no reason to train"
        )
    shown = fmt.listed([plain(one) for one in roots[:5]])
    if lasting:
        return (
            f"la deriva dura, pero hay pocas bajas nuevas de las que aprender: {shown}"
            if fmt.language == "es"
            else f"drift lasts, but there are too few new leavers to learn from: {shown}"
        )
    return (
        f"hay deriva que aún no dura: {shown}"
        if fmt.language == "es"
        else f"there is drift that does not last yet: {shown}"
    )


def significant(fmt: Format, value: float) -> str:
    """A number of any size with some significant digits."""
    if pd.isna(value) or not value:
        return fmt.number(value)
    return fmt.number(value, min(max(SIGNIFICANT - 1 - math.floor(math.log10(abs(value))), 0), 6))
