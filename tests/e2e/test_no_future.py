"""The test that decides: whatever happens to rows that are not visible at `as_of`, the features stay the same.

Raw rows with an event or an arrival after the date are altered, removed and invented, late arrivals and corrections of
visible rows among them; everything then goes through bronze, silver and features as always.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.config import DemoSettings, ExtraColumn, ExtraTable, SourcePart
from spanishgas.features import FAMILIES, declared
from tests.support import Pipeline, RawWorld, demo_world

AS_OF = date(2024, 10, 31)
SETTINGS = DemoSettings(customers=45, start=date(2024, 1, 1), end=date(2025, 1, 31), seed=11, churn_rate_90d=0.2)
EXTRA = ExtraTable(
    part=SourcePart(files="extras.csv"),
    columns={
        "score": ExtraColumn(column="score", type="float", description="A score.", known_at="static"),
        "mutable": ExtraColumn(column="mutable", type="float", description="Changes; known from the extraction on."),
    },
)
# Source -> (event column, days from the event to its arrival where the file does not tell it).
EVENTS = {
    "churn_label": ("churn_date", 0),
    "customer_attributes": (None, 0),
    "customer_contracts": ("contract_start_date", 0),
    "price_history": ("pricing_date", 0),
    "retention_offers": ("offer_date", 0),
}
KEYS = ("customer_id", "province_code", "campaign_id", "region", "sales_channel", "action", "channel", "timing_window")


def _day(values: Any) -> "pd.Series[Any]":
    return pd.to_datetime(pd.Series(values), format="ISO8601", errors="coerce")


def _known(name: str, frame: pd.DataFrame) -> "pd.Series[Any]":
    """Day from which a raw row may be used, by the contract's rule."""
    if name == "costs_by_province_month":
        event = _day(frame["month"]) + pd.offsets.MonthEnd(0)
        derived = event + pd.Timedelta(days=10)
    else:
        column, delay = EVENTS[name]
        event = _day(frame[column]) if column else pd.Series(pd.NaT, index=frame.index)
        derived = event + pd.Timedelta(days=delay)
    told = _day(frame["recorded_at"]) if "recorded_at" in frame else pd.Series(pd.NaT, index=frame.index)
    known = told.fillna(derived)
    return pd.concat([known, event], axis=1).max(axis=1)


def scramble(world: RawWorld, rng: np.random.Generator) -> RawWorld:
    """The same world for everybody who looks at it at `as_of`, another one afterwards."""
    tables = {name: _scramble_table(name, frame, rng) for name, frame in world.tables.items()}
    return RawWorld(tables, _scramble_notes(world.interactions, rng), _scramble_hours(world.hourly, rng), world.extras)


