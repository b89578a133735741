"""Puts faults into the code, chosen by a fixed seed over all rooms, and tells which of them the tests catch.

    python -m tests.seeded draw --seed 19 --count 40
    python -m tests.seeded reach                     # which tests pass by each fault: one run of the suite
    python -m tests.seeded judge                     # one run of those tests per fault, up to the first that fails

Works in a copy of the project below `--folder` and changes nothing outside of it; `judge` goes on where it was stopped.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.seeded.reached import PLACES
from tests.seeded.seeds import ROOT, Fault, draw

# Tests that are run before all others that reach a fault.
FIRST = 12


@dataclass(frozen=True)
class Bench:
    """Where the faults are tried.

    Attributes:
        folder: Holds the list of faults, what reaches them, and the outcomes.
    """

    folder: Path

    @property
    def copy(self) -> Path:
        return self.folder / "copy"

    @property
    def reached(self) -> Path:
        return self.folder / "reached.jsonl"

    def faults(self) -> list[Fault]:
        return [Fault(**one) for one in json.loads((self.folder / "faults.json").read_text())]

    def renew(self) -> None:
        """Copies what git knows of the project, as it is now."""
        shutil.rmtree(self.copy, ignore_errors=True)
        words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (self.copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.copy / name)

    def pytest(self, words: Sequence[str], limit: float | None = None) -> tuple[int, str]:
        """Exit code and output of a run in the copy, by a copy of this process; 124 if it was stopped at the limit."""
        said = self.folder / "said.txt"
        child = os.fork()
        if child == 0:
            self._be_the_child(words, said)
        begun = time.monotonic()
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), said.read_text(errors="replace")
            if limit is not None and time.monotonic() - begun > limit:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return 124, said.read_text(errors="replace")
            time.sleep(0.2)

    def _be_the_child(self, words: Sequence[str], said: Path) -> NoReturn:
        os.setsid()
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(self.copy)
        sys.path[:] = [str(self.copy), *(one for one in sys.path if one and Path(one).resolve() != ROOT)]
        os.environ["PYTHONPATH"] = str(self.copy)
        code = 3
        try:
            import pytest

            code = int(pytest.main(["-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", *words]))
        finally:
            sys.stdout.flush()
            os._exit(code)


def import_what_is_slow() -> None:
    """Imports outside libraries before processes are copied, and none of the project's modules."""
    for name in ("mlflow", "ibis", "duckdb", "pandas", "pyarrow.parquet", "hydra", "scipy.optimize", "xgboost",
                 "sklearn.ensemble", "matplotlib.figure", "hypothesis", "pydantic", "rich.console"):  # fmt: skip
        importlib.import_module(name)


def reach(bench: Bench, words: Sequence[str]) -> int:
    """Runs the tests once, with a probe before each statement that has a fault."""
    bench.renew()
    probes: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for number, fault in enumerate(bench.faults()):
        probes[fault.file].append((fault.statement, fault.indent, number))
    for name, places in probes.items():
        file = bench.copy / name
        lines = file.read_text().splitlines(keepends=True)
        for line, indent, number in sorted(places, reverse=True):
            lines.insert(line - 1, f"{' ' * indent}getattr(__import__('builtins'), '_hit', int)({number})\n")
        file.write_text("".join(lines))
    bench.reached.unlink(missing_ok=True)
    chosen = ["-p", "tests.seeded.reached", *(words or ["-m", "not drill"])]
    os.environ[PLACES] = str(bench.reached)
    code, out = bench.pytest(chosen)
    print(out[-4000:])
    return code


