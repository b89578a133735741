"""Gates: what a challenger must reach before it decides about customers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from spanishgas.config import GateSettings
from spanishgas.models.contest import BASELINE, CHALLENGER, CHAMPION, Contest

# Says why a figure does not reach a limit, or None: metric, value, limit, whether greater is better.
Validate = Callable[[str, float, float, bool], str | None]
State = Literal["passed", "failed", "not asked"]
FAST: Final = "fast"
# Identifiers of all gates; readers in other languages go by them.
NAMES: Final = (
    "comparable",
    "features",
    "ranks",
    "calibrated",
    FAST,
    "baseline",
    "better",
    "not_worse",
    "calibration",
    "groups",
)
# So many faults of a gate are told in a reason; all of them stand in the gate's own sentence.
TOLD_FAULTS = 2


@dataclass(frozen=True)
class Gate:
    """One gate and how the challenger came through.

    Attributes:
        name: Stable identifier.
        state: ``not asked`` where there is nothing to compare with.
        sentence: The figures and the limit, in words.
        brief: The same in short: the first faults only.
    """

    name: str
    state: State
    sentence: str
    brief: str


def pass_gates(
    contest: Contest,
    settings: GateSettings,
    *,
    produced: Mapping[str, str],
    needed: Mapping[str, str],
    validate: Validate,
) -> list[Gate]:
    """Sends the challenger through all gates but ``fast``, which every run that decides judges by its own timing.

    Args:
        contest: The comparison.
        settings: Limits.
        produced: Feature -> type, of what the feature stage makes now.
        needed: Feature -> type, of what the challenger takes.
        validate: Holds a figure against a limit.
    """
    gates = [_comparable(contest), _features(produced, needed)]
    if CHALLENGER not in contest.figures:
        return gates
    gates += [
        _ranks(contest, settings, validate),
        _calibrated(contest, settings, validate),
        _not_timed(settings),
        _not_below_baseline(contest, settings),
    ]
    if CHAMPION in contest.left_out:
        why = f"the champion {contest.labels[CHAMPION]} {contest.left_out[CHAMPION]}"
    else:
        why = "there is no champion"
    if CHAMPION not in contest.figures:
        return gates + [_not_asked(name, why) for name in ("better", "not_worse", "calibration", "groups")]
    return [
        *gates,
        _better(contest, settings),
        _not_worse(contest, settings),
        _calibration(contest, settings),
        _groups(contest, settings),
    ]


def table_of(gates: list[Gate]) -> pd.DataFrame:
    """Gates as a table."""
    return pd.DataFrame([{"gate": one.name, "state": one.state, "sentence": one.sentence} for one in gates])


def to_json(gates: Sequence[Gate]) -> str:
    """Gates as text that ``from_json`` reads."""
    return json.dumps([asdict(one) for one in gates], indent=1) + "\n"


def from_json(text: str) -> list[Gate]:
    """Gates as ``to_json`` wrote them."""
    return [Gate(**one) for one in json.loads(text)]


def with_speed(
    gates: Sequence[Gate], speed: Mapping[str, float], settings: GateSettings, validate: Validate
) -> list[Gate]:
    """Gates with ``fast`` judged: cheap enough to score everybody, and one customer while someone waits.

    Args:
        gates: Gates as ``pass_gates`` gave them; without ``fast`` where nothing could be compared.
        speed: ``row_ms``, ``thousand_rows_ms``, ``size_mib``.
        settings: Limits.
        validate: Holds a figure against a limit.
    """
    faults = [
        f"{name} {speed[name]:.2f}, allowed {limit:g}" if validate(name, speed[name], limit, False) else None
        for name, limit in _speed_limits(settings).items()
    ]
    judged = _gate(FAST, faults, ", ".join(f"{name} {speed[name]:.2f}" for name in speed))
    return [judged if one.name == FAST else one for one in gates]


def reason_of(gates: Sequence[Gate], champion: str = "") -> str:
    """Why the challenger is promoted or not, in one or two sentences.

    Args:
        gates: All gates.
        champion: What readers know the champion by.
    """
    failed = [one for one in gates if one.state == "failed"]
    if failed:
        return "Failed: " + "; ".join(f"{one.name} ({one.brief})" for one in failed) + "."
    found = {one.name: one for one in gates}
    if found["better"].state == "passed":
        return f"Better than the champion {champion} beyond noise, nothing much worse: {found['better'].brief}."
    if found["not_worse"].state == "passed":
        return f"Younger than the champion {champion}, nothing much worse: {found['better'].brief}."
    return f"Passes the gates that need no champion ({found['better'].brief}): {found['ranks'].brief}."


def _gate(name: str, faults: list[str | None], sentence: str) -> Gate:
    found = [fault for fault in faults if fault]
    if not found:
        return Gate(name, "passed", sentence, sentence)
    more = f" and {len(found) - TOLD_FAULTS} more" if len(found) > TOLD_FAULTS else ""
    return Gate(name, "failed", "; ".join(found), "; ".join(found[:TOLD_FAULTS]) + more)


def _not_asked(name: str, why: str) -> Gate:
    return Gate(name, "not asked", why, why)


def _comparable(contest: Contest) -> Gate:
    """The challenger may be judged on these rows at all."""
    fault = contest.left_out.get(CHALLENGER)
    days = contest.days
    return _gate(
        "comparable",
        [f"the challenger {fault}" if fault else None],
        f"{contest.rows:,} test rows of {days[0]} to {days[-1]}, after everything that was learned from",
    )


def _features(produced: Mapping[str, str], needed: Mapping[str, str]) -> Gate:
    """What the model takes is still made, in the same type."""
    missing = sorted(set(needed) - set(produced))
    changed = sorted(name for name in set(needed) & set(produced) if needed[name] != produced[name])
    return _gate(
        "features",
        [
            f"{len(missing)} features are no longer made: {', '.join(missing[:5])}" if missing else None,
            f"{len(changed)} features have another type now: {', '.join(changed[:5])}" if changed else None,
        ],
        f"all {len(needed)} features are made",
    )


def _ranks(contest: Contest, settings: GateSettings, validate: Validate) -> Gate:
    """Better than chance."""
    roc = contest.figures[CHALLENGER]["roc_auc"]
    text = f"ROC-AUC {roc.value:.3f} ({roc.lo:.3f} to {roc.hi:.3f}), needed beyond noise: {settings.min_roc_auc}"
    fault = validate("roc_auc_lo", _bound(roc.lo, roc.value), settings.min_roc_auc, True)
    return _gate("ranks", [text if fault else None], text)


def _calibrated(contest: Contest, settings: GateSettings, validate: Validate) -> Gate:
    """Probabilities that are true enough to count euros with; only a loss beyond noise counts."""
    faults, told = [], []
    for metric, (low, high) in (
        ("calibration_slope", settings.calibration_slope),
        ("observed_over_expected", settings.observed_over_expected),
    ):
        one = contest.figures[CHALLENGER][metric]
        text = f"{metric} {one.value:.2f} ({one.lo:.2f} to {one.hi:.2f}), allowed {low} to {high}"
        wrong = (
            validate(f"{metric}_hi", _bound(one.hi, one.value), low, True),
            validate(f"{metric}_lo", _bound(one.lo, one.value), high, False),
        )
        faults.append(text if any(wrong) else None)
        told.append(text)
    return _gate("calibrated", faults, "; ".join(told))


def _speed_limits(settings: GateSettings) -> dict[str, float]:
    return {
        "row_ms": settings.max_row_ms,
        "thousand_rows_ms": settings.max_thousand_rows_ms,
        "size_mib": settings.max_size_mib,
    }


def _not_timed(settings: GateSettings) -> Gate:
    """A timing differs each time: two comparisons of the same models are to be equal, and a bad moment is to pass."""
    limits = ", ".join(f"{name} {limit:g}" for name, limit in _speed_limits(settings).items())
    return _not_asked(FAST, f"judged anew by every run that decides; allowed: {limits}")


def _not_below_baseline(contest: Contest, settings: GateSettings) -> Gate:
    """Not worse than the interpretable baseline beyond noise."""
    if BASELINE not in contest.differences:
        why = contest.left_out.get(BASELINE)
        return _not_asked("baseline", f"the baseline {why}" if why else "there is no other baseline")
    return _none_worse("baseline", contest, BASELINE, settings)


def _better(contest: Contest, settings: GateSettings) -> Gate:
    """Better than the champion beyond noise on at least one metric, unless it is the same recipe on younger rows."""
    if contest.younger is not None:
        theirs, ours = contest.younger
        return _not_asked("better", f"the champion's recipe, learned from rows until {ours} instead of {theirs}")
    found = contest.differences[CHAMPION]
    told = "; ".join(_told(metric, contest, CHAMPION) for metric in settings.better_on)
    gained = any(found[metric].lo > 0 for metric in settings.better_on)
    return _gate("better", [None if gained else f"no gain beyond noise: {told}"], told)


def _not_worse(contest: Contest, settings: GateSettings) -> Gate:
    """Not worse than the champion beyond noise on any of them."""
    return _none_worse("not_worse", contest, CHAMPION, settings)


def _none_worse(name: str, contest: Contest, role: str, settings: GateSettings) -> Gate:
    told = {metric: _told(metric, contest, role) for metric in settings.better_on}
    faults = [
        f"worse than the {role} beyond noise: {told[metric]}" if contest.differences[role][metric].hi < 0 else None
        for metric in settings.better_on
    ]
    return _gate(name, faults, f"not worse than the {role} beyond noise: {'; '.join(told.values())}")


def _calibration(contest: Contest, settings: GateSettings) -> Gate:
    """ECE does not grow much over the champion's."""
    ece, limit = contest.differences[CHAMPION]["ece"], settings.max_ece_growth * contest.base_rate
    text = (
        f"ECE {ece.first:.4f} -> {ece.second:.4f} ({ece.lo:+.4f} to {ece.hi:+.4f}), allowed {limit:+.4f} beyond noise"
    )
    return _gate("calibration", [text if ece.lo > 0 and ece.difference > limit else None], text)


def _groups(contest: Contest, settings: GateSettings) -> Gate:
    """No month, segment or group is much worse off: the whole interval of the loss lies beyond the limit."""
    faults: list[str | None] = []
    for row in contest.groups.to_dict("records"):
        if row["metric"] == "pr_auc":
            much = row["hi"] < -settings.max_group_pr_auc_loss * row["first"]
        else:
            much = row["lo"] > settings.max_group_log_loss_growth * row["first"]
        if much:
            faults.append(
                f"{row['group']} = {row['value']}: {row['metric']} {row['first']:.4f} -> {row['second']:.4f} "
                f"({row['lo']:+.4f} to {row['hi']:+.4f})"
            )
    count = len(contest.groups[["group", "value"]].drop_duplicates())
    return _gate("groups", faults, f"none of {count} months and groups much worse")


def _told(metric: str, contest: Contest, role: str) -> str:
    one = contest.differences[role][metric]
    return f"{metric} {one.first:.4f} -> {one.second:.4f} ({one.difference:+.4f}, 95 %: {one.lo:+.4f} to {one.hi:+.4f})"


def _bound(bound: float, value: float) -> float:
    """A bound of the interval; the value itself where no replicate was drawn."""
    return bound if np.isfinite(bound) else value
