"""Drift of a run date: every check against the champion's baseline, alarms beyond chance, roots and what follows.

An alarm needs two things: the figure is beyond its limit, so that it matters, and beyond chance, by Holm's procedure
over all checks of the run date, so that a calm day stays silent with the probability that is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.config import DriftSettings
from spanishgas.errors import ContractError
from spanishgas.monitoring.baseline import RISK, Baseline, Profile
from spanishgas.monitoring.chance import holm
from spanishgas.monitoring.checks import CHECKS, distribution, missingness, prediction
from spanishgas.monitoring.dependants import find_roots
from spanishgas.monitoring.facts import Facts, Finding, Source, Watched

OK, ALARM, UNKNOWN = "ok", "alarm", "unknown"
ROOT, DEPENDANT, NONE = "root", "dependant", "none"
# More than this share of the used features unknown leaves the whole unknown where nothing alarms.
MOST_UNKNOWN = 0.5
# History that states and predictions are compared with, where there is a date that had it.
STATE_DAYS = 365
# Tables with a row a month: the newest lies up to a month and some days before a date.
MONTHLY = ("prices", "costs")
MONTH_DAYS = 45


@dataclass(frozen=True)
class Drift:
    """What a run date's comparison found.

    Attributes:
        facts: What was compared.
        findings: Every check's finding, causes before effects.
        checks: The table ``drift_checks`` but for ``run_date``.
        bins: The table ``drift_bins`` but for ``run_date``.
        state: ``ok``, ``alarm`` or ``unknown``.
    """

    facts: Facts
    findings: Sequence[Finding]
    checks: pd.DataFrame
    bins: pd.DataFrame
    state: str

    @property
    def alarms(self) -> pd.DataFrame:
        """The alarms, roots first."""
        found = self.checks[self.checks["state"] == ALARM]
        return found.sort_values("role", key=lambda role: role != ROOT, kind="stable")

    @property
    def roots(self) -> list[str]:
        """Root alarms as ``check:subject``."""
        found = self.checks[self.checks["role"] == ROOT]
        return [f"{row.check}:{row.subject}" for row in found.itertuples()]


def compare(
    baseline: Baseline,
    table: pd.DataFrame,
    risk: pd.Series,
    *,
    run_date: date,
    as_of: date,
    features: Mapping[str, Watched],
    sources: Mapping[str, Source],
    settings: DriftSettings,
) -> Drift:
    """Compares today's features and predictions with the baseline of the matching season.

    Args:
        baseline: The champion's.
        table: Today's features, one row per customer.
        risk: The champion's risk of the same rows.
        run_date: The run date.
        as_of: Date of the features.
        features: What is declared of the features.
        sources: What is known of the silver tables on the run date.
        settings: Limits.

    Raises:
        ContractError: Features that the champion was trained with are not in the table.
    """
    reference = baseline.dates[baseline.last_date]
    lacking = [name for name in reference if name != RISK and name not in table.columns]
    used = [name for name in lacking if name not in features or features[name].is_used]
    if used:
        raise ContractError(
            "features that the champion was trained with are not there",
            where=f"features of {as_of}",
            count=len(used),
            examples=used,
            todo="Build the features with the families that the champion knows, or train again",
        )
    watched = {name: features.get(name, Watched("other")) for name in reference if name not in (RISK, *lacking)}
    references, too_young = _references(baseline, as_of, watched, sources)
    shared = {name: baseline.dates[day][name] for name, day in references.items()}
    current = {
        name: Profile.of(risk if name == RISK else table[name], profile.bins) for name, profile in shared.items()
    }
    return judge(Facts(run_date, as_of, references, too_young, shared, current, watched, sources, settings))


def _references(
    baseline: Baseline, as_of: date, watched: Mapping[str, Watched], sources: Mapping[str, Source]
) -> tuple[dict[str, date], frozenset[str]]:
    """The learned date that each feature is compared with, and the features that have none.

    The nearest season among the dates at which the history was as long as the feature looks back, a year for states and
    predictions, and a month more where rows are of months: a year's sum over five months of history is another
    quantity, and the change over a year is not there yet while only the month before last is known.
    """
    used = {table for one in watched.values() if one.is_used for table in one.tables}
    wanted = {**watched, RISK: Watched("prediction", tuple(sorted(used)))}
    references, too_young = {}, set()
    for name, one in wanted.items():
        begun = [sources[table].oldest for table in one.tables if table in sources]
        since = max((day for day in begun if day is not None), default=None)
        days = one.window_days if one.window_days is not None else STATE_DAYS
        days += MONTH_DAYS if set(MONTHLY) & set(one.tables) else 0
        seen = [day for day in baseline.dates if since is None or (day - since).days >= days]
        if not seen and one.window_days is not None:
            too_young.add(name)
        references[name] = baseline.matching(as_of, seen or None)
    return references, frozenset(too_young)


def judge(facts: Facts) -> Drift:
    """Runs every check and tells alarms from what is calm or unknown."""
    findings = [finding for check in CHECKS.values() for finding in check(facts)]
    adjusted = holm([np.nan if one.p_value is None else one.p_value for one in findings])
    states = [_state(one, chance, facts.settings.alpha) for one, chance in zip(findings, adjusted, strict=True)]
    alarms = [one for one, state in zip(findings, states, strict=True) if state == ALARM]
    roots = find_roots(alarms, facts.features, facts.settings.dependants)
    rows = [_row(*one, roots) for one in zip(findings, adjusted, states, strict=True)]
    checks = pd.DataFrame(rows)
    return Drift(facts, findings, checks, _bins(facts), _overall(checks))


def _state(finding: Finding, chance: float, alpha: float) -> str:
    if finding.value is None:
        return UNKNOWN
    beyond = finding.value > finding.limit
    return ALARM if beyond and (finding.p_value is None or chance <= alpha) else OK


def _row(finding: Finding, chance: float, state: str, roots: Mapping[str, str]) -> dict[str, Any]:
    root = roots.get(finding.key, "")
    noise = state == OK and finding.value is not None and finding.value > finding.limit
    return {
        "check": finding.check,
        "subject": finding.subject,
        "family": finding.family,
        "state": state,
        "role": NONE if state != ALARM else ROOT if root == finding.key else DEPENDANT,
        "root": root,
        "value": _number(finding.value),
        "limit": float(finding.limit),
        "p_value": _number(finding.p_value),
        "p_adjusted": float(chance),
        "reference": _number(finding.reference),
        "current": _number(finding.current),
        "is_used": finding.is_used,
        "sentence": finding.sentence + (", which so few rows give by chance" if noise else ""),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _overall(checks: pd.DataFrame) -> str:
    """One word for all checks."""
    if (checks["state"] == ALARM).any():
        return ALARM
    predicted = checks[checks["check"] == prediction.NAME]
    used = checks[(checks["check"] == distribution.NAME) & checks["is_used"]]
    unknown = (used["state"] == UNKNOWN).mean() if len(used) else 1.0
    return UNKNOWN if (predicted["state"] == UNKNOWN).any() or unknown > MOST_UNKNOWN else OK


def _bins(facts: Facts) -> pd.DataFrame:
    """Shares per bin of the baseline and of today; bins that are empty on both sides are left out."""
    rows = []
    for name, profile in facts.reference.items():
        now = facts.current[name]
        if not profile.rows or not now.rows:
            continue
        shares = zip(profile.bins.labels, profile.counts / profile.rows, now.counts / now.rows, strict=True)
        rows += [
            {"subject": name, "place": place, "label": label, "reference_share": before, "current_share": after}
            for place, (label, before, after) in enumerate(shares)
            if before or after
        ]
    return pd.DataFrame(rows, columns=["subject", "place", "label", "reference_share", "current_share"])


def figures(drift: Drift) -> dict[str, float]:
    """Figures of a comparison under stable names; ``<figure>.<of what>`` is one thing's among many."""
    checks, whole = drift.checks, summary(drift)
    told = {
        "drift_alarms": float((checks["state"] == ALARM).sum()),
        "drift_roots": float((checks["role"] == ROOT).sum()),
        "drift_unknown": float((checks["state"] == UNKNOWN).sum()),
        "customers": float(drift.facts.current[RISK].rows),
        "reference_rows": float(drift.facts.reference[RISK].rows),
        "mean_risk": drift.facts.current[RISK].mean,
        "reference_mean_risk": drift.facts.reference[RISK].mean,
        "prediction_psi": whole["prediction_psi"],
        "largest_psi": whole["largest_psi"],
    }
    for name, check in (("psi", distribution.NAME), ("missing_change", missingness.NAME), ("psi", prediction.NAME)):
        for row in checks[checks["check"] == check].itertuples():
            told[f"{name}.{row.subject}"] = float(row.value)  # type: ignore[arg-type]
    for row in checks[checks["family"] == "source"].itertuples():
        told[f"{row.check}.{row.subject}"] = float(row.value)  # type: ignore[arg-type]
    return {name: value for name, value in told.items() if np.isfinite(value)}


