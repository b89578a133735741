"""Faults for the study of faults: where they are, what they change, and that they find code that has moved."""

import ast
from pathlib import Path

import pytest

from tests.seeded.seeds import Fault, draw, faults_of

CODE = '''"""A module."""

from math import ceil

LIMIT = 3


def choose(a: int, b: "int | None" = None) -> float:
    """One of two: 1 or 2."""
    if b is None:
        return 0.5
    elif a < b and not a == LIMIT:
        raise ValueError(f"{a + 1} is {2 > 1}", 7)
    return max(a, b) * ceil(1.5)
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("spanishgas/one/chosen.py", "spanishgas/other.py", "pipelines/stage.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(CODE)
    return tmp_path


def test_every_change_is_one_of_what_runs_and_none_of_texts_or_types(project: Path) -> None:
    found = faults_of(project / "spanishgas" / "one" / "chosen.py", project)
    assert {(one.kind, one.before, one.after) for one in found} == {
        ("off by one", "3", "4"),
        ("comparison", "b is None", "(b is not None)"),
        ("constant", "0.5", "1.0"),
        ("and/or", "a < b and not a == LIMIT", "(a < b or not a == LIMIT)"),
        ("comparison", "a < b", "(a <= b)"),
        ("comparison", "a < b", "(a > b)"),
        ("not removed", "not a == LIMIT", "(a == LIMIT)"),
        ("comparison", "a == LIMIT", "(a != LIMIT)"),
        ("guard removed", "a < b and not a == LIMIT", "False"),
        ("opposite", "max", "min"),
        ("arithmetic", "max(a, b) * ceil(1.5)", "(max(a, b) / ceil(1.5))"),
        ("opposite", "ceil", "floor"),
        ("constant", "1.5", "3.0"),
    }
    lines = CODE.splitlines()
    for one in found:  # a probe can stand before the statement of each
        probed = [*lines[: one.statement - 1], " " * one.indent + "probe()", *lines[one.statement - 1 :]]
        ast.parse("\n".join(probed))


def test_the_same_seed_draws_the_same_and_every_room_has_one(project: Path) -> None:
    first = draw(5, 9, project)
    assert draw(5, 9, project) == first
    assert draw(6, 9, project) != first
    assert {one.room for one in first} == {"one", "other", "pipelines"}
    assert len(set(first)) == 9


def test_a_fault_changes_its_place_and_finds_it_where_the_code_has_moved(project: Path) -> None:
    file = project / "spanishgas" / "other.py"
    fault = next(one for one in faults_of(file, project) if one.after == "(a <= b)")
    assert Fault(**fault.as_dict()) == fault  # type: ignore[arg-type]
    fault.put_into(project)
    changed = CODE.replace("a < b", "(a <= b)")
    assert file.read_text() == changed
    file.write_text("# A line more.\n" + CODE)
    fault.put_into(project)
    assert file.read_text() == "# A line more.\n" + changed
    with pytest.raises(LookupError, match="0 times"):
        fault.put_into(project)
