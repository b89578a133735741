"""Monitoring on a small retailer: reports on the runs, faults planted in raw files, outcomes that come in later."""

import io
import json
from datetime import date
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from spanishgas.errors import ModelFileError
from spanishgas.stages import (
    drift,
    features,
    ingest,
    performance,
    recommend,
    retrain_signal,
    score,
    segment,
    silver,
    train,
)
from spanishgas.stages.catalog import STAGES
from spanishgas.stages.churn_models import champion_of, fetch_baseline
from spanishgas.stages.runner import Outcome
from tests.e2e.worlds import SIZE, WIDE, Retailer, copy_of, later, settings_of
from tests.pages import crowded, hidden_settings

# They plan something in other worlds only.
LOOKED_AT_ELSEWHERE = ("promote", "measure", "replay", "erase", "retention", "export")


def artifacts(retailer: Retailer, outcome: Outcome, folder: str = "") -> set[str]:
    return {item.path for item in retailer.tracker.client.list_artifacts(outcome.run_id, folder or None)}


def alarms(retailer: Retailer, outcome: Outcome) -> dict[str, str]:
    """Alarm -> root."""
    table = retailer.table(outcome, "drift_checks")
    found = table[table["state"] == "alarm"]
    return dict(zip(found["check"] + ":" + found["subject"], found["root"], strict=True))


