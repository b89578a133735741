"""What goes wrong with deliveries: one function per kind, on the bytes of a file or on its values."""

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.deliveries.tables import CSV_SOURCES, HOURLY, INTERACTIONS, LAYOUTS, SOURCES, Change, Layout, read, write

Mutate = Callable[[str, bytes], bytes | None]


@dataclass(frozen=True)
class Fault:
    """A kind of mutilation.

    Attributes:
        name: What was done to the file.
        sources: Sources that it can be done to.
        mutate: The raw file after it; None where the file is not delivered.
    """

    name: str
    sources: tuple[str, ...]
    mutate: Mutate


def cases() -> Iterator[tuple[Fault, str]]:
    """Every kind on every source."""
    for fault in FAULTS:
        for source in fault.sources:
            yield fault, source


def _bytes(change: Callable[[bytes], bytes | None]) -> Mutate:
    return lambda _, raw: change(raw)


def _values(change: Change, *, separator: str = ",") -> Mutate:
    return lambda source, raw: write(source, change(read(source, raw), LAYOUTS[source]), separator=separator)


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Mutate:
    return _bytes(lambda raw: b"".join(change(raw.splitlines(keepends=True))))


def _at_a_line_end(source: str, raw: bytes) -> bytes:
    if source == INTERACTIONS:  # an array that ends early but well
        frame = read(source, raw)
        return write(source, frame.head(len(frame) // 2))
    lines = raw.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2])


