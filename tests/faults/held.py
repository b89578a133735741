"""A tracking store that another program holds for a minute while a stage runs on it."""

import subprocess
import sys
from pathlib import Path

from spanishgas.engine.store import TableStore
from spanishgas.registry import Tracker
from tests.faults import children
from tests.faults.cases import SMALL, called, settings_in
from tests.faults.scenes import contents, tracking_in

MINUTE = 60.0
# Another process: SQLite knows of its own process's locks, and a copy of it would believe that it has them.
HOLDING = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("begin exclusive")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
store.execute("rollback")
"""


def hold(folder: Path, seconds: float = MINUTE) -> float:
    """Holds the store before a stage begins; the stage waits, and comes to its end.

    Args:
        folder: An empty folder.
        seconds: For how long.

    Returns:
        Seconds that the stage took.
    """
    said, place = folder / "said.txt", folder / "place"
    (place / "tmp").mkdir(parents=True)
    children.must(lambda: Tracker(tracking_in(place)).client.search_experiments(), said)
    holding = [sys.executable, "-c", HOLDING, str(place / "mlflow.db"), str(seconds)]
    with subprocess.Popen(holding, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        took = children.must(lambda: called(SMALL[0], place), said)
    assert took > seconds - 5
    assert contents(TableStore(settings_in(place).data.root))
    seen = folder / "seen.txt"
    children.must(lambda: seen.write_text(" ".join(_statuses(place))), said)
    assert set(seen.read_text().split()) == {"FINISHED"}
    return took


def _statuses(place: Path) -> list[str]:
    client = Tracker(tracking_in(place)).client
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    return [str(one.info.status) for one in runs]
