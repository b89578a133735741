"""What offers did: arms as they were drawn, runs together and adjusted, in shares and in euros."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EconomicsSettings
from spanishgas.contracts.checks import check_frame
from spanishgas.contracts.decisions import MEASURED_EFFECT
from spanishgas.domain.kept_value import kept_value
from spanishgas.errors import ContractError
from spanishgas.evaluation.contrast import Contrast, shares
from spanishgas.evaluation.shares import difference
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.measurement import ALL, RUN, TOGETHER, follow, measure, render, runs_to_decide, verdict
from tests.policy.worlds import changed, customers, decided, rows_of, unlimited

RUN_DATE = date(2026, 2, 9)
DAY = pd.Timestamp(RUN_DATE)
NAN = float("nan")
ECONOMICS = EconomicsSettings(horizon_months=24, discount_rate_year=0.08)


def followed(
    *groups: tuple[str, bool, int, int], day: pd.Timestamp = DAY, first: int = 0, **told: float
) -> pd.DataFrame:
    """Rows of ``follow``; each group is planned action, held out, customers, leavers among them."""
    plain = {
        "expected_left": 0.2,
        "expected_effect": -0.05,
        "true_effect": NAN,
        "kept_eur": 300.0,
        "spend_eur": 5.0,
        "expected_margin_eur": 10.0,
    }
    rows = [
        {
            "run_date": day,
            "customer_id": f"C{first + place:05d}",
            "planned_action": action,
            "offered": not held,
            "left": number < leavers,
            **plain,
            **told,
        }
        for place, (action, held, number, leavers) in enumerate(
            (action, held, number, leavers) for action, held, count, leavers in groups for number in range(count)
        )
    ]
    return pd.DataFrame(rows)


def whole(table: pd.DataFrame, scope: str = RUN) -> pd.Series:
    return table.set_index(["scope", "group"]).loc[(scope, ALL)]


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
def test_the_interval_of_one_run_is_newcombes(
    offered: tuple[int, int], control: tuple[int, int], effect: float, lo: float, hi: float
) -> None:
    rows = followed(("small", False, offered[1], offered[0]), ("small", True, control[1], control[0]))
    found = whole(measure(rows, RUN_DATE))
    assert [round(float(found[name]), 4) for name in ("effect", "lo", "hi")] == [effect, lo, hi]


def test_arms_by_hand() -> None:
    """Offered 80 + 40, of whom 4 + 6 leave; held out 20 + 10, of whom 6 + 1 leave."""
    small = followed(("small", False, 80, 4), ("small", True, 20, 6), expected_effect=-0.1, true_effect=-0.2)
    large = followed(
        ("large", False, 40, 6), ("large", True, 10, 1), first=100, expected_effect=-0.25, true_effect=-0.05
    )
    table = measure(pd.concat([small, large], ignore_index=True), RUN_DATE)
    check_frame(MEASURED_EFFECT, table)
    found = table[table["scope"] == RUN].set_index("group")
    assert found.index.tolist() == [ALL, "small", "large"]
    counts = found[["runs", "offered", "offered_left", "held_out", "held_out_left"]]
    assert counts.to_numpy().tolist() == [[1, 120, 10, 30, 7], [1, 80, 4, 20, 6], [1, 40, 6, 10, 1]]
    for group, arms in ((ALL, ((10, 120), (7, 30))), ("small", ((4, 80), (6, 20))), ("large", ((6, 40), (1, 10)))):
        assert tuple(found.loc[group, ["effect", "lo", "hi"]]) == pytest.approx(difference(*arms))
    assert found["expected_effect"].tolist() == pytest.approx([(80 * -0.1 + 40 * -0.25) / 120, -0.1, -0.25])
    assert found["true_effect"].tolist() == pytest.approx([(80 * -0.2 + 40 * -0.05) / 120, -0.2, -0.05])
    # Everybody was expected to leave alike, so there is nothing to adjust for.
    assert found["adjusted_effect"].tolist() == pytest.approx(found["effect"].tolist())
    # Each customer kept is worth 300 EUR, each offer costs 5.
    euros = [-effect * 300 * count - 5 * count for effect, count in zip(found["effect"], (120, 80, 40), strict=True)]
    assert found["margin_eur"].tolist() == pytest.approx(euros)
    assert found["expected_margin_eur"].tolist() == [1200.0, 800.0, 400.0]
    assert ((found["margin_lo_eur"] < found["margin_eur"]) & (found["margin_eur"] < found["margin_hi_eur"])).all()
    alone, together = (table[table["scope"] == scope].drop(columns="scope") for scope in (RUN, TOGETHER))
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), together.reset_index(drop=True))


def test_the_order_of_rows_does_not_matter() -> None:
    rows = followed(("small", False, 30, 3), ("small", True, 12, 4), ("large", False, 5, 1))
    rows["expected_left"] = np.linspace(0.1, 0.4, len(rows))
    pd.testing.assert_frame_equal(measure(rows.sample(frac=1, random_state=0), RUN_DATE), measure(rows, RUN_DATE))


def earlier_and_own() -> pd.DataFrame:
    """Two earlier runs and the run itself; some customers of the first are in the last again."""
    days = [pd.Timestamp("2025-08-01"), pd.Timestamp("2025-11-01"), DAY]
    parts = [
        followed(("small", False, 180, 12 + number), ("small", True, 40, 7), day=day, first=first)
        for number, (day, first) in enumerate(zip(days, (0, 1000, 100), strict=True))
    ]
    return pd.concat(parts, ignore_index=True)


def test_runs_are_measured_together() -> None:
    rows = earlier_and_own()
    table = measure(rows, RUN_DATE)
    check_frame(MEASURED_EFFECT, table)
    own, together = whole(table), whole(table, TOGETHER)
    assert (own["runs"], own["offered"], own["offered_left"]) == (1, 180, 14)
    assert (together["runs"], together["offered"], together["held_out"]) == (3, 540, 120)
    assert together["first_run_date"] == pd.Timestamp("2025-08-01")
    wanted = shares(rows["left"].to_numpy(), rows["offered"].to_numpy(), rows["run_date"], rows["customer_id"])
    assert tuple(together[["effect", "lo", "hi"]]) == pytest.approx((wanted.effect, wanted.lo, wanted.hi))
    # All runs have equal arms, so the plain mean of their effects is the effect.
    assert together["effect"] == pytest.approx(13 / 180 - 7 / 40)
    assert together["hi"] - together["lo"] < 0.7 * (own["hi"] - own["lo"])
    assert together["smallest_effect"] < 0.7 * own["smallest_effect"]


def test_the_expected_risk_takes_off_what_it_explains() -> None:
    """The held out were by chance the riskier ones; half of the raw effect is that."""
    rng = np.random.default_rng(0)
    offered = rng.random(4000) < 0.8
    risk = np.clip(rng.beta(2, 8, 4000) + np.where(offered, 0.0, 0.03), 0, 1)
    rows = followed(("small", False, 4000, 0)).assign(offered=offered, expected_left=risk, left=rng.random(4000) < risk)
    found = whole(measure(rows, RUN_DATE))
    assert found["effect"] < -0.02
    assert abs(found["adjusted_effect"]) < abs(found["effect"]) / 2
    assert found["adjusted_hi"] - found["adjusted_lo"] < found["hi"] - found["lo"]


def test_who_changes_sides_later_counts_where_they_were_drawn() -> None:
    """Held out first, offered something by the next run: each run's draw counts as it was."""
    first = followed(("small", False, 40, 4), ("small", True, 20, 6), day=pd.Timestamp("2026-01-02"))
    again = followed(("small", True, 40, 4), ("small", False, 20, 6))
    table = whole(measure(pd.concat([first, again], ignore_index=True), RUN_DATE), TOGETHER)
    assert (table["offered"], table["offered_left"]) == (60, 10)
    assert (table["held_out"], table["held_out_left"]) == (60, 10)


