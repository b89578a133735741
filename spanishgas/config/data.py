"""Settings of a data set: where its raw files lie and how they map to the contracts; the demo retailer's world."""

import codecs
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from spanishgas.config.base import SettingsModel
from spanishgas.config.places import DataPlace, ObjectAddress, inside


class DemoSettings(SettingsModel):
    """The demo retailer's world.

    Attributes:
        seed: Seed of everything drawn; the same seed gives the same files.
        customers: Number of distinct customers over the whole period.
        start: First day of history.
        end: Last day of history (inclusive).
        world: How customers respond to offers: ``loglinear`` or with ``interactions`` between traits.
        churn_rate_90d: Mean probability of leaving within 90 days that the hazards are scaled to.
        hourly_format: File format of the hourly readings.
        block_customers: Customers generated at a time; bounds memory.
        until: Continue the same world to this day (later than ``end``): earlier rows stay unchanged.
        actions: Published recommendations whose offers take effect after ``end``, or None.
    """

    seed: int = 20240101
    customers: int = Field(default=3000, ge=1)
    start: date = date(2024, 1, 1)
    end: date = date(2026, 1, 31)
    world: Literal["loglinear", "interactions"] = "loglinear"
    churn_rate_90d: float = Field(default=0.06, gt=0.0, lt=0.5)
    hourly_format: Literal["parquet", "csv"] = "parquet"
    block_customers: int = Field(default=250, ge=1)
    until: date | None = None
    actions: Path | None = None

    @model_validator(mode="after")
    def _period(self) -> "DemoSettings":
        if self.end <= self.start:
            raise ValueError(f"end ({self.end}) must be after start ({self.start})")
        if self.until is not None and self.until <= self.end:
            raise ValueError(f"until ({self.until}) must be after end ({self.end})")
        if self.actions is not None and self.until is None:
            raise ValueError("actions need `until`: offers take effect only after the world's end")
        return self


