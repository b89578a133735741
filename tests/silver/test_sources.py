"""Every source from raw text to silver: what is read, what is counted, what goes to quarantine, what stops the run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.bronze import build_rejects, land_source, locate_sources
from spanishgas.config import EngineSettings, SourceSettings
from spanishgas.engine.session import open_engine
from spanishgas.errors import ContractError
from spanishgas.readers import HashCache
from spanishgas.silver import BUILDERS, RawPart, RawSource
from spanishgas.silver.mapping import map_source, require_columns
from tests.support import CONTRACTS, Pipeline, RawWorld, demo_data

TABLES: dict[str, dict[str, Any]] = {
    "churn_label": {"customer_id": "A", "churn": 1, "churn_date": "2024-05-01", "reason": "switch"},
    "customer_attributes": {
        "customer_id": "A",
        "contracted_power_kw": "4,6",
        "is_industrial": 0,
        "is_second_residence": "no",
        "province_code": 8,
        "region": "Cataluña",
        "is_high_competition_province": "t",
        "is_urban": "true",
        "sales_channel": "desconocido",
        "recorded_at": "2024-01-01",
    },
    "customer_contracts": {
        "customer_id": "A",
        "customer_first_activation_date": "2020-01-01",
        "contract_start_date": "2024-01-01",
        "last_product_change_date": None,
        "next_renewal_date": "2025-01-01",
    },
    "price_history": {
        "customer_id": "A",
        "pricing_date": "2024-02-01",
        "variable_price_tier1_eur_kwh": 0.2,
        "variable_price_tier2_eur_kwh": 0.15,
        "variable_price_tier3_eur_kwh": 0.1,
        "elec_fixed_fee_eur_month": 7,
        "elec_fixed_cost_eur_month": 5,
        "gas_variable_price_eur_m3": 1.0,
        "gas_fixed_revenue_eur_year": 60,
        "gas_fixed_cost_eur_year": 40,
    },
    "costs_by_province_month": {
        "province_code": "08",
        "month": "2024-02",
        "elec_var_cost_eur_kwh": 0.08,
        "gas_var_cost_eur_m3": 0.7,
        "peaje_elec_eur_kwh": 0.03,
    },
    "retention_offers": {
        "campaign_id": "K1",
        "customer_id": "A",
        "offer_date": "2024-03-01",
        "channel": "email",
        "action": "small",
        "timing_window": "immediate",
        "propensity": 0.5,
        "accepted": 0,
    },
}
Rows = list[dict[str, Any]]
NOTE = {"customer": {"id": "A"}, "interaction": {"date": "2024-03-02", "channel": "phone", "summary": "Queja."}}
SILVER_OF = {
    "churn_label": "churn_events",
    "customer_attributes": "customers",
    "customer_contracts": "contracts",
    "price_history": "prices",
    "costs_by_province_month": "costs",
    "retention_offers": "retention_offers",
}


def world(
    changes: dict[str, list[dict[str, Any]]] | None = None, notes: list[dict[str, Any]] | None = None
) -> RawWorld:
    """One good row per source, and further rows that differ from it as told."""
    tables = {
        name: pd.DataFrame([row, *({**row, **change} for change in (changes or {}).get(name, []))], dtype="object")
        for name, row in TABLES.items()
    }
    hourly = pa.table({"customer_id": ["A"], "timestamp": ["2024-03-05 10:00:00"], "consumption_elec_kwh": [1.0]})
    return RawWorld(tables, [NOTE, *(notes or [])], hourly)


def only(*sources: str, **told: SourceSettings) -> dict[str, SourceSettings]:
    """Sources as configured or as told, and all others absent: to read one takes as long as all of these."""
    known = [*SILVER_OF, "customer_interactions", "consumption_hourly"]
    absent = SourceSettings(absent="not looked at")
    return {name: absent for name in known if name not in sources} | told


def build(folder: Path, raw: RawWorld, **overrides: SourceSettings) -> dict[str, pd.DataFrame]:
    with Pipeline(folder, overrides=overrides).run(raw) as built:
        return {name: built.engine.frame(table) for name, table in built.tables.items()}


@dataclass(frozen=True)
class One:
    """One source read alone.

    Attributes:
        rows: Its silver table.
        quarantine: Its rows that were rejected, by their line among those that could be parsed.
        counted: Other findings.
    """

    rows: pd.DataFrame
    quarantine: pd.DataFrame
    counted: Mapping[str, int]


def build_one(folder: Path, source: str, raw: RawWorld) -> One:
    """Lands and reads one source of a world; to build all of them takes ten times as long."""
    raw.write(folder / "raw")
    told, contract = demo_data(folder), CONTRACTS[source]
    data = told.model_copy(update={"sources": {source: told.sources[source]}})
    files = locate_sources(data, (contract,))[source]
    with open_engine(EngineSettings(threads=1), folder / "scratch") as engine:
        landed = land_source(
            engine, files, folder / "landed", contract=contract, hashes=HashCache(folder / "hashes.json")
        )
        assert build_rejects([landed]).empty
        table = engine.scan([file.path for file in landed.files], origins=[file.raw.origin for file in landed.files])
        settings = data.sources[source]
        read = RawSource(contract, settings, (RawPart(settings.parts[0], table),), data.run_date)
        require_columns([read])
        mapped = map_source(engine, read, data.timezone)
        resolved = BUILDERS[source][1](engine, mapped)
        doubled = {"duplicate": resolved.duplicates, "conflicting_duplicate": resolved.conflicting}
        counted = {**mapped.counts, **resolved.counts, **doubled}
        return One(engine.frame(resolved.rows), engine.frame(mapped.rejected), counted)


def finding(tables: dict[str, pd.DataFrame], source: str, check: str) -> int:
    quality = tables["quality"]
    found = quality[(quality["source"] == source) & (quality["check"] == check)]
    return int(found["affected"].sum())


def test_good_rows_arrive_in_the_words_of_the_contract(tmp_path: Path) -> None:
    tables = build(tmp_path, world())
    assert tables["quarantine"].empty
    (customer,) = tables["customers"].to_dict("records")
    assert (customer["contracted_power_kw"], customer["province_code"], customer["sales_channel"]) == (
        4.6,
        "08",
        "unknown",
    )
    assert [customer[name] for name in ("is_industrial", "is_second_residence", "is_urban")] == [False, False, True]
    assert customer["is_high_competition_province"] is True
    assert customer["is_snapshot"] is False
    (cost,) = tables["costs"].to_dict("records")
    assert str(cost["month"])[:10] == "2024-02-01"
    assert str(cost["known_at"])[:10] == "2024-03-10"
    (note,) = tables["interactions"].to_dict("records")
    assert (note["customer_id"], note["channel"], note["interaction_summary"]) == ("A", "phone", "Queja.")
    assert str(tables["churn_events"]["known_at"].iloc[0])[:10] == "2024-05-01"
    assert finding(tables, "customer_attributes", "unknown_sales_channel") == 1


BAD = [
    ("churn_label", {"customer_id": " "}, "missing_customer_id"),
    ("churn_label", {"churn": "maybe"}, "invalid_churn"),
    ("churn_label", {"churn_date": "2024-02-30"}, "invalid_churn_date"),
    ("customer_attributes", {"customer_id": None}, "missing_customer_id"),
    ("customer_attributes", {"contracted_power_kw": "a lot"}, "invalid_contracted_power_kw"),
    ("customer_contracts", {"contract_start_date": None}, "missing_contract_start_date"),
    ("customer_contracts", {"next_renewal_date": "soon"}, "invalid_next_renewal_date"),
    ("price_history", {"pricing_date": "31/12/2024"}, "invalid_pricing_date"),
    ("price_history", {"variable_price_tier1_eur_kwh": "0.1.2"}, "invalid_variable_price_tier1_eur_kwh"),
    ("costs_by_province_month", {"province_code": "99"}, "outside_province_code"),
    ("costs_by_province_month", {"month": None}, "missing_month"),
    ("retention_offers", {"action": "huge"}, "outside_action"),
    ("retention_offers", {"propensity": 1.5}, "outside_propensity"),
    ("churn_label", {"churn_date": "3024-05-01"}, "outside_churn_date"),
    ("customer_attributes", {"recorded_at": "1910-05-05 00:00:00"}, "outside_recorded_at"),
    ("customer_contracts", {"contract_start_date": "9999-12-31"}, "sentinel_contract_start_date"),
    ("price_history", {"pricing_date": "31/12/9999"}, "sentinel_pricing_date"),
    ("costs_by_province_month", {"month": "9999-02-01 00:00:00"}, "outside_month"),
    ("retention_offers", {"offer_date": "0000-00-00"}, "sentinel_offer_date"),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """One good row per source, and all the bad ones behind it."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for source, change, _ in BAD:
        changes.setdefault(source, []).append(change)
    return build(tmp_path_factory.mktemp("faulty"), world(changes))


