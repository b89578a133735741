"""The leak audit catches what it is there for, and keeps quiet about honest features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EngineSettings, LabelSettings, SampleSettings
from spanishgas.engine.session import open_engine
from spanishgas.training.audit import audit_features, single_feature_auc
from spanishgas.training.dataset import _audited_share
from spanishgas.training.sampling import is_drawn

LABELS = LabelSettings(kind="snapshot", shares={"train": 1.0})


def world(rows: int = 4000) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    rng = np.random.default_rng(0)
    outcome = pd.Series((rng.uniform(size=rows) < 0.08).astype(float))
    honest = rng.normal(size=rows) + 0.6 * outcome
    features = pd.DataFrame(
        {
            "honest": honest,
            "channel": rng.choice(["a", "b", "c"], rows),
            "flag": rng.uniform(size=rows) < 0.3,
            "mostly_missing": np.where(rng.uniform(size=rows) < 0.95, np.nan, honest),
            "empty": np.nan,
        }
    )
    return features, outcome


def test_honest_features_are_not_flagged() -> None:
    assert audit_features(*world(), LABELS).empty


def test_a_planted_future_column_is_flagged() -> None:
    features, outcome = world()
    features["days_until_left"] = np.where(outcome == 1, 20.0, 500.0)
    found = audit_features(features, outcome, LABELS)
    assert {"roc_auc", "high_churn", "low_churn"} == set(found.loc[found["feature"] == "days_until_left", "check"])
    assert set(found["feature"]) == {"days_until_left"}


def test_a_leak_by_being_missing_is_flagged() -> None:
    features, outcome = world()
    features["closing_reading"] = np.where(outcome == 1, np.random.default_rng(1).normal(size=len(outcome)), np.nan)
    found = audit_features(features, outcome, LABELS)
    assert "roc_auc" in set(found.loc[found["feature"] == "closing_reading", "check"])


def test_a_leak_in_one_value_of_a_text_is_flagged() -> None:
    features, outcome = world()
    features["status"] = np.where((outcome == 1) & (np.arange(len(outcome)) % 3 == 0), "closing", "usual")
    found = audit_features(features, outcome, LABELS)
    (row,) = found[found["feature"] == "status"].to_dict("records")
    assert (row["check"], row["value"], row["churn"]) == ("high_churn", "closing", 1.0)
    assert row["chance"] < 1e-10


def test_roc_auc_does_not_depend_on_the_direction() -> None:
    features, outcome = world()
    auc = single_feature_auc(pd.DataFrame({"up": features["honest"], "down": -features["honest"]}), outcome)
    assert auc["up"] == auc["down"] > 0.6


def test_a_smaller_part_of_the_customers_is_among_a_larger_one(tmp_path: Path) -> None:
    names = pd.DataFrame({"customer_id": [f"C{number:05d}" for number in range(4000)]})
    found = []
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        customers = engine.table(names)
        for share in (0.1, 0.25, 1 - 1e-12):
            chosen = engine.frame(customers.filter(is_drawn(customers.customer_id, share, "audit")))
            found.append(set(chosen["customer_id"]))
    assert found[0] < found[1] < found[2]
    assert [len(one) / 4000 for one in found] == pytest.approx([0.1, 0.25, 1.0], abs=0.03)
    counts = pd.DataFrame({"split": ["train", "embargo"], "stayed": [3_000_000, 9], "left": [1_000_000, 9]})
    assert _audited_share(counts, LABELS) == 0.25
    assert _audited_share(counts.iloc[:0], LABELS) == 1.0
    halves = LABELS.model_copy(update={"sample": SampleSettings(stayers=0.5)})
    assert _audited_share(counts, halves) == 0.5
