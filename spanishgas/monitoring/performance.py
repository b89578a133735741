"""How good published scores were, once outcomes are mature; how good they should be where they are not.

A score is the risk if nothing is done. Those who were never targeted show it, and so do those who were chosen and held
out by chance: weighted by one over their chance of being held out, they stand for all who were chosen (Horvitz and
Thompson, Journal of the American Statistical Association 47, 1952). A handful cannot: five who stay, at ten times their
weight, would condemn any model. With too few of them the chosen count as their scores expect, in favour of the model,
and the others decide. Those who were offered something are told apart.

Where outcomes are not mature, outcomes are drawn from the scores themselves, many times: what the metrics are if the
scores are as calibrated as they were. Such figures are estimates and never a reason for an alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import PerformanceSettings
from spanishgas.evaluation import METRICS, Interval, evaluate, measure
from spanishgas.evaluation.metrics import Floats
from spanishgas.evaluation.shares import wilson

UNTREATED, NEVER, HELD_OUT, TREATED = "untreated", "never_targeted", "held_out", "treated"
MEASURED, ESTIMATED, UNKNOWN = "measured", "estimated", "unknown"
OK, ALARM = "ok", "alarm"
ALL, MONTH, SEGMENT = "all", "month", "segment"
# Calibration cannot be estimated from the scores: they would agree with themselves.
ESTIMABLE: Final = ("pr_auc", "roc_auc", "recall_at_10", "precision_at_10", "lift_at_10")
MAX_SIMULATED_ROWS: Final = 20_000
# Rows that a bootstrap draws from; bounds time and memory.
MAX_BOOTSTRAP_ROWS: Final = 20_000
RELIABILITY_BINS: Final = 10


@dataclass(frozen=True)
class Skill:
    """What the champion showed before its promotion, and so what it must keep.

    Attributes:
        figures: Metric -> value; without them ranking metrics have no floor.
    """

    figures: Mapping[str, float]

    def bounds(self, metric: str, base: float, settings: PerformanceSettings) -> tuple[float, float]:
        """Floor and ceiling of a metric; NaN where it has none.

        Args:
            metric: The metric.
            base: Share of leavers among the rows that are judged: PR-AUC of no skill is that share.
            settings: Limits.
        """
        nothing = float("nan")
        if metric == "observed_over_expected":
            return settings.observed_over_expected
        if metric == "calibration_slope":
            return settings.calibration_slope
        told, share = self.figures.get(metric), settings.min_skill_share
        if told is None:
            return nothing, nothing
        if metric == "roc_auc":
            return 0.5 + share * (told - 0.5), nothing
        if metric == "recall_at_10":
            return 0.1 + share * (told - 0.1), nothing
        if metric == "pr_auc" and self.base > 0:
            return base * (1 + share * (told / self.base - 1)), nothing
        return nothing, nothing

    @property
    def base(self) -> float:
        """Share of leavers that the figures were taken on; 0 where they do not tell."""
        precision, lift = self.figures.get("precision_at_10", 0.0), self.figures.get("lift_at_10", 0.0)
        return precision / lift if lift > 0 else 0.0


@dataclass(frozen=True)
class Performance:
    """What was found.

    Attributes:
        table: The table ``model_performance`` but for ``run_date``.
        reliability: The table ``performance_reliability`` but for ``run_date``.
        state: ``ok``, ``alarm`` or ``unknown``.
        left_out: What was not judged, and why.
        notes: What a reader must know of who was judged.
    """

    table: pd.DataFrame
    reliability: pd.DataFrame
    state: str
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def alarms(self) -> pd.DataFrame:
        """Figures that are beyond a bound with their whole interval."""
        return self.table[self.table["state"] == ALARM]

    @property
    def counted(self) -> pd.DataFrame:
        """Those of them that the state is made of."""
        found = _counted(self.table)
        return found[found["state"] == ALARM]


def judge(
    rows: pd.DataFrame,
    skill: Skill,
    settings: PerformanceSettings,
    *,
    current: str,
    left_out: Sequence[str] = (),
) -> Performance:
    """Judges published scores.

    Args:
        rows: One row per customer and date of features: ``customer_id``, ``as_of``, ``risk``, ``is_mature``,
            ``outcome`` (1 left, 0 stayed, NaN not known, of the untreated), ``weight``, ``outcome_any`` (whatever was
            offered), ``role`` (never_targeted, held_out, treated), ``segment``, ``segment_name``, ``model_version``,
            ``model_digest``.
        skill: What the champion showed.
        settings: Limits.
        current: Digest of the champion: all months and segments are told of its scores where any are mature.
        left_out: What was not judged, and why.
    """
    mature = rows[rows["is_mature"]]
    own = mature[mature["model_digest"] == current]
    judged = own if len(own) else mature
    parts = [(ALL, ALL, "all mature months", judged)]
    parts += [(MONTH, _iso(day), _month(day), month) for day, month in mature.groupby("as_of")]
    parts += [
        (SEGMENT, str(segment), str(some["segment_name"].iloc[0]), some)
        for segment, some in judged.groupby("segment")
        if segment
    ]
    told: list[dict[str, Any]] = []
    for group, member, label, some in parts:
        for population in _populations(some):
            part = _of(some, population, settings)
            if len(part):
                told += _measured(part, population, group, member, label, skill, settings)
        if not (some["role"] != NEVER).any():  # the same customers under both names
            told += [{**row, "population": NEVER} for row in told if _is(row, UNTREATED, group, member)]
    for day, month in rows[~rows["is_mature"]].groupby("as_of"):
        told += _estimated(month, MONTH, _iso(day), _month(day), settings)
    table = pd.DataFrame(told, columns=COLUMNS)
    return Performance(table, _reliability(judged, settings), overall(table), left_out, _notes(judged, settings))


def _populations(rows: pd.DataFrame) -> tuple[str, ...]:
    """Populations that differ among some rows."""
    return (UNTREATED, NEVER, HELD_OUT, TREATED) if (rows["role"] != NEVER).any() else (UNTREATED,)


def _is(row: Mapping[str, Any], population: str, group: str, member: str) -> bool:
    return (row["population"], row["group"], row["member"]) == (population, group, member)


COLUMNS = [
    "population",
    "group",
    "member",
    "label",
    "metric",
    "status",
    "value",
    "lo",
    "hi",
    "floor",
    "ceiling",
    "state",
    "rows",
    "weight",
    "leavers",
    "observed",
    "expected",
    "model_version",
]


def overall(table: pd.DataFrame) -> str:
    """One word for the figures that count."""
    counted = _counted(table)
    if (counted["state"] == ALARM).any():
        return ALARM
    return OK if (counted["status"] == MEASURED).any() else UNKNOWN


def _counted(table: pd.DataFrame) -> pd.DataFrame:
    """The untreated over all mature months, and in the newest of them: more would alarm by being many."""
    untreated = table[(table["population"] == UNTREATED) & table["status"].isin([MEASURED, UNKNOWN])]
    months = untreated[(untreated["group"] == MONTH) & (untreated["status"] == MEASURED)]
    newest = months["member"].max() if len(months) else ""
    return untreated[(untreated["group"] == ALL) | ((untreated["group"] == MONTH) & (untreated["member"] == newest))]


def _of(rows: pd.DataFrame, population: str, settings: PerformanceSettings) -> pd.DataFrame:
    """The rows of a population whose outcome is known, with its outcome and weight, and whether it is ``expected``.

    An expected outcome is two rows: one that left, weighing the risk, and one that stayed, weighing the rest.
    """
    if population == TREATED:
        part = rows[rows["role"] == TREATED]
        part = part.assign(weight=1.0, outcome=part["outcome_any"], expected=False)
        return part[part["outcome"].notna()]
    if population != UNTREATED:
        part = rows[(rows["role"] == population) & rows["outcome"].notna()]
        return part.assign(expected=False)
    chosen = rows["role"] != NEVER
    known = rows[rows["outcome"].notna() & (rows["role"] != TREATED)].assign(expected=False)
    if not chosen.any() or (known["role"] == HELD_OUT).sum() >= settings.min_held_out:
        return known
    some = rows[chosen].assign(expected=True)
    leave = some.assign(outcome=1.0, weight=some["risk"])
    stay = some.assign(outcome=0.0, weight=1.0 - some["risk"])
    return pd.concat([known[known["role"] == NEVER], leave, stay], ignore_index=True)


def _measured(
    part: pd.DataFrame,
    population: str,
    group: str,
    member: str,
    label: str,
    skill: Skill,
    settings: PerformanceSettings,
) -> list[dict[str, Any]]:
    outcome, risk = part["outcome"].to_numpy(np.float64), part["risk"].to_numpy(np.float64)
    weight = part["weight"].to_numpy(np.float64)
    seen = ~part["expected"].to_numpy(bool)
    leavers = int(outcome[seen].sum())
    rows = int(seen.sum() + (~seen).sum() // 2)
    observed = float(np.average(outcome, weights=weight))
    facts = {
        "population": population,
        "group": group,
        "member": member,
        "label": label,
        "rows": rows,
        "weight": float(weight.sum()),
        "leavers": leavers,
        "observed": observed,
        "expected": float(np.average(risk, weights=weight)),
        "model_version": _versions(part),
    }
    enough = seen.sum() >= settings.min_rows and leavers >= settings.min_leavers
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    found = (
        _evaluate(outcome, risk, weight, part["customer_id"].to_numpy(object), settings)
        if enough
        else dict.fromkeys(METRICS, nothing)
    )
    told = []
    for metric in METRICS:
        one = found[metric]
        # Offers are meant to change who leaves: a bound on the treated would alarm at their success.
        floor, ceiling = (
            (float("nan"), float("nan")) if population == TREATED else skill.bounds(metric, observed, settings)
        )
        known = bool(np.isfinite(one.value))
        told.append(
            {
                **facts,
                "metric": metric,
                "status": MEASURED if known else UNKNOWN,
                "value": one.value,
                "lo": one.lo,
                "hi": one.hi,
                "floor": floor,
                "ceiling": ceiling,
                "state": _state(one, floor, ceiling) if known else UNKNOWN,
            }
        )
    return told


def _evaluate(
    outcome: Floats, risk: Floats, weight: Floats, customers: npt.NDArray[np.object_], settings: PerformanceSettings
) -> dict[str, Interval]:
    """All metrics with intervals; where there are very many rows, those of a sample of customers, drawn together.

    Widths shrink with the root of the number of rows, so a sample's widths, times the root of its share, are those of
    all (m out of n bootstrap: Bickel, Goetze and van Zwet, Statistica Sinica 7, 1997). Values are of all rows.
    """
    told = {"replicates": settings.replicates, "seed": settings.seed}
    if len(outcome) <= MAX_BOOTSTRAP_ROWS:
        return evaluate(outcome, risk, customers, weight=weight, **told)
    codes, names = pd.factorize(customers)
    count = max(len(names) * MAX_BOOTSTRAP_ROWS // len(outcome), 1)
    drawn = np.random.default_rng(settings.seed).choice(len(names), count, replace=False)
    some = np.isin(codes, drawn)
    shrink = float(np.sqrt(some.sum() / len(outcome)))
    sample = evaluate(outcome[some], risk[some], customers[some], weight=weight[some], **told)
    return {
        name: Interval(
            one.value,
            one.value - (sample[name].value - sample[name].lo) * shrink,
            one.value + (sample[name].hi - sample[name].value) * shrink,
        )
        for name, one in evaluate(outcome, risk, customers, weight=weight, replicates=0).items()
    }


def _state(one: Interval, floor: float, ceiling: float) -> str:
    below = np.isfinite(floor) and np.isfinite(one.hi) and one.hi < floor
    above = np.isfinite(ceiling) and np.isfinite(one.lo) and one.lo > ceiling
    return ALARM if below or above else OK


def _estimated(
    rows: pd.DataFrame, group: str, member: str, label: str, settings: PerformanceSettings
) -> list[dict[str, Any]]:
    risk = rows["risk"].to_numpy(np.float64)
    enough = len(rows) >= settings.min_rows and risk.sum() >= settings.min_leavers
    found = simulate(risk, settings) if enough else {}
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    told = []
    for metric in ESTIMABLE:
        one = found.get(metric, nothing)
        known = bool(np.isfinite(one.value))
        told.append(
            {
                "population": UNTREATED,
                "group": group,
                "member": member,
                "label": label,
                "metric": metric,
                "status": ESTIMATED if known else UNKNOWN,
                "value": one.value,
                "lo": one.lo,
                "hi": one.hi,
                "floor": float("nan"),
                "ceiling": float("nan"),
                "state": UNKNOWN,
                "rows": len(rows),
                "weight": float(len(rows)),
                "leavers": None,
                "observed": float("nan"),
                "expected": float(risk.mean()) if len(rows) else float("nan"),
                "model_version": _versions(rows),
            }
        )
    return told


def simulate(risk: Floats, settings: PerformanceSettings) -> dict[str, Interval]:
    """Metrics of risks against outcomes drawn from them: the mean and the middle 95 % of the draws.

    A sample of 20,000 stands for more rows, with the interval of so many: wider than it need be.

    Args:
        risk: Probabilities, shape (rows,).
        settings: Draws and seed.
    """
    generator = np.random.default_rng(settings.seed)
    if len(risk) > MAX_SIMULATED_ROWS:
        risk = generator.choice(risk, MAX_SIMULATED_ROWS, replace=False)
    # Every row stands twice, as a leaver and as a stayer; the draw decides which of the two counts.
    doubled, outcome = np.concatenate([risk, risk]), np.repeat([1.0, 0.0], len(risk))
    drawn: dict[str, list[Floats]] = {name: [] for name in ESTIMABLE}
    left, batch = settings.replicates, 25
    while left > 0:
        draws = (generator.random((min(left, batch), len(risk))) < risk).astype(np.float64)
        told = measure(outcome, doubled, np.hstack([draws, 1 - draws]))
        for name in ESTIMABLE:
            drawn[name].append(told[name])
        left -= batch
    found = {}
    for name, parts in drawn.items():
        values = np.concatenate(parts)
        values = values[np.isfinite(values)]
        if len(values):
            lo, hi = np.percentile(values, [2.5, 97.5])
            found[name] = Interval(float(values.mean()), float(lo), float(hi))
    return found


def _notes(judged: pd.DataFrame, settings: PerformanceSettings) -> list[str]:
    """What a reader must know of the populations."""
    part = _of(judged, UNTREATED, settings)
    if not part["expected"].any():
        return []
    chosen = int(part["expected"].sum() // 2)
    held = int(((judged["role"] == HELD_OUT) & judged["outcome"].notna()).sum())
    return [
        f"of {chosen:,} who were chosen {held:,} were held out, too few to stand for them ({settings.min_held_out} are "
        "needed): where nothing is done, the chosen count as their scores expect"
    ]


def _reliability(rows: pd.DataFrame, settings: PerformanceSettings) -> pd.DataFrame:
    """Predicted and observed by bins of equal mass; intervals count each row for its weight's effective size."""
    told = []
    for population in (UNTREATED, NEVER, HELD_OUT, TREATED):
        part = _of(rows, population, settings).sort_values(["risk", "customer_id", "as_of", "outcome"])
        if len(part) < RELIABILITY_BINS:
            continue
        place: npt.NDArray[np.int64] = np.arange(len(part)) * RELIABILITY_BINS // len(part)
        for number, some in part.groupby(place):
            weight = some["weight"].to_numpy(np.float64)
            effective = weight.sum() ** 2 / (weight**2).sum()
            share = float(np.average(some["outcome"], weights=weight))
            _, lo, hi = wilson(share * effective, effective)
            told.append(
                {
                    "population": population,
                    "place": number,
                    "rows": len(some),
                    "predicted": float(np.average(some["risk"], weights=weight)),
                    "observed": share,
                    "lo": max(lo, 0.0),
                    "hi": min(hi, 1.0),
                }
            )
    return pd.DataFrame(told, columns=["population", "place", "rows", "predicted", "observed", "lo", "hi"])


def _versions(rows: pd.DataFrame) -> str:
    return "|".join(sorted(set(rows["model_version"].astype(str)), key=lambda one: (len(one), one)))


def _iso(day: Any) -> str:
    return pd.Timestamp(day).date().isoformat()


def _month(day: Any) -> str:
    return f"{pd.Timestamp(day).date():%Y-%m}"


def seen_by(as_of: date, outcomes_until: date) -> bool:
    """Whether a model can have learned outcomes of the time that its scores of a date are about."""
    return as_of < outcomes_until
