"""One small frame per source, and that frame in every format that a retailer may deliver it in."""

import csv
import gzip
import json
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

Row = dict[str, Any]
HOURS = [datetime(2024, 3, 5) + timedelta(hours=hour) for hour in range(24)]  # noqa: DTZ001 - a wall clock
# Values as a retailer's systems hold them: texts, whole numbers, fractions, flags, days, instants, and what is missing.
ROWS: dict[str, list[Row]] = {
    "churn_label": [
        {"customer_id": "0001", "churn": True, "churn_date": date(2024, 5, 1), "reason": "switch"},
        {"customer_id": "Ñ;2", "churn": False, "churn_date": None, "reason": None},
    ],
    "customer_attributes": [
        {
            "customer_id": "0001",
            "contracted_power_kw": 4.6,
            "is_industrial": False,
            "is_second_residence": False,
            "province_code": 8,
            "region": 'Cataluña, "la Mancha"',
            "is_high_competition_province": True,
            "is_urban": None,
            "sales_channel": "web",
            "recorded_at": date(2024, 1, 1),
        }
    ],
    "customer_contracts": [
        {
            "customer_id": "0001",
            "customer_first_activation_date": date(2020, 1, 1),
            "contract_start_date": date(2024, 1, 1),
            "last_product_change_date": None,
            "next_renewal_date": date(9999, 12, 31),
        }
    ],
    "price_history": [
        {
            "customer_id": "0001",
            "pricing_date": date(2024, 2, 1),
            "variable_price_tier1_eur_kwh": 0.123456789012,
            "variable_price_tier2_eur_kwh": 0.15,
            "variable_price_tier3_eur_kwh": 0.1,
            "elec_fixed_fee_eur_month": 7,
            "elec_fixed_cost_eur_month": None,
            "gas_variable_price_eur_m3": 1.5,
            "gas_fixed_revenue_eur_year": 1060.5,
            "gas_fixed_cost_eur_year": 40,
        }
    ],
    "costs_by_province_month": [
        {
            "province_code": 8,
            "month": date(2024, 2, 1),
            "elec_var_cost_eur_kwh": 0.08,
            "gas_var_cost_eur_m3": 0.7,
            "peaje_elec_eur_kwh": 0.03,
        }
    ],
    "consumption_hourly": [
        {"customer_id": "0001", "timestamp": hour, "consumption_elec_kwh": 0.25, "consumption_gas_m3": 1.5}
        for hour in HOURS
    ],
    "customer_interactions": [
        {
            "customer.id": "0001",
            "interaction.date": date(2024, 3, 2),
            "interaction.channel": "phone",
            "text": "Queja\nx",
        }
    ],
    "retention_offers": [
        {
            "campaign_id": "K1",
            "customer_id": "0001",
            "offer_date": date(2024, 3, 1),
            "channel": "email",
            "action": "small",
            "timing_window": "immediate",
            "propensity": 0.5,
            "accepted": False,
        }
    ],
    "consumption_periods": [
        {
            "customer_id": "0001",
            "period_start": date(2023, 1, 1),
            "period_end": date(2023, 12, 31),
            "consumption_elec_kwh": 1234567.5,
            "consumption_gas_m3": None,
        }
    ],
}
NOTES = {
    "customer_id": "customer.id",
    "date": "interaction.date",
    "channel": "interaction.channel",
    "interaction_summary": "text",
}


