"""The search for erased customers and what takes them out: packed, escaped, coded or left over, and nobody else."""

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spanishgas.engine.cleaning import clean_file, clean_text
from spanishgas.engine.finding import Finder, is_distinctive
from spanishgas.engine.suppression import Pseudonyms, Suppression

WHO, OTHER = "C00017", "C000170"
TABLE = pd.DataFrame({"customer_id": [WHO, OTHER], "n": [1, 2]})


@pytest.fixture(params=["by the list", "by name"])
def finder(request: pytest.FixtureRequest, tmp_path: Path) -> Finder:
    erased = Suppression(tmp_path).including([WHO])
    return Finder(erased, [WHO] if request.param == "by name" else ())


def parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, compression="zstd")
    return sink.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return sink.getvalue()


def array(words: list[str]) -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.array([word.encode() for word in words]))
    return sink.getvalue()


def zstd(data: bytes) -> bytes:
    sink = io.BytesIO()
    with pa.output_stream(sink, compression="zstd") as stream:
        stream.write(data)
        stream.flush()
        return sink.getvalue()


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in WHO)
CSV = TABLE.to_csv(index=False).encode()
HOLDING: dict[str, Callable[[], bytes]] = {
    "table.parquet": lambda: parquet(TABLE),
    "note.parquet": lambda: parquet(pd.DataFrame({"note": [f"spoke to {WHO}, again"]})),
    "keys.npy": lambda: array(["C00016", WHO, "C00018"]),
    "table.csv.gz": lambda: gzip.compress(CSV),
    "table.csv.bz2": lambda: bz2.compress(CSV),
    "table.csv.xz": lambda: lzma.compress(CSV),
    "table.csv.zst": lambda: zstd(CSV),
    "table.zip": lambda: zipped("table.csv", CSV),
    "packed.zip": lambda: zipped("inner.zip", zipped("table.parquet", parquet(TABLE))),
    "named.zip": lambda: zipped(f"bills/{WHO}.pdf", b"nothing"),
    "escaped.json": lambda: f'{{"who": "{ESCAPED}"}}'.encode(),
    "page.html": lambda: f"<td>{WHO}</td>".encode(),
    "sentence.md": lambda: f"See `{WHO}`.".encode(),
    "address.txt": lambda: f"https://host/customers/{WHO}?day=1".encode(),
    "model.bin": lambda: b"\x00\xff\x01" + WHO.encode() + b"\x00\xfe",
    f"{WHO}.pdf": lambda: b"%PDF",
}


@pytest.mark.parametrize("name", HOLDING)
def test_whoever_is_named_is_found_in_whatever_it_is_packed(finder: Finder, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(HOLDING[name]())
    assert finder.in_file(file)


@pytest.mark.parametrize("name", HOLDING)
def test_others_are_not_found(tmp_path: Path, name: str) -> None:
    for known in ((), ("C0001",)):
        other = Finder(Suppression(tmp_path).including(["C0001"]), known)
        file = tmp_path / name
        file.write_bytes(HOLDING[name]())
        assert not other.in_file(file)


def test_rows_of_databases_and_what_deleted_rows_have_left(finder: Finder, tmp_path: Path) -> None:
    for name, deleted in (("rows.db", False), ("left.db", True), ("clean.db", True)):
        with closing(sqlite3.connect(tmp_path / name)) as store, store:
            store.execute("create table tags (name text, value text)")
            store.executemany("insert into tags values (?, ?)", [("who", f" {WHO} "), ("who", OTHER)])
        with closing(sqlite3.connect(tmp_path / name)) as store, store:
            store.execute("pragma secure_delete = off")  # as SQLite is delivered; some systems set it
            if deleted:
                store.execute("delete from tags where value = ?", [f" {WHO} "])
        if name == "clean.db":
            with closing(sqlite3.connect(tmp_path / name)) as store:
                store.execute("vacuum")
    assert [finder.in_file(tmp_path / name) for name in ("rows.db", "left.db", "clean.db")] == [True, True, False]


def test_a_word_that_no_row_has_any_more_is_found_and_taken_out(finder: Finder, tmp_path: Path) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array([OTHER, WHO]))
    file = tmp_path / "coded.parquet"
    pq.write_table(pa.table({"customer_id": words}), file)
    assert finder.in_file(file)
    taken = clean_file(finder, file)
    assert taken is not None
    assert (taken.records, taken.words) == (0, 1)
    assert not finder.in_file(file)
    assert pq.read_table(file)["customer_id"].to_pylist() == [OTHER, OTHER]
    assert pq.read_schema(file).field("customer_id").type == words.type


