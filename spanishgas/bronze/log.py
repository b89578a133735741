"""The ingestion log: one row per raw file, and the rows that could not be parsed."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import pandas as pd

from spanishgas.bronze.land import REJECTS_COLUMNS, Landed, LandedRawFile


def build_ingestion_log(run_date: date, landed: Sequence[Landed]) -> pd.DataFrame:
    """One row per raw file.

    Args:
        run_date: Day of the ingestion.
        landed: The landed sources.

    Returns:
        Columns run_date (ISO text), dataset, part, source_file, format, bytes, sha256, rows, rejected, schema
        (JSON object: raw column -> inferred type), differences (JSON list), faults (JSON list of reason, line and
        detail: what is wrong with the file as a whole), notes (JSON object), contract_version, first_seen (ISO text:
        day on which a file with these contents was first landed).
    """
    rows = [
        {
            "run_date": run_date.isoformat(),
            "dataset": source.dataset,
            "part": file.raw.part,
            "source_file": file.raw.origin,
            "format": file.raw.format,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "rows": file.content.rows,
            "rejected": len(file.content.rejects),
            "schema": _text(file.content.schema),
            "differences": _text([asdict(difference) for difference in file.differences]),
            "faults": _text([asdict(fault) for fault in file.content.faults]),
            "notes": _text(file.content.notes),
            "contract_version": source.contract_version,
            "first_seen": first_seen(file, run_date),
        }
        for source in landed
        for file in source.files
    ]
    return pd.DataFrame(rows, columns=list(LOG_TYPES)).astype(LOG_TYPES)


def first_seen(file: LandedRawFile, run_date: date) -> str:
    """Day (ISO 8601) on which a file with these contents was first landed, as far as landings before tell."""
    return min(file.seen or run_date.isoformat(), run_date.isoformat())


def build_rejects(landed: Sequence[Landed]) -> pd.DataFrame:
    """Rows that could not be parsed, from all sources.

    Returns:
        Columns source, source_file, source_line (row within the file's data, from 1, rejected rows counting), reason,
        detail, row (raw text, cut where it is very long). One row per source, file, line and reason.
    """
    rows = [
        (source.dataset, file.raw.origin, reject.line, reject.reason, reject.detail, reject.row)
        for source in landed
        for file in source.files
        for reject in file.content.rejects
    ]
    types = {name: "int64" if name == "source_line" else "string" for name in REJECTS_COLUMNS}
    return pd.DataFrame(rows, columns=list(REJECTS_COLUMNS)).astype(types)


LOG_TYPES = {
    "run_date": "string",
    "dataset": "string",
    "part": "int64",
    "source_file": "string",
    "format": "string",
    "bytes": "int64",
    "sha256": "string",
    "rows": "int64",
    "rejected": "int64",
    "schema": "string",
    "differences": "string",
    "faults": "string",
    "notes": "string",
    "contract_version": "int64",
    "first_seen": "string",
}


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
