"""A retailer whose files come from day to day, made once up to its first delivery."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import mlflow
from rich.console import Console

from spanishgas.config import Settings, SourceSettings, TrackingSettings
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, ingest, silver
from spanishgas.stages.runner import Outcome, run_stage
from tests.once import hand_out
from tests.support import settings_at

WORLD = ("data.customers=30", "data.end=2024-03-31", "as_of=2024-03-31")
MONDAY, TUESDAY, WEDNESDAY = "2024-04-01", "2024-04-02", "2024-04-03"
LOOKED_AT = ("churn_label", "customer_attributes", "customer_contracts", "price_history", "customer_interactions")
QUIET = Console(quiet=True)


@dataclass
class Deliveries:
    """A retailer whose files change from day to day."""

    folder: Path
    tracking: TrackingSettings

    @property
    def store(self) -> TableStore:
        return TableStore(self.folder / "data")

    def settings(self, run_date: str, *overrides: str) -> Settings:
        settings = settings_at(self.folder / "data", *WORLD, f"run_date={run_date}", *overrides)
        # Those that are cut or emptied here, and what these cannot do without: to read all takes three times as long.
        kept = {
            name: source if name in LOOKED_AT else SourceSettings(absent="not looked at")
            for name, source in settings.data.sources.items()
        }
        data = settings.data.model_copy(update={"sources": kept})
        return settings.model_copy(update={"tracking": self.tracking, "data": data})

    def deliver(self, run_date: str, *overrides: str) -> tuple[Outcome, Outcome]:
        settings, tracker = self.settings(run_date, *overrides), Tracker(self.tracking)
        first, second = (run_stage(stage, settings, tracker, console=QUIET) for stage in (ingest.STAGE, silver.STAGE))
        return first, second

    def silver(self) -> Manifest:
        return self.store.read(silver.SILVER, made_by="silver")

    def last_run(self) -> mlflow.entities.Run:
        client = Tracker(self.tracking).client
        experiment = client.get_experiment_by_name("spanishgas")
        (run,) = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"], max_results=1)
        return run

    def artifact(self, run: mlflow.entities.Run, name: str) -> Path:
        path = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path=name, tracking_uri=self.tracking.uri
        )
        return Path(path)


def at(folder: Path) -> Deliveries:
    """The retailer whose tables and store lie in a folder."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return Deliveries(folder, TrackingSettings(uri=uri, artifacts=folder / "mlruns", experiment="spanishgas"))


def make_raw_files(folder: Path, empty_store: Path) -> None:
    """A retailer with raw files, of which nothing is landed."""
    shutil.copy(empty_store, folder / "mlflow.db")
    made = at(folder)
    run_stage(demo_data.STAGE, made.settings(MONDAY), Tracker(made.tracking), console=QUIET)


def copy_of(world: Path, folder: Path) -> Deliveries:
    """A copy with a store of its own."""
    hand_out(world / "data", folder / "data")
    shutil.copy(world / "mlflow.db", folder / "mlflow.db")
    return at(folder)
