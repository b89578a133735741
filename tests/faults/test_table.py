"""The table of what was tried: one, with nothing lost, and commands that are there."""

import re
import shlex
from pathlib import Path

from tests.faults.__main__ import parser
from tests.pages import ROOT

COLUMNS = ("of", "fault or input", "tried", "survived", "lost", "the command that repeats it")
REPEATED = ("the same", "the same command")


def rows() -> list[tuple[str, ...]]:
    text = (ROOT / "docs" / "RELIABILITY.md").read_text().partition("\n## ")[0]
    found = [
        tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in text.splitlines() if line.startswith("|")
    ]
    assert found[0] == COLUMNS
    assert sum(set("".join(row)) <= set("-: ") for row in found) == 1  # one table
    return found[2:]


def test_there_is_one_table_of_what_was_tried_and_nothing_was_lost() -> None:
    found = rows()
    assert len(found) > 40
    for of, what, tried, survived, lost, command in found:
        counts = [int(number.replace(",", "")) for number in (tried, survived)]
        assert 0 < counts[1] <= counts[0], what
        assert (of != "", lost, command != "") == (True, "0", True), what


def names_in(path: Path) -> str:
    files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    return "\n".join(re.findall(r"(?:def|class) (\w+)", "\n".join(file.read_text() for file in files)))


def test_every_command_of_the_table_is_there() -> None:
    known = parser()
    tried = 0
    for *_, told in rows():
        commands = re.findall(r"`([^`]+)`", told)
        assert commands or told in REPEATED, told
        for command in commands:
            words = shlex.split(command)
            if words[:3] == ["python", "-m", "tests.faults"]:
                known.parse_args(words[3:])
            elif words[0] == "make" and len(words) == 3:
                path, *rest = shlex.split(words[2].removeprefix("ARGS="))
                assert words[1] in ("test", "drill")
                assert (ROOT / path).exists(), path
                assert rest == [] or rest[1] in names_in(ROOT / path), command
            tried += 1
    assert tried > 30