def with_one_group(pattern: str) -> str:
    """A regular expression that has exactly one group.

    Raises:
        ValueError: It has none or several, or is no regular expression.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"{pattern!r} has {groups} groups, not one")
    return pattern


class ColumnMapping(SettingsModel):
    """Where a contract column comes from in a raw file, and how its values are to be read.

    Exactly one of ``column``, ``value``, ``file_pattern`` and ``absent`` is given. In YAML a bare string stands for
    ``column``.

    Attributes:
        column: Raw column, or the dotted path of a nested JSON field.
        value: A constant.
        file_pattern: Regular expression on the file's name; its first group is the value.
        absent: Why the source has no such column; the contract column is then null.
        extract: Regular expression on the raw value; its first group is the value. A value that it does not fit stays
            as it is.
        plus: Further raw numeric columns that are added to ``column``; a missing one makes the sum missing.
        factor: The raw number is multiplied by this to reach the contract's unit.
        codes: Raw code -> contract value. Codes that are not listed stay as they are.
        zero: What a zero means: a value, or that the value is missing.
        date_format: strptime format of a date written as text; None for ISO 8601. ``excel`` stands for the numbers that
            a spreadsheet keeps dates as (45,292 is 2024-01-01), ``unix`` and ``unix_ms`` for seconds and milliseconds
            since 1970 in UTC.
        decimal: Decimal mark of a number written as text; ``auto`` takes the part's.
        missing: Texts that stand for no value, such as ``NULL``, beside those of the part.
    """

    column: str | None = None
    value: str | int | float | bool | date | None = None
    file_pattern: str | None = None
    absent: str | None = None
    extract: str | None = None
    plus: tuple[str, ...] = ()
    factor: float = 1.0
    codes: dict[str, str] = Field(default_factory=dict)
    zero: Literal["value", "missing"] = "value"
    date_format: str | None = None
    decimal: Literal["auto", "point", "comma"] = "auto"
    missing: tuple[str, ...] = ()

    @field_validator("extract")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else with_one_group(pattern)

    @model_validator(mode="after")
    def _one_origin(self) -> "ColumnMapping":
        origins = ("column", "value", "file_pattern", "absent")
        given = [name for name in origins if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(origins)}, not {given or 'none'}")
        if self.plus and self.column is None:
            raise ValueError("plus needs a column to add to")
        return self


def _as_mapping(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


Mappings = dict[str, Annotated[ColumnMapping, BeforeValidator(_as_mapping)]]


Clock = Literal["utc", "winter", "civil", "hour_index"]
Stamp = Literal["start", "end", "auto"]
IntervalMinutes = Literal[60, 30, 15, "auto"]
Quantity = Literal["energy", "power"]


class SqlSource(SettingsModel):
    """A table or query of a database, instead of files.

    Attributes:
        address_env: Name of the environment variable that holds the address, credentials included: a URL, or for an
            ADBC driver also a JSON object of its options. The address itself is never a setting, so that it is never
            logged.
        table: Table to read, with its schema where it has one: ``billing.prices``.
        query: Query to read instead; without an order of its own the rows have none.
        driver: ``sqlalchemy`` for any SQLAlchemy address, or the name of an ADBC driver (``postgresql``, ``snowflake``,
            ``bigquery``, ``mssql``), which keeps types and reads batches.
        fetch_rows: Rows fetched at a time; bounds memory.
    """

    address_env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    table: str | None = None
    query: str | None = None
    driver: str = Field(default="sqlalchemy", pattern=r"^[a-z][a-z0-9_]*$")
    fetch_rows: int = Field(default=50_000, ge=1)

    @model_validator(mode="after")
    def _table_or_query(self) -> "SqlSource":
        if (self.table is None) == (self.query is None):
            raise ValueError("give either a table or a query")
        return self


class WideRows(SettingsModel):
    """Rows with one column per interval, as a day with the columns H1 to H25, read as one row per value.

    Attributes:
        columns: Regular expression that fits the names of these columns; its group tells them apart: ``^H([0-9]+)$``.
        name: Name of the column that then holds the group's text.
        value: Name of the column that then holds the value; a row without a value is left out.
    """

    columns: str
    name: str = "interval"
    value: str = "value"

    @field_validator("columns")
    @classmethod
    def _one_group(cls, pattern: str) -> str:
        return with_one_group(pattern)


class SourcePart(SettingsModel):
    """One set of raw files, or one table of a database, that feeds a source.

    Attributes:
        files: Path or glob, relative to the data set's ``raw`` folder; a folder means every data file in it.
        sql: A table or query of a database instead of files.
        format: File format; ``auto`` goes by the ending (.csv .tsv .json .jsonl .ndjson .parquet .xlsx .xls .xlsb .ods,
            each also as .gz, .bz2 or .xz, or in a .zip). For a .zip it is the format of its members.
        member: Which members of a .zip are read, as a glob on their path in it; None: every data file.
        unpacked_limit_mib: What one packed file, or one member of a .zip, may hold unpacked; more is refused.
        delimiter: CSV delimiter, or None to detect it.
        encoding: Text encoding of CSV and JSON files; a byte order mark wins over it.
        decimal: Decimal mark of numbers written as text. ``auto`` reads ``12,5``, ``1.234,5`` and ``1,234.5`` rightly
            and takes the one mark of ``1.234`` and ``1,234`` for a decimal mark; ``point`` and ``comma`` take the other
            mark for thousands.
        header_row: Line of a CSV file, or row of a sheet, that names the columns, from 1; what stands above is passed
            over. 0: there is none, and ``names`` names them.
        names: Names of the columns, in their order, instead of those in the header; columns beyond them are numbered.
        sheet: Sheet of a workbook by name, or by number from 1; None: the first. A name may be a glob (``2024-*``, or
            ``*`` for all): the sheets that it fits are stacked.
        records: Dotted path of the list that holds the records of a JSON file, where that is not the file itself:
            ``response.timeCurve``. Lists on the way are passed through; fields that stand around a list are fields of
            each of its records.
        only: Raw column -> values: rows with another value in it are passed over, and counted. For files that hold
            imported and exported energy, or several registers, in rows.
        wide: Rows with one column per interval, read as one row per value.
        missing: Texts that stand for no value, in all columns of these files.
        sentinel_dates: Days that stand for "no date" beside the usual ones (0000-00-00, 0001-01-01, 1753-01-01,
            1899-12-30, 1899-12-31, 1900-01-01, 2999-12-31, 3000-01-01, 9999-01-01, 9999-12-31): null, and counted.
        first_year: Dates before this year are impossible; their rows go to quarantine.
        last_year: Dates after this year are impossible.
        columns: Contract column -> origin. Contract columns that are not listed are taken from the raw column of the
            same name, if there is one.
        identifiers: Spelling of customers and supply points: ``folded`` (without spaces and invisible marks, in
            capitals, a CUPS by its first 20 characters), or ``as_written`` where small and capital letters tell two
            customers apart. All sources of a data set need the same.
        clock: Clock of these files, where it is not the source's.
        stamp: Stamp of these files, where it is not the source's.
        interval_minutes: Interval of these files, where it is not the source's.
        quantity: Quantity of these files, where it is not the source's.
    """

    files: str = ""
    sql: SqlSource | None = None
    format: Literal["auto", "csv", "json", "parquet", "excel"] = "auto"
    member: str | None = None
    unpacked_limit_mib: int = Field(default=16_384, ge=1)
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8"
    decimal: Literal["auto", "point", "comma"] = "auto"
    header_row: int = Field(default=1, ge=0)
    names: tuple[str, ...] = ()
    sheet: str | int | None = None
    records: str | None = Field(default=None, min_length=1)
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    wide: WideRows | None = None
    missing: tuple[str, ...] = ()
    sentinel_dates: tuple[date, ...] = ()
    first_year: int = Field(default=1920, ge=1, le=9999)
    last_year: int = Field(default=2100, ge=1, le=9999)
    columns: Mappings = Field(default_factory=dict)
    identifiers: Literal["folded", "as_written"] = "folded"
    clock: Clock | None = None
    stamp: Stamp | None = None
    interval_minutes: IntervalMinutes | None = None
    quantity: Quantity | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            "".encode(name)  # refuses codecs that are no text encodings, too
            codecs.lookup(name)
        except LookupError as error:
            raise ValueError(f"no such text encoding: {name}") from error
        return name

    @model_validator(mode="after")
    def _consistent(self) -> "SourcePart":
        if bool(self.files) == (self.sql is not None):
            raise ValueError("give either files or sql")
        if self.first_year > self.last_year:
            raise ValueError(f"first_year ({self.first_year}) is after last_year ({self.last_year})")
        if self.header_row == 0 and not self.names:
            raise ValueError("header_row: 0 says that nothing names the columns: give their names in `names`")
        return self

    @property
    def place(self) -> str:
        """Where the rows come from, for messages and as name of the origin of rows from a database."""
        if self.sql is None:
            return self.files
        return f"sql/{self.sql.table or 'query'}"

    def mapping(self, column: str) -> ColumnMapping:
        """Where a contract column comes from, with what the part says for all columns."""
        told = self.columns.get(column) or ColumnMapping(column=column)
        decimal = self.decimal if told.decimal == "auto" else told.decimal
        return told.model_copy(update={"decimal": decimal, "missing": (*told.missing, *self.missing)})


class SourceSettings(SettingsModel):
    """Where one source lies and how it maps to its contract.

    Attributes:
        parts: One part per set of files; several parts are stacked.
        absent: Why the data set has no such source; its features are then null, and the run says so.
        clock: Clock of readings: ``utc``, ``winter`` (the mainland's winter time, UTC+1, all the year), ``civil`` wall
            time, or ``hour_index``, the number of the interval within its day, from 1. A timestamp with a UTC offset is
            taken at its word under every clock.
        stamp: Whether a timestamp is the ``start`` or the ``end`` of its interval; ``auto`` goes by the days that know
            24:00. A number of the interval needs none.
        interval_minutes: Length of a reading's interval: 60, 30 or 15 minutes; ``auto`` finds it per supply point and
            day, and the run tells what was found.
        quantity: Whether the electricity column holds ``energy`` (kWh) or mean ``power`` (kW) of the interval. Other
            units by ``factor``.
    """

    parts: tuple[SourcePart, ...] = ()
    absent: str | None = None
    clock: Clock = "civil"
    stamp: Stamp = "start"
    interval_minutes: IntervalMinutes = 60
    quantity: Quantity = "energy"

    @model_validator(mode="after")
    def _parts_or_absent(self) -> "SourceSettings":
        if bool(self.parts) == (self.absent is not None):
            raise ValueError("give either parts, or absent with the reason")
        return self


class ExtraColumn(SettingsModel):
    """An attribute beyond the contracts.

    Attributes:
        column: Raw column.
        type: Type of the value.
        description: What it means.
        unit: Unit, or None.
        known_at: ``extraction``: visible from the extraction date on; ``static``: never changes, visible always.
        documented: Whether the retailer documents when the value becomes known. False marks a leak risk.
    """

    column: str
    type: Literal["float", "string", "bool"]
    description: str
    unit: str | None = None
    known_at: Literal["extraction", "static"] = "extraction"
    documented: bool = True


class ExtraTable(SettingsModel):
    """Raw files with attributes beyond the contracts, one row per customer.

    Attributes:
        part: Where they lie.
        columns: Name of the attribute -> what it is.
    """

    part: SourcePart
    columns: dict[str, ExtraColumn]


class DataSettings(SettingsModel):
    """A data set: where its raw files lie and where its tables are published.

    Attributes:
        kind: ``files`` for a retailer's own files, ``demo`` for the generated retailer.
        name: Name of the data set; also the suffix of its models.
        root: Where its tables are published: a folder, or an address in an object store such as ``s3://bucket/prefix``.
        raw: Folder of its raw files.
        run_date: Default ingestion date.
        as_of: Default feature date.
        extracted_on: Day on which undated files were extracted; None means the ingestion's run date.
        cut: Last day that the files are complete for; None derives it from the latest dated event.
        timezone: Civil time of the retailer's mainland.
        sources: Contract name -> source.
        extras: Tables with attributes beyond the contracts.
    """

    kind: Literal["files"] = "files"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    root: DataPlace
    raw: DataPlace
    run_date: date
    as_of: date
    extracted_on: date | None = None
    cut: date | None = None
    timezone: str = "Europe/Madrid"
    sources: dict[str, SourceSettings]
    extras: tuple[ExtraTable, ...] = ()

    @model_validator(mode="after")
    def _raw_is_here(self) -> "DataSettings":
        if isinstance(self.raw, ObjectAddress) and list(inside(self.raw, self.root) or ()) != ["raw", "current"]:
            raise ValueError("raw files are read from a folder: data.raw=DIR, also where the tables are in a store")
        return self

    def complete_until(self) -> date | None:
        """Last day that the files are complete for, where the configuration knows it."""
        return self.cut


class DemoData(DemoSettings, DataSettings):
    """The demo retailer: a data set whose raw files the ``demo_data`` stage writes.

    Attributes:
        kind: ``files`` for a retailer's own files, ``demo`` for the generated retailer.
    """

    kind: Literal["demo"] = "demo"  # type: ignore[assignment]

    def complete_until(self) -> date | None:
        """The end of the generated world."""
        return self.cut or self.until or self.end
