"""Known layouts: that the files of conf/layouts are some, and what they recognise."""

from pathlib import Path

import pytest
import yaml

from pipelines._entry import CONF
from spanishgas.config import ColumnMapping, SourcePart
from spanishgas.errors import ConfigError
from spanishgas.onboarding.layouts import load_layouts, parts_of, recognise
from spanishgas.onboarding.proposal import CONTRACTS
from spanishgas.onboarding.words import bare_name
from tests.onboarding.frames import group

LAYOUTS = load_layouts([CONF / "layouts"])


def test_layouts_feed_columns_that_contracts_have_from_columns_that_files_have() -> None:
    assert {layout.title for layout in LAYOUTS} >= {
        "PowerCo",
        "Datadis, consumption as CSV",
        "this project's own contracts",
    }
    for layout in LAYOUTS:
        assert set(layout.absent) <= set(CONTRACTS)
        for table in layout.tables:
            SourcePart(files="x", **table.part)
            known = {bare_name(name) for name in table.recognised_by}
            for feed in table.feeds:
                assert set(feed.columns) <= set(CONTRACTS[feed.source].column_names), layout.title
                for told in feed.columns.values():
                    mapping = ColumnMapping(column=told) if isinstance(told, str) else ColumnMapping(**told)
                    assert (
                        layout.title == "PowerCo"
                        or mapping.column is None
                        or bare_name(mapping.column) in known | {bare_name("interaction.channel")}
                    )


def test_powerco_s_layout_says_what_its_configuration_says() -> None:
    (layout,) = (one for one in LAYOUTS if one.title == "PowerCo")
    told = yaml.safe_load((CONF / "data" / "powerco.yaml").read_text())
    fed: dict[str, list[object]] = {}
    for table in layout.tables:
        for feed in table.feeds:
            fed.setdefault(feed.source, []).append(
                {"churn": "churn", **feed.columns} if feed.source == "churn_label" else feed.columns
            )
    configured = {
        name: [
            {"churn": "churn", **part["columns"]} if name == "churn_label" else part["columns"]
            for part in source["parts"]
        ]
        for name, source in told["sources"].items()
        if "parts" in source
    }
    assert fed == configured
    assert layout.absent == {name: source["absent"] for name, source in told["sources"].items() if "absent" in source}
    assert layout.dates == {name: told[name] for name in ("run_date", "as_of", "extracted_on", "cut")}
    extras = layout.tables[0].extras
    assert extras is not None
    assert extras.attributes == told["extras"][0]["columns"]


def test_a_layout_is_known_in_other_spellings_and_with_further_columns() -> None:
    held = group(
        "x.csv",
        CUPS=["A"],
        FECHA=["2024/01/01"],
        Hora=["01:00"],
        Consumo_KWH=["1"],
        MétodoObtención=["R"],
        x=["1"],
    )
    found = recognise(held, LAYOUTS)
    assert found is not None
    assert found[0].title == "Datadis, consumption as CSV"
    ((source, part),) = parts_of(held, *found)
    assert source == "consumption_hourly"
    assert part.lines["is_estimated"].mapping["column"] == "MétodoObtención"
    assert {line.column: line.raw for line in part.lines.values()}["consumption_elec_kwh"] == "Consumo_KWH"


def test_a_layout_lacking_a_column_is_not_recognised() -> None:
    assert recognise(group("x.csv", cups=["A"], fecha=["2024/01/01"], consumo_kWh=["1"]), LAYOUTS) is None


def test_what_is_no_layout_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: mine\ntables: [{recognised_by: [a], feeds: [{source: pries}]}]\n")
    with pytest.raises(ConfigError, match="pries"):
        load_layouts([tmp_path])
    (tmp_path / "mine.yaml").write_text("titel: mine\n")
    with pytest.raises(ConfigError, match="is no layout"):
        load_layouts([tmp_path])


def test_layouts_with_the_same_columns_are_told_apart_by_their_spelling() -> None:
    columns = {"CUPS": ["A"], "Fecha": ["01/01/2024"], "Hora": ["1"], "Consumo_kWh": ["1"]}
    export = recognise(group("x.csv", **columns, Método_obtención=["R"]), LAYOUTS)
    assert export is not None
    assert export[0].title == "distributor's export of hourly consumption"
