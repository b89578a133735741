"""What users are told of errors that nobody foresaw."""

import errno
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from spanishgas.failures import KEPT, STAGE, STEP, explain, keep_in_a_file, note, noted, traceback_of


def raised(call: object) -> Exception:
    try:
        call()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def recurse() -> None:
    recurse()


ERRORS = {
    "recursion": (lambda: recurse(), "nested too deeply", "flat records"),
    "memory": (lambda: (_ for _ in ()).throw(MemoryError()), "not enough memory", "engine.memory_limit_mib"),
    "disk": (
        lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device", "/data/silver/x.parquet")),
        "/data/silver/x.parquet: the disk is full",
        "Free space",
    ),
    "disk, said by the engine": (
        lambda: (_ for _ in ()).throw(duckdb.IOException('Could not write file "/t/x": No space left on device')),
        "the disk is full",
        "Free space",
    ),
    "rights": (
        lambda: (_ for _ in ()).throw(PermissionError(errno.EACCES, "Permission denied", "/raw/a.csv")),
        "/raw/a.csv: access is denied",
        "the right to read",
    ),
    "encoding": (
        lambda: b"a\xf1o".decode("utf-8"),
        "byte 0xf1 at position 1 is not utf-8",
        "Set `encoding` of the source's part",
    ),
    "year": (lambda: (_ for _ in ()).throw(ValueError("year 10000 is out of range")), "out of range", "9999"),
    "key": (lambda: {}["precio"], "'precio' is looked for and is not there", "conf/data"),
    "column": (
        lambda: (_ for _ in ()).throw(
            AttributeError("Column 'precio' is not found in table. Existing columns: 'precios', 'fecha'.")
        ),
        "the column 'precio' is not in the file (nearest: precios); there are: precios, fecha",
        "conf/data",
    ),
    "arrow": (lambda: pa.array(["a"]).cast(pa.int64()), "cannot read or compute", "columns, format and encoding"),
    "duckdb": (lambda: duckdb.sql("SELECT 'a'::INTEGER").fetchall(), "cannot read or compute", "columns, format"),
    "library": (lambda: __import__("no_such_library"), "a library is missing (No module named", "make setup"),
    "server": (lambda: (_ for _ in ()).throw(ConnectionResetError("reset")), "does not answer", "MLFLOW_TRACKING_URI"),
    "fault": (lambda: 1 / 0, "an error that nobody foresaw: ZeroDivisionError: division by zero", "report it"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_every_kind_says_what_failed_and_what_to_do(name: str) -> None:
    call, told, todo = ERRORS[name]
    text = str(explain(raised(call)))
    assert told in text
    assert todo in text
    assert "\n" not in text
    assert text.endswith("SPANISHGAS_TRACEBACK=1 shows the full traceback")


def test_where_it_came_up_is_told_by_who_stood_nearest() -> None:
    error = raised(lambda: 1 / 0)
    note(error, STAGE, "silver")
    note(error, STEP, "prices")
    note(error, STAGE, "run_pipeline")
    note(error, KEPT, "mlruns/1/traceback.txt")
    text = str(explain(error))
    assert text.startswith("silver, while at: prices: an error that nobody foresaw")
    assert text.endswith("The full traceback is in mlruns/1/traceback.txt")


def test_a_traceback_is_kept_in_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error = raised(lambda: 1 / 0)
    keep_in_a_file(error)
    keep_in_a_file(error)
    (file,) = tmp_path.iterdir()
    assert noted(error, KEPT) == str(file)
    assert file.read_text() == traceback_of(error).partition(f"{KEPT}: ")[0]
