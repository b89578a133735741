"""Faults of files of readings: encodings, spreadsheets, systems, transfers."""

import gzip
import io
import lzma
import zipfile
from datetime import date, datetime, timedelta

import openpyxl

from tests.deliveries.layouts.base import (
    HALVES,
    HOURS,
    OF_ONE,
    ONE,
    OTHER,
    Case,
    Files,
    clock,
    columns_of,
    delimited,
    kwh,
    kwh_comma,
    local,
    minutes_at_end,
    number_in_day,
    rows_of,
)
from tests.reference.readings import Interval, in_utc, with_offset

PLAIN = rows_of(HOURS, id=lambda one: one.unit, at=lambda one: in_utc(one)["timestamp"], kwh=kwh)
TEXT = delimited(PLAIN, ",")
MAPPED = columns_of("id", timestamp="at", consumption_elec_kwh="kwh")
READ = {"clock": "utc", "columns": MAPPED}
COMMAS = delimited(
    rows_of(OF_ONE, id=lambda one: one.unit, at=lambda one: in_utc(one)["timestamp"], kwh=kwh_comma), ","
).replace('"', "")
SERIALS = rows_of(
    OF_ONE,
    id=lambda one: one.unit,
    at=lambda one: f"{(local(one) - datetime(1899, 12, 30)) / timedelta(days=1):.7f}".replace(".", ","),  # noqa: DTZ001
    kwh=kwh_comma,
)
SAP = rows_of(
    OF_ONE,
    Anlage=lambda one: one.unit,
    Datum=lambda one: f"{one.day:%Y%m%d}",
    Zeit=lambda one: f"{local(one):%H%M%S}",
    Wert=lambda one: kwh_comma(one) + ("-" if one.day == date(2024, 11, 4) and local(one).hour == 3 else ""),
)
# The autumn day by the wall clock, its extra hour left out.
DROPPED = [one for one in HOURS if one.start != datetime.fromisoformat("2024-10-27T01:00:00+00:00")]


