"""Features as numbers: one block where that can be, and the same numbers as one column at a time."""

import time

import numpy as np
import pandas as pd
import pytest

from spanishgas.models import encoding
from spanishgas.models.encoding import Encoding
from spanishgas.models.trees import FEW_ROWS
from tests.models.worlds import fitted, world

COLUMNS = {
    "double": [1.5, np.nan, -0.0],
    "single": np.array([0.1, np.nan, 3e38], np.float32),
    "whole": np.array([1, -2, 2**53], np.int64),
    "large": np.array([1, 2, 2**64 - 1], np.uint64),
    "flag": [True, False, True],
    "none": np.array([None, None, None], object),
    "mixed": np.array([1, None, 2.5], object),
    "flags": np.array([True, None, False], object),
    "told": np.array(["7", "many", None], object),
    "Int64": pd.array([1, None, 2**53], "Int64"),
    "Float64": pd.array([0.25, None, 1.0], "Float64"),
    "boolean": pd.array([True, None, False], "boolean"),
    "arrow": pd.array([0.5, None, 2.0], "double[pyarrow]"),
    "words": np.array(["b", None, "unseen"], object),
    "string": pd.array(["a", None, "b"], "string"),
    "category": pd.Categorical(["a", None, "b"]),
}
WORDS = dict.fromkeys(("words", "string", "category"), ("a", "b"))


def one_by_one(features: pd.DataFrame, words: dict[str, tuple[str, ...]]) -> np.ndarray:
    """As it was done before: slow, and simple enough to be right."""
    columns = []
    for name in features.columns:
        values = features[name].astype("object")
        if name in words:
            places = {word: float(place) for place, word in enumerate(words[name])}
            numbers = values.map(places, na_action="ignore")
        else:
            numbers = pd.to_numeric(values, errors="coerce")
        columns.append(np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan), np.float64))
    return np.column_stack(columns)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(0, 1), slice(1, 2), slice(0, 0)], ids=str)
def test_every_type_gives_the_numbers_of_one_column_at_a_time(rows: slice) -> None:
    features = pd.DataFrame(COLUMNS).iloc[rows]
    found = Encoding(tuple(COLUMNS), WORDS).numbers(features)
    np.testing.assert_array_equal(found, one_by_one(features, WORDS))


def test_columns_come_in_the_order_learned_and_others_are_left_out() -> None:
    features = pd.DataFrame({"b": [1.0, 2.0], "more": [5.0, 6.0], "a": ["x", "y"]})
    found = Encoding(("a", "b"), {"a": ("y",)}).numbers(features)
    np.testing.assert_array_equal(found, [[np.nan, 1.0], [0.0, 2.0]])
    assert Encoding(()).numbers(features).shape == (2, 0)


def test_plain_numbers_are_never_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("one by one")

    monkeypatch.setattr(encoding.Encoding, "_column", refuse)
    names = ("double", "single", "whole", "flag")
    assert Encoding(names).numbers(pd.DataFrame(COLUMNS)[list(names)]).shape == (3, 4)


def test_few_rows_and_many_are_scored_the_same_by_trees() -> None:
    model, _ = fitted("xgboost")
    features, *_ = world(FEW_ROWS + 200, seed=5)
    many = model.predict_windows(features)
    few = np.vstack(
        [model.predict_windows(features.iloc[start : start + 300]) for start in range(0, len(features), 300)]
    )
    np.testing.assert_array_equal(few, many)
    alone = np.vstack([model.predict_windows(features.iloc[[row]]) for row in range(20)])
    np.testing.assert_array_equal(alone, many[:20])


def test_one_row_of_many_columns_is_fast() -> None:
    features = pd.DataFrame({f"x{number}": [float(number)] for number in range(200)})
    coding = Encoding(tuple(features.columns))
    taken = []
    for _ in range(20):
        started = time.process_time()
        coding.numbers(features)
        taken.append(time.process_time() - started)
    assert min(taken) < 0.01  # one by one: over 0.025
