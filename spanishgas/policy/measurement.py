"""What offers did: those offered something against those held out, who differ by chance alone.

A customer counts in the arm that was drawn, whatever happened after (intention to treat). Runs are measured together by
a stratified comparison, adjusted for the probability of leaving that was expected at the decision, and clustered by
customer, as some are in several runs; methods and sources are in ``evaluation.contrast``. The adjustment is set here
once and for all, so that nobody chooses it by its result.
"""

import math
from datetime import date

import numpy as np
import pandas as pd

from spanishgas.config import EconomicsSettings
from spanishgas.domain.kept_value import kept_value
from spanishgas.errors import ContractError
from spanishgas.evaluation.contrast import NAN, Contrast, amounts, shares
from spanishgas.policy.candidates import HAZARDS
from spanishgas.policy.economics import ACTIONS, WINDOW_DAYS, Floats, cumulative_hazard

ALL = "all"
RUN, TOGETHER = "run", "together"
NONE = "none"
# Of a control arm smaller than this an interval says nothing worth printing.
LEAST_ARM = 10
MOST_RUNS = 100_000
# Columns of ``recommendations`` that are read.
READ = (
    "run_date",
    "customer_id",
    "planned_action",
    "is_held_out",
    *HAZARDS,
    *(f"planned_{name}" for name in HAZARDS),
    "expected_margin_month",
    "expected_margin_impact",
    "expected_spend",
)


def follow(
    recommendations: pd.DataFrame,
    left_on: "pd.Series[pd.Timestamp]",
    days: int,
    economics: EconomicsSettings,
    true: Floats | None = None,
) -> pd.DataFrame:
    """Those chosen in a run with what became of them, and what was to be expected.

    Args:
        recommendations: Published rows of one run date, columns ``READ``.
        left_on: Day that customers left, by ``customer_id``: NaT for those who stay, absent for those in no register.
        days: Days after the run date that leaving is counted for.
        economics: How margins count.
        true: Change of the probability of leaving that each row's plan makes, by the demo's truth.

    Returns:
        One row per customer chosen and known: ``run_date``, ``customer_id``, ``planned_action``, ``offered``,
        ``left``, ``expected_left`` (probability without an offer), ``expected_effect`` (change of it by the plan),
        ``true_effect``, ``kept_eur`` (worth of the customer once still there), ``spend_eur`` and
        ``expected_margin_eur`` (of the offer).
    """
    chosen = (
        (recommendations["planned_action"] != NONE) & recommendations["customer_id"].isin(left_on.index)
    ).to_numpy()
    rows = recommendations[chosen].reset_index(drop=True)
    decided = pd.to_datetime(rows["run_date"])
    left = pd.to_datetime(rows["customer_id"].map(left_on))
    until = np.full(len(rows), float(days))

    def leaves(prefix: str) -> Floats:
        hazards = rows[[f"{prefix}{name}" for name in HAZARDS]].to_numpy(np.float64)
        return np.asarray(-np.expm1(-cumulative_hazard(hazards, until)))

    known = 1 - np.prod(1 - rows[list(HAZARDS)].to_numpy(np.float64), axis=1)
    margin = rows["expected_margin_month"].fillna(0.0).to_numpy(np.float64)
    expected = leaves("")
    return pd.DataFrame(
        {
            "run_date": decided,
            "customer_id": rows["customer_id"],
            "planned_action": rows["planned_action"],
            "offered": ~rows["is_held_out"].to_numpy(bool),
            "left": ((left > decided) & (left <= decided + pd.Timedelta(days=days))).to_numpy(bool),
            "expected_left": expected,
            "expected_effect": leaves("planned_") - expected,
            "true_effect": np.full(len(rows), NAN) if true is None else true[chosen],
            "kept_eur": kept_value(known, margin, days, WINDOW_DAYS * len(HAZARDS), economics),
            "spend_eur": rows["expected_spend"].to_numpy(np.float64),
            "expected_margin_eur": rows["expected_margin_impact"].to_numpy(np.float64),
        }
    )


