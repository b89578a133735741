"""What moves the scores, for everybody and for one customer."""

import numpy as np
import pandas as pd

from spanishgas.models.explain import global_table, per_customer


def test_the_global_table_orders_by_size_and_tells_directions() -> None:
    features = pd.DataFrame({"up": [1.0, 2, 3, 4], "down": [1.0, 2, 3, 4], "word": list("abab"), "flat": [1.0] * 4})
    added = pd.DataFrame({"up": [0.1, 0.2, 0.3, 0.4], "down": [2.0, 1, -1, -2], "word": [0.0] * 4, "flat": [0.0] * 4})
    table = global_table(added, features).set_index("feature")
    assert list(table.index)[:2] == ["down", "up"]
    assert table["direction"]["up"] == 1.0
    assert table["direction"]["down"] == -1.0
    assert np.isnan(table["direction"]["word"])
    assert np.isnan(table["direction"]["flat"])
    assert table["mean_abs"]["down"] == 1.5


def test_a_customers_reasons_are_those_that_move_their_score_most() -> None:
    keys = pd.DataFrame({"customer_id": ["a", "b"], "as_of": ["2024-01-31"] * 2})
    added = pd.DataFrame({"x": [0.5, -0.1], "y": [0.2, -0.4], "z": [-0.3, -0.2]})
    table = per_customer(keys, np.array([0.3, 0.1]), added, reasons=2).set_index("customer_id")
    first, second = table.loc["a"], table.loc["b"]
    assert (first["raises_1"], first["raises_1_by"], first["raises_2"]) == ("x", 0.5, "y")
    assert (first["lowers_1"], first["lowers_1_by"]) == ("z", -0.3)
    assert first["lowers_2"] is None
    assert second["raises_1"] is None
    assert (second["lowers_1"], second["lowers_2"]) == ("y", "z")
