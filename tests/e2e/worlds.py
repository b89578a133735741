"""A small demo retailer, made once as far as tests need it, and copied for every test."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from spanishgas.config import Settings, TrackingSettings
from spanishgas.config.places import ObjectAddress
from spanishgas.engine.storage import ObjectStorage
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.registry import Tracker
from spanishgas.stages import silver
from spanishgas.stages.base import Stage
from spanishgas.stages.erasing import LAYERS
from spanishgas.stages.runner import Outcome, run_stage
from tests.once import hand_out
from tests.support import settings_at

WORLD = (
    "data.customers=700",
    "data.end=2024-11-30",
    "data.churn_rate_90d=0.2",
    "run_date=2024-12-09",
    "as_of=2024-09-30",
    "labels.horizon_days=60",
    "labels.split.train={first: 2024-02-29, last: 2024-02-29}",
    "labels.split.valid={first: 2024-05-31, last: 2024-05-31}",
    "labels.split.test={first: 2024-08-31, last: 2024-08-31}",
    "evaluation.replicates=20",
    "evaluation.explained_rows=50",
    "evaluation.backtest={first: 2024-06-30, last: 2024-08-31, every: 1}",
    "segmentation.candidates=[3,4]",
    "segmentation.stability_draws=2",
)
QUIET = Console(quiet=True)


def begin(folder: Path, empty_store: Path) -> "Retailer":
    """A retailer of whom nothing is published yet, with a store."""
    shutil.copy(empty_store, folder / "mlflow.db")
    return Retailer.at(folder, folder / "mlruns")


def settings_of(root: Path, tracking: TrackingSettings, *overrides: str) -> Settings:
    """Settings on a prepared retailer; trees are few and may be small."""
    quick = (
        () if any(one.startswith("model=") for one in overrides) else ("model.rounds=30", "model.min_child_weight=1")
    )
    return settings_at(root, *WORLD, *quick, *overrides).model_copy(update={"tracking": tracking})


SIZE = ("as_of=2024-11-30", "model=logistic")
WIDE = (
    "promotion.mode=force",
    "promotion.reason=small",
    "promotion.refit=false",  # what a refit is, test_young tells
    "policy.budget.eur_per_customer=0.5",
    "policy.holdout.share=0.3",
    "policy.simulation.replicates=20",
    "policy.simulation.acceptance_factors=[0.5,1.0]",
    "policy.simulation.risk_factors=[1.0]",
    "policy.simulation.budget_factors=[0.5,1.0,2.0]",
    # Few: how good they are, test_futures and test_replay tell.
    "policy.simulation.futures=2",
    "policy.simulation.particles=20",
)


class Retailer:
    """A prepared retailer with a champion."""

    def __init__(self, root: Path, tracking: TrackingSettings) -> None:
        self.root, self.tracking, self.tracker = root, tracking, Tracker(tracking)

    @classmethod
    def at(cls, folder: Path, artifacts: Path) -> "Retailer":
        """The retailer whose tables and store lie in a folder."""
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        return cls(folder / "data", TrackingSettings(uri=uri, artifacts=artifacts, experiment="spanishgas"))

    @property
    def store(self) -> TableStore:
        return TableStore(self.root)

    def run(self, stage: Stage, *overrides: str) -> Outcome:
        settings = settings_of(self.root, self.tracking, *SIZE, *WIDE, *overrides)
        return run_stage(stage, settings, self.tracker, console=QUIET)

    def table(self, outcome: Outcome, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.store.files(outcome.manifests[0], name)[0])

    def silver(self, name: str) -> pd.DataFrame:
        manifest = self.store.read(silver.SILVER, made_by="silver")
        return pd.read_parquet(self.store.files(manifest, name)[0])


def taken_up(retailer: Retailer, address: ObjectAddress) -> Retailer:
    """The same retailer with its tables in an object store, as a copy of the folder makes them."""
    storage = ObjectStorage(address)
    for file in sorted(retailer.root.rglob("*")):
        name = file.relative_to(retailer.root)
        if file.is_file() and not {"current", "_locks", "_studies"} & set(name.parts):
            storage.put(name.as_posix(), file.read_bytes())
    return Retailer(address, retailer.tracking)


def later(retailer: Retailer) -> tuple[str, str]:
    """Settings of files that go on until April 2025, with what was decided for December 2024 done."""
    return "data.until=2025-04-30", f"data.actions={retailer.root / 'actions.parquet'}"


def shorten(root: Path) -> None:
    """Leaves raw readings of the last weeks only, for tests that do not count them."""
    for file in (root / "raw" / "current" / "consumption_hourly").glob("*.parquet"):
        rows = pq.read_table(file, partitioning=None)
        few = rows.filter(pc.greater_equal(rows["timestamp"].cast(pa.string()), "2024-11-10"))
        pq.write_table(few, file, row_group_size=50_000)  # several groups, as there were before


def spoil(root: Path) -> None:
    """Delivers a row that cannot be read and one that has to be rejected, both of one customer."""
    raw = root / "raw" / "current" / "customer_contracts.csv"
    lines = raw.read_text().splitlines()
    header = lines[0].replace('"', "").split(",")
    fields = lines[1].split(",")
    customer = fields[header.index("customer_id")].strip('"')
    fields[header.index("contract_start_date")] = "the day before"
    raw.write_text("\n".join([*lines, ",".join(fields), f"{customer},too,few"]) + "\n")


def published(retailer: "Retailer") -> list[Manifest]:
    """Everything that is published."""
    store = retailer.store
    found = [store.find(publication) for layer in LAYERS for publication in store.publications(layer)]
    return [one for one in found if one is not None]


def remove_replaced(retailer: "Retailer") -> None:
    """Removes the tables' files that have been replaced, which readers have an hour to finish with."""
    kept = {file.path for one in published(retailer) for table in one.tables.values() for file in table.files}
    for layer in LAYERS:
        for file in (retailer.root / layer).rglob("*.parquet"):
            name = str(file.relative_to(retailer.root))
            if name not in kept and "_meta" not in file.parts:
                file.unlink()


