"""Backups: one moment while others publish, in an archive that is whole or not there, put back whole or not at all."""

import io
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import backup as backup_command
from pipelines import restore as restore_command
from spanishgas.config import TrackingSettings
from spanishgas.config.places import ObjectAddress
from spanishgas.engine import archive as archives
from spanishgas.engine.archive import packing
from spanishgas.engine.snapshot import Snapshot
from spanishgas.engine.storage import ObjectStorage
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.engine.suppression import FOLDER, KEY, KEY_VARIABLE, LIST, Suppression
from spanishgas.errors import ConfigError, PublishError, TrackingError
from spanishgas.registry import Tracker, copies
from spanishgas.stages import backup
from spanishgas.stages.backup import back_up, restore
from spanishgas.stages.runner import run_stage
from tests.faults.scenes import published, tracking_in
from tests.stages.toy import Toy, settings_for
from tests.support import quiet, without_tracking_variables


class Shop:
    """A data root with a toy stage's table, and a store with its runs, in a folder of their own."""

    def __init__(self, folder: Path, tracking: TrackingSettings) -> None:
        self.root, self.tracking = folder / "data", tracking
        self.settings, self.tracker = settings_for(folder, tracking), Tracker(tracking)
        self.run()

    def run(self, factor: int = 2) -> str:
        return run_stage(Toy(factor=factor), self.settings, self.tracker).run_id

    @property
    def manifest(self) -> Manifest:
        (found,) = published(TableStore(self.root))
        return found

    @property
    def file(self) -> Path:
        return self.root / self.manifest.tables["doubles"].files[0].path

    def back_up(self, archive: Path, **asked: bool) -> backup.Backup:
        return back_up(self.root, self.tracking.uri, archive, quiet, **asked)


@pytest.fixture
def shop(tmp_path: Path, tracking: TrackingSettings) -> Shop:
    return Shop(tmp_path, tracking)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "backup.tar.zst"


def there(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def tracker_in(folder: Path) -> Tracker:
    """The store in a folder; MLflow's variables would lead to the one that was used before."""
    with without_tracking_variables():
        return Tracker(tracking_in(folder))


def names_in(archive: Path) -> list[str]:
    with pa.CompressedInputStream(archive.open("rb"), "zstd") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        return tar.getnames()


def test_what_is_put_back_is_what_was_there_and_needs_nothing_of_the_place_before(
    shop: Shop, tmp_path: Path, archive: Path
) -> None:
    before, run_id = Snapshot.of(shop.root), shop.manifest.run_id
    taken = shop.back_up(archive)
    assert archive.stat().st_mode & 0o077 == 0  # personal data
    assert [file.name for file in archive.parent.iterdir()] == [archive.name]
    for place in ("data", "mlruns", "mlflow.db"):
        (tmp_path / place).rename(tmp_path / f"gone-{place}")
    put = restore(archive, tmp_path / "new", quiet)
    assert (put.publications, put.files, put.size) == (1, taken.files, taken.size)
    after = Snapshot.of(tmp_path / "new" / "data")
    assert (after.small, after.links, after.manifests) == (before.small, before.links, before.manifests)
    (manifest,) = after.manifests
    assert TableStore(after.place).damaged_files(manifest) == []
    folder = tracker_in(tmp_path / "new").folder_of(run_id)
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "new" / "mlruns")
    assert (folder / "report.md").read_text() == "# Doubles\n"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["data", "mlflow.db", "mlruns"]


def test_the_stages_find_their_work_done_where_it_was_put_back(shop: Shop, tmp_path: Path, archive: Path) -> None:
    shop.back_up(archive)
    restore(archive, tmp_path / "new", quiet)
    again = run_stage(Toy(), settings_for(tmp_path / "new", shop.tracking), tracker_in(tmp_path / "new"))
    assert again.cached


