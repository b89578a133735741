"""Trees of several libraries as one model: alike to the libraries' own, and scored without them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from spanishgas.config import BlendSettings
from spanishgas.errors import ConfigError
from spanishgas.models import BlendHazard, ChurnModel
from spanishgas.models.fitting import build_model
from spanishgas.models.hazard import Fold
from spanishgas.models.members import EXTRA, GROWERS, Grown, Growth, Sample, grow
from spanishgas.models.trees import not_above, to_booster
from tests.models.worlds import WINDOWS, world

ALL = tuple(GROWERS)
FEATURES = 5
NAMES = [f"f{place}" for place in range(FEATURES)]
GROWTH = Growth(
    max_depth=4,
    learning_rate=0.2,
    rounds=15,
    stop_after=5,
    min_child_weight=1.0,
    subsample=0.8,
    colsample=0.8,
    l2=1.0,
    forest_trees=15,
    forest_leaves=60,
    signs=(0,) * FEATURES,
    seed=0,
    threads=1,
)


def sample(seed: int, rows: int = 1500) -> Sample:
    """Numbers, a count with few values, one that may be missing, one that always is."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    numbers[:, 2] = rng.integers(0, 4, rows)
    numbers[rng.uniform(size=rows) < 0.1, 0] = np.nan
    numbers[:, 4] = np.nan
    effect = np.nan_to_num(numbers[:, 0]) + numbers[:, 1] * numbers[:, 2]
    return Sample(numbers, (effect + rng.logistic(size=rows) > 1).astype(float), np.ones(rows))


def odd_rows() -> np.ndarray:
    """Rows like those learned from, and some that lack what was never missing then."""
    rows = sample(9, 300).rows
    rows[:50, 1] = np.nan
    return rows


def summed(grown: Grown, rows: np.ndarray) -> np.ndarray:
    return to_booster(grown.trees, NAMES).inplace_predict(rows) + grown.offset


def test_trees_of_lightgbm_decide_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import lightgbm
    import xgboost

    kept = []
    learn = lightgbm.train
    monkeypatch.setattr(lightgbm, "train", lambda *given, **named: kept.append(learn(*given, **named)) or kept[-1])
    grown, rows = grow("lightgbm", sample(0), None, GROWTH), odd_rows()
    np.testing.assert_allclose(summed(grown, rows), kept[0].predict(rows, raw_score=True), atol=1e-5)
    told = to_booster(grown.trees, NAMES).predict(xgboost.DMatrix(rows, feature_names=NAMES), pred_contribs=True)
    np.testing.assert_allclose(told, kept[0].predict(rows, pred_contrib=True), atol=1e-5)


def test_trees_of_catboost_decide_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import catboost

    kept = []
    learn = catboost.CatBoostClassifier.fit
    monkeypatch.setattr(
        catboost.CatBoostClassifier, "fit", lambda self, *given, **named: kept.append(self) or learn(self, *given)
    )
    grown, rows = grow("catboost", sample(0), None, GROWTH), odd_rows()
    np.testing.assert_allclose(summed(grown, rows), kept[0].predict(rows, prediction_type="RawFormulaVal"), atol=1e-5)


def test_extra_trees_send_rows_to_their_own_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    import xgboost
    from sklearn import ensemble

    kept = []
    learn = ensemble.ExtraTreesClassifier.fit
    monkeypatch.setattr(
        ensemble.ExtraTreesClassifier, "fit", lambda self, *given: kept.append(self) or learn(self, *given)
    )
    grown, rows = grow("extra_trees", sample(0), None, GROWTH), odd_rows()
    matrix = xgboost.DMatrix(rows, feature_names=NAMES)
    leaves = to_booster(grown.trees, NAMES).predict(matrix, pred_leaf=True)
    np.testing.assert_array_equal(leaves, kept[0].apply(rows))
    # A leaf's rate with one more row of average risk in it.
    assert summed(grown, rows) == pytest.approx(kept[0].predict_proba(rows)[:, 1], abs=0.06)