@pytest.mark.parametrize(("source", "change", "reason"), BAD, ids=[f"{bad[0]}-{bad[2]}" for bad in BAD])
def test_a_bad_row_is_quarantined_with_its_reason(
    source: str, change: dict[str, Any], reason: str, faulty: dict[str, pd.DataFrame]
) -> None:
    here = [one[2] for one in BAD if one[0] == source]
    quarantine = faulty["quarantine"]
    found = quarantine[(quarantine["source"] == source) & (quarantine["source_line"] == 2 + here.index(reason))]
    (row,) = found.to_dict("records")
    assert row["reason"] == reason
    assert row["source_file"] == f"{source}.csv"
    assert set(json.loads(row["row"])) == set(TABLES[source])
    assert len(faulty[SILVER_OF[source]]) == 1
    assert finding(faulty, source, reason) == 1


def test_nothing_else_is_quarantined(faulty: dict[str, pd.DataFrame]) -> None:
    assert len(faulty["quarantine"]) == len(BAD)


def test_a_row_with_two_faults_is_one_row_with_two_reasons(tmp_path: Path) -> None:
    raw = world({"price_history": [{"customer_id": None, "pricing_date": "x"}]})
    one = build_one(tmp_path, "price_history", raw)
    assert sorted(one.quarantine["reason"]) == ["invalid_pricing_date", "missing_customer_id"]


