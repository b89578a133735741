"""What a fingerprint covers, and what it leaves alone."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from spanishgas.engine.fingerprint import code_digest, fingerprint, import_closure, lock_digest
from spanishgas.errors import ConfigError


class Settings(BaseModel):
    depth: int = 3


BASE = {"stage": "s", "target": "t", "inputs": {"a": "1"}, "code": "c", "lock": "l"}


@pytest.mark.parametrize(
    "change",
    [{"stage": "x"}, {"target": "x"}, {"inputs": {"a": "2"}}, {"inputs": {"b": "1"}}, {"code": "x"}, {"lock": "x"}],
)
def test_everything_it_depends_on_changes_it(change: dict[str, object]) -> None:
    one = fingerprint(settings=Settings(), **BASE)  # type: ignore[arg-type]
    assert fingerprint(settings=Settings(), **{**BASE, **change}) != one  # type: ignore[arg-type]
    assert fingerprint(settings=Settings(depth=4), **BASE) != one  # type: ignore[arg-type]
    assert fingerprint(settings=Settings(), **BASE) == one  # type: ignore[arg-type]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "spanishgas"
    (package / "rooms").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "rooms" / "__init__.py").write_text("from spanishgas.rooms import near\n")
    (package / "rooms" / "near.py").write_text("def f():\n    from ..far import g\n    return g\n")
    (package / "far.py").write_text("def g():\n    return 1\n")
    (package / "other.py").write_text("x = 1\n")
    (package / "stage.py").write_text("import spanishgas.rooms\n")
    return tmp_path


def test_the_closure_follows_imports_wherever_they_stand(project: Path) -> None:
    assert set(import_closure("spanishgas.stage", root=project)) == {
        "spanishgas",
        "spanishgas.stage",
        "spanishgas.rooms",
        "spanishgas.rooms.near",
        "spanishgas.far",
    }


def test_a_line_that_matters_changes_the_digest_and_a_comment_does_not(project: Path) -> None:
    far, other = project / "spanishgas" / "far.py", project / "spanishgas" / "other.py"
    before = code_digest("spanishgas.stage", root=project)
    far.write_text("# a comment\ndef g():\n\n    return 1\n")
    assert code_digest("spanishgas.stage", root=project) == before
    other.write_text("x = 2\n")
    assert code_digest("spanishgas.stage", root=project) == before
    far.write_text("def g():\n    return 2\n")
    assert code_digest("spanishgas.stage", root=project) != before


def test_an_unknown_module_is_an_error(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"spanishgas\.nowhere"):
        code_digest("spanishgas.nowhere", root=project)


def test_the_lock_digest_falls_back_to_what_is_installed(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    installed = lock_digest(lock)
    lock.write_text("a==1\n")
    first = lock_digest(lock)
    lock.write_text("a==2\n")
    assert len({installed, first, lock_digest(lock)}) == 3
