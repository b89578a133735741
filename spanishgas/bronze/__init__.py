"""Bronze: raw files landed as they are, one generic path for every source, and the log of what was found in them."""

from spanishgas.bronze.differences import Difference, compare_schema
from spanishgas.bronze.earlier import Earlier, EarlierFile, earlier_files
from spanishgas.bronze.erased import HOLDINGS, Erased, Held, digest_without, held_by, naming, take_out, without_erased
from spanishgas.bronze.fetched import drop_rows, fetch_rows, fetched_rows
from spanishgas.bronze.land import REJECTS_COLUMNS, Landed, LandedRawFile, content_hash, land_source
from spanishgas.bronze.locate import RawFile, extras_dataset, locate_sources
from spanishgas.bronze.log import build_ingestion_log, build_rejects, first_seen

__all__ = [
    "HOLDINGS",
    "REJECTS_COLUMNS",
    "Difference",
    "Earlier",
    "EarlierFile",
    "Erased",
    "Held",
    "Landed",
    "LandedRawFile",
    "RawFile",
    "build_ingestion_log",
    "build_rejects",
    "compare_schema",
    "content_hash",
    "digest_without",
    "drop_rows",
    "earlier_files",
    "extras_dataset",
    "fetch_rows",
    "fetched_rows",
    "first_seen",
    "held_by",
    "land_source",
    "locate_sources",
    "naming",
    "take_out",
    "without_erased",
]
