"""What a treatment did, on drawn campaigns of known effect: right as often as said, never off, and its power true."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from spanishgas.evaluation.contrast import Contrast, amounts, shares, split_at, split_for
from spanishgas.evaluation.shares import difference, wilson

RATIO = 0.6


@dataclass(frozen=True)
class Campaign:
    """Rows of some draws; ``risk`` is the chance without treatment, ``truth`` the effect on each."""

    happened: np.ndarray
    treated: np.ndarray
    draw: np.ndarray
    person: np.ndarray
    risk: np.ndarray
    truth: np.ndarray

    def contrast(self, covariate: np.ndarray | None = None) -> Contrast:
        return shares(self.happened, self.treated, self.draw, self.person, covariate)

    @property
    def target(self) -> float:
        """The true effect, draws weighed as by Mantel and Haenszel."""
        rows, treated = np.bincount(self.draw), np.bincount(self.draw, self.treated)
        weight = treated * (rows - treated) / rows
        return float((weight * np.bincount(self.draw, self.truth) / rows).sum() / weight.sum())


def campaign(
    seed: int,
    *,
    draws: int = 1,
    rows: int = 600,
    held: float = 0.15,
    people: int | None = None,
    ratio: float = RATIO,
) -> Campaign:
    """Draws with risks of their own; ``people`` fewer than all rows come up again, and fate follows them."""
    rng = np.random.default_rng(seed)
    draw = np.repeat(np.arange(draws), rows)
    count = draws * rows
    level = rng.uniform(0.6, 1.4, draws)[draw]
    risk = np.clip(rng.beta(1.2, 7, count) * level, 0.005, 0.9)
    treated = rng.random(count) >= held
    chance = np.where(treated, ratio * risk, risk)
    if people is None:
        person, dice = np.arange(count), rng.random(count)
    else:
        person = np.concatenate([rng.choice(people, rows, replace=False) for _ in range(draws)])
        dice = rng.random(people)[person]
    return Campaign(dice < chance, treated, draw, person, risk, (ratio - 1) * risk)


def test_one_draw_without_covariate_is_newcombes_interval() -> None:
    one = campaign(3)
    told = one.contrast()
    arms = [(int(one.happened[arm].sum()), int(arm.sum())) for arm in (one.treated, ~one.treated)]
    assert (told.effect, told.lo, told.hi) == pytest.approx(difference(*arms), rel=1e-9)


def test_draws_are_pooled_as_by_mantel_and_haenszel() -> None:
    """Worked by hand: differences of the draws, weighed by n1 n0 / n; a draw with one arm counts nothing."""
    some = campaign(1, draws=3, rows=90)
    alone = np.append(some.draw, 3)
    told = shares(np.append(some.happened, True), np.append(some.treated, True), alone, np.append(some.person, -1))
    effects, weights = [], []
    for number in range(3):
        rows = some.draw == number
        first, second = some.happened[rows & some.treated], some.happened[rows & ~some.treated]
        effects.append(first.mean() - second.mean())
        weights.append(len(first) * len(second) / rows.sum())
    assert told.effect == pytest.approx(np.average(effects, weights=weights))


@pytest.mark.parametrize("adjusted", [False, True])
def test_the_interval_is_newcombes_for_strata(adjusted: bool) -> None:
    """By matrices: arms' shares weighed as their draws, on as many rows as would tell them as well in one draw."""
    # Draws of unequal size, the arms unequal in what was expected.
    whole = [campaign(number, draws=1, rows=rows, held=0.4) for number, rows in enumerate((40, 90, 200))]
    draw = np.repeat(np.arange(3), (40, 90, 200))
    happened, treated = (np.concatenate([getattr(one, name) for one in whole]) for name in ("happened", "treated"))
    risk = np.concatenate([one.risk for one in whole]) + 0.2 * ~treated
    levels = (draw[:, None] == np.arange(3)[None, :]).astype(float)
    plain = np.column_stack([treated, levels])
    design = np.column_stack([treated, risk, levels]) if adjusted else plain
    slopes = np.linalg.lstsq(design, happened.astype(float), rcond=None)[0]
    slope = slopes[1] if adjusted else 0.0
    counts = [np.bincount(draw[arm]) for arm in (treated, ~treated)]
    weight = counts[0] * counts[1] / (counts[0] + counts[1])
    weight = weight / weight.sum()
    taken = np.linalg.inv(design.T @ design)[0, 0] * _variance(design, happened)
    without = np.linalg.inv(plain.T @ plain)[0, 0] * _variance(plain, happened)
    ends = []
    for arm, count in zip((treated, ~treated), counts, strict=True):
        share = 0.0
        for number in range(3):
            own, rows = (draw == number) & arm, draw == number
            share += weight[number] * (happened[own].mean() - slope * (risk[own].mean() - risk[rows].mean()))
        total = 1 / (weight**2 / count).sum() * without / taken
        ends.append(wilson(share * total, total))
    (p, low, high), (q, q_low, q_high) = ends
    assert p - q == pytest.approx(slopes[0])
    told = shares(happened, treated, draw, np.arange(len(draw)), risk if adjusted else None)
    assert told.lo == pytest.approx(p - q - np.hypot(p - low, q_high - q))
    assert told.hi == pytest.approx(p - q + np.hypot(high - p, q - q_low))


