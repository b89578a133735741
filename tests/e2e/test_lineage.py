"""Where a recommendation comes from, down to raw files, and what became of a raw file, the champion included."""

import hashlib
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


# What each publication of the decision is made of, as the pages of the stages say it; by name of publication,
# features by their date.
LEARNED = ("2024-02-29", "2024-05-31", "2024-08-31")
MONTHS = (*LEARNED, "2024-03-31", "2024-04-30", "2024-06-30", "2024-07-31", "2024-09-30", "2024-10-31")
MADE_OF = {
    "recommendations": {"scoring", "2024-11-30", "model", "silver", "segments", "response"},
    "scoring": {"2024-11-30", "model"},
    "model": {"training_set", "truth"},
    "training_set": {"silver", *LEARNED},
    "segments": {"2024-11-30", "training_set"},
    "response": {"silver", "model", "training_set", *MONTHS},
    **{day: {"silver"} for day in (*MONTHS, "2024-11-30")},
    "silver": {"ingest"},
}
SOURCES = {
    *("churn_label", "customer_attributes", "customer_contracts", "price_history", "costs_by_province_month"),
    *("consumption_hourly", "customer_interactions", "retention_offers"),
}


def short(node: dict[str, Any]) -> str:
    if node["kind"] != "publication":
        return str(node["name"]).partition("/")[0]
    _, name, *partition = node["name"].split("/")
    return partition[0].partition("=")[2] if name == "features" else str(name)


def edges(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in node["next"]:
        yield short(node), short(one)
        yield from edges(one)


def leaves(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for one in node["next"]:
        yield from leaves(one)


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
    made_of = {(reader, one) for reader, sources in MADE_OF.items() for one in sources}
    assert set(edges(top)) == made_of | {("ingest", source) for source in SOURCES}
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
    assert main(asked(retailer, f"raw={file}", "format=json")) == 0
    (landing,) = json.loads(capsys.readouterr().out)["lineage"]
    judged = {("model", "promotion"), ("training_set", "promotion")}
    assert set(edges(landing)) == {(one, reader) for reader, one in made_of if one != "truth"} | judged
    hashes = {one["name"]: one["digest"] for one in leaves(top) if one["kind"] == "raw file"}
    delivered = retailer.root / "raw" / "current"
    for name, digest in hashes.items():
        path = delivered / name.split("/", 2)[2]
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest(), name
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
