"""Erasing customers: nobody published names them any more, nobody else is touched, and nothing brings them back."""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from spanishgas.engine.store import Manifest
from spanishgas.engine.suppression import FOLDER, KEY, KEY_VARIABLE
from spanishgas.errors import ConfigError, PublishError
from spanishgas.stages import erase, features, ingest, recommend, score, silver
from spanishgas.stages.erasing import LAYERS
from spanishgas.stages.places import recommended_on
from tests.e2e.worlds import Retailer


def manifests(retailer: Retailer) -> list[Manifest]:
    store = retailer.store
    found = [store.find(publication) for layer in LAYERS for publication in store.publications(layer)]
    return [one for one in found if one is not None]


def tables(retailer: Retailer) -> dict[str, pa.Table]:
    """Every published table, file by file, with its rows in their order."""
    return {
        f"{manifest.publication} {name} {number}": pq.read_table(retailer.root / file.path, partitioning=None)
        for manifest in manifests(retailer)
        for name, table in manifest.tables.items()
        for number, file in enumerate(table.files)
        if file.path.endswith(".parquet")
    }


def naming(rows: pa.Table, ids: list[str]) -> pa.Array:
    """Which rows name one of the customers, in any column that holds text."""
    found = pa.array([False] * len(rows), pa.bool_())
    for column in rows.columns:
        words = column.combine_chunks()
        if not pa.types.is_dictionary(words.type):
            if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
                continue
            words = words.dictionary_encode()
        hits = pc.match_substring_regex(words.dictionary, "|".join(ids))
        found = pc.or_(found, pc.fill_null(hits.take(words.indices), False))
    return found


def files_naming(root: Path, ids: list[str]) -> list[str]:
    """Parquet files, published or not, that name one of the customers."""
    return [
        str(file.relative_to(root))
        for layer in LAYERS
        for file in sorted((root / layer).rglob("*.parquet"))
        if pc.any(naming(pq.read_table(file, partitioning=None), ids)).as_py()
    ]


def named(retailer: Retailer, tmp_path: Path, ids: list[str]) -> str:
    file = tmp_path / "customers.txt"
    file.write_text("\n".join([*ids, ""]))
    return f"erasure.customers={file}"


def shorten(retailer: Retailer) -> None:
    """Leaves readings of the last weeks only: how many there are of one kind is not what this is about."""
    for file in (retailer.root / "raw" / "current" / "consumption_hourly").glob("*.parquet"):
        rows = pq.read_table(file, partitioning=None)
        pq.write_table(rows.filter(pc.greater_equal(rows["timestamp"].cast(pa.string()), "2024-11-10")), file)


def spoil(retailer: Retailer) -> str:
    """Delivers a row that cannot be read and one that has to be rejected, of one customer; returns who it is."""
    shorten(retailer)
    raw = retailer.root / "raw" / "current" / "customer_contracts.csv"
    lines = raw.read_text().splitlines()
    header = lines[0].replace('"', "").split(",")
    fields = lines[1].split(",")
    customer = fields[header.index("customer_id")].strip('"')
    fields[header.index("contract_start_date")] = "the day before"
    raw.write_text("\n".join([*lines, ",".join(fields), f"{customer},too,few"]) + "\n")
    retailer.run(ingest.STAGE)
    retailer.run(silver.STAGE)
    return customer


@pytest.fixture
def decided(retailer: Retailer) -> Retailer:
    spoil(retailer)
    retailer.run(recommend.STAGE)
    return retailer


@pytest.fixture
def ids(decided: Retailer) -> list[str]:
    """One of whom raw rows were rejected, and one who was scored."""
    rejected = decided.silver("quarantine")["row"].dropna()
    whose = next(one for one in decided.silver("customers")["customer_id"] if rejected.str.contains(one).any())
    manifest = decided.store.find(recommended_on(date(2024, 12, 9)))
    assert manifest is not None
    offered = pd.read_parquet(decided.store.files(manifest, "recommendations")[0])["customer_id"]
    talked = decided.silver("interactions")["customer_id"]
    return [whose, next(one for one in offered if one != whose and (talked == one).any())]


def artifacts(retailer: Retailer, run_id: str) -> str:
    """All that a run says of itself, as one text."""
    run = retailer.tracker.client.get_run(run_id)
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    texts = [file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file()]
    return "\n".join([str(run.data.to_dictionary()), str(run.inputs), *texts])


