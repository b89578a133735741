"""The customers of a run date with all that the risk list shows: joined from what is published, nothing computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd
import streamlit as st

from spanishgas.dashboard.data import RECOMMENDED, SCORES, SEGMENTED, SILVER, AbsentError, Published
from spanishgas.dashboard.formatting import Language, as_day
from spanishgas.dashboard.provinces import province_name
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import ACTIONS, BUCKETS, CHANNELS, WINDOWS, first_reason, word
from spanishgas.engine.store import Manifest

HAZARDS = ("hazard_0_30", "hazard_30_60", "hazard_60_90")
DECIDED = (
    "customer_id",
    "risk_score",
    "risk_bucket",
    *HAZARDS,
    "segment",
    "segment_name",
    "action",
    "channel",
    "timing_window",
    "expected_margin_impact",
    "expected_spend",
    "reason_codes",
    "veto_codes",
    "expected_margin_month",
    "is_held_out",
)
SCORED = ("customer_id", "risk", *HAZARDS)


@dataclass(frozen=True)
class Sources:
    """What the list is joined from; each but one of scores and recommendations may be missing."""

    recommended: Manifest | None
    scored: Manifest | None
    silver: Manifest | None
    segmented: Manifest | None

    @property
    def key(self) -> str:
        """Changes when any of them does."""
        found = (self.recommended, self.scored, self.silver, self.segmented)
        return " ".join("-" if one is None else one.content_hash for one in found)


def sources_of(view: View) -> Sources:
    """What there is for the chosen date.

    Raises:
        AbsentError: Neither scores nor recommendations are published for it.
    """
    published, day = view.published, view.run_date
    recommended = None if day is None else published.find(RECOMMENDED, day)
    scored = None if day is None else published.find(SCORES, day)
    told = recommended or scored
    if told is None:
        raise AbsentError(RECOMMENDED, day, published.option)
    segmented = published.find(SEGMENTED, as_day(told.tags["as_of"])) if "as_of" in told.tags else None
    return Sources(recommended, scored, published.find(SILVER), segmented)


def risk_list(view: View) -> tuple[pd.DataFrame, Sources]:
    """Customers, the riskiest first.

    Returns:
        Columns of ``DECIDED`` with ``risk`` for the score, and ``segment_label``, ``province``, ``action_label``,
        ``channel_label``, ``timing_window_label``, ``risk_bucket_label`` and ``reason`` in the reader's language. Where
        only scores are published, what a decision adds is null.

    Raises:
        AbsentError: Neither scores nor recommendations are published for the date.
    """
    found = sources_of(view)
    assert view.run_date is not None
    return _joined(found.key, view.language, view.run_date, view.published, found), found


@st.cache_data(max_entries=8, show_spinner=False)
def _joined(key: str, language: Language, run_date: date, _published: Published, _sources: Sources) -> pd.DataFrame:
    if _sources.recommended is not None:
        table = _published.table(_sources.recommended, "recommendations", DECIDED).rename(
            columns={"risk_score": "risk"}
        )
    else:
        assert _sources.scored is not None
        table = _published.table(_sources.scored, "scoring", SCORED)
        table = table.reindex(columns=["risk" if name == "risk_score" else name for name in DECIDED])
    table = table.sort_values(["risk", "customer_id"], ascending=[False, True], ignore_index=True)
    table["rank"] = range(1, len(table) + 1)
    table["segment_label"] = _segment_labels(table, segment_names(_published, _sources.segmented, language))
    table["province"] = _provinces(_published, _sources.silver, table["customer_id"], run_date)
    for column, words in (
        ("action", ACTIONS),
        ("channel", CHANNELS),
        ("timing_window", WINDOWS),
        ("risk_bucket", BUCKETS),
    ):
        names = {value: word(words, value, language) for value in table[column].dropna().unique()}
        table[f"{column}_label"] = table[column].map(names)
    reasons = {codes: first_reason(codes, language) for codes in table["reason_codes"].dropna().unique()}
    table["reason"] = table["reason_codes"].map(reasons)
    return table


def offered(table: pd.DataFrame) -> pd.DataFrame:
    """The customers of a risk list who are made an offer."""
    return table[table["action"].fillna("none") != "none"]


def segment_names(published: Published, segmented: Manifest | None, language: Language) -> Mapping[str, str]:
    """Identity of a segment -> its name; empty where segments are not published."""
    if segmented is None or "segment_summary" not in segmented.tables:
        return {}
    summary = published.table(segmented, "segment_summary", ["segment_id", "name_en", "name_es"])
    return dict(zip(summary["segment_id"], summary[f"name_{language}"], strict=True))


def _segment_labels(table: pd.DataFrame, names: Mapping[str, str]) -> pd.Series:
    told = table["segment"].map(names).astype(object)
    for other in ("segment_name", "segment"):
        told = told.where(told.notna(), table[other])
    return told.where(told.notna(), "")


def _provinces(published: Published, silver: Manifest | None, ids: "pd.Series[str]", day: date) -> "pd.Series[str]":
    """Province of each customer, as known on the day."""
    if silver is None or "customers" not in silver.tables:
        return pd.Series("", index=ids.index)
    known = published.table(silver, "customers", ["customer_id", "province_code", "known_at"])
    # The province does not change over a customer's life: any version tells it.
    known = known.dropna(subset=["province_code"]).sort_values("known_at", kind="stable")
    latest = known.drop_duplicates("customer_id", keep="last").set_index("customer_id")["province_code"]
    names = {code: province_name(code) for code in latest.unique()}
    return ids.map(latest.map(names)).fillna("")