def text(value: Any) -> str:
    """As most systems write CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def spanish(value: Any) -> str:
    """As a spreadsheet in Spanish writes CSV."""
    if isinstance(value, datetime):
        return f"{value:%d/%m/%Y %H:%M}"
    if isinstance(value, date):
        return f"{value.day:02d}/{value.month:02d}/{value.year:04d}"
    if isinstance(value, bool):
        return "SÍ" if value else "NO"
    if isinstance(value, float):
        whole, _, rest = f"{value:,}".partition(".")
        return whole.replace(",", ".") + "," + rest
    return text(value)


def delimited(
    rows: Sequence[Row], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL, write: Callable[[Any], str] = text
) -> str:
    """CSV text."""
    import io

    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")  # type: ignore[arg-type]
    writer.writerow(rows[0])
    writer.writerows([[write(value) for value in row.values()] for row in rows])
    return sink.getvalue()


def nested(row: Row) -> Row:
    """A record with objects in it instead of dotted names."""
    record: Row = {}
    for name, value in row.items():
        *path, last = name.split(".")
        place = record
        for key in path:
            place = place.setdefault(key, {})
        place[last] = text(value) if isinstance(value, date) else value
    return record


def as_csv(rows: Sequence[Row], file: Path) -> None:
    file.write_text(delimited(rows), encoding="utf-8", newline="")


def as_tsv(rows: Sequence[Row], file: Path) -> None:
    file.write_text(delimited(rows, "\t", csv.QUOTE_ALL), encoding="utf-8-sig", newline="")


def as_utf16(rows: Sequence[Row], file: Path) -> None:
    file.write_text(delimited(rows, "\t"), encoding="utf-16", newline="")


def as_utf16_without_mark(rows: Sequence[Row], file: Path) -> None:
    file.write_text(delimited(rows, ";"), encoding="utf-16-be", newline="")


def as_utf32(rows: Sequence[Row], file: Path) -> None:
    file.write_text(delimited(rows, "|"), encoding="utf-32", newline="")


def as_report(rows: Sequence[Row], file: Path) -> None:
    file.write_text("Listado;de;hoy\r\n\r\n" + delimited(rows, ";"), encoding="cp1252", newline="")


def as_hinted(rows: Sequence[Row], file: Path) -> None:
    file.write_text("sep=;\r\n" + delimited(rows, ";"), encoding="utf-8", newline="")


def as_spanish(rows: Sequence[Row], file: Path) -> None:
    file.write_text(delimited(rows, ";", write=spanish), encoding="latin-1", newline="")


def as_json(rows: Sequence[Row], file: Path) -> None:
    file.write_text(json.dumps([nested(row) for row in rows], ensure_ascii=False, indent=1), encoding="utf-8")


def as_lines(rows: Sequence[Row], file: Path) -> None:
    file.write_text("\n".join(json.dumps(nested(row)) for row in rows) + "\n", encoding="utf-16")


def as_parquet(rows: Sequence[Row], file: Path) -> None:
    pd.DataFrame(list(rows)).to_parquet(file, index=False)


def as_workbook(rows: Sequence[Row], file: Path) -> None:
    """The second sheet, below a title and with empty rows."""
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Datos")
    for line in (["Listado"], [], list(rows[0]), *([*row.values()] for row in rows), [None] * len(rows[0])):
        sheet.append(line)
    book.save(file)


def as_ods(rows: Sequence[Row], file: Path) -> None:
    pd.DataFrame(list(rows), dtype="object").to_excel(file, index=False, engine="odf")


def as_zip(rows: Sequence[Row], file: Path) -> None:
    """Rows over two members, beside what is no data."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("2024/a.csv", delimited(rows[:1]))
        archive.writestr("2024/b.csv.gz", gzip.compress(delimited(rows[1:] or rows[:1]).encode()))
        archive.writestr("léeme.txt", "nothing")
        archive.writestr("__MACOSX/2024/a.csv", "x")


def as_gzip(rows: Sequence[Row], file: Path) -> None:
    file.write_bytes(gzip.compress(delimited(rows).encode()))


def as_sqlite(rows: Sequence[Row], file: Path) -> None:
    """One table of the file's stem; dates are texts there."""
    connection = sqlite3.connect(file)
    names = ", ".join(f'"{name}"' for name in rows[0])
    connection.execute(f"create table rows ({names})")
    marks = ", ".join("?" for _ in rows[0])
    values = [[text(value) if isinstance(value, date) else value for value in row.values()] for row in rows]
    connection.executemany(f"insert into rows values ({marks})", values)
    connection.commit()
    connection.close()


# Name -> ending of the file, how it is written, and what the part of the configuration says of it.
FORMATS: dict[str, tuple[str, Callable[[Sequence[Row], Path], None], dict[str, Any]]] = {
    "csv": (".csv", as_csv, {}),
    "tsv": (".tsv", as_tsv, {}),
    "utf-16": (".csv", as_utf16, {}),
    "utf-16-without-mark": (".csv", as_utf16_without_mark, {}),
    "utf-32": (".csv", as_utf32, {}),
    "report": (".csv", as_report, {"encoding": "cp1252", "header_row": 3}),
    "hinted": (".csv", as_hinted, {}),
    "json": (".json", as_json, {}),
    "lines": (".jsonl", as_lines, {}),
    "workbook": (".xlsx", as_workbook, {"sheet": "Datos", "header_row": 3}),
    "ods": (".ods", as_ods, {"sheet": 1}),
    "gzip": (".csv.gz", as_gzip, {}),
}
