"""Raw CSV of all sorts: what is data stays data, what is broken is told line by line."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spanishgas.config import EngineSettings, SourcePart
from spanishgas.engine.session import open_engine
from spanishgas.errors import SourceError
from spanishgas.readers import FileContent, land_file


def land(folder: Path, content: bytes, **how: str) -> tuple[FileContent, list[dict[str, str]]]:
    (folder / "x.csv").write_bytes(content)
    with open_engine(EngineSettings(threads=1), folder / "scratch") as engine:
        found = land_file(
            engine,
            folder / "x.csv",
            folder / "x.parquet",
            format="csv",
            part=SourcePart.model_validate({"files": "x.csv", **how}),
        )
    return found, pq.read_table(folder / "x.parquet").to_pylist()


def test_delimiters_are_detected_and_values_stay_text(tmp_path: Path) -> None:
    for delimiter in ",;|\t":
        text = f"a{delimiter}b\n007{delimiter}1.50\n"
        _, rows = land(tmp_path, text.encode())
        assert rows == [{"a": "007", "b": "1.50"}]


def test_quotes_line_ends_and_marks_inside_values(tmp_path: Path) -> None:
    _, rows = land(tmp_path, '\ufeffa,b\r\n"x, y","two\r\nlines"\r\n"say ""hi""",\r\n'.encode())
    assert rows[0] == {"a": "x, y", "b": "two\r\nlines"} or rows[0]["b"].split() == ["two", "lines"]
    assert rows[1]["a"] == 'say "hi"'
    assert rows[1]["b"] in (None, "")


def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = ["a,b", *(f"{number},ok" for number in range(50)), '51,"never closed', "52,ok", "53,ok"]
    found, rows = land(tmp_path, "\n".join(lines).encode())
    kept = {row["a"] for row in rows}
    assert {"0", "49", "52", "53"} <= kept
    assert len(rows) + len(found.rejects) == 53
    for reject in found.rejects:
        assert reject.line == 51
        assert "never closed" in reject.row


def test_too_few_and_too_many_values_are_told(tmp_path: Path) -> None:
    found, rows = land(tmp_path, b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n5,6,7\n")
    assert [row["a"] for row in rows] == ["1", "5"]
    assert [reject.line for reject in found.rejects] == [2, 3]
    assert all(reject.reason and reject.detail for reject in found.rejects)


def test_latin_1_is_read_when_it_is_told(tmp_path: Path) -> None:
    _, rows = land(tmp_path, "a\nCataluña\n".encode("latin-1"), encoding="latin-1")
    assert rows == [{"a": "Cataluña"}]


def test_an_empty_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"x\.csv"):
        land(tmp_path, b"")


def test_a_header_without_rows_is_an_empty_source(tmp_path: Path) -> None:
    found, rows = land(tmp_path, b"a,b\n")
    assert (found.rows, rows) == (0, [])
    assert set(found.schema) == {"a", "b"}