PEAK = "variable_price_tier1_eur_kwh"
COUNTED = [
    (
        "price_history",
        {"variable_price_tier1_eur_kwh": 0},
        "zero_variable_price_tier1_eur_kwh",
        "variable_price_tier1_eur_kwh",
    ),
    (
        "price_history",
        {"variable_price_tier1_eur_kwh": 99},
        "unknown_variable_price_tier1_eur_kwh",
        "variable_price_tier1_eur_kwh",
    ),
    ("customer_attributes", {"province_code": "77"}, "unknown_province_code", "province_code"),
    ("churn_label", {"churn_date": "00/00/0000"}, "sentinel_churn_date", "churn_date"),
    (
        "customer_contracts",
        {"next_renewal_date": "9999-12-31 00:00:00"},
        "sentinel_next_renewal_date",
        "next_renewal_date",
    ),
]


@pytest.mark.parametrize("source", sorted({source for source, *_ in COUNTED}))
def test_implausible_values_are_null_and_counted(source: str, tmp_path: Path) -> None:
    here = [(f"B{place}", *told) for place, (name, *told) in enumerate(COUNTED) if name == source]
    one = build_one(tmp_path, source, world({source: [{"customer_id": who, **change} for who, change, *_ in here]}))
    rows = one.rows.set_index("customer_id")
    for who, _, check, column in here:
        assert pd.isna(rows.loc[who, column])
        assert not pd.isna(rows.loc["A", column])
        assert one.counted[check] == 1
    assert one.quarantine.empty


def test_duplicates_collapse_and_conflicts_are_told_apart(tmp_path: Path) -> None:
    raw = world({"price_history": [{}, {"elec_fixed_fee_eur_month": 9}, {"elec_fixed_fee_eur_month": None}]})
    tables = build(tmp_path, raw, **only("price_history"))  # the way of these counts into `quality` is looked at too
    assert tables["prices"]["elec_fixed_fee_eur_month"].tolist() == [9.0]
    assert finding(tables, "price_history", "duplicate") == 1
    assert finding(tables, "price_history", "conflicting_duplicate") == 2


def test_a_source_of_which_nothing_can_be_used_stops_the_run(tmp_path: Path) -> None:
    raw = world()
    raw.tables["price_history"]["pricing_date"] = "31/12/2024"
    with pytest.raises(ContractError, match=r"price_history: every row is rejected.*invalid_pricing_date"):
        build_one(tmp_path, "price_history", raw)


