"""Readers: raw files and tables of databases into Parquet, one file per format behind one interface.

A reader takes a ``Task`` and answers with a ``FileContent``; the list of readers is in ``formats``. A landed file holds
the raw rows in their raw order: text formats with every column as text, typed ones with their types. What the values
mean is decided later, by the mapping to the contract.
"""

from spanishgas.readers.content import Fault, FileContent, Format, Progress, Reject, quiet
from spanishgas.readers.files import find_files, names_in
from spanishgas.readers.formats import ENDINGS, READERS, detect_format
from spanishgas.readers.hashes import HashCache
from spanishgas.readers.land import land_file
from spanishgas.readers.packed import is_packed, is_zip, members_of, opened
from spanishgas.readers.shape import shape_of
from spanishgas.readers.sql import fetch
from spanishgas.readers.text_table import NO_COLUMNS
from spanishgas.readers.workbook import sheets_of

__all__ = [
    "ENDINGS",
    "NO_COLUMNS",
    "READERS",
    "Fault",
    "FileContent",
    "Format",
    "HashCache",
    "Progress",
    "Reject",
    "detect_format",
    "fetch",
    "find_files",
    "is_packed",
    "is_zip",
    "land_file",
    "members_of",
    "names_in",
    "opened",
    "quiet",
    "shape_of",
    "sheets_of",
]
