"""Other learners find what was put into a randomised campaign, and nothing where it is shuffled."""

from importlib.util import find_spec

import numpy as np
import pytest

from spanishgas.errors import ConfigError
from spanishgas.policy import learners
from spanishgas.policy.learners import check_installed, effects_by, line_through

needs_library = pytest.mark.skipif(find_spec("econml") is None, reason="the extra `causal` is not installed")


def campaign(count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """The second of two actions keeps those whose first covariate is high; the first does nothing."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, 2))
    chances = np.column_stack([np.full(count, 0.4), 0.3 + 0.1 * (x[:, 1] > 0), 0.3 - 0.1 * (x[:, 1] > 0)])
    given = (generator.uniform(size=count)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1) - 1
    base = 0.35 + 0.15 * (x[:, 1] > 0)
    change = np.where(given == 1, -0.25 * (x[:, 0] > 0), 0.0)
    outcome = (generator.uniform(size=count) < base + change).astype(float)
    weight = 1 / chances[np.arange(count), given + 1]
    for arm in (-1, 0, 1):
        weight[given == arm] /= weight[given == arm].mean()
    return x, given, outcome, weight


@needs_library
@pytest.mark.parametrize("learner", ["dr_learner", "causal_forest"])
def test_a_planted_effect_is_found_and_none_in_shuffled_copies(learner: learners.Learner) -> None:
    x, given, outcome, weight = campaign(2500)
    none = np.zeros((len(x), 1))
    found = effects_by(learner, x, none, given, outcome, weight, 2)
    high = x[:, 0] > 0.5
    assert found[high, 1].mean() == pytest.approx(-0.25, abs=0.08)
    assert found[x[:, 0] < -0.5, 1].mean() == pytest.approx(0.0, abs=0.08)
    assert found[:, 0].mean() == pytest.approx(0.0, abs=0.05)
    order = np.random.default_rng(1).permutation(len(x))
    shuffled = effects_by(learner, x, none, given, outcome[order], weight, 2)
    assert abs(shuffled[high, 1].mean()) < 0.08


@needs_library
def test_an_action_that_nobody_was_given_and_a_campaign_without_controls_change_nothing() -> None:
    x, given, outcome, weight = campaign(600)
    none = np.zeros((len(x), 1))
    assert (effects_by("dr_learner", x, none, np.minimum(given, 0), outcome, weight, 2)[:, 1] == 0).all()
    assert (effects_by("dr_learner", x, none, np.maximum(given, 0), outcome, weight, 2) == 0).all()


def test_a_line_is_found_again_and_tells_what_it_keeps() -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(3000, 2))
    prior = np.array([-0.1, -0.2])
    ratio = prior + np.array([-0.3, -0.5]) + (0.2 * x[:, 0])[:, None]
    steps, slopes, kept = line_through(ratio, np.broadcast_to(prior, ratio.shape), x, np.ones(3000))
    assert steps == pytest.approx([-0.3, -0.5], abs=0.01)
    assert slopes == pytest.approx([0.2, 0.0], abs=0.01)
    assert kept > 0.99
    noise = generator.normal(size=ratio.shape)
    assert line_through(ratio + noise, np.broadcast_to(prior, ratio.shape), x, np.ones(3000))[2] < 0.2


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "find_spec", lambda name: None)
    check_installed("posterior")
    with pytest.raises(ConfigError, match=r"spanishgas\[causal\]"):
        check_installed("causal_forest")
