"""The report of a contest, in Markdown."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from spanishgas.evaluation import METRICS, Comparison
from spanishgas.models.contest import CHALLENGER, ROLES, Contest
from spanishgas.models.gates import Gate
from spanishgas.models.report import markdown, short_interval

MARKS = {"passed": "passed", "failed": "**failed**", "not asked": "not asked"}


def render_gates(gates: Sequence[Gate]) -> str:
    """How the challenger came through, as a table."""
    lines = ["## Gates", "", "| gate | | figures |", "| --- | --- | --- |"]
    lines += [f"| {one.name} | {MARKS[one.state]} | {one.sentence} |" for one in gates]
    return "\n".join([*lines, ""])


def render(contest: Contest) -> str:
    """The comparison: figures, differences, groups, calibration."""
    roles = [role for role in ROLES if role in contest.figures]
    lines = [
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
    """Figures under the names of runs: ``<role>_<metric>``, ``over_<role>_<metric>``, sizes.

    All comparisons have the same names, so that runs beside each other have no gaps: where there is no champion or no
    baseline, the challenger stands against itself. Empty where the challenger could not be compared.
    """
    if CHALLENGER not in contest.figures:
        return {}
    found: dict[str, float] = {}
    for role in ROLES:
        stands_in = role if role in contest.figures else CHALLENGER
        found |= {f"{role}_{name}": one.value for name, one in contest.figures[stands_in].items()}
        found[f"{role}_size_mib"] = contest.sizes[stands_in]
        if role == CHALLENGER:
            continue
        for name, own in contest.figures[CHALLENGER].items():
            one = (
                contest.differences[role][name]
                if role in contest.differences
                else Comparison(own.value, own.value, 0.0, 0.0, 0.0)
            )
            found |= {
                f"over_{role}_{name}": one.difference,
                # The difference itself where no replicate was drawn.
                f"over_{role}_{name}_lo": one.lo if np.isfinite(one.lo) else one.difference,
                f"over_{role}_{name}_hi": one.hi if np.isfinite(one.hi) else one.difference,
            }
    return {name: found[name] for name in sorted(found, key=_place) if np.isfinite(found[name])}


def _place(name: str) -> int:
    """Figures of one metric stand together, the most telling metric first."""
    whole = name.removesuffix("_lo").removesuffix("_hi")
    return next((place for place, metric in enumerate(METRICS) if whole.endswith(f"_{metric}")), len(METRICS))


def _calibration(contest: Contest, role: str) -> pd.DataFrame:
    table = contest.windows[role]
    return table[["window", "rows", "leavers", "observed", "expected", "observed_over_expected", "calibration_slope"]]
