"""A share of the mutilated deliveries, for one process: a spawned process cannot look into a package's ``__main__``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deliveries.faults import FAULTS
from tests.deliveries.outcomes import Drill, Outcome


def outcomes_of(share: Sequence[tuple[str, str, bool]]) -> list[Outcome]:
    """How a share of the deliveries ended: name of the fault, source, whether it is the first delivery of all."""
    by_name = {fault.name: fault for fault in FAULTS}
    with TemporaryDirectory() as folder:
        drill = Drill(Path(folder))
        found = []
        for name, source, first in share:
            found.append(drill.outcome(by_name[name], source, first=first))
            told = f"{found[-1].kind:9s} {name}, {source}{', first delivery' if first else ''}: {found[-1].told[:300]}"
            print(told, file=sys.stderr, flush=True)
        return found