def test_a_run_of_nobody_is_an_error_that_says_what_to_do() -> None:
    rows = followed(("small", False, 5, 1), day=pd.Timestamp("2026-01-02"))
    with pytest.raises(ContractError, match="nobody was chosen in this run") as told:
        measure(rows, RUN_DATE)
    assert "Choose another run_date" in told.value.todo


def test_an_arm_of_nobody_is_too_few_to_tell() -> None:
    found = measure(followed(("small", True, 12, 4)), RUN_DATE)
    check_frame(MEASURED_EFFECT, found)
    assert found[["effect", "adjusted_effect", "smallest_effect", "margin_eur", "runs_to_decide"]].isna().all(axis=None)
    assert (found["verdict"] == "too few to tell: 0 offered").all()


@pytest.mark.parametrize(
    ("numbers", "expected", "more", "words"),
    [
        ((-0.05, -0.08, -0.02, 100), -0.04, 0, "offers keep customers: 5.0% fewer left (2.0% to 8.0%)"),
        ((0.05, 0.02, 0.08, 100), -0.04, 0, "offers drive customers away: 5.0% more left (2.0% to 8.0%)"),
        ((-0.01, -0.05, 0.03, 100), NAN, None, "too small to tell: between -5.0% and +3.0%, 5.6% could be found"),
        (
            (-0.01, -0.05, 0.03, 100),
            -0.04,
            12,
            "too small to tell: between -5.0% and +3.0%, 5.6% could be found; the expected -4.0% needs 12 more runs "
            "like these",
        ),
        ((-0.05, -0.08, 0.0, 100), -0.04, 0, "too small to tell: between -8.0% and +0.0%, 5.6% could be found"),
        ((-0.5, -0.8, -0.2, 9), NAN, None, "too few to tell: 9 held out"),
        ((NAN, NAN, NAN, 0), -0.04, None, "too few to tell: 0 held out"),
    ],
)
def test_what_is_said_of_an_effect(
    numbers: tuple[float, float, float, int], expected: float, more: int | None, words: str
) -> None:
    assert verdict(Contrast(*numbers[:3], 0.02), numbers[3], expected, more) == words


