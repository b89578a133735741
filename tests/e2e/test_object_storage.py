"""A data root in an object store: stages, server and dashboard do there what they do on a folder, and equally."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines import lineage
from spanishgas.config.places import ObjectAddress
from spanishgas.dashboard.data import RECOMMENDED, SCORES, Published
from spanishgas.dashboard.signals import monitored_days
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.engine.suppression import KEY_VARIABLE
from spanishgas.errors import ConfigError, StorageError
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.publisher import Publisher
from spanishgas.serving.settings import ServingSettings
from spanishgas.stages import erase, export, features, ingest, retention, score
from spanishgas.stages.places import recommended_on, scores_on
from tests.e2e.worlds import SIZE, WIDE, WORLD, Retailer, taken_up, with_own_artifacts
from tests.once import PUBLISHED

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2024, 12, 9)


def table_of(store: TableStore, manifest: Manifest, name: str) -> pd.DataFrame:
    return pq.read_table(store.files(manifest, name), partitioning=None).to_pandas()


def hashes(store: TableStore) -> dict[str, str]:
    """Content of everything that is published."""
    layers = ("raw", "ground_truth", *sorted(PUBLISHED))
    found = [store.find(one) for layer in layers for one in store.publications(layer)]
    assert all(one is not None and not store.damaged_files(one) for one in found)
    return {str(one.publication): one.content_hash for one in found if one is not None}


@pytest.mark.decided
def test_stages_publish_the_same_there(
    retailer: Retailer, object_store: ObjectAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = taken_up(retailer, object_store)
    before = hashes(retailer.store)
    assert hashes(stored.store) == before
    for stage in (ingest.STAGE, features.STAGE, score.STAGE):
        made = stored.run(stage, "force=true")
        assert not made.cached
        assert stored.run(stage).cached
    assert hashes(stored.store) == before
    # Another machine, which has no copies, sees the same and reads the same rows.
    monkeypatch.setenv("SPANISHGAS_CACHE", str(tmp_path / "another machine"))
    elsewhere = stored.store
    assert hashes(elsewhere) == before
    rows = [table_of(one, one.read(scores_on(DAY), made_by="score"), "scoring") for one in (elsewhere, retailer.store)]
    pd.testing.assert_frame_equal(*rows)
    # Credentials come from the environment and stay there.
    run = stored.tracker.client.get_run(made.run_id)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    held = [file.read_bytes() for file in artifacts.rglob("*") if file.is_file()]
    held += [elsewhere.storage.get(one.name).data for one in elsewhere.storage.list("", "**")]  # type: ignore[union-attr]
    held.append(Path(stored.tracking.uri.removeprefix("sqlite:///")).read_bytes())
    assert not any(os.environ["AWS_SECRET_ACCESS_KEY"].encode() in one for one in held)
    assert str(object_store).encode() in (artifacts / "config.yaml").read_bytes()


@pytest.mark.decided
def test_a_server_and_the_dashboard_read_from_there(
    retailer: Retailer, object_store: ObjectAddress, tmp_path: Path
) -> None:
    stored = taken_up(retailer, object_store)
    bundles = []
    for root in (retailer.root, stored.root):
        settings = ServingSettings.read(
            data_root=str(root),
            tracking_uri=retailer.tracking.uri,
            today=date(2024, 12, 10),
            cache=tmp_path / root.name,
        )
        assert isinstance(settings.request_log, Path)
        descriptor = Publisher(settings).publish()
        assert Bundle.load(descriptor) is not None
        bundles.append(descriptor)
    there, here = bundles
    assert [one.features_hash for one in there.dates] == [one.features_hash for one in here.dates]
    assert [one.run_date for one in there.runs] == [one.run_date for one in here.runs]
    shown, local = Published(object_store), Published(retailer.root)
    assert shown.run_dates() == local.run_dates()
    assert monitored_days(shown) == monitored_days(local)
    for home, table in ((RECOMMENDED, "recommendations"), (SCORES, "scoring")):
        pd.testing.assert_frame_equal(
            shown.table(shown.manifest(home, DAY), table), local.table(local.manifest(home, DAY), table)
        )


@pytest.mark.drill
@pytest.mark.decided
def test_customers_are_erased_there(retailer: Retailer, object_store: ObjectAddress, tmp_path: Path) -> None:
    stored = taken_up(with_own_artifacts(retailer, tmp_path), object_store)
    store = stored.store
    manifest = store.read(recommended_on(DAY), made_by="recommend")
    rows = pd.read_parquet(store.files(manifest, "recommendations")[0])
    whose = str(rows.loc[rows["action"] != "none", "customer_id"].iloc[0])
    # What was published before and is kept has them too.
    stored.run(score.STAGE, "force=true", "storage.keep_published_days=30")
    assert [one.name for one in store.storage.list("gold/_past", "**")]
    file = tmp_path / "customers.txt"
    file.write_text(whose)
    dry = stored.run(erase.STAGE, f"erasure.customers={file}")
    assert "files name them" in dry.headline
    done = stored.run(erase.STAGE, f"erasure.customers={file}", "erasure.mode=erase")
    assert "no file names them any more" in done.headline
    assert [one.name for one in store.storage.list("", "**") if "/_past/" in one.name] == []
    for layer in ("silver", "gold"):
        for publication in store.publications(layer):
            found = store.read(publication, made_by="the test")
            for name, table in found.tables.items():
                if "customer_id" in table.columns:
                    assert whose not in set(table_of(store, found, name)["customer_id"].astype(str)), name
    stored.run(ingest.STAGE)
    assert not any(whose.encode() in one.read_bytes() for one in store.root.rglob("*") if one.is_file())


@pytest.mark.decided
@pytest.mark.drill
def test_what_is_old_goes_there_and_what_is_exported_is_the_same(
    retailer: Retailer, object_store: ObjectAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = taken_up(retailer, object_store)
    monkeypatch.setenv(export.KEY_VARIABLE, "k" * 32)
    for one in (stored, retailer):
        into = tmp_path / f"export-{type(one.root).__name__}"
        one.run(export.STAGE, "export.tables=[gold/recommendations]", f"export.into={into}")
        one.run(features.STAGE, "as_of=2024-06-15")
    first, second = sorted(tmp_path.glob("export-*"))
    told = [json.loads((one / "manifest.json").read_text())["tables"] for one in (first, second)]
    assert told[0] == told[1]
    ages = ("retention.gold_days=30", "run_date=2026-12-09", "retention.mode=remove")
    before = hashes(stored.store)
    stored.run(retention.STAGE, *ages)
    retailer.run(retention.STAGE, *ages)
    assert hashes(stored.store) == hashes(retailer.store)
    assert set(before) - set(hashes(stored.store)) == {"gold/features/asof_date=2024-06-15"}
    left = {one.name for one in stored.store.storage.list("gold", "**") if one.name.endswith(".parquet")}
    assert left == {one.relative_to(retailer.root).as_posix() for one in retailer.root.glob("gold/**/*.parquet")}


@pytest.mark.decided
def test_what_was_published_yesterday_can_be_asked_for(
    retailer: Retailer, object_store: ObjectAddress, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = taken_up(retailer, object_store)
    then = datetime.now(UTC) + timedelta(seconds=2)
    words = [f"data_root={object_store}", f"tracking.uri={retailer.tracking.uri}", "recommendation=nobody@2024-12-09"]
    assert lineage.main([*words, f"storage.as_published='{then.isoformat()}'"]) == 1
    assert "has no recommendation for 'nobody'" in capsys.readouterr().err
    assert lineage.main([*words, "storage.as_published='2020-01-01T00:00+00:00'"]) == 1
    assert "was not published at 2020-01-01" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="nothing can be published"):
        stored.run(score.STAGE, f"storage.as_published='{then.isoformat()}'")


def test_a_store_that_is_away_or_refuses_is_told_with_its_address(
    retailer: Retailer, object_store: ObjectAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Retailer(ObjectAddress("s3://no-such-bucket/data"), retailer.tracking)
    with pytest.raises(StorageError, match="s3://no-such-bucket/data: there is no such bucket"):
        gone.run(score.STAGE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = Retailer(object_store, retailer.tracking)
    with pytest.raises(StorageError, match=f"{object_store}: the store cannot be reached") as told:
        away.run(score.STAGE)
    assert "a-secret-of-tests" not in str(told.value)


# What the environment of a machine in a cloud may hold beside the keys that this server knows.
CARRIED = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_SAS_TOKEN", "SPANISHGAS_SERVE_TOKEN")


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.drill
def test_the_whole_pipeline_gives_the_same_there(
    object_store: ObjectAddress, empty_store: Path, tmp_path: Path, no_tracking_variables: None
) -> None:
    """Content hashes of all that is published, the champion's files and the decision; and nowhere a secret."""
    found = []
    secrets = {
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        **{name: f"canary-of-{name.lower()}/+=" for name in (*CARRIED, KEY_VARIABLE, export.KEY_VARIABLE)},
    }
    for name, root in (("folder", tmp_path / "folder" / "data"), ("store", object_store)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
        retailer = Retailer(root, Retailer.at(folder, folder / "mlruns").tracking)
        command = [sys.executable, "-m", "pipelines.run_pipeline", *WORLD, *SIZE, *WIDE, f"data_root={root}"]
        command.append("pipeline.skip=[drift,performance,retrain_signal]")
        environment = {**os.environ, "MLFLOW_TRACKING_URI": retailer.tracking.uri, "PYTHONPATH": str(ROOT), **secrets}
        done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        refused = subprocess.run(
            [*command, "pipeline.stages=[ingest]", "force=true"],
            cwd=folder,
            env={**environment, "AWS_ENDPOINT_URL": "http://ana:canary-in-address@127.0.0.1:9"},
            check=False,
            capture_output=True,
        )
        assert (refused.returncode == 0) == (name == "folder"), refused.stderr
        said = [done.stdout, done.stderr, refused.stdout, refused.stderr]
        held = {str(number): one for number, one in enumerate(said)} | files_in(folder) | files_in(tmp_path / "caches")
        storage = retailer.store.storage
        held |= {one.name: told.data for one in storage.list("", "**") if (told := storage.get(one.name))}
        assert len(held) > 100
        words = [b"canary", *{form(one).encode() for one in secrets.values() for form in (str, quote, quote_plus)}]
        assert [where for where, content in held.items() if any(word in content for word in words)] == []
        champion = retailer.tracker.client.get_model_version_by_alias("churn", "champion")
        found.append((hashes(retailer.store), champion.tags["files_digest"]))
    assert found[0] == found[1]
    assert len(found[0][0]) > 20