def copy_of(world: Path, folder: Path) -> Retailer:
    """A retailer's copy with a store of its own; the model's files stay where they were registered."""
    hand_out(world / "data", folder / "data")
    shutil.copy(world / "mlflow.db", folder / "mlflow.db")
    return Retailer.at(folder, world / "mlruns")


def with_own_artifacts(retailer: Retailer, folder: Path) -> Retailer:
    """The same copy with artifacts of its own, for tests that change those of runs that were there before."""
    database = Path(retailer.tracking.uri.removeprefix("sqlite:///"))
    target = folder / "artifacts"
    with closing(sqlite3.connect(database)) as store, store:
        (shared,) = {
            Path(address.removeprefix("file://"))
            for (address,) in store.execute("select artifact_location from experiments where experiment_id <> 0")
        }
        # Of its own runs and models only: copies of other tests keep theirs in the same folder.
        named = store.execute("select artifact_uri from runs union select artifact_location from logged_models")
        for (address,) in named.fetchall():
            place = Path(str(address).removeprefix("file://"))
            if place.is_dir():
                shutil.copytree(place, target / place.relative_to(shared))
        places = [
            (table, column[1])
            for (table,) in store.execute("select name from sqlite_master where type = 'table'").fetchall()
            for column in store.execute(f"pragma table_info({table})").fetchall()
            if "CHAR" in column[2] or "TEXT" in column[2]
        ]
        for table, name in places:
            told = (str(shared), str(target), f"%{shared}%")
            store.execute(f'update "{table}" set "{name}" = replace("{name}", ?, ?) where "{name}" like ?', told)
    tracking = retailer.tracking.model_copy(update={"artifacts": target})
    return Retailer(retailer.root, tracking)
