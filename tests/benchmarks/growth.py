"""How the cost of each stage grows with the number of customers: CPU seconds and peak memory, as a table and a figure.

Every stage runs as its users run it, in a process of its own, on retailers of ``GROWTH`` customers (a list of numbers;
2,000, 20,000 and 200,000 without it) with nine months of hourly readings. What a stage costs at any size, its start
above all, is taken off by what it costs 500 customers; the rest may grow by n log n, with ``TOLERANCE``.
"""

import json
import math
import os
import shutil
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.benchmarks.harness import LATEST, Usage, run_measured, scratch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 500
SIZES = (2_000, 20_000, 200_000)
STAGES = (
    "demo_data", "ingest", "silver", "training_set", "train", "promote", "segment", "score", "response", "recommend",
    "drift",
)  # fmt: skip
SETTINGS = (
    "run_date=2024-10-09",
    "as_of=2024-09-30",
    "data.end=2024-09-30",
    "data.churn_rate_90d=0.1",
    "labels.horizon_days=60",
    "labels.split.train={first: 2024-02-29, last: 2024-02-29}",
    "labels.split.valid={first: 2024-04-30, last: 2024-04-30}",
    "labels.split.test={first: 2024-07-31, last: 2024-07-31}",
    "promotion.mode=force",
    "promotion.reason=growth",
    "labels.registration_lag_days=0",
)
# A stage may grow by this much more than n log n: a noisy machine, and caches that no longer hold everything.
TOLERANCE = 1.25
# Below this a stage's growth says nothing.
LEAST_CPU_S = 1.0
Figures = dict[str, dict[int, Usage]]


def main() -> int:
    """Measures, prints and records; 1 where a stage grows faster than it may."""
    sizes = tuple(json.loads(os.environ["GROWTH"])) if "GROWTH" in os.environ else SIZES
    figures: Figures = {stage: {} for stage in STAGES}
    for customers in (FEW, *sizes):
        with TemporaryDirectory(prefix="growth-", dir=scratch()) as folder:
            for stage in STAGES:
                figures[stage][customers] = _run(stage, customers, Path(folder))
                used = figures[stage][customers]
                print(f"{customers:>9,} {stage:14} {used.cpu_s:9.1f} s CPU {used.peak_rss_mib:8,.0f} MiB", flush=True)
    table = render(figures, sizes)
    print(table)
    file = LATEST.with_name("growth.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({name: {n: asdict(one) for n, one in row.items()} for name, row in figures.items()}))
    _plot(figures, sizes).savefig(file.with_suffix(".svg"))
    print(f"figures: {file}, {file.with_suffix('.svg')}")
    too_fast = [stage for stage in STAGES if any(ratio > TOLERANCE for ratio in growth(figures[stage], sizes))]
    if too_fast:
        print(f"faster than n log n: {', '.join(too_fast)}", file=sys.stderr)
    return int(bool(too_fast))


def _run(stage: str, customers: int, folder: Path) -> Usage:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    words = [
        f"pipelines.{stage}",
        f"data_root={folder / 'data'}",
        f"tracking.uri=sqlite:///{folder / 'mlflow.db'}",
        f"tracking.artifacts={folder / 'mlruns'}",
        f"data.customers={customers}",
        *SETTINGS,
    ]
    if shutil.disk_usage(folder).free < customers * 60_000:
        raise SystemExit(f"{customers:,} customers need {customers * 60_000 / 2**30:.0f} GiB of disk at {folder}")
    return run_measured(words, environment, stage)


def growth(row: dict[int, Usage], sizes: tuple[int, ...]) -> list[float]:
    """How many times more than n log n a stage cost at each size, from the size before; fixed costs are taken off."""
    base = row[FEW].cpu_s
    found = []
    for few, many in pairwise(sizes):
        before, after = row[few].cpu_s - base, row[many].cpu_s - base
        allowed = many * math.log(many) / (few * math.log(few))
        found.append(after / before / allowed if before > LEAST_CPU_S else 0.0)
    return found


def render(figures: Figures, sizes: tuple[int, ...]) -> str:
    """The table in Markdown: CPU seconds and MiB per size, and the growth from one size to the next."""
    heads = [f"{size:,}" for size in (FEW, *sizes)]
    steps = [f"n log n = 1, to {many:,}" for _, many in pairwise(sizes)]
    lines = [
        f"| stage | {' | '.join(f'{head}: CPU s, MiB' for head in heads)} | {' | '.join(steps)} |",
        f"| --- |{' ---: |' * (len(heads) + len(steps))}",
    ]
    for stage, row in figures.items():
        cells = [f"{row[size].cpu_s:,.1f}, {row[size].peak_rss_mib:,.0f}" for size in (FEW, *sizes)]
        cells += [f"{ratio:.2f}" if ratio else "" for ratio in growth(row, sizes)]
        lines.append(f"| `{stage}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plot(figures: Figures, sizes: tuple[int, ...]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    cpu, memory = figure.subplots(1, 2)
    for stage, row in figures.items():
        cpu.plot(sizes, [row[size].cpu_s for size in sizes], marker="o", ms=3, label=stage)
        memory.plot(sizes, [row[size].peak_rss_mib for size in sizes], marker="o", ms=3)
    one = max(row[sizes[0]].cpu_s for row in figures.values())
    law = [one * size * math.log(size) / (sizes[0] * math.log(sizes[0])) for size in sizes]
    cpu.plot(sizes, law, color="grey", ls=":", label="n log n")
    cpu.set(xscale="log", yscale="log", xlabel="customers", ylabel="CPU seconds")
    memory.set(xscale="log", yscale="log", xlabel="customers", ylabel="peak memory, MiB")
    cpu.legend(fontsize=7)
    return figure
