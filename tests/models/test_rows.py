"""Rows of a training set: what a registered model says that it takes."""

import numpy as np
import pandas as pd

from spanishgas.models.rows import column_types


def test_types_are_what_mlflow_can_take_without_changing_a_value() -> None:
    features = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "number": [0.5, np.nan, 1.0],
            "never_known": [np.nan] * 3,
            "flag": [True, False, True],
            "flag_that_may_be_unknown": pd.Series([True, None, False], dtype=object),
            "nullable": pd.array([True, None, False], dtype="boolean"),
            "word": [None, "web", "shop"],
            "nobody_has": pd.Series([None] * 3, dtype=object),
        }
    )
    assert column_types(features) == {
        "whole": "double",
        "number": "double",
        "never_known": "double",
        "flag": "boolean",
        "flag_that_may_be_unknown": "any",
        "nullable": "any",
        "word": "string",
        "nobody_has": "any",
    }