def test_all_data_sets_below_a_folder_are_taken(shop: Shop, tmp_path: Path, archive: Path) -> None:
    shop.settings = settings_for(shop.root / "others" / "mine", shop.tracking)
    shop.run(5)
    taken = shop.back_up(archive)
    assert taken.publications == 2
    restore(archive, tmp_path / "new", quiet)
    for below in (".", "others/mine/data"):
        old, new = (Snapshot.of(root / below) for root in (shop.root, tmp_path / "new" / "data"))
        assert (old.small, old.manifests) == (new.small, new.manifests)


def test_tables_and_store_are_of_one_moment(
    shop: Shop, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is published just after the store was copied: its run would be missing."""
    copied: list[int] = []

    def copy(file: Path, target: Path) -> None:
        copies.copy_store(file, target)
        copied.append(1)
        if len(copied) < 3:
            shop.run(10 + len(copied))

    monkeypatch.setattr(backup, "copy_store", copy)
    shop.back_up(archive)
    assert len(copied) == 3
    restore(archive, tmp_path / "new", quiet)
    (manifest,) = Snapshot.of(tmp_path / "new" / "data").manifests
    assert manifest == shop.manifest
    with closing(sqlite3.connect(tmp_path / "new" / "mlflow.db")) as store:
        assert store.execute("select status from runs where run_uuid = ?", [manifest.run_id]).fetchone() == (
            "FINISHED",
        )


def test_stages_that_never_stop_publishing_are_told(shop: Shop, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = iter(range(10, 99))
    monkeypatch.setattr(backup, "copy_store", lambda *_: shop.run(next(factors)))
    monkeypatch.setattr(backup, "LOOKS", 3)
    with pytest.raises(PublishError, match=r"each of the 3 times.*while fewer stages run"):
        shop.back_up(archive)
    assert list(archive.parent.iterdir()) == []


def test_a_table_whose_files_went_meanwhile_is_taken_as_it_is_now(
    shop: Shop, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, look = shop.file, backup._look
    changes = iter([7])

    def looking(*given: object) -> object:
        seen = look(*given)  # type: ignore[arg-type]
        for factor in changes:
            shop.run(factor)
            with TableStore(shop.root).lock(shop.manifest.publication):
                TableStore(shop.root).tidy(shop.manifest)
        return seen

    monkeypatch.setattr(backup, "_look", looking)
    shop.back_up(archive)
    assert not old.exists()
    restore(archive, tmp_path / "new", quiet)
    (manifest,) = Snapshot.of(tmp_path / "new" / "data").manifests
    assert manifest == shop.manifest
    assert not [name for name in names_in(archive) if old.name in name]


@pytest.mark.parametrize("harm", ["gone", "shorter", "other"])
def test_what_is_damaged_is_named_and_no_archive_is_made(shop: Shop, archive: Path, harm: str) -> None:
    file, content = shop.file, shop.file.read_bytes()
    file.unlink()
    if harm != "gone":
        file.write_bytes(content[:-1] + (b"" if harm == "shorter" else bytes([content[-1] ^ 1])))
    with pytest.raises(PublishError, match=rf"gold/toy/.* is damaged: .*{file.name}.*pipelines.toy"):
        shop.back_up(archive)
    assert list(archive.parent.iterdir()) == []


def test_runs_at_work_are_over_in_the_copy(shop: Shop, tmp_path: Path, archive: Path) -> None:
    with shop.tracker.run("at work", tags={}) as run:
        run.log_text("half", "report.md")
        assert shop.back_up(archive).runs_ended == 1
    restore(archive, tmp_path / "new", quiet)
    with closing(sqlite3.connect(tmp_path / "new" / "mlflow.db")) as store:
        told = store.execute(
            "select status, value, end_time is null from runs join tags using (run_uuid) where key = 'error'"
        ).fetchall()
    assert told == [("KILLED", copies.AT_WORK, 0)]
    assert not [name for name in names_in(archive) if run.id in name]


def test_nothing_is_written_over(shop: Shop, tmp_path: Path, archive: Path) -> None:
    shop.back_up(archive)
    with pytest.raises(PublishError, match="is there already"):
        shop.back_up(archive)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        restore(archive, full, quiet)
    assert there(full) == {"mine.txt": b"mine"}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert restore(archive, empty, quiet).publications == 1


def test_a_cut_or_damaged_archive_puts_nothing_in_place(shop: Shop, tmp_path: Path, archive: Path) -> None:
    shop.back_up(archive)
    whole, broken, into = archive.read_bytes(), tmp_path / "broken.tar.zst", tmp_path / "new"
    places = [len(whole) * number // 60 for number in range(60)]
    harmed = [whole[:at] for at in places]
    harmed += [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in places]
    before = set(tmp_path.iterdir())
    for one in harmed:
        broken.write_bytes(one)
        with pytest.raises(PublishError, match=r"broken.*(cut or damaged|not those of its table of contents)"):
            restore(broken, into, quiet)
    assert set(tmp_path.iterdir()) - {broken} == before
    with pytest.raises(PublishError, match="there is no such archive"):
        restore(tmp_path / "none.tar.zst", into, quiet)


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        told = tarfile.TarInfo(name)
        told.type, told.linkname = kind, "/etc/passwd"
        told.size = len(content) if kind == tarfile.REGTYPE else 0
        tar.addfile(told, io.BytesIO(content))

    return add


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (member("../outside"), "no file that belongs into it"),
        (member("/tmp/outside"), "no file that belongs into it"),
        (member("data/link", kind=tarfile.SYMTYPE), "no file that belongs into it"),
        (member("backup.json"), "twice"),
        (member("more"), "not those of its table of contents"),
    ],
)
def test_what_does_not_belong_into_an_archive_is_refused(
    tmp_path: Path, archive: Path, made: Callable[[tarfile.TarFile], None], told: str
) -> None:
    with packing(archive, {"links": {}, "artifacts": {}}, tmp_path) as packer:
        made(packer._tar)
    with pytest.raises(PublishError, match=told):
        restore(archive, tmp_path / "new", quiet)
    assert [file for file in tmp_path.iterdir() if file != archive.parent] == []


def test_an_archive_of_a_later_release_is_refused(
    shop: Shop, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(archives, "FORMAT", 9)
        later.setattr(backup, "__version__", "7.1.0")
        shop.back_up(archive)
    with pytest.raises(PublishError, match=r"is of format 9, of SpanishGas 7\.1\.0; this release reads up to 1"):
        restore(archive, tmp_path / "new", quiet)


def test_links_lead_to_editions_only(tmp_path: Path, archive: Path) -> None:
    with packing(archive, {"links": {"data": {"raw/current": "../../etc"}}, "artifacts": {}}, tmp_path):
        pass
    with pytest.raises(PublishError, match="no link to an edition"):
        restore(archive, tmp_path / "new", quiet)


class TestErased:
    """The key stays out unless it is asked for, and who was erased since stays erased."""

    @pytest.fixture(autouse=True)
    def no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(KEY_VARIABLE, raising=False)

    def test_the_key_is_in_it_only_if_asked_for(self, shop: Shop, tmp_path: Path, archive: Path) -> None:
        Suppression(shop.root).including(["C1"]).save()
        taken = shop.back_up(archive)
        assert (taken.keys, taken.without_keys) == ((), ("data",))
        assert f"data/{FOLDER}/{LIST}" in names_in(archive)
        assert f"data/{FOLDER}/{KEY}" not in names_in(archive)
        put = restore(archive, tmp_path / "new", quiet)
        assert put.without_keys == ("data",)
        with pytest.raises(PublishError, match="but not its key"):
            Suppression.of(tmp_path / "new" / "data")
        with_key = archive.with_name("with_key")
        assert shop.back_up(with_key, with_key=True).keys == ("data",)
        restore(with_key, tmp_path / "newer", quiet)
        assert Suppression.of(tmp_path / "newer" / "data").matches(["C1", "C2"]) == {"C1"}
        assert (tmp_path / "newer" / "data" / FOLDER / KEY).stat().st_mode & 0o077 == 0

    def test_a_newer_list_holds(self, shop: Shop, tmp_path: Path, archive: Path) -> None:
        Suppression(shop.root).including(["C1"]).save()
        shop.back_up(archive)
        Suppression.of(shop.root).including(["C2"]).save()
        restore(archive, tmp_path / "new", quiet, erased=shop.root)
        assert Suppression.of(tmp_path / "new" / "data").matches(["C1", "C2", "C3"]) == {"C1", "C2"}
        with pytest.raises(ConfigError, match="has no list of erased customers"):
            restore(archive, tmp_path / "other", quiet, erased=tmp_path)
        (shop.root / FOLDER / KEY).unlink()
        with pytest.raises(PublishError, match="but not its key"):
            restore(archive, tmp_path / "other", quiet, erased=shop.root)
        assert not (tmp_path / "other").exists()


class TestStores:
    """What cannot be taken says what to do instead."""

    def test_a_server_is_not_taken_but_the_tables_are(self, shop: Shop, archive: Path, tmp_path: Path) -> None:
        for uri in ("http://mlflow:5000", "postgresql://user:canary@db/mlflow"):
            with pytest.raises(TrackingError, match=r"only a SQLite store.*pg_dump.*only=tables") as caught:
                back_up(shop.root, uri, archive, quiet)
            assert "canary" not in str(caught.value)
        back_up(shop.root, None, archive, quiet)
        restore(archive, tmp_path / "new", quiet)
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["data"]

    def test_artifacts_elsewhere_are_told(self, shop: Shop, archive: Path) -> None:
        shop.tracker.client.create_experiment("far", artifact_location="s3://bucket/far")
        with pytest.raises(TrackingError, match=r"elsewhere than in folders.*s3://bucket/far.*only=tables"):
            shop.back_up(archive)

    def test_a_store_that_is_no_database_is_told(self, shop: Shop, archive: Path) -> None:
        file = Path(shop.tracking.uri.removeprefix("sqlite:///"))
        file.write_bytes(b"SQLite format 3\0" + bytes(4096))
        with pytest.raises(TrackingError, match="cannot be copied"):
            shop.back_up(archive)
        file.unlink()
        with pytest.raises(TrackingError, match="there is no tracking store"):
            shop.back_up(archive)
        assert not file.exists()

    def test_a_store_that_is_held_is_told(self, shop: Shop, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(copies, "LOCKED_SECONDS", 0.0)
        with closing(sqlite3.connect(shop.tracking.uri.removeprefix("sqlite:///"))) as other:
            other.execute("begin exclusive")
            with pytest.raises(TrackingError, match="held the tracking store for too long"):
                shop.back_up(archive)


class TestObjectStore:
    """Tables in an object store are taken as those of a folder, and put back into a folder."""

    @pytest.fixture
    def stored(self, shop: Shop, object_store: ObjectAddress) -> Shop:
        """The same shop with its tables in an object store, and another data set below them."""
        for place in (object_store.below("others", "mine"), object_store):
            data = shop.settings.data.model_copy(update={"root": place})
            shop.settings = shop.settings.model_copy(update={"data": data})
            shop.run()
        return shop

    def test_what_is_put_back_is_what_was_there(
        self, stored: Shop, object_store: ObjectAddress, tmp_path: Path, archive: Path
    ) -> None:
        taken = back_up(object_store, stored.tracking.uri, archive, quiet, cache=tmp_path / "cache")
        assert taken.publications == 2
        restore(archive, tmp_path / "new", quiet)
        for below in ((), ("others", "mine")):
            old, new = Snapshot.of(object_store.below(*below)), Snapshot.of(tmp_path.joinpath("new", "data", *below))
            assert (old.small, old.links, old.manifests) == (new.small, new.links, new.manifests)
            (manifest,) = new.manifests
            assert TableStore(new.place).damaged_files(manifest) == []
        assert (tmp_path / "new" / "mlflow.db").is_file()
        # A copy of the folder makes a data root in an object store of it again.
        back = ObjectAddress(f"{object_store}-back")
        for name, content in there(tmp_path / "new" / "data").items():
            ObjectStorage(back).put(name, content)
        was, again = Snapshot.of(object_store), Snapshot.of(back)
        assert (again.small, again.manifests) == (was.small, was.manifests)
        assert TableStore(back).damaged_files(again.manifests[0]) == []

    def test_what_is_damaged_there_is_named_and_no_archive_is_made(
        self, stored: Shop, object_store: ObjectAddress, tmp_path: Path, archive: Path
    ) -> None:
        store = TableStore(object_store)
        (manifest,) = published(store)
        name = manifest.tables["doubles"].files[0].path
        content = store.storage.get(name)
        assert content is not None
        store.storage.put(name, content.data[:-1] + bytes([content.data[-1] ^ 1]))
        with pytest.raises(PublishError, match=rf"{object_store}: gold/toy.* is damaged: .*has other bytes"):
            back_up(object_store, None, archive, quiet, cache=tmp_path / "no copies yet")
        store.storage.delete(name)
        with pytest.raises(PublishError, match=r"is damaged: .*is gone"):
            back_up(object_store, None, archive, quiet, cache=tmp_path / "no copies yet")
        assert list(archive.parent.iterdir()) == []

    def test_keys_and_lists_of_erased_customers(
        self, stored: Shop, object_store: ObjectAddress, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        Suppression(object_store).including(["C1"]).save()
        assert back_up(object_store, None, archive, quiet).without_keys == ("data",)
        Suppression.of(object_store).including(["C2"]).save()
        restore(archive, tmp_path / "new", quiet, erased=object_store)
        assert Suppression.of(tmp_path / "new" / "data").matches(["C1", "C2", "C3"]) == {"C1", "C2"}
        with_key = archive.with_name("with_key")
        assert back_up(object_store, None, with_key, quiet, with_key=True).keys == ("data",)
        restore(with_key, tmp_path / "newer", quiet)
        kept = tmp_path / "newer" / "data" / FOLDER / KEY
        assert kept.stat().st_mode & 0o077 == 0
        assert Suppression.of(tmp_path / "newer" / "data").matches(["C2"]) == {"C2"}

    def test_nothing_there_is_told(self, object_store: ObjectAddress, archive: Path) -> None:
        with pytest.raises(PublishError, match=f"{object_store}: nothing is published there"):
            back_up(object_store, None, archive, quiet)

    def test_the_commands(
        self,
        stored: Shop,
        object_store: ObjectAddress,
        tmp_path: Path,
        archive: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        words = [f"data_root={object_store}", f"tracking.uri={stored.tracking.uri}"]
        assert backup_command.main([f"archive={archive}", *words]) == 0
        assert "2 publications" in capsys.readouterr().err
        assert restore_command.main([f"archive={archive}", f"into={object_store}"]) == 2
        assert "an archive is put into a folder" in capsys.readouterr().err
        assert restore_command.main([f"archive={archive}", f"into={tmp_path / 'new'}"]) == 0


def test_nothing_is_published_is_told(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(PublishError, match="nothing is published there"):
        back_up(tmp_path / "nothing", None, archive, quiet)


def test_the_commands(
    shop: Shop, tmp_path: Path, archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [f"data_root={shop.root}", f"tracking.uri={shop.tracking.uri}"]
    assert backup_command.main([f"archive={archive}", *there]) == 0
    assert "1 publications" in capsys.readouterr().err
    assert restore_command.main([f"archive={archive}", f"into={tmp_path / 'new'}"]) == 0
    assert f"data_root={tmp_path / 'new' / 'data'} tracking.uri=sqlite:///" in capsys.readouterr().err
    assert backup_command.main([f"archive={archive}", *there]) == 1
    for unclear in ([], ["archive="], [f"archive={archive}", "only=store"], [f"archive={archive}", "with_key=1"]):
        assert backup_command.main([*unclear, *there]) == 2
    for unclear in ([f"archive={archive}"], ["into=x"], [f"archive={archive}", "into=x", "data=nobody"]):
        assert restore_command.main(unclear) == 2