def test_runs_until_a_decision() -> None:
    """The error falls with the root of the runs: half as large an effect needs four times as many."""
    open_ = Contrast(-0.01, -0.05, 0.03, 0.02)
    smallest = open_.smallest()
    assert runs_to_decide(open_, -smallest, 3) == 0
    assert runs_to_decide(open_, -smallest / 2, 3) == 9
    assert runs_to_decide(open_, smallest / 2, 1) == 3
    assert runs_to_decide(open_, 0.0, 3) is None
    assert runs_to_decide(open_, NAN, 3) is None
    assert runs_to_decide(replace(open_, error=NAN), -0.01, 3) is None
    assert runs_to_decide(Contrast(-0.05, -0.08, -0.02, 0.02), -0.001, 3) == 0


def test_the_runs_foretold_decide_with_the_power_they_promise() -> None:
    """One run tells how many more it takes; that many campaigns of the expected effect are drawn and measured."""
    rng = np.random.default_rng(1)
    base, ratio, rows, held = 0.15, 0.7, 200, 0.25

    def some_runs(count: int) -> Contrast:
        people = count * rows
        treated = rng.random(people) >= held
        left = rng.random(people) < base * np.where(treated, ratio, 1.0)
        return shares(left, treated, np.repeat(np.arange(count), rows), np.arange(people))

    # What a typical run of these tells.
    error = np.mean([some_runs(1).error for _ in range(200)])
    needed = 1 + runs_to_decide(Contrast(0.0, -1.0, 1.0, float(error)), (ratio - 1) * base, 1)  # type: ignore[operator]
    assert needed >= 4
    power = np.mean([some_runs(needed).hi < 0 for _ in range(300)])
    assert power == pytest.approx(0.8, abs=0.09)