def _within_a_row(source: str, raw: bytes) -> bytes:
    half = raw[: len(raw) // 2]
    if source == INTERACTIONS:
        return half
    line = half.rindex(b"\n") + 1
    # Within the second field of a row.
    return raw[: raw.index(b",", line) + 2]


def _only_header(source: str, raw: bytes) -> bytes:
    return b"[]" if source == INTERACTIONS else raw[: raw.index(b"\n") + 1]


def _some(frame: pd.DataFrame, every: int) -> "pd.Series[bool]":
    return pd.Series(np.arange(len(frame)) % every == 0, index=frame.index)


def _set(column: str, change: Callable[["pd.Series[str]"], "pd.Series[str]"], every: int = 1) -> Change:
    """Changes a column (``key``, ``day``, ``words``) in every n-th row."""

    def apply(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
        name = getattr(layout, column)
        changed = frame.copy()
        where = _some(frame, every) & (frame[name] != "")
        changed.loc[where, name] = change(frame.loc[where, name])
        return changed

    return apply


def _to(text: str) -> Callable[["pd.Series[str]"], "pd.Series[str]"]:
    return lambda texts: pd.Series(text, index=texts.index)


def _numbers(change: Callable[["pd.Series[float]"], "pd.Series[object]"], every: int = 1) -> Change:
    """Changes all quantities in every n-th row."""

    def apply(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
        changed = frame.copy()
        for name in layout.numbers:
            where = _some(frame, every) & (frame[name] != "")
            changed.loc[where, name] = change(frame.loc[where, name].astype(float)).astype(str)
        return changed

    return apply


def _days(format_: str) -> Callable[["pd.Series[str]"], "pd.Series[str]"]:
    return lambda texts: pd.to_datetime(texts).dt.strftime(format_)


def _later(**offset: int) -> Callable[["pd.Series[str]"], "pd.Series[str]"]:
    def shift(texts: "pd.Series[str]") -> "pd.Series[str]":
        return (pd.to_datetime(texts) + pd.DateOffset(**offset)).dt.strftime("%Y-%m-%d %H:%M:%S")

    return shift


def _without(column: str) -> Change:
    return lambda frame, layout: frame.drop(columns=getattr(layout, column))


def _renamed(column: str) -> Change:
    return lambda frame, layout: frame.rename(columns={getattr(layout, column): "campo_1"})


def _swapped_numbers(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    first, last = layout.numbers[0], layout.numbers[-1]
    return frame.assign(**{first: frame[last], last: frame[first]})


def _swapped_names(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """The key and the day stand under each other's names."""
    return frame.rename(columns={layout.key: layout.day, layout.day: layout.key})


def _months(frame: pd.DataFrame, layout: Layout) -> "pd.Series[str]":
    return frame[layout.day].str.slice(0, 7)


def _one_month_missing(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    months = _months(frame, layout)
    known = sorted(month for month in months.unique() if month >= "2024")
    return frame[months != known[len(known) // 2]]


def _last_months_missing(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    months = _months(frame, layout)
    return frame[months <= "2024-02"]


def _half_of_the_customers(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    names = sorted(frame[layout.key].unique())
    return frame[frame[layout.key].isin(names[::2])]


def _repeated(share: float) -> Change:
    return lambda frame, _: pd.concat([frame, frame.head(int(len(frame) * share))])


def _half_hours(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Every hour as two half hours, each with its half of the energy."""
    halves = frame.copy()
    for name in layout.numbers:
        halves[name] = (halves[name].replace("", "0").astype(float) / 2).astype(str)
    later = halves.assign(**{str(layout.day): halves[str(layout.day)].str.replace(":00:00", ":30:00")})
    return pd.concat([halves, later]).sort_index(kind="stable")


def _every_second_hour(frame: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    return frame.iloc[::2]


def _zipped(raw: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data", raw)
    return buffer.getvalue()


def _with_open_quote(lines: list[bytes]) -> list[bytes]:
    middle = len(lines) // 2
    return [*lines[:middle], b'"' + lines[middle].replace(b'"', b"", 1), *lines[middle + 1 :]]


def _text_of(encoding: str) -> Mutate:
    """The file in another encoding, with a letter in it that is not ASCII."""

    def mutate(source: str, raw: bytes) -> bytes:
        text = raw.decode().replace("C0000", "Ñ0000")
        return text.encode(encoding)

    return mutate


HTML = b"<!DOCTYPE html>\n<html><head><title>504</title></head><body><h1>Gateway Timeout</h1></body></html>\n"
GARBAGE = bytes(np.random.default_rng(7).integers(0, 256, 20_000, dtype=np.uint8))
WITH_NUMBERS = tuple(source for source, layout in LAYOUTS.items() if layout.numbers)
WITH_DAYS = tuple(source for source, layout in LAYOUTS.items() if layout.day)
WITH_PAIRS = tuple(source for source, layout in LAYOUTS.items() if len(layout.numbers) > 1)
BY_MONTH = ("price_history", "costs_by_province_month", HOURLY, INTERACTIONS)
OF_CUSTOMERS = tuple(source for source, layout in LAYOUTS.items() if layout.key == "customer_id")

FAULTS: tuple[Fault, ...] = (
    # the file as a whole
    Fault("cut off within a row", SOURCES, _within_a_row),
    Fault("cut off at a line end", SOURCES, _at_a_line_end),
    Fault("header only, or no records", SOURCES, _only_header),
    Fault("empty file", SOURCES, _bytes(lambda raw: b"")),
    Fault("blank lines only", SOURCES, _bytes(lambda raw: b"\n\n\n")),
    Fault("file not delivered", SOURCES, _bytes(lambda raw: None)),
    Fault("error page in HTML instead", SOURCES, _bytes(lambda raw: HTML)),
    Fault("binary garbage", SOURCES, _bytes(lambda raw: GARBAGE)),
    Fault(
        "zeros of a crashed disk at the end", SOURCES, _bytes(lambda raw: raw[: len(raw) // 2] + bytes(len(raw) // 2))
    ),
    Fault("gzip under the plain name", SOURCES, _bytes(gzip.compress)),
    Fault("zip under the plain name", SOURCES, _bytes(_zipped)),
    # how it is written
    Fault("byte order mark", SOURCES, _bytes(lambda raw: b"\xef\xbb\xbf" + raw)),
    Fault("UTF-16 with mark", SOURCES, _text_of("utf-16")),
    Fault("UTF-16 without mark", SOURCES, _text_of("utf-16-le")),
    Fault("Latin-1 instead of UTF-8", SOURCES, _text_of("latin-1")),
    Fault("Windows line ends", SOURCES, _bytes(lambda raw: raw.replace(b"\n", b"\r\n"))),
    Fault("old Mac line ends", CSV_SOURCES, _bytes(lambda raw: raw.replace(b"\n", b"\r"))),
    Fault(
        "mixed line ends",
        CSV_SOURCES,
        _lines(lambda lines: [line.replace(b"\n", b"\r\n") if at % 2 else line for at, line in enumerate(lines)]),
    ),
    Fault("semicolons instead of commas", CSV_SOURCES, _values(lambda frame, _: frame, separator=";")),
    Fault("another separator that nobody knows", CSV_SOURCES, _values(lambda frame, _: frame, separator="^")),
    Fault("a quote that is never closed", CSV_SOURCES, _lines(_with_open_quote)),
    Fault("no header", CSV_SOURCES, _lines(lambda lines: lines[1:])),
    Fault("a comment before the header", CSV_SOURCES, _lines(lambda lines: [b"# export of yesterday\n", *lines])),
    Fault("a total at the end", CSV_SOURCES, _lines(lambda lines: [*lines, b"TOTAL;;;;\n"])),
    Fault(
        "the header again in the middle",
        CSV_SOURCES,
        _lines(lambda lines: [*lines[: len(lines) // 2], lines[0], *lines[len(lines) // 2 :]]),
    ),
    Fault(
        "a separator too many in each line", CSV_SOURCES, _lines(lambda lines: [line[:-1] + b",\n" for line in lines])
    ),
    Fault("nested without end", (INTERACTIONS,), _bytes(lambda raw: b"[" * 100_000 + b"]" * 100_000)),
    Fault(
        "a record nested without end",
        (INTERACTIONS,),
        _bytes(lambda raw: raw.rstrip(b"]\n ") + b',{"customer":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}]"),
    ),
    Fault("records that are lists", (INTERACTIONS,), _bytes(lambda raw: b"[[1, 2], [3, 4]]")),
    Fault("an object around the array", (INTERACTIONS,), _bytes(lambda raw: b'{"data": ' + raw + b"}")),
    # columns
    Fault("key column missing", SOURCES, _values(_without("key"))),
    Fault("day column missing", WITH_DAYS, _values(_without("day"))),
    Fault("column of quantities, flags or codes missing", SOURCES, _values(_without("words"))),
    Fault("key column renamed", SOURCES, _values(_renamed("key"))),
    Fault("column of quantities, flags or codes renamed", SOURCES, _values(_renamed("words"))),
    Fault("names of key and day exchanged", WITH_DAYS, _values(_swapped_names)),
    Fault("two quantities exchanged", WITH_PAIRS, _values(_swapped_numbers)),
    Fault("columns in another order", CSV_SOURCES, _values(lambda frame, _: frame[frame.columns[::-1]])),
    Fault("a column more", SOURCES, _values(lambda frame, _: frame.assign(operador="7"))),
    # rows
    Fault("every tenth row twice", SOURCES, _values(_repeated(0.1))),
    Fault("all rows twice", SOURCES, _values(_repeated(1.0))),
    Fault("rows in another order", SOURCES, _values(lambda frame, _: frame.sample(frac=1.0, random_state=3))),
    Fault("half of the customers missing", SOURCES, _values(_half_of_the_customers)),
    Fault("a month missing in the middle", BY_MONTH, _values(_one_month_missing)),
    Fault("the last months missing", WITH_DAYS, _values(_last_months_missing)),
    # keys
    Fault("all keys null", SOURCES, _values(_set("key", _to("")))),
    Fault("every tenth key null", SOURCES, _values(_set("key", _to(""), every=10))),
    Fault("keys of somebody else", SOURCES, _values(_set("key", lambda texts: "9" + texts.str.slice(1)))),
    Fault("spaces around keys", SOURCES, _values(_set("key", lambda texts: "  " + texts + " "))),
    Fault("keys in lower case", OF_CUSTOMERS, _values(_set("key", lambda texts: texts.str.lower()))),
    Fault("invisible marks in keys", SOURCES, _values(_set("key", lambda texts: texts + "\u200b"))),
    Fault(
        "control characters in every tenth key", SOURCES, _values(_set("key", lambda texts: texts + "\x07", every=10))
    ),
    Fault("every tenth key like a path", SOURCES, _values(_set("key", _to("../../etc/passwd"), every=10))),
    # quantities
    Fault(
        "decimal commas",
        WITH_NUMBERS,
        _values(_numbers(lambda value: value.map(lambda one: f"{one:.6f}".replace(".", ",")))),
    ),
    Fault(
        "points and commas both",
        WITH_NUMBERS,
        _values(_numbers(lambda value: value.map(lambda one: f"{one * 1000:,.3f}"))),
    ),
    Fault("quantities times 1000", WITH_NUMBERS, _values(_numbers(lambda value: value * 1000))),
    Fault("quantities by 1000", WITH_NUMBERS, _values(_numbers(lambda value: value / 1000))),
    Fault("quantities times 100", WITH_NUMBERS, _values(_numbers(lambda value: value * 100))),
    Fault("quantities negative", WITH_NUMBERS, _values(_numbers(lambda value: -value))),
    Fault("quantities all zero", WITH_NUMBERS, _values(_numbers(lambda value: value * 0))),
    Fault(
        "every tenth quantity NaN or inf", WITH_NUMBERS, _values(_numbers(lambda value: value * 0 + np.inf, every=10))
    ),
    Fault(
        "every tenth quantity a word",
        WITH_NUMBERS,
        _values(_numbers(lambda value: value.map(lambda _: "n/d"), every=10)),
    ),
    Fault("every tenth quantity 1e300", WITH_NUMBERS, _values(_numbers(lambda value: value * 0 + 1e300, every=10))),
    Fault("quantities all empty", WITH_NUMBERS, _values(_numbers(lambda value: value.map(lambda _: "")))),
    # days
    Fault("days as dd/mm/yyyy", WITH_DAYS, _values(_set("day", _days("%d/%m/%Y")))),
    Fault("days as yyyymmdd", WITH_DAYS, _values(_set("day", _days("%Y%m%d")))),
    Fault(
        "days as numbers of Excel",
        WITH_DAYS,
        _values(_set("day", lambda texts: (pd.to_datetime(texts) - pd.Timestamp("1899-12-30")).dt.days.astype(str))),
    ),
    Fault("days of the year 9999", WITH_DAYS, _values(_set("day", _to("9999-12-31")))),
    Fault("every tenth day of the year 9999", WITH_DAYS, _values(_set("day", _to("9999-12-31"), every=10))),
    Fault("every tenth day of the year 0001", WITH_DAYS, _values(_set("day", _to("0001-01-01"), every=10))),
    Fault("every tenth day of the year 99999", WITH_DAYS, _values(_set("day", _to("99999-01-01"), every=10))),
    Fault("every tenth day the 31st of February", WITH_DAYS, _values(_set("day", _to("2024-02-31"), every=10))),
    Fault("days a day earlier", WITH_DAYS, _values(_set("day", _later(days=-1)))),
    Fault("days a year later", WITH_DAYS, _values(_set("day", _later(years=1)))),
    Fault("days a year earlier", WITH_DAYS, _values(_set("day", _later(years=-1)))),
    Fault("all days empty", WITH_DAYS, _values(_set("day", _to("")))),
    # readings
    Fault("half hours under an hourly setting", (HOURLY,), _values(_half_hours)),
    Fault("every second hour only", (HOURLY,), _values(_every_second_hour)),
    Fault(
        "another clock: hours in UTC",
        (HOURLY,),
        _values(
            _set("day", lambda texts: (pd.to_datetime(texts) - pd.Timedelta(hours=2)).dt.strftime("%Y-%m-%d %H:%M:%S"))
        ),
    ),
    Fault("another clock: a day later", (HOURLY,), _values(_set("day", _later(days=1)))),
    Fault("days without hours", (HOURLY,), _values(_set("day", lambda texts: texts.str.slice(0, 10)))),
    # codes
    Fault(
        "words that nobody knows",
        tuple(source for source in SOURCES if source not in ("price_history", "costs_by_province_month")),
        _values(_set("words", _to("xyz"))),
    ),
)
assert len({fault.name for fault in FAULTS}) == len(FAULTS)