def test_rows_that_became_known_on_other_days_are_versions(tmp_path: Path) -> None:
    change = {"is_urban": "false", "recorded_at": "2024-06-01"}
    one = build_one(tmp_path, "customer_attributes", world({"customer_attributes": [change]}))
    assert len(one.rows) == 2
    assert one.counted["duplicate"] == 0


def test_interactions_without_customer_or_with_odd_channels(tmp_path: Path) -> None:
    lost = {"customer": {"id": None}, "interaction": {"date": "2024-03-02", "channel": "phone", "summary": "?"}}
    odd = {"customer": {"id": "A"}, "interaction": {"date": "2024-03-03", "channel": "pigeon"}}
    one = build_one(tmp_path, "customer_interactions", world(notes=[lost, odd, NOTE]))
    assert one.quarantine["reason"].tolist() == ["missing_customer_id"]
    assert one.quarantine["source_line"].tolist() == [2]
    assert sorted(one.rows["channel"]) == ["phone", "unknown"]
    assert one.counted["unknown_channel"] == 1
    assert one.counted["duplicate"] == 1


def test_missing_columns_of_all_sources_are_one_error(tmp_path: Path) -> None:
    raw = world()
    del raw.tables["price_history"]["pricing_date"]
    raw.tables["churn_label"] = raw.tables["churn_label"].rename(columns={"churn": "churned"})
    with pytest.raises(ContractError) as caught:
        build(tmp_path, raw)
    message = str(caught.value)
    assert "churn_label in churn_label.csv: churn (nearest: churned" in message
    assert "price_history in price_history.csv: pricing_date" in message
    assert caught.value.count == 2


