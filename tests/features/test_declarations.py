"""Declarations: complete, unique, and what the table really holds."""

from pathlib import Path

import pytest

from spanishgas.config import ExtraColumn
from spanishgas.contracts import SILVER_TABLES
from spanishgas.errors import ConfigError
from spanishgas.features import FAMILIES, declared, manifest

PACKAGE = Path(__file__).resolve().parents[2] / "spanishgas" / "features"
OTHER_MODULES = {"spans", "__init__", "__main__", "context", "declaration", "lexicon", "month_margin", "table"}
EXTRAS = {"rate": ExtraColumn(column="r", type="float", unit="EUR", description="Rate.", documented=False)}
NAMES = [family.name for family in FAMILIES]


def test_every_family_has_a_module_of_its_name_and_every_module_is_listed() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} - OTHER_MODULES == set(NAMES)


def test_names_are_unique_and_belong_to_their_family() -> None:
    features = declared(NAMES, EXTRAS)
    names = [feature.name for feature in features]
    assert len(names) == len(set(names))
    for family in FAMILIES:
        assert {feature.family for feature in family.declared(EXTRAS)} <= {family.name}


def test_sources_are_silver_tables_and_windows_stand_in_the_name() -> None:
    tables = {contract.name for contract in SILVER_TABLES}
    for feature in declared(NAMES, EXTRAS):
        assert {part for source in feature.source for part in source.split("|")} <= tables, feature.name
        if feature.name.endswith("d") and feature.name.rpartition("_")[2][:-1].isdigit():
            assert feature.window_days is not None, feature.name
            assert int(feature.name.rpartition("_")[2][:-1]) <= feature.window_days, feature.name


def test_the_manifest_says_what_a_reader_needs() -> None:
    (entry,) = [one for one in manifest(declared(NAMES, EXTRAS)) if one["name"] == "extra_rate"]
    assert entry["unit"] == "EUR"
    assert "not documented" in entry["description"]
    for one in manifest(declared(NAMES, {})):
        assert {"name", "unit", "family", "source", "window_days", "known_at_delay_days", "description"} <= set(one)


def test_an_unknown_family_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"lifecicle.*Known families: lifecycle, consumption"):
        declared(["lifecicle"], {})
