"""One suite over every model of the family."""

import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from spanishgas.errors import ContractError
from spanishgas.evaluation import evaluate
from spanishgas.models import MODELS, HazardModel, LogisticHazard, WindowCalibration, XGBoostHazard, union_of
from spanishgas.models.hazard import Fold, person_periods
from tests.models.worlds import fit_again, fitted, small, world


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> HazardModel:
    return fitted(request.param)[0]


def test_probabilities_are_probabilities_and_agree(model: HazardModel) -> None:
    features, _, _, _ = world(500, seed=7)
    hazards = model.predict_windows(features)
    assert hazards.shape == (500, 3)
    assert ((hazards > 0) & (hazards < 1)).all()
    risk = model.predict_risk(features)
    np.testing.assert_allclose(risk, 1 - np.prod(1 - hazards, axis=1), rtol=1e-9)
    assert (risk >= hazards.max(axis=1)).all()


def test_it_finds_what_is_there(model: HazardModel) -> None:
    features, windows, hazards, _customers = world(seed=3)
    complete = np.isfinite(windows).all(axis=1) | (np.nansum(windows, axis=1) == 1)
    outcome = (np.nansum(windows, axis=1) > 0).astype(float)[complete]
    found = evaluate(outcome, model.predict_risk(features)[complete], replicates=0)
    best = evaluate(outcome, union_of(hazards)[complete], replicates=0)
    assert found["roc_auc"].value > best["roc_auc"].value - 0.02
    assert found["observed_over_expected"].value == pytest.approx(1.0, abs=0.12)
    assert found["calibration_slope"].value == pytest.approx(1.0, abs=0.2)


def test_the_same_seed_gives_the_same_scores(model: HazardModel) -> None:
    again, features = fit_again(next(name for name, kind in MODELS.items() if type(model) is kind))
    np.testing.assert_array_equal(model.predict_windows(features), again.predict_windows(features))


def test_a_row_alone_scores_as_in_a_batch_and_in_any_order(model: HazardModel) -> None:
    features, _, _, _ = world(300, seed=5)
    batch = model.predict_windows(features)
    alone = np.vstack([model.predict_windows(features.iloc[[place]]) for place in range(40)])
    np.testing.assert_allclose(alone, batch[:40], rtol=1e-12)
    order = np.random.default_rng(0).permutation(300)
    shuffled = features.iloc[order, ::-1]
    np.testing.assert_allclose(model.predict_windows(shuffled), batch[order], rtol=1e-12)


def test_new_words_and_missing_values_are_scored(model: HazardModel) -> None:
    features, _, _, _ = world(20, seed=5)
    odd = features.assign(channel="pigeon", price=np.nan, tenure=np.nan, business=None)
    assert np.isfinite(model.predict_windows(odd)).all()


def test_missing_features_are_told(model: HazardModel) -> None:
    features, _, _, _ = world(20)
    with pytest.raises(ContractError, match="price"):
        model.predict_windows(features.drop(columns="price"))


def test_a_model_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError, match="not fitted"):
        LogisticHazard().predict_windows(pd.DataFrame({"x": [1.0]}))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_parameters_are_those_of_scikit_learn(name: str) -> None:
    estimator = MODELS[name]()
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert clone(estimator).set_params(**estimator.get_params()).get_params() == estimator.get_params()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_one_window_is_enough(name: str) -> None:
    features, windows, _, _customers = world(2000)
    flag = np.where(np.nansum(windows, axis=1) > 0, 1.0, 0.0)[:, None]
    estimator = small(name).fit(features, flag)
    assert estimator.predict_windows(features).shape == (2000, 1)
    np.testing.assert_allclose(estimator.predict_risk(features), estimator.predict_windows(features)[:, 0])


def test_a_monotone_feature_has_the_sign_that_was_declared() -> None:
    features, windows, _, _customers = world(3000)
    bound = XGBoostHazard(monotone={"noise": 1}, rounds=80).fit(features, windows)
    grid = pd.concat([features.iloc[[0]]] * 50, ignore_index=True).assign(noise=np.linspace(-3, 3, 50))
    assert (np.diff(bound.predict_risk(grid)) >= -1e-12).all()


def test_early_stopping_takes_fewer_trees() -> None:
    model, _ = fitted("xgboost", rounds=600)
    assert isinstance(model, XGBoostHazard)
    assert 5 < model.booster_.num_boosted_rounds() < 600
    assert model.importance()["feature"].iloc[0] in {"price", "tenure"}


def test_coefficients_are_readable() -> None:
    model, _ = fitted("logistic")
    assert isinstance(model, LogisticHazard)
    table = model.coefficients().set_index("term")["coefficient"]
    assert table["price"] > 0 > table["tenure"]
    assert table["channel = phone"] > table["channel = web"]
    assert "price is missing" in table.index