def measure(followed: pd.DataFrame, run_date: date) -> pd.DataFrame:
    """The effect of offers on leaving, of a run alone and with earlier runs.

    Args:
        followed: Rows of ``follow`` of all runs that are measured together, all followed for as many days.
        run_date: The run that is asked for, the last of them.

    Returns:
        The table ``measured_effect``: for the run and for all runs together one row for all offers and one per planned
        action. The hold-out is drawn by chance among those chosen, whatever their planned action, so the arms of one
        planned action can be compared as they are.

    Raises:
        ContractError: Nobody was chosen in the run, or of nobody it is known whether they left.
    """
    day = pd.Timestamp(run_date)
    own = followed["run_date"] == day
    if not own.any():
        raise ContractError(
            "nobody was chosen in this run of whom it is known whether they left, so there is nothing to measure",
            where="recommendations",
            todo="Choose another run_date, a larger budget, or deliver a register that reaches beyond the run date",
        )
    found = []
    for scope, rows in ((RUN, followed[own]), (TOGETHER, followed)):
        for group in (ALL, *ACTIONS):
            some = rows if group == ALL else rows[rows["planned_action"] == group]
            if len(some):
                found.append({"run_date": day, "scope": scope, "group": group, **_measured(some)})
    table = pd.DataFrame(found)
    return table.assign(runs_to_decide=table["runs_to_decide"].astype("Int64"))


def _measured(rows: pd.DataFrame) -> dict[str, object]:
    """One row of the table."""
    offered, left = rows["offered"].to_numpy(bool), rows["left"].to_numpy(bool)
    runs, people = rows["run_date"].to_numpy(), rows["customer_id"].to_numpy(object)
    expected, kept = rows["expected_left"].to_numpy(np.float64), rows["kept_eur"].to_numpy(np.float64)
    plain = shares(left, offered, runs, people)
    adjusted = shares(left, offered, runs, people, expected)
    lost = amounts(left * kept, offered, runs, people, expected * kept)
    count, spend = int(offered.sum()), float(rows.loc[offered, "spend_eur"].sum())
    held_out, believed = int((~offered).sum()), _mean(rows.loc[offered, "expected_effect"])
    more = runs_to_decide(adjusted, believed, rows["run_date"].nunique())
    return {
        "runs": rows["run_date"].nunique(),
        "first_run_date": rows["run_date"].min(),
        "offered": count,
        "held_out": held_out,
        "offered_left": int(left[offered].sum()),
        "held_out_left": int(left[~offered].sum()),
        "effect": plain.effect,
        "lo": plain.lo,
        "hi": plain.hi,
        "adjusted_effect": adjusted.effect,
        "adjusted_lo": adjusted.lo,
        "adjusted_hi": adjusted.hi,
        "smallest_effect": adjusted.smallest(),
        "runs_to_decide": more,
        "expected_effect": believed,
        "true_effect": _mean(rows.loc[offered, "true_effect"]),
        "margin_eur": -lost.effect * count - spend,
        "margin_lo_eur": -lost.hi * count - spend,
        "margin_hi_eur": -lost.lo * count - spend,
        "expected_margin_eur": float(rows.loc[offered, "expected_margin_eur"].sum()),
        "verdict": verdict(adjusted, held_out, believed, more) if count else "too few to tell: 0 offered",
    }


def _mean(values: "pd.Series[float]") -> float:
    """Mean, NaN where one is not known or there are none."""
    return float(values.mean(skipna=False)) if len(values) else NAN


