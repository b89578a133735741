"""Another retailer's real files, mapped by configuration alone: from raw files to a training set."""

import os
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from pipelines._entry import load_settings
from spanishgas.config import TrackingSettings
from spanishgas.registry import Tracker
from spanishgas.stages import features, ingest, silver, training_set
from spanishgas.stages.runner import run_stage

REAL = Path(os.environ.get("SPANISHGAS_REAL_DATA", "datasets")) / "powerco"
pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(not REAL.is_dir(), reason="SPANISHGAS_REAL_DATA has no powerco"),
]


def test_powerco_reaches_a_training_set_and_says_what_it_lacks(tmp_path: Path, tracking: TrackingSettings) -> None:
    settings = load_settings(("data=powerco", f"data_root={tmp_path / 'data'}"))
    settings = settings.model_copy(update={"tracking": tracking})
    tracker = Tracker(tracking)
    outcomes = {
        stage.name: run_stage(stage, settings, tracker, console=Console(quiet=True))
        for stage in (ingest.STAGE, silver.STAGE, features.STAGE, training_set.STAGE)
    }
    gold = tmp_path / "data" / "powerco" / "gold"
    table = pd.read_parquet(next((gold / "churn_training_dataset").glob("*.parquet")))
    raw = pd.read_parquet(REAL / "client_data.parquet").set_index("id")
    assert len(table) == len(raw) == 14_606
    table = table.set_index("customer_id").loc[raw.index]
    assert (table["left_horizon"] == raw["churn"]).all()
    assert table["left_0_30"].isna().all()
    # Yearly and last month's consumption come in as what they are.
    assert table["elec_kwh_365d"].to_numpy() == pytest.approx(raw["cons_12m"].to_numpy())
    assert table["elec_kwh_30d"].to_numpy() == pytest.approx(raw["cons_last_month"].to_numpy())
    assert table["gas_kwh_365d"].to_numpy() == pytest.approx(raw["cons_gas_12m"].to_numpy(), rel=1e-6)
    assert table["extra_margin_net"].to_numpy() == pytest.approx(raw["net_margin"].to_numpy())
    # A product change after the snapshot has not happened.
    future = pd.to_datetime(raw["date_modif_prod"]) > "2016-01-01"
    assert future.any()
    assert table.loc[future.to_numpy(), "days_since_product_change"].isna().all()
    shares = table["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.6, "valid": 0.2, "test": 0.2}, abs=0.02)
    told = {name: tracker.client.get_run(outcome.run_id) for name, outcome in outcomes.items()}
    assert "consumption_daily" in told["features"].data.tags["mlflow.note.content"]
    assert "features are null for everybody" in told["features"].data.tags["mlflow.note.content"]
    assert "not temporal" in told["training_set"].data.tags["mlflow.note.content"]
    assert told["training_set"].data.tags["temporal"] == "false"
    # Nothing alone tells more than the published figures of whole models.
    assert told["training_set"].data.metrics["largest_single_roc_auc"] < 0.65