def test_calibration_repairs_a_distorted_model_and_keeps_a_true_one() -> None:
    rng = np.random.default_rng(0)
    window = rng.integers(0, 3, 60_000)
    true = 1 / (1 + np.exp(-(rng.normal(size=len(window)) - 2.5 + 0.3 * window)))
    outcome = (rng.uniform(size=len(window)) < true).astype(float)
    logit = np.log(true / (1 - true))
    distorted = 1 / (1 + np.exp(-(0.5 * logit - 0.7 * window)))
    weight = np.ones(len(window))
    line = WindowCalibration.fit(distorted, window, outcome, weight, 3)
    assert line.slope == pytest.approx(2.0, abs=0.1)
    assert np.diff(line.intercepts) == pytest.approx([1.4, 1.4], abs=0.1)
    kept = WindowCalibration.fit(true, window, outcome, weight, 3)
    assert kept.slope == pytest.approx(1.0, abs=0.05)
    few = WindowCalibration.fit(true[:50], window[:50], np.zeros(50), weight[:50], 3)
    assert few == WindowCalibration.identity(3)


def test_person_periods_leave_out_what_is_not_known() -> None:
    windows = np.array([[0.0, 1.0, np.nan], [0.0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    found = person_periods(windows, np.array([[1.0, 2.0, np.nan], [np.nan, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    assert found.row.tolist() == [0, 0, 1]
    assert found.window.tolist() == [0, 1, 0]
    assert found.outcome.tolist() == [0.0, 1.0, 0.0]
    assert found.weight.tolist() == [1.0, 2.0, 1.0]
    with pytest.raises(ContractError, match="neither 0 nor 1"):
        person_periods(np.array([[0.5]]))
    with pytest.raises(ContractError, match="no outcome is known"):
        person_periods(np.array([[np.nan]]))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_level_is_that_of_the_rows_that_calibrate(name: str) -> None:
    features, windows, _, _customers = world(seed=1)
    later, _, hazards, customers = world(seed=2)
    halved = hazards / 2
    rng = np.random.default_rng(0)
    outcomes = (rng.uniform(size=halved.shape) < halved).astype(float)
    fold = Fold(later, outcomes, None, customers)
    plain = small(name).fit(features, windows)
    calibrated = small(name).fit(features, windows, calibrating=fold)
    expected = outcomes.mean(axis=0)
    assert plain.predict_windows(later).mean(axis=0) == pytest.approx(2 * expected, rel=0.25)
    assert calibrated.predict_windows(later).mean(axis=0) == pytest.approx(expected, rel=0.03)


def test_calibration_customers_are_not_those_of_early_stopping() -> None:
    features, windows, _, customers = world(900)
    first, second = Fold(features, windows, None, customers).parts()
    assert set(first.customers).isdisjoint(second.customers)
    assert len(first.features) + len(second.features) == 900


def test_models_survive_being_copied(model: HazardModel) -> None:
    features, _, _, _ = world(50)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_windows(features), model.predict_windows(features))


# A column vector is one window to us, not a mistake to warn of.
NOT_APPLYING = {"check_supervised_y_2d": "one column of outcomes is one window"}


@parametrize_with_checks([LogisticHazard(), XGBoostHazard(rounds=10)], expected_failed_checks=lambda _: NOT_APPLYING)
def test_scikit_learns_own_checks(estimator: HazardModel, check: Callable[[HazardModel], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_contributions_add_up_to_the_mean_log_odds(name: str) -> None:
    model, _ = fitted(name)
    features, _, _, _ = world(200, seed=9)
    added, base = model.contributions(features)
    hazards = model.predict_windows(features)
    log_odds = np.log(hazards / (1 - hazards)).mean(axis=1)
    np.testing.assert_allclose(added.sum(axis=1).to_numpy() + base, log_odds, atol=2e-4)
    # What says nothing adds little; what drives the world adds most.
    strongest = added.abs().mean().sort_values().index.tolist()
    assert strongest[-1] in {"price", "tenure"}
    assert added["empty"].abs().max() < 1e-9


@pytest.mark.parametrize("name", sorted(MODELS))
def test_one_customer_alone_is_explained_as_among_many(name: str) -> None:
    model, _ = fitted(name)
    features, _, _, _ = world(1200, seed=9)
    added, base = model.contributions(features)
    numbers = model.encoding_.numbers(features)
    for row in (0, 7, 1199):
        alone, its_base = model.contributions_of(numbers[row : row + 1])
        assert np.array_equal(alone[0], added.to_numpy()[row])
        assert its_base[0] == base[row]
        assert np.array_equal(model.windows_of(numbers[row : row + 1]), model.predict_windows(features[row : row + 1]))