def test_nobody_published_names_them_nobody_else_changes_and_nothing_brings_them_back(
    decided: Retailer, ids: list[str], tmp_path: Path
) -> None:
    before = tables(decided)
    concerned = {key: pc.sum(naming(rows, ids)).as_py() or 0 for key, rows in before.items()}
    places = {key.split()[1] for key, count in concerned.items() if count}
    assert {
        "consumption_hourly", "customer_interactions", "churn_label", "consumption_daily", "quarantine", "rejects",
        "customer_features_asof_date", "customer_month_margin", "churn_training_dataset", "model_predictions",
        "scoring", "recommendations", "decision_standing",
    } <= places  # fmt: skip

    untouched = manifests(decided)
    dry = decided.run(erase.STAGE, named(decided, tmp_path, ids))
    assert manifests(decided) == untouched
    done = decided.run(erase.STAGE, named(decided, tmp_path, ids), "erasure.mode=erase")

    assert files_naming(decided.root, ids) == []
    after = tables(decided)
    assert set(after) == set(before)
    for key, rows in before.items():
        kept = rows.filter(pc.invert(naming(rows, ids)))  # words may be stored as codes before, and as words after
        assert after[key].equals(kept.cast(after[key].schema)), key
    for manifest in manifests(decided):
        for name, table in manifest.tables.items():
            if table.files and table.files[0].path.endswith(".parquet"):
                keys = [f"{manifest.publication} {name} {number}" for number in range(len(table.files))]
                assert table.rows == sum(len(after[key]) for key in keys), (manifest.publication, name)
    metrics = [decided.tracker.client.get_run(one.run_id).data.metrics for one in (dry, done)]
    assert [one["erased_rows"] for one in metrics] == [float(sum(concerned.values()))] * 2
    assert [one["customers_found"] for one in metrics] == [2.0, 2.0]
    told = artifacts(decided, done.run_id)
    assert not any(one in told for one in ids)
    assert not any(one in (decided.root / FOLDER / "customers.json").read_text() for one in ids)

    # Nothing brings them back, and nothing fails.
    left = {name: decided.silver(name) for name in ("customers", "consumption_daily", "interactions", "churn_events")}
    assert decided.run(ingest.STAGE).cached  # the raw files are the same
    assert not decided.run(ingest.STAGE, "force=true").cached
    assert not decided.run(silver.STAGE).cached  # what it reads has changed
    for name, rows in left.items():
        order = list(rows.columns)
        pd.testing.assert_frame_equal(
            decided.silver(name).sort_values(order, ignore_index=True), rows.sort_values(order, ignore_index=True)
        )
    for stage in (features.STAGE, score.STAGE):
        decided.run(stage)
    offered = decided.table(decided.run(recommend.STAGE), "recommendations")
    assert len(offered) > 100
    assert files_naming(decided.root, ids) == []
    log = pd.read_parquet(decided.root / "bronze" / "_meta" / "ingestion_log.parquet")
    assert log["notes"].str.contains("rows_of_erased_customers_left_out").sum() >= 5


def test_erasing_again_changes_nothing_repairs_what_slipped_in_and_can_be_lifted(
    retailer: Retailer, tmp_path: Path
) -> None:
    shorten(retailer)
    retailer.run(ingest.STAGE)
    ids = list(retailer.silver("interactions")["customer_id"].drop_duplicates().iloc[:1])
    given = named(retailer, tmp_path, [*ids, "C-typed-wrong"])
    found = retailer.run(erase.STAGE, given, "erasure.mode=erase")
    metrics = retailer.tracker.client.get_run(found.run_id).data.metrics
    assert (metrics["customers_named"], metrics["customers_found"], metrics["customers_not_found"]) == (2.0, 1.0, 1.0)
    assert "1 of them in no table" in found.headline
    once = manifests(retailer)
    again = retailer.run(erase.STAGE, given, "erasure.mode=erase")
    assert manifests(retailer) == once
    assert retailer.tracker.client.get_run(again.run_id).data.metrics["erased_rows"] == 0.0

    # A landing without the list, as of a run that began before the erasure, or from a backup.
    (retailer.root / FOLDER).rename(tmp_path / "kept")
    retailer.run(ingest.STAGE, "force=true")
    assert files_naming(retailer.root, ids) != []
    (tmp_path / "kept").rename(retailer.root / FOLDER)
    retailer.run(erase.STAGE, "erasure.mode=erase")
    assert files_naming(retailer.root, ids) == []

    assert "2 of 2" in retailer.run(erase.STAGE, given, "erasure.mode=lift").headline
    retailer.run(ingest.STAGE, "force=true")
    retailer.run(silver.STAGE)
    assert ids[0] in set(retailer.silver("customers")["customer_id"])


def test_what_cannot_be_done_is_refused(retailer: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="nobody is named"):
        retailer.run(erase.STAGE, "erasure.mode=erase")
    with pytest.raises(ConfigError, match="cannot be read"):
        retailer.run(erase.STAGE, f"erasure.customers={tmp_path / 'nowhere.txt'}")
    with pytest.raises(ConfigError, match="names nobody"):
        retailer.run(erase.STAGE, named(retailer, tmp_path, [" "]))
    retailer.run(erase.STAGE, named(retailer, tmp_path, ["C-1"]), "erasure.mode=erase")
    with monkeypatch.context() as patch:
        patch.setenv(KEY_VARIABLE, "another")
        for stage in (erase.STAGE, ingest.STAGE):
            with pytest.raises(ConfigError, match="not the one that the list of erased customers was made with"):
                retailer.run(stage, "erasure.mode=erase", "force=true")
    (retailer.root / FOLDER / KEY).unlink()
    with pytest.raises(PublishError, match="but not its key"):
        retailer.run(ingest.STAGE, "force=true")
