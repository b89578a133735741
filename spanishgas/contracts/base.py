"""What a contract is: the promise that one table makes to its readers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

ColumnType = Literal["string", "int", "float", "bool", "date", "timestamp"]
Layer = Literal["source", "bronze", "silver", "gold"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Column(_Frozen):
    """One column of a table.

    Attributes:
        name: Column name; a unit stands at its end where there is one (``consumption_kwh``).
        type: Logical type. ``date`` is a civil day, ``timestamp`` a point in the source's declared clock.
        description: What a value means, in one sentence.
        unit: Physical or monetary unit, or None where there is none.
        nullable: Whether a value may be missing in a row that is accepted.
        required: Whether the column itself may be absent from a source. Always true for silver and gold.
        static: In a source without arrival times: the value does not change over a customer's life, so it is visible
            before the extraction too. A column that is not static is null before the extraction.
        domain: The values allowed, or None for any. Values outside are handled as ``outside`` says.
        outside: What happens to a value outside ``domain`` or the range: ``quarantine`` the row, or keep the row with
            the value replaced by ``unknown`` (text) or null (number) and ``count`` it.
        minimum: Smallest allowed value, or None.
        maximum: Largest allowed value, or None.
        personal: ``identifier`` names a person or their supply point; ``free`` may hold anything, names too. An export
            replaces the former by pseudonyms and leaves the latter out.
    """

    name: str
    type: ColumnType
    description: str
    unit: str | None = None
    nullable: bool = False
    required: bool = True
    static: bool = False
    domain: tuple[str, ...] | None = None
    outside: Literal["quarantine", "count"] = "quarantine"
    minimum: float | None = None
    maximum: float | None = None
    personal: Literal["identifier", "free"] | None = None


class KnownAt(_Frozen):
    """When a row can be known, which decides whether it may be used at an ``as_of``.

    Attributes:
        column: The column that holds the arrival date, used when the source has it.
        event: The event column that the delay is counted from when there is no arrival date; None means that the
            extraction date of the file is the only thing known.
        delay_days: Days from the event (or, with ``month_end``, from the last day of the event's month) to arrival.
        month_end: Count the delay from the end of the event's month.
    """

    column: str | None = "recorded_at"
    event: str | None = None
    delay_days: int = 0
    month_end: bool = False

    def describe(self) -> str:
        """The rule in words, for the data dictionary."""
        if self.event is None:
            derived = "the extraction date of the file"
        else:
            start = f"end of the month of `{self.event}`" if self.month_end else f"`{self.event}`"
            derived = start if self.delay_days == 0 else f"{start} + {self.delay_days} d"
        return derived if self.column is None else f"`{self.column}`, else {derived}"


class Contract(_Frozen):
    """What a table promises: grain, key, columns with units and domains, event time and known-at time.

    Attributes:
        name: Table name, the last part of its path.
        layer: ``source`` (raw files), ``bronze`` (what landing tells of them), ``silver`` or ``gold``.
        version: Raised by one with every change that a reader can notice.
        grain: What one row stands for.
        description: What the table is for.
        primary_key: Columns that identify a row.
        event_time: The column that says when the thing happened, or None for undated facts.
        known_at: When a row can be known.
        columns: The columns, in order.
        optional: Whether a data set may come without this table.
        partition: Name of the partition key in the published path, or None.
        open: Whether declared features and extra attributes stand beside the columns listed here.
    """

    name: str
    layer: Layer
    version: int
    grain: str
    description: str
    primary_key: tuple[str, ...]
    event_time: str | None
    known_at: KnownAt
    columns: tuple[Column, ...]
    optional: bool = False
    partition: str | None = None
    open: bool = False

    @model_validator(mode="after")
    def _names_exist(self) -> "Contract":
        names = [column.name for column in self.columns]
        if len(names) != len(set(names)):
            raise ValueError(f"{self.name}: a column name stands twice")
        wanted = [*self.primary_key, self.event_time, self.known_at.event]
        missing = [name for name in wanted if name is not None and name not in names]
        if missing:
            raise ValueError(f"{self.name}: no such column: {', '.join(missing)}")
        return self

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: There is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")
