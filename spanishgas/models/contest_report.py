"""The report of a contest, in Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from spanishgas.evaluation import METRICS
from spanishgas.models.contest import ROLES, Contest
from spanishgas.models.gates import Gate
from spanishgas.models.report import markdown, short_interval

MARKS = {"passed": "passed", "failed": "**failed**", "not asked": "not asked"}


def render(contest: Contest, gates: Sequence[Gate]) -> str:
    """The report.

    Args:
        contest: The comparison.
        gates: How the challenger came through.
    """
    roles = [role for role in ROLES if role in contest.figures]
    lines = ["## Gates", "", "| gate | | figures |", "| --- | --- | --- |"]
    lines += [f"| {one.name} | {MARKS[one.state]} | {one.sentence} |" for one in gates]
    lines += [
        "",
        "## On the same rows",
        "",
        f"{contest.rows:,} test rows, {contest.leavers:,} of them leave, of {', '.join(contest.days)}; digest of the "
        f"rows `{contest.rows_digest[:16]}`. Values with 95 % intervals by a bootstrap over customers.",
        "",
        *[f"Left out: the {role} {contest.labels[role]} {why}." for role, why in contest.left_out.items()],
        "",
        markdown(figures_table(contest, roles)),
        "",
    ]
    for role, differences in contest.differences.items():
        table = pd.DataFrame(
            [
                {
                    "metric": name,
                    "difference": f"{one.difference:+.4f}",
                    "95 % interval": f"{one.lo:+.4f} to {one.hi:+.4f}",
                    "beyond noise": "yes" if one.is_beyond_noise else "",
                }
                for name, one in differences.items()
            ]
        )
        lines += [f"## Challenger minus {role} {contest.labels[role]}", "", "Paired: both on the same draws.", ""]
        lines += [markdown(table), ""]
    if len(contest.groups):
        lines += ["## By month and group, challenger against champion", "", markdown(contest.groups), ""]
    for role in roles:
        lines += [
            f"## Calibration by window, {role} {contest.labels[role]}",
            "",
            markdown(_calibration(contest, role)),
            "",
        ]
    return "\n".join(lines)


def figures_table(contest: Contest, roles: Sequence[str]) -> pd.DataFrame:
    """Metrics by contender, in words."""
    columns: Mapping[str, list[str]] = {
        f"{role} {contest.labels[role]}": [short_interval(contest.figures[role][name], 4) for name in METRICS]
        for role in roles
    }
    return pd.DataFrame({"metric": METRICS, **columns})


def figures_rows(contest: Contest) -> pd.DataFrame:
    """Metrics by contender, as rows: ``contender``, ``model``, ``metric``, ``value``, ``lo``, ``hi``."""
    return pd.DataFrame(
        [
            {"contender": role, "model_version": contest.labels[role], "metric": name, **one._asdict()}
            for role, figures in contest.figures.items()
            for name, one in figures.items()
        ],
        columns=["contender", "model_version", "metric", "value", "lo", "hi"],
    )


def metrics_of(contest: Contest) -> dict[str, float]:
    """Figures under the names of runs: ``<role>_<metric>``, ``gain_<metric>`` over each role, speed."""
    found = {f"{role}_{name}": one.value for role, figures in contest.figures.items() for name, one in figures.items()}
    for role, differences in contest.differences.items():
        for name, one in differences.items():
            found |= {
                f"over_{role}_{name}": one.difference,
                f"over_{role}_{name}_lo": one.lo,
                f"over_{role}_{name}_hi": one.hi,
            }
    found |= {f"{role}_{name}": value for role, speed in contest.speed.items() for name, value in speed.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _calibration(contest: Contest, role: str) -> pd.DataFrame:
    table = contest.windows[role]
    return table[["window", "rows", "leavers", "observed", "expected", "observed_over_expected", "calibration_slope"]]
