"""Files that are broken as a whole: what can be landed is, and the rest is an error that says what to do."""

import bz2
import gzip
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from spanishgas.config import EngineSettings, SourcePart, SqlSource
from spanishgas.engine.session import open_engine
from spanishgas.errors import SourceError
from spanishgas.readers import FileContent, detect_format, fetch, land_file, members_of
from spanishgas.readers.text_table import text_table

DEEP = "[" * 100_000 + "]" * 100_000


def land(
    file: Path, content: bytes | str, member: str | None = None, **told: Any
) -> tuple[FileContent, list[dict[str, Any]]]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    format_ = detect_format(member or file.name)
    assert format_ is not None
    part = SourcePart.model_validate({"files": file.name, **told})
    target = file.with_name("landed.parquet")
    with open_engine(EngineSettings(threads=1), file.parent / "scratch") as engine:
        found = land_file(engine, file, target, format=format_, part=part, member=member)
    left = {path.name for path in file.parent.iterdir()} - {file.name, target.name, "scratch"}
    assert not left, "something was left behind"
    return found, pq.read_table(target).to_pylist()


CUT = [
    ("x.csv", 'a,b\n1,2\n3,"never clo', 2, ["1"]),
    ("x.csv", "a,b,c\n1,2,3\n4,5", 2, ["1"]),
    ("x.csv", 'a,b\n1,"x\ny"\n2', 2, ["1"]),
    ("x.csv", 'a;b\r\n1;"say "hi" there"\r\n2;ok\r\n3', 3, ["2"]),
    ("x.csv", "a,b\n1,ñ\n2,ñandú\n3,".encode("utf-16")[:-3], 3, ["1", "2"]),
    ("x.jsonl", '{"a": "1"}\n{"a": "2', 2, ["1"]),
    ("x.jsonl", '{"a": "1"}\n\n{"a": "2"}\n{', 3, ["1", "2"]),
]


@pytest.mark.parametrize(("name", "content", "line", "kept"), CUT)
def test_a_file_cut_off_within_a_row_says_so(
    name: str, content: str | bytes, line: int, kept: list[str], tmp_path: Path
) -> None:
    found, rows = land(tmp_path / name, content)
    assert [row["a"] for row in rows] == kept
    ((reason, at),) = [(fault.reason, fault.line) for fault in found.faults]
    assert (reason, at) == ("cut_off", line)
    assert found.cut_off


WHOLE = [
    ("x.csv", "a,b\n1,2\n3,4"),
    ("x.csv", "a,b\n1\n3,4"),
    ("x.csv", "a,b\n3,4\n1\n"),
    ("x.jsonl", '{"a": 1}\n{"a": \n'),
    ("x.jsonl", '{"a": 1}\n{"a": 2}'),
    ("x.jsonl", '{"a": 1}\n7'),
]


@pytest.mark.parametrize(("name", "content"), WHOLE)
def test_a_missing_line_end_or_a_broken_row_alone_is_no_cut(name: str, content: str, tmp_path: Path) -> None:
    assert not land(tmp_path / name, content)[0].faults


@pytest.mark.parametrize(("name", "content"), [("x.csv", "a,b\n"), ("x.csv", "a,b"), ("x.json", "[]"), ("x.jsonl", "")])
def test_a_file_without_rows_says_so(name: str, content: str, tmp_path: Path) -> None:
    found, rows = land(tmp_path / name, content)
    assert ([fault.reason for fault in found.faults], rows) == (["no_rows"], [])


def test_a_file_without_rows_under_names_of_its_own_says_so(tmp_path: Path) -> None:
    found, rows = land(tmp_path / "x.csv", "a,b\n", names=["one", "two"])
    assert ([fault.reason for fault in found.faults], rows) == (["no_rows"], [])


BROKEN = [
    ("x.json", DEEP, "nested too deeply"),
    ("x.json", f'[{{"a": {DEEP}}}]', "nested too deeply"),
    ("x.json", '[{"a": 1}, {"a": ', "after 1 whole records"),
    ("x.json", '[{"a": 1}', "the file is cut off"),
    ("x.csv", "", "not even a header"),
    ("x.csv", "a,b,A\n1,2,3\n", "more than once"),
    ("x.csv", "<p>\n<b>Gone</b>\n</p>\n", "is XML or HTML"),
    ("x.csv", '{"a": 1}\n', "is JSON, not CSV"),
    ("x.csv.xz", b"a,b\n1,2\n", "cannot be unpacked"),
    ("x.csv.bz2", bz2.compress(b"a,b\n1,2\n")[:-4], "is cut off"),
    ("x.parquet", "PAR1", "is no readable Parquet"),
    ("x.xlsx", "PK", "is no readable workbook"),
    ("x.ods", "a,b\n1,2\n", "is no readable workbook"),
    ("x.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-4], "is cut off"),
    ("x.csv.gz", b"a,b\n1,2\n", "cannot be unpacked"),
    ("x.csv.gz", gzip.compress(bytes(3 << 20), mtime=0), "more than 1 MiB unpacked"),
]


@pytest.mark.parametrize(("name", "content", "what"), BROKEN)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    name: str, content: str | bytes, what: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=what) as caught:
        land(tmp_path / name, content, unpacked_limit_mib=1)
    assert name in str(caught.value)


def test_names_in_angle_brackets_are_a_header(tmp_path: Path) -> None:
    assert land(tmp_path / "x.csv", "<DATE>,<CLOSE>\n1,2\n")[1] == [{"<DATE>": "1", "<CLOSE>": "2"}]


