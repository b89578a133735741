"""Publishing: all of it or nothing, and never under a reader's feet."""

import json
import multiprocessing
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from spanishgas.engine.store import DataFile, Manifest, Publication, PublishedTable, TableStore
from spanishgas.errors import LockTimeoutError, PublishError

SILVER = Publication(layer="silver", name="silver")


def publish(store: TableStore, contents: dict[str, str], publication: Publication = SILVER, **kwargs: bool) -> Manifest:
    """Publishes text files as if they were tables; what a file holds does not matter to the store."""
    with store.lock(publication), store.draft(publication) as draft:
        tables = {}
        for name, text in contents.items():
            file = draft.file(name)
            file.write_text(text)
            tables[name] = PublishedTable(
                files=(DataFile(path=file.relative_to(draft.folder).as_posix()),),
                rows=1,
                content_hash=text,
                contract_version=1,
                columns={},
            )
        return draft.commit(fingerprint="f" * 64, inputs={}, tables=tables, metrics={}, tags={}, run_id="run", **kwargs)


def read(store: TableStore, table: str, publication: Publication = SILVER) -> str:
    manifest = store.read(publication, made_by="silver")
    (file,) = store.files(manifest, table)
    return file.read_text()


def test_a_reader_sees_what_was_published_last(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    publish(store, {"customers": "old", "prices": "old"})
    publish(store, {"customers": "new", "prices": "new"})
    assert (read(store, "customers"), read(store, "prices")) == ("new", "new")


def test_what_an_open_reader_holds_stays_until_the_grace_period_is_over(tmp_path: Path) -> None:
    store = TableStore(tmp_path, grace_seconds=60)
    (held,) = store.files(publish(store, {"customers": "old"}), "customers")
    publish(store, {"customers": "new"})
    assert held.read_text() == "old"
    long_ago = time.time() - 3600
    os.utime(held, (long_ago, long_ago))
    publish(store, {"customers": "newest"})
    assert not held.exists()
    assert read(store, "customers") == "newest"


@pytest.mark.parametrize("crash_at", ["_sync", "write_atomically"])
def test_a_crash_before_the_manifest_leaves_the_old_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    store = TableStore(tmp_path)
    publish(store, {"customers": "old", "prices": "old"})

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"spanishgas.engine.store.{crash_at}", crash)
        with pytest.raises(KeyboardInterrupt):
            publish(store, {"customers": "new", "prices": "new"})
    assert (read(store, "customers"), read(store, "prices")) == ("old", "old")
    publish(store, {"customers": "new", "prices": "new"})
    assert (read(store, "customers"), read(store, "prices")) == ("new", "new")
    assert list((tmp_path / "silver" / "_staging").iterdir()) == []


