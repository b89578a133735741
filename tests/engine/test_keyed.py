"""Keyed tables: every row of the file is found, as it is, and nothing else."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.engine.keyed import KeyedTable, build_keyed
from spanishgas.errors import PublishError


def table(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    ids = [f"C{number:05d}" for number in draws.permutation(10_000)[: rows - 3]] + ["ñandú", "a", "Z" * 40]
    frame = pd.DataFrame(
        {
            "customer_id": ids,
            "share": np.where(draws.random(rows) < 0.2, np.nan, draws.normal(size=rows)),
            "count": pd.array(np.where(draws.random(rows) < 0.3, None, draws.integers(0, 9, rows)), dtype="Int64"),
            "is_home": pd.array(np.where(draws.random(rows) < 0.3, None, draws.random(rows) < 0.5), dtype="boolean"),
            "channel": np.where(draws.random(rows) < 0.3, None, draws.choice(["web", "phone", "café"], rows)),
            "since": [date(2024, 1, 1 + number % 28) for number in range(rows)],
        }
    )
    return frame.sample(frac=1.0, random_state=seed, ignore_index=True)


def written(folder: Path, frame: pd.DataFrame, parts: int = 1) -> list[Path]:
    files = []
    for place, part in enumerate(np.array_split(np.arange(len(frame)), parts)):
        files.append(folder / f"part-{place}.parquet")
        frame.iloc[part].to_parquet(files[-1], index=False)
    return files


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_every_row_is_found_as_it_is(tmp_path: Path, parts: int, is_sorted: bool) -> None:
    frame = table()
    if is_sorted:
        frame = frame.sort_values("customer_id", key=lambda ids: ids.map(str.encode), ignore_index=True)
    keyed = KeyedTable.open(build_keyed(written(tmp_path, frame, parts), tmp_path / "keyed"))
    assert len(keyed) == len(frame)
    for row in frame.itertuples():
        place = keyed.find(row.customer_id)
        assert keyed.keys[place].decode() == row.customer_id
        for name in ("share", "count", "is_home"):
            told = getattr(row, name)
            wanted = np.nan if pd.isna(told) else float(told)
            assert np.array_equal(keyed.number(place, name), wanted, equal_nan=True), (row.customer_id, name)
        assert keyed.number(place, "since") == (row.since - date(1970, 1, 1)).days
        assert keyed.word(place, "channel") == row.channel


@pytest.mark.parametrize("stranger", ["", "C", "C99999999", "zzz", "Z" * 41, "a\0", "Z" * 500, "b"])
def test_strangers_are_not_found(tmp_path: Path, stranger: str) -> None:
    keyed = KeyedTable.open(build_keyed(written(tmp_path, table()), tmp_path / "keyed"))
    assert keyed.find(stranger) == -1


def test_only_the_columns_wanted_are_kept_and_others_read_as_missing(tmp_path: Path) -> None:
    keyed = KeyedTable.open(build_keyed(written(tmp_path, table()), tmp_path / "keyed", ["share", "channel"]))
    assert keyed.number_names == ("share",)
    assert set(keyed.vocabularies) == {"channel"}
    assert np.isnan(keyed.number(0, "count"))
    assert keyed.word(0, "nothing") is None


def test_a_table_without_rows_has_nobody(tmp_path: Path) -> None:
    keyed = KeyedTable.open(build_keyed(written(tmp_path, table().head(0)), tmp_path / "keyed"))
    assert len(keyed) == 0
    assert keyed.find("a") == -1


def test_what_is_there_is_not_made_again_and_what_fails_leaves_nothing(tmp_path: Path) -> None:
    files = written(tmp_path, table())
    folder = build_keyed(files, tmp_path / "keyed")
    before = (folder / "numbers.npy").stat().st_ino
    assert build_keyed(files, tmp_path / "keyed") == folder
    assert (folder / "numbers.npy").stat().st_ino == before
    twice = table()
    twice.loc[1, "customer_id"] = twice.loc[0, "customer_id"]
    with pytest.raises(PublishError, match=r"stands twice \(1 affected\)"):
        build_keyed(written(tmp_path, twice), tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"part-0.parquet", "keyed"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"customer_id": None}, "without customer_id"),
        ({"customer_id": "x" * 300}, "takes 300 bytes"),
    ],
)
def test_keys_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    frame = table()
    for name, value in change.items():
        frame.loc[0, name] = value
    with pytest.raises(PublishError, match=message):
        build_keyed(written(tmp_path, frame), tmp_path / "keyed")


def test_a_damaged_one_says_so(tmp_path: Path) -> None:
    folder = build_keyed(written(tmp_path, table()), tmp_path / "keyed")
    np.save(folder / "words.npy", np.zeros((3, 1), np.int32))
    with pytest.raises(PublishError, match="different lengths"):
        KeyedTable.open(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(PublishError, match="cannot be read"):
        KeyedTable.open(folder)
