"""Amounts of the months ahead change by the bill's step at the renewal, and only there."""

import numpy as np
import pytest

from spanishgas.domain.repricing import AS_IT_IS, Amounts, Repricing


def test_margin_and_bill_move_by_the_same_euros_from_the_renewal_on() -> None:
    one = Repricing(share=0.5)
    bill, gap = np.array([60.0, 60.0]), np.array([0.21, -0.19])
    renewal = np.array([40.0, 400.0])
    unknown = np.full(2, np.nan)
    margin = one.amounts(np.array([15.0, 15.0]), bill, gap, unknown, renewal).by_month(14)
    paid = one.amounts(bill, bill, gap, unknown, renewal).by_month(14)
    # 40 days on, most of the second month lies after the renewal.
    assert margin[0].tolist() == pytest.approx([15.0] + [15.0 + 60 * (1 / 1.1 - 1)] * 13)
    assert margin[1].tolist() == pytest.approx([15.0] * 13 + [15.0 + 60 * (1 / 0.9 - 1)])
    assert np.allclose(paid - bill[:, None], margin - 15.0)


def test_a_renewal_catches_up_with_the_market_and_keeps_some_of_what_is_the_customers_own() -> None:
    one = Repricing(share=0.5, market_share=1.0)
    bill, renewal = np.full(3, 60.0), np.full(3, 10.0)
    # Terms of that month are 20 % below new ones: one customer pays as they do, one 21 % more; of one nothing is known.
    gap, market = np.array([0.8, 0.8 * 1.21, np.nan]) - 1, np.full(3, -0.2)
    found = one.amounts(bill, bill, gap, market, renewal).by_month(2)[:, 1]
    assert found.tolist() == pytest.approx([60 / 0.8, 60 / 0.8 / 1.1, 60.0])


def test_what_is_not_known_is_carried_on() -> None:
    nan = np.nan
    now, bill = np.array([15.0, nan, 15.0, 15.0]), np.array([60.0, 60.0, nan, 60.0])
    gap, renewal = np.array([nan, 0.2, 0.2, 0.2]), np.array([10.0, 10.0, 10.0, -5.0])
    found = Repricing(share=1.0).amounts(now, bill, gap, np.full(4, nan), renewal).by_month(3)
    assert found[[0, 2, 3]].tolist() == [[15.0] * 3] * 3
    assert np.isnan(found[1]).all()
    assert AS_IT_IS.amounts(now, bill, gap, np.full(4, nan), renewal).by_month(2)[0].tolist() == [15.0, 15.0]


def test_some_of_the_customers_are_as_among_all() -> None:
    whole = Amounts(np.array([1.0, 2.0]), np.array([0.5, -0.5]), np.array([10.0, 70.0]))
    assert whole[1:].by_month(4).tolist() == whole.by_month(4)[1:].tolist()
    assert Amounts.flat(np.array([3.0])).by_month(2).tolist() == [[3.0, 3.0]]


def test_it_comes_back_from_its_state() -> None:
    one = Repricing(0.4, 0.9, 0.1, {"renewals": 200.0})
    assert Repricing.restore(one.state) == one
    earlier = {name: value for name, value in one.state.items() if name != "market_share"}
    assert Repricing.restore(earlier).market_share == 0.4
