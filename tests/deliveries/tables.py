"""Raw files of the demo as frames of text, and back: what faults in values are made on."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

HOURLY, INTERACTIONS = "consumption_hourly", "customer_interactions"


@dataclass(frozen=True)
class Layout:
    """One raw file of the demo.

    Attributes:
        file: Its place below the raw folder.
        key: Column that says whom it is about.
        day: Column that says when, or None.
        numbers: Columns with quantities.
        words: A column with codes or flags.
    """

    file: str
    key: str
    day: str | None
    numbers: tuple[str, ...]
    words: str


TIERS = tuple(f"variable_price_tier{tier}_eur_kwh" for tier in (1, 2, 3))
LAYOUTS = {
    "churn_label": Layout("churn_label.csv", "customer_id", "churn_date", (), "churn"),
    "customer_attributes": Layout(
        "customer_attributes.csv", "customer_id", None, ("contracted_power_kw",), "is_industrial"
    ),
    "customer_contracts": Layout(
        "customer_contracts.csv", "customer_id", "contract_start_date", (), "next_renewal_date"
    ),
    "price_history": Layout(
        "price_history.csv", "customer_id", "pricing_date", (*TIERS, "gas_variable_price_eur_m3"), TIERS[0]
    ),
    "costs_by_province_month": Layout(
        "costs_by_province_month.csv",
        "province_code",
        "month",
        ("elec_var_cost_eur_kwh", "gas_var_cost_eur_m3", "peaje_elec_eur_kwh"),
        "elec_var_cost_eur_kwh",
    ),
    HOURLY: Layout(
        f"{HOURLY}/part-0000.csv",
        "customer_id",
        "timestamp",
        ("consumption_elec_kwh", "consumption_gas_m3"),
        "is_estimated",
    ),
    INTERACTIONS: Layout(f"{INTERACTIONS}.json", "customer_id", "date", (), "channel"),
    "retention_offers": Layout("retention_offers.csv", "customer_id", "offer_date", ("propensity",), "action"),
}
SOURCES = tuple(LAYOUTS)
CSV_SOURCES = tuple(source for source in SOURCES if source != INTERACTIONS)


def read(source: str, raw: bytes) -> pd.DataFrame:
    """A raw file as a frame of texts; nested records are flattened."""
    if source == INTERACTIONS:
        rows = [
            {
                "customer_id": record["customer"].get("id"),
                "date": record["interaction"].get("date"),
                "channel": record["interaction"].get("channel"),
                "summary": record["interaction"].get("summary"),
            }
            for record in json.loads(raw)
        ]
        return pd.DataFrame(rows, dtype="object").fillna("")
    return pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False)


def write(source: str, frame: pd.DataFrame, *, separator: str = ",") -> bytes:
    """The raw file that a frame is read from."""
    if source == INTERACTIONS:
        known = {"customer_id": ("customer", "id"), "date": ("interaction", "date")}
        known |= {"channel": ("interaction", "channel"), "summary": ("interaction", "summary")}
        records = []
        for row in frame.to_dict("records"):
            record: dict[str, dict[str, str | None]] = {"customer": {}, "interaction": {}}
            for name, value in row.items():
                outer, inner = known.get(str(name), ("interaction", str(name)))
                record[outer][inner] = value or None
            records.append(record)
        return json.dumps(records, ensure_ascii=False, indent=0).encode()
    return frame.to_csv(index=False, sep=separator).encode()


Change = Callable[[pd.DataFrame, Layout], pd.DataFrame]
