"""A training run: features chosen, settings searched, figures told, a baseline compared."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import (
    EvaluationSettings,
    LogisticSettings,
    OutOfFoldSettings,
    SearchRange,
    TuningSettings,
    XGBoostSettings,
)
from spanishgas.errors import ConfigError, ContractError
from spanishgas.evaluation import METRICS, Scored
from spanishgas.models.fitting import choose_features, fit
from spanishgas.models.judging import versus
from spanishgas.models.rows import Rows
from spanishgas.models.training_run import Known, TrainingRun, train
from spanishgas.models.tuning import Trial, log_loss, search
from tests.models.worlds import training_table

EVALUATION = EvaluationSettings(replicates=40, groups=("channel", "business", "not_there"), explained_rows=300)
KNOWN = Known({"price": 1, "tenure": -1}, ("noise",), is_temporal=True, horizon_days=90)
TREES = XGBoostSettings(rounds=120, learning_rate=0.1)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return training_table()


@pytest.fixture(scope="module")
def runs(table: pd.DataFrame) -> tuple[TrainingRun, TrainingRun]:
    """The baseline, and trees compared with it."""
    first = train(table, LogisticSettings(c=0.0001), EVALUATION, KNOWN, threads=1)
    return first, train(table, TREES, EVALUATION, KNOWN, threads=1, baseline=first.predictions)


def test_every_model_has_the_same_names_of_figures(runs: tuple[TrainingRun, TrainingRun]) -> None:
    wanted = {
        f"{split}_{metric}{suffix}"
        for split in ("valid", "test")
        for metric in METRICS
        for suffix in ("", "_lo", "_hi")
    }
    for run in runs:
        assert wanted <= set(run.metrics)
        for metric in METRICS:
            low, value, high = (run.metrics[f"test_{metric}{suffix}"] for suffix in ("_lo", "", "_hi"))
            assert low <= high
            assert np.isfinite(value)


def test_predictions_are_of_held_out_rows_only(runs: tuple[TrainingRun, TrainingRun], table: pd.DataFrame) -> None:
    for run in runs:
        assert set(run.predictions["split"]) == {"valid", "test"}
        assert len(run.predictions) == (table["split"] != "train").sum()
        hazards = run.predictions[["hazard_0_30", "hazard_30_60", "hazard_60_90"]].to_numpy()
        np.testing.assert_allclose(run.predictions["risk"], 1 - np.prod(1 - hazards, axis=1), rtol=1e-9)


def test_features_that_trend_are_left_out_and_groups_are_told_by_what_is_left_out_too(
    runs: tuple[TrainingRun, TrainingRun], table: pd.DataFrame
) -> None:
    for run in runs:
        assert "noise" not in run.model.model.columns_
    without = train(table, LogisticSettings(leave_out=("chan*",)), EVALUATION, KNOWN, threads=1)
    assert "channel" not in without.model.model.columns_
    assert {"web", "shop", "phone"} <= set(without.tables["groups_test.csv"]["value"])


def test_the_verdict_is_said_in_words(runs: tuple[TrainingRun, TrainingRun], table: pd.DataFrame) -> None:
    first, second = runs
    # A ridge this strong leaves the baseline next to nothing.
    assert second.tags["verdict"] == "better"
    assert "**outperforms**" in second.report
    assert second.metrics["test_gain_pr_auc"] > 0
    same = train(table, LogisticSettings(c=0.0001), EVALUATION, KNOWN, threads=1, baseline=first.predictions)
    assert same.tags["verdict"] == "not better"
    assert "does **not** outperform" in same.report
    assert same.metrics["test_gain_pr_auc"] == 0.0


def test_the_same_training_set_in_another_order_gives_the_same_model(table: pd.DataFrame) -> None:
    by = ["split", "as_of", "customer_id"]
    one = train(table.sort_values(by), TREES, EVALUATION, KNOWN, threads=1)
    other = train(table.sample(frac=1.0, random_state=1).sort_values(by), TREES, EVALUATION, KNOWN, threads=2)
    pd.testing.assert_frame_equal(one.predictions, other.predictions)


def test_the_ceiling_is_one_for_the_truth_itself(table: pd.DataFrame) -> None:
    run = train(table, TREES, EVALUATION, KNOWN, threads=1)
    truth = run.predictions.rename(columns={"risk": "p_horizon"})
    assert train(table, TREES, EVALUATION, KNOWN, threads=1, truth=truth).metrics[
        "test_share_of_ceiling"
    ] == pytest.approx(1.0)


def test_features_to_leave_out_must_exist() -> None:
    names = ["price_level", "price_rise", "tenure"]
    chosen = choose_features(names, LogisticSettings(leave_out=("price_*",)), (), is_temporal=True)
    assert chosen == ["tenure"]
    with pytest.raises(ConfigError, match=r"fits no feature.*tenure"):
        choose_features(names, LogisticSettings(leave_out=("tenur",)), (), is_temporal=True)
    with pytest.raises(ConfigError, match="leaves no feature"):
        choose_features(names, LogisticSettings(leave_out=("*",)), (), is_temporal=True)
    assert choose_features(names, LogisticSettings(), ("tenure",), is_temporal=False) == names
    used = LogisticSettings(trending="use")
    assert choose_features(names, used, ("tenure",), is_temporal=True) == names


def test_declared_signs_bind_unless_the_settings_say_otherwise(table: pd.DataFrame) -> None:
    rows = Rows.of(table).of_split("train")
    grid = pd.concat([rows.features.iloc[[0]]] * 60, ignore_index=True).assign(price=np.linspace(-3, 3, 60))

    def steps(settings: XGBoostSettings) -> np.ndarray:
        model = fit(settings, {"price": -1, "not_used": 1}, rows, None, threads=1)
        return np.diff(model.predict_risk(grid))

    # The price truly raises the risk: bound to the other sign it may not.
    assert (steps(TREES) <= 1e-12).all()
    assert (steps(TREES.model_copy(update={"monotone": False})) > 1e-6).any()


def test_the_verdict_minds_calibration(table: pd.DataFrame) -> None:
    truth = np.random.default_rng(0).uniform(0.02, 0.5, 4000)
    outcome = (np.random.default_rng(1).uniform(size=4000) < truth).astype(float)
    noise = np.full(4000, 0.26)
    none: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    people = np.arange(4000).astype(str).astype(object)

    def found(score: np.ndarray) -> str:
        rows = Scored(people, people, score, outcome, np.ones(4000), none)
        told = versus(rows, noise, names=("the baseline", "trees"), replicates=40)
        return told.outcome

    assert found(truth) == "better"
    assert found(noise) == "not better"
    # The same order, far too bold: the slope leaves its range.
    bold = 1 / (1 + np.exp(-3 * np.log(truth / (1 - truth))))
    assert found(bold) == "better but badly calibrated"
    # The same order and slope, twice the level: the ECE grows.
    odds = 2.5 * truth / (1 - truth)
    assert found(odds / (1 + odds)) == "better but badly calibrated"


def test_a_split_in_which_nobody_leaves_is_told(table: pd.DataFrame) -> None:
    rows = Rows.of(table)
    calm = rows.take(np.nansum(rows.windows, axis=1) == 0)
    with pytest.raises(ContractError, match="0 outcomes of leaving"):
        fit(LogisticSettings(), {}, calm.of_split("train"), None, threads=1)


def test_a_training_set_without_outcomes_is_told(table: pd.DataFrame) -> None:
    blind = table.assign(left_horizon=np.nan, left_0_30=np.nan, left_30_60=np.nan, left_60_90=np.nan)
    with pytest.raises(ContractError, match="no outcome is known"):
        Rows.of(blind)


TUNED = XGBoostSettings(
    rounds=20,
    tuning=TuningSettings(
        space={"max_depth": SearchRange(low=1, high=4), "l2": SearchRange(low=0.1, high=10, log=True)}
    ),
)


def test_an_interrupted_search_goes_on_where_it_was(table: pd.DataFrame, tmp_path: Path) -> None:
    rows = Rows.of(table)
    train_rows, valid = rows.of_split("train"), rows.of_split("valid")
    fits: list[XGBoostSettings] = []

    def fitted(settings: object) -> object:
        assert isinstance(settings, XGBoostSettings)
        fits.append(settings)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(settings, {}, train_rows, None, threads=1)

    told: list[Trial] = []
    with pytest.raises(KeyboardInterrupt):
        search(TUNED, fitted, valid, trials=4, journal=tmp_path / "study.log")  # type: ignore[arg-type]
    found = search(
        TUNED,
        fitted,  # type: ignore[arg-type]
        valid,
        trials=4,
        journal=tmp_path / "study.log",
        measured=lambda model: {"loss_again": log_loss(model, valid)},
        on_trial=told.append,
    )
    assert (found.resumed, len(found.trials), len(fits)) == (2, 4, 5)
    assert told == list(found.trials)
    assert found.trials[-1].metrics["loss_again"] == pytest.approx(found.trials[-1].loss)
    best = min(found.trials, key=lambda trial: trial.loss)
    assert found.best == best.settings
    # The search begins at the settings given.
    assert (fits[0].max_depth, fits[0].l2) == (TUNED.max_depth, TUNED.l2)
    more = search(TUNED, fitted, valid, trials=5, journal=tmp_path / "study.log")  # type: ignore[arg-type]
    assert (more.resumed, len(more.trials)) == (4, 5)


def test_a_search_space_must_name_settings(table: pd.DataFrame) -> None:
    odd = XGBoostSettings(tuning=TuningSettings(space={"depth": SearchRange(low=1, high=4)}))
    with pytest.raises(ConfigError, match=r"names no setting.*depth"):
        search(odd, lambda _: None, Rows.of(table), trials=1)  # type: ignore[arg-type,return-value]


def test_the_trials_of_a_run_are_in_its_report(table: pd.DataFrame) -> None:
    tuned = TUNED.model_copy(update={"tuning": TUNED.tuning.model_copy(update={"trials": 2})})
    trials: list[Trial] = []
    run = train(table, tuned, EVALUATION, KNOWN, threads=1, on_trial=trials.append)
    assert [trial.number for trial in trials] == [0, 1]
    assert {"valid_pr_auc", "valid_ece"} <= set(trials[0].metrics)
    assert run.metrics["trials"] == 2
    assert len(run.tables["trials.csv"]) == 2


def snapshot_table() -> pd.DataFrame:
    """One date, one flag, and a feature that knows each customer by heart."""
    table = training_table(1200).drop_duplicates("customer_id").iloc[:1200].reset_index(drop=True)
    rng = np.random.default_rng(0)
    outcome = (rng.uniform(size=len(table)) < 0.2).astype(float)
    empty = {f"left_{name}": np.nan for name in ("0_30", "30_60", "60_90")}
    return table.assign(
        left_horizon=outcome,
        split=rng.choice(["train", "valid", "test"], len(table), p=[0.6, 0.2, 0.2]),
        price=rng.uniform(size=len(table)),
        tenure=np.arange(len(table)) // 4,
        channel="web",
        **empty,
    )


def test_out_of_fold_scores_come_from_models_that_have_not_seen_the_customer() -> None:
    table = snapshot_table()
    # Four rows of one group share an outcome: a model that has seen the group knows the rest of it.
    table["left_horizon"] = table["left_horizon"].to_numpy()[(table["tenure"] * 4).to_numpy().astype(int)]
    trees = XGBoostSettings(rounds=40, stop_after=40, min_child_weight=0, l2=0, max_depth=8, learning_rate=0.3)
    known = Known({}, (), is_temporal=False, horizon_days=90)
    settings = EvaluationSettings(replicates=0, oof=OutOfFoldSettings(folds=3, seeds=2))
    leaking = train(table, trees, settings, known, threads=1)
    assert leaking.metrics["oof_roc_auc_mean"] > 0.7
    grouped = settings.model_copy(update={"oof": OutOfFoldSettings(folds=3, seeds=2, group_by=("tenure",))})
    honest = train(table, trees, grouped, known, threads=1)
    assert honest.metrics["oof_roc_auc_mean"] == pytest.approx(0.5, abs=0.1)
    assert "Not a temporal split" in honest.report
    assert (honest.predictions["split"] == "oof").sum() == len(table)


def test_a_search_over_all_customers_does_not_reach_into_the_folds() -> None:
    table = snapshot_table()
    known = Known({}, (), is_temporal=False, horizon_days=90)
    settings = EvaluationSettings(replicates=0, oof=OutOfFoldSettings(folds=3))
    plain = TUNED.model_copy(update={"max_depth": 1})
    searched = plain.model_copy(update={"tuning": plain.tuning.model_copy(update={"trials": 4})})
    one, other = (train(table, tried, settings, known, threads=1) for tried in (plain, searched))
    assert other.metrics["best.max_depth"] != 1, "the search must have moved for this to say anything"
    assert other.metrics["oof_roc_auc"] == one.metrics["oof_roc_auc"]


def test_figures_of_valid_are_never_called_those_of_test(table: pd.DataFrame) -> None:
    later = table.assign(left_horizon=table["left_horizon"].where(table["split"] != "test"))
    truth = table.assign(p_horizon=0.5 + 0.1 * (np.arange(len(table)) % 2))[["customer_id", "as_of", "p_horizon"]]
    run = train(later, LogisticSettings(), EVALUATION, KNOWN, threads=1, truth=truth)
    assert not [name for name in run.metrics if name.startswith("test_")]
    assert run.tags["judged_on"] == "valid"
    assert "Not a judgement" in run.report
    nowhere = later.assign(left_horizon=np.nan)
    with pytest.raises(ContractError, match="no outcome over the horizon"):
        train(nowhere, LogisticSettings(), EVALUATION, KNOWN, threads=1)


def test_a_column_to_group_by_must_exist() -> None:
    odd = EvaluationSettings(replicates=0, oof=OutOfFoldSettings(folds=3, group_by=("campaign",)))
    with pytest.raises(ConfigError, match=r"are no features.*campaign"):
        train(snapshot_table(), LogisticSettings(), odd, Known({}, (), is_temporal=False, horizon_days=90), threads=1)
