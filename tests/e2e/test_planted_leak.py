"""A column that knows the future is caught, whichever way it comes in."""

import re
from datetime import date
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import DemoSettings, ExtraColumn, ExtraTable, LabelSettings, SourcePart
from spanishgas.training import TrainingSetResult, build_training_set, training_as_of
from tests.support import ALL_FAMILIES, Pipeline, RawWorld, demo_world

SETTINGS = DemoSettings(customers=500, start=date(2024, 1, 1), end=date(2024, 12, 31), seed=2, churn_rate_90d=0.15)
LABELS = LabelSettings.model_validate(
    {
        "horizon_days": 30,
        "audit_min_rows": 15,
        "split": {
            "train": {"first": "2024-03-31", "last": "2024-04-30"},
            "valid": {"first": "2024-06-30", "last": "2024-07-31"},
            "test": {"first": "2024-09-30", "last": "2024-10-31"},
        },
    }
)
STATUS = ExtraTable(
    part=SourcePart(files="extras.csv"),
    columns={
        # The mistake of a retailer who takes a column of today for one that never changes.
        "status": ExtraColumn(column="status", type="string", description="State of the account.", known_at="static"),
        "score": ExtraColumn(column="score", type="float", description="A score.", known_at="static"),
    },
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingSetResult]:
    """As it is, and where the audit may look at two thirds of the rows only."""
    world = demo_world(SETTINGS)
    labels = world.tables["churn_label"]
    rng = np.random.default_rng(0)
    left = pd.to_datetime(labels["churn_date"])
    extras = pd.DataFrame(
        {
            "customer_id": labels["customer_id"],
            "status": ("closed in " + left.dt.strftime("%Y-%m")).fillna("open"),
            "score": rng.normal(size=len(labels)),
        }
    )
    # Readings are not what this is about.
    world = RawWorld(world.tables, world.interactions, world.hourly.slice(0, 24), extras)
    with Pipeline(tmp_path_factory.mktemp("leak"), extras=(STATUS,)).run(world) as built:
        features = built.features(training_as_of(LABELS, SETTINGS.end, SETTINGS.end, None), ALL_FAMILIES)
        made = []
        for share in (1.0, 2 / 3):
            rows = made[0].counts[["stayed", "left"]].to_numpy().sum() if made else 1_000_000
            with patch("spanishgas.training.dataset.AUDITED_ROWS", int(rows * share)):
                made.append(
                    build_training_set(
                        built.engine, silver=built.tables, features=features.features, labels=LABELS, cut=SETTINGS.end
                    )
                )
        return made


@pytest.fixture
def result(results: list[TrainingSetResult]) -> TrainingSetResult:
    return results[0]


def test_a_part_of_the_customers_is_looked_at_where_there_are_too_many(results: list[TrainingSetResult]) -> None:
    whole, part = results
    assert "of the customers, with all their rows" not in whole.report
    assert re.search(r"It looked at \d\d\.\d\d% of the customers, with all their rows\.", part.report)
    # Everything but the audit is of all rows.
    pd.testing.assert_frame_equal(whole.counts, part.counts)
    assert "extra_status" in set(part.audit["feature"])
    assert not part.audit.equals(whole.audit)


def test_the_planted_column_is_flagged(result: TrainingSetResult) -> None:
    assert "extra_status" in set(result.audit["feature"])
    assert "extra_score" not in set(result.audit["feature"])
    assert "| extra_status |" in result.report


def test_no_honest_feature_tells_too_much(result: TrainingSetResult) -> None:
    flagged = result.audit[(result.audit["chance"] < 1e-4) | (result.audit["check"] == "roc_auc")]
    assert set(flagged["feature"]) <= {"extra_status"}


def test_rows_are_told_per_split_date_and_class(result: TrainingSetResult) -> None:
    counts = result.counts
    assert counts.groupby("split").size().to_dict() == {"train": 2, "valid": 2, "test": 2}
    assert (counts["rows"] == counts["stayed"] + counts["left"] + counts["censored"]).all()
    assert result.facts["rows_train"] == counts.loc[counts["split"] == "train", "rows"].sum()
    assert result.facts["left_unregistered"] > 0
    assert result.facts["censored_by_offer"] > 0
