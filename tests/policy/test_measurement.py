"""What offers did: arms compared as they were drawn, intervals as published and as often right as they say."""

import numpy as np
import pandas as pd
import pytest

from spanishgas.contracts.checks import check_frame
from spanishgas.contracts.decisions import MEASURED_EFFECT
from spanishgas.errors import ContractError
from spanishgas.policy.measurement import ALL, measure, render, verdict

DAY = pd.Timestamp("2026-02-09")


def published(*groups: tuple[str, bool, int, int]) -> tuple[pd.DataFrame, pd.Series]:
    """Recommendations and who left; each group is planned action, held out, customers, leavers among them."""
    rows, left = [], {}
    for action, held, customers, leavers in groups:
        for number in range(customers):
            name = f"C{len(rows):04d}"
            rows.append({"run_date": DAY, "customer_id": name, "planned_action": action, "is_held_out": held})
            left[name] = number < leavers
    return pd.DataFrame(rows), pd.Series(left, name="left", dtype=bool)


def wilson(leavers: int, count: int) -> tuple[float, float]:
    """Wilson's interval: the shares that lie within 1.96 standard errors of themselves (roots of a quadratic)."""
    share, z = leavers / count, 1.959964
    roots = np.roots([1 + z**2 / count, -(2 * share + z**2 / count), share**2])
    return float(min(roots)), float(max(roots))


# Leavers and customers of two arms, and the interval of method 10 in table II of Newcombe, Statistics in Medicine 17,
# 1998, pages 873 to 890.
NEWCOMBE = [
    ((56, 70), (48, 80), 0.2000, 0.0524, 0.3339),
    ((9, 10), (3, 10), 0.6000, 0.1705, 0.8090),
    ((6, 7), (2, 7), 0.5714, 0.0582, 0.8062),
    ((5, 56), (0, 29), 0.0893, -0.0381, 0.1926),
    ((0, 10), (0, 20), 0.0000, -0.1611, 0.2775),
    ((0, 10), (0, 10), 0.0000, -0.2775, 0.2775),
    ((10, 10), (0, 20), 1.0000, 0.6791, 1.0000),
    ((10, 10), (0, 10), 1.0000, 0.6075, 1.0000),
]


@pytest.mark.parametrize(("offered", "control", "effect", "lo", "hi"), NEWCOMBE)
def test_the_interval_is_newcombes(
    offered: tuple[int, int], control: tuple[int, int], effect: float, lo: float, hi: float
) -> None:
    rows, left = published(("small", False, offered[1], offered[0]), ("small", True, control[1], control[0]))
    found = measure(rows, left).iloc[0]
    assert [round(float(found[name]), 4) for name in ("effect", "lo", "hi")] == [effect, lo, hi]


def test_arms_by_hand() -> None:
    """Offered 80 + 40, of whom 4 + 6 leave; held out 20 + 10, of whom 6 + 1 leave; one without a plan who leaves."""
    rows, left = published(
        ("small", False, 80, 4),
        ("small", True, 20, 6),
        ("large", False, 40, 6),
        ("large", True, 10, 1),
        ("none", False, 30, 30),
    )
    expected, true = np.full(len(rows), -0.5), np.full(len(rows), 9.0)
    planned = rows["planned_action"].to_numpy()
    held = rows["is_held_out"].to_numpy()
    expected[(planned == "small") & ~held], expected[(planned == "large") & ~held] = -0.1, -0.25
    true[(planned == "small") & ~held], true[(planned == "large") & ~held] = -0.2, -0.05
    found = measure(rows, left, expected, true)
    check_frame(MEASURED_EFFECT, found)

    def interval(p: tuple[int, int], q: tuple[int, int]) -> dict[str, float]:
        share, other = p[0] / p[1], q[0] / q[1]
        (low, high), (other_low, other_high) = wilson(*p), wilson(*q)
        return {
            "effect": share - other,
            "lo": share - other - np.hypot(share - low, other_high - other),
            "hi": share - other + np.hypot(high - share, other - other_low),
        }

    def row(group: str, p: tuple[int, int], q: tuple[int, int], expected: float, true: float) -> dict[str, object]:
        told = interval(p, q)
        return {
            "run_date": DAY,
            "group": group,
            "offered": p[1],
            "held_out": q[1],
            "offered_left": p[0],
            "held_out_left": q[0],
            **told,
            "expected_effect": expected,
            "true_effect": true,
            "verdict": verdict(told["effect"], told["lo"], told["hi"], q[1]),
        }

    wanted = pd.DataFrame(
        [
            row(ALL, (10, 120), (7, 30), (80 * -0.1 + 40 * -0.25) / 120, (80 * -0.2 + 40 * -0.05) / 120),
            row("small", (4, 80), (6, 20), -0.1, -0.2),
            row("large", (6, 40), (1, 10), -0.25, -0.05),
        ]
    )
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-9)


