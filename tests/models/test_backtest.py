"""Rolling origins: who learns, who stops and calibrates, who is judged."""

from datetime import date

import pandas as pd
import pytest

from spanishgas.config import EvaluationSettings, LogisticSettings
from spanishgas.errors import ContractError
from spanishgas.models.backtest import RECENT_DATES, _overlap, _parts, backtest
from spanishgas.models.rows import Rows
from spanishgas.models.training_run import Known
from tests.models.worlds import training_table

KNOWN = Known({}, (), is_temporal=True, horizon_days=90)


def origin_table(dates: int = 8) -> pd.DataFrame:
    """One origin with many dates to learn from."""
    table = training_table(600)
    learned = table[table["split"] == "train"]
    days = pd.date_range("2024-01-31", periods=dates, freq="ME").date
    parts = [learned.iloc[:600].assign(as_of=day) for day in days]
    return pd.concat([*parts, table[table["split"] == "test"]], ignore_index=True)


def test_train_and_valid_share_no_customer_and_valid_is_recent() -> None:
    rows = Rows.of(origin_table()).of_split("train")
    train, valid = _parts(rows)
    assert set(train.keys["customer_id"]).isdisjoint(valid.keys["customer_id"])
    assert len(set(valid.keys["customer_id"])) == pytest.approx(len(set(rows.keys["customer_id"])) / 4, rel=0.3)
    learned = sorted(rows.keys["as_of"].unique())
    assert sorted(valid.keys["as_of"].unique()) == learned[-RECENT_DATES:]
    assert sorted(train.keys["as_of"].unique()) == learned


def test_every_origin_is_told() -> None:
    days = [date(2024, 9, 30), date(2024, 10, 31)]
    found = backtest(
        ((day, origin_table(3)) for day in days),
        LogisticSettings(),
        EvaluationSettings(replicates=5),
        KNOWN,
        calibrated_months=2,
        threads=1,
    )
    assert sorted(found.metrics["origin"].unique()) == days
    assert found.summary["origins"] == 2
    # The same rows at both: the same figures, the same features.
    assert found.summary["backtest_pr_auc_sd"] == 0.0
    assert found.summary["backtest_top_features_kept"] == min(found.features["feature"].nunique(), 10) / 10
    assert "2024-10-31" in found.report
    with pytest.raises(ContractError, match="no origin"):
        backtest([], LogisticSettings(), EvaluationSettings(), KNOWN, calibrated_months=2, threads=1)


def test_kept_features_are_counted() -> None:
    names = [f"f{number}" for number in range(12)]
    first = pd.DataFrame({"origin": date(2024, 9, 30), "feature": names, "rank": range(1, 13)})
    second = pd.DataFrame({"origin": date(2024, 10, 31), "feature": names[2:] + names[:2], "rank": range(1, 13)})
    assert _overlap(pd.concat([first, second])) == [0.8]
