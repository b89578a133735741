"""Contracts: documents generated from them are true, their versions are honest, and every violation is told."""

import hashlib
import json
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from spanishgas.config import EngineSettings
from spanishgas.contracts import ALL_CONTRACTS, SOURCES, Column, Contract, KnownAt
from spanishgas.contracts.__main__ import main
from spanishgas.contracts.checks import check_frame
from spanishgas.contracts.dictionary import render_dictionary
from spanishgas.engine.counts import check_by_counts
from spanishgas.engine.session import open_engine
from spanishgas.errors import ContractError
from spanishgas.features.__main__ import render as render_features

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "contract_versions.json"

TOY = Contract(
    name="toy",
    layer="gold",
    version=1,
    grain="thing",
    description="Things.",
    primary_key=("id",),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        Column(name="id", type="string", description="Thing."),
        Column(name="kind", type="string", description="Kind.", domain=("a", "b")),
        Column(name="share", type="float", description="Share.", minimum=0.0, maximum=1.0, nullable=True),
        Column(name="count", type="int", description="Count.", minimum=0),
        Column(name="on", type="date", description="Day.", nullable=True),
    ),
)
GOOD = {"id": ["1", "2"], "kind": ["a", "b"], "share": [0.5, None], "count": [1, 2], "on": [date(2024, 1, 1), None]}
VIOLATIONS = {
    "null": ({"kind": ["a", None]}, "kind"),
    "domain": ({"kind": ["a", "z"]}, "kind"),
    "minimum": ({"count": [1, -1]}, "count"),
    "maximum": ({"share": [0.5, 1.5]}, "share"),
    "key": ({"id": ["1", "1"]}, "stands more than once"),
}


def test_documents_are_generated_from_the_declarations() -> None:
    hint = "run `make dictionary`"
    assert (ROOT / "docs" / "DATA_DICTIONARY.md").read_text() == render_dictionary(ALL_CONTRACTS), hint
    assert (ROOT / "docs" / "FEATURES.md").read_text() == render_features(), hint


def test_a_changed_contract_has_a_new_version() -> None:
    """The golden file holds a digest of what readers rely on per version: changing one without the other fails."""
    told = json.loads(GOLDEN.read_text())
    found = {}
    for contract in ALL_CONTRACTS:
        shape = contract.model_dump(mode="json", exclude={"description", "version"})
        for column in shape["columns"]:
            del column["description"], column["personal"]
        digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
        found[f"{contract.layer}/{contract.name}"] = f"v{contract.version} {digest}"
    assert found == told, "raise the version of the changed contract, then write its new line into the golden file"


def test_every_source_and_output_says_what_it_must() -> None:
    assert {"churn_label", "customer_attributes", "customer_contracts", "price_history", "consumption_hourly"} <= {
        contract.name for contract in SOURCES
    }
    for contract in ALL_CONTRACTS:
        assert contract.grain, contract.name
        assert contract.primary_key, contract.name
        for column in contract.columns:
            assert column.description, f"{contract.name}.{column.name}"
            for unit in ("kwh", "eur", "m3", "kw"):
                # A unit in the name is a unit in the contract.
                if column.type == "float" and unit in column.name.split("_"):
                    assert column.unit, f"{contract.name}.{column.name}"


def test_the_command_prints_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["price_history"]) == 0
    assert "variable_price_tier1_eur_kwh" in capsys.readouterr().out
    assert main([]) == 0
    assert "customer_month_margin" in capsys.readouterr().out
    assert main(["prise_history"]) == 2
    assert "no such table: prise_history" in capsys.readouterr().err


def test_a_good_frame_passes() -> None:
    check_frame(TOY, pd.DataFrame(GOOD))


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_is_told_by_the_frame_check_and_by_the_counts(violation: str, tmp_path: Path) -> None:
    change, told = VIOLATIONS[violation]
    frame = pd.DataFrame({**GOOD, **change})
    with pytest.raises(ContractError, match=told) as by_frame:
        check_frame(TOY, frame)
    types = {"share": pa.float64(), "on": pa.date32()}
    schema = pa.schema([(name, types.get(name, pa.int64() if name == "count" else pa.string())) for name in GOOD])
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        table = engine.table(pa.Table.from_pandas(frame, schema, preserve_index=False))
        with pytest.raises(ContractError, match=told) as by_counts:
            check_by_counts(engine, TOY, table)
    assert by_frame.value.count == by_counts.value.count == 1


def test_missing_unexpected_and_mistyped_columns_are_told_together() -> None:
    frame = pd.DataFrame({**GOOD, "count": ["x", "y"], "more": 1}).drop(columns="on")
    with pytest.raises(ContractError) as caught:
        check_frame(TOY, frame)
    assert all(name in str(caught.value) for name in ("count", "more", "on"))


def test_a_contract_whose_key_is_no_column_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="no such column: missing"):
        Contract(**{**TOY.model_dump(), "columns": TOY.columns, "known_at": TOY.known_at, "primary_key": ("missing",)})
