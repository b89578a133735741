"""Offers for two million customers, beside the linear program of a hundredth of them.

The linear program is the exact way without integrality: it weighs the same limits, and its optimum is the bound that
the allocation certifies. A greedy choice by value per euro would be fast, but it solves an easier task: it knows no
price for a contact in a window or a channel.
"""

from pathlib import Path

import numpy as np

from spanishgas.policy.allocation import Limits, Options, allocate, option_table
from spanishgas.policy.economics import Values
from tests.benchmarks.harness import Case

CUSTOMERS = 2_000_000
PART = 100
COST = np.array([3.0, 0.1, 0.9, 0.15])
CASE = Case(
    name="allocate",
    what="allocate 3 offers x 3 windows x 4 channels to 2,000,000 customers",
    reference="linear program of 20,000 of them, in HiGHS",
    repeats=1,
    limit=5.0,
    limit_mib=2048,
)
NAMES = ("value", "spend", "reached", "offers", "channels")


def prepare(folder: Path) -> None:
    """Most offers lose a little, some gain much; two in five customers are vetoed; budget and capacities bind."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(1.0, 1.0, (CUSTOMERS, 1, 1)).astype(np.float32)
    liking = rng.normal(-0.5, 0.9, (CUSTOMERS, 1, 1)).astype(np.float32)
    value = size * (liking + 0.25 * rng.standard_normal((CUSTOMERS, 3, 3), np.float32))
    share = np.array([0.3, 0.6, 1.0], np.float32)[None, :, None]
    spend = rng.lognormal(0.5, 0.7, (CUSTOMERS, 1, 1)).astype(np.float32) * share
    spend = spend * (0.9 + 0.2 * rng.random((CUSTOMERS, 3, 3), np.float32))
    leaving = rng.beta(1, 30, (CUSTOMERS, 2)).astype(np.float32)
    reached = np.cumprod(np.hstack([np.ones((CUSTOMERS, 1), np.float32), 1 - leaving]), axis=1)
    asked = rng.random((CUSTOMERS, 1, 1)) > 0.4
    offers, channels = asked & (rng.random((CUSTOMERS, 3, 3)) > 0.1), rng.random((CUSTOMERS, 4)) > 0.3
    for name, array in zip(NAMES, (value, spend, reached, offers, channels), strict=True):
        np.save(folder / f"{name}.npy", array)


def load(folder: Path, customers: int) -> tuple[Options, Limits]:
    """The first customers, and limits in proportion."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r")[:customers] for name in NAMES}
    value, spend, reached, offers, channels = (np.ascontiguousarray(arrays[name]) for name in NAMES)
    options = Options(Values(value, spend, reached, reached[:, 0]), COST, offers, channels)
    windows, contacts = np.array([0.02, 0.03, 0.03]), np.array([0.002, 0.04, 0.02, 0.02])
    return options, Limits(0.1 * customers, windows * customers, contacts * customers)


def run(folder: Path) -> None:
    allocate(*load(folder, CUSTOMERS))


def reference(folder: Path) -> None:
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, csr_array, vstack

    options, limits = load(folder, CUSTOMERS // PART)
    value, spend = option_table(options, np.arange(len(options)))
    who, option = np.nonzero(value > 0)
    _, windows, channels = options.shape
    window, channel = option // channels % windows, option % channels
    usage = [
        spend[who, option],
        *(window == one for one in range(windows)),
        *(channel == one for one in range(channels)),
    ]
    once = coo_array((np.ones(len(who)), (who, np.arange(len(who)))), shape=(len(options), len(who)))
    rows = vstack([csr_array(np.array(usage, np.float64)), once]).tocsr()
    most = np.append(limits.bounds, np.ones(len(options)))
    found = linprog(-value[who, option], rows, most, bounds=(0, 1), method="highs")
    assert found.status == 0
