"""P-values: against scipy, against what is known of them, and Holm's procedure against a table worked by hand."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from spanishgas.monitoring.chance import all_on_one_side, holm, same_rate, same_share, same_shares


def test_shares_are_compared_by_pearsons_chi_square() -> None:
    table = np.array([[120, 80, 200], [90, 110, 190]])
    wanted = chi2_contingency(table, correction=False).pvalue
    assert same_shares(table[0], table[1]) == pytest.approx(wanted, rel=1e-12)
    # Rare bins are put together first: here the last two.
    rare = np.array([[120, 80, 3, 1], [90, 110, 1, 2]])
    joined = np.column_stack([rare[:, :2], rare[:, 2:].sum(axis=1)])
    with_rare = same_shares(rare[0], rare[1])
    assert with_rare != pytest.approx(chi2_contingency(rare, correction=False).pvalue, rel=1e-3)
    small = np.column_stack([joined[:, 0], joined[:, 1] + joined[:, 2]])
    assert with_rare == pytest.approx(chi2_contingency(small, correction=False).pvalue, rel=1e-12)
    assert same_shares(np.array([10, 0]), np.array([20, 0])) == 1.0


def test_a_share_is_compared_exactly() -> None:
    one_sided = min(fisher_exact([[2, 98], [9, 91]], side).pvalue for side in ("less", "greater"))
    assert same_share((2, 100), (9, 100)) == pytest.approx(2 * one_sided, rel=1e-9)
    assert same_share((0, 0), (1, 10)) == 1.0
    assert same_share((5, 100), (5, 100)) == 1.0


def test_p_values_are_no_smaller_than_chance_allows() -> None:
    """With nothing planted at most 5 % are below 0.05, rare bins included."""
    draw = np.random.default_rng(0)
    chances = np.array([0.4, 0.3, 0.2, 0.06, 0.03, 0.007, 0.003])
    first, second = draw.multinomial(400, chances, 2000), draw.multinomial(300, chances, 2000)
    found = [same_shares(a, b) for a, b in zip(first, second, strict=True)]
    assert 0.03 < np.mean(np.array(found) < 0.05) < 0.065
    exact = [same_share((int(a[4]), 400), (int(b[4]), 300)) for a, b in zip(first, second, strict=True)]
    assert np.mean(np.array(exact) < 0.05) < 0.05
    rates = [
        same_rate((int(a), 3.0), (int(b), 1.0))
        for a, b in zip(draw.poisson(90, 2000), draw.poisson(30, 2000), strict=True)
    ]
    assert np.mean(np.array(rates) < 0.05) < 0.055


def test_a_category_on_one_side_alone() -> None:
    # Three rows, all of them on the side with half of the rows: one in eight, of five categories tried five in eight.
    assert all_on_one_side(3, 0.5, 1) == pytest.approx(1 / 8)
    assert all_on_one_side(3, 0.5, 5) == pytest.approx(5 / 8)
    assert all_on_one_side(1, 0.5, 5) == 1.0


def test_holm_by_hand() -> None:
    """Of 0.01, 0.02, 0.03, 0.04 and one without: 0.04, 0.06, 0.06, 0.06."""
    found = holm([0.04, 0.01, np.nan, 0.03, 0.02])
    assert found[[1, 4, 3, 0]] == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert np.isnan(found[2])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert len(holm([])) == 0
