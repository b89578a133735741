"""Layouts and faults of the other sources, and deliveries that are cut off, empty, or of a database."""

import json
import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deliveries.layouts.base import HOURS, Case, as_json, columns_of, delimited
from tests.deliveries.layouts.faults import PLAIN, READ
from tests.deliveries.layouts.files_of_spain import NOT_TOLD

PRICE = {
    "customer_id": "C1",
    "pricing_date": "2024-02-01",
    "variable_price_tier1_eur_kwh": "0.2",
    "variable_price_tier2_eur_kwh": "0.15",
    "variable_price_tier3_eur_kwh": "0.1",
    "elec_fixed_fee_eur_month": "7",
    "elec_fixed_cost_eur_month": "5",
    "gas_variable_price_eur_m3": "1.0",
    "gas_fixed_revenue_eur_year": "60",
    "gas_fixed_cost_eur_year": "40",
}
PRICES = delimited([{**PRICE, "customer_id": f"C{number}"} for number in range(40)], ",")
CONTRACT = {
    "customer_id": "C1",
    "customer_first_activation_date": "2020-01-01",
    "contract_start_date": "2024-01-01",
    "last_product_change_date": "",
    "next_renewal_date": "2025-01-01",
}
COST = {
    "province_code": "08",
    "month": "2024-02-01",
    "elec_var_cost_eur_kwh": "0.08",
    "gas_var_cost_eur_m3": "0.7",
    "peaje_elec_eur_kwh": "0.03",
}
NOTE = {"customer_id": "C1", "date": "2024-03-02", "channel": "phone", "interaction_summary": "Queja."}
CUSTOMER = {"customer_id": "C1", "contracted_power_kw": "4,6", "province_code": "8", "sales_channel": "online"}


def _database() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "db"
        connection = sqlite3.connect(file)
        connection.execute("create table readings (id text, at text, kwh real)")
        connection.executemany("insert into readings values (?, ?, ?)", [tuple(row.values()) for row in PLAIN])
        connection.commit()
        connection.close()
        return file.read_bytes()