def test_a_file_with_a_broken_line_costs_that_line_only_and_later_lines_keep_their_numbers(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        original = RawWorld.write

        def write(self: RawWorld, folder: Path, **told: Any) -> None:
            original(self, folder, **told)
            file = folder / "churn_label.csv"
            lines = file.read_text().splitlines()
            file.write_text("\n".join([lines[0], lines[1], "B,1", "C,maybe,2024-05-01,switch", "D,0,,"]) + "\n")

        patch.setattr(RawWorld, "write", write)
        tables = build(tmp_path, world(), **only("churn_label"))
    quarantine = tables["quarantine"].sort_values("source_line")
    assert quarantine["source_line"].tolist() == [2, 3]
    assert quarantine["reason"].tolist()[1] == "invalid_churn"
    assert sorted(tables["churn_events"]["customer_id"]) == ["A", "D"]


def test_an_absent_source_leaves_an_empty_table_and_says_so(tmp_path: Path) -> None:
    tables = build(tmp_path, world(), **only("churn_label"))
    assert tables["retention_offers"].empty
    assert finding(tables, "customer_interactions", "absent") == 1


def test_an_undated_source_is_known_from_the_extraction_on(tmp_path: Path) -> None:
    raw = world()
    del raw.tables["customer_attributes"]["recorded_at"]
    (customer,) = build_one(tmp_path, "customer_attributes", raw).rows.to_dict("records")
    assert customer["is_snapshot"] is True
    assert pd.Timestamp(customer["known_at"]).date() == date(2026, 2, 9)


@pytest.mark.parametrize("source", TABLES)
def test_the_order_of_rows_is_irrelevant(source: str, tmp_path: Path) -> None:
    changes: dict[str, Rows] = {} if source == "costs_by_province_month" else {source: [{}, {"customer_id": "B"}]}
    if source == "price_history":
        changes[source] += [{"elec_fixed_fee_eur_month": 8}, {"elec_fixed_fee_eur_month": 12}]
    one = world(changes)
    other = RawWorld({name: frame.iloc[::-1] for name, frame in one.tables.items()}, one.interactions, one.hourly)
    frames = [build_one(tmp_path / name, source, raw).rows for name, raw in (("one", one), ("two", other))]
    columns = list(frames[0].columns)
    pd.testing.assert_frame_equal(*(rows.astype(str).sort_values(columns, ignore_index=True) for rows in frames))


OF_CUSTOMERS = [name for name, row in TABLES.items() if "customer_id" in row]


@pytest.fixture(scope="module")
def misspelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """One good row per source, the same written in two other ways, and two of identifiers that nobody should carry."""
    others = [" a", "\ufeffA\u00a0\u200b", "../A", "A\x07"]
    changes = {name: [{"customer_id": other} for other in others] for name in OF_CUSTOMERS}
    raw = world(changes, notes=[{**NOTE, "customer": {"id": other}} for other in others])
    hours = [f"2024-03-05 {hour}:00:00" for hour in range(10, 15)]
    hourly = pa.table({"customer_id": ["A", *others], "timestamp": hours, "consumption_elec_kwh": [1.0] * 5})
    raw = replace(raw, hourly=hourly)
    raw.tables["consumption_periods"] = pd.DataFrame(
        {
            "customer_id": ["A", *others],
            "period_start": "2024-01-01",
            "period_end": [f"2024-0{month}-01" for month in range(2, 7)],
            "consumption_elec_kwh": 100.0,
            "consumption_gas_m3": -1.0,
        }
    )
    periods = SourceSettings.model_validate({"parts": [{"files": "consumption_periods.csv"}]})
    return build(tmp_path_factory.mktemp("misspelled"), raw, consumption_periods=periods)


@pytest.mark.parametrize(
    "source", [*OF_CUSTOMERS, "customer_interactions", "consumption_periods", "consumption_hourly"]
)
def test_one_customer_is_one_however_written_and_unsafe_ones_are_quarantined(
    source: str, misspelled: dict[str, pd.DataFrame]
) -> None:
    table = {"customer_interactions": "interactions", "consumption_hourly": "consumption_daily"}.get(source, source)
    rows = misspelled[SILVER_OF.get(source, table)]
    assert set(rows["customer_id"]) == {"A"}
    assert len(rows) == (3 if source == "consumption_periods" else 1)
    quarantine = misspelled["quarantine"]
    found = quarantine[quarantine["source"] == source]
    assert sorted(found["reason"]) == ["unsafe_customer_id"] * 2
    assert sorted(found["source_line"]) == [4, 5]
    assert finding(misspelled, source, "unsafe_customer_id") == finding(misspelled, source, "quarantined") == 2
    check = "respelled_identifier" if source == "consumption_hourly" else "respelled_customer_id"
    assert finding(misspelled, source, check) == 2


@pytest.mark.parametrize(("source", "row"), [("consumption_hourly", 1.0), ("consumption_periods", 111.0)])
def test_energy_in_quarantine_is_known(source: str, row: float, misspelled: dict[str, pd.DataFrame]) -> None:
    quality = misspelled["quality"].set_index(["source", "check"])
    for check in ("quarantined", "unsafe_customer_id"):
        told = quality.loc[(source, check)]
        assert (told["energy_kwh"], told["affected_energy_kwh"]) == pytest.approx((5 * row, 2 * row))
    assert quality.loc[("price_history", "quarantined"), ["energy_kwh", "affected_energy_kwh"]].isna().all()
    energies = misspelled["quarantine"].set_index("source")["energy_kwh"]
    assert energies[source].tolist() == pytest.approx([row, row])
    assert energies["price_history"].isna().all()


def test_readings_of_supply_points_reach_the_customers_that_a_table_names(tmp_path: Path) -> None:
    raw = world()
    raw.tables["supply_points"] = pd.DataFrame(
        {
            "cups": ["es0031405000000001jn", "ES0031405000000002AB0F", "ES0031405000000003CD"],
            "customer_id": ["A", "a ", "../B"],
            "since": ["01/01/2020", None, None],
        }
    )
    points = ["ES0031405000000001JN0F", "ES0031405000000002AB", "ES0031405000000003CD"]
    hours = {"timestamp": ["2024-03-05 10:00:00"] * 3, "consumption_elec_kwh": [1.0] * 3}
    raw = replace(raw, hourly=pa.table({"cups": points, **hours}))
    told = {"files": "consumption_hourly", "columns": {"customer_id": {"absent": "by cups"}, "supply_point_id": "cups"}}
    since = {"column": "since", "date_format": "%d/%m/%Y"}
    table = {"files": "supply_points.csv", "columns": {"supply_point_id": "cups", "valid_from": since}}
    tables = build(
        tmp_path,
        raw,
        **only(
            consumption_hourly=SourceSettings.model_validate({"parts": [told]}),
            supply_points=SourceSettings.model_validate({"parts": [table]}),
        ),
    )
    (day,) = tables["consumption_daily"].to_dict("records")
    assert (day["customer_id"], day["elec_p1_kwh"], day["supply_points"]) == ("A", 2.0, 2)
    assert set(tables["supply_points"]["supply_point_id"]) == {"ES0031405000000001JN", "ES0031405000000002AB"}
    reasons = dict(zip(tables["quarantine"]["source"], tables["quarantine"]["reason"], strict=True))
    assert reasons == {
        "supply_points": "unsafe_customer_id",
        "consumption_hourly": "no_customer_of_supply_point",
    }
    assert finding(tables, "supply_points", "respelled_supply_point_id") == 2


def test_periods_of_supply_points_add_up_per_customer_and_version(tmp_path: Path) -> None:
    raw = world()
    row = {"customer_id": "A", "period_start": "2024-01-01", "period_end": "2024-12-31", "recorded_at": "2025-01-02"}
    rows = [
        {**row, "cups": "P1", "consumption_elec_kwh": 1000, "consumption_gas_m3": 50},
        {**row, "cups": "P2", "consumption_elec_kwh": 200, "consumption_gas_m3": None},
        {**row, "cups": "P2", "consumption_elec_kwh": 200, "consumption_gas_m3": None},
        {**row, "cups": "P2", "consumption_elec_kwh": 300, "consumption_gas_m3": None, "recorded_at": "2025-02-01"},
    ]
    raw.tables["consumption_periods"] = pd.DataFrame(rows, dtype="object")
    part = {"files": "consumption_periods.csv", "columns": {"supply_point_id": "cups"}}
    tables = build(tmp_path, raw, **only(consumption_periods=SourceSettings.model_validate({"parts": [part]})))
    periods = tables["consumption_periods"].sort_values("known_at")
    assert periods["consumption_elec_kwh"].tolist() == [1200.0, 1300.0]
    assert periods["consumption_gas_m3"].tolist() == [50.0, 50.0]
    assert finding(tables, "consumption_periods", "duplicate") == 1
    assert finding(tables, "consumption_periods", "conflicting_duplicate") == 0


def test_periods_that_name_a_supply_point_only_are_of_its_customer_on_their_last_day(tmp_path: Path) -> None:
    raw = world()
    period = {"period_start": "2024-01-01", "period_end": "2024-01-31", "consumption_gas_m3": None}
    rows = [
        {**period, "cups": "ES0031405000000001JN0F", "consumption_elec_kwh": 100},
        {**period, "cups": "P2", "consumption_elec_kwh": 20},
        {**period, "cups": "P2", "consumption_elec_kwh": 7, "period_start": "2024-02-01", "period_end": "2024-02-29"},
        {**period, "cups": "P3", "consumption_elec_kwh": 1},
        {**period, "cups": "P4", "consumption_elec_kwh": 2},
    ]
    holders = [
        {"supply_point_id": "ES0031405000000001JN", "customer_id": "A", "valid_from": None, "valid_to": None},
        {"supply_point_id": "P2", "customer_id": "A", "valid_from": None, "valid_to": "2024-01-31"},
        {"supply_point_id": "P2", "customer_id": "B", "valid_from": "2024-02-01", "valid_to": None},
        {"supply_point_id": "P3", "customer_id": "A", "valid_from": None, "valid_to": None},
        {"supply_point_id": "P3", "customer_id": "B", "valid_from": None, "valid_to": None},
    ]
    raw.tables["consumption_periods"] = pd.DataFrame(rows, dtype="object")
    raw.tables["supply_points"] = pd.DataFrame(holders, dtype="object")
    columns = {"supply_point_id": "cups", "customer_id": {"absent": "told by supply_points"}}
    tables = build(
        tmp_path,
        raw,
        **only(
            consumption_periods=SourceSettings.model_validate(
                {"parts": [{"files": "consumption_periods.csv", "columns": columns}]}
            ),
            supply_points=SourceSettings.model_validate({"parts": [{"files": "supply_points.csv"}]}),
        ),
    )
    periods = tables["consumption_periods"]
    found = {(row.customer_id, str(row.period_end)[:10]): row.consumption_elec_kwh for row in periods.itertuples()}
    assert found == {("A", "2024-01-31"): 120.0, ("B", "2024-02-29"): 7.0}
    rejected = tables["quarantine"]
    assert sorted(rejected.loc[rejected["reason"] == "missing_customer_id", "source_line"]) == [4, 5]