def _scramble_table(name: str, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    cut = pd.Timestamp(AS_OF)
    hidden = (_known(name, frame) > cut).to_numpy()
    visible, future = frame[~hidden], frame[hidden]
    # Altered and removed.
    altered = future[rng.uniform(size=len(future)) < 0.6].copy()
    for column in altered.columns:
        if pd.api.types.is_numeric_dtype(altered[column]) and column not in KEYS:
            altered[column] = rng.permutation(altered[column].to_numpy())
    # Invented: corrections of visible rows that arrive too late, with other values.
    invented = visible.sample(frac=0.5, random_state=3).copy()
    for column in invented.columns:
        if pd.api.types.is_float_dtype(invented[column]):
            invented[column] = 0.9 if column == "propensity" else invented[column] * 3.0 + 1.0
        elif pd.api.types.is_integer_dtype(invented[column]) and column not in KEYS:
            invented[column] = 1 - invented[column].clip(0, 1)
    invented["recorded_at"] = (AS_OF + timedelta(days=int(rng.integers(1, 20)))).isoformat()
    if name == "churn_label":
        # Visible labels stay the truth about those who had left; a late row may say anything about the others.
        invented["churn"] = 1
        invented["churn_date"] = (AS_OF - timedelta(days=3)).isoformat()
    if name == "retention_offers":
        invented["action"] = np.where(invented["action"] == "none", "large", "none")
    if name == "customer_contracts":
        change = _day(visible["last_product_change_date"])
        visible = visible.assign(
            last_product_change_date=visible["last_product_change_date"].where(
                ~(change > cut), (AS_OF + timedelta(days=5)).isoformat()
            )
        )
        invented["next_renewal_date"] = "2031-01-01"
    result = pd.concat([visible, altered, invented], ignore_index=True)
    return result.sample(frac=1.0, random_state=5)


def _scramble_notes(notes: list[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = []
    for note in notes:
        if pd.Timestamp(note["interaction"]["date"]) <= pd.Timestamp(AS_OF):
            result.append(note)
            if rng.uniform() < 0.5:
                # Written about an earlier day, known later.
                late = {**note, "recorded_at": (AS_OF + timedelta(days=2)).isoformat()}
                late["interaction"] = {
                    **note["interaction"],
                    "summary": "Cliente muy enfadado, pide la baja. Sin resolver.",
                }
                result.append(late)
        elif rng.uniform() < 0.5:
            result.append({**note, "interaction": {**note["interaction"], "summary": "Angry complaint."}})
    return [result[place] for place in rng.permutation(len(result))]


def _scramble_hours(hourly: pa.Table, rng: np.random.Generator) -> pa.Table:
    frame = hourly.to_pandas()
    frame[["customer_id", "timestamp"]] = frame[["customer_id", "timestamp"]].astype(str)
    day = pd.to_datetime(frame["timestamp"]).dt.normalize()
    known = pd.to_datetime(frame["recorded_at"])
    hidden = (day > pd.Timestamp(AS_OF)) | (known > pd.Timestamp(AS_OF))
    visible, future = frame[~hidden], frame[hidden]
    future = future[rng.uniform(size=len(future)) < 0.7].copy()
    future["consumption_elec_kwh"] *= 7.0
    late = visible.sample(frac=0.02, random_state=9).copy()
    late["consumption_elec_kwh"] = 99.0
    late["recorded_at"] = AS_OF + timedelta(days=1)
    whole = pd.concat([visible, late, future], ignore_index=True)
    return pa.Table.from_pandas(whole, preserve_index=False)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Features at `as_of` and at a later date, of the world and of the scrambled one."""
    world = demo_world(SETTINGS)
    customers = world.tables["churn_label"]["customer_id"].unique()
    rng = np.random.default_rng(1)
    extras = pd.DataFrame({"customer_id": customers, "score": rng.normal(size=len(customers))})
    world = RawWorld(world.tables, world.interactions, world.hourly, extras.assign(mutable=extras["score"]))
    other = scramble(world, rng)
    other = RawWorld(other.tables, other.interactions, other.hourly, extras.assign(mutable=-5.0))
    later = SETTINGS.end

    def build(folder: Path, raw: RawWorld) -> list[pd.DataFrame]:
        with Pipeline(folder, extras=(EXTRA,), threads=2).run(raw) as built:
            result = built.features([AS_OF, later])
            frame = built.engine.frame(result.features).sort_values(["as_of", "customer_id"], ignore_index=True)
            return [part.reset_index(drop=True).convert_dtypes() for _, part in frame.groupby("as_of")]

    before, after = build(tmp_path_factory.mktemp("world"), world), build(tmp_path_factory.mktemp("other"), other)
    return before[0], after[0], before[1], after[1]


FAMILY_NAMES = [family.name for family in FAMILIES]


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_what_is_not_visible_has_no_influence(family: str, frames: tuple[pd.DataFrame, ...]) -> None:
    before, after, _, _ = frames
    # The demo retailer's readings name no supply points; tests/silver/test_supply_points.py looks at what needs them.
    names = [feature.name for feature in declared([family], EXTRA.columns) if feature.needs is None]
    pd.testing.assert_frame_equal(before[["customer_id", *names]], after[["customer_id", *names]], check_exact=True)


def test_the_same_customers_are_in_the_table(frames: tuple[pd.DataFrame, ...]) -> None:
    before, after, _, _ = frames
    assert list(before["customer_id"]) == list(after["customer_id"])
    assert len(before) > 20


def test_the_scrambled_rows_do_matter_once_they_are_visible(frames: tuple[pd.DataFrame, ...]) -> None:
    """Else the test above could not fail."""
    _, _, before, after = frames
    both = before.merge(after, on="customer_id", suffixes=("", "_other"))
    untouched = {"customer_id", "as_of"}
    changed = [
        name
        for name in before.columns
        if name not in untouched and not both[name].astype(str).equals(both[f"{name}_other"].astype(str))
    ]
    families = {feature.family for feature in declared(FAMILY_NAMES, EXTRA.columns) if feature.name in changed}
    assert families >= set(FAMILY_NAMES) - {"extras", "market"}
