"""Processor time of every stage that can run on Spark, on both engines: what a small retailer of 700 customers costs.

python -m tests.benchmarks.spark_stages
"""

import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from spanishgas.stages import demo_data, drift, features, ingest, promote, recommend, score, segment, silver, train
from spanishgas.stages import training_set as training
from tests.e2e.worlds import Retailer
from tests.spark import lacking

BEFORE = (demo_data, ingest, silver, training, features, train, promote, segment, recommend, drift)
COMPARED = (silver, features, training, score, recommend, drift)
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints a line per stage."""
    if lacking():
        raise SystemExit(lacking())
    with TemporaryDirectory() as name, patch("spanishgas.silver.hour_ranges.WORTH_WORKERS", 0):
        retailer = Retailer.at(Path(name), Path(name) / "mlruns")
        for module in BEFORE:
            retailer.run(module.STAGE)
        print("| stage | embedded, CPU s | Spark, CPU s |\n| --- | ---: | ---: |")
        for module in COMPARED:
            told = []
            for overrides in (("force=true",), ("force=true", "engine=spark", "engine.threads=2")):
                begun = processor_seconds()
                retailer.run(module.STAGE, *overrides)
                told.append(processor_seconds() - begun)
            print(f"| `{module.STAGE.name}` | {told[0]:.1f} | {told[1]:.1f} |", flush=True)


def processor_seconds() -> float:
    """Of this process and of all that it has started and that still run; Spark's processes run until the end."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    started: dict[int, list[tuple[int, float]]] = {}
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split() if folder.name.isdigit() else []
        except OSError:  # it has ended meanwhile
            fields = []
        if fields:
            seconds = sum(map(int, fields[11:15])) / TICKS
            started.setdefault(int(fields[1]), []).append((int(folder.name), seconds))
    total, waiting = own.ru_utime + own.ru_stime, [os.getpid()]
    while waiting:
        for process, seconds in started.get(waiting.pop(), []):
            total += seconds
            waiting.append(process)
    return total


if __name__ == "__main__":
    main()
