"""Raw values to typed values, as expressions. What cannot be read becomes null; the caller compares and rejects."""

import math
import re

import ibis
import ibis.expr.types as ir

from spanishgas.config import ColumnMapping
from spanishgas.contracts import Column
from spanishgas.domain.civil_time import DAY_SECONDS, NUMBERED
from spanishgas.engine.local_time import civil_time
from spanishgas.silver.numbers import LARGEST, DecimalMark, number_of_text
from spanishgas.silver.raw import RawPart

# No date that anybody writes is a larger number: milliseconds of the year 5138.
LARGEST_DATE = 1e14
TRUE = ("1", "1.0", "true", "t", "yes", "y", "si", "sí", "s", "verdadero")
FALSE = ("0", "0.0", "false", "f", "no", "n", "falso")
IBIS_TYPES = {
    "string": "string",
    "int": "int64",
    "float": "float64",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
ISO_DATE = r"^\d{4}-\d{1,2}-\d{1,2}([ T].*)?$"
ISO_MONTH = r"^\d{4}-\d{2}$"
DIRECTIVES = {"%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})", "%m": r"(?P<m>\d{1,2})", "%d": r"(?P<d>\d{1,2})"}
OTHER_DIRECTIVES = {"%H": r"\d{1,2}", "%M": r"\d{1,2}", "%S": r"\d{1,2}", "%f": r"\d+"}


def raw_value(part: RawPart, mapping: ColumnMapping) -> ir.Value | None:
    """The raw value that a mapping points at, or None where the files have no such column."""
    table = part.table
    if mapping.value is not None:
        return ibis.literal(mapping.value)
    if mapping.file_pattern is not None:
        return table.source_file.re_extract(mapping.file_pattern, 1).nullif("")
    if mapping.column is None:
        return None
    values = [_extracted(_column(table, name), mapping) for name in (mapping.column, *mapping.plus)]
    given = [value for value in values if value is not None]
    if len(given) < len(values):
        return None
    # Each is a number before it is added: a sum of sums would double its expression with every column.
    return given[0] if len(given) == 1 else sum(as_number(value, mapping.decimal) for value in given)


def _extracted(value: ir.Value | None, mapping: ColumnMapping) -> ir.Value | None:
    """The part of a value that is meant, null where it stands for none."""
    if value is None or (mapping.extract is None and not (mapping.missing and value.type().is_string())):
        return value
    text = as_text(value)
    if mapping.extract is not None:
        text = ibis.ifelse(text.re_search(mapping.extract), text.re_extract(mapping.extract, 1).strip(), text)
    if mapping.missing:
        text = ibis.ifelse(text.isin(mapping.missing), ibis.null("string"), text)
    return text.nullif("")


def _column(table: ir.Table, name: str) -> ir.Value | None:
    """A column, or a field of a nested one by its dotted path."""
    if name in table.columns:
        return table[name]
    first, *fields = name.split(".")
    value = table[first] if first in table.columns else None
    for field in fields:
        if value is None or not value.type().is_struct() or field not in value.type().names:
            return None
        value = value[field]
    return value


def as_text(value: ir.Value) -> ir.StringValue:
    """Trimmed text; an empty one is missing."""
    text = value if value.type().is_string() else value.cast("string")
    return text.strip().nullif("")


def as_number(value: ir.Value, decimal: DecimalMark = "auto") -> ir.FloatingValue:
    """A number; of a text with the decimal mark that is told."""
    if value.type().is_boolean():
        return value.cast("int64").cast("float64")
    number = number_of_text(as_text(value), decimal) if value.type().is_string() else value.cast("float64")
    # Not a number, infinite, and beyond every quantity: none of them lies between the largest ones.
    return ibis.ifelse(number.nullif(math.nan).abs() <= LARGEST, number, ibis.null("float64"))


def as_bool(value: ir.Value) -> ir.BooleanValue:
    """A flag: 0/1, true/false, t/f, yes/no, sí/no."""
    if value.type().is_boolean():
        return value
    text = as_text(value).lower()
    return ibis.cases((text.isin(TRUE), True), (text.isin(FALSE), False), else_=ibis.null("boolean"))


def as_date(value: ir.Value, date_format: str | None, timezone: str) -> ir.DateValue:
    """A civil day: text in ISO 8601 (a month alone is its first day) or as the format says; instants in civil time."""
    kind = value.type()
    if kind.is_date():
        return value
    if kind.is_timestamp():
        local = value if kind.timezone is None else civil_time(value, timezone)
        return local.date()
    text = as_text(value)
    if date_format in NUMBERED:
        return _by_number(text, date_format, timezone)
    if date_format is not None:
        return _by_format(text, date_format)
    day = ibis.ifelse(text.re_search(ISO_DATE), text.re_extract(r"^(\d{4}-\d{1,2}-\d{1,2})", 1), ibis.null("string"))
    return ibis.ifelse(text.re_search(ISO_MONTH), text + "-01", day).try_cast("date")


def _by_number(text: ir.StringValue, date_format: str, timezone: str) -> ir.DateValue:
    """The civil day of a number of days, seconds or milliseconds."""
    per_unit, first = NUMBERED[date_format]
    number = number_of_text(text, "auto")
    seconds = ibis.ifelse(number.between(0, LARGEST_DATE), (number * per_unit).round(), math.nan).nullif(math.nan)
    whole = seconds.cast("int64") + first
    if date_format == "excel":  # counts days wherever it was
        return (ibis.date(1970, 1, 1) + (whole // DAY_SECONDS).cast("int64").as_interval("D")).cast("date")
    return civil_time(whole.as_timestamp("s"), timezone).date()


def _by_format(text: ir.StringValue, date_format: str) -> ir.DateValue:
    pattern = re.escape(date_format).replace(r"\ ", " ")
    order = [name for name in re.findall(r"%\w", date_format) if name in DIRECTIVES]
    for directive, group in (*DIRECTIVES.items(), *OTHER_DIRECTIVES.items()):
        plain = re.sub(r"\?P<\w+>", "", group)
        pattern = pattern.replace(re.escape(directive), plain).replace(directive, plain)
    pattern = f"^{pattern}$"

    def part(directive: str) -> ir.StringValue:
        return text.re_extract(pattern, order.index(directive) + 1)

    year = part("%Y") if "%Y" in order else ibis.literal("20") + part("%y")
    day = part("%d").lpad(2, "0") if "%d" in order else ibis.literal("01")
    iso = year + "-" + part("%m").lpad(2, "0") + "-" + day
    return ibis.ifelse(text.re_search(pattern), iso, ibis.null("string")).try_cast("date")


def as_code(value: ir.Value, column: Column, mapping: ColumnMapping) -> ir.StringValue:
    """A text, with the data set's codes put in the contract's words and province numbers padded to two digits."""
    text = as_text(value)
    if mapping.codes:
        text = text.substitute(dict(mapping.codes))
    if column.name == "province_code":
        text = ibis.ifelse(text.re_search(r"^\d(\.0)?$"), text.substr(0, 1).lpad(2, "0"), text)
        text = ibis.ifelse(text.re_search(r"^\d\d\.0$"), text.substr(0, 2), text)
    return text


def typed_value(value: ir.Value, column: Column, mapping: ColumnMapping, timezone: str) -> ir.Value:
    """A raw value in the contract's type and unit; null where it cannot be read."""
    if column.type == "string":
        return as_code(value, column, mapping)
    if mapping.codes:
        value = as_text(value).substitute(dict(mapping.codes))
    if column.type in ("float", "int"):
        number = as_number(value, mapping.decimal)
        number = number * mapping.factor if mapping.factor != 1.0 else number
        if column.type == "float":
            return number
        return ibis.ifelse(number == number.round(), number.round().cast("int64"), ibis.null("int64"))
    if column.type == "bool":
        return as_bool(value)
    return as_date(value, mapping.date_format, timezone)
