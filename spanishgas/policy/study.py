"""Replays on many demo worlds: shares of the oracles with intervals over seeds, and leads paired by seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.policy.economics import Floats
from spanishgas.policy.replay import INFORMED, NOBODY, ORACLE
from spanishgas.policy.response import ASSUMED, LEARNED
from spanishgas.policy.rules import RULES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIDENCE = 0.95
FIGURES = ("share_of_informed", "informed_lo", "informed_hi", "share", "lo", "hi", "lead", "lead_lo", "lead_hi")


def summarise(replays: pd.DataFrame, chosen_on: Sequence[int] = ()) -> pd.DataFrame:
    """Shares by kind of world and policy; seeds that something was chosen on apart.

    Args:
        replays: ``world``, ``seed``, ``policy``, ``share``, ``share_of_informed``: one row per replayed policy of every
            world.
        chosen_on: Seeds that something was chosen on.

    Returns:
        The table ``replay_study``. Means over seeds with 95 % intervals by Student's t; the lead is that of our policy
        over the row's, on the same seeds. Where no response could be learned, our policy is the assumed one.
    """
    rows = []
    groups = replays.assign(is_chosen_on=replays["seed"].isin(list(chosen_on)))
    for (world, chosen), some in groups.groupby(["world", "is_chosen_on"], sort=True):
        wide, informed = (
            some.pivot_table(index="seed", columns="policy", values=name) for name in ("share", "share_of_informed")
        )
        ours = wide[LEARNED].fillna(wide[ASSUMED]) if LEARNED in wide else wide[ASSUMED]
        for policy in wide.columns:
            if policy in (NOBODY, ORACLE):
                continue
            figures = (
                *_mean(informed[policy].to_numpy(np.float64)),
                *_mean(wide[policy].to_numpy(np.float64)),
                *_mean((ours - wide[policy]).to_numpy(np.float64)),
            )
            rows.append(
                {
                    "world": str(world),
                    "is_chosen_on": bool(chosen),
                    "policy": str(policy),
                    "seeds": int(wide[policy].notna().sum()),
                    **dict(zip(FIGURES, figures, strict=True)),
                }
            )
    return pd.DataFrame(rows)


def _mean(values: Floats) -> tuple[float, float, float]:
    """Mean with its 95 % interval by Student's t; NaN bounds for fewer than two values."""
    from scipy.stats import t

    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else float("nan")
    if len(known) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return mean, mean - half, mean + half


def verdict(study: pd.DataFrame) -> str:
    """One line: our shares in each world, and whether it beats the rules beyond noise."""
    parts = []
    for (world, chosen), some in study.groupby(["world", "is_chosen_on"], sort=True):
        rows = some.set_index("policy")
        ours = rows.loc[LEARNED if LEARNED in rows.index else ASSUMED]
        ahead = rows.index[rows["lead_lo"] > 0]
        beaten = [name for name in RULES if name in ahead]
        told = "both rules" if len(beaten) == len(RULES) else " and ".join(beaten) or "no rule"
        parts.append(
            f"{_group(world, chosen)}: {ours['share_of_informed']:.1%} of the informed oracle "
            f"({ours['informed_lo']:.1%} to {ours['informed_hi']:.1%}) and {ours['share']:.1%} of the all-knowing one "
            f"over {int(ours['seeds'])} seeds, beats {told} beyond noise"
        )
    return "; ".join(parts)


def _group(world: object, chosen: object) -> str:
    return f"{world}, seeds that something was chosen on" if chosen else str(world)


def render(study: pd.DataFrame, replays: pd.DataFrame, lacking: Sequence[str]) -> str:
    """The report in Markdown."""
    lines = ["# Replays on many worlds", "", f"**{verdict(study)}**.", ""]
    if lacking:
        lines += [f"Not replayed: {', '.join(lacking)}.", ""]
    lines += [
        "| world | policy | seeds | of the informed | 95 % interval | of the all-knowing | 95 % interval | "
        "lead of ours | 95 % interval, paired |",
        "| --- | --- | ---: | ---: | --- | ---: | --- | ---: | --- |",
    ]
    lines += [
        f"| {_group(row['world'], row['is_chosen_on'])} | {row['policy']} | {row['seeds']} | "
        f"{row['share_of_informed']:.1%} | {row['informed_lo']:.1%} to {row['informed_hi']:.1%} | {row['share']:.1%} | "
        f"{row['lo']:.1%} to {row['hi']:.1%} | {row['lead']:+.1%} | {row['lead_lo']:+.1%} to {row['lead_hi']:+.1%} |"
        for row in study.to_dict("records")
    ]
    for title, name, best in (
        ("Each world, share of the informed", "share_of_informed", INFORMED),
        ("Each world, share of the all-knowing", "share", ORACLE),
    ):
        wide = replays.pivot_table(index=["world", "seed"], columns="policy", values=name).reset_index()
        shown = [column for column in wide.columns if column not in (NOBODY, best)]
        lines += ["", f"## {title}", "", "| " + " | ".join(map(str, shown)) + " |", "|" + " --- |" * len(shown)]
        for row in wide[shown].itertuples(index=False):
            cells = [f"{cell:.1%}" if isinstance(cell, float) else str(cell) for cell in row]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot_shares(study: pd.DataFrame) -> "Figure":
    """Shares with their intervals, one panel per world."""
    from matplotlib.figure import Figure

    worlds = sorted({(world, chosen) for world, chosen in zip(study["world"], study["is_chosen_on"], strict=True)})
    figure = Figure(figsize=(7, 2.6 * len(worlds)), layout="constrained")
    panels = figure.subplots(len(worlds), squeeze=False)[:, 0]
    for axes, (world, chosen) in zip(panels, worlds, strict=True):
        rows = study[(study["world"] == world) & (study["is_chosen_on"] == chosen)].iloc[::-1]
        spread = np.nan_to_num(
            np.abs(rows[["informed_lo", "informed_hi"]].to_numpy().T - rows["share_of_informed"].to_numpy())
        )
        axes.barh(rows["policy"], rows["share_of_informed"], xerr=spread, color="#4c72b0")
        axes.axvline(0, color="grey", lw=0.8)
        axes.set_title(_group(world, chosen))
        axes.set_xlabel("share of the informed oracle")
    return figure
