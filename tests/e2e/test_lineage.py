"""Where a recommendation comes from, down to raw files, and what became of a raw file, the champion included."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from pipelines.lineage import main
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