def runs_to_decide(contrast: Contrast, expected: float, runs: int) -> int | None:
    """How many more runs like these until the expected effect is found with a power of 80 %.

    Args:
        contrast: What was found.
        expected: Expected effect.
        runs: Runs that it was found with.

    Returns:
        0 once the interval leaves out zero; None where nothing is expected, nothing can be told, or no retailer would
        live to see it.
    """
    if contrast.hi < 0 or contrast.lo > 0:
        return 0
    needed = runs * (contrast.smallest() / abs(expected)) ** 2 if expected else NAN
    return max(math.ceil(needed) - runs, 0) if needed < MOST_RUNS else None


def verdict(contrast: Contrast, held_out: int, expected: float = NAN, more: int | None = None) -> str:
    """What can be said of an effect."""
    effect, lo, hi = contrast.effect, contrast.lo, contrast.hi
    if held_out < LEAST_ARM:
        told = f"too few to tell: {held_out} held out"
    elif hi < 0:
        return f"offers keep customers: {-effect:.1%} fewer left ({-hi:.1%} to {-lo:.1%})"
    elif lo > 0:
        return f"offers drive customers away: {effect:.1%} more left ({lo:.1%} to {hi:.1%})"
    else:
        told = f"too small to tell: between {lo:+.1%} and {hi:+.1%}, {contrast.smallest():.1%} could be found"
    if more:
        told += f"; the expected {expected:+.1%} needs {more:,} more runs like these"
    return told


def render(table: pd.DataFrame, days: int, unknown: int, left_out: int = 0) -> str:
    """The report in Markdown.

    Args:
        table: Of ``measure``.
        days: Days that leaving was counted for.
        unknown: Customers chosen in the run who are in no register.
        left_out: Earlier runs whose tables are of another release.
    """
    whole = {str(row["scope"]): row for row in table[table["group"] == ALL].to_dict("records")}
    own, together = whole[RUN], whole[TOGETHER]
    day = pd.Timestamp(own["run_date"]).date()
    lines = [
        f"# What the offers of {day} did",
        "",
        f"Leaving within {days} days, those offered something against those held out by chance. **{own['verdict']}**.",
        "",
    ]
    if together["runs"] > 1:
        first = pd.Timestamp(together["first_run_date"]).date()
        lines += [f"With all {together['runs']} runs since {first}: **{together['verdict']}**.", ""]
    lines += [
        "The adjusted effect takes off what the expected risk of the two arms explains. It is the one that decides.",
        "",
        "| runs | planned | offered | left | held out | left | effect | 95 % interval | adjusted | 95 % interval | "
        "smallest found | expected | true | margin, EUR | 95 % interval | expected, EUR |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | --- | ---: |",
    ]

    def share(value: object) -> str:
        return "" if pd.isna(value) else f"{value:+.2%}"  # type: ignore[call-overload]

    def euros(value: object) -> str:
        return "" if pd.isna(value) else f"{value:,.0f}"  # type: ignore[call-overload]

    lines += [
        f"| {row.runs:,} | {row.group!s} | {row.offered:,} | {row.offered_left:,} | {row.held_out:,} | "
        f"{row.held_out_left:,} | {share(row.effect)} | {share(row.lo)} to {share(row.hi)} | "
        f"{share(row.adjusted_effect)} | {share(row.adjusted_lo)} to {share(row.adjusted_hi)} | "
        f"{share(row.smallest_effect)} | {share(row.expected_effect)} | {share(row.true_effect)} | "
        f"{euros(row.margin_eur)} | {euros(row.margin_lo_eur)} to {euros(row.margin_hi_eur)} | "
        f"{euros(row.expected_margin_eur)} |"
        for row in table[(table["scope"] == RUN) | (together["runs"] > 1)].itertuples()
    ]
    lines += [
        "",
        "Margin: of the customers kept by then, over the policy's horizon, planned discounts and contacts taken off.",
    ]
    if unknown:
        lines += ["", f"{unknown:,} customers are in no register any more; they are left out."]
    if left_out:
        lines += ["", f"{left_out:,} earlier runs were published by another release and are left out."]
    return "\n".join(lines) + "\n"
