"""Long drills of faults, each alone in a process that makes copies of itself and kills them.

`python -m tests.faults kills --seed 1 --per-stage 6 --pipelines 20 [stages]`, `each kill|full|readonly --every 1
[commands]`; and `lost`, `password`, `full`, `several`
and `held`.
"""

import argparse
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.e2e.test_stages import ALONE
from tests.faults import children, crowd, disk, each, held, kills, server
from tests.faults.cases import CASES
from tests.support import without_tracking_variables


def lost(folder: Path) -> None:
    """A tracking server that is lost before, after and in a run, and one that hangs while the run is told to stop."""
    (folder / "away").mkdir()
    for when, took in zip(("before", "after"), server.away(folder / "away"), strict=True):
        print(f"lost {when} a run: told after {took:.1f} s")
        assert took < server.TOLD_SECONDS + server.BEGUN_SECONDS
    for harm, stop, most in (
        (signal.SIGKILL, False, server.TOLD_SECONDS),
        (signal.SIGSTOP, True, server.STOPPED_SECONDS),
    ):
        seconds = server.lose(folder / harm.name, harm, "silver", stop)
        print(f"{harm.name}: over after {seconds:.1f} s")
        assert seconds < most


def password(folder: Path) -> None:
    """The password of the server's address, searched for on the terminal, in the data root and in the store."""
    stages = [stage.name for stage in ALONE if stage.name != "backtest"]
    said, data, served = folder / "said.txt", folder / "data", folder / "server"
    with server.serving(served) as running:
        server.complete(running, folder, said, *stages)
        assert set(running.runs()) == {"FINISHED"}
    found = server.canary_in([said, data, served])
    print(f"{len(stages)} stages, found in: {found or 'nothing'}")
    assert not found


def full(folder: Path) -> None:
    """A pipeline, and its store too, on a disk that is full again after each 1.5 MiB."""
    for store_on_disk in (False, True):
        place = folder / str(store_on_disk)
        place.mkdir()
        failed = disk.fill(place, 1500, store_on_disk=store_on_disk)
        print(f"store on the disk: {store_on_disk}; {len(failed)} writes found it full, and it came to its end")
        assert len(failed) > 2


def several(folder: Path) -> None:
    """Two and five pipelines at once on one data root and one store, beside one alone."""
    (folder / "1").mkdir()
    alone = crowd.together(folder / "1", 1)
    for count in (2, 5):
        (folder / str(count)).mkdir()
        assert crowd.together(folder / str(count), count) == alone
        print(f"{count} pipelines at once: all came to their end, with the tables of one alone")


def held_store(folder: Path) -> None:
    """A SQLite store that another program holds for a minute."""
    print(f"held for {held.MINUTE:.0f} s: the stage took {held.hold(folder):.1f} s and came to its end")


def alone(drill: Callable[[Path], None]) -> None:
    """Does one drill in a folder of its own, which goes afterwards."""
    children.load()
    with tempfile.TemporaryDirectory() as folder, without_tracking_variables():
        drill(Path(folder))


def parser() -> argparse.ArgumentParser:
    """Words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    drills = parser.add_subparsers(required=True)
    one = drills.add_parser("kills", help=kills.__doc__)
    one.add_argument("only", nargs="*", help="stages; all without")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--per-stage", type=int, default=6)
    one.add_argument("--pipelines", type=int, default=20)
    one.set_defaults(run=lambda given: kills.main(given.seed, given.per_stage, given.pipelines, given.only))
    each_of = drills.add_parser("each", help=each.__doc__)
    each_of.add_argument("harm", choices=("kill", "full", "readonly"))
    each_of.add_argument("only", nargs="*", choices=(*CASES, []), help="commands; all without")
    each_of.add_argument("--every", type=int, default=1, help="1: each operation, 5: every fifth")
    each_of.set_defaults(run=lambda given: alone(lambda folder: each.main(given.harm, given.every, given.only, folder)))
    others = {"lost": lost, "password": password, "full": full, "several": several, "held": held_store}
    for name, drill in others.items():
        drills.add_parser(name, help=drill.__doc__).set_defaults(run=lambda _, drill=drill: alone(drill))
    return parser


def main() -> None:
    given = parser().parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
