"""The list of formats: by which endings files are known, and who reads them."""

from collections.abc import Mapping

from spanishgas.readers.content import Format, Reader
from spanishgas.readers.delimited import read_delimited
from spanishgas.readers.packed import ZIP, without_packing
from spanishgas.readers.parquet import read_parquet
from spanishgas.readers.records import read_records
from spanishgas.readers.sql import read_fetched
from spanishgas.readers.workbook import read_workbook

READERS: Mapping[Format, Reader] = {
    "csv": read_delimited,
    "json": read_records,
    "parquet": read_parquet,
    "excel": read_workbook,
    "sql": read_fetched,
}
ENDINGS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}


def detect_format(name: str) -> Format | None:
    """The format that the ending of a file's name stands for, packed or not; None where it stands for none."""
    plain = without_packing(name)
    return next((format_ for ending, format_ in ENDINGS.items() if plain.endswith(ending)), None)


def is_data_file(name: str) -> bool:
    """Whether a file in a folder is taken for data: by its ending, archives included."""
    return detect_format(name) is not None or name.lower().endswith(ZIP)