def test_leftovers_of_a_killed_run_are_cleared_by_the_next(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    left = store.draft(SILVER).file("customers")
    left.write_text("half")
    with store.draft(SILVER) as draft:
        assert list(draft.folder.iterdir()) == []


def test_a_run_killed_between_publishing_and_tidying_up_leaves_no_files_for_good(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    publish(store, {"customers": "new"})
    scratch = store.draft(SILVER).file("scratch")
    scratch.write_text("spilled")
    with store.lock(SILVER):  # a cached run makes nothing and so opens no draft
        assert not scratch.exists()
    assert read(store, "customers") == "new"


def test_a_missing_publication_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"silver/silver: is not published yet\. Run `silver` first"):
        TableStore(tmp_path).read(SILVER, made_by="silver")


def test_a_file_that_vanished_is_reported_by_name(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    manifest = publish(store, {"customers": "x"})
    (file,) = store.files(manifest, "customers")
    file.unlink()
    with pytest.raises(PublishError, match=file.name):
        store.read(SILVER, made_by="silver")


def test_a_damaged_manifest_is_a_clear_error(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    publish(store, {"customers": "x"})
    (tmp_path / "silver" / "_meta" / "silver.json").write_text('{"half": ')
    with pytest.raises(PublishError, match=r"silver\.json: the manifest is damaged\. Run the stage"):
        store.find(SILVER)


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(bytes(content))


def test_a_flipped_bit_in_a_data_file_is_found_when_it_is_first_read(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    manifest = publish(store, {"customers": "some rows", "prices": "others"})
    (file,) = store.files(manifest, "customers")
    for bit in range(8 * len("some rows")):
        flip(file, bit)
        with pytest.raises(PublishError, match=rf"silver/silver: data files are damaged.*{file.name}.*Run .* again"):
            TableStore(tmp_path).files(manifest, "customers")
        assert store.damaged_files(manifest) == [file.relative_to(tmp_path).as_posix()]
        assert store.files(manifest, "prices")
        flip(file, bit)
    assert store.damaged_files(manifest) == []


def test_no_flipped_bit_of_a_manifest_goes_unnoticed(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    manifest = publish(store, {"customers": "x"})
    file = tmp_path / "silver" / "_meta" / "silver.json"
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        flip(file, bit)
        with suppress(PublishError):  # nothing but white space, and other ways of writing the same, goes by
            assert store.find(SILVER) == manifest
        file.write_bytes(whole)


def test_what_was_published_without_digests_is_believed(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    publish(store, {"customers": "x"})
    file = tmp_path / "silver" / "_meta" / "silver.json"
    told = json.loads(file.read_text())
    del told["seal"], told["stage"], told["tables"]["customers"]["files"][0]["digest"]
    del told["tables"]["customers"]["files"][0]["size"]
    file.write_text(json.dumps(told))
    assert read(store, "customers") == "x"
    manifest = store.read(SILVER, made_by="silver")
    store.files(manifest, "customers")[0].unlink()
    assert len(store.damaged_files(manifest)) == 1


def test_the_newest_partition_at_or_before_a_day(tmp_path: Path) -> None:
    from datetime import date

    store = TableStore(tmp_path)
    for day in ("2025-11-30", "2026-01-31", "2025-12-31"):
        publish(store, {"features": day}, Publication(layer="gold", name="features", partition=f"asof_date={day}"))
    found = store.newest("gold", "features", date(2026, 1, 30))
    assert found is not None
    assert found.value == "2025-12-31"
    assert store.newest("gold", "features", date(2025, 1, 1)) is None
    assert read(store, "features", found) == "2025-12-31"


def test_named_files_keep_their_names_behind_a_link(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    raw = Publication(layer="raw", name="demo")
    for text in ("old", "new"):
        publish(store, {"churn_label": text}, raw, named=True)
    assert (tmp_path / "raw" / "current" / "churn_label" / "00000.parquet").read_text() == "new"


def _hold(root: str, ready: str, seconds: float) -> None:
    with TableStore(Path(root)).lock(SILVER):
        Path(ready).touch()
        time.sleep(seconds)


def test_a_second_run_fails_clearly_while_a_first_one_holds_the_partition(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(str(tmp_path), str(ready), 60))
    process.start()
    try:
        while not ready.exists():
            time.sleep(0.01)
        store = TableStore(tmp_path, lock_wait_seconds=0.1)
        with pytest.raises(LockTimeoutError, match="another run has been publishing it"), store.lock(SILVER):
            pass
        other = Publication(layer="gold", name="features")
        with store.lock(other):
            pass
        process.kill()
        process.join()
        with store.lock(SILVER):
            pass
    finally:
        process.kill()
        process.join()


def amended(store: TableStore, manifest: Manifest, contents: dict[str, str], fingerprint: str) -> Manifest:
    with store.lock(manifest.publication), store.draft(manifest.publication) as draft:
        tables = {}
        for name, text in contents.items():
            file = draft.file(name)
            file.write_text(text)
            placed = DataFile(path=file.relative_to(draft.folder).as_posix())
            tables[name] = manifest.tables[name].model_copy(update={"files": (placed,), "content_hash": text})
        return draft.amend(manifest, tables, fingerprint=fingerprint, tags={"erased_rows": "1"})


def test_amending_replaces_some_tables_and_removes_what_they_were_at_once(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    publish(store, {"customers": "older", "prices": "older"})
    before = publish(store, {"customers": "with", "prices": "as they are"})
    (kept,) = store.files(before, "prices")
    after = amended(store, before, {"customers": "without"}, "e" * 64)
    assert (read(store, "customers"), read(store, "prices")) == ("without", "as they are")
    assert store.files(after, "prices") == [kept]
    assert sorted(file.read_text() for file in tmp_path.glob("silver/*/*.parquet")) == ["as they are", "without"]
    found = store.find(SILVER)
    assert found == after
    assert (after.fingerprint, after.run_id, after.tags) == ("e" * 64, before.run_id, {"erased_rows": "1"})
    assert after.content_hash != before.content_hash


def test_a_crash_while_amending_leaves_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TableStore(tmp_path)
    before = publish(store, {"customers": "with", "prices": "as they are"})

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("spanishgas.engine.store.write_atomically", crash)
        with pytest.raises(KeyboardInterrupt):
            amended(store, before, {"customers": "without"}, "e" * 64)
    assert store.find(SILVER) == before
    assert (read(store, "customers"), read(store, "prices")) == ("with", "as they are")
    after = store.find(SILVER)
    assert after is not None
    store.tidy(after)
    assert sorted(file.read_text() for file in tmp_path.glob("silver/*/*.parquet")) == ["as they are", "with"]


def test_all_publications_of_a_layer_are_found(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    day = Publication(layer="gold", name="features", partition="asof_date=2026-01-31")
    whole = Publication(layer="gold", name="response")
    publish(store, {"features": "x"}, day)
    publish(store, {"response": "x"}, whole)
    (tmp_path / "gold" / "_meta" / "feature_manifest.json").write_text("[]")  # a list beside the manifests
    assert store.publications("gold") == [whole, day]
    assert store.publications("silver") == []