def test_short_numbers_count_in_columns_of_customers_only(tmp_path: Path) -> None:
    finder = Finder(Suppression(tmp_path).including(["17"]), ["17"])
    assert not is_distinctive("17")
    for name, text, found in (
        ("report.md", "17 customers", False),
        ("figures.csv", "figure,value\nrows,17\n", False),
        ("offers.csv", "customer_id,value\n17,x\n", True),
        ("offers.json", '[{"customer_id": 17, "n": 3}]', True),
    ):
        (tmp_path / name).write_text(text)
        assert finder.in_file(tmp_path / name) is found, name
    (tmp_path / "numbers.parquet").write_bytes(parquet(pd.DataFrame({"customer_id": [16, 17], "n": [17, 17]})))
    assert finder.in_file(tmp_path / "numbers.parquet")
    assert clean_file(finder, tmp_path / "numbers.parquet")
    assert pd.read_parquet(tmp_path / "numbers.parquet").to_dict("list") == {"customer_id": [16], "n": [17]}


CLEANED = {
    "table.csv": (f'customer_id,why\n{WHO},x\n{OTHER},"two\nlines"\n', f'customer_id,why\n{OTHER},"two\nlines"\n'),
    "log.jsonl": (f'{{"id": "{WHO}"}}\n{{"id": "{OTHER}"}}\n', f'{{"id": "{OTHER}"}}\n'),
    "report.md": (f"# {WHO}\n| {WHO} | 3 |\n| {OTHER} | 4 |\n", f"# [erased]\n| {OTHER} | 4 |\n"),
    "trace.txt": (f"KeyError: ('{WHO}', {OTHER})\n", f"KeyError: ('[erased]', {OTHER})\n"),
}


@pytest.mark.parametrize("name", CLEANED)
def test_records_go_and_words_are_made_unreadable(finder: Finder, name: str) -> None:
    before, after = CLEANED[name]
    cleaned = clean_text(finder, before, name)
    assert cleaned.text == after
    assert cleaned.taken == len({line for line in before.splitlines() if WHO in line.replace(OTHER, "")})
    assert clean_text(finder, after, name).taken == 0


def test_of_json_the_innermost_record_goes(finder: Finder) -> None:
    before = {
        "day": "x",
        "rows": [{"customer": {"id": WHO}, "n": 1}, {"customer": {"id": OTHER}}],
        "about": [WHO, OTHER],
    }
    after = {"day": "x", "rows": [{"customer": {"id": OTHER}}], "about": ["[erased]", OTHER]}
    assert json.loads(clean_text(finder, json.dumps(before), "a.json").text) == after


def test_a_pseudonym_is_found_by_the_list_and_is_another_with_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = Pseudonyms.of(tmp_path)
    assert Pseudonyms.of(tmp_path) == called  # the key is kept
    frame = called.without_names(TABLE)
    assert list(frame.columns) == ["pseudonym", "n"]
    assert not any(WHO in str(value) for value in frame.to_numpy().ravel())
    Suppression.of(tmp_path).including([WHO]).save()
    finder = Finder(Suppression.of(tmp_path))
    assert clean_text(finder, frame.to_csv(index=False), "a.csv").text == frame[1:].to_csv(index=False)
    monkeypatch.setenv("SPANISHGAS_ERASURE_KEY", "another")
    assert Pseudonyms.of(tmp_path).of_customer(WHO) != called.of_customer(WHO)


def test_where_the_key_of_the_list_is_elsewhere_nobody_is_called_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("SPANISHGAS_ERASURE_KEY", "kept elsewhere")
        Suppression(tmp_path).including([WHO]).save()
    assert Pseudonyms.of(tmp_path).without_names(TABLE)["pseudonym"].tolist() == ["p-unknown"] * 2
