"""The quality report: what was found in the sources, how often, and what was done about it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TOLD = 3
SHOWN_IN_FIGURE = 30


class Finding(NamedTuple):
    """One check of one source; energies in kWh, None where they are not counted."""

    source: str
    check: str
    rows: int
    affected: int
    handling: str
    energy_kwh: float | None = None
    affected_energy_kwh: float | None = None


FOUND = "found from the readings"
HANDLING = {
    "absent": "tables stay empty; features that need them are null",
    "rejected": "rows went to quarantine",
    "duplicate": "equal rows collapsed into one",
    "conflicting_duplicate": "the most complete stays, then the greatest values",
    "zero": "a zero means missing here: null",
    "sentinel": "a day that stands for no date: null",
    "unknown": "kept, value set to unknown or null",
    "missing": "kept as missing",
    "respelled": "spaces, case, invisible marks or the end of a CUPS left out: one spelling",
    "points": FOUND,
    "days": FOUND,
    "month": "kept for the month of the day that is told",
}


def handling_of(check: str) -> str:
    """What is done about a check, by the first word of its name."""
    return HANDLING.get(check) or HANDLING.get(check.partition("_")[0], HANDLING["rejected"])


def quality_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """The quality table, one row per source and check."""
    frame = pd.DataFrame(findings, columns=list(Finding._fields))
    frame["share"] = (frame["affected"] / frame["rows"].where(frame["rows"] > 0)).fillna(0.0).clip(0.0, 1.0)
    energies = {"energy_kwh": "float64", "affected_energy_kwh": "float64"}
    frame = frame.astype({"rows": "int64", "affected": "int64", **energies})
    ordered = frame[["source", "check", "rows", "affected", "share", *energies, "handling"]]
    return ordered.sort_values(["source", "check"], ignore_index=True)


def render_quality(frame: pd.DataFrame) -> str:
    """The quality report in Markdown; checks without a finding are counted, not listed."""
    found = frame[frame["affected"] > 0]
    absent = frame[frame["check"] == "absent"]
    told = found[found["check"] != "absent"]
    most = ", ".join(
        f"`{row.source}` {row.check} ({row.affected:,} of {row.rows:,})"
        for row in told[told["handling"] != FOUND].nlargest(MOST_TOLD, "share").itertuples()
    )
    summary = f"{len(told)} of {len(frame)} checks found something" + (f", most of all {most}" if most else "")
    lines = ["# Data quality", "", f"{summary}.", ""]
    if len(absent):
        lines += ["Absent sources:", ""]
        lines += [f"- `{row.source}`: {row.handling}" for row in absent.itertuples()]
        lines += [""]
    lines += [
        "| source | check | rows | affected | share | of the energy | handling |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {row.source} | {row.check} | {row.rows:,} | {row.affected:,} | {row.share:.4%} "
        f"| {_of_energy(part, energy)} | {row.handling} |"
        for row, part, energy in zip(told.itertuples(), told["affected_energy_kwh"], told["energy_kwh"], strict=True)
    ]
    lines += ["", f"{len(frame) - len(found)} further checks found nothing."]
    return "\n".join(lines) + "\n"


def _of_energy(affected: float, energy: float) -> str:
    return f"{affected / energy:.4%}" if energy > 0 and affected == affected else ""


def plot_quality(frame: pd.DataFrame) -> "Figure":
    """Shares of affected rows, on a logarithmic scale, largest first."""
    from matplotlib.figure import Figure

    shown = (frame["affected"] > 0) & (frame["check"] != "absent") & (frame["handling"] != FOUND)
    found = frame[shown].nlargest(SHOWN_IN_FIGURE, "share")
    figure = Figure(figsize=(9, 0.9 + 0.28 * max(len(found), 1)), layout="constrained")
    axes = figure.subplots()
    labels = found["source"] + " · " + found["check"]
    axes.barh(labels[::-1], found["share"][::-1], color="#4c78a8")
    if len(found):
        axes.set_xscale("log")
    axes.set_xlabel("share of rows")
    axes.set_title("Data quality: affected rows by check")
    return figure
