"""Where a recommendation comes from, down to raw files, and what became of a raw file, the champion included."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from pipelines.lineage import main
from spanishgas.dashboard import without_browser
from spanishgas.dashboard.formatting import plain
from spanishgas.dashboard.words import NODES, PUBLICATIONS
from spanishgas.stages.lineage import Lineage, steps
from tests.dashboard.conftest import sound
from tests.e2e.worlds import Retailer

RUN_DATE = "2024-12-09"


def names(node: dict[str, Any]) -> Iterator[str]:
    yield node["name"]
    for one in node["next"]:
        yield from names(one)


def asked(retailer: Retailer, *words: str) -> list[str]:
    return [f"data_root={retailer.root}", f"tracking.uri={retailer.tracking.uri}", *words]


@pytest.mark.decided
def test_from_a_recommendation_to_the_raw_files_and_back(
    retailer: Retailer, capsys: pytest.CaptureFixture[str]
) -> None:
    (partition,) = retailer.store.partitions("gold", "recommendations")
    manifest = retailer.store.read(partition, made_by="recommend")
    customer = pd.read_parquet(retailer.store.files(manifest, "recommendations")[0])["customer_id"].iloc[0]
    assert main(asked(retailer, f"recommendation={customer}@{RUN_DATE}", "format=json")) == 0
    told = json.loads(capsys.readouterr().out)
    (top,) = told["lineage"]
    assert (top["name"], top["run_id"]) == (f"gold/recommendations/run_date={RUN_DATE}", manifest.run_id)
    found = set(names(top))
    assert {"silver/silver", "gold/training_set", f"gold/scoring/run_date={RUN_DATE}"} <= found
    raw = {name for name in found if name.startswith("price_history/")}
    assert len(raw) == 1
    published = [retailer.store.find(one) for one in retailer.store.publications("bronze")]
    landed = {file for manifest in published if manifest is not None for file in manifest.inputs}
    assert raw < landed <= found
    file = raw.pop().rpartition("/")[2]
    assert main(asked(retailer, f"raw={file}")) == 0
    tree = capsys.readouterr().out
    assert f"gold/recommendations/run_date={RUN_DATE}" in tree
    assert "champion" in tree
    assert main(asked(retailer, "raw=nothing.csv")) == 1
    assert main(asked(retailer, f"recommendation=nobody@{RUN_DATE}")) == 1
    for unclear in ("format=json", f"recommendation={customer}", f"recommendation={customer}@yesterday"):
        assert main(asked(retailer, unclear)) == 2


@pytest.mark.decided
@pytest.mark.parametrize("language", ["en", "es"])
def test_the_dashboard_shows_both_ways(retailer: Retailer, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("SPANISHGAS_DATA_ROOT", str(retailer.root))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", retailer.tracking.uri)
    place = ("en", "es").index(language)
    page = without_browser.page("lineage", timeout=120)
    page.query_params["lang"] = language
    page.run()
    sound(page)
    (partition,) = retailer.store.partitions("gold", "recommendations")
    manifest = retailer.store.read(partition, made_by="recommend")
    lineage = Lineage(retailer.store)
    back, *forward = (one.value for one in page.dataframe)
    step, name, _, model, run, digest = back.columns
    top = back.iloc[0]
    assert (top[step], top[name]) == (PUBLICATIONS["recommendations"][place], str(partition))
    assert top[run] == manifest.run_id
    assert list(back[name]) == [node.name for _, node in steps(lineage.back(manifest))]
    trained = back[back[model] != ""]
    assert set(trained[name].str[:11]) == {"gold/model/"}
    assert all(one.startswith("v1 · ") for one in trained[model])
    raw = back[back[step].str.strip() == NODES["raw file"][place]]
    assert set(raw[name]) == set(lineage.raw_files)
    assert set(raw[digest].str.len()) == {64}
    known = {words[place] for words in (*PUBLICATIONS.values(), *NODES.values())}
    assert {text.strip().partition(" (")[0] for text in back[step]} <= known
    chosen = next(one for one in lineage.raw_files if one.startswith("price_history/"))
    page.selectbox(key="raw_file").set_value(chosen).run()
    sound(page)
    _, *forward = (one.value for one in page.dataframe)
    (wanted,) = lineage.forward(chosen)
    assert [list(one[name]) for one in forward] == [[node.name for _, node in steps(wanted)]]
    assert str(partition) in set(forward[0][name])
    page.text_input(key="customer").set_value("<nobody>").run()
    sound(page)
    assert plain("<nobody>") in page.warning[0].value