def summary(drift: Drift) -> dict[str, Any]:
    """The row of ``drift_summary`` but for ``run_date`` and the model."""
    facts, checks = drift.facts, drift.checks
    judged = checks[(checks["check"] == distribution.NAME) & checks["value"].notna()]
    largest = judged.loc[judged["value"].idxmax()] if len(judged) else None
    risk = checks[checks["check"] == prediction.NAME]["value"].iloc[0]
    return {
        "state": drift.state,
        "roots": "|".join(drift.roots),
        "alarms": int((checks["state"] == ALARM).sum()),
        "root_alarms": len(drift.roots),
        "unknown": int((checks["state"] == UNKNOWN).sum()),
        "checks": len(checks),
        "customers": facts.current[RISK].rows,
        "reference_rows": facts.reference[RISK].rows,
        "as_of": pd.Timestamp(facts.as_of),
        "reference_as_of": pd.Timestamp(facts.reference_as_of),
        "season_gap_months": facts.season_gap,
        "prediction_psi": float(risk),
        "mean_risk": facts.current[RISK].mean,
        "reference_mean_risk": facts.reference[RISK].mean,
        "largest_psi": float("nan") if largest is None else float(largest["value"]),
        "largest_psi_feature": "" if largest is None else str(largest["subject"]),
    }
