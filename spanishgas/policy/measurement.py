"""What a run's offers did: those offered something against those held out, who differ by chance alone."""

import numpy as np
import pandas as pd

from spanishgas.errors import ContractError
from spanishgas.evaluation.shares import difference
from spanishgas.policy.economics import ACTIONS, Floats

ALL = "all"
# Of a control arm smaller than this an interval says nothing worth printing.
LEAST_ARM = 10


def measure(
    recommendations: pd.DataFrame,
    left: "pd.Series[bool]",
    expected: Floats | None = None,
    true: Floats | None = None,
) -> pd.DataFrame:
    """The effect of offers on leaving, from the hold-out.

    The hold-out is drawn by chance among those chosen, whatever their planned action, so the arms of one planned action
    can be compared as they are. The interval is Newcombe's for a difference of two shares (Statistics in Medicine 17,
    1998, method 10), which holds for small arms too.

    Args:
        recommendations: Published rows of one run date.
        left: Whether each customer had left by the last day, by ``customer_id``.
        expected: Change of the probability of leaving that the policy expected of each row's plan.
        true: The same by the demo's true probabilities.

    Returns:
        The table ``measured_effect``, one row for all and one per planned action that was used.

    Raises:
        ContractError: Nobody was chosen.
    """
    chosen = recommendations["planned_action"].to_numpy(object) != "none"
    if not chosen.any():
        raise ContractError(
            "nobody was chosen in this run, so there is nothing to measure",
            where="recommendations",
            todo="Choose another run_date, or a larger budget",
        )
    rows = recommendations[chosen].reset_index(drop=True)
    gone = rows["customer_id"].map(left)
    unknown = gone.isna()
    if unknown.all():
        raise ContractError(
            "of nobody who was chosen in this run it is known whether they left, so there is nothing to measure",
            where="recommendations",
            todo="Deliver a register of customers that reaches beyond the run date",
        )
    held = rows["is_held_out"].to_numpy(bool)
    run_date = pd.Timestamp(rows["run_date"].iloc[0])
    found = []
    for group in (ALL, *ACTIONS):
        some = np.ones(len(rows), bool) if group == ALL else (rows["planned_action"] == group).to_numpy()
        some &= ~unknown.to_numpy()
        offered, control = some & ~held, some & held
        if not some.any():
            continue
        counts = [int(offered.sum()), int(control.sum())]
        leavers = [int(gone[offered].sum()), int(gone[control].sum())]
        effect, lo, hi = difference((leavers[0], counts[0]), (leavers[1], counts[1]))
        told = {
            "expected_effect": None if expected is None else expected[chosen][offered],
            "true_effect": None if true is None else true[chosen][offered],
        }
        means = {
            name: float(np.mean(values)) if values is not None and len(values) else float("nan")
            for name, values in told.items()
        }
        found.append(
            {
                "run_date": run_date,
                "group": group,
                "offered": counts[0],
                "held_out": counts[1],
                "offered_left": leavers[0],
                "held_out_left": leavers[1],
                "effect": effect,
                "lo": lo,
                "hi": hi,
                **means,
                "verdict": verdict(effect, lo, hi, counts[1]) if counts[0] else "too few to tell: 0 offered",
            }
        )
    return pd.DataFrame(found)


def verdict(effect: float, lo: float, hi: float, held_out: int) -> str:
    """What can be said of an effect."""
    if held_out < LEAST_ARM:
        return f"too few to tell: {held_out} held out"
    if hi < 0:
        return f"offers keep customers: {-effect:.1%} fewer left ({-hi:.1%} to {-lo:.1%})"
    if lo > 0:
        return f"offers drive customers away: {effect:.1%} more left ({lo:.1%} to {hi:.1%})"
    return f"too small to tell: between {lo:+.1%} and {hi:+.1%}"


def render(table: pd.DataFrame, last_day: object, unknown: int) -> str:
    """The report in Markdown."""
    day = pd.Timestamp(table["run_date"].iloc[0]).date()
    lines = [
        f"# What the offers of {day} did",
        "",
        f"Leaving until {last_day}, those offered something against those held out by chance. "
        f"**{table['verdict'].iloc[0]}**.",
        "",
        "| planned | offered | left | held out | left | effect | 95 % interval | expected | true | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |",
    ]

    def share(value: object) -> str:
        return "" if pd.isna(value) else f"{value:+.2%}"  # type: ignore[call-overload]

    lines += [
        f"| {row.group!s} | {row.offered:,} | {row.offered_left:,} | {row.held_out:,} | {row.held_out_left:,} | "
        f"{share(row.effect)} | {share(row.lo)} to {share(row.hi)} | {share(row.expected_effect)} | "
        f"{share(row.true_effect)} | {row.verdict!s} |"
        for row in table.itertuples()
    ]
    if unknown:
        lines += ["", f"{unknown:,} customers are in no register any more; they are left out."]
    return "\n".join(lines) + "\n"
