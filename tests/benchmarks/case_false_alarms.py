"""False alarms of drift with nothing planted: 200 run dates, all features, as delivered and by chance alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import beta

from spanishgas.monitoring.drift import judge
from tests.benchmarks.harness import Case
from tests.monitoring.worlds import baseline, customers, drift, monitoring

CASE = Case(
    name="false_alarms",
    what="200 run dates of 2,000 customers x 84 features against a baseline of 2,000 with nothing planted",
    reference="making the customers",
    repeats=1,
)
SEEDS, ROWS, EVERYBODY = 200, 2_000, 50_000


def prepare(folder: Path) -> None:
    """Nothing is read."""


def run(folder: Path) -> None:
    everybody, strict = customers(EVERYBODY, 1), monitoring().drift
    bare = strict.model_copy(update={"limits": dict.fromkeys(strict.limits, 0.0), "features": {}, "not_compared": {}})
    counts = {"as delivered": 0, "limits of zero": 0}
    for seed in range(SEEDS):
        draw = np.random.default_rng(seed)
        first, second = (everybody.iloc[draw.integers(0, EVERYBODY, ROWS)].reset_index(drop=True) for _ in range(2))
        found = drift(baseline(first), second)
        for name, one in (("as delivered", found), ("limits of zero", judge(replace(found.facts, settings=bare)))):
            counts[name] += bool((one.checks["state"] == "alarm").any())
    for name, count in counts.items():
        lo = float(beta.ppf(0.025, count, SEEDS - count + 1)) if count else 0.0
        hi = float(beta.ppf(0.975, count + 1, SEEDS - count))
        print(f"{name}: {count} of {SEEDS} run dates with any alarm, {count / SEEDS:.1%} ({lo:.1%} to {hi:.1%})")
        assert count <= strict.alpha * SEEDS, name


def reference(folder: Path) -> None:
    customers(EVERYBODY, 1)
