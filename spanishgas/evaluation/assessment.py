"""All figures of one model: over the horizon, per window, by month and by group, under one set of names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.evaluation.intervals import Interval, evaluate
from spanishgas.evaluation.metrics import METRICS, Floats

HORIZON: Final = "horizon"
MIN_ROWS: Final = 200
MIN_LEAVERS: Final = 10
# Figures that are told per window, month and group.
SHOWN: Final = ("roc_auc", "pr_auc", "observed_over_expected", "calibration_slope", "ece")


@dataclass(frozen=True)
class Scored:
    """Scores beside what happened.

    Attributes:
        customers: Whom each row belongs to.
        as_of: Date of each row.
        risk: Probability of leaving within the horizon.
        outcome: 1 left, 0 stayed, NaN not known.
        weight: Weight of the outcome.
        hazards: Window -> hazard, outcome (NaN where not at risk or not known) and weight of each row.
    """

    customers: npt.NDArray[np.object_]
    as_of: npt.NDArray[np.object_]
    risk: Floats
    outcome: Floats
    weight: Floats
    hazards: Mapping[str, tuple[Floats, Floats, Floats]]

    def take(self, chosen: npt.NDArray[np.bool_]) -> "Scored":
        """Some of the rows."""
        return Scored(
            self.customers[chosen],
            self.as_of[chosen],
            self.risk[chosen],
            self.outcome[chosen],
            self.weight[chosen],
            {name: (a[chosen], b[chosen], c[chosen]) for name, (a, b, c) in self.hazards.items()},
        )

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Rows whose outcome over the horizon is known."""
        return np.isfinite(self.outcome)


def assess(scored: Scored, *, replicates: int, seed: int = 0) -> dict[str, Interval]:
    """All metrics of the risk over the horizon, on the rows whose outcome is known."""
    known = scored.known
    return evaluate(
        scored.outcome[known],
        scored.risk[known],
        scored.customers[known],
        weight=scored.weight[known],
        replicates=replicates,
        seed=seed,
    )


def named(split: str, figures: Mapping[str, Interval]) -> dict[str, float]:
    """Figures under the names of runs, ``<split>_<metric>`` and ``_lo``, ``_hi``; undefined ones are left out."""
    found = {}
    for name, interval in figures.items():
        for suffix, value in (("", interval.value), ("_lo", interval.lo), ("_hi", interval.hi)):
            if np.isfinite(value):
                found[f"{split}_{name}{suffix}"] = value
    return found


def by_window(scored: Scored, *, replicates: int, seed: int = 0) -> pd.DataFrame:
    """Calibration and ranking of each window among those still at risk, and of the horizon.

    Returns:
        Columns ``window``, ``rows``, ``leavers``, ``expected``, and for each of ``SHOWN`` the value, ``_lo``, ``_hi``.
    """
    table = []
    for window, (hazard, outcome, weight) in {
        **scored.hazards,
        HORIZON: (scored.risk, scored.outcome, scored.weight),
    }.items():
        known = np.isfinite(outcome)
        table.append(
            {
                "window": window,
                **_figures(outcome[known], hazard[known], weight[known], scored.customers[known], replicates, seed),
            }
        )
    return pd.DataFrame(table)


def by_group(scored: Scored, groups: Mapping[str, Sequence[object]], *, replicates: int, seed: int = 0) -> pd.DataFrame:
    """Figures of the horizon told apart by features' values and by `as_of`.

    Args:
        scored: The scores.
        groups: Feature -> value of each row.
        replicates: Bootstrap replicates.
        seed: Their seed.

    Returns:
        Columns ``group``, ``value`` and those of ``by_window``. A value with fewer than 200 rows or 10 leavers is told
        with its counts only: its figures would be noise.
    """
    known = scored.known
    told = scored.take(known)
    table = []
    for group, values in {"as_of": scored.as_of, **groups}.items():
        labels = pd.Series(np.asarray(values, dtype=object)[known]).map(str)
        for value in sorted(labels.unique()):
            chosen = (labels == value).to_numpy()
            part = told.take(chosen)
            enough = chosen.sum() >= MIN_ROWS and part.outcome.sum() >= MIN_LEAVERS
            figures = _figures(
                part.outcome, part.risk, part.weight, part.customers, replicates if enough else 0, seed, told=enough
            )
            table.append({"group": group, "value": value, **figures})
    return pd.DataFrame(table)


def _figures(
    outcome: Floats,
    score: Floats,
    weight: Floats,
    customers: npt.NDArray[np.object_],
    replicates: int,
    seed: int,
    *,
    told: bool = True,
) -> dict[str, float]:
    counts = {
        "rows": len(outcome),
        "leavers": int(outcome.sum()),
        "observed": float(np.average(outcome, weights=weight)) if len(outcome) else np.nan,
        "expected": float(np.average(score, weights=weight)) if len(outcome) else np.nan,
    }
    nothing = Interval(np.nan, np.nan, np.nan)
    found = (
        evaluate(outcome, score, customers, weight=weight, replicates=replicates, seed=seed)
        if told and len(outcome)
        else dict.fromkeys(METRICS, nothing)
    )
    spread: dict[str, float] = {}
    for name in SHOWN:
        spread |= {name: found[name].value, f"{name}_lo": found[name].lo, f"{name}_hi": found[name].hi}
    return {**counts, **spread}


def share_of_ceiling(scored: Scored, truth: Floats) -> float:
    """How much of what the true probabilities reach in PR-AUC, above chance, the scores reach.

    (score - base rate) / (truth - base rate) on the same rows; rows without a true probability are left out.

    Returns:
        NaN where truth does not beat chance.
    """
    known = scored.known & np.isfinite(truth)
    if not known.any():
        return float("nan")
    outcome, weight = scored.outcome[known], scored.weight[known]
    reached, ceiling = (
        evaluate(outcome, score[known], weight=weight, replicates=0)["pr_auc"].value for score in (scored.risk, truth)
    )
    base = float(np.average(outcome, weights=weight))
    return (reached - base) / (ceiling - base) if ceiling > base else float("nan")
