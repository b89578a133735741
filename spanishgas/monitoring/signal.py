"""Whether to train again: a rule over what monitoring has published, with its reasons and what speaks against it.

- No champion: train.
- Mature performance beyond a bound with its whole interval: train.
- The same drift of a feature that the champion uses, or of its predictions, at several feature dates in a row, and
  enough new leavers to learn from: train. Drift alone means to look.
- The champion learned from data that are too old: train.
- Soon after a training, judged by the end of its data, nothing but a missing champion counts: the same data would give
  the same model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from spanishgas.config import SignalSettings

NO_CHAMPION, PERFORMANCE, DRIFT, AGE = "no_champion", "performance", "persistent_drift", "age"
COOLDOWN = "cooldown"


@dataclass(frozen=True)
class DriftPeriod:
    """The drift of one feature date.

    Attributes:
        as_of: Date of the features.
        run_date: Run date that it was told on.
        alarms: ``check:subject`` of the alarms that the champion is concerned by.
        roots: All root alarms.
        state: ``ok``, ``alarm`` or ``unknown``.
    """

    as_of: date
    run_date: date
    alarms: frozenset[str]
    roots: tuple[str, ...] = ()
    state: str = "ok"


@dataclass(frozen=True)
class Evidence:
    """What the rule looks at.

    Attributes:
        run_date: The run date.
        champion: Version of the champion; empty without one.
        learned_until: Last date that it learned from; None where that is not told.
        trained_until: End of the data of the model trained last; None where that is not told.
        new_leavers: Leavers registered since the champion's data ended; None where that is not told.
        performance: Sentences of the figures beyond their bounds, of this champion's mature scores.
        performance_state: ``ok``, ``alarm``, ``unknown``, or ``not published``.
        drift: Of this champion, one per feature date, newest first.
    """

    run_date: date
    champion: str = ""
    learned_until: date | None = None
    trained_until: date | None = None
    new_leavers: int | None = None
    performance: Sequence[str] = ()
    performance_state: str = "not published"
    drift: Sequence[DriftPeriod] = ()


@dataclass(frozen=True)
class Signal:
    """What came of it.

    Attributes:
        retrain: Train again.
        investigate: Something drifts or performs badly.
        reasons: Why to train, held back or not.
        held_back_by: ``cooldown``, or empty.
        sentences: The same in words.
        facts: Figures behind it.
    """

    retrain: bool
    investigate: bool
    reasons: tuple[str, ...]
    held_back_by: str
    sentences: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, run_date: date, champion: str) -> str:
        """The signal for schedulers."""
        told = {
            "run_date": run_date.isoformat(),
            "retrain": self.retrain,
            "investigate": self.investigate,
            "reasons": list(self.reasons),
            "held_back_by": self.held_back_by,
            "model_version": champion,
            "sentences": list(self.sentences),
            "evidence": dict(self.facts),
        }
        return json.dumps(told, indent=1) + "\n"


def decide(evidence: Evidence, settings: SignalSettings) -> Signal:
    """Applies the rule."""
    if not evidence.champion:
        text = ("there is no champion yet",)
        return Signal(True, False, (NO_CHAMPION,), "", text, {"performance": evidence.performance_state})
    age = _days(evidence.run_date, evidence.learned_until)
    since = _days(evidence.run_date, evidence.trained_until)
    lasting = persistent(evidence.drift, settings.drift_periods)
    newest = evidence.drift[0] if evidence.drift else None
    reasons, sentences = [], []
    if evidence.performance:
        reasons.append(PERFORMANCE)
        sentences.append(f"mature performance is beyond its bounds: {'; '.join(evidence.performance)}")
    if lasting:
        shown = ", ".join(sorted(lasting)[:5])
        enough = evidence.new_leavers is not None and evidence.new_leavers >= settings.min_new_leavers
        leavers = "an unknown number of" if evidence.new_leavers is None else f"{evidence.new_leavers:,}"
        told = f"{shown} at {settings.drift_periods} feature dates in a row, {leavers} new leavers"
        if enough:
            reasons.append(DRIFT)
            sentences.append(f"lasting drift: {told}")
        else:
            sentences.append(
                f"lasting drift, but too few outcomes to learn from ({settings.min_new_leavers:,}): {told}"
            )
    elif newest is not None and newest.alarms:
        sentences.append(f"drift of {newest.as_of} that does not last yet: look at {', '.join(newest.roots[:5])}")
    if age is not None and age > settings.max_age_days:
        reasons.append(AGE)
        sentences.append(
            f"the champion learned from data until {evidence.learned_until}, {age} days ago; {settings.max_age_days} "
            "are allowed"
        )
    cooling = bool(reasons) and since is not None and since < settings.cooldown_days
    if cooling:
        sentences.append(
            f"held back: the model trained last had data until {evidence.trained_until}, {since} days ago, and the "
            f"next training comes after {settings.cooldown_days} at the earliest"
        )
    return Signal(
        retrain=bool(reasons) and not cooling,
        investigate=bool(evidence.performance) or bool(newest is not None and newest.roots),
        reasons=tuple(reasons),
        held_back_by=COOLDOWN if cooling else "",
        sentences=tuple(sentences) or ("nothing speaks for training again",),
        facts={
            "model_age_days": age,
            "days_since_training": since,
            "new_leavers": evidence.new_leavers,
            "performance": evidence.performance_state,
            "performance_alarms": list(evidence.performance),
            "drift": [
                {
                    "as_of": one.as_of.isoformat(),
                    "run_date": one.run_date.isoformat(),
                    "state": one.state,
                    "roots": list(one.roots),
                    "alarms": sorted(one.alarms),
                }
                for one in evidence.drift[: settings.drift_periods]
            ],
            "lasting": sorted(lasting),
        },
    )


def persistent(drift: Sequence[DriftPeriod], periods: int) -> frozenset[str]:
    """Alarms that the newest feature dates have in common; none while there are fewer dates than asked for."""
    if len(drift) < periods:
        return frozenset()
    return frozenset.intersection(*(one.alarms for one in drift[:periods]))


def render_markdown(signal: Signal, run_date: date, champion: str) -> str:
    """The signal for people."""
    verdict = "train again" if signal.retrain else "investigate" if signal.investigate else "nothing to do"
    lines = [f"# Retraining signal of {run_date}: {verdict}", ""]
    lines += [f"Champion: version {champion}.", ""] if champion else []
    lines += [f"- {sentence}" for sentence in signal.sentences]
    lines += ["", "```json", json.dumps(dict(signal.facts), indent=1), "```"]
    return "\n".join(lines) + "\n"


def _days(run_date: date, day: date | None) -> int | None:
    return None if day is None else max((run_date - day).days, 0)
