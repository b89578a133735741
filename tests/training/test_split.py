"""Splits: embargo, order, and stability of the hash."""

from datetime import date, timedelta

import pandas as pd
import pytest

from spanishgas.config import EngineSettings, LabelSettings
from spanishgas.domain.civil_time import month_end
from spanishgas.engine.session import open_engine
from spanishgas.errors import ConfigError
from spanishgas.training.split import learned_months, months_of, split_by_customer, training_as_of

GOOD = {
    "train": {"first": "2024-04-30", "last": "2024-11-30"},
    "valid": {"first": "2025-03-31", "last": "2025-04-30"},
    "test": {"first": "2025-08-31", "last": "2025-09-30"},
}
CUT, BEGIN = date(2026, 1, 31), date(2024, 1, 1)


def labels_of(**split: object) -> LabelSettings:
    return LabelSettings.model_validate({"split": split})


def ends(days: tuple[date, ...]) -> tuple[str, str, int]:
    return str(days[0]), str(days[-1]), len(days)


def test_months_are_counted_back_from_the_newest_mature_one() -> None:
    found = months_of(LabelSettings(), CUT, BEGIN)
    assert {name: ends(days) for name, days in found.items()} == {
        "train": ("2024-04-30", "2024-11-30", 8),
        "valid": ("2025-03-31", "2025-04-30", 2),
        "test": ("2025-08-31", "2025-09-30", 2),
        # Months between the splits: three before valid and three before test.
        "embargo": ("2024-12-31", "2025-07-31", 6),
    }
    later = months_of(LabelSettings(), date(2026, 7, 31), BEGIN)
    assert {name: ends(days) for name, days in later.items()} == {
        "train": ("2024-06-30", "2025-05-31", 12),
        "valid": ("2025-09-30", "2025-10-31", 2),
        "test": ("2026-02-28", "2026-03-31", 2),
        "embargo": ("2025-06-30", "2026-01-31", 6),
    }
    assert training_as_of(LabelSettings(), CUT, CUT, BEGIN) == learned_months(LabelSettings(), CUT, BEGIN)


@pytest.mark.parametrize("cut", [date(2026, 1, 12), date(2026, 1, 13), date(2026, 3, 31)])
def test_the_newest_month_of_test_is_mature_to_the_day(cut: date) -> None:
    newest = months_of(LabelSettings(), cut, BEGIN)["test"][-1]
    assert newest + timedelta(days=105) <= cut < month_end(newest + timedelta(days=1)) + timedelta(days=105)


def test_splits_lie_apart_by_the_embargo_and_no_further_than_a_month_more() -> None:
    for wanted in ({}, {"embargo_days": 140}, {"test_months": 1, "valid_months": 3}, {"months_before_cut": 7}):
        labels = labels_of(**wanted)
        found = months_of(labels, CUT, BEGIN)
        embargo = timedelta(days=labels.split.embargo_days or 105)
        for earlier, later in (("train", "valid"), ("valid", "test")):
            gap = found[later][0] - found[earlier][-1]
            assert embargo <= gap < embargo + timedelta(days=31)
    assert found["test"][-1] == date(2025, 6, 30)


def test_a_history_that_is_too_short_tells_what_there_is_and_what_is_needed() -> None:
    words = r"5 months from 2025-05-31 to 2025-09-30 have known outcomes and 4 months of .*need 11, with an embargo"
    with pytest.raises(ConfigError, match=words):
        months_of(LabelSettings(), CUT, date(2025, 2, 1))
    with pytest.raises(ConfigError, match=r"0 months from"):
        months_of(LabelSettings(), CUT, date(2025, 12, 1))
    # One month more than too few is enough.
    assert ends(months_of(LabelSettings(), CUT, date(2024, 8, 1))["train"]) == ("2024-11-30", "2024-11-30", 1)
    with pytest.raises(ConfigError, match="10 months from 2024-12-31"):
        months_of(LabelSettings(), CUT, date(2024, 8, 2))


def test_a_month_that_is_not_mature_cannot_be_wished_for() -> None:
    with pytest.raises(ConfigError, match="outcomes of 2025-10-31 are not mature at the data cut 2026-01-31"):
        months_of(labels_of(months_before_cut=3), CUT, BEGIN)
    with pytest.raises(ValueError, match="must be at least horizon_days"):
        labels_of(embargo_days=104)
    with pytest.raises(ConfigError, match="where the history of prices and readings begins"):
        months_of(LabelSettings(), CUT, None)


def test_dates_are_month_ends_in_order() -> None:
    labels = labels_of(**GOOD)
    days = months_of(labels, CUT, None)
    assert [len(found) for found in days.values()] == [8, 2, 2, 0]
    assert training_as_of(labels, CUT, CUT, None) == tuple(sorted(sum(days.values(), ())))
    with pytest.raises(ValueError, match="given for train, test only"):
        labels_of(train=GOOD["train"], test=GOOD["test"])


@pytest.mark.parametrize("valid", ["2025-02-28", "2024-11-30"])
def test_splits_closer_than_the_embargo_are_refused(valid: str) -> None:
    labels = labels_of(**{**GOOD, "valid": {"first": valid, "last": "2025-04-30"}})
    with pytest.raises(ConfigError, match=r"less than the embargo of 105 days.*begin on or after 2025-03-15"):
        months_of(labels, CUT, None)


def test_a_snapshot_has_one_date() -> None:
    labels = LabelSettings(kind="snapshot", shares={"train": 1.0})
    assert training_as_of(labels, date(2016, 1, 1), CUT, None) == (date(2016, 1, 1),)


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
