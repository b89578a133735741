"""Publishing: all of it or nothing, and never under a reader's feet."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from spanishgas.config.places import ObjectAddress, place_of
from spanishgas.engine.leases import Lease
from spanishgas.engine.storage import ObjectStorage
from spanishgas.engine.store import DataFile, Manifest, Publication, PublishedTable, TableStore
from spanishgas.errors import ConfigError, LockTimeoutError, LostRaceError, PublishError
from tests.stored import Base, not_renewed

ROOT = Path(__file__).resolve().parents[2]

SILVER = Publication(layer="silver", name="silver")
SILVER_MANIFEST = "silver/_meta/silver.json"


@pytest.fixture(params=["folder", "object store"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    """A data root: everything here holds for both."""
    if request.param == "folder":
        return Base(tmp_path / "data", tmp_path)
    return Base(request.getfixturevalue("object_store"), tmp_path)


def fresh(store: TableStore, *tables: str, publication: Publication = SILVER) -> dict[str, str]:
    """What a reader who knows nothing finds."""
    return {table: read(store, table, publication) for table in tables}


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


def whole(store: TableStore) -> str:
    """What both tables of one publication hold, which is the same."""
    manifest = store.read(SILVER, made_by="silver")
    one, other = (store.files(manifest, name)[0].read_text() for name in ("customers", "prices"))
    assert one == other
    return one


def test_a_reader_sees_what_was_published_last(base: Base) -> None:
    store = base.store()
    publish(store, {"customers": "old", "prices": "old"})
    publish(store, {"customers": "new", "prices": "new"})
    assert (read(store, "customers"), read(store, "prices")) == ("new", "new")


def test_what_an_open_reader_holds_stays_until_the_grace_period_is_over(base: Base) -> None:
    store = base.store(grace_seconds=60)
    (held,) = store.files(publish(store, {"customers": "old"}), "customers")
    publish(store, {"customers": "new"})
    assert held.read_text() == "old"
    base.make_older(held.relative_to(store.root).as_posix(), 3600)
    moved_back(base)
    publish(store, {"customers": "newest"})
    assert not held.exists()
    assert base.tables() == ["new", "newest"]
    assert read(store, "customers") == "newest"


@pytest.mark.parametrize("step", ["files", "manifest"])
def test_a_crash_before_the_manifest_leaves_the_old_publication(base: Base, step: str) -> None:
    store = base.store()
    publish(store, {"customers": "old", "prices": "old"})
    with base.crashing(step), pytest.raises(KeyboardInterrupt):
        publish(store, {"customers": "new", "prices": "new"})
    assert fresh(base.elsewhere(), "customers", "prices") == {"customers": "old", "prices": "old"}
    publish(store, {"customers": "new", "prices": "new"})
    assert fresh(base.elsewhere(), "customers", "prices") == {"customers": "new", "prices": "new"}
    assert list((store.root / "silver" / "_staging").iterdir()) == []


def test_the_grace_period_begins_when_something_is_replaced(base: Base) -> None:
    store = base.store(grace_seconds=60)
    manifest = publish(store, {"customers": "old"})
    base.make_older(manifest.tables["customers"].files[0].path, 86400)
    publish(store, {"customers": "new"})
    assert store.files(manifest, "customers")[0].read_text() == "old"
    publish(store, {"customers": "newest"})
    assert store.files(manifest, "customers")[0].read_text() == "old"


def test_the_grace_period_of_a_reader_elsewhere_begins_when_something_is_replaced(
    object_store: ObjectAddress, tmp_path: Path
) -> None:
    base = Base(object_store, tmp_path)
    store = base.store(grace_seconds=60)
    manifest = publish(store, {"customers": "old"})
    base.make_older(manifest.tables["customers"].files[0].path, 86400)
    publish(store, {"customers": "new"})
    assert base.elsewhere().files(manifest, "customers")[0].read_text() == "old"


def test_files_of_a_crashed_commit_go_once_they_are_old(base: Base) -> None:
    store = base.store(grace_seconds=60)
    with base.crashing("manifest"), pytest.raises(KeyboardInterrupt):
        publish(store, {"customers": "lost"})
    (lost,) = base.names(".parquet")
    publish(store, {"customers": "kept"})
    assert base.tables() == ["kept", "lost"]
    base.make_older(lost, 3600)
    publish(store, {"customers": "kept too"})
    assert base.tables() == ["kept", "kept too"]


def test_leftovers_of_a_killed_run_are_cleared_by_the_next(base: Base) -> None:
    store = base.store()
    left = store.draft(SILVER).file("customers")
    left.write_text("half")
    with store.draft(SILVER) as draft:
        assert not left.exists()
        assert list(draft.folder.iterdir()) == []


def test_a_run_killed_between_publishing_and_tidying_up_leaves_no_files_for_good(base: Base) -> None:
    store = base.store()
    publish(store, {"customers": "new"})
    scratch = store.draft(SILVER).file("scratch")
    scratch.write_text("spilled")
    with store.lock(SILVER):  # a cached run makes nothing and so opens no draft
        assert not scratch.exists()
    assert read(store, "customers") == "new"


def test_a_missing_publication_names_the_command_that_makes_it(base: Base) -> None:
    with pytest.raises(PublishError, match=r"silver/silver: is not published yet\. Run `silver` first"):
        base.store().read(SILVER, made_by="silver")


def test_a_file_that_vanished_is_reported_by_name(base: Base) -> None:
    store = base.store()
    manifest = publish(store, {"customers": "x"})
    (file,) = store.files(manifest, "customers")
    base.remove(file.relative_to(store.root).as_posix())
    with pytest.raises(PublishError, match=file.name):
        store.read(SILVER, made_by="silver")
    with pytest.raises(PublishError, match=f"damaged or gone.*{file.name}"):
        base.elsewhere().files(manifest, "customers")
    assert len(store.damaged_files(manifest)) == 1


def test_a_damaged_manifest_is_a_clear_error(base: Base) -> None:
    store = base.store()
    publish(store, {"customers": "x"})
    base.write(SILVER_MANIFEST, b'{"half": ')
    with pytest.raises(PublishError, match=r"silver\.json: the manifest is damaged\. Run the stage"):
        store.find(SILVER)


def flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_flipped_bit_in_a_data_file_is_found_when_it_is_first_read(base: Base) -> None:
    store = base.store()
    manifest = publish(store, {"customers": "some rows", "prices": "others"})
    (file,) = store.files(manifest, "customers")
    name = file.relative_to(store.root).as_posix()
    for bit in range(0, 8 * len("some rows"), 17 if base.is_remote else 1):
        base.write(name, flip(b"some rows", bit))
        with pytest.raises(PublishError, match=rf"silver/silver: data files are damaged.*{file.name}.*Run .* again"):
            base.elsewhere().files(manifest, "customers")
        assert store.files(manifest, "prices")
        if not base.is_remote:  # of an object store that is found by whoever makes a copy
            assert store.damaged_files(manifest) == [name]
    base.write(name, b"some rows and more")
    assert store.damaged_files(manifest) == [name]
    base.write(name, b"some rows")
    assert store.damaged_files(manifest) == []


def test_a_damaged_copy_is_made_again_from_what_is_stored(object_store: ObjectAddress, tmp_path: Path) -> None:
    base = Base(object_store, tmp_path)
    manifest = publish(base.store(), {"customers": "some rows"})
    (file,) = base.store().files(manifest, "customers")
    file.write_text("other row")
    assert base.store().damaged_files(manifest) == []
    assert base.store().files(manifest, "customers")[0].read_text() == "some rows"


def test_no_flipped_bit_of_a_manifest_goes_unnoticed(base: Base) -> None:
    store = base.store()
    manifest = publish(store, {"customers": "x"})
    whole = base.read(SILVER_MANIFEST)
    for bit in range(0, 8 * len(whole), 61 if base.is_remote else 1):
        base.write(SILVER_MANIFEST, flip(whole, bit))
        with suppress(PublishError):  # nothing but white space, and other ways of writing the same, goes by
            assert store.find(SILVER) == manifest


def test_what_was_published_without_digests_is_believed(base: Base) -> None:
    store = base.store()
    publish(store, {"customers": "x"})
    told = json.loads(base.read(SILVER_MANIFEST))
    del told["seal"], told["stage"], told["tables"]["customers"]["files"][0]["digest"]
    del told["tables"]["customers"]["files"][0]["size"]
    base.write(SILVER_MANIFEST, json.dumps(told).encode())
    assert read(base.elsewhere(), "customers") == "x"
    manifest = store.read(SILVER, made_by="silver")
    base.remove(manifest.tables["customers"].files[0].path)
    assert len(store.damaged_files(manifest)) == 1


def test_the_newest_partition_at_or_before_a_day(base: Base) -> None:
    store = base.store()
    for day in ("2025-11-30", "2026-01-31", "2025-12-31"):
        publish(store, {"features": day}, Publication(layer="gold", name="features", partition=f"asof_date={day}"))
    found = store.newest("gold", "features", date(2026, 1, 30))
    assert found is not None
    assert found.value == "2025-12-31"
    assert store.newest("gold", "features", date(2025, 1, 1)) is None
    assert read(store, "features", found) == "2025-12-31"


def test_named_files_keep_their_names_behind_a_link(base: Base) -> None:
    store = base.store()
    raw = Publication(layer="raw", name="demo")
    for text in ("old", "new"):
        publish(store, {"churn_label": text}, raw, named=True)
        assert (store.root / "raw" / "current" / "churn_label" / "00000.parquet").read_text() == text
    for other in (base.store(), base.elsewhere()):
        assert (other.current(raw) / "churn_label" / "00000.parquet").read_text() == "new"
    assert not any(name.startswith("raw/current") for name in base.names("raw/")) or not base.is_remote


def _hold(root: str, cache: str, ready: str) -> None:
    with TableStore(place_of(root), cache=Path(cache)).lock(SILVER):
        Path(ready).touch()
        time.sleep(60)


def test_a_second_run_fails_clearly_while_a_first_one_holds_the_partition(base: Base, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    call = f"from tests.engine.test_store import _hold; _hold({str(base.place)!r}, {str(tmp_path)!r}, {str(ready)!r})"
    process = subprocess.Popen([sys.executable, "-c", call], cwd=ROOT)
    try:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.01)
        store = base.store(lock_wait_seconds=0.1)
        with pytest.raises(LockTimeoutError, match="another run has been publishing it") as told, store.lock(SILVER):
            pass
        assert not base.is_remote or f"process {process.pid}" in str(told.value)
        other = Publication(layer="gold", name="features")
        with store.lock(other):
            pass
        process.kill()
        process.wait()
        with store.lock(SILVER):
            pass
    finally:
        process.kill()
        process.wait()


def amended(store: TableStore, manifest: Manifest, contents: dict[str, str], fingerprint: str) -> Manifest:
    with store.lock(manifest.publication), store.draft(manifest.publication) as draft:
        tables = {}
        for name, text in contents.items():
            file = draft.file(name)
            file.write_text(text)
            placed = DataFile(path=file.relative_to(draft.folder).as_posix())
            tables[name] = manifest.tables[name].model_copy(update={"files": (placed,), "content_hash": text})
        return draft.amend(manifest, tables, fingerprint=fingerprint, tags={"erased_rows": "1"})


def test_amending_replaces_some_tables_and_removes_what_they_were_at_once(base: Base) -> None:
    store = base.store()
    publish(store, {"customers": "older", "prices": "older"})
    before = publish(store, {"customers": "with", "prices": "as they are"})
    (kept,) = store.files(before, "prices")
    after = amended(store, before, {"customers": "without"}, "e" * 64)
    assert (read(store, "customers"), read(store, "prices")) == ("without", "as they are")
    assert store.files(after, "prices") == [kept]
    assert base.tables() == ["as they are", "without"]
    found = store.find(SILVER)
    assert found == after
    assert (after.fingerprint, after.run_id, after.tags) == ("e" * 64, before.run_id, {"erased_rows": "1"})
    assert after.content_hash != before.content_hash


def test_a_crash_while_amending_leaves_what_was_published(base: Base) -> None:
    store = base.store()
    before = publish(store, {"customers": "with", "prices": "as they are"})
    with base.crashing("manifest"), pytest.raises(KeyboardInterrupt):
        amended(store, before, {"customers": "without"}, "e" * 64)
    assert store.find(SILVER) == before
    assert (read(store, "customers"), read(store, "prices")) == ("with", "as they are")
    after = store.find(SILVER)
    assert after is not None
    store.tidy(after)
    assert base.tables() == ["as they are", "with"]


def test_all_publications_of_a_layer_are_found(base: Base) -> None:
    store = base.store()
    day = Publication(layer="gold", name="features", partition="asof_date=2026-01-31")
    whole = Publication(layer="gold", name="response")
    publish(store, {"features": "x"}, day)
    publish(store, {"response": "x"}, whole)
    base.write("gold/_meta/feature_manifest.json", b"[]")  # a list beside the manifests
    assert store.publications("gold") == [whole, day]
    assert store.publications("silver") == []


def test_readers_of_a_swap_see_one_publication_whole(base: Base) -> None:
    publish(base.store(), {"customers": "0", "prices": "0"})
    stop, seen = threading.Event(), set()

    def look() -> None:
        store = base.elsewhere()
        while not stop.is_set():
            seen.add(whole(store))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(look) for _ in range(2)]
        for number in range(1, 6):
            publish(base.store(), {"customers": str(number), "prices": str(number)})
        stop.set()
        for one in readers:
            one.result()
    assert seen
    assert read(base.elsewhere(), "customers") == "5"


def test_two_publishers_take_turns(base: Base) -> None:
    def publish_often(who: str) -> None:
        for number in range(4):
            publish(base.elsewhere(), {"customers": f"{who}{number}", "prices": f"{who}{number}"})

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(publish_often, who) for who in "ab"]:
            done.result()
    found = fresh(base.elsewhere(), "customers", "prices")
    assert found["customers"] == found["prices"]
    assert found["customers"] in ("a3", "b3")
    assert len(base.tables()) == 16  # nobody's files went under the grace period


def _publish_often(root: str, cache: str, who: str) -> None:
    store = TableStore(place_of(root), cache=Path(cache), grace_seconds=120, lease_seconds=2)
    for number in range(1000):
        publish(store, {"customers": f"{who}{number}", "prices": f"{who}{number}"})


@pytest.mark.drill
def test_publishers_that_are_killed_leave_nothing_half_done(base: Base, tmp_path: Path) -> None:
    publish(base.store(), {"customers": "0", "prices": "0"})
    random, seen = Random(22), set[str]()
    for round_ in range(6):
        call = "from tests.engine.test_store import _publish_often as work; "
        calls = [f"{call}work({str(base.place)!r}, {str(tmp_path / who)!r}, '{who}{round_}-')" for who in "ab"]
        both = [subprocess.Popen([sys.executable, "-c", one], cwd=ROOT) for one in calls]
        try:
            before, until = len(seen), time.monotonic() + 60
            while (len(seen) < before + 2 or random.random() > 0.1) and time.monotonic() < until:
                assert [one.poll() for one in both] == [None, None]
                seen.add(whole(base.elsewhere()))
        finally:
            for one in both:
                one.kill()
                one.wait()
    store = base.elsewhere(grace_seconds=0)
    publish(store, {"customers": "last", "prices": "last"})
    assert fresh(base.elsewhere(), "customers", "prices") == {"customers": "last", "prices": "last"}
    assert base.tables() == ["last", "last"]
    assert len(seen) > 6


# leases and the fence


def write_often(storage: ObjectStorage, writer: int, times: int) -> int:
    """Adds a line to one object again and again, beginning anew where another was faster; returns how often."""
    lost = 0
    for number in range(times):
        while True:
            found = storage.get("counted")
            lines = b"" if found is None else found.data
            try:
                told = lines + f"{writer}-{number}\n".encode()
                storage.put_if("counted", told, None if found is None else found.version)
                break
            except LostRaceError:
                lost += 1
    return lost


@pytest.mark.parametrize("times", [5, pytest.param(25, marks=pytest.mark.drill)])
def test_of_many_conditional_writes_none_is_lost(object_store: ObjectAddress, tmp_path: Path, times: int) -> None:
    storages = [ObjectStorage(object_store, tmp_path / str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_often, storages, range(4), [times] * 4))
    found = storages[0].get("counted")
    assert found is not None
    lines = found.data.decode().split()
    assert sorted(lines) == sorted(f"{writer}-{number}" for writer in range(4) for number in range(times))
    for writer in range(4):  # each writer's in their order
        assert [line for line in lines if line.startswith(f"{writer}-")] == [f"{writer}-{n}" for n in range(times)]


def test_the_lease_of_a_holder_that_is_gone_ends_with_its_term(object_store: ObjectAddress, tmp_path: Path) -> None:
    base = Base(object_store, tmp_path)
    with not_renewed(), base.elsewhere(lease_seconds=0.3).lock(SILVER):
        publish(base.elsewhere(lease_seconds=0.3), {"customers": "taken over"})
    assert read(base.elsewhere(), "customers") == "taken over"


def test_a_lease_is_renewed_as_long_as_its_holder_lives(object_store: ObjectAddress, tmp_path: Path) -> None:
    base = Base(object_store, tmp_path)
    other = base.elsewhere(lease_seconds=1.0, lock_wait_seconds=2.5)
    with base.elsewhere(lease_seconds=1.0).lock(SILVER), pytest.raises(LockTimeoutError), other.lock(SILVER):
        pass
    with other.lock(SILVER):  # given back at once, not after its term
        pass


@pytest.mark.parametrize("is_checked", [True, False])
def test_whoever_lost_the_lock_publishes_nothing(
    object_store: ObjectAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_checked: bool
) -> None:
    """Also where the lease is not looked at: the manifest's version decides."""
    base = Base(object_store, tmp_path)
    publish(base.store(), {"customers": "old"})
    if not is_checked:
        monkeypatch.setattr(Lease, "check", lambda lease: None)
    slow = base.elsewhere(lease_seconds=0.3)
    with not_renewed(), slow.lock(SILVER), slow.draft(SILVER) as draft:
        publish(base.elsewhere(lease_seconds=0.3, grace_seconds=60), {"customers": "faster"})
        draft.file("customers").write_text("slow")
        tables = {"customers": one_table("customers/00000.parquet")}
        with pytest.raises(PublishError, match="nothing of") as told:
            draft.commit(fingerprint="e" * 64, inputs={}, tables=tables, metrics={}, tags={}, run_id="slow")
        assert isinstance(told.value, LostRaceError) is not is_checked
    assert read(base.elsewhere(), "customers") == "faster"
    (lost,) = (name for name in base.names(".parquet") if base.read(name) == b"slow")
    base.make_older(lost, 3600)
    publish(base.store(grace_seconds=60), {"customers": "later"})
    assert "slow" not in base.tables()