def test_drift_leaves_its_report_on_the_run(retailer: Retailer) -> None:
    outcome = retailer.run(drift.STAGE)
    run = retailer.tracker.client.get_run(outcome.run_id)
    assert artifacts(retailer, outcome, "evidently") == {"evidently/drift.html", "evidently/drift.json"}
    assert "report.md" in artifacts(retailer, outcome)
    summary = retailer.table(outcome, "drift_summary").iloc[0]
    checks = retailer.table(outcome, "drift_checks")
    bins = retailer.table(outcome, "drift_bins")
    scores = retailer.table(retailer.run(score.STAGE), "scoring")
    assert summary["customers"] == len(scores)
    assert summary["mean_risk"] == pytest.approx(scores["risk"].mean(), rel=1e-9)
    assert summary["alarms"] == (checks["state"] == "alarm").sum() == run.data.metrics["drift_alarms"]
    shares = bins.groupby("subject")[["reference_share", "current_share"]].sum()
    assert (shares - 1).abs().to_numpy().max() < 1e-9
    assert {"prediction_psi", "largest_psi", "mean_risk"} <= set(run.data.metrics)
    figures = pd.read_csv(io.StringIO(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/tables/figures.csv")))
    psi = figures[figures["figure"] == "psi"].set_index("of")["value"]
    told = checks[checks["check"] == "distribution"].dropna(subset="value").set_index("subject")["value"]
    assert psi.drop("risk").to_dict() == pytest.approx(told.to_dict())
    assert psi["risk"] == pytest.approx(run.data.metrics["prediction_psi"], rel=1e-12)
    assert psi.max() >= run.data.metrics["largest_psi"] == told.max()
    assert run.data.tags["drift"] == summary["state"]
    assert run.data.tags["drift_roots"].replace("none", "") == summary["roots"]
    used = set(checks[checks["is_used"] & (checks["check"] == "distribution")]["subject"])
    assert "price_energy_eur_kwh" not in used  # its level trends: models leave it out
    assert "tenure_days" in used
    assert retailer.run(drift.STAGE).cached


@pytest.mark.drill
def test_the_baseline_goes_with_the_champion_whatever_is_trained_after_it(retailer: Retailer) -> None:
    first = retailer.run(drift.STAGE)
    settings = settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE)
    retailer.run(train.STAGE, "labels.exclude_features=[tenure_days]")
    again = retailer.run(drift.STAGE)
    assert again.cached
    with retailer.tracker.run("look", tags={}) as run:
        version = champion_of(settings, run.models)
        baseline = fetch_baseline(run.models, version, retailer.root / "look")
        assert {day.isoformat() for day in baseline.dates} == {"2024-02-29", "2024-05-31"}
        assert baseline.data_until == date(2024, 11, 30)
        assert baseline.outcomes_until == date(2024, 7, 30)
        assert baseline.judged_on == "test"
        assert 0 < baseline.figures["roc_auc"] < 1
        lost = type(version)(version.name, version.version, "0" * 64, version.run_id, {}, version.model_id)
        with pytest.raises(ModelFileError, match="has no baseline of what it was trained on"):
            fetch_baseline(run.models, lost, retailer.root / "lost")
    assert first.manifests[0].tags["reference_as_of"] == "2024-02-29"


def test_charts_of_one_run_go_over_run_dates(retailer: Retailer) -> None:
    retailer.run(drift.STAGE, "monitoring.evidently=none")
    later = retailer.run(drift.STAGE, "run_date=2024-12-20", "monitoring.evidently=none")
    history = retailer.tracker.client.get_metric_history(later.run_id, "run_dates/largest_psi")
    told = [(pd.Timestamp(point.timestamp, unit="ms").date().isoformat(), point.step) for point in history]
    assert sorted(told) == [("2024-12-09", 20241209), ("2024-12-20", 20241220)]
    assert artifacts(retailer, later, "evidently") == set()
    assert "tables/run_dates.csv" in artifacts(retailer, later, "tables")


@pytest.mark.drill
def test_doubled_prices_in_a_file_are_told_by_their_root(retailer: Retailer) -> None:
    before = alarms(retailer, retailer.run(drift.STAGE, "monitoring.evidently=none"))
    file = retailer.root / "raw" / "current" / "price_history.csv"
    prices = pd.read_csv(file)
    late = pd.to_datetime(prices["pricing_date"], errors="coerce") >= "2024-11-01"
    for name in [one for one in prices.columns if "variable_price" in one]:
        prices[name] = pd.to_numeric(prices[name], errors="coerce")
        prices.loc[late, name] *= 2
    prices.to_csv(file, index=False)
    for stage in (ingest.STAGE, silver.STAGE, features.STAGE):
        retailer.run(stage)
    after = alarms(retailer, retailer.run(drift.STAGE, "monitoring.evidently=none"))
    root = "distribution:price_energy_eur_kwh"
    assert after[root] == root
    new = {key: hangs for key, hangs in after.items() if key not in before}
    assert {key for key, hangs in new.items() if key == hangs} == {root}
    assert {"distribution:price_peak_eur_kwh", "distribution:price_rise_90d"} <= set(new)
    assert not any(key.partition(":")[2].startswith(("elec_", "gas_kwh", "interactions")) for key in new)


def test_files_that_stopped_coming_are_told(retailer: Retailer) -> None:
    outcome = retailer.run(drift.STAGE, "run_date=2025-01-25", "monitoring.evidently=none")
    found = alarms(retailer, outcome)
    assert found["freshness:consumption_daily"] == "freshness:consumption_daily"
    table = retailer.table(outcome, "drift_checks").set_index(["check", "subject"])
    assert table.loc[("freshness", "consumption_daily"), "current"] == 56
    assert (
        retailer.run(drift.STAGE, "monitoring.evidently=none").manifests[0].tags["drift_roots"].count("freshness") == 0
    )


@pytest.mark.decided
@pytest.mark.drill
def test_scores_meet_their_outcomes_once_these_are_mature(retailer: Retailer, followed: Path, tmp_path: Path) -> None:
    for stage in (score.STAGE, recommend.STAGE, segment.STAGE):
        retailer.run(stage)
    early = retailer.run(performance.STAGE, "monitoring.evidently=none")
    settings = settings_of(retailer.root, retailer.tracking, *SIZE, *WIDE)
    with retailer.tracker.run("look", tags={}) as run:
        for stage in STAGES:
            if stage.name not in LOOKED_AT_ELSEWHERE:
                assert hidden_settings(stage, settings, retailer.store, run.models) == ""
    assert list(crowded(retailer.tracker.client)) == []
    table = retailer.table(early, "model_performance")
    assert set(table["status"]) <= {"estimated", "unknown"}
    assert retailer.table(early, "business_months")["status"].tolist() == ["unknown"]
    made = retailer.table(retailer.run(recommend.STAGE), "recommendations").set_index("customer_id")
    scores = retailer.table(retailer.run(score.STAGE), "scoring").set_index("customer_id")
    retailer = copy_of(followed, tmp_path / "later")
    outcome = retailer.run(performance.STAGE, *later(retailer), "run_date=2025-05-10")
    assert artifacts(retailer, outcome, "evidently") == {"evidently/model_perf.html", "evidently/model_perf.json"}
    assert {"report.md", "model_perf.md"} <= artifacts(retailer, outcome)
    found = retailer.table(outcome, "model_performance")
    found = found[(found["group"] == "month") & (found["metric"] == "observed_over_expected")].set_index("population")
    # The same told apart from the stage: who left in the 60 days of this retailer's horizon.
    events = retailer.silver("churn_events")
    events = events[events["churn"].astype(bool)].sort_values("known_at").drop_duplicates("customer_id", keep="last")
    left = pd.to_datetime(events.set_index("customer_id")["churn_date"]).reindex(scores.index)
    there = scores[~(left <= "2024-11-30")]
    gone = ((left > "2024-11-30") & (left <= pd.Timestamp("2024-11-30") + pd.Timedelta(days=60))).reindex(there.index)
    plans = made.reindex(there.index)
    offers = retailer.silver("retention_offers")
    offered = offers[(offers["action"] != "none") & (pd.to_datetime(offers["offer_date"]) > "2024-11-30")][
        "customer_id"
    ]
    treated = (
        plans["planned_action"].ne("none")
        & ~plans["is_held_out"].astype("boolean").fillna(False)
        & plans["planned_action"].notna()
    )
    held = plans["is_held_out"].astype("boolean").fillna(False).astype(bool)
    assert found.loc["treated", "rows"] == treated.sum()
    assert found.loc["treated", "leavers"] == gone[treated].sum()
    assert found.loc["held_out", "rows"] == held.sum()
    assert found.loc["held_out", "leavers"] == gone[held].sum()
    never = ~treated & ~held & ~there.index.isin(set(offered))
    assert found.loc["never_targeted", "rows"] == never.sum()
    assert found.loc["never_targeted", "leavers"] == gone[never].sum()
    assert found.loc["never_targeted", "expected"] == pytest.approx(there["risk"][never].mean(), rel=0.02)
    business = retailer.table(outcome, "business_months").iloc[0]
    assert (business["offers"], business["held_out"]) == ((made["action"] != "none").sum(), made["is_held_out"].sum())
    assert business["followed_days"] == 90
    assert business["expected_margin_eur"] == pytest.approx(made["expected_margin_impact"].sum())


@pytest.mark.drill
def test_scores_of_a_time_that_was_learned_are_left_out(retailer: Retailer) -> None:
    retailer.run(features.STAGE, "as_of=2024-06-30")
    retailer.run(score.STAGE, "run_date=2024-07-09")
    outcome = retailer.run(performance.STAGE, "monitoring.evidently=none")
    assert not len(retailer.table(outcome, "model_performance"))
    text = retailer.tracker.client.get_run(outcome.run_id).data.tags["mlflow.note.content"]
    assert "it learned from outcomes until 2024-07-30, so they are no foresight" in text


def test_the_signal_is_a_table_a_file_and_a_tag(retailer: Retailer) -> None:
    retailer.run(drift.STAGE, "monitoring.evidently=none")
    calm = retailer.run(retrain_signal.STAGE)
    run = retailer.tracker.client.get_run(calm.run_id)
    told = json.loads((retailer.root / "gold" / "retrain_signal.json").read_text())
    assert (run.data.tags["retrain"], told["retrain"]) == ("false", False)
    assert "retrain_signal.json" in artifacts(retailer, calm)
    assert told["evidence"]["model_age_days"] == 192
    assert told["evidence"]["days_since_training"] == 9
    old = ("monitoring.signal.max_age_days=100", "monitoring.signal.cooldown_days=5")
    due = retailer.run(retrain_signal.STAGE, *old)
    row = retailer.table(due, "retrain_signal").iloc[0]
    assert (bool(row["retrain"]), row["reasons"], row["held_back_by"]) == (True, "age", "")
    held = retailer.run(retrain_signal.STAGE, old[0])
    row = retailer.table(held, "retrain_signal").iloc[0]
    assert (bool(row["retrain"]), row["reasons"], row["held_back_by"]) == (False, "age", "cooldown")
    # How the signal is obeyed is no reason to decide again, and an older date is not the newest signal.
    assert retailer.run(retrain_signal.STAGE, old[0], "monitoring.signal.exit_code=10").cached
    retailer.run(retrain_signal.STAGE, "run_date=2024-12-01", *old)
    assert json.loads((retailer.root / "gold" / "retrain_signal.json").read_text())["run_date"] == "2024-12-09"


def test_without_a_champion_monitoring_waits_and_the_signal_says_train(retailer: Retailer) -> None:
    client = retailer.tracker.client
    client.delete_registered_model_alias("churn", "champion")
    for stage, words in ((drift.STAGE, "no champion yet"), (performance.STAGE, "nothing to judge")):
        outcome = retailer.run(stage)
        assert outcome.manifests == ()
        assert words in outcome.headline
    outcome = retailer.run(retrain_signal.STAGE)
    row = retailer.table(outcome, "retrain_signal").iloc[0]
    assert (bool(row["retrain"]), row["reasons"]) == (True, "no_champion")