CASES = (
    Case(
        "a table in a database",
        "issue",
        {"readings.db": _database()},
        {"sql": {"address_env": "READINGS", "table": "readings"}, **READ},
        readings=HOURS,
    ),
    Case(
        "file cut off within a row",
        "issue",
        {"x.csv": PRICES[: len(PRICES) // 2 + 5].encode()},
        source="price_history",
        stops="cut_off.*1 of 1 files are cut off",
    ),
    Case(
        "file cut off after a row",
        "issue",
        {"x.csv": "".join(PRICES.splitlines(keepends=True)[:20]).encode()},
        source="price_history",
        last_rows=40,
        stops="fewer_rows.*19 rows are 47.5% of the 40",
    ),
    Case(
        "file with only its header",
        "issue",
        {"x.csv": PRICES.splitlines(keepends=True)[0].encode()},
        source="price_history",
        stops="no_rows.*0 rows in 1 files",
    ),
    Case("empty list of interactions", "issue", {"x.json": b"[]"}, source="customer_interactions", stops="no_rows"),
    Case("empty file", "issue", {"x.csv": b""}, source="price_history", stops="is empty: it has not even a header"),
    Case(
        "JSON of 100,000 nested brackets",
        "issue",
        {"x.json": b"[" * 100_000 + b"]" * 100_000},
        source="customer_interactions",
        stops="nested too deeply",
    ),
    Case(
        "dates of the year 9999 in the costs",
        "issue; SAP writes 99991231 for no end",
        {"x.csv": delimited([{**COST, "month": "9999-12-31"}, {**COST, "month": "9999-01-01"}], ",").encode()},
        source="costs_by_province_month",
        stops="every row is rejected .*sentinel_month",
    ),
    Case(
        "dates of the year 9999 in the contracts",
        "issue; SAP writes 99991231 for no end",
        {"x.csv": delimited([{**CONTRACT, "next_renewal_date": "31.12.9999"}], ",").encode()},
        source="customer_contracts",
        rows=[{"customer_id": "C1", "next_renewal_date": None, "contract_start_date": "2024-01-01"}],
        counted={"sentinel_next_renewal_date": 1},
    ),
    Case(
        "`00/00/0000` and `0000-00-00` for no date",
        "MySQL; SAP",
        {
            "x.csv": delimited(
                [{**CONTRACT, "last_product_change_date": "00/00/0000", "next_renewal_date": "0000-00-00"}], ","
            ).encode()
        },
        source="customer_contracts",
        rows=[{"next_renewal_date": None, "last_product_change_date": None}],
        counted={"sentinel_next_renewal_date": 1, "sentinel_last_product_change_date": 1},
    ),
    Case(
        "dates with two digits for the year",
        "old billing systems; spreadsheets",
        {"x.csv": delimited([{**CONTRACT, "contract_start_date": "01/02/24"}], ",").encode()},
        {"columns": {"contract_start_date": {"column": "contract_start_date", "date_format": "%d/%m/%y"}}},
        source="customer_contracts",
        rows=[{"contract_start_date": "2024-02-01"}],
    ),
    Case(
        "dates as the numbers of a spreadsheet, in contracts",
        "workbooks saved as CSV",
        {"x.csv": delimited([{**CONTRACT, "contract_start_date": "45323"}], ",").encode()},
        {"columns": {"contract_start_date": {"column": "contract_start_date", "date_format": "excel"}}},
        source="customer_contracts",
        rows=[{"contract_start_date": "2024-02-01"}],
    ),
    Case(
        "words for no value: `NULL`, `n/d`, `-`",
        "exports of databases and reports",
        {
            "x.csv": delimited(
                [
                    {**PRICE, "gas_variable_price_eur_m3": "NULL"},
                    {**PRICE, "customer_id": "C2", "elec_fixed_cost_eur_month": "n/d"},
                ],
                ",",
            ).encode()
        },
        {"missing": ["NULL", "n/d", "-"]},
        source="price_history",
        rows=[
            {"customer_id": "C1", "gas_variable_price_eur_m3": None},
            {"customer_id": "C2", "elec_fixed_cost_eur_month": None},
        ],
    ),
    Case(
        "prices per MWh",
        "wholesale and industrial price lists; ENTSO-E",
        {"x.csv": delimited([{**PRICE, "variable_price_tier1_eur_kwh": "200"}], ",").encode()},
        {"columns": {"variable_price_tier1_eur_kwh": {"column": "variable_price_tier1_eur_kwh", "factor": 0.001}}},
        source="price_history",
        rows=[{"variable_price_tier1_eur_kwh": 0.2}],
    ),
    Case(
        "postal codes for the province, a leading zero lost",
        "customer lists that went through a spreadsheet",
        {"x.csv": delimited([{**CUSTOMER, "cp": "8001"}, {**CUSTOMER, "customer_id": "C2", "cp": "28013"}]).encode()},
        {"columns": {**NOT_TOLD, "province_code": {"column": "cp", "extract": "^([0-9]{1,2})[0-9]{3}$"}}},
        source="customer_attributes",
        rows=[{"customer_id": "C1", "province_code": "08"}, {"customer_id": "C2", "province_code": "28"}],
    ),
    Case(
        "names of provinces where codes are asked for",
        "customer lists",
        {"x.csv": delimited([{**CUSTOMER, "province_code": "Barcelona"}]).encode()},
        {"columns": NOT_TOLD},
        source="customer_attributes",
        stops="unusable.*unknown_province_code",
    ),
    Case(
        "contracted power with its unit",
        "customer lists",
        {"x.csv": delimited([{**CUSTOMER, "contracted_power_kw": "3,45 kW"}]).encode()},
        {
            "columns": {
                **NOT_TOLD,
                "contracted_power_kw": {"column": "contracted_power_kw", "extract": r"^([0-9,]+) kW$"},
            }
        },
        source="customer_attributes",
        rows=[{"contracted_power_kw": 3.45}],
    ),
    Case(
        "an index without a name as the first column",
        "BCG's and PowerCo's files, written by pandas",
        {"x.csv": delimited([{"": "0", **PRICE}], ",").encode()},
        source="price_history",
        rows=[{"customer_id": "C1"}],
    ),
    Case(
        "PowerCo's prices: a price per period under names of their own",
        "PowerCo (BCG), `price_data.csv`",
        {
            "price_data.csv": delimited(
                [
                    {
                        "id": "038af19179925da21a25619c5a24b745",
                        "price_date": "2015-01-01",
                        "price_off_peak_var": "0.151367",
                        "price_peak_var": "0.0",
                        "price_mid_peak_var": "0.0",
                        "price_off_peak_fix": "44.266931",
                        "price_peak_fix": "0.0",
                        "price_mid_peak_fix": "0.0",
                    }
                ],
                ",",
            ).encode()
        },
        {
            "identifiers": "as_written",
            "columns": {
                "customer_id": "id",
                "pricing_date": "price_date",
                "variable_price_tier1_eur_kwh": "price_peak_var",
                "variable_price_tier2_eur_kwh": "price_mid_peak_var",
                "variable_price_tier3_eur_kwh": "price_off_peak_var",
                "elec_fixed_price_eur_kw_year": {
                    "column": "price_off_peak_fix",
                    "plus": ["price_peak_fix", "price_mid_peak_fix"],
                },
                "elec_fixed_fee_eur_month": {"absent": "per kW and year"},
                "elec_fixed_cost_eur_month": {"absent": "not told"},
                "gas_variable_price_eur_m3": {"absent": "no gas"},
                "gas_fixed_revenue_eur_year": {"absent": "no gas"},
                "gas_fixed_cost_eur_year": {"absent": "no gas"},
            },
        },
        source="price_history",
        rows=[
            {
                "customer_id": "038af19179925da21a25619c5a24b745",
                "variable_price_tier3_eur_kwh": 0.151367,
                "elec_fixed_price_eur_kw_year": 44.266931,
            }
        ],
    ),
    Case(
        "a column renamed",
        "a new release of the billing system",
        {"x.csv": PRICES.replace("pricing_date", "price_date").encode()},
        source="price_history",
        stops="pricing_date \\(nearest: price_date",
    ),
    Case(
        "interactions as lines of JSON, one of them broken",
        "exports of ticket systems",
        {
            "x.jsonl": (
                json.dumps(NOTE) + '\n{"customer_id": "C2", \n' + json.dumps({**NOTE, "customer_id": "C3"}) + "\n"
            ).encode()
        },
        source="customer_interactions",
        rows=[{"customer_id": "C1"}, {"customer_id": "C3"}],
        counted={"invalid_json": 1},
    ),
    Case(
        "interactions in an object around the list",
        "APIs of ticket systems (`data`, `items`, `results`)",
        {"x.json": as_json({"count": 1, "data": [NOTE]})},
        {"records": "data"},
        source="customer_interactions",
        rows=[{"customer_id": "C1", "interaction_summary": "Queja."}],
    ),
    Case(
        "a reading delivered again, with another value and a later day of arrival",
        "Datadis and distributors, estimated readings replaced by real ones",
        {
            "x.csv": delimited([{**row, "known": "2024-11-06"} for row in PLAIN], ",").encode(),
            "y.csv": delimited([{**row, "kwh": "9", "known": "2024-12-01"} for row in PLAIN[:1]], ",").encode(),
        },
        {
            "files": "*.csv",
            "clock": "utc",
            "columns": columns_of("id", timestamp="at", consumption_elec_kwh="kwh", recorded_at="known"),
        },
        readings=[replace(HOURS[0], kwh=Decimal(9)), *HOURS[1:]],
    ),
)
