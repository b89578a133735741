"""Files of an earlier landing: a raw file that did not change is named again instead of being landed again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from spanishgas.engine.store import DataFile, Manifest
from spanishgas.readers import Fault, FileContent, Reject

REJECT = ("source_line", "reason", "detail", "row")


@dataclass(frozen=True)
class EarlierFile:
    """One landed file.

    Attributes:
        file: As it was published.
        path: Where it lies.
        content: What landing found in the raw file, without what was erased since.
    """

    file: DataFile
    path: Path
    content: FileContent


@dataclass(frozen=True)
class Earlier:
    """Files of an earlier landing.

    Attributes:
        files: Digest that files were made from -> how to get each; None where it is damaged.
        seen: Source and digest of a raw file -> day (ISO 8601) on which a file with these contents was first landed.
        code: Digest of the code that lands, and of its libraries.
    """

    files: Mapping[str, list[Callable[[], EarlierFile | None]]] = field(default_factory=dict)
    seen: Mapping[tuple[str, str], str] = field(default_factory=dict)
    code: str = ""

    def key(self, content_hash: str) -> str:
        """Digest of what a file is made from: the raw file and how it is read, and the code that reads it."""
        return hashlib.sha256(f"{content_hash} {self.code}".encode()).hexdigest()

    def find(self, made_from: str) -> EarlierFile | None:
        """A file that was made from the same. Each is given once: two equal raw files are two landed ones."""
        waiting = self.files.get(made_from)
        return waiting.pop(0)() if waiting else None


def earlier_files(
    landing: Manifest, log: pd.DataFrame, rejects: pd.DataFrame, code: str, checked: Callable[[DataFile], Path | None]
) -> Earlier:
    """Files of one landing that a later one may name again.

    Args:
        landing: The landing.
        log: Its ingestion log.
        rejects: Its rows that could not be parsed.
        code: Digest of the code that lands, and of its libraries.
        checked: Gives the path of a file, or None where it is damaged or gone.
    """
    told = {(str(row["dataset"]), int(row["part"]), str(row["source_file"])): row for _, row in log.iterrows()}
    files: dict[str, list[Callable[[], EarlierFile | None]]] = {}
    for dataset, table in landing.tables.items():
        for file in table.files:
            row = told.get((dataset, file.part, str(file.origin)))
            if file.made_from is None or file.content_hash is None or row is None:
                continue

            def get(file: DataFile = file, row: "pd.Series[str]" = row) -> EarlierFile | None:
                path = checked(file)
                return None if path is None else EarlierFile(file, path, _content(path, row, rejects))

            files.setdefault(file.made_from, []).append(get)
    days = log.get("first_seen", log["run_date"]).fillna(log["run_date"])
    seen: dict[tuple[str, str], str] = {}
    for dataset, sha256, day in zip(log["dataset"], log["sha256"], days, strict=True):
        seen[dataset, sha256] = min(seen.get((dataset, sha256), day), day)
    return Earlier(files, seen, code)


def _content(path: Path, row: "pd.Series[str]", rejects: pd.DataFrame) -> FileContent:
    mine = rejects[(rejects["source"] == row["dataset"]) & (rejects["source_file"] == row["source_file"])]
    mine = mine.sort_values(["source_line", "reason"])
    return FileContent(
        rows=pq.read_metadata(path).num_rows,
        rejects=tuple(
            Reject(line, reason, _text(detail), _text(text))
            for line, reason, detail, text in zip(*(mine[name].tolist() for name in REJECT), strict=True)
        ),
        schema=json.loads(row["schema"]),
        notes=json.loads(row["notes"]),
        faults=tuple(Fault(**fault) for fault in json.loads(row["faults"])),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
