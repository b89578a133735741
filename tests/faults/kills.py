"""SIGKILL at random moments of every stage and of the whole pipeline, each followed by a run that is left alone."""

import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spanishgas.engine.store import TableStore
from spanishgas.registry import Tracker
from tests.faults import children
from tests.faults.scenes import Scene, beginning, contents, deciding, everywhere, measuring, replaying, tracking_in
from tests.support import without_tracking_variables


@dataclass(frozen=True)
class Killed:
    """One kill.

    Attributes:
        what: The stage, or ``pipeline``.
        after: Seconds after its start.
        died: Whether it was still at work.
    """

    what: str
    after: float
    died: bool


def drill(folder: Path, seed: int, per_stage: int, pipelines: int, only: Sequence[str] = ()) -> list[Killed]:
    """Kills stages and pipelines; an assertion fails where something half-made shows or the next run differs.

    Args:
        folder: An empty folder.
        seed: Decides when.
        per_stage: Kills of each stage.
        pipelines: Kills of a pipeline that begins with nothing, one after another until it has come to its end.
        only: Names of stages; none are all. A pipeline that begins with nothing ends with the last of them.
    """
    draws, said = random.Random(seed), folder / "said.txt"
    children.load()
    killed: list[Killed] = []
    with without_tracking_variables():
        store = folder / "empty"
        store.mkdir()
        children.must(lambda: Tracker(tracking_in(store)).client, said)
        first, second = beginning(folder / "first", store, only), deciding(folder / "second", store)
        third, fourth = measuring(folder / "third", second.folder), replaying(folder / "fourth", store)
        wanted = [one for one in (first, second, third, fourth) if per_stage and (not only or {*only} & {*one.stages})]
        for one in (first, second, third, fourth):
            needed = (one is first and pipelines) or (one is second and third in wanted)
            if one not in wanted and not needed:
                continue
            one.folder.mkdir()
            whole = children.must(lambda one=one: one.make(one), said)
            if one is first and pipelines:
                killed += _pipeline(first, folder / "pipeline", store / "mlflow.db", draws, pipelines, whole)
            if one in wanted:
                killed += _stages(one, folder / "copy", draws, per_stage, only)
    return killed


def _stages(scene: Scene, copy: Path, draws: random.Random, count: int, only: Sequence[str]) -> list[Killed]:
    killed: list[Killed] = []
    original, said = everywhere(TableStore(scene.folder / "data")), copy.with_suffix(".txt")
    for name in scene.stages:
        if only and name not in only:
            continue

        def work(name: str = name) -> None:
            scene.play(copy, (name,))

        store = scene.copy(copy, without=name)
        usual = children.must(work, said)
        expected = everywhere(store)
        assert expected.items() <= original.items(), f"{name} gives another result when nobody kills it"
        for _ in range(count):
            store = scene.copy(copy, without=name)
            before = everywhere(store)
            after = draws.uniform(0.0, usual)
            code, _seconds = children.run(work, said, kill_after=after)
            assert code <= 0, said.read_text()
            left = everywhere(store)
            assert before.items() <= left.items(), (
                f"{name} killed after {after:.3f} s: lost {before.keys() - left.keys()}"
            )
            assert left.items() <= expected.items(), f"{name} killed after {after:.3f} s: shows what is not its result"
            children.must(work, said)
            assert everywhere(store) == expected, f"{name} killed after {after:.3f} s: another result when run again"
            assert _leftovers(store) == []
            killed.append(Killed(name, after, code < 0))
            print(f"{name} killed after {after:.3f} of {usual:.3f} s{'' if code else ': had ended'}", flush=True)
    return killed


def _pipeline(
    scene: Scene, copy: Path, empty_store: Path, draws: random.Random, count: int, whole: float
) -> list[Killed]:
    killed: list[Killed] = []
    expected, said = contents(TableStore(scene.folder / "data")), copy.with_suffix(".txt")
    copy.mkdir()
    (copy / "mlflow.db").write_bytes(empty_store.read_bytes())
    store = TableStore(copy / "data")
    for number in range(count):
        after = draws.uniform(0.0, whole / 4)
        code, _ = children.run(lambda: scene.play(copy), said, kill_after=after)
        assert code <= 0, said.read_text()
        assert contents(store).items() <= expected.items()
        killed.append(Killed("pipeline", after, code < 0))
        print(
            f"pipeline killed after {after:.3f} s, with {len(contents(store))} of {len(expected)} published", flush=True
        )
        if not code and number < count - 1:  # it came to its end: begin again
            assert contents(store) == expected
            for manifest in list((copy / "data").glob("*/_meta/**/*.json")):
                manifest.unlink()
    children.must(lambda: scene.play(copy), said)
    assert contents(store) == expected
    assert _leftovers(store) == []
    return killed


def _leftovers(store: TableStore) -> list[Path]:
    return [path for path in store.root.rglob("_staging/*") if any(path.iterdir())]


def main(seed: int, per_stage: int, pipelines: int, only: Sequence[str]) -> None:
    """The drill, told line by line."""
    with tempfile.TemporaryDirectory() as folder:
        killed = drill(Path(folder), seed, per_stage, pipelines, only)
    died = sum(one.died for one in killed)
    print(f"seed {seed}: {len(killed)} kills, {died} while at work, 0 half-made or lost, all equal when run again")
    sys.stdout.flush()