def one_table(path: str) -> PublishedTable:
    return PublishedTable(files=(DataFile(path=path),), rows=1, content_hash="x", contract_version=1, columns={})


# what was published before


def at(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def test_what_was_published_then_can_be_read_as_long_as_it_is_kept(base: Base) -> None:
    store = base.store(keep_published_days=2, grace_seconds=0)
    for text in ("oldest", "old", "new"):
        publish(store, {"customers": text, "prices": text})
        moved_back(base)
    days = [at(time.time() - 86400 * ago) for ago in (2.5, 1.5, 0.5)]
    found = [read(base.elsewhere(as_published=day), "customers") for day in days]
    assert found == ["oldest", "old", "new"]
    assert base.elsewhere(as_published=days[0]).publications("silver") == [SILVER]
    with pytest.raises(PublishError, match=r"was not published at .*keep_published_days"):
        read(base.elsewhere(as_published=at(time.time() - 86400 * 30)), "customers")
    publish(store, {"customers": "newest", "prices": "newest"})  # what was replaced more than two days ago goes
    with pytest.raises(PublishError, match="was not published at"):
        read(base.elsewhere(as_published=days[0]), "customers")
    assert base.tables() == sorted(["old", "new", "newest"] * 2)


def moved_back(base: Base) -> None:
    """Lets all that was written be a day older."""
    store = base.store()
    for name, one in store.past(SILVER):
        told = one.model_copy(
            update={"visible_from": one.visible_from - 86400, "visible_until": one.visible_until - 86400}
        )
        base.write(name, told.model_dump_json().encode())
    base.make_older(SILVER_MANIFEST, 86400)


def test_nothing_is_kept_where_nothing_is_set(base: Base) -> None:
    store = base.store(grace_seconds=0)
    publish(store, {"customers": "old"})
    publish(store, {"customers": "new"})
    assert base.names("_past") == []
    assert base.tables() == ["new"]


def test_nothing_is_published_as_of_another_time(base: Base) -> None:
    publish(base.store(), {"customers": "x"})
    then = base.store(as_published=datetime.now(UTC) + timedelta(seconds=5))
    assert read(then, "customers") == "x"
    with pytest.raises(ConfigError, match="nothing can be published"):
        publish(then, {"customers": "y"})


@pytest.mark.parametrize("how", ["amend", "tidy", "remove"])
def test_what_was_kept_goes_with_what_is_erased_or_removed(base: Base, how: str) -> None:
    store = base.store(keep_published_days=30)
    publish(store, {"customers": "with"})
    before = publish(store, {"customers": "with too"})
    assert len(base.names("_past")) == 1
    if how == "amend":
        amended(store, before, {"customers": "without"}, "e" * 64)
    else:
        with store.lock(SILVER):
            store.tidy(before) if how == "tidy" else store.remove(before, "run")
    assert base.names("_past") == []
    assert base.tables() == {"amend": ["without"], "tidy": ["with too"], "remove": []}[how]


def test_landings_share_files_that_one_of_them_was(base: Base) -> None:
    """A file goes when no landing names it, and none that is kept."""
    days = [Publication(layer="bronze", name="ingest", partition=f"run_date=2026-01-0{day}") for day in (1, 2)]
    store = base.store(grace_seconds=0)
    first = publish(store, {"prices": "shared"}, days[0])
    with store.lock(days[1]), store.draft(days[1]) as draft:
        draft.commit(fingerprint="e" * 64, inputs={}, tables=first.tables, metrics={}, tags={}, run_id="run")
    with store.lock(days[0]):
        assert store.remove(first, "run") == 0
    assert read(base.elsewhere(), "prices", days[1]) == "shared"
    second = store.find(days[1])
    assert second is not None
    with store.lock(days[1]):
        assert store.remove(second, "run") == len("shared")
    assert base.tables() == []
    assert [one.manifest for one in store.removed()] == [first, second]


def test_copies_of_what_is_gone_are_removed_and_others_stay(object_store: ObjectAddress, tmp_path: Path) -> None:
    base = Base(object_store, tmp_path)
    here, there = base.store(), base.elsewhere(grace_seconds=0)
    publish(here, {"customers": "old"})
    (copy,) = here.root.glob("silver/customers/*.parquet")
    publish(there, {"customers": "new"})
    assert read(here, "customers") == "new"
    long_ago = time.time() - 7200
    for file in here.root.glob("silver/customers/*.parquet"):
        os.utime(file, (long_ago, long_ago))
    assert copy.exists()
    here.forget_copies()
    assert not copy.exists()
    assert [file.read_text() for file in here.root.glob("silver/customers/*.parquet")] == ["new"]


def test_a_layer_is_cleared_whole_and_no_other(base: Base) -> None:
    """What a replayed world does with what it can make again."""
    landed = Publication(layer="bronze", name="ingest", partition="run_date=2026-01-01")
    store = base.store().below("replays", "one")
    for publication in (landed, SILVER):
        publish(store, {"prices": str(publication)}, publication)
    store.clear("bronze")
    assert store.find(landed) is None
    assert read(store, "prices") == "silver/silver"
    assert base.tables() == ["silver/silver"]
    assert all(name.startswith("replays/one/silver/") for name in base.names(".parquet"))
