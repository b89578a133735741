"""Samples of a training set: who is drawn, and that figures and models stay those of everybody."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from spanishgas.config import EngineSettings, LogisticSettings, SampleSettings
from spanishgas.engine.session import open_engine
from spanishgas.evaluation import assess
from spanishgas.models.files import scores
from spanishgas.models.fitting import fit
from spanishgas.models.hazard import HazardModel, union_of
from spanishgas.models.judging import scored
from spanishgas.models.rows import Rows
from spanishgas.training.sampling import are_alike, sampled
from tests.models.worlds import WINDOWS, training_table, world

SHARE = 0.1
DRAWS = 12


def sample_of(table: pd.DataFrame, share: float, folder: Path, leavers: float = 1.0) -> pd.DataFrame:
    with open_engine(EngineSettings(), folder) as engine:
        keys = ["customer_id", "as_of", "left_horizon", *(f"left_{one}" for one in WINDOWS)]
        found = engine.frame(sampled(engine.table(table[keys]), SampleSettings(stayers=share, leavers=leavers)))
    found["as_of"] = pd.to_datetime(found["as_of"]).dt.date
    marks = found[["customer_id", "as_of", "sampled", "sample_weight"]]
    return table.merge(marks, on=["customer_id", "as_of"], validate="1:1")


def leaves(table: pd.DataFrame) -> "pd.Series[bool]":
    return (table[[f"left_{one}" for one in (*WINDOWS, "horizon")]] == 1).any(axis=1)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return training_table(1500).drop_duplicates(["customer_id", "as_of"], ignore_index=True)


def test_all_that_leave_are_kept_and_the_whole_histories_of_who_is_drawn(table: pd.DataFrame, tmp_path: Path) -> None:
    found = sample_of(table, SHARE, tmp_path)
    drawn = {
        one
        for one in table["customer_id"]
        if int(hashlib.sha256(f"labels.sample|{one}".encode()).hexdigest()[:15], 16) < SHARE * 16**15
    }
    assert 0.05 < len(drawn) / table["customer_id"].nunique() < 0.15
    assert set(found.loc[found["sampled"], "customer_id"]) == drawn
    expected = table["customer_id"].isin(drawn) | leaves(table)
    assert len(found) == expected.sum()
    assert (found["sample_weight"] == np.where(leaves(found), 1.0, 1 / SHARE)).all()
    assert leaves(found).sum() == leaves(table).sum()
    # Of those who leave some may do: who is drawn for all rows is among them.
    fewer = sample_of(table, SHARE, tmp_path, leavers=0.5)
    assert set(fewer.loc[fewer["sampled"], "customer_id"]) == drawn
    assert 0.4 < leaves(fewer).sum() / leaves(table).sum() < 0.6
    assert (fewer["sample_weight"] == np.where(leaves(fewer), 2.0, 1 / SHARE)).all()
    # A larger share keeps who was drawn, and all is all.
    more = sample_of(table, 3 * SHARE, tmp_path)
    assert drawn < set(more.loc[more["sampled"], "customer_id"])
    whole = sample_of(table, 1.0, tmp_path)
    assert len(whole) == len(table)
    assert (whole["sampled"] & (whole["sample_weight"] == 1.0)).all()


def test_more_stayers_than_leavers_make_no_sample() -> None:
    with pytest.raises(ValidationError, match=r"sample\.stayers \(0\.5\) must be at most sample\.leavers \(0\.2\)"):
        SampleSettings(stayers=0.5, leavers=0.2)


def test_a_set_from_before_there_were_samples_is_whole(table: pd.DataFrame) -> None:
    assert are_alike(table).all()
    assert Rows.of(table).sampled.all()
    pd.testing.assert_frame_equal(Rows.of(table).alike.keys, Rows.of(table).keys)


def test_figures_of_samples_are_those_of_all_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    test = table[table["split"] == "test"]
    model = world_model(table)
    rows = Rows.of(test)
    hazards = model.predict_windows(rows.features)
    whole = assess(scored(rows, scores(hazards, rows.names)), replicates=0)
    names = ("pr_auc", "roc_auc", "recall_at_10", "log_loss", "calibration_slope", "observed_over_expected")
    found = []
    for draw in range(DRAWS):
        renamed = test.assign(customer_id=f"{draw}-" + test["customer_id"])
        some = Rows.of(sample_of(renamed, SHARE, tmp_path))
        parts = assess(scored(some, scores(model.predict_windows(some.features), some.names)), replicates=0)
        found.append([parts[name].value for name in names])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(DRAWS)
    for place, name in enumerate(names):
        assert abs(mean[place] - whole[name].value) < 4 * error[place] + 0.01, name
    # Without weights it would show: far more leave among these rows.
    assert np.nanmean(some.outcome) > 2 * np.nanmean(rows.outcome)


def world_model(table: pd.DataFrame) -> HazardModel:
    rows = Rows.of(table)
    settings = LogisticSettings.model_validate({"kind": "logistic"})
    return fit(settings, {}, rows.of_split("train"), rows.of_split("valid"), threads=1)


def test_a_model_of_a_sample_foretells_the_level_of_everybody(tmp_path: Path) -> None:
    table = training_table(3000).drop_duplicates(["customer_id", "as_of"], ignore_index=True)
    some = sample_of(table, SHARE, tmp_path, leavers=0.8)
    assert len(some) < 0.4 * len(table)
    features, _, hazards, _ = world(6000, seed=90)
    true = union_of(hazards)
    of_all, of_some = (union_of(world_model(one).predict_windows(features)) for one in (table, some))
    unweighted = union_of(world_model(some.assign(sample_weight=1.0)).predict_windows(features))
    assert of_all.mean() / true.mean() == pytest.approx(1.0, abs=0.06)
    assert of_some.mean() / true.mean() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(of_some, true)[0, 1] > 0.9
    assert unweighted.mean() / true.mean() > 1.5
