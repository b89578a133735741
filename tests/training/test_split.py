"""Splits: embargo, order, and stability of the hash."""

from datetime import date

import pandas as pd
import pytest

from spanishgas.config import EngineSettings, LabelSettings
from spanishgas.engine.session import open_engine
from spanishgas.errors import ConfigError
from spanishgas.training.split import dates_by_split, split_by_customer, training_as_of

GOOD = {
    "train": {"first": "2024-04-30", "last": "2024-11-30"},
    "valid": {"first": "2025-03-31", "last": "2025-04-30"},
    "test": {"first": "2025-08-31", "last": "2025-09-30"},
}


def test_dates_are_month_ends_in_order() -> None:
    labels = LabelSettings.model_validate({"split": GOOD})
    days = dates_by_split(labels)
    assert [len(found) for found in days.values()] == [8, 2, 2]
    assert training_as_of(labels, date(2026, 1, 31)) == tuple(sorted(sum(days.values(), ())))


@pytest.mark.parametrize("valid", ["2025-02-28", "2024-11-30"])
def test_splits_closer_than_the_embargo_are_refused(valid: str) -> None:
    labels = LabelSettings.model_validate({"split": {**GOOD, "valid": {"first": valid, "last": "2025-04-30"}}})
    with pytest.raises(ConfigError, match=r"less than the embargo of 105 days.*begin on or after 2025-03-15"):
        dates_by_split(labels)


def test_a_snapshot_has_one_date() -> None:
    labels = LabelSettings(kind="snapshot", shares={"train": 1.0})
    assert training_as_of(labels, date(2016, 1, 1)) == (date(2016, 1, 1),)


def test_the_split_of_a_customer_does_not_depend_on_the_others(tmp_path) -> None:  # type: ignore[no-untyped-def]
    shares = {"train": 0.6, "valid": 0.2, "test": 0.2}
    names = [f"C{number:05d}" for number in range(4000)]
    with open_engine(EngineSettings(threads=1), tmp_path) as engine:
        whole, part = (
            engine.frame(split_by_customer(engine, engine.table(pd.DataFrame({"customer_id": some})), shares))
            for some in (names, names[1000:1500])
        )
    assert part.merge(whole, on="customer_id").eval("split_x == split_y").all()
    assert whole["split"].value_counts(normalize=True).to_dict() == pytest.approx(shares, abs=0.03)
    # Frozen: a change of the hash would silently exchange training and test customers.
    assert whole.set_index("customer_id")["split"].loc[["C00000", "C00001", "C00002", "C00003"]].tolist() == [
        "test", "test", "train", "train",
    ]  # fmt: skip
