"""The quality report: what was found in the sources, how often, and what was done about it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_IN_FIGURE = 30


class Finding(NamedTuple):
    """One check of one source."""

    source: str
    check: str
    rows: int
    affected: int
    handling: str


HANDLING = {
    "absent": "tables stay empty; features that need them are null",
    "rejected": "rows went to quarantine",
    "duplicate": "equal rows collapsed into one",
    "conflicting_duplicate": "the most complete stays, then the greatest values",
    "zero": "a zero means missing here: null",
    "sentinel": "a day that stands for no date: null",
    "unknown": "kept, value set to unknown or null",
    "missing": "kept as missing",
    "month": "kept for the month of the day that is told",
}


def handling_of(check: str) -> str:
    """What is done about a check, by the first word of its name."""
    return HANDLING.get(check) or HANDLING.get(check.partition("_")[0], HANDLING["rejected"])


def quality_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """The quality table, one row per source and check."""
    frame = pd.DataFrame(findings, columns=list(Finding._fields))
    frame["share"] = (frame["affected"] / frame["rows"].where(frame["rows"] > 0)).fillna(0.0).clip(0.0, 1.0)
    frame = frame.astype({"rows": "int64", "affected": "int64"})
    ordered = frame[["source", "check", "rows", "affected", "share", "handling"]]
    return ordered.sort_values(["source", "check"], ignore_index=True)


def render_quality(frame: pd.DataFrame) -> str:
    """The quality report in Markdown; checks without a finding are counted, not listed."""
    found = frame[frame["affected"] > 0]
    absent = frame[frame["check"] == "absent"]
    lines = ["# Data quality", ""]
    if len(absent):
        lines += ["Absent sources:", ""]
        lines += [f"- `{row.source}`: {row.handling}" for row in absent.itertuples()]
        lines += [""]
    lines += ["| source | check | rows | affected | share | handling |", "| --- | --- | ---: | ---: | ---: | --- |"]
    lines += [
        f"| {row.source} | {row.check} | {row.rows:,} | {row.affected:,} | {row.share:.4%} | {row.handling} |"
        for row in found.itertuples()
        if row.check != "absent"
    ]
    lines += ["", f"{len(frame) - len(found)} further checks found nothing."]
    return "\n".join(lines) + "\n"


def plot_quality(frame: pd.DataFrame) -> "Figure":
    """Shares of affected rows, on a logarithmic scale, largest first."""
    from matplotlib.figure import Figure

    found = frame[(frame["affected"] > 0) & (frame["check"] != "absent")].nlargest(SHOWN_IN_FIGURE, "share")
    figure = Figure(figsize=(9, 0.9 + 0.28 * max(len(found), 1)))
    axes = figure.subplots()
    labels = found["source"] + " · " + found["check"]
    axes.barh(labels[::-1], found["share"][::-1], color="#4c78a8")
    if len(found):
        axes.set_xscale("log")
    axes.set_xlabel("share of rows")
    axes.set_title("Data quality: affected rows by check")
    return figure
