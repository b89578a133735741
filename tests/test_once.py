"""Worlds that tests share: made once, failing for everybody, and safe from those who would change them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.once import Once, hand_out


def fill(folder: Path) -> None:
    for place in ("gold/scores/part.parquet", "raw/readings.parquet", "gold/_meta/scores.json"):
        (folder / "data" / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / place).write_text(place)


def test_whoever_comes_first_makes_a_world_and_the_others_wait_for_it(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        fill(folder)

    with ThreadPoolExecutor(4) as pool:  # each with objects of its own, as workers have them
        worlds = list(pool.map(lambda _: Once(tmp_path)("shop", make), range(4)))
    assert made == [tmp_path / "shop"]
    assert set(worlds) == {tmp_path / "shop"}


def test_what_a_killed_worker_left_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "half").write_text("")
    assert not (Once(tmp_path)("shop", fill) / "half").exists()


def test_a_world_that_cannot_be_made_fails_everybody_with_the_reason(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        raise ValueError("no such retailer")

    with pytest.raises(ValueError, match="no such retailer"):
        Once(tmp_path)("shop", make)
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception, match=r"'shop' could not be made(.|\n)*no such retailer"):
            Once(tmp_path)("shop", fill)


def test_published_tables_are_links_and_all_else_is_the_tests_own(tmp_path: Path) -> None:
    once = Once(tmp_path)
    world = once("shop", fill) / "data"
    copy = hand_out(world, tmp_path / "copy")
    same = {
        file.relative_to(copy).as_posix() for file in copy.rglob("*.*") if file.samefile(world / file.relative_to(copy))
    }
    assert same == {"gold/scores/part.parquet"}
    (copy / "raw" / "readings.parquet").write_text("other")
    (copy / "gold" / "_meta" / "scores.json").write_text("other")
    assert once.changed() == []
    # A link is written to, or what lies in the world itself.
    (copy / "gold" / "scores" / "part.parquet").write_text("other")
    (world / "raw" / "readings.parquet").unlink()
    assert once.changed() == ["data/gold/scores/part.parquet", "data/raw/readings.parquet"]
