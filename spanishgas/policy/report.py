"""The retention team's report: how many offers, what they cost and should bring, for whom, and why not for others."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.config import PolicySettings
from spanishgas.evaluation.contrast import DECISIVE_POWER
from spanishgas.policy.allocation import allocate
from spanishgas.policy.decide import Decisions, guard, value, value_of_plan, with_values
from spanishgas.policy.economics import Respond
from spanishgas.policy.past_value import Promise
from spanishgas.policy.reasons import SEPARATOR, sentences
from spanishgas.policy.recommendations import Basis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 20
LANGUAGE = "en"


def winners_curse(decisions: Decisions, halves: Sequence[Respond], settings: PolicySettings) -> float:
    """How much choosing flatters: what plans promise by their own response over what that of the other half says.

    Past campaigns are split by customer, the response is learned from each half, a plan is made with one and valued by
    the other, both ways round. 1 says that nothing is lost; NaN where there are no halves.
    """
    if len(halves) < 2:
        return float("nan")
    promised = kept = 0.0
    for own, other in (halves, tuple(reversed(halves))):
        values = value(decisions.candidates, own, settings)
        _, options = guard(decisions.candidates, values, settings)
        plan = allocate(options, decisions.limits)
        promised += plan.total
        worth, _ = value_of_plan(plan, with_values(options, value(decisions.candidates, other, settings)))
        kept += float(worth.sum())
    if promised <= 0:  # nothing was chosen, so nothing is flattered
        return float("nan")
    return promised / kept if kept > 0 else float("inf")


def metrics_of(
    decisions: Decisions, table: pd.DataFrame, limits: pd.DataFrame, left: int, curse: float, promise: Promise
) -> dict[str, float]:
    """Figures of a run for the tracking store."""
    budget = limits.set_index("limit").loc["budget"]
    plan, offered = decisions.plan, decisions.offered
    worth = decisions.values
    baseline = float(np.nansum(worth.baseline, dtype=np.float64))
    figures = {
        "customers": float(len(table)),
        "left_since_features": float(left),
        "offers": float(offered.sum()),
        "held_out": float(decisions.held_out.sum()),
        "vetoed_customers": float((~decisions.allowed.anyone).sum()),
        "spend_eur": float(plan.spend[offered].sum()),
        "expected_margin_impact_eur": float(plan.value[offered].sum()),
        "planned_spend_eur": float(plan.spend.sum()),
        "planned_margin_impact_eur": plan.total,
        "budget_eur": decisions.limits.budget,
        "period_budget_eur": float(budget["period_bound"]),
        "period_committed_eur": float(budget["committed"]),
        "period_left_eur": float(budget["period_left"]),
        "holdout_share": decisions.split.share,
        "holdout_power": decisions.split.power,
        "holdout_smallest_effect": decisions.split.smallest,
        "gap_eur": plan.gap,
        "price_of_budget": float(plan.prices[0]),
        "baseline_margin_eur": baseline,
        "promised_eur": promise.value,
        "promised_lo_eur": promise.lo,
        "promised_hi_eur": promise.hi,
        "promise_factor": promise.factor,
        "promise_effective_offers": promise.effective,
        "winners_curse": curse,
        "winners_curse_kept_share": 1 / curse,
    }
    for name in ("small", "medium", "large"):
        figures[f"offers_{name}"] = float((table["action"] == name).sum())
    return {name: figure for name, figure in figures.items() if np.isfinite(figure)}


def render(
    decisions: Decisions,
    table: pd.DataFrame,
    limits: pd.DataFrame,
    basis: Basis,
    metrics: dict[str, float],
    missing: Mapping[str, int],
    fallback: Sequence[str],
) -> str:
    """The report in Markdown; `table` has `pseudonym` in the place of `customer_id`."""
    settings = decisions.settings
    offers = table[table["action"] != "none"]
    lines = [
        f"# Recommendations of {basis.run_date}",
        "",
        f"**{len(offers):,} offers** to {len(table):,} active customers, and {int(metrics['held_out']):,} held out at "
        f"random. They are expected to cost {metrics['spend_eur']:,.0f} EUR of the {metrics['budget_eur']:,.0f} EUR "
        f"that the budget has left, and to bring {metrics['expected_margin_impact_eur']:,.0f} EUR of margin beyond "
        "their cost.",
        "",
        *_period(metrics, limits, settings),
        _hold_out(metrics, settings),
        "",
        f"Features of {basis.as_of}, champion v{basis.model_version} (`{basis.model_digest[:12]}`), policy "
        f"`{basis.policy_version}`, response {basis.response}. {int(metrics['left_since_features']):,} customers have "
        "left since the date of the features.",
        "",
        *_promise(metrics),
        *(f"**Response assumed**: {reason}." for reason in fallback),
        *(
            ["**Timing** follows the contract's dates: the data do not say when customers leave.", ""]
            if basis.is_timed_by_contract
            else []
        ),
    ]
    if "winners_curse_kept_share" in metrics:
        lines += [
            "Choosing flatters: of what plans made with one half of past campaigns promise, the other half confirms "
            f"{metrics['winners_curse_kept_share']:.0%}. Expect of the margin above about as much.",
            "",
        ]
    lines += [
        "## What is offered",
        "",
        "| offer | window | channel | offers | spend, EUR | margin, EUR |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    grouped = offers.groupby(["action", "timing_window", "channel"], sort=True)
    lines += [
        f"| {action} | {window} | {channel} | {len(rows):,} | {rows['expected_spend'].sum():,.0f} | "
        f"{rows['expected_margin_impact'].sum():,.0f} |"
        for (action, window, channel), rows in grouped
    ]
    lines += [
        "",
        "## To whom",
        "",
        "| segment | risk | customers | offers | spend, EUR | margin, EUR |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    by_group = table.groupby(["segment", "segment_name", "risk_bucket"], sort=True)
    lines += [
        f"| {name or segment or 'none'} | {bucket} | {len(rows):,} | {int((rows['action'] != 'none').sum()):,} | "
        f"{rows['expected_spend'].sum():,.0f} | {rows['expected_margin_impact'].sum():,.0f} |"
        for (segment, name, bucket), rows in by_group
    ]
    lines += [
        "",
        "## Why not",
        "",
        "A customer may be vetoed by several guardrails.",
        "",
        "| guardrail | vetoes some option of | vetoes everything of |",
        "| --- | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {int((count > 0).sum()):,} | {int((count >= decisions.allowed.total).sum()):,} |"
        for name, count in decisions.allowed.vetoes.items()
    ]
    lines += [
        "",
        f"{int(metrics['vetoed_customers']):,} customers have no option left; "
        f"{int((decisions.allowed.anyone & ~decisions.chosen).sum()):,} more had one, and offers to others earn more.",
        "",
        "## Budget and capacities",
        "",
        "Decisions hang together only through these: whose offer is worth more than its share of budget and capacity "
        "at these prices gets it, whatever others do. "
        f"{decisions.plan.core:,} customers are so close to the line that they were decided together.",
        "",
        "| limit | of the period | committed before | bound of this run | planned | left | price of one more, EUR |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.limit} | {_or_none(row.period_bound)} | {row.committed:,.0f} | {_or_none(row.bound)} | "
        f"{row.used:,.0f} | {_or_none(row.period_left)} | {row.price_eur:,.4f} |"
        for row in limits.itertuples()
    ]
    lines += ["", f"The plan falls short of the best possible by at most {metrics['gap_eur']:,.2f} EUR.", ""]
    if missing:
        lines += [
            "## What is not known",
            "",
            *(f"- `{name}` of {count:,} customers" for name, count in missing.items()),
            "",
        ]
    lines += [
        "## The offers that matter most",
        "",
        "| pseudonym | risk | offer | window | channel | margin, EUR | why |",
        "| --- | ---: | --- | --- | --- | ---: | --- |",
    ]
    for row in (
        offers.sort_values(["expected_margin_impact", "pseudonym"], ascending=[False, True]).head(TOP).itertuples()
    ):
        why = " ".join(sentences(str(row.reason_codes), LANGUAGE))
        lines.append(
            f"| {row.pseudonym} | {row.risk_score:.1%} | {row.action} | {row.timing_window} | {row.channel} | "
            f"{row.expected_margin_impact:,.2f} | {why} |"
        )
    return "\n".join(lines) + "\n"


def _or_none(bound: object) -> str:
    return "none" if pd.isna(bound) else f"{bound:,.0f}"  # type: ignore[call-overload]


def _promise(metrics: Mapping[str, float]) -> list[str]:
    """What the whole plan, hold-out included, is promised to earn."""
    told, factor = metrics["promise_effective_offers"], metrics["promise_factor"]
    why = (
        f"Past campaigns say of such plans that {factor:.0%} of the margin that the model expects is kept, by what is "
        f"worth {told:,.0f} offers."
        if told
        else "Too few past offers were like these to check what the model expects, so the interval is wide."
    )
    return [
        f"**Promised**: the plan earns {metrics['promised_eur']:,.0f} EUR beyond its cost, with 90 % probability "
        f"between {metrics['promised_lo_eur']:,.0f} and {metrics['promised_hi_eur']:,.0f}; the model alone expects "
        f"{metrics['planned_margin_impact_eur']:,.0f}. {why} The interval includes how the level of risks and margins "
        "moves with the market.",
        "",
    ]


def _period(metrics: Mapping[str, float], limits: pd.DataFrame, settings: PolicySettings) -> list[str]:
    """What the period had, what its earlier runs committed, and what is left after this one."""
    name, row = settings.budget.period, limits.iloc[0]
    if name == "run":
        return []
    return [
        f"The {name} from {row['period_start'].date()} to {row['period_end'].date()} has "
        f"{metrics['period_budget_eur']:,.0f} EUR; earlier runs have committed {metrics['period_committed_eur']:,.0f} "
        f"EUR, and this run leaves {metrics['period_left_eur']:,.0f} EUR. Those held out commit nothing.",
        "",
    ]


def _hold_out(metrics: Mapping[str, float], settings: PolicySettings) -> str:
    """What the hold-out can find."""
    wanted, share = settings.holdout, metrics["holdout_share"]
    if not metrics.get("holdout_smallest_effect", 1.0) < 1:
        return f"{share:.1%} of the chosen are held out: too few to find any effect."
    runs = "The run finds" if wanted.wanted_runs == 1 else f"{wanted.wanted_runs} runs like this one together find"
    target = DECISIVE_POWER if wanted.power is None else wanted.power
    told = (
        f"{share:.1%} of the chosen are held out. {runs} a fall of the share that leaves within "
        f"{wanted.days} days by {metrics['holdout_smallest_effect']:.1%} with a power of {target:.0%}, and one by "
        f"{wanted.wanted_effect:.1%} with {metrics['holdout_power']:.0%}."
    )
    if wanted.power is None or metrics["holdout_power"] >= wanted.power - 1e-9:
        return told
    return f"{told} **More cannot be held out** than `policy.holdout.most_share` ({wanted.most_share:.0%}) allows."


def plot_reasons(table: pd.DataFrame) -> "Figure":
    """How often each reason stands first among those offered something."""
    from matplotlib.figure import Figure

    offers = table[table["action"] != "none"]
    first = offers["reason_codes"].str.split(SEPARATOR, regex=False).str[0]
    counts = first.value_counts().sort_values()
    figure = Figure(figsize=(8, 0.35 * max(len(counts), 1) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.barh(counts.index, counts.to_numpy(), color="#4c72b0")
    axes.set_xlabel("offers")
    axes.set_title("What raises the risk of those who are offered something")
    return figure
