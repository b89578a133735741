"""Commands that are harmed at one operation after another: what they begin with, what readers see, when they are done.

Every trial begins with a copy of one world, always at the same place, as a tracking store names its artifacts by their
whole paths.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pipelines import backup, restore
from pipelines._entry import guarded
from spanishgas.config import Settings
from spanishgas.engine.archive import unpack
from spanishgas.engine.drafts import UNFINISHED
from spanishgas.engine.store import TableStore
from spanishgas.registry import Tracker
from spanishgas.stages import export
from spanishgas.stages.runner import run_stage
from tests.e2e import test_stages as alone
from tests.e2e import worlds
from tests.e2e.test_erase import holding
from tests.faults.scenes import NAMED, contents, published, tracking_in
from tests.once import hand_out
from tests.stages import test_retention as aged

Shown = Mapping[str, str]
SMALL = ("demo_data", "ingest", "silver", "training_set", "features")
ABSENT = ""
KEY = {export.KEY_VARIABLE: "k" * 32}
EXPORTED = "export.tables=[silver/customers,silver/interactions]"


@dataclass(frozen=True)
class Case:
    """A command on a small world.

    Attributes:
        name: What it is called.
        stages: Stages that make its world; empty for one of its own making.
        work: Folder -> runs the command there, as from the command line; ends the process.
        shown: Folder -> what readers see there, by name.
        prepare: Folder -> changes a copy before a trial.
        done: Folder -> fails where something is left that must not be.
        drops: Whether what was there may be away between the old and the new.
        refuses: What the command says where its result is there already; empty where it does its work again.
    """

    name: str
    stages: tuple[str, ...]
    work: Callable[[Path], None]
    shown: Callable[[Path], Shown]
    prepare: Callable[[Path], None] = lambda _: None
    done: Callable[[Path], None] = lambda _: None
    drops: bool = False
    refuses: str = ""

    def make(self, place: Path) -> None:
        """Makes its world."""
        place.mkdir(parents=True, exist_ok=True)
        (place / "tmp").mkdir(exist_ok=True)
        tracker = Tracker(tracking_in(place))
        tracker.client.search_experiments()
        if self.name == "retention":
            aged.fill(TableStore(place / "data"))
        for name in self.stages:
            run_stage(NAMED[name], settings_in(place), tracker, console=worlds.QUIET)
        self.prepare(place)


def settings_in(place: Path, *overrides: str) -> Settings:
    """Settings on a copy."""
    return alone.settings_of(place, tracking_in(place), *overrides)


def hand_over(world: Path, place: Path) -> None:
    """Puts a copy of a world in the place where it was made."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for one in sorted(world.iterdir()):
        if one.name == "data":
            hand_out(one, place / "data")
        elif one.is_dir():
            shutil.copytree(one, place / one.name)
        else:
            shutil.copy2(one, place / one.name)


def called(name: str, place: Path, *overrides: str) -> None:
    """Runs a stage as from the command line, and ends the process with its exit code."""
    tempfile.tempdir = str(place / "tmp")
    os.environ.update(KEY)
    settings = settings_in(place, *overrides)

    def work(*_: object) -> int:
        run_stage(NAMED[name], settings, Tracker(settings.tracking), console=worlds.QUIET)
        return 0

    sys.exit(guarded(name, work, []))


def _stage(name: str, stages: tuple[str, ...]) -> Case:
    return Case(
        name, stages, lambda place: called(name, place), lambda place: contents(TableStore(place / "data")), done=tidy
    )


def tidy(place: Path) -> None:
    """Fails where a draft is left below the data root, the artifacts or the temporary folder."""
    root = place / "data"
    left = [path for path in root.glob("*/_staging/*") if any(path.iterdir())]
    left += list(root.rglob(f".*{UNFINISHED}*")) + list(place.glob(f".*{UNFINISHED}*"))
    assert left == [], left


# erase


def customer_of(place: Path) -> str:
    """Who is erased: the first of the customers."""
    store = TableStore(place / "data")
    (manifest,) = [one for one in published(store) if one.publication.name == "silver"]
    return str(pd.read_parquet(store.files(manifest, "customers")[0])["customer_id"].min())


def name_somebody(place: Path) -> None:
    """A request log, a run of an earlier release and the file of whom to erase."""
    whose, root = customer_of(place), place / "data"
    (place / "customers.txt").write_text(whose)
    log = root / "request_log" / "date=2024-10-09" / "1.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps({"customer_id": one}) + "\n" for one in (whose, "X-1")))
    with Tracker(tracking_in(place)).run("recommend", tags={"stage": "recommend", "of": whose}) as run:
        run.log_parameters({"customer": whose})
        run.log_text(f"customer_id,why\n{whose},x\nX-1,y\n", "tables/offers.csv")


def rows_of(place: Path) -> Shown:
    """Digest of the rows of each file that readers see; what no table holds, byte by byte."""
    store, found = TableStore(place / "data"), {}
    for manifest in published(store):
        assert store.damaged_files(manifest) == []
        for name, table in manifest.tables.items():
            for number, file in enumerate(table.files):
                found[f"{manifest.publication} {name} {number}"] = _digest(store.root / file.path)
    for file in [*(store.root / "request_log").rglob("*.jsonl"), *(place / "mlruns").rglob("offers.csv")]:
        found[file.name] = _digest(file)
    return found