@pytest.mark.parametrize("member", [name for name in ALL if name != "extra_trees"])
def test_boosted_members_stop_early_and_do_not_depend_on_threads(member: str) -> None:
    growth = Growth(**{**vars(GROWTH), "rounds": 400})
    one = grow(member, sample(0), sample(1), growth)
    two = grow(member, sample(0), sample(1), Growth(**{**vars(growth), "threads": 2}))
    assert 3 < len(one.trees) < 400
    np.testing.assert_array_equal(summed(one, odd_rows()), summed(two, odd_rows()))


def test_thresholds_are_exact_for_floats_of_32_bits() -> None:
    limits = np.array([0.1, 1.0, -0.1, 1e-35, 0.0])
    found = not_above(limits)
    near = np.array([limits.astype(np.float32), np.nextafter(limits.astype(np.float32), np.float32(9))])
    np.testing.assert_array_equal(near < found, near.astype(np.float64) <= limits)


@pytest.fixture(scope="module")
def blend() -> BlendHazard:
    features, windows, _, _ = world(1000)
    later = world(1000, seed=1)
    stopping, calibrating = Fold(later[0], later[1], None, later[3]).parts()
    model = BlendHazard(members=ALL, rounds=30, learning_rate=0.2, forest_trees=20)
    model.fit(features, windows, stopping=stopping, calibrating=calibrating)
    return model


def test_log_odds_are_the_mean_of_the_members(blend: BlendHazard) -> None:
    features, windows, _, _ = world(1000)
    rows = world(200, seed=5)[0]
    told = []
    for member in ALL:
        alone = BlendHazard(**{**blend.get_params(), "members": (member,)})
        alone.settle(blend.trees)
        hazards = alone.fit(features, windows).predict_windows(rows)
        told.append(np.log(hazards / (1 - hazards)))
    together = BlendHazard(**blend.get_params())
    together.settle(blend.trees)
    hazards = together.fit(features, windows).predict_windows(rows)
    np.testing.assert_allclose(np.log(hazards / (1 - hazards)), np.mean(told, axis=0), atol=1e-5)
    assert np.std(told, axis=0).mean() > 0.05


def test_reasons_of_all_members_add_up(blend: BlendHazard) -> None:
    features, _, _, _ = world(150, seed=9)
    added, base = blend.contributions(features)
    hazards = blend.predict_windows(features)
    np.testing.assert_allclose(
        added.sum(axis=1).to_numpy() + base, np.log(hazards / (1 - hazards)).mean(axis=1), atol=1e-4
    )
    assert added.abs().mean().idxmax() in {"price", "tenure"}
    assert blend.importance()["feature"].iloc[0] in {"price", "tenure"}
    assert blend.importance()["gain"].sum() == pytest.approx(1.0)


def test_a_saved_blend_scores_where_no_library_of_its_members_is(
    blend: BlendHazard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = world(50, seed=3)[0]
    ChurnModel("blend", blend, WINDOWS).save(tmp_path)
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, None)
    back = ChurnModel.load(tmp_path)
    np.testing.assert_array_equal(back.model.predict_windows(features), blend.predict_windows(features))
    assert back.model.trees == blend.trees
    with pytest.raises(ConfigError, match=r"lightgbm, catboost.*\n?.*pip install 'spanishgas\[blend\]'"):
        BlendHazard(members=ALL).fit(*world(200)[:2])


def test_members_are_chosen_by_settings() -> None:
    settings = BlendSettings(members=("xgboost", "extra_trees"), rounds=3)
    model = build_model(settings, {"price": 1, "noise": 0}, threads=1)
    assert isinstance(model, BlendHazard)
    assert (model.members, model.monotone, model.rounds) == (("xgboost", "extra_trees"), {"price": 1}, 3)
    for wrong in ((), ("xgboost", "xgboost"), ("forest",)):
        with pytest.raises(ValidationError):
            BlendSettings(members=wrong)
