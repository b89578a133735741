"""A share of the mutilated deliveries, for one process: a spawned process cannot look into a package's ``__main__``."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deliveries.faults import FAULTS
from tests.deliveries.outcomes import Drill, Outcome

Case = tuple[str, str, bool]


def outcomes_of(share: Sequence[Case], kept: Path) -> None:
    """Tries a share of the deliveries and adds to a file how each ended.

    Args:
        share: Name of the fault, source, and whether it is the first delivery of all.
        kept: JSON lines.
    """
    by_name = {fault.name: fault for fault in FAULTS}
    with TemporaryDirectory() as folder:
        drill = Drill(Path(folder))
        for name, source, first in share:
            found = drill.outcome(by_name[name], source, first=first)
            print(f"{found.kind:9s} {name}, {source}{', first' if first else ''}: {found.told[:300]}", file=sys.stderr)
            with kept.open("a") as file:
                file.write(json.dumps([name, source, first, asdict(found)]) + "\n")


def known(kept: Path) -> dict[Case, Outcome]:
    """What a file tells of earlier runs; the last word on a case counts."""
    lines = kept.read_text().splitlines() if kept.exists() else []
    told = [json.loads(line) for line in lines]
    return {(name, source, first): Outcome(**found) for name, source, first, found in told}
