"""Bins and the PSI: a table worked by hand, missing values counted, nothing lost, nothing new hidden."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from spanishgas.errors import ModelFileError
from spanishgas.monitoring.baseline import Baseline, season_gap
from spanishgas.monitoring.bins import learn_bins, psi
from tests.monitoring.worlds import baseline, customers

# Shares .2 .3 .4 .1 against .1 .3 .3 .3, by hand: -.1 ln(.5) + 0 - .1 ln(.75) + .2 ln(3)
#   = .0693147 + .0287682 + .2197225 = .3178054
BY_HAND = ([20, 30, 40, 10], [100, 300, 300, 300], 0.3178054)


def test_the_psi_is_that_of_a_table_worked_by_hand() -> None:
    reference, current, wanted = BY_HAND
    assert psi(reference, current) == pytest.approx(wanted, abs=1e-7)
    assert psi(current, reference) == pytest.approx(wanted, abs=1e-7)
    assert psi(reference, [2, 3, 4, 1]) == pytest.approx(0.0, abs=1e-12)
    # A bin that one side lacks counts as half a row there: (.1 - .005) ln(.1 / .005) of 100 rows, the rest by hand.
    lacking = 0.1 * np.log(0.5 / 0.4) + (0.1 - 0.005) * np.log(0.1 / 0.005)
    assert psi([50, 50, 0], [40, 50, 10]) == pytest.approx(lacking, abs=1e-12)
    assert psi([50, 50, 0], [50, 50, 0]) == 0.0
    assert np.isnan(psi([1, 2], [0, 0]))


def test_half_a_standard_deviation_is_a_quarter() -> None:
    """For two normal distributions a distance of d the index is d squared; ten bins keep most of it."""
    draw = np.random.default_rng(0)
    first, second = pd.Series(draw.normal(0, 1, 200_000)), pd.Series(draw.normal(0.5, 1, 200_000))
    bins = learn_bins(first)
    assert psi(bins.count(first), bins.count(second)) == pytest.approx(0.25, abs=0.02)
    assert psi(bins.count(first), bins.count(first + 0.0)) == 0.0


def test_missing_values_have_a_bin_and_no_row_is_lost() -> None:
    values = pd.Series([1.0, 2.0, np.nan, 3.0, np.inf, 4.0])
    bins = learn_bins(values)
    counts = bins.count(values)
    assert (counts.sum(), counts[-1]) == (6, 2)
    assert len(bins.labels) == len(counts)
    words = learn_bins(pd.Series(["a", "b", None, "a"], dtype=object))
    assert dict(zip(words.labels, words.count(pd.Series(["a", None, "z", "b"], dtype=object)), strict=True)) == {
        "a": 1, "b": 1, "all others": 0, "new": 1, "missing": 1,
    }  # fmt: skip
    flags = learn_bins(pd.Series([True, False, None], dtype=object))
    assert flags.categories == ("False", "True")
    assert learn_bins(pd.Series([None, None], dtype="float64")).labels == ("any value", "missing")


def test_ties_do_not_hide_what_lies_below_or_above_them() -> None:
    bins = learn_bins(pd.Series([0.0] * 100))
    assert bins.labels == ("below 0", "0", "over 0", "missing")
    assert bins.count(pd.Series([-1.0, 0.0, 0.5, np.nan])).tolist() == [1, 1, 1, 1]
    mostly = learn_bins(pd.Series([0.0] * 85 + list(range(1, 16)), dtype="float64"))
    assert mostly.count(pd.Series([-3.0])).tolist()[0] == 1


def test_equal_mass_where_values_differ() -> None:
    draw = np.random.default_rng(1)
    values = pd.Series(draw.lognormal(5, 1, 5000))
    shares = learn_bins(values).count(values)[:-1] / 5000
    assert len(shares) == 10
    assert shares.min() > 0.08
    assert shares.max() < 0.12


def test_what_is_smaller_than_a_fiftieth_of_the_spread_is_no_difference() -> None:
    """The coverage of a quarter with a day of 23 hours is 2159 of 2160 hours for everybody."""
    draw = np.random.default_rng(2)
    share = pd.Series(np.where(draw.random(2000) < 0.9, 1.0, draw.random(2000)))
    bins = learn_bins(share)
    moved = share.where(share < 1.0, 2159 / 2160)
    assert psi(bins.count(share), bins.count(moved)) < 0.001
    # Whole numbers stay whole.
    assert learn_bins(pd.Series([1, 2, 3, 4, 5] * 50)).edges == (
        pytest.approx(np.nextafter(1.0, 0)), 1.0, 2.0, 3.0, pytest.approx(4.0), 5.0,
    )  # fmt: skip


def test_rare_categories_of_another_date_are_not_new() -> None:
    day, other = customers(300, 1), customers(300, 2)
    other.loc[0, "region"] = "Ceuta"
    rows = pd.concat([day.assign(as_of=date(2025, 1, 31)), other.assign(as_of=date(2025, 2, 28))])
    from spanishgas.monitoring.baseline import build_baseline
    from tests.monitoring.worlds import risk

    told = build_baseline(rows, ["region", "tenure_days", "price_rise_365d", "margin_eur_month_12m"], risk)
    bins = told.dates[date(2025, 1, 31)]["region"].bins
    assert "Ceuta" not in bins.categories
    assert dict(zip(bins.labels, bins.count(other["region"]), strict=True))["all others"] == 1


def test_a_baseline_comes_back_as_it_was_written() -> None:
    told = baseline(customers(300, 1), date(2025, 1, 31), date(2025, 2, 28))
    text = told.to_json()
    back = Baseline.from_json(text, "here")
    assert back.to_json() == text
    assert back.outcomes_until == date(2025, 5, 29)
    for name, profile in told.dates[date(2025, 1, 31)].items():
        other = back.dates[date(2025, 1, 31)][name]
        assert other.counts.tolist() == profile.counts.tolist()
        assert other.bins == profile.bins
    assert "C000001" not in text  # counts, no customers
    for damaged in ("{}", "no json", text.replace('"format": 1', '"format": 9')):
        with pytest.raises(ModelFileError, match="baseline"):
            Baseline.from_json(damaged, "here")


@pytest.mark.parametrize(("first", "second", "months"), [(1, 12, 1), (1, 7, 6), (11, 2, 3), (5, 5, 0)])
def test_seasons_go_round(first: int, second: int, months: int) -> None:
    assert season_gap(date(2024, first, 28), date(2026, second, 28)) == months
