"""Who was erased, told by keyed hashes: recognised by whoever has the key, by nobody else."""

import stat
from pathlib import Path

import pytest

from spanishgas.engine.suppression import FOLDER, KEY, KEY_VARIABLE, LIST, Suppression
from spanishgas.errors import ConfigError, PublishError


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_nobody_is_erased_where_nobody_was(tmp_path: Path) -> None:
    found = Suppression.of(tmp_path)
    assert (found.matches(["C1"]), found.named_in("C1"), list(tmp_path.iterdir())) == (set(), False, [])


def test_those_on_the_list_are_recognised_and_not_readable(tmp_path: Path) -> None:
    Suppression.of(tmp_path).including(["C00017", " C2 "]).save()
    again = Suppression.of(tmp_path)
    assert again.matches(["C00017", "C2", "C00018", ""]) == {"C00017", "C2"}
    assert "C00017" not in (tmp_path / FOLDER / LIST).read_text()
    assert stat.S_IMODE((tmp_path / FOLDER / KEY).stat().st_mode) == 0o600
    again.including(["C3"]).save()
    assert Suppression.of(tmp_path).matches(["C00017", "C3"]) == {"C00017", "C3"}
    Suppression.of(tmp_path).without(["C00017"]).save()
    assert Suppression.of(tmp_path).matches(["C00017", "C3"]) == {"C3"}


def test_two_data_sets_hash_one_customer_differently(tmp_path: Path) -> None:
    lists = [Suppression.of(tmp_path / name).including(["C1"]) for name in ("one", "two")]
    assert lists[0].hashes != lists[1].hashes
    assert lists[0].digest_of(["C1"]) != lists[1].digest_of(["C1"])


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("C1,2024-01-01,x", True),
        ("C11,2024-01-01,x", False),
        ('{"customer":{"id":"C1"},"text":"hello"}', True),
        ("2024-01-01;C1 ;7", True),
        ("called C1 twice", True),
        ("nobody here", False),
    ],
)
def test_a_raw_line_names_a_customer_by_a_word_of_its_own(tmp_path: Path, row: str, named: bool) -> None:
    assert Suppression.of(tmp_path).including(["C1"]).named_in(row) is named


def test_the_key_may_come_from_the_environment_and_is_then_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a secret")
    Suppression.of(tmp_path).including(["C1"]).save()
    assert not (tmp_path / FOLDER / KEY).exists()
    assert Suppression.of(tmp_path).matches(["C1"]) == {"C1"}
    monkeypatch.setenv(KEY_VARIABLE, "another")
    with pytest.raises(ConfigError, match="not the one"):
        Suppression.of(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(PublishError, match="not its key"):
        Suppression.of(tmp_path)


def test_a_damaged_list_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    Suppression.of(tmp_path).including(["C1"]).save()
    (tmp_path / FOLDER / LIST).write_text('{"probe":')
    with pytest.raises(PublishError, match="cannot be read"):
        Suppression.of(tmp_path)
