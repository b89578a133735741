"""A refit: the judged recipe, all rows, and a calibration that no scoring tree has seen the rows of."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EvaluationSettings, LogisticSettings, XGBoostSettings
from spanishgas.errors import ContractError
from spanishgas.evaluation import assess
from spanishgas.models.files import ChurnModel, digest_of, scores
from spanishgas.models.fitting import fit_parts
from spanishgas.models.judging import scored
from spanishgas.models.refit import by_halves, learn_again, refit
from spanishgas.models.rows import Rows
from spanishgas.models.training_run import AnyModelSettings, Known, train
from tests.models.worlds import training_table

KNOWN = Known({}, (), is_temporal=True, horizon_days=90)
QUICK = EvaluationSettings(replicates=0, groups=(), explained_rows=20)
TREES = XGBoostSettings(rounds=40, min_child_weight=1.0)
# Trees that learn their rows by heart: what they say of these is no calibration.
BY_HEART = XGBoostSettings(rounds=150, max_depth=8, min_child_weight=0.0, l2=0.0)


def with_embargo(rows: int = 900) -> pd.DataFrame:
    """A training set with a month between train and valid."""
    table = training_table(rows)
    between = table[table["as_of"] == table["as_of"].min()].assign(
        as_of=pd.Timestamp("2024-07-31").date(), split="embargo"
    )
    return pd.concat([table, between], ignore_index=True)


def judged(table: pd.DataFrame, settings: AnyModelSettings) -> ChurnModel:
    return train(table, settings, QUICK, KNOWN, threads=1).model


@pytest.mark.parametrize("settings", [LogisticSettings(), TREES], ids=["logistic", "trees"])
def test_the_recipe_is_learned_again_from_every_row(settings: AnyModelSettings, tmp_path: Path) -> None:
    table = with_embargo()
    ours = judged(table, settings)
    assert max(ours.facts["learned_as_of"]) == "2024-10-31"
    assert "2024-07-31" not in ours.facts["learned_as_of"]
    found = refit(ours, "d" * 64, table, threads=2)
    days = ["2024-04-30", "2024-05-31", "2024-07-31", "2024-10-31", "2025-03-31"]
    followed = table[[f"left_{name}" for name in ours.windows]].notna().any(axis=1)
    assert found.facts["train_as_of"] == found.facts["learned_as_of"] == days
    assert found.facts["rows_train"] == followed.sum() > 4000
    assert found.facts["judged_digest"] == "d" * 64
    assert (found.facts["recipe"], found.facts["settings"]) == (ours.facts["recipe"], ours.facts["settings"])
    assert (found.kind, found.windows, found.model.columns_) == (ours.kind, ours.windows, ours.model.columns_)
    if settings.kind == "xgboost":
        assert found.model.booster_.num_boosted_rounds() == ours.model.booster_.num_boosted_rounds()  # type: ignore[attr-defined]
    # The judged model is left as it was, and the same rows give the same files, whatever their order was.
    assert not np.allclose(found.predict(table)["risk"], ours.predict(table)["risk"])
    digests = []
    for place, one in enumerate((found, refit(ours, "d" * 64, table, threads=1))):
        one.save(tmp_path / str(place))
        digests.append(digest_of(tmp_path / str(place)))
    assert digests[0] == digests[1]
    assert ChurnModel.load(tmp_path / "0").predict(table).equals(found.predict(table))


def test_what_was_learned_by_heart_is_not_believed() -> None:
    rows = Rows.of(with_embargo(600)).followed
    found, _ = learn_again(fit_parts(BY_HEART, {}, rows, threads=1), rows, months=5, threads=1)
    assert found.calibration_.slope < 0.6
    fresh = Rows.of(training_table(3000, seed=50)).of_split("test")
    held = assess(scored(fresh, scores(found.predict_windows(fresh.features), fresh.names)), replicates=0)
    assert held["calibration_slope"].value == pytest.approx(1.0, abs=0.2)
    assert held["observed_over_expected"].value == pytest.approx(1.0, abs=0.15)


def test_the_level_is_that_of_the_newest_months() -> None:
    """As many as the recipe calibrates on, here one: half as many leave in it as in all months before."""
    table = with_embargo(1500)
    newest = (table["as_of"] == table["as_of"].max()).to_numpy()
    spared = newest & (np.random.default_rng(0).uniform(size=len(table)) < 0.5)
    windows = [name for name in table.columns if name.startswith("left_")]
    table.loc[spared, windows] = table.loc[spared, windows].replace(1.0, 0.0)
    rows = Rows.of(table).followed
    ours = judged(table, LogisticSettings())
    found = refit(ours, "", table, threads=1)
    last = Rows.of(table[newest])
    expected = found.predict(last.features)["risk"].to_numpy()[np.isfinite(last.outcome)].mean()
    assert np.nanmean(last.outcome) / expected == pytest.approx(1.0, abs=0.06)
    everything, _ = learn_again(ours.model, rows.with_features(ours.model.columns_), months=5, threads=1)
    assert np.nanmean(last.outcome) / everything.predict_risk(last.features).mean() < 0.8


def test_what_goes_on_after_the_windows_is_learned_from_all_rows_too() -> None:
    table = with_embargo(600)
    rng = np.random.default_rng(0)
    left = rng.integers(91, 1500, len(table)).astype(float)
    table = table.assign(left_day=np.where(left < 360, left, np.nan), observed_days=360)
    ours = judged(table, LogisticSettings())
    found = refit(ours, "", table, threads=1)
    assert found.survival.facts["leavers"] > 1.2 * ours.survival.facts["leavers"] > 0
    assert found.survival.centre != ours.survival.centre


def test_rows_without_the_features_cannot_be_learned_from() -> None:
    table = with_embargo(300)
    ours = judged(table, LogisticSettings())
    with pytest.raises(ContractError, match=r"cannot be refitted.*lack 1 of the features.*price"):
        refit(ours, "", table.drop(columns="price"), threads=1)


def test_recipes_are_the_settings_and_the_features_and_not_the_rows() -> None:
    table = with_embargo(300)
    recipe = judged(table, LogisticSettings()).facts["recipe"]
    assert judged(table.iloc[::2], LogisticSettings()).facts["recipe"] == recipe
    assert judged(table, LogisticSettings(c=0.2)).facts["recipe"] != recipe
    assert judged(table.drop(columns="noise"), LogisticSettings()).facts["recipe"] != recipe


def test_whoever_is_scored_by_halves_was_not_learned_from() -> None:
    table = with_embargo(300)
    ours = judged(table, BY_HEART)
    found = by_halves(ours, table, threads=1)
    customers = table["customer_id"].astype(str)
    left = (table["left_0_30"] == 1) & (table["split"] == "train")
    by_heart = refit(ours, "d" * 64, table, threads=1).predict(table)
    apart = found.predict(customers.tolist(), table)
    # Trees that have seen the leavers tell them from all others; those that have not do not.
    known, unknown = (told.loc[left, "hazard_0_30"].mean() / told["hazard_0_30"].mean() for told in (by_heart, apart))
    assert known > 2 * unknown
    assert list(apart.columns) == list(by_heart.columns)
    # Each row is what the estimator of the other half says; somebody new is scored too.
    some = table.head(40)
    alone = pd.concat([found.predict([name], some.iloc[[row]]) for row, name in enumerate(customers.head(40))])
    assert alone["risk"].to_numpy() == pytest.approx(apart["risk"].head(40).to_numpy())
    assert np.isfinite(found.predict(["nobody"], some.iloc[[0]])["risk"]).all()