def _digest(file: Path) -> str:
    if file.suffix != ".parquet":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    rows = pq.read_table(file, partitioning=None).to_pandas().astype("string")
    return hashlib.sha256(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()).hexdigest()


def nobody_named(place: Path) -> None:
    """Fails where a byte names who was erased, wherever this process has written."""
    tidy(place)
    whose = (place / "customers.txt").read_text()
    (place / "customers.txt").unlink()
    assert holding(place, [whose]) == set()


# retention


def _retain(place: Path) -> None:
    """The stage's work without a run: what it removes is what is killed."""

    def work(*_: object) -> int:
        aged.removed(TableStore(place / "data"), "retention.mode=remove")
        return 0

    sys.exit(guarded("retention", work, []))


def ages_of(place: Path) -> Shown:
    """What is published, and the days of the request log."""
    store = TableStore(place / "data")
    days = {folder.name: "there" for folder in (store.root / "request_log").glob("date=*") if any(folder.iterdir())}
    return {**contents(store), **days}


def nothing_due(place: Path) -> None:
    """Fails where a file is left that nothing names, or something due."""
    store = TableStore(place / "data")
    assert not set(aged.visible(store)) & set(aged.GOES)
    named = {file.path for one in published(store) for table in one.tables.values() for file in table.files}
    data = {str(file.relative_to(store.root)) for file in store.root.rglob("*.parquet")}
    assert data == named


# export


def export_of(place: Path) -> Shown:
    """The export, whatever of it is there under its name."""
    into = place / "out"
    if not into.exists():
        return {}
    told = json.loads((into / export.MANIFEST).read_text())
    files = {name: digest for table in told["tables"] for name, digest in table["files"].items()}
    assert {file.name for file in into.iterdir()} == {*files, export.MANIFEST}, "half an export under its name"
    assert {name: hashlib.sha256((into / name).read_bytes()).hexdigest() for name in files} == files
    return {"out": json.dumps([files, told["key"]])}


def _earlier_export(place: Path) -> None:
    """An export of one table, with another key, that is to be replaced."""
    os.environ[export.KEY_VARIABLE] = "o" * 32
    settings = settings_in(place, "export.tables=[silver/costs]", f"export.into={place / 'out'}")
    run_stage(export.STAGE, settings, Tracker(settings.tracking), console=worlds.QUIET)


# backup and restore


def _back_up(place: Path) -> None:
    tempfile.tempdir = str(place / "tmp")
    os.environ["MLFLOW_TRACKING_URI"] = tracking_in(place).uri
    sys.exit(backup.main([f"data_root={place / 'data'}", f"archive={place / 'kept' / 'a.tar.zst'}"]))


def archive_of(place: Path) -> Shown:
    """The archive: it is whole where it is there."""
    file = place / "kept" / "a.tar.zst"
    if not file.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        unpack(file, Path(folder))
        found = contents(TableStore(Path(folder) / "data"))
    return {"archive": json.dumps(dict(sorted(found.items())))}


def archived(place: Path) -> None:
    """An archive and nothing else to put back."""
    uri = tracking_in(place).uri
    backup.back_up(place / "data", uri, place / "kept" / "a.tar.zst", lambda _: None)


def _restore(place: Path) -> None:
    tempfile.tempdir = str(place / "tmp")
    sys.exit(restore.main([f"archive={place / 'kept' / 'a.tar.zst'}", f"into={place / 'back'}"]))


def restored(place: Path) -> Shown:
    """What was put back: all or nothing."""
    into = place / "back"
    if not into.exists():
        return {}
    assert (into / "mlflow.db").is_file()
    return {"back": json.dumps(dict(sorted(contents(TableStore(into / "data")).items())))}


def _left_beside(place: Path) -> None:
    tidy(place)
    assert [path for path in (place / "kept").glob(".*") if path.is_dir()] == []


CASES: Mapping[str, Case] = {
    one.name: one
    for one in (
        *(_stage(name, SMALL[:number]) for number, name in enumerate(SMALL)),
        _stage("train", SMALL),
        Case(
            "erase",
            (*SMALL[:3], "features"),
            lambda place: called("erase", place, "erasure.mode=erase", f"erasure.customers={place / 'customers.txt'}"),
            rows_of,
            name_somebody,
            nobody_named,
        ),
        Case("retention", (), _retain, ages_of, done=nothing_due),
        Case(
            "export",
            SMALL[:3],
            lambda place: called("export", place, EXPORTED, f"export.into={place / 'out'}", "force=true"),
            export_of,
            _earlier_export,
            tidy,
            drops=True,
        ),
        Case("backup", SMALL[:3], _back_up, archive_of, done=_left_beside, refuses="is there already"),
        Case("restore", SMALL[:3], _restore, restored, archived, tidy, refuses="is not empty"),
    )
}
