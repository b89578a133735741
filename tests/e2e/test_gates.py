"""Deliveries at the gates, as tracked runs: what is refused, what stays, what is accepted and how that is kept."""

from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from rich.console import Console

from spanishgas.config import Settings, SourceSettings, TrackingSettings
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import DeliveryError
from spanishgas.registry import Tracker
from spanishgas.stages import demo_data, ingest, silver
from spanishgas.stages.runner import Outcome, run_stage
from tests.support import settings_at

WORLD = ("data.customers=30", "data.end=2024-03-31", "as_of=2024-03-31")
MONDAY, TUESDAY, WEDNESDAY = "2024-04-01", "2024-04-02", "2024-04-03"
REASON = "quality.reason='the archive was closed'"
LOOKED_AT = ("churn_label", "customer_attributes", "customer_contracts", "price_history", "customer_interactions")
QUIET = Console(quiet=True)


@dataclass
class Retailer:
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


def test_a_bad_delivery_is_stopped_and_yesterdays_tables_stay(tmp_path: Path, tracking: TrackingSettings) -> None:
    retailer = Retailer(tmp_path, tracking)
    run_stage(demo_data.STAGE, retailer.settings(MONDAY), Tracker(tracking), console=QUIET)
    retailer.deliver(MONDAY)
    monday = retailer.silver()
    file = tmp_path / "data" / "raw" / "current" / "price_history.csv"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)

    # Tuesday: half of the prices. Landing is refused, nothing of it is there, the run shows the figures.
    file.write_bytes(b"".join(lines[: len(lines) // 2]) + b'"C00001",2024')
    with pytest.raises(DeliveryError, match=r"cut_off\.price_history.*fewer_rows\.price_history") as caught:
        retailer.deliver(TUESDAY)
    assert "'quality.accept=[cut_off,fewer_rows]'" in str(caught.value)
    failed = retailer.last_run()
    assert (failed.info.status, failed.data.metrics["gates_failed"]) == ("FAILED", 2.0)
    gates = pd.read_csv(retailer.artifact(failed, "gates.csv"))
    assert sorted(gates.loc[gates["verdict"] == "failed", "gate"]) == ["cut_off", "fewer_rows"]
    assert "**failed** | fewer_rows | price_history" in retailer.artifact(failed, "report.md").read_text()
    assert [one.value for one in retailer.store.partitions("bronze", "ingest")] == [MONDAY]
    assert retailer.silver() == monday

    # Accepted for landing with a reason; silver asks for itself, against Monday's prices.
    with pytest.raises(DeliveryError, match=r"changed\.price_history"):
        retailer.deliver(TUESDAY, "quality.accept=[cut_off,fewer_rows]", REASON)
    landed = retailer.store.find(ingest.landing_of(retailer.settings(TUESDAY)))
    assert landed is not None
    assert landed.tags["accepted_gates"] == "cut_off.price_history, fewer_rows.price_history"
    assert landed.tags["accepted_because"] == "the archive was closed"
    assert retailer.silver() == monday

    # The whole file, on the same run date: compared with Monday's and not with its own first attempt.
    file.write_bytes(whole)
    _, cleaned = retailer.deliver(TUESDAY)
    assert "gates passed" in cleaned.headline
    gates = pd.read_csv(retailer.artifact(retailer.last_run(), "gates.csv"))
    (told,) = gates.loc[(gates["gate"] == "changed") & (gates["source"] == "price_history"), "found"]
    assert told.startswith(f"against {MONDAY}")
    assert [table.cached for table in retailer.deliver(TUESDAY)] == [True, True]


def test_an_accepted_delivery_carries_its_reason(tmp_path: Path, tracking: TrackingSettings) -> None:
    retailer = Retailer(tmp_path, tracking)
    run_stage(demo_data.STAGE, retailer.settings(MONDAY), Tracker(tracking), console=QUIET)
    file = tmp_path / "data" / "raw" / "current" / "customer_interactions.json"
    file.write_text("[]")
    with pytest.raises(DeliveryError, match=r"no_rows\.customer_interactions"):
        retailer.deliver(MONDAY)
    assert retailer.store.find(silver.SILVER) is None
    landed, cleaned = retailer.deliver(MONDAY, "quality.accept=[no_rows,stale]", REASON)
    assert "accepted without having failed: stale" in cleaned.headline
    assert "accepted_gates" not in retailer.silver().tags
    run = Tracker(tracking).client.get_run(landed.run_id)
    assert run.data.tags["accepted_gates"] == "no_rows.customer_interactions"
    assert run.data.tags["accepted_because"] == "the archive was closed"
