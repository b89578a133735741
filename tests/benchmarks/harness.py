"""Measures cases beside a reference, each in a process of its own, in turn, so that a noisy machine is noisy for both.

A case is a module ``case_<name>.py`` with

- ``CASE``: a ``Case``, which names the functions below;
- ``prepare(folder)``: makes the input once; not measured;
- ``run(folder)``: what is measured;
- ``reference(folder)``: what it is measured against: the naive way, or the limit of the machine.

CPU seconds (user and system, children included) and peak memory are the operating system's account of the process.
"""

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
LATEST = ROOT / "data" / "benchmarks" / "latest.json"
Step = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        name: Name of the case.
        what: What is measured, in words.
        reference: What it is measured beside, in words.
        repeats: Pairs of runs; medians are reported.
        limit: Ratio of CPU seconds to stay under, or None.
        limit_mib: Peak memory to stay under, or None.
    """

    name: str
    what: str
    reference: str
    repeats: int = 3
    limit: float | None = None
    limit_mib: float | None = None


@dataclass(frozen=True)
class Usage:
    """What one process used."""

    cpu_s: float
    wall_s: float
    peak_rss_mib: float


def case_modules() -> dict[str, str]:
    """Case name -> module, from the files beside this one."""
    files = sorted(Path(__file__).parent.glob("case_*.py"))
    return {file.stem.removeprefix("case_"): f"tests.benchmarks.{file.stem}" for file in files}


def measure(name: str) -> dict[str, object]:
    """Runs one case beside its reference and returns its row for the report."""
    module = importlib.import_module(case_modules()[name])
    case: Case = module.CASE
    with TemporaryDirectory(prefix="bench-", dir=scratch()) as inside:
        folder = Path(inside)
        _in_process(name, "prepare", folder)
        pairs = [
            (_in_process(name, "run", folder), _in_process(name, "reference", folder)) for _ in range(case.repeats)
        ]
    run, reference = _median([pair[0] for pair in pairs]), _median([pair[1] for pair in pairs])
    return {
        "name": case.name,
        "what": case.what,
        **asdict(run),
        "reference": {"what": case.reference, **asdict(reference)},
        "ratio": run.cpu_s / reference.cpu_s,
        "limit": case.limit,
        "limit_mib": case.limit_mib,
        "repeats": case.repeats,
    }


def record(rows: list[dict[str, object]], file: Path = LATEST) -> None:
    """Writes rows into the report; cases that were not run this time keep their last figures."""
    kept = {row["name"]: row for row in json.loads(file.read_text())} if file.is_file() else {}
    kept.update({row["name"]: row for row in rows})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(list(kept.values()), indent=1) + "\n")


def call_step(name: str, step: str, folder: Path) -> None:
    """Runs one step of a case; called in the measured process."""
    function: Step = getattr(importlib.import_module(case_modules()[name]), step)
    function(folder)


def _in_process(name: str, step: str, folder: Path) -> Usage:
    words = ["tests.benchmarks", "--step", name, step, str(folder)]
    return run_measured(words, dict(os.environ), f"{name}: {step}")


def run_measured(words: Sequence[str], environment: Mapping[str, str], what: str) -> Usage:
    """Runs a module with its arguments in a process of its own, and tells what that used, its children included."""
    started = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, "-m", *words], environment)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{what} ended with status {status}")
    return Usage(usage.ru_utime + usage.ru_stime, time.perf_counter() - started, usage.ru_maxrss / 1024)


def _median(usages: list[Usage]) -> Usage:
    return Usage(
        *(statistics.median(values) for values in zip(*(asdict(usage).values() for usage in usages), strict=True))
    )


def scratch() -> Path:
    """Where cases work. Inputs are large: they lie beside the outputs, not in a temporary folder that may be memory."""
    folder = ROOT / "data" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