def test_rows_and_columns_that_settings_name_wrongly_are_told_with_those_there_are(tmp_path: Path) -> None:
    for told in ({"only": {"kind": ["x"]}}, {"wide": {"columns": "^H([0-9]+)$"}}, {"names": ["a", "b", "c"]}):
        with pytest.raises(SourceError, match=r"Its columns: a, b|has 2 columns, and `names` names 3"):
            land(tmp_path / "x.csv", "a,b\n1,2\n", **told)


def test_a_record_nested_too_deeply_costs_its_own_line(tmp_path: Path) -> None:
    found, rows = land(tmp_path / "x.jsonl", f'{{"a": 1}}\n{{"a": {DEEP}}}\n{{"a": 3}}\n')
    assert [row["a"] for row in rows] == ["1", "3"]
    assert [(reject.line, reject.reason) for reject in found.rejects] == [(2, "invalid_json")]


def packed(file: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.read_bytes()


@pytest.mark.parametrize("name", ["../x.csv", "/etc/x.csv", "a/../../x.csv", "C:\\x.csv", "..\\x.csv", "a\x1b[2J.csv"])
def test_names_that_point_out_of_an_archive_are_refused(name: str, tmp_path: Path) -> None:
    packed(tmp_path / "x.zip", {name: b"a\n1\n", "b.csv": b"a\n1\n"})
    with pytest.raises(SourceError, match="point outside"):
        members_of(tmp_path / "x.zip", "*.csv")


def test_archives_that_are_damaged_encrypted_or_bombs(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    whole = packed(file, {"a.csv": b"a,b\n1,2\n" * 2000, "bomb.csv": bytes(3 << 20)})
    with pytest.raises(SourceError, match="more than 1 MiB"):
        land(file, whole, "bomb.csv", unpacked_limit_mib=1)
    with zipfile.ZipFile(file) as archive:
        at = archive.getinfo("a.csv").header_offset + 30 + len("a.csv")
    with pytest.raises(SourceError, match="cannot be unpacked"):
        land(file, whole[:at] + b"\xff\xff" + whole[at + 2 :], "a.csv")
    flags = whole.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    assert flags != whole
    with pytest.raises(SourceError, match="is encrypted"):
        land(file, flags, "a.csv")
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="no whole zip archive"):
        members_of(file, None)


def test_columns_that_turn_up_late_are_null_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanishgas.readers.text_table.ROW_GROUP_ROWS", 3)
    records = [{"a": number} if number < 7 else {"b": {"c": number}, "a": None} for number in range(11)]
    _, rows = land(tmp_path / "x.json", json.dumps(records))
    wanted = [
        {"a": str(number), "b.c": None} if number < 7 else {"a": None, "b.c": str(number)} for number in range(11)
    ]
    assert rows == wanted


def test_values_as_keys_are_refused_before_they_are_a_million_columns(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="more than 10,000 columns"), text_table(tmp_path / "x", "x.json") as table:
        table.add({f"C{number}": "1" for number in range(10_001)})


def test_halves_of_characters_are_replaced_and_told(tmp_path: Path) -> None:
    found, rows = land(tmp_path / "x.json", '[{"a": "\\ud800x", "b": 1.50, "c": [1, {"d": NaN}], "d": 1e400}]')
    assert rows == [{"a": "?x", "b": "1.5", "c": '[1, {"d": null}]', "d": "inf"}]
    assert found.notes["texts_with_characters_that_are_none"] == "1"


WRONG = [
    {"files": "x", "sql": {"address_env": "X", "table": "t"}},
    {},
    {"sql": {"address_env": "X", "table": "t", "query": "select 1"}},
    {"files": "x", "encoding": "latin-11"},
    {"files": "x", "encoding": "base64"},
    {"files": "x", "first_year": 2030, "last_year": 2020},
    {"sql": {"address_env": "X", "table": "t", "driver": "os.system"}},
    {"files": "x", "header_row": 0},
    {"files": "x", "wide": {"columns": "^H[0-9]+$"}},
    {"files": "x", "columns": {"time": {"column": "Hora", "extract": "("}}},
]


@pytest.mark.parametrize("told", WRONG)
def test_settings_that_contradict_themselves(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourcePart.model_validate(told)


def test_an_address_at_the_place_of_its_variable_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        SourcePart.model_validate({"sql": {"address_env": "postgresql://me:secret@host/db", "table": "t"}})
    assert "secret" not in str(caught.value)


ADDRESSES = [
    ("sqlalchemy", "postgresql://meme:s3cr%40t@127.0.0.1:1/dbname?options=s3cr%40t"),
    ("sqlalchemy", "no-such-dialect://meme:s3cr@t@host"),
    ("sqlalchemy", "meme:s3cr@t no address"),
    ("postgresql", "postgresql://meme:s3cr%40t@127.0.0.1:1/dbname"),
    ("postgresql", '{"uri": "postgresql://127.0.0.1:1/x", "password": "s3cr@t"}'),
    ("nosuch", "nosuch://meme:s3cr@t@host"),
]


@pytest.mark.parametrize(("driver", "address"), ADDRESSES)
def test_no_error_of_a_database_shows_its_address(driver: str, address: str, tmp_path: Path) -> None:
    source = SqlSource(address_env="CRM", table="t", driver=driver)
    with patch.dict(os.environ, {"CRM": address}), pytest.raises(SourceError) as caught:
        fetch(source, tmp_path / "x.parquet", where="sql/t")
    error = caught.value
    told = f"{error} {error.__cause__!r} {error.__context__!r}"
    assert "sql/t" in told
    assert not [part for part in ("s3cr", "meme", address) if part in told]
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_not_be_read_is_no_traceback(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    file = tmp_path / "x.zip"
    packed(file, {"a.csv": b"a\n1\n"})
    file.chmod(stat.S_IWUSR)
    with pytest.raises(SourceError):
        members_of(file, None)
