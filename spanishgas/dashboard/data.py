"""Published tables for the pages: the newest of a partition or any other, read once for each content.

A page never opens a file that no manifest names. What is read is kept by the manifest's content hash, so that a table
that was published anew is read anew, and one that was not never is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import streamlit as st

from spanishgas.config.places import Place
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import PublishError

KEPT_TABLES = 128
KEPT_CUSTOMERS = 64


@dataclass(frozen=True)
class Home:
    """Where a table is published, and by which command.

    Attributes:
        layer: Layer.
        name: Publication.
        partition: Key of its partitions; empty where it has none.
        made_by: Stage that publishes it.
    """

    layer: str
    name: str
    partition: str
    made_by: str


SCORES = Home("gold", "scoring", "run_date", "score")
RECOMMENDED = Home("gold", "recommendations", "run_date", "recommend")
SIMULATED = Home("gold", "simulation", "run_date", "simulate")
MEASURED = Home("gold", "measured", "run_date", "measure")
SEGMENTED = Home("gold", "segments", "asof_date", "segment")
FEATURES = Home("gold", "features", "asof_date", "features")
COMPARED = Home("gold", "promotion", "contest", "promote")
BACKTESTED = Home("gold", "backtest", "model", "backtest")
TRAINING = Home("gold", "training_set", "", "training_set")
SILVER = Home("silver", "silver", "", "silver")


class AbsentError(PublishError):
    """Something is not published yet; the page says so, and which command makes it.

    Args:
        home: What is missing.
        day: The date that it is missing for.
        data: What the command needs to work on the data set.
    """

    def __init__(self, home: Home, day: date | None, data: str) -> None:
        self.home, self.day = home, day
        self.command = f"python -m pipelines.{home.made_by}{data}"
        if home.partition == "run_date" and day is not None:
            self.command += f" run_date={day.isoformat()}"
        elif home.partition == "asof_date" and day is not None:
            self.command += f" as_of={day.isoformat()}"
        where = f"{home.layer}/{home.name}" + (f"/{home.partition}={day}" if day is not None else "")
        super().__init__("is not published yet", where=where, todo=f"Run `{self.command}`")


class Published:
    """The published tables of one data set.

    Args:
        root: The data set's root: a folder, or an address in an object store.
        option: What a command needs to work on the data set, for messages.
    """

    def __init__(self, root: Place, option: str = "") -> None:
        self.root, self.option = root, option
        self.store = TableStore(root)

    def days(self, home: Home) -> list[date]:
        """Dates of a publication's partitions, oldest first."""
        found = []
        for publication in self.store.partitions(home.layer, home.name):
            try:
                found.append(date.fromisoformat(publication.value))
            except ValueError:  # a file that is no partition of ours
                continue
        return found

    def run_dates(self) -> list[date]:
        """Dates for which anything was scored or decided, oldest first."""
        return sorted({*self.days(SCORES), *self.days(RECOMMENDED)})

    def find(self, home: Home, value: date | str | None = None) -> Manifest | None:
        """The manifest of a partition, or None where it is not published.

        Raises:
            PublishError: The manifest cannot be read, or files that it names are gone.
        """
        text = value.isoformat() if isinstance(value, date) else value
        partition = f"{home.partition}={text}" if home.partition else None
        publication = Publication(layer=home.layer, name=home.name, partition=partition)
        if self.store.find(publication) is None:
            return None
        return self.store.read(publication, made_by=f"{home.made_by}{self.option}")

    def manifest(self, home: Home, day: date | None = None) -> Manifest:
        """The manifest of a partition.

        Raises:
            AbsentError: It is not published.
            PublishError: It is damaged.
        """
        found = None if home.partition and day is None else self.find(home, day)
        if found is None:
            raise AbsentError(home, day, self.option)
        return found

    def holding(self, table: str, day: date) -> Manifest | None:
        """The publication of a run date that holds a table, whichever it is; the newest where several do.

        Raises:
            PublishError: Files that it names are gone.
        """
        found = []
        for publication in self.store.of_run_dates("gold", day):
            manifest = self.store.find(publication)
            if manifest is not None and table in manifest.tables:
                found.append(manifest)
        if not found:
            return None
        newest = max(found, key=lambda one: one.created_at)
        return self.store.read(newest.publication, made_by=str(newest.publication.name))

    def every(self, home: Home) -> list[Manifest]:
        """All partitions that can be read, those made last at the end."""
        found = []
        for publication in self.store.partitions(home.layer, home.name):
            manifest = self.store.find(publication)
            if manifest is not None and not self.store.missing_files(manifest):
                found.append(manifest)
        return sorted(found, key=lambda one: one.created_at)

    def table(
        self, manifest: Manifest, name: str, columns: Sequence[str] | None = None, *, customer: str | None = None
    ) -> pd.DataFrame:
        """A table of a publication; treat it as your own copy.

        Args:
            manifest: The publication.
            name: Table.
            columns: Columns to read, those that exist; None for all.
            customer: Read this customer's rows only.

        Raises:
            PublishError: The publication has no such table, or a file cannot be read.
        """
        files = [str(file) for file in self.store.files(manifest, name)]
        known = manifest.tables[name].columns
        wanted = None if columns is None else tuple(column for column in columns if column in known)
        read = _read_table if customer is None else _read_customer
        try:
            return read(manifest.tables[name].content_hash, wanted, customer, files)
        except (OSError, ValueError) as error:
            raise PublishError(
                f"cannot be read: {error}",
                where=f"{manifest.publication} {name}",
                todo="Reload the page; if it stays, run the stage again with force=true",
            ) from error

    def landed(self, manifest: Manifest, name: str) -> dict[str, Path]:
        """Files that were published beside the tables, by the name that they were written with."""
        if name not in manifest.tables:
            return {}
        files = manifest.tables[name].files
        return {str(one.origin): path for one, path in zip(files, self.store.files(manifest, name), strict=True)}


@st.cache_data(max_entries=KEPT_TABLES, show_spinner=False)
def _read_table(
    content_hash: str, columns: tuple[str, ...] | None, customer: str | None, _files: list[str]
) -> pd.DataFrame:
    return _read(columns, None, _files)


# Apart, so that looking at many customers does not push out the tables that every page needs.
@st.cache_data(max_entries=KEPT_CUSTOMERS, show_spinner=False)
def _read_customer(
    content_hash: str, columns: tuple[str, ...] | None, customer: str | None, _files: list[str]
) -> pd.DataFrame:
    return _read(columns, [("customer_id", "==", customer)], _files)


def _read(
    columns: tuple[str, ...] | None, filters: list[tuple[str, str, Any]] | None, files: list[str]
) -> pd.DataFrame:
    # A partition's date is a column as well: what the folders are called must not add it again.
    table = pq.read_table(files, columns=None if columns is None else list(columns), filters=filters, partitioning=None)
    frame: pd.DataFrame = table.to_pandas()
    for name in frame.columns[frame.dtypes == "category"]:
        frame[name] = frame[name].astype(object)
    return frame
