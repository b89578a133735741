"""Erasing customers: nobody published names them any more, nobody else is touched, and nothing brings them back."""

import gzip
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from spanishgas.engine.keyed import build_keyed
from spanishgas.engine.suppression import FOLDER, KEY, KEY_VARIABLE, Pseudonyms
from spanishgas.errors import ConfigError, PublishError
from spanishgas.models.files import LOADER, digest_of
from spanishgas.registry import ModelRegistry, Tracker
from spanishgas.stages import demo_data, erase, features, ingest, recommend, score, silver
from spanishgas.stages.erasing import LAYERS
from spanishgas.stages.places import recommended_on
from spanishgas.stages.runner import run_stage
from tests.e2e.days import MONDAY, QUIET, Deliveries
from tests.e2e.worlds import Retailer, published, shorten, with_own_artifacts


def tables(retailer: Retailer) -> dict[str, pa.Table]:
    """Every published table, file by file, with its rows in their order."""
    return {
        f"{manifest.publication} {name} {number}": pq.read_table(retailer.root / file.path, partitioning=None)
        for manifest in published(retailer)
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


@pytest.fixture
def decided(retailer: Retailer, tmp_path: Path) -> Retailer:
    return with_own_artifacts(retailer, tmp_path)


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


@pytest.mark.few_readings
@pytest.mark.drill
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

    untouched = published(decided)
    dry = decided.run(erase.STAGE, named(decided, tmp_path, ids))
    assert published(decided) == untouched
    done = decided.run(erase.STAGE, named(decided, tmp_path, ids), "erasure.mode=erase")

    assert files_naming(decided.root, ids) == []
    after = tables(decided)
    assert set(after) == set(before)
    for key, rows in before.items():
        kept = rows.filter(pc.invert(naming(rows, ids)))  # words may be stored as codes before, and as words after
        assert after[key].equals(kept.cast(after[key].schema)), key
    for manifest in published(decided):
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

    # Nothing brings them back, and nothing fails. The demo retailer's own files have changed; others' never do.
    left = {name: decided.silver(name) for name in ("customers", "consumption_daily", "interactions", "churn_events")}
    assert decided.run(demo_data.STAGE).cached
    assert not decided.run(ingest.STAGE).cached
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
    decided.run(demo_data.STAGE, "force=true")  # the source delivers them once more
    shorten(decided.root)
    assert not decided.run(ingest.STAGE).cached
    assert files_naming(decided.root, ids) == []
    log = pd.read_parquet(decided.root / "bronze" / "_meta" / "ingestion_log.parquet")
    assert log["notes"].str.contains("rows_of_erased_customers_left_out").sum() >= 5


def contents(file: Path) -> Iterator[bytes]:
    """The bytes of a file, and what they hold where they are packed."""
    yield file.read_bytes()
    if file.suffix == ".gz":
        yield gzip.decompress(file.read_bytes())
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if file.suffix == ".parquet":
        table = pq.read_table(file, partitioning=None)
        yield from ("\n".join(str(one) for one in column.unique().to_pylist()).encode() for column in table.columns)


def holding(folder: Path, words: list[str]) -> set[str]:
    """Files below a folder that hold one of the words, by their bytes: no part of this is the project's own search."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    needles = [one.encode() for one in words]
    return {
        str(file.relative_to(folder))
        for file in files
        for found in contents(file)
        if any(needle in found for needle in needles)
    }


@pytest.mark.decided
def test_no_run_from_raw_files_to_offers_names_anybody(retailer: Retailer) -> None:
    (shared,) = {one.artifact_location for one in retailer.tracker.client.search_experiments() if one.name != "Default"}
    folder = Path(shared.removeprefix("file://"))
    store = Path(retailer.tracking.uri.removeprefix("sqlite:///"))
    runs = retailer.tracker.client.search_runs(["1"], max_results=1000)
    assert {"ingest", "silver", "train", "score", "recommend"} <= {run.data.tags["stage"] for run in runs}
    ids = re.compile("|".join(retailer.silver("customers")["customer_id"].unique()).encode())
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 50
    assert [str(file) for file in (*files, store) for content in contents(file) if ids.search(content)] == []
    pseudonyms = re.compile(rb"p-[0-9a-f]{20}")
    assert {file.name for file in files if pseudonyms.search(file.read_bytes())} == {
        "report.md", "offers.csv", "shap_per_customer.csv",
    }  # fmt: skip


def an_earlier_release(retailer: Retailer, customer: str) -> str:
    """A run as earlier releases and people by hand left them: it names a customer wherever a run can."""
    client = retailer.tracker.client
    with retailer.tracker.run("recommend", tags={"stage": "recommend", "error": f"2 rows e.g. {customer}, X"}) as run:
        run.log_parameters({"customer": customer, "asked": f"for {customer}'s bill"})
        run.describe(
            f"# Offers\n\n| customer | risk |\n| --- | --- |\n| {customer} | 9 % |\n| X-1 | 8 % |\n\nSee {customer}."
        )
        run.log_text(f"customer_id,why\n{customer},x\nX-1,y\n", "tables/offers.csv")
        run.log_text(json.dumps([{"customer_id": customer}, {"customer_id": "X-1"}]), "rows.json")
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in customer)
        run.log_text(f'{{"who": "{escaped}", "n": 1}}', "escaped.json")
        client.log_dict(run.id, {"inputs": [customer, "X-1"]}, "example.json")
        with TemporaryDirectory() as folder:
            frame = pd.DataFrame({"customer_id": [customer, "X-1"]})
            frame.to_parquet(Path(folder) / "rows.parquet")
            (Path(folder) / "rows.csv.gz").write_bytes(gzip.compress(frame.to_csv().encode()))
            with zipfile.ZipFile(Path(folder) / "rows.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("rows.csv", frame.to_csv())
            for file in Path(folder).iterdir():
                client.log_artifact(run.id, str(file), "packed")
        champion = ModelRegistry(client).with_alias("churn", "champion")
        assert champion is not None
        client.set_model_version_tag("churn", champion.version, "asked_by", customer)
    gone = client.create_run(run.experiment_id, tags={"of": customer})
    client.log_text(gone.info.run_id, customer, "note.txt")
    client.delete_run(gone.info.run_id)
    client.set_experiment_tag(run.experiment_id, "first", customer)
    client.set_experiment_tag(run.experiment_id, "first", "nobody")  # the page of the database keeps what was there
    return run.id


@pytest.mark.few_readings
@pytest.mark.drill
def test_after_it_no_byte_under_the_data_root_or_of_the_tracking_store_names_them(
    retailer: Retailer, tmp_path: Path
) -> None:
    own = with_own_artifacts(retailer, tmp_path)
    manifest = own.store.find(recommended_on(date(2024, 12, 9)))
    assert manifest is not None
    rows = pd.read_parquet(own.store.files(manifest, "recommendations")[0])
    whose = str(rows.loc[rows["action"] != "none", "customer_id"].iloc[0])
    pseudonym = Pseudonyms.of(own.root).of_customer(whose)
    stayed = {name: own.root / name for name in ("raw", "ground_truth")}
    run_id = an_earlier_release(own, whose)
    build_keyed(own.store.files(manifest, "decision_standing"), own.root / "serving" / "tables" / "standing-1")
    requests = own.root / "request_log" / "date=2024-12-10" / "1.jsonl"
    requests.parent.mkdir(parents=True)
    requests.write_text("".join(json.dumps({"customer_id": one, "risk": 0.1}) + "\n" for one in (whose, "X-1")))
    file = tmp_path / "customers.txt"
    file.write_text(whose)

    places = {
        name: holding(folder, [whose, pseudonym])
        for name, folder in (("data", own.root), ("runs", tmp_path / "artifacts"))
    }
    assert {"raw", "ground_truth", "bronze", "silver", "gold", "serving", "request_log"} <= {
        one.partition("/")[0] for one in places["data"]
    }
    by_name = {Path(one).name for one in places["runs"]}
    assert {
        "offers.csv",
        "report.md",
        "rows.json",
        "example.json",
        "rows.parquet",
        "rows.csv.gz",
        "rows.zip",
        "note.txt",
    } <= by_name
    store = Path(own.tracking.uri.removeprefix("sqlite:///"))
    assert whose.encode() in store.read_bytes()

    dry = own.run(erase.STAGE, f"erasure.customers={file}")
    assert {
        name: holding(folder, [whose, pseudonym])
        for name, folder in (("data", own.root), ("runs", tmp_path / "artifacts"))
    } == places
    told = own.tracker.client.get_run(dry.run_id).data.metrics
    assert told["files_naming"] == len(places["data"]) + len(places["runs"] | {"escaped.json"}) + 1
    done = own.run(erase.STAGE, f"erasure.customers={file}", "erasure.mode=erase")

    assert holding(own.root, [whose, pseudonym]) == set()
    assert holding(tmp_path / "artifacts", [whose, pseudonym]) == set()
    assert not any(whose.encode() in one.read_bytes() for one in store.parent.glob(f"{store.name}*"))
    assert "no file names them any more" in done.headline
    assert own.tracker.client.get_run(done.run_id).data.metrics["files_naming"] == 0.0

    # What is not theirs is still there, and what was registered can still be loaded.
    client = own.tracker.client
    left = client.get_run(run_id)
    assert left.data.params["asked"] == "for [erased]'s bill"
    assert "| X-1 | 8 % |" in left.data.tags["mlflow.note.content"]
    folder = Path(left.info.artifact_uri.removeprefix("file://"))
    assert (folder / "tables" / "offers.csv").read_text() == "customer_id,why\nX-1,y\n"
    assert json.loads((folder / "rows.json").read_text()) == [{"customer_id": "X-1"}]
    (packed,) = (folder / "packed").iterdir()  # a table is cleaned; what is packed otherwise is removed
    assert pd.read_parquet(packed)["customer_id"].tolist() == ["X-1"]
    assert [json.loads(line)["customer_id"] for line in requests.read_text().splitlines()] == ["X-1"]
    assert all(len(holding(one, ["customer_id"])) for one in stayed.values())
    champion = ModelRegistry(client).with_alias("churn", "champion")
    assert champion is not None
    with TemporaryDirectory() as target:
        assert ModelRegistry(client).fetch(champion, Path(target), loader=LOADER, digest=digest_of).is_dir()
    for stage in (ingest.STAGE, silver.STAGE, features.STAGE, score.STAGE):
        own.run(stage)
    assert holding(own.root, [whose]) == set()


@pytest.mark.few_readings
@pytest.mark.drill
def test_erasing_again_changes_nothing_repairs_what_slipped_in_and_can_be_lifted(
    retailer: Retailer, tmp_path: Path
) -> None:
    retailer = with_own_artifacts(retailer, tmp_path)
    raw = retailer.root / "raw"
    delivered = shutil.copytree(raw, tmp_path / "delivered")
    ids = list(retailer.silver("interactions")["customer_id"].drop_duplicates().iloc[:1])
    given = named(retailer, tmp_path, [*ids, "C-typed-wrong"])
    found = retailer.run(erase.STAGE, given, "erasure.mode=erase")
    metrics = retailer.tracker.client.get_run(found.run_id).data.metrics
    assert (metrics["customers_named"], metrics["customers_found"], metrics["customers_not_found"]) == (2.0, 1.0, 1.0)
    assert "1 of them in no table" in found.headline
    once = published(retailer)
    again = retailer.run(erase.STAGE, given, "erasure.mode=erase")
    assert published(retailer) == once
    assert retailer.tracker.client.get_run(again.run_id).data.metrics["erased_rows"] == 0.0

    # A landing without the list, as of a run that began before the erasure, or from a backup.
    (retailer.root / FOLDER).rename(tmp_path / "kept")
    shutil.copytree(delivered, raw, dirs_exist_ok=True)  # the source delivers them again
    retailer.run(ingest.STAGE, "force=true")
    assert files_naming(retailer.root, ids) != []
    (tmp_path / "kept").rename(retailer.root / FOLDER)
    retailer.run(erase.STAGE, "erasure.mode=erase")
    assert files_naming(retailer.root, ids) == []

    assert "2 of 2" in retailer.run(erase.STAGE, given, "erasure.mode=lift").headline
    shutil.copytree(delivered, raw, dirs_exist_ok=True)
    retailer.run(ingest.STAGE, "force=true")
    retailer.run(silver.STAGE)
    assert ids[0] in set(retailer.silver("customers")["customer_id"])


@pytest.mark.few_readings
@pytest.mark.drill
def test_what_cannot_be_done_is_refused(retailer: Retailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retailer = with_own_artifacts(retailer, tmp_path)
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


def test_customers_with_short_numbers_are_erased_to_the_last_byte(
    undelivered: Deliveries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a number may be any count in a text, so the search leaves it out there; these stand nowhere by chance."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    root = tmp_path / "data"
    (raw,) = {file.parent for file in root.glob("raw/*/customer_attributes.csv") if not file.parent.is_symlink()}
    for file in raw.rglob("*"):
        if file.suffix == ".parquet":
            rows = pq.read_table(file, partitioning=None)
            place = rows.column_names.index("customer_id")
            short = pc.replace_substring_regex(rows["customer_id"].cast(pa.string()), r"C0*(\d{5})$", r"73\1")
            pq.write_table(rows.set_column(place, "customer_id", short), file)
        elif file.is_file():
            file.write_bytes(re.sub(rb"C0*(\d{5})\b", rb"73\1", file.read_bytes()))
    undelivered.deliver(MONDAY)
    store = undelivered.store
    manifest = undelivered.silver()
    ids = sorted(pd.read_parquet(store.files(manifest, "customers")[0])["customer_id"].astype(str))
    assert {len(one) for one in ids} == {7}
    whose, other = ids[0], ids[1]
    log = root / "request_log" / "date=2024-04-01" / "1.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps({"customer_id": one}) + "\n" for one in (whose, other)))
    assert len(holding(tmp_path, [whose])) > 10
    before = holding(tmp_path, [other])
    (tmp_path / "customers.txt").write_text(whose)
    words = ("erasure.mode=erase", f"erasure.customers={tmp_path / 'customers.txt'}")
    settings = undelivered.settings(MONDAY, *words)
    done = run_stage(erase.STAGE, settings, Tracker(undelivered.tracking), console=QUIET)
    (tmp_path / "customers.txt").unlink()
    assert holding(tmp_path, [whose]) == set()
    assert "no file names them any more" in done.headline
    assert len(holding(tmp_path, [other])) >= len(before) - 2
