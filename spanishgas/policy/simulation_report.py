"""The simulator's report and figures."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.policy.recommendations import Basis
from spanishgas.policy.replay import WITH_TRUE, YARDSTICKS
from spanishgas.policy.response import ASSUMED, LEARNED
from spanishgas.policy.response_report import render_past
from spanishgas.policy.simulator import Simulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, RED = "#4c72b0", "#c44e52"


def render(simulation: Simulation, replayed: pd.DataFrame | None, basis: Basis, past: pd.DataFrame) -> str:
    """The report in Markdown."""
    groups, curve = simulation.groups, simulation.curve
    net, spend = groups["net_eur"].sum(), groups["spend_eur"].sum()
    lines = [
        f"# Simulation of {basis.run_date}",
        "",
        f"The plan is expected to retain {net + spend:,.0f} EUR of margin for {spend:,.0f} EUR: net "
        f"**{net:,.0f} EUR**, those held out included. Response {basis.response}, features of {basis.as_of}.",
        "",
        "## By segment and risk",
        "",
        "| segment | risk | customers | offers | margin without offers | retained | spend | net | ROI |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {basis.segment_names.get(row['segment'], row['segment']) or 'none'} | {row['risk_bucket']} | "
        f"{row['customers']:,} | {row['offers']:,} | {row['baseline_margin_eur']:,.0f} | "
        f"{row['retained_margin_eur']:,.0f} | {row['spend_eur']:,.0f} | {row['net_eur']:,.0f} | "
        f"{'' if pd.isna(row['roi']) else format(row['roi'], '.2f')} |"
        for row in groups.to_dict("records")
    ]
    lines += [
        "",
        "## If the assumptions are off",
        "",
        "Net of the plan as it stands, and in brackets of a plan made for that case, in EUR.",
        "",
    ]
    lines += _grid(simulation.sensitivity)
    lines += [
        "",
        "## Budget",
        "",
        "| budget, EUR | offers | spend | net | |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {row.budget_eur:,.0f} | {row.offers:,} | {row.spend_eur:,.0f} | {row.net_eur:,.0f} | "
        f"{'chosen' if row.is_chosen else ''} |"
        for row in curve.itertuples()
    ]
    lines += ["", *render_past(past)]
    if replayed is not None:
        lines += _replayed(replayed)
    return "\n".join(lines) + "\n"


def _grid(sensitivity: pd.DataFrame) -> list[str]:
    risks = sorted(sensitivity["risk_factor"].unique())
    lines = [
        "| acceptance \\ risk | " + " | ".join(f"x {risk:g}" for risk in risks) + " |",
        "| --- | " + " | ".join("---:" for _ in risks) + " |",
    ]
    for acceptance, rows in sensitivity.groupby("acceptance_factor", sort=True):
        cells = rows.sort_values("risk_factor")
        told = [
            f"{net:,.0f} ({best:,.0f})" for net, best in zip(cells["net_eur"], cells["replanned_net_eur"], strict=True)
        ]
        lines.append(f"| x {acceptance:g} | " + " | ".join(told) + " |")
    return lines


def _replayed(replayed: pd.DataFrame) -> list[str]:
    lines = [
        "",
        "## By the demo world's truth",
        "",
        "Worth is averaged over futures of the same present. `informed` knows how the world works and all that is "
        "recorded; `with_traits` also knows today's hidden traits; `oracle` is all-knowing: it knows each future too. "
        "All have the same guardrails, budget and capacities; intervals are from a bootstrap over customers and "
        "futures. Offers are made until the budget is truly spent, what promises most per euro first; `planned` is "
        "what the whole plan would have cost.",
        "",
        "| policy | offers | promised | worth, EUR | spend, EUR | planned | of the informed | 95 % interval | "
        "of the all-knowing | 95 % interval |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- |",
    ]
    for row in replayed.to_dict("records"):
        promised = "" if pd.isna(row["promised_eur"]) else f"{row['promised_eur']:,.0f}"
        if pd.notna(row["promised_lo_eur"]):
            promised += f" ({row['promised_lo_eur']:,.0f} to {row['promised_hi_eur']:,.0f})"
        lines.append(
            f"| {row['policy']} | {row['offers']:,} | {promised} | {row['worth_eur']:,.0f} | {row['spend_eur']:,.0f} | "
            f"{row['planned_spend_eur']:,.0f} | "
            f"{row['share_of_informed']:.1%} | {row['informed_lo']:.1%} to {row['informed_hi']:.1%} | "
            f"{row['share']:.1%} | {row['lo']:.1%} to {row['hi']:.1%} |"
        )
    share = replayed.set_index("policy")["share_of_informed"]
    ours = share.get(LEARNED, share[ASSUMED])
    told = [f"{name.removeprefix('with_true_')} {share[name]:.1%}" for name in WITH_TRUE if name in share.index]
    lines += [
        "",
        f"What limits it: our policy reaches {ours:.1%} of the informed oracle; with one part as today's traits tell "
        f"it: {', '.join(told)}. The parts go together, so these do not add up. The allocation falls short by no more "
        "than its certified gap.",
    ]
    return [*lines, ""]


def plot_curve(curve: pd.DataFrame) -> "Figure":
    """Net margin against euros spent, with the chosen point."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    rows = curve.sort_values("budget_eur")
    axes.plot(rows["spend_eur"], rows["net_eur"], marker="o", color=BLUE)
    chosen = rows[rows["is_chosen"]]
    axes.plot(chosen["spend_eur"], chosen["net_eur"], marker="o", markersize=12, color=RED, label="chosen", lw=0)
    axes.set_xlabel("expected spend, EUR")
    axes.set_ylabel("net margin, EUR")
    axes.set_title("What each budget would earn")
    axes.legend()
    return figure


def plot_sensitivity(sensitivity: pd.DataFrame) -> "Figure":
    """Net of the plan over the factors on acceptance, one line per factor on risk."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for risk, rows in sensitivity.groupby("risk_factor", sort=True):
        ordered = rows.sort_values("acceptance_factor")
        axes.plot(ordered["acceptance_factor"], ordered["net_eur"], marker="o", label=f"risk x {risk:g}")
    axes.axhline(0, color="grey", lw=0.8)
    axes.set_xlabel("factor on acceptance and effect")
    axes.set_ylabel("net margin of the plan, EUR")
    axes.set_title("If the assumptions are off")
    axes.legend()
    return figure


def plot_replay(replayed: pd.DataFrame) -> "Figure":
    """Shares of the informed oracle with their intervals."""
    from matplotlib.figure import Figure

    rows = replayed[~replayed["policy"].isin(["nobody", *YARDSTICKS])].iloc[::-1]
    figure = Figure(figsize=(7, 0.45 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    spread = np.abs(rows[["informed_lo", "informed_hi"]].to_numpy().T - rows["share_of_informed"].to_numpy())
    axes.barh(rows["policy"], rows["share_of_informed"], xerr=spread, color=BLUE, ecolor="black")
    axes.axvline(0, color="grey", lw=0.8)
    axes.set_xlabel("share of the informed oracle")
    axes.set_title("By the true probabilities")
    return figure
