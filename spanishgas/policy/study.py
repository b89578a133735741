"""Replays on many demo worlds: shares of the oracle with intervals over seeds, and leads paired by seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spanishgas.policy.economics import Floats
from spanishgas.policy.replay import ASSUMED, LEARNED, NOBODY, ORACLE, RULES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIDENCE = 0.95


def summarise(replays: pd.DataFrame) -> pd.DataFrame:
    """Shares by kind of world and policy.

    Args:
        replays: ``world``, ``seed``, ``policy``, ``share``: one row per replayed policy of every world.

    Returns:
        The table ``replay_study``. Means over seeds with 95 % intervals by Student's t; the lead is that of our policy
        over the row's, on the same seeds. Where no response could be learned, our policy is the assumed one.
    """
    rows = []
    for world, some in replays.groupby("world", sort=True):
        wide = some.pivot_table(index="seed", columns="policy", values="share")
        ours = wide[LEARNED].fillna(wide[ASSUMED]) if LEARNED in wide else wide[ASSUMED]
        for policy in wide.columns:
            if policy in (NOBODY, ORACLE):
                continue
            share, lead = _mean(wide[policy].to_numpy(np.float64)), _mean((ours - wide[policy]).to_numpy(np.float64))
            rows.append(
                {
                    "world": str(world),
                    "policy": str(policy),
                    "seeds": int(wide[policy].notna().sum()),
                    "share": share[0],
                    "lo": share[1],
                    "hi": share[2],
                    "lead": lead[0],
                    "lead_lo": lead[1],
                    "lead_hi": lead[2],
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
    """One line: our share in each world, and whether it beats the rules beyond noise."""
    parts = []
    for world, some in study.groupby("world", sort=True):
        rows = some.set_index("policy")
        ours = rows.loc[LEARNED if LEARNED in rows.index else ASSUMED]
        ahead = rows.index[rows["lead_lo"] > 0]
        beaten = [name for name in RULES if name in ahead]
        told = "both rules" if len(beaten) == len(RULES) else " and ".join(beaten) or "no rule"
        parts.append(
            f"{world}: {ours['share']:.1%} of the oracle ({ours['lo']:.1%} to {ours['hi']:.1%}) over "
            f"{int(ours['seeds'])} seeds, beats {told} beyond noise"
        )
    return "; ".join(parts)


def render(study: pd.DataFrame, replays: pd.DataFrame, lacking: Sequence[str]) -> str:
    """The report in Markdown."""
    lines = ["# Replays on many worlds", "", f"**{verdict(study)}**.", ""]
    if lacking:
        lines += [f"Not replayed: {', '.join(lacking)}.", ""]
    lines += [
        "| world | policy | seeds | share of the oracle | 95 % interval | lead of ours | 95 % interval, paired |",
        "| --- | --- | ---: | ---: | --- | ---: | --- |",
    ]
    lines += [
        f"| {row['world']} | {row['policy']} | {row['seeds']} | {row['share']:.1%} | "
        f"{row['lo']:.1%} to {row['hi']:.1%} | {row['lead']:+.1%} | {row['lead_lo']:+.1%} to {row['lead_hi']:+.1%} |"
        for row in study.to_dict("records")
    ]
    wide = replays.pivot_table(index=["world", "seed"], columns="policy", values="share").reset_index()
    shown = [name for name in wide.columns if name not in (NOBODY, ORACLE)]
    lines += ["", "## Each world", "", "| " + " | ".join(map(str, shown)) + " |", "|" + " --- |" * len(shown)]
    for row in wide[shown].itertuples(index=False):
        cells = [f"{cell:.1%}" if isinstance(cell, float) else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot_shares(study: pd.DataFrame) -> "Figure":
    """Shares with their intervals, one panel per world."""
    from matplotlib.figure import Figure

    worlds = sorted(study["world"].unique())
    figure = Figure(figsize=(7, 2.6 * len(worlds)), layout="constrained")
    panels = figure.subplots(len(worlds), squeeze=False)[:, 0]
    for axes, world in zip(panels, worlds, strict=True):
        rows = study[study["world"] == world].iloc[::-1]
        spread = np.nan_to_num(np.abs(rows[["lo", "hi"]].to_numpy().T - rows["share"].to_numpy()))
        axes.barh(rows["policy"], rows["share"], xerr=spread, color="#4c72b0")
        axes.axvline(0, color="grey", lw=0.8)
        axes.set_title(world)
        axes.set_xlabel("share of the oracle")
    return figure
