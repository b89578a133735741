"""What a rule would have earned is found from randomised campaigns, whatever the model believes."""

import numpy as np
import pytest

from spanishgas.policy.past_value import NOTHING, PastValue, Trial, promise_of, value_of

EFFECTS = np.array([10.0, 30.0])


def campaign(count: int, seed: int, model: float = 1.0, level: float = 0.0) -> tuple[Trial, np.ndarray, float]:
    """Two options that bring 10 and 30 times a trait; the rule gives the second where the trait is large.

    Args:
        count: Rows.
        seed: Seed of the draws.
        model: Of the true effects, what the model expects.
        level: What the model is off by, whatever is given.
    """
    generator = np.random.default_rng(seed)
    trait = generator.uniform(0, 1, count)
    chances = np.column_stack([0.5 - 0.3 * trait, 0.2 + 0.2 * trait, 0.3 + 0.1 * trait])
    arm = (generator.uniform(size=count)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1) - 1
    base = -50 * (generator.uniform(size=count) < 0.3)
    effect = trait[:, None] * EFFECTS[None, :]
    brought = base[:, None] + effect + generator.normal(0, 5, (count, 2))
    without = np.repeat(base[:, None].astype(float), 2, axis=1)
    trial = Trial(
        people=np.arange(count).astype(str).astype(object),
        arm=arm,
        chance=chances[np.arange(count), arm + 1],
        outcome=brought,
        expected=-15.0 + level + model * effect,
        outcome_without=without,
        expected_without=np.full((count, 2), -15.0 + level),
    )
    choice = np.where(trait > 0.5, 1, NOTHING)
    return trial, choice, float(effect[trait > 0.5, 1].sum())


@pytest.mark.parametrize(("model", "level"), [(1.0, 0.0), (0.3, 0.0), (-1.0, 20.0)])
def test_the_value_is_found_however_wrong_the_model_is(model: float, level: float) -> None:
    trial, choice, truth = campaign(40_000, seed=1, model=model, level=level)
    found = value_of(trial, choice)
    assert found.promised == pytest.approx(model * truth)
    assert found.earned == pytest.approx(truth, abs=3 * found.sd)
    assert found.sd < 0.1 * truth


def test_nine_of_ten_intervals_hold_the_value() -> None:
    held = 0
    for seed in range(200):
        trial, choice, truth = campaign(400, seed=seed, model=0.5)
        lo, hi = value_of(trial, choice).bounds
        held += lo <= truth <= hi
    assert 0.84 * 200 <= held <= 0.96 * 200


def test_a_customer_who_comes_back_is_one_cluster() -> None:
    trial, choice, _ = campaign(500, seed=3)
    twice = Trial(**{name: np.concatenate([getattr(trial, name)] * 2) for name in trial.__dataclass_fields__})
    once, both = value_of(trial, choice), value_of(twice, np.concatenate([choice, choice]))
    assert both.earned == pytest.approx(2 * once.earned)
    assert both.sd == pytest.approx(2 * once.sd)


def test_without_the_same_offers_in_the_past_nothing_is_told() -> None:
    trial, choice, _ = campaign(400, seed=4)
    never = Trial(**{**{n: getattr(trial, n) for n in trial.__dataclass_fields__}, "arm": np.minimum(trial.arm, 0)})
    found = value_of(never, choice)
    assert (found.matched, found.earned) == (0, found.promised)
    assert np.isnan(found.bounds[0])
    assert value_of(trial, np.full(400, NOTHING)).chosen == 0


def past(earned: float, sd: float, promised: float = 100.0) -> PastValue:
    return PastValue(1000, 100, 300, 90.0, promised, earned, sd)


def test_without_campaigns_the_model_is_believed_and_the_interval_is_wide() -> None:
    none = promise_of(300.0, 100.0, None, 0.0)
    assert none.model == 200.0
    assert none.value == pytest.approx(200.0, rel=0.03)
    assert none.lo < 50
    assert none.hi > 500
    assert none.effective == 0
    assert promise_of(300.0, 100.0, past(400.0, float("inf")), 0.0) == none


def test_many_campaigns_decide_and_few_hardly_move_it() -> None:
    many, few = (promise_of(300.0, 100.0, past(250.0, sd), 0.0) for sd in (10.0, 400.0))
    assert many.factor == pytest.approx(2.5, abs=0.05)
    assert many.value == pytest.approx(650.0, abs=15)
    assert 1.0 < few.factor < 1.4
    assert many.hi - many.lo < 0.2 * (few.hi - few.lo)


def test_the_market_widens_the_interval_and_moves_nothing() -> None:
    calm, moved = (promise_of(300.0, 100.0, past(100.0, 5.0), sd) for sd in (0.0, 0.3))
    assert moved.value == calm.value
    assert moved.hi - moved.lo > 3 * (calm.hi - calm.lo)


def test_what_kept_nothing_is_not_promised_as_if_it_had() -> None:
    assert promise_of(300.0, 100.0, past(-50.0, 20.0), 0.0).value < 0
