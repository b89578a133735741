"""Metrics against scikit-learn, and what they must do at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from spanishgas.errors import ContractError
from spanishgas.evaluation import METRICS, compare, evaluate, measure
from spanishgas.evaluation.curves import plot_curves, reliability_table


def world(rows: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and the true probabilities behind them."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-(rng.normal(size=rows) - 2.5)))
    return (rng.uniform(size=rows) < score).astype(float), score


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.05, 0.2, 0.2001, 0.5, 0.9]), st.integers(0, 3)),
        min_size=5,
        max_size=60,
    )
)
def test_ranking_and_losses_are_those_of_scikit_learn(rows: list[tuple[float, float, int]]) -> None:
    outcome, score, weight = (np.array(values, float) for values in zip(*rows, strict=True))
    used = weight > 0
    if len(set(outcome[used])) < 2:
        return
    found = {name: values[0] for name, values in measure(outcome, score, weight[None, :]).items()}
    assert found["pr_auc"] == pytest.approx(average_precision_score(outcome, score, sample_weight=weight))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(outcome, score, sample_weight=weight))
    assert found["brier"] == pytest.approx(brier_score_loss(outcome, score, sample_weight=weight))
    assert found["log_loss"] == pytest.approx(log_loss(outcome, score, sample_weight=weight, labels=[0, 1]))


def test_the_calibration_slope_is_that_of_a_logistic_regression() -> None:
    outcome, score = world()
    distorted = score**1.5
    logit = np.log(distorted / (1 - distorted))
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit[:, None], outcome)
    assert evaluate(outcome, distorted, replicates=0)["calibration_slope"].value == pytest.approx(
        float(fitted.coef_[0, 0]), rel=1e-4
    )


def test_true_probabilities_are_calibrated_and_distorted_ones_are_not() -> None:
    outcome, score = world(20_000)
    true = evaluate(outcome, score)
    assert true["calibration_slope"].lo < 1 < true["calibration_slope"].hi
    assert true["observed_over_expected"].lo < 1 < true["observed_over_expected"].hi
    assert true["ece"].value < 0.01
    high = evaluate(outcome, np.clip(score * 1.5, 0, 1))
    assert high["observed_over_expected"].hi < 0.8
    assert high["ece"].value > 0.03
    assert high["roc_auc"].value == pytest.approx(true["roc_auc"].value, abs=1e-3)


def test_the_top_tenth_counts_ties_in_proportion() -> None:
    outcome = np.array([1.0] * 10 + [0.0] * 90)
    found = evaluate(outcome, np.full(100, 0.1), replicates=0)
    assert found["recall_at_10"].value == pytest.approx(0.1)
    assert found["lift_at_10"].value == pytest.approx(1.0)
    perfect = evaluate(outcome, np.where(outcome == 1, 0.9, 0.1), replicates=0)
    assert (perfect["recall_at_10"].value, perfect["precision_at_10"].value) == (1.0, 1.0)
    assert perfect["lift_at_10"].value == pytest.approx(10.0)


def test_the_order_of_rows_is_irrelevant() -> None:
    outcome, score = world(500)
    score = np.round(score, 2)
    order = np.random.default_rng(1).permutation(len(outcome))
    one, other = (evaluate(outcome[at], score[at], replicates=0) for at in (np.arange(500), order))
    assert {name: one[name].value for name in METRICS} == pytest.approx({name: other[name].value for name in METRICS})


def test_intervals_widen_when_customers_repeat() -> None:
    outcome, score = world(400)
    alone = evaluate(np.tile(outcome, 5), np.tile(score, 5))["roc_auc"]
    grouped = evaluate(np.tile(outcome, 5), np.tile(score, 5), np.tile(np.arange(400), 5))["roc_auc"]
    assert grouped.value == alone.value
    assert grouped.hi - grouped.lo > 1.8 * (alone.hi - alone.lo)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = 0.0
    everybody, exact = world(200_000, seed=99)
    truth = roc_auc_score(everybody, exact)
    covered = 0
    for seed in range(40):
        outcome, score = world(600, seed=seed)
        interval = evaluate(outcome, score, replicates=100, seed=seed)["roc_auc"]
        covered += interval.lo <= truth <= interval.hi
    assert covered >= 33


def test_a_better_score_is_better_beyond_noise_and_an_equal_one_is_not() -> None:
    outcome, score = world(6000)
    rng = np.random.default_rng(5)
    worse = np.clip(score * np.exp(rng.normal(0, 1.0, len(score))), 0.001, 0.999)
    found = compare(outcome, worse, score)
    assert found["pr_auc"].is_beyond_noise
    assert found["pr_auc"].difference > 0
    same = compare(outcome, score, score)
    assert same["pr_auc"] == (same["pr_auc"].first, same["pr_auc"].first, 0.0, 0.0, 0.0)
    assert not same["pr_auc"].is_beyond_noise


def test_one_class_gives_no_ranking_and_no_error() -> None:
    found = evaluate([0, 0, 0], [0.1, 0.2, 0.3])
    assert np.isnan(found["roc_auc"].value)
    assert np.isnan(found["calibration_slope"].value)
    assert found["brier"].value == pytest.approx(np.mean([0.01, 0.04, 0.09]))


@pytest.mark.parametrize(
    ("outcome", "score", "told"),
    [
        ([0, 1], [0.5], "same rows"),
        ([], [], "at least one"),
        ([0, 2], [0.5, 0.5], "neither 0 nor 1"),
        ([0, np.nan], [0.5, 0.5], "Leave out censored rows"),
        ([0, 1], [0.5, 1.5], "no probability"),
        ([0, 1], [0.5, np.nan], "no probability"),
    ],
)
def test_bad_input_is_told(outcome: list[float], score: list[float], told: str) -> None:
    with pytest.raises(ContractError, match=told):
        evaluate(outcome, score)


def test_reliability_and_curves() -> None:
    outcome, score = world(5000)
    table = reliability_table(outcome, score)
    assert table["rows"].between(499, 501).all()
    assert (np.abs(table["predicted"] - table["observed"]) < 4 * table["error"] + 0.005).all()
    figure = plot_curves(outcome, {"true": score, "flat": np.full(len(score), outcome.mean())})
    assert figure.axes[0].get_title().startswith("Reliability")
    assert len(reliability_table(outcome, np.full(len(score), 0.1))) == 1
