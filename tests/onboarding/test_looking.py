"""Files as they are found: how they are read, which belong together, and how they are named."""

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from spanishgas.config import EngineSettings
from spanishgas.engine.session import open_engine
from spanishgas.onboarding import Looked, look
from spanishgas.onboarding.addresses import addresses_of

Look = Callable[[], Looked]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


@pytest.fixture
def looked(tmp_path: Path, raw: Path) -> Look:
    def read() -> Looked:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        with open_engine(EngineSettings(threads=1), scratch / "engine") as engine:
            return look(engine, raw, scratch)

    return read


def addresses(found: Looked, raw: Path) -> list[list[dict[str, Any]]]:
    return [addresses_of(group, raw) for group in found.groups]


def test_files_with_the_same_columns_belong_together(raw: Path, looked: Look) -> None:
    for year in (2022, 2023):
        (raw / f"precios_{year}.csv").write_text(f"id;precio\nA;{year}\n")
    (raw / "precios_extra.csv").write_text("id;otro\nA;1\n")
    (raw / "old").mkdir()
    (raw / "old" / "precios_2021.csv").write_text("PRECIO;ID\n2021;A\n")
    found = looked()
    assert addresses(found, raw) == [
        [{"files": "old/precios_2021.csv"}, {"files": "precios_2022.csv"}, {"files": "precios_2023.csv"}],
        [{"files": "precios_extra.csv"}],
    ]
    assert sorted(found.groups[0].columns["PRECIO"].texts) == ["2021", "2022", "2023"]


def test_a_pattern_names_files_of_one_kind_and_no_others(raw: Path, looked: Look) -> None:
    for year in (2022, 2023, 2024):
        (raw / f"precios_{year}.csv").write_text(f"id;precio\nA;{year}\n")
    (raw / "clientes.csv").write_text("id;potencia\nA;1\n")
    assert addresses(looked(), raw) == [[{"files": "clientes.csv"}], [{"files": "precios_*.csv"}]]


def test_encoding_title_lines_and_endings(raw: Path, looked: Look) -> None:
    (raw / "a.csv").write_bytes("código;año\nÑ;1\n".encode("cp1252"))
    (raw / "b.txt").write_text("Informe;;\nGenerado;hoy;\n\nid;canal;nota\nA;web;x\n")
    with gzip.open(raw / "d.csv.gz", "wb") as packed:
        packed.write("código;método\nÑ;x\n".encode("cp1252"))
    (raw / "e.csv.bz2").write_bytes(bz2.compress("año;mes\n1;Ñ\n".encode("cp1252")))
    (raw / "c.csv").write_text("id,nota\nA,x\n", encoding="utf-16")
    (raw / "LEEME.md").write_text("a, b\n")
    found = looked()
    assert addresses(found, raw) == [
        [{"files": "a.csv", "encoding": "cp1252"}],
        [{"files": "b.txt", "format": "csv", "header_row": 4}],
        [{"files": "c.csv"}],
        [{"files": "d.csv.gz", "encoding": "cp1252"}],
        [{"files": "e.csv.bz2", "encoding": "cp1252"}],
    ]
    assert [list(group.columns) for group in found.groups] == [
        ["código", "año"],
        ["id", "canal", "nota"],
        ["id", "nota"],
        ["código", "método"],
        ["año", "mes"],
    ]
    assert found.groups[1].rows == 1
    assert list(found.unread) == ["LEEME.md"]


def test_sheets_and_members_are_files_of_their_own(raw: Path, looked: Look) -> None:
    with pd.ExcelWriter(raw / "book.xlsx") as book:
        pd.DataFrame({"id": ["A"], "kw": [1.5]}).to_excel(book, sheet_name="clientes", index=False)
        pd.DataFrame({"id": ["A"], "motivo": ["x"]}).to_excel(book, sheet_name="bajas", index=False)
    with zipfile.ZipFile(raw / "all.zip", "w") as archive:
        for year in (2022, 2023):
            archive.writestr(f"p/precios_{year}.csv", "id;precio\nA;1\n")
        archive.writestr("costes.csv", "mes;coste\n2022-01;1\n")
    found = looked()
    assert addresses(found, raw) == [
        [{"files": "all.zip", "member": "costes.csv"}],
        [{"files": "all.zip", "member": "p/precios_*.csv"}],
        [{"files": "book.xlsx", "sheet": "clientes"}],
        [{"files": "book.xlsx", "sheet": "bajas"}],
    ]


def test_a_large_file_is_looked_at_in_blocks(raw: Path, looked: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"C{number:06d};{number}" for number in range(5_000)]
    (raw / "big.csv").write_text("id;n\n" + "\n".join(rows) + "\n")
    monkeypatch.setattr("spanishgas.onboarding.looking.SAMPLED_BYTES", 3_000)
    (group,) = looked().groups
    seen = {int(text) for text in group.columns["n"].texts}
    assert not group.whole
    assert {0, 4_999} <= seen
    assert any(2_400 < number < 2_800 for number in seen)
    assert all(text.startswith("C") and len(text) == 7 for text in group.columns["id"].texts)


def test_what_cannot_be_read_is_told(raw: Path, looked: Look) -> None:
    (raw / "a.json").write_text("[" * 100_000)
    (raw / "b.xlsx").write_text("no workbook")
    (raw / ".hidden.csv").write_text("id\n1\n")
    found = looked()
    assert found.groups == []
    assert set(found.unread) == {"a.json", "b.xlsx"}