def _variance(design: np.ndarray, happened: np.ndarray) -> float:
    """Residual variance of least squares."""
    residual = happened - design @ np.linalg.lstsq(design, happened.astype(float), rcond=None)[0]
    return float(residual @ residual / (len(design) - design.shape[1]))


def test_the_regression_is_that_of_least_squares() -> None:
    some = campaign(2, draws=4, rows=60)
    levels = (some.draw[:, None] == np.arange(4)[None, :]).astype(float)
    design = np.column_stack([some.treated, some.risk, levels])
    slope = np.linalg.lstsq(design, some.happened.astype(float), rcond=None)[0]
    assert some.contrast(some.risk).effect == pytest.approx(slope[0])
    assert amounts(some.happened * 3.0, some.treated, some.draw, some.person, some.risk).effect == pytest.approx(
        3 * slope[0]
    )


def test_amounts_have_the_error_of_least_squares_that_holds_for_unequal_arms() -> None:
    """The sandwich of HC2 written out with matrices, residuals summed over a person before they are squared."""
    some = campaign(5, draws=3, rows=40, people=70)
    levels = (some.draw[:, None] == np.arange(3)[None, :]).astype(float)
    design = np.column_stack([some.treated, some.risk, levels])
    bread = np.linalg.inv(design.T @ design)
    outcome = some.happened * 10.0
    residual = outcome - design @ (bread @ design.T @ outcome)
    leverage = np.einsum("ij,jk,ik->i", design, bread, design)
    scaled = design * (residual / np.sqrt(1 - leverage))[:, None]
    meat = np.zeros((5, 5))
    for person in np.unique(some.person):
        total = scaled[some.person == person].sum(axis=0)
        meat += np.outer(total, total)
    told = amounts(outcome, some.treated, some.draw, some.person, some.risk)
    assert told.error == pytest.approx(np.sqrt((bread @ meat @ bread)[0, 0]))


Case = Callable[[int], Campaign]
CASES: dict[str, Case] = {
    "one run": lambda seed: campaign(seed),
    "few held out": lambda seed: campaign(seed, rows=160),
    "many small runs": lambda seed: campaign(seed, draws=30, rows=24),
    "the same people again": lambda seed: campaign(seed, draws=6, rows=150, people=200, held=0.4),
}
SEEDS = 300


@pytest.mark.parametrize("name", CASES)
def test_the_interval_holds_the_truth_as_often_as_it_says_and_adjusting_narrows(name: str) -> None:
    plain, adjusted, wrong = [], [], []
    hits = np.zeros(2)
    for seed in range(SEEDS):
        one = CASES[name](seed)
        target = one.target
        # A score that is far off and much too sure, yet not chosen by its result.
        off = np.minimum(3 * one.risk**0.5, 1.0)
        found = [one.contrast(), one.contrast(one.risk), one.contrast(off)]
        hits += [told.lo <= target <= told.hi for told in found[:2]]
        for kept, told in zip((plain, adjusted, wrong), found, strict=True):
            kept.append((told.effect - target, told.hi - told.lo))
    # Three standard errors of a share of 95 % over so many seeds are 3.8 points.
    assert (np.abs(hits / SEEDS - 0.95) <= 0.038).all()
    errors = {"plain": np.array(plain), "adjusted": np.array(adjusted), "wrong": np.array(wrong)}
    for told in errors.values():
        bias, spread = told[:, 0].mean(), told[:, 0].std()
        assert abs(bias) <= 3.3 * spread / np.sqrt(SEEDS)
    assert errors["adjusted"][:, 1].mean() < errors["plain"][:, 1].mean()
    assert errors["adjusted"][:, 0].std() < errors["plain"][:, 0].std()
    assert errors["wrong"][:, 1].mean() < 1.01 * errors["plain"][:, 1].mean()


def test_a_covariate_that_says_nothing_costs_nothing() -> None:
    widths = []
    for seed in range(60):
        one = campaign(seed)
        noise = np.random.default_rng(1000 + seed).random(len(one.risk))
        told = [one.contrast(), one.contrast(noise)]
        widths.append([found.hi - found.lo for found in told])
    plain, adjusted = np.mean(widths, axis=0)
    assert adjusted == pytest.approx(plain, rel=0.01)
    constant = campaign(1).contrast(np.full(600, 0.2))
    assert constant == campaign(1).contrast()


