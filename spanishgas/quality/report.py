"""What the gates found: for a run's report, for what is published, and for the message that refuses a delivery."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from spanishgas.config import QualitySettings
from spanishgas.errors import DeliveryError
from spanishgas.quality.base import Gate, Verdict


def verdicts_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per gate and source: gate, source, value, limit, found, verdict (passed, accepted or failed)."""
    rows = [(one.gate, one.source, one.found.value, one.found.limit, one.found.told, _word(one)) for one in verdicts]
    return pd.DataFrame(rows, columns=["gate", "source", "value", "limit", "found", "verdict"])


def _word(verdict: Verdict) -> str:
    return "passed" if verdict.found.passed else "accepted" if verdict.accepted else "failed"


def render_verdicts(gates: Sequence[Gate[Any]], verdicts: Sequence[Verdict], settings: QualitySettings) -> str:
    """The gates' part of a run's report, in Markdown: what failed first, then everything by gate."""
    lines = ["## Gates", ""]
    failed = [one for one in verdicts if not one.found.passed]
    lines += [f"{len(verdicts) - len(failed)} of {len(verdicts)} answers are passes.", ""]
    if any(one.accepted for one in failed):
        lines += [f"Accepted because: {settings.reason}", ""]
    lines += [f"`{name}` is accepted and did not fail." for name in unneeded(gates, verdicts, settings)]
    lines += ["", "| verdict | gate | source | found | limit |", "| --- | --- | --- | --- | --- |"]
    ordered = sorted(verdicts, key=lambda one: (one.found.passed, [gate.name for gate in gates].index(one.gate)))
    lines += [
        f"| {'' if one.found.passed else '**'}{_word(one)}{'' if one.found.passed else '**'} | {one.gate} "
        f"| {one.source} | {one.found.told} | {one.found.limit} |"
        for one in ordered
    ]
    return "\n".join(lines) + "\n"


def unneeded(gates: Sequence[Gate[Any]], verdicts: Sequence[Verdict], settings: QualitySettings) -> list[str]:
    """What is accepted of these gates although it did not fail."""
    names = {gate.name for gate in gates}
    used = {name for one in verdicts if not one.found.passed for name in (one.gate, one.name)}
    return [name for name in settings.accept if name.partition(".")[0] in names and name not in used]


def accepted_tags(verdicts: Sequence[Verdict], settings: QualitySettings) -> dict[str, str]:
    """What is kept with a publication of failures that were accepted; empty where there were none."""
    accepted = [one.name for one in verdicts if not one.found.passed and one.accepted]
    return {"accepted_gates": ", ".join(accepted), "accepted_because": settings.reason or ""} if accepted else {}


def figures_of(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Figures for the run: what was asked, what failed, and each figure that was found."""
    failed = [one for one in verdicts if not one.found.passed]
    counts = {"gates_asked": float(len(verdicts)), "gates_failed": float(len(failed))}
    return counts | {f"gate_{one.gate}.{one.source}": float(one.found.value) for one in verdicts}


def refusal(verdicts: Sequence[Verdict], delivery: str) -> DeliveryError | None:
    """The one message about all gates that refuse a delivery, or None where none does.

    Args:
        verdicts: All answers.
        delivery: The delivery in words.
    """
    refusing = [one for one in verdicts if one.refuses]
    if not refusing:
        return None
    gates = list(dict.fromkeys(one.gate for one in refusing))
    listed = "; ".join(f"{one.name}: {one.found.told}, limit: {one.found.limit}" for one in refusing)
    noun = "gate" if len(refusing) == 1 else "gates"
    return DeliveryError(
        f"does not pass {len(refusing)} {noun}, so nothing is published and what was published before stays. {listed}",
        where=delivery,
        todo=(
            "Have it delivered again; or, if it is right all the same, accept it with "
            f"'quality.accept=[{','.join(gates)}]' 'quality.reason=<why>'. All figures are in the run's report"
        ),
    )
