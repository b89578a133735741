"""Exports without names: joinable under one key, not under another, and nothing in them that could be a name."""

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.contracts import ALL_CONTRACTS, find_contract
from spanishgas.errors import ConfigError, PublishError
from spanishgas.stages import export
from spanishgas.stages.places import recommended_on
from tests.e2e.worlds import Retailer

KEY = export.KEY_VARIABLE
TABLES = "export.tables=[gold/recommendations,silver/interactions,silver/customers,silver/customer_extras]"


def exported(retailer: Retailer, into: Path, *overrides: str) -> dict[str, pd.DataFrame]:
    retailer.run(export.STAGE, TABLES, f"export.into={into}", *overrides)
    return {file.name: pd.read_parquet(file) for file in into.glob("*.parquet")}


@pytest.mark.decided
def test_tables_join_under_one_key_only_and_hold_no_name(
    retailer: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "a" * 32)
    first = exported(retailer, tmp_path / "first")
    again = exported(retailer, tmp_path / "again")
    monkeypatch.setenv(KEY, "b" * 32)
    other = exported(retailer, tmp_path / "other")

    manifest = retailer.store.read(recommended_on(date(2024, 12, 9)), made_by="recommend")
    decided = pd.read_parquet(retailer.store.files(manifest, "recommendations")[0])
    told = first["gold.recommendations.parquet"]
    assert len(told) == len(decided)
    assert told["customer_id"].nunique() == decided["customer_id"].nunique()
    assert told["customer_id"].is_monotonic_increasing  # not in the order of the identifiers
    order = sorted(set(told.columns) - {"customer_id"})
    whole = [table[order].sort_values(order, ignore_index=True) for table in (told, decided)]
    pd.testing.assert_frame_equal(*whole, check_dtype=False)

    customers = retailer.silver("customers")[["customer_id"]]
    right = decided.merge(customers.drop_duplicates(), on="customer_id")
    for pair, count in ((first, len(right)), (again, len(right)), (other, 0)):
        people = pair["silver.customers.parquet"][["customer_id"]].drop_duplicates()
        assert len(first["gold.recommendations.parquet"].merge(people, on="customer_id")) == count

    talks, extras = first["silver.interactions.parquet"], first["silver.customer_extras.parquet"]
    assert "interaction_summary" not in talks.columns
    assert {"number", "text"}.isdisjoint(extras.columns)
    names = set(customers["customer_id"])
    summaries = set(retailer.silver("interactions")["interaction_summary"].dropna())
    for file in (tmp_path / "first").iterdir():
        if file.suffix != ".parquet":
            text = file.read_text()
            assert not any(one in text for one in names | summaries), file.name
    assert not any(frame.astype(str).isin(names).any(axis=None) for frame in first.values())
    csv = pd.read_csv(tmp_path / "first" / "silver.interactions.csv")
    assert csv["customer_id"].tolist() == talks["customer_id"].tolist()

    card = json.loads((tmp_path / "first" / "manifest.json").read_text())
    assert card["tables"][1]["left_out"] == {"interaction_summary": "may hold anything"}
    assert card["tables"][0]["replaced"] == ["customer_id"]
    assert card["key"] == json.loads((tmp_path / "again" / "manifest.json").read_text())["key"]
    assert card["key"] != json.loads((tmp_path / "other" / "manifest.json").read_text())["key"]


@pytest.mark.decided
def test_a_delta_table_has_the_rows_of_the_file(
    retailer: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake import DeltaTable

    monkeypatch.setenv(KEY, "a" * 32)
    into = tmp_path / "out"
    files = exported(retailer, into, "export.formats=[parquet,delta]")
    card = json.loads((into / "manifest.json").read_text())
    for one in card["tables"]:
        name = one["table"].replace("/", ".")
        table = DeltaTable(into / f"{name}.delta")
        assert table.metadata().name == name
        assert table.to_pyarrow_table().to_pandas().equals(files[f"{name}.parquet"])
        on_disk = {path.relative_to(into).as_posix() for path in into.rglob(f"{name}*/**/*") if path.is_file()}
        assert set(one["files"]) == on_disk | {f"{name}.parquet"}
    alone = exported(retailer, tmp_path / "alone", "export.formats=[delta]")
    assert alone == {}
    assert DeltaTable(tmp_path / "alone" / "silver.customers.delta").version() == 0


@pytest.mark.decided
def test_what_cannot_be_exported_is_refused_and_nothing_is_left(
    retailer: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "out"
    for key, told in (("", "it is not set"), ("short", "it has 5 characters")):
        monkeypatch.setenv(KEY, key)
        with pytest.raises(ConfigError, match=f"at least 32 characters; {told}"):
            exported(retailer, into)
    monkeypatch.setenv(KEY, "a" * 32)
    with pytest.raises(ConfigError, match="must lie outside the data root"):
        exported(retailer, retailer.root / "out")
    with pytest.raises(ConfigError, match="there is no table 'gold/names'"):
        exported(retailer, into, "export.tables=[gold/names]")
    with pytest.raises(PublishError, match="not published at or before"):
        exported(retailer, into, "export.tables=[gold/measured_effect]")
    with pytest.raises(ConfigError, match="needs tables and a folder"):
        retailer.run(export.STAGE, TABLES)
    assert not into.exists()
    into.mkdir()
    (into / "mine.txt").write_text("")
    with pytest.raises(ConfigError, match="is there already"):
        exported(retailer, into)
    with pytest.raises(ConfigError, match="something else than an export"):
        exported(retailer, into, "force=true")
    assert [file.name for file in into.iterdir()] == ["mine.txt"]
    only = ("export.formats=[csv]", "export.tables=[silver/costs]")
    exported(retailer, tmp_path / "csv", *only)
    exported(retailer, tmp_path / "csv", *only, "force=true")
    assert sorted(file.name for file in (tmp_path / "csv").iterdir()) == ["manifest.json", "silver.costs.csv"]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_what_no_contract_and_no_feature_declares_is_left_out() -> None:
    features = find_contract("gold", "customer_features_asof_date")
    replaced, left_out = export.treatment(features, ["customer_id", "as_of", "tenure_days", "extra_phone"])
    assert (replaced, left_out) == (["customer_id"], {"extra_phone": "declared nowhere"})


# Texts without a list of values that were looked at and name nobody: look at one before you add it.
HARMLESS = {
    "campaign", "campaign_id", "check", "churn_reason", "evidence", "family", "feature", "features_hash", "figure",
    "gate", "group", "guardrail", "handling", "held_back_by", "label", "largest_psi_feature", "limit", "member",
    "metric", "model_digest", "model_version", "month", "name", "name_en", "name_es", "policy", "policy_version",
    "reason", "reason_codes", "reasons", "region", "response", "root", "roots", "segment", "segment_id", "segment_name",
    "sentence", "source", "subject", "verdict", "veto_codes", "world",
}  # fmt: skip


def test_every_text_that_can_be_exported_has_been_looked_at() -> None:
    found = {
        column.name
        for contract in ALL_CONTRACTS
        if contract.layer in export.LAYERS
        for column in contract.columns
        if column.type == "string" and column.domain is None and column.personal is None
    }
    assert found == HARMLESS