def who_reaches(bench: Bench) -> dict[int, list[str]]:
    """Fault -> tests that pass by it and pass without it, those of its room first, quick ones first."""
    records = [json.loads(line) for line in bench.reached.read_text().splitlines()]
    shared = {one["place"]: set(one["hits"]) for one in records if "place" in one}
    tests = {one["test"]: one for one in records if "test" in one and not one["failed"]}
    seconds = {name: float(one["seconds"]) for name, one in tests.items()}
    seen = {name.partition("::")[0] for name in tests}
    every = {str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("test_*.py")}
    unseen = every - seen  # where only some tests were looked at
    found: dict[int, list[str]] = {}
    for number, fault in enumerate(bench.faults()):
        near = f"tests/{fault.room}/"
        module = ".".join(Path(fault.file).with_suffix("").parts)
        direct, by_fixture = set(), set()
        for name, one in tests.items():
            if number in one["hits"]:
                direct.add(name)
            elif any(number in shared.get(fixture, ()) for fixture in one["fixtures"]):
                by_fixture.add(name)
        if number in shared.get("import", ()):  # made once, whoever uses it: whoever names it, or lives beside it
            naming = {
                str(file.relative_to(ROOT))
                for file in (ROOT / "tests").rglob("test_*.py")
                if module in file.read_text() or str(file.relative_to(ROOT)).startswith(near)
            }
            by_fixture |= {name for name in tests if name.partition("::")[0] in naming} - direct
        order = [
            *sorted(
                (file for file in unseen if file.startswith(near)),
                key=lambda name: Path(fault.file).stem.strip("_") not in name,
            ),
            *sorted(direct, key=lambda name: (not name.startswith(near), seconds[name])),
            *sorted(by_fixture, key=lambda name: (not name.startswith(near), seconds[name])),
        ]
        found[number] = order
    return found


def judge(bench: Bench, limit: float, words: Sequence[str]) -> int:
    """Runs for each fault the tests that reach it; tells and keeps what came of it."""
    kept = bench.folder / "outcomes.json"
    import_what_is_slow()
    outcomes: dict[str, dict[str, object]] = json.loads(kept.read_text()) if kept.exists() else {}
    bench.renew()
    reaching = who_reaches(bench)
    for number, fault in enumerate(bench.faults()):
        if fault.name in outcomes:
            continue
        tests = reaching[number]
        file = bench.copy / fault.file
        whole = file.read_bytes()
        outcome: dict[str, object] = {"reached_by": len(tests)}
        try:
            fault.put_into(bench.copy)
            code, out = 5, ""
            until = time.monotonic() + limit
            for some in (tests[:FIRST], tests[FIRST:]):  # most faults are caught at once, without collecting the rest
                if some and code in (0, 5):
                    (bench.folder / "tests.txt").write_text("\n".join(some))
                    words_now = ["-x", *words, f"@{bench.folder / 'tests.txt'}"]
                    code, out = bench.pytest(words_now, until - time.monotonic())
            failed = [line for line in out.splitlines() if line.startswith(("FAILED", "ERROR"))]
            outcome["caught"] = {0: "no", 5: "not reached", 124: "stopped at the limit"}.get(code, "yes")
            outcome["by"] = failed[0].split(" - ")[0] if failed else out[-300:] if code not in (0, 5, 124) else ""
        finally:
            file.write_bytes(whole)
        outcomes[fault.name] = outcome
        kept.write_text(json.dumps(outcomes, indent=1))
        print(f"{outcome['caught']:20} {fault.name}   {outcome['by']}", flush=True)
    caught = sum(one["caught"] == "yes" for one in outcomes.values())
    print(f"{caught} of {len(outcomes)} caught")
    return 0


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.seeded", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("draw", "reach", "judge"))
    parser.add_argument("--seed", type=int, default=19, help="of the choice of faults")
    parser.add_argument("--count", type=int, default=40, help="number of faults")
    parser.add_argument("--folder", type=Path, default=ROOT / "data" / "seeded", help="where all is kept")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one fault")
    arguments, words = parser.parse_known_args()
    bench = Bench(arguments.folder.absolute())
    if arguments.what == "draw":
        faults = draw(arguments.seed, arguments.count)
        bench.folder.mkdir(parents=True, exist_ok=True)
        (bench.folder / "faults.json").write_text(json.dumps([fault.as_dict() for fault in faults], indent=1))
        print("\n".join(fault.name for fault in faults))
        return 0
    if arguments.what == "reach":
        return reach(bench, words)
    return judge(bench, arguments.limit, words)


if __name__ == "__main__":
    sys.exit(main())