def test_people_who_come_up_again_are_one_each() -> None:
    """Rows of one person taken for several people would claim more than they know."""
    ratios = []
    for seed in range(40):
        one = campaign(seed, draws=6, rows=150, people=160, held=0.5, ratio=1.0)
        # The draw follows the person, as with a campaign that lasts over several runs.
        arm = np.random.default_rng(seed).random(160)[one.person] < 0.5
        told = shares(one.happened, arm, one.draw, one.person)
        naive = shares(one.happened, arm, one.draw, np.arange(len(arm)))
        ratios.append((told.hi - told.lo) / (naive.hi - naive.lo))
    assert np.mean(ratios) > 1.5


def test_more_runs_narrow() -> None:
    widths = [
        np.mean([(told := campaign(seed, draws=draws).contrast()).hi - told.lo for seed in range(20)])
        for draws in (1, 4)
    ]
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.1)


@pytest.mark.parametrize("covariate", [False, True])
def test_an_effect_of_the_smallest_found_is_found_four_times_in_five(covariate: bool) -> None:
    """The smallest effect is told from one campaign, the power counted over many with just that effect."""
    shape = {"draws": 4, "rows": 600, "held": 0.3}
    ratio = 0.72
    for _ in range(4):  # the ratio whose effect is the smallest found
        some = [campaign(seed, ratio=ratio, **shape) for seed in range(8)]
        smallest = np.mean([one.contrast(one.risk if covariate else None).smallest() for one in some])
        ratio = 1 - smallest / np.mean([one.risk.mean() for one in some])
    found = 0
    for seed in range(100, 100 + SEEDS):
        one = campaign(seed, ratio=ratio, **shape)
        found += one.contrast(one.risk if covariate else None).hi < 0
    assert found / SEEDS == pytest.approx(0.8, abs=0.07)


def test_nothing_can_be_told_of_one_arm() -> None:
    one = campaign(0, rows=20)
    for arm in (np.ones(20, bool), np.zeros(20, bool)):
        told = shares(one.happened, arm, one.draw, one.person)
        assert np.isnan([told.effect, told.lo, told.hi, told.smallest()]).all()
        assert np.isnan(amounts(one.risk, arm, one.draw, one.person).effect)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [2, 12])
def test_a_covariate_that_tells_the_arms_apart_is_left_out(rows: int) -> None:
    """As with one offered and one held out: nothing is adjusted for, and nothing is divided by zero."""
    treated = np.arange(rows) % 2 == 0
    happened = np.arange(rows) % 3 == 0
    draw, risk = np.zeros(rows), np.where(treated, 0.3, 0.2)
    assert shares(happened, treated, draw, np.arange(rows), risk) == shares(happened, treated, draw, np.arange(rows))
    told = amounts(happened * 5.0, treated, draw, np.arange(rows), risk)
    assert told.effect == pytest.approx(5 * (happened[treated].mean() - happened[~treated].mean()))


def test_an_arm_to_which_nothing_happened_claims_no_certainty() -> None:
    happened = np.r_[np.ones(5, bool), np.zeros(215, bool)]
    treated = np.r_[np.ones(200, bool), np.zeros(20, bool)]
    told = shares(happened, treated, np.zeros(220), np.arange(220))
    assert told.hi - told.lo > 0.15
    assert told.smallest() > 0.05


@pytest.mark.parametrize("power", [0.5, 0.8, 0.9])
def test_the_share_held_out_is_the_least_that_finds_the_effect(power: float) -> None:
    told = split_for(6000, 0.15, 0.05, power, (0.01, 0.5))
    assert told.power == pytest.approx(power, abs=1e-6)
    assert told.smallest == pytest.approx(0.05)
    tried = [split_at(6000, 0.15, 0.05, power, share) for share in np.linspace(0.01, 0.5, 400)]
    enough = [one.share for one in tried if one.power >= power]
    assert told.share == pytest.approx(min(enough), abs=0.0025)


def test_the_share_keeps_to_its_bounds() -> None:
    assert split_for(10**7, 0.15, 0.05, 0.8, (0.05, 0.4)).share == 0.05
    few = split_for(50, 0.15, 0.05, 0.8, (0.05, 0.4))
    assert few.share == 0.4
    assert few.power < 0.2
    # More than about half would find less, not more.
    most = split_for(50, 0.15, 0.05, 0.8, (0.05, 0.95))
    tried = [split_at(50, 0.15, 0.05, 0.8, share).power for share in np.linspace(0.05, 0.95, 200)]
    assert most.power == pytest.approx(max(tried), abs=1e-4)
    assert split_for(0, 0.0, 0.05, 0.8, (0.05, 0.4)).power == 0.0


def test_the_power_told_beforehand_is_the_power_there_is() -> None:
    """Planned on the mean risk, then counted over drawn campaigns."""
    base = campaign(0, rows=3000).risk.mean()
    effect = (1 - RATIO) * base
    planned = split_for(1500, float(base), float(effect), 0.8, (0.02, 0.5))
    found = 0
    for seed in range(SEEDS):
        one = campaign(seed, rows=1500, held=planned.share)
        found += one.contrast().hi < 0
    assert found / SEEDS == pytest.approx(0.8, abs=0.08)
