"""Rows at risk as bins: the trees of plain matrices, however they are cut into batches."""

import numpy as np
import pytest
import xgboost

from spanishgas.models import bins
from spanishgas.models.encoding import Encoding
from spanishgas.models.hazard import person_periods
from tests.models.worlds import world

PARAMETERS = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 3, "subsample": 0.8, "nthread": 2}


@pytest.mark.parametrize("batch", [100_000, 997])
def test_trees_are_those_of_a_plain_matrix(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bins, "BATCH", batch)
    features, windows, _, _ = world()
    weights = np.random.default_rng(1).choice([1.0, 1.37, 10.0], windows.shape)
    periods, encoding = person_periods(windows, weights), Encoding.learn(features)
    numbers = encoding.numbers(features)
    names = [*encoding.names, "window"]
    rows = np.column_stack([numbers[periods.row], periods.window])
    plain = xgboost.DMatrix(rows, periods.outcome, weight=periods.weight, feature_names=names)
    made = bins.binned(encoding.small_numbers(features), periods, names)
    assert (made.num_row(), made.num_col()) == rows.shape
    later = bins.binned(encoding.small_numbers(features), periods, names, made)
    trees = [xgboost.train(PARAMETERS, matrix, 40) for matrix in (plain, made)]
    assert trees[0].save_raw("ubj") == trees[1].save_raw("ubj")
    assert trees[0].eval(later) == trees[0].eval(plain)


def test_small_numbers_are_the_numbers_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanishgas.models.encoding.CHUNK", 1000)
    features, *_ = world()
    encoding = Encoding.learn(features)
    whole = encoding.numbers(features).astype(np.float32)
    np.testing.assert_array_equal(encoding.small_numbers(features), whole)