def _book(sheets: dict[str, list[list[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _cells(readings: list[Interval]) -> list[list[object]]:
    return [
        ["id", "day", "hour", "kwh"],
        *([one.unit, one.day, number_in_day(one), float(one.kwh)] for one in readings),
    ]


BOOK = {
    "clock": "hour_index",
    "columns": columns_of("id", timestamp="day", hour_index="hour", consumption_elec_kwh="kwh"),
}
BY_MONTH = {
    "2024-03": _cells([one for one in HOURS if one.day.month == 3]),
    "2024-10": _cells([one for one in HOURS if one.day.month == 10]),
    "2024-11": _cells([one for one in HOURS if one.day.month == 11]),
}


def _zip(members: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def _rounded_ids() -> str:
    """Identifiers of 16 digits as a spreadsheet shows them: both are the same number."""
    return delimited([{**row, "id": "2,10003E+15"} for row in PLAIN], ";")


CASES = (
    Case("UTF-16 with mark", 'issue; Excel, "Unicode text"', {"x.csv": TEXT.encode("utf-16")}, READ, readings=HOURS),
    Case("UTF-16 without mark", "PowerShell 5, `Out-File`", {"x.csv": TEXT.encode("utf-16-le")}, READ, readings=HOURS),
    Case(
        "a first line `sep=;`",
        "workbooks saved for Excel; SAP",
        {"x.csv": ("sep=;\r\n" + delimited(PLAIN, ";", "\r\n")).encode("utf-8-sig")},
        READ,
        readings=HOURS,
    ),
    Case(
        "accents as characters of their own in the header",
        "files made on macOS (Unicode NFD)",
        {"x.csv": TEXT.replace("kwh", "energi\u0301a").encode()},
        {"clock": "utc", "columns": {**MAPPED, "consumption_elec_kwh": "energía"}},
        readings=HOURS,
    ),
    Case(
        "blanks that do not break, and a line break, in the header",
        "headers typed into a spreadsheet",
        {"x.csv": TEXT.replace(",kwh", ',"consumo\u00a0\n(kWh)"').encode()},
        {"clock": "utc", "columns": {**MAPPED, "consumption_elec_kwh": "consumo (kWh)"}},
        readings=HOURS,
    ),
    Case(
        "accents in another encoding than the one told",
        "files of Windows programs (cp1252)",
        {"x.csv": TEXT.replace("kwh", "energía").encode("cp1252")},
        {"clock": "utc", "columns": {**MAPPED, "consumption_elec_kwh": "energía"}},
        stops="energía \\(nearest: energ",
    ),
    Case(
        "decimal commas and commas between the columns, without quotes",
        "spreadsheets in Spanish with a changed list separator",
        {"x.csv": COMMAS.encode()},
        READ,
        stops="not one row fits the header.*need quotes",
    ),
    Case(
        "dates as the numbers of a spreadsheet",
        "workbooks saved as CSV with the column's format `General`",
        {"x.csv": delimited(SERIALS).encode()},
        {"columns": columns_of("id", timestamp={"column": "at", "date_format": "excel"}, consumption_elec_kwh="kwh")},
        readings=OF_ONE,
    ),
    Case(
        "the same without `date_format`",
        "workbooks saved as CSV with the column's format `General`",
        {"x.csv": delimited(SERIALS).encode()},
        {"columns": MAPPED},
        stops="every row is rejected .*invalid_timestamp.*date_format",
    ),
    Case(
        "day and month exchanged: 11/04/2024 for November 4",
        "spreadsheets that opened the file with the settings of another country",
        {
            "x.csv": delimited(
                rows_of(OF_ONE, id=lambda one: one.unit, at=lambda one: f"{local(one):%m/%d/%Y %H:%M}", kwh=kwh)
            ).encode()
        },
        {
            "columns": columns_of(
                "id", timestamp={"column": "at", "date_format": "%d/%m/%Y %H:%M"}, consumption_elec_kwh="kwh"
            )
        },
        stops="quarantined_rows",
    ),
    Case(
        "identifiers rounded to `2,10003E+15`",
        "spreadsheets that take long numbers for quantities",
        {"x.csv": _rounded_ids().encode()},
        READ,
        stops="every row is rejected .*unsafe_customer_id",
    ),
    Case(
        "as many rows as a sheet can hold",
        "65,536 rows of xls, 1,048,576 of xlsx: England's missing cases of October 2020",
        {"x.csv": ("id,at,kwh\n" + f"{ONE},2024-11-04 00:00,0.1\n" * 65_535).encode()},
        READ,
        stops="cut_off",
    ),
    Case("workbook", "issue", {"x.xlsx": _book({"Datos": _cells(HOURS)})}, BOOK, readings=HOURS),
    Case(
        "workbook with one month per sheet",
        "load curves that people collect in a workbook",
        {"x.xlsx": _book({"Léeme": [["note"]], **BY_MONTH})},
        {**BOOK, "sheet": "2024-*"},
        readings=HOURS,
    ),
    Case(
        "the same without `sheet`",
        "load curves that people collect in a workbook",
        {"x.xlsx": _book(BY_MONTH)},
        BOOK,
        stops="other sheets have the same columns.*`sheet: '\\*'` for all",
    ),
    Case(
        "a page of HTML under the name of a workbook",
        "`Export to Excel` of web portals and of SAP",
        {"x.xls": b"<html><table><tr><td>id</td></tr></table></html>"},
        BOOK,
        stops="is no readable workbook .*Save it again as xlsx",
    ),
    Case(
        "a page with an error instead of the file",
        "downloads by a script, answered by a proxy",
        {"x.csv": b"<!DOCTYPE html>\n<html><body>504 Gateway Timeout</body></html>\n"},
        READ,
        stops="is XML or HTML",
    ),
    Case("ZIP archive", "issue", {"x.zip": _zip({"a/x.csv": TEXT.encode()})}, READ, readings=HOURS),
    Case(
        "ZIP archive cut off",
        "transfers that broke off",
        {"x.zip": _zip({"x.csv": TEXT.encode()})[:-30]},
        READ,
        stops="no whole zip archive.*Deliver it again",
    ),
    Case(
        "ZIP archive in a ZIP archive",
        "mail gateways that pack attachments",
        {"x.zip": _zip({"inner.zip": _zip({"x.csv": TEXT.encode()})})},
        READ,
        stops="the archive has no member any data file",
    ),
    Case("packed with gzip", "data lakes", {"x.csv.gz": gzip.compress(TEXT.encode())}, READ, readings=HOURS),
    Case("packed with xz", "archives on Linux", {"x.csv.xz": lzma.compress(TEXT.encode())}, READ, readings=HOURS),
    Case(
        "packed with gzip under the plain name",
        "transfers that take the ending off",
        {"x.csv": gzip.compress(TEXT.encode())},
        READ,
        stops="give a packed file its ending",
    ),
    Case(
        "zeros at the end of the file",
        "disks that were full, or lost power, while the file was written",
        {"x.csv": TEXT.encode()[:-400] + bytes(400)},
        READ,
        stops="cut_off",
    ),
    Case(
        "the header again in the middle",
        "files put one behind the other",
        {"x.csv": (delimited(PLAIN[:70], ",") + delimited(PLAIN[70:], ",")).encode()},
        READ,
        readings=HOURS,
        counted={"invalid_timestamp": 1, "invalid_consumption_elec_kwh": 1},
    ),
    Case(
        "a line of units below the header",
        "exports of measurement software",
        {"x.csv": TEXT.replace("\n", "\n,UTC,kWh\n", 1).encode()},
        READ,
        readings=HOURS,
        counted={"missing_customer_id": 1, "invalid_timestamp": 1, "invalid_consumption_elec_kwh": 1},
    ),
    Case(
        "a total at the end",
        "reports that were saved as CSV",
        {"x.csv": (TEXT + "TOTAL;;;;\n").encode()},
        READ,
        readings=HOURS,
        counted={"too_few_columns": 1},
    ),
    Case(
        "SAP: `20241104`, `013000`, the sign behind the number",
        "SAP IS-U, profile values exported as a list",
        {"x.txt": delimited(SAP, "|").encode("latin-1")},
        {
            "format": "csv",
            "encoding": "latin-1",
            "columns": columns_of(
                "Anlage",
                timestamp={"column": "Datum", "date_format": "%Y%m%d"},
                time="Zeit",
                consumption_elec_kwh="Wert",
            ),
        },
        readings=[one for one in OF_ONE if not (one.day == date(2024, 11, 4) and local(one).hour == 3)],
        counted={"negative_elec": 1},
    ),
    Case(
        "the extra autumn hour left out",
        "systems that keep one value per wall-clock hour",
        {
            "x.csv": delimited(
                rows_of(DROPPED, id=lambda one: one.unit, at=lambda one: f"{local(one):%Y-%m-%d %H:%M}", kwh=kwh), ","
            ).encode()
        },
        {"columns": MAPPED},
        readings=DROPPED,
        counted={"gap_hours": 2},
    ),
    Case(
        "an hour that the spring day does not have, with zero",
        "systems that keep 24 values for every day",
        {
            "x.csv": delimited(
                [
                    *rows_of(HOURS, id=lambda one: one.unit, at=lambda one: f"{local(one):%Y-%m-%d %H:%M}", kwh=kwh),
                    {"id": ONE, "at": "2024-03-31 02:00", "kwh": "0"},
                ],
                ",",
            ).encode()
        },
        {"columns": MAPPED},
        readings=HOURS,
        counted={"invalid_timestamp": 1},
    ),
    Case(
        "half hours under an hourly setting",
        "issue",
        {
            "x.csv": delimited(
                rows_of(HALVES, id=lambda one: one.unit, at=lambda one: with_offset(one)["timestamp"], kwh=kwh)
            ).encode()
        },
        {"columns": MAPPED},
        stops="between the intervals that interval_minutes says.*`auto`",
    ),
    Case(
        "every row twice",
        "deliveries put one behind the other",
        {"x.csv": (TEXT + TEXT.split("\n", 1)[1]).encode()},
        READ,
        readings=HOURS,
        counted={"duplicate": len(HOURS)},
    ),
    Case(
        "0:00 to 23:00 turned into 1:00 to 24:00 half-way",
        "issue",
        {
            "x.csv": delimited(
                rows_of(
                    OF_ONE,
                    id=lambda one: one.unit,
                    at=lambda one: f"{one.day:%d/%m/%Y}",
                    hour=lambda one: (
                        clock(minutes_at_end(one))
                        if one.day.month > 10
                        else f"{local(one).hour}:{local(one).minute:02d}"
                    ),
                    kwh=kwh,
                )
            ).encode()
        },
        {
            "stamp": "auto",
            "columns": columns_of(
                "id", timestamp={"column": "at", "date_format": "%d/%m/%Y"}, time="hour", consumption_elec_kwh="kwh"
            ),
        },
        readings=OF_ONE,
    ),
    Case(
        "a customer twice, in capitals and in small letters, with spaces and invisible marks",
        "identifiers that were typed, or copied out of a document",
        {"x.csv": TEXT.replace(ONE, ONE.lower(), 9).replace(OTHER, f" {OTHER[:6]} {OTHER[6:]}\u200b", 9).encode()},
        READ,
        readings=HOURS,
        counted={"respelled_identifier": 18},
    ),
)