def test_the_order_of_rows_does_not_matter() -> None:
    rows, left = published(("small", False, 30, 3), ("small", True, 12, 4), ("none", False, 5, 1))
    pd.testing.assert_frame_equal(measure(rows.iloc[::-1], left.sample(frac=1, random_state=0)), measure(rows, left))


def test_without_expectations_nothing_is_said_of_them() -> None:
    rows, left = published(("small", False, 30, 3), ("small", True, 12, 4))
    found = measure(rows, left)
    assert found[["expected_effect", "true_effect"]].isna().all(axis=None)


def test_customers_of_whom_nothing_is_known_are_left_out() -> None:
    rows, left = published(("small", False, 30, 3), ("small", True, 12, 4))
    fewer, known = published(("small", False, 27, 0), ("small", True, 12, 4))
    # The three leavers among the offered stand first; forgetting them leaves 27 who stayed.
    found = measure(rows, left.iloc[3:], np.arange(42.0))
    assert found["expected_effect"].tolist() == [np.arange(3.0, 30.0).mean()] * 2
    pd.testing.assert_frame_equal(
        found.drop(columns="expected_effect"), measure(fewer, known).drop(columns="expected_effect")
    )
    assert "3 customers are in no register any more" in render(found, "2026-05-10", 3)
    assert "register" not in render(found, "2026-05-10", 0)


def test_nobody_chosen_is_an_error_that_says_what_to_do() -> None:
    rows, left = published(("none", False, 5, 1))
    with pytest.raises(ContractError, match="nobody was chosen") as told:
        measure(rows, left)
    assert told.value.todo == "Choose another run_date, or a larger budget"


def test_everybody_chosen_but_nobody_known_is_an_error_too() -> None:
    rows, left = published(("small", False, 5, 1), ("small", True, 5, 1))
    with pytest.raises(ContractError):
        measure(rows, left.iloc[:0])


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((-0.05, -0.08, -0.02, 100), "offers keep customers: 5.0% fewer left (2.0% to 8.0%)"),
        ((0.05, 0.02, 0.08, 100), "offers drive customers away: 5.0% more left (2.0% to 8.0%)"),
        ((-0.01, -0.05, 0.03, 100), "too small to tell: between -5.0% and +3.0%"),
        ((-0.05, -0.08, 0.0, 100), "too small to tell: between -8.0% and +0.0%"),
        ((0.05, 0.0, 0.08, 100), "too small to tell: between +0.0% and +8.0%"),
        ((-0.5, -0.8, -0.2, 9), "too few to tell: 9 held out"),
        ((-0.5, -0.8, -0.2, 10), "offers keep customers: 50.0% fewer left (20.0% to 80.0%)"),
        ((float("nan"), float("nan"), float("nan"), 0), "too few to tell: 0 held out"),
    ],
)
def test_what_is_said_of_an_effect(numbers: tuple[float, float, float, int], words: str) -> None:
    assert verdict(*numbers) == words


def test_an_arm_of_nobody_is_too_few_to_tell() -> None:
    rows, left = published(("small", True, 12, 4))
    found = measure(rows, left)
    assert found["effect"].isna().all()
    assert found["verdict"].str.startswith("too few to tell").all()
    check_frame(MEASURED_EFFECT, found)


@pytest.mark.parametrize(("offered", "held_out", "p", "q"), [(400, 50, 0.08, 0.12), (60, 20, 0.03, 0.03)])
def test_the_interval_holds_the_truth_as_often_as_it_says(offered: int, held_out: int, p: float, q: float) -> None:
    """The share of draws of both arms whose interval holds the true difference."""
    rows, left = published(("small", False, offered, 0), ("small", True, held_out, 0))
    rng = np.random.default_rng(1)
    chances = np.where(rows["is_held_out"], q, p)
    draws, hits, effects = 400, 0, []
    for _ in range(draws):
        left[:] = rng.uniform(size=len(rows)) < chances
        found = measure(rows, left).iloc[0]
        hits += found["lo"] <= p - q <= found["hi"]
        effects.append(found["effect"])
    assert 0.92 <= hits / draws <= 0.99
    assert np.mean(effects) == pytest.approx(p - q, abs=3 * np.std(effects) / np.sqrt(draws))
