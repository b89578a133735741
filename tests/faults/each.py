"""A command harmed at each of its operations on files, each time followed by a run that is left alone."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import children
from tests.faults.cases import CASES, Case, Shown, hand_over
from tests.faults.operations import Harm, Operations, watched
from tests.support import without_tracking_variables

FREE = re.compile(r"[\d,.]+ of [\d,.]+ MiB are free")
SAID = {"full": "is full", "readonly": "access is denied"}
SIGKILL = -9


@dataclass(frozen=True)
class Harmed:
    """One trial.

    Attributes:
        case: The command.
        at: Which operation.
        what: The operation.
        ended: Whether the command ended well all the same.
        told: The last line that it said.
    """

    case: str
    at: int
    what: str
    ended: bool
    told: str


def drill(folder: Path, harm: Harm, every: int, names: Sequence[str] = ()) -> list[Harmed]:
    """Harms commands; an assertion fails where something half-made shows or the next run differs.

    Args:
        folder: An empty folder.
        harm: What is done.
        every: Which operations: 1 for each, 5 for every fifth.
        names: Commands; none are all.
    """
    children.load()
    found: list[Harmed] = []
    with without_tracking_variables():
        for name in names or CASES:
            found += _case(CASES[name], folder / name, harm, every)
            shutil.rmtree(folder / name)
    return found


def _case(case: Case, folder: Path, harm: Harm, every: int) -> list[Harmed]:
    place, world, said, seen = (folder / name for name in ("place", "world", "said.txt", "seen.txt"))
    folder.mkdir(parents=True)
    children.must(lambda: case.make(place), said)
    place.rename(world)
    hand_over(world, place)
    before = case.shown(place)
    watching = Operations([place], harm)
    children.must(watched(lambda: case.work(place), watching, seen), said)
    after, operations = case.shown(place), seen.read_text().splitlines()
    case.done(place)
    assert before != after
    assert operations
    found = []
    for at in range(1, len(operations) + 1, every):
        hand_over(world, place)
        one = Operations([place], harm, at)
        code, _ = children.run(watched(lambda: case.work(place), one), said)
        told = said.read_text()
        where = f"{case.name}, {harm} at operation {at} of {len(operations)}, {operations[at - 1]}"
        _check_end(code, told, harm, where)
        shown = case.shown(place)
        _check_shown(case, before, shown, after, ended=not code, where=where)
        _again(case, place, said, is_there=shown == after)
        assert case.shown(place) == after, f"{where}: another result when run again"
        try:
            if not case.refuses or before == shown:
                case.done(place)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error
        print(f"{where}: {'it ended well' if not code else 'it ended'}, and whole when run again", flush=True)
        lines = told.strip().splitlines()
        found.append(Harmed(case.name, at, operations[at - 1], not code, lines[-1] if lines else ""))
    died = sum(not one.ended for one in found)
    print(f"{case.name}: {harm} at {len(found)} of {len(operations)} operations, {died} ended it", flush=True)
    return found


def _again(case: Case, place: Path, said: Path, *, is_there: bool) -> None:
    """Runs the same command, left alone."""
    if case.refuses and is_there:
        code, _ = children.run(lambda: case.work(place), said)
        assert code
        assert case.refuses in said.read_text()
    else:
        children.must(lambda: case.work(place), said)


def _check_end(code: int, told: str, harm: Harm, where: str) -> None:
    if harm == "kill":
        assert code in (0, SIGKILL), f"{where}: ended with {code}: {told}"
        return
    assert code in (0, 1), f"{where}: ended with {code}: {told}"
    assert "Traceback" not in told, f"{where}: {told}"
    if code:
        assert SAID[harm] in told, f"{where}: {told}"
        assert harm != "full" or FREE.search(told), f"{where}: does not say how much is free: {told}"


def _check_shown(case: Case, before: Shown, now: Shown, after: Shown, *, ended: bool, where: str) -> None:
    for name in {*before, *now, *after}:
        allowed = {after.get(name)} if ended else {before.get(name), after.get(name)}
        if case.drops and not ended:
            allowed.add(None)
        assert now.get(name) in allowed, f"{where}: {name} is neither what was there nor what is made"


def main(harm: Harm, every: int, names: Sequence[str], folder: Path) -> None:
    """The drill, told command by command."""
    found = drill(folder, harm, every, names)
    ended = sum(not one.ended for one in found)
    print(f"{harm}: {len(found)} times, {ended} ended the command, 0 half-made or lost, all equal when run again")
    for told in sorted({re.sub(r"/\S+|[\d,.]+", "…", one.told) for one in found if one.told})[:12]:
        print(f"  {told[:300]}")