# What a run's table becomes.


def recommended() -> tuple[Candidates, pd.DataFrame]:
    candidates = customers(*({"hazard_0_30": 0.05 + 0.01 * number} for number in range(40)))
    settings = changed(unlimited(), holdout={"share": 0.3})
    return candidates, rows_of(decided(candidates, settings), settings)


def test_the_chosen_are_followed_with_what_was_expected() -> None:
    _, table = recommended()
    left_on = pd.Series(pd.NaT, index=table["customer_id"], dtype="datetime64[s]")
    left_on["C000"] = pd.Timestamp("2026-02-09")  # gone on the day itself
    left_on["C001"] = pd.Timestamp("2026-02-10")
    left_on["C002"] = pd.Timestamp("2026-05-10")  # the last day
    left_on["C003"] = pd.Timestamp("2026-05-11")
    rows = follow(table, left_on.drop("C004"), 90, ECONOMICS).set_index("customer_id")
    assert rows.index.tolist() == [name for name in table["customer_id"] if name != "C004"]
    assert rows.index[rows["left"]].tolist() == ["C001", "C002"]
    known = table.set_index("customer_id").loc[rows.index]
    assert (rows["offered"] == ~known["is_held_out"]).all()
    assert 5 <= (~rows["offered"]).sum() <= 20
    base = 1 - (1 - known["hazard_0_30"]) * (1 - known["hazard_30_60"]) * (1 - known["hazard_60_90"])
    assert rows["expected_left"].tolist() == pytest.approx(base.tolist())
    with_offer = 1 - np.prod([1 - known[f"planned_hazard_{name}"] for name in ("0_30", "30_60", "60_90")], axis=0)
    assert rows["expected_effect"].tolist() == pytest.approx((with_offer - base).tolist())
    assert (rows["expected_effect"] < 0).all()
    worth = kept_value(base.to_numpy(), known["expected_margin_month"].to_numpy(), 90, 90, ECONOMICS)
    assert rows["kept_eur"].tolist() == pytest.approx(worth.tolist())
    assert rows["spend_eur"].tolist() == known["expected_spend"].tolist()
    assert (rows.loc[~rows["offered"], ["spend_eur", "expected_margin_eur"]] == 0).all(axis=None)


def test_fewer_days_expect_fewer_leavers() -> None:
    _, table = recommended()
    stays = pd.Series(pd.NaT, index=table["customer_id"], dtype="datetime64[s]")
    half, all_ = (follow(table, stays, days, ECONOMICS) for days in (30, 90))
    assert half["expected_left"].tolist() == pytest.approx(table["hazard_0_30"].tolist())
    assert (half["expected_left"] < all_["expected_left"]).all()


def test_what_the_truth_says_is_of_the_chosen_only() -> None:
    _, table = recommended()
    table.loc[3:10, ["planned_action", "action"]] = "none"
    stays = pd.Series(pd.NaT, index=table["customer_id"], dtype="datetime64[s]")
    rows = follow(table, stays, 90, ECONOMICS, np.arange(40.0))
    assert rows["true_effect"].tolist() == [0.0, 1.0, 2.0, *map(float, range(11, 40))]


def test_the_report_tells_the_run_and_all_runs() -> None:
    told = render(measure(earlier_and_own(), RUN_DATE), 90, 3, 2)
    assert "With all 3 runs since 2025-08-01: **" in told
    assert "3 customers are in no register any more" in told
    assert "2 earlier runs were published by another release" in told
    rows = [line for line in told.splitlines() if line.startswith(("| 1 |", "| 3 |"))]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| 1", "all", "180"],
        ["| 1", "small", "180"],
        ["| 3", "all", "540"],
        ["| 3", "small", "540"],
    ]
    alone = render(measure(followed(("small", False, 30, 3), ("small", True, 12, 4)), RUN_DATE), 90, 0)
    assert "With all" not in alone
    assert "register" not in alone
