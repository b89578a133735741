"""Deliveries at the gates, as tracked runs: what is refused, what stays, what is accepted and how that is kept."""

from pathlib import Path

import pandas as pd
import pytest

from spanishgas.errors import DeliveryError
from spanishgas.registry import Tracker
from spanishgas.stages import ingest, silver
from tests.e2e.days import MONDAY, TUESDAY, Deliveries

REASON = "quality.reason='the archive was closed'"


@pytest.mark.drill
def test_a_bad_delivery_is_stopped_and_yesterdays_tables_stay(delivered: Deliveries, tmp_path: Path) -> None:
    retailer = delivered
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


def test_an_accepted_delivery_carries_its_reason(undelivered: Deliveries, tmp_path: Path) -> None:
    retailer = undelivered
    file = tmp_path / "data" / "raw" / "current" / "customer_interactions.json"
    file.write_text("[]")
    with pytest.raises(DeliveryError, match=r"no_rows\.customer_interactions"):
        retailer.deliver(MONDAY)
    assert retailer.store.find(silver.SILVER) is None
    landed, cleaned = retailer.deliver(MONDAY, "quality.accept=[no_rows,stale]", REASON)
    assert "accepted without having failed: stale" in cleaned.headline
    assert "accepted_gates" not in retailer.silver().tags
    run = Tracker(retailer.tracking).client.get_run(landed.run_id)
    assert run.data.tags["accepted_gates"] == "no_rows.customer_interactions"
    assert run.data.tags["accepted_because"] == "the archive was closed"
