"""Models on the same frozen rows, and the gates: each fails for its own reason and for no other."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EvaluationSettings, GateSettings, LogisticSettings, XGBoostSettings
from spanishgas.errors import ContractError
from spanishgas.models.contest import Contender, Contest, hold, time_scoring
from spanishgas.models.contest_report import figures_rows, metrics_of, render, render_gates
from spanishgas.models.files import scores
from spanishgas.models.gates import NAMES, Gate, from_json, pass_gates, reason_of, to_json, with_speed
from spanishgas.models.rows import Rows
from spanishgas.models.training_run import Known, train
from spanishgas.registry.validation import unmet
from tests.models.worlds import WINDOWS, training_table, world

GATES = GateSettings()
TYPES = {"price": "double", "tenure": "double", "channel": "string"}
FACTS = {"learned_as_of": ["2024-04-30", "2024-10-31"], "learned_customers": "", "horizon_days": 90, "types": TYPES}
SEED = {"2024-04-30": 0, "2024-05-31": 1, "2024-10-31": 2, "2025-03-31": 3}
ROWS = 3000


@dataclass
class Model:
    """Scores that a test makes up: hazards of a table's rows, by its index."""

    hazards: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=lambda: FACTS)
    kind: str = "made up"
    windows: tuple[str, ...] = WINDOWS

    @property
    def model(self) -> SimpleNamespace:
        return SimpleNamespace(columns_=tuple(TYPES))

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        found = self.hazards[np.arange(len(features)) % len(self.hazards)]
        return scores(found, self.windows)


def contender(role: str, model: Any, size: int = 1000) -> Contender:
    return Contender(role, {"champion": "v1", "challenger": "v2", "baseline": "v0"}[role], model, size)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return training_table(ROWS)


@pytest.fixture(scope="module")
def true(table: pd.DataFrame) -> np.ndarray:
    """True hazards of the test rows with a known outcome."""
    _, _, hazards, _ = world(ROWS, 3)
    known = table.loc[table["split"] == "test", "left_horizon"].notna().to_numpy()
    return hazards[known]


def blurred(hazards: np.ndarray, by: float, seed: int = 0) -> np.ndarray:
    """Hazards of somebody who knows less, about as well calibrated."""
    logit = np.log(hazards / (1 - hazards))
    noise = np.random.default_rng(seed).normal(size=(len(logit), 1)) * by
    spread = logit.std()
    mixed = logit.mean(axis=0) + (logit - logit.mean(axis=0) + noise) * spread**2 / (spread**2 + by**2)
    return 1 / (1 + np.exp(-mixed))


def contest_of(table: pd.DataFrame, *contenders: Contender, **changes: Any) -> Contest:
    settings: dict[str, Any] = {"horizon_days": 90, "is_temporal": True, "replicates": 50}
    settings |= {"groups": {"channel": list(table["channel"])}, **changes}
    return hold(contenders, table, **settings)


def states(contest: Contest, settings: GateSettings = GATES, **changes: Mapping[str, str]) -> dict[str, str]:
    return {one.name: one.state for one in gates_of(contest, settings, **changes)}


def gates_of(contest: Contest, settings: GateSettings = GATES, **changes: Mapping[str, str]) -> list[Gate]:
    """The gates of a challenger that is fast and small."""
    gates = pass_gates(contest, settings, **{"produced": TYPES, "needed": TYPES, "validate": unmet, **changes})  # type: ignore[arg-type]
    return with_speed(gates, {"row_ms": 1.0, "thousand_rows_ms": 10.0, "size_mib": 1.0}, settings, unmet)


def failed(contest: Contest, settings: GateSettings = GATES, **changes: Mapping[str, str]) -> set[str]:
    return {name for name, state in states(contest, settings, **changes).items() if state == "failed"}


def test_the_figures_are_those_of_the_training_runs() -> None:
    """Both models score the frozen rows as they did when they were trained."""
    table = training_table(1500)
    known = Known({}, (), is_temporal=True, horizon_days=90)
    evaluation = EvaluationSettings(replicates=20, groups=(), explained_rows=50)
    first = train(table, LogisticSettings(c=0.0001), evaluation, known, threads=1)
    second = train(table, XGBoostSettings(rounds=60), evaluation, known, threads=1, baseline=first.predictions)
    contest = contest_of(
        table, contender("champion", first.model), contender("challenger", second.model), replicates=20
    )
    assert contest.left_out == {}
    for role, run in (("champion", first), ("challenger", second)):
        for metric in ("pr_auc", "ece", "calibration_slope", "log_loss"):
            one = contest.figures[role][metric]
            assert (one.value, one.lo, one.hi) == pytest.approx(
                [run.metrics[f"test_{metric}{suffix}"] for suffix in ("", "_lo", "_hi")]
            )
    assert metrics_of(contest)["over_champion_pr_auc"] == pytest.approx(second.metrics["test_gain_pr_auc"])
    published = second.predictions[second.predictions["split"] == "test"]
    ours = contest.scores[contest.scores["contender"] == "challenger"]
    both = ours.merge(published, on=["customer_id", "as_of"], suffixes=("", "_published"), validate="1:1")
    assert len(both) == len(ours) == contest.rows
    assert (both["risk"] == both["risk_published"]).all()


def test_a_better_challenger_passes_every_gate(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(
        table,
        contender("champion", Model(blurred(true, 1.2))),
        contender("challenger", Model(true)),
        contender("baseline", Model(blurred(true, 1.5, seed=1))),
    )
    gates = gates_of(contest)
    assert {one.state for one in gates} == {"passed"}
    absolute, relative = "comparable features ranks calibrated fast baseline", "better not_worse calibration groups"
    assert [one.name for one in gates] == [*absolute.split(), *relative.split()]
    assert sorted(NAMES) == sorted(one.name for one in gates)
    reason = reason_of(gates, "v1")
    assert "Better than the champion v1 beyond noise" in reason
    text = render(contest)
    assert "challenger v2" in text
    assert "| better | passed |" in render_gates(gates)
    assert from_json(to_json(gates)) == gates
    assert contest.rows_digest[:16] in text
    rows = figures_rows(contest)
    assert set(rows["contender"]) == {"champion", "challenger", "baseline"}


def test_the_first_one_needs_the_absolute_gates_only(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(table, contender("challenger", Model(true)))
    found = states(contest)
    assert found["better"] == found["not_worse"] == found["calibration"] == found["groups"] == "not asked"
    assert found["baseline"] == "not asked"
    assert "failed" not in found.values()
    assert "there is no champion" in reason_of(gates_of(contest))
    # But these it does need.
    noise = np.random.default_rng(0).permutation(true)
    assert "ranks" in failed(contest_of(table, contender("challenger", Model(noise))))


def test_no_gain_is_not_enough(table: pd.DataFrame, true: np.ndarray) -> None:
    same = contest_of(table, contender("champion", Model(true)), contender("challenger", Model(true)))
    assert failed(same) == {"better"}
    noise = contest_of(
        table,
        contender("champion", Model(blurred(true, 0.3, seed=1))),
        contender("challenger", Model(blurred(true, 0.3, seed=2))),
    )
    assert failed(noise) == {"better"}


RECIPE = {**FACTS, "recipe": "r" * 64}
OLD, YOUNG = date(2025, 9, 30), date(2026, 3, 31)


@pytest.mark.drill
def test_the_same_recipe_on_younger_rows_need_not_be_better(table: pd.DataFrame, true: np.ndarray) -> None:
    def told(theirs: dict[str, Any], ours: dict[str, Any], until: dict[str, date], by: float = 0.0) -> Contest:
        hazards = blurred(true, by) if by else true
        contenders = contender("champion", Model(true, theirs)), contender("challenger", Model(hazards, ours))
        return contest_of(table, *contenders, learned_until=until)

    younger = {"champion": OLD, "challenger": YOUNG}
    same = told(RECIPE, RECIPE, younger)
    assert (failed(same), states(same)["better"], states(same)["not_worse"]) == (set(), "not asked", "passed")
    assert reason_of(gates_of(same), "v1") == (
        "Younger than the champion v1, nothing much worse: the champion's recipe, learned from rows until 2026-03-31 "
        "instead of 2025-09-30."
    )
    # Grown worse, it is refused like any other.
    assert "not_worse" in failed(told(RECIPE, RECIPE, younger, by=1.5))
    # No younger, another recipe, or one that is not known: to be as good is not enough.
    for contest in (
        told(RECIPE, RECIPE, {"champion": OLD, "challenger": OLD}),
        told(RECIPE, RECIPE, {"challenger": YOUNG}),
        told(RECIPE, {**RECIPE, "recipe": "s"}, younger),
        told(FACTS, FACTS, younger),  # type: ignore[arg-type]
    ):
        assert failed(contest) == {"better"}


def test_a_worse_challenger_is_told_what_it_failed(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(table, contender("champion", Model(true)), contender("challenger", Model(blurred(true, 1.5))))
    assert failed(contest) >= {"better", "not_worse"}
    reason = reason_of(gates_of(contest))
    assert reason.startswith("Failed: better (no gain beyond noise: pr_auc ")
    assert "not_worse (worse than the champion beyond noise" in reason


def test_a_better_ranking_does_not_excuse_lost_calibration(table: pd.DataFrame, true: np.ndarray) -> None:
    loud = np.clip(true * 2.5, 0, 0.95)
    contest = contest_of(table, contender("champion", Model(blurred(true, 1.2))), contender("challenger", Model(loud)))
    assert states(contest)["better"] == "passed"
    assert {"calibrated", "calibration"} <= failed(contest)
    timid = 1 / (1 + np.exp(-2.5 * (np.log(true / (1 - true)) + 2.5) + 2.5))
    assert "calibrated" in failed(contest_of(table, contender("challenger", Model(timid))))


def test_better_overall_and_much_worse_for_some_is_refused_by_name(table: pd.DataFrame, true: np.ndarray) -> None:
    test = table[(table["split"] == "test") & table["left_horizon"].notna()]
    shop = (test["channel"] == "shop").to_numpy()
    # Knows everything of the others, and has the shop's customers exactly the wrong way round.
    mixed = true.copy()
    order = np.argsort(true[shop][:, 0])
    mixed[np.flatnonzero(shop)[order]] = true[shop][order[::-1]]
    contest = contest_of(table, contender("champion", Model(blurred(true, 3.0))), contender("challenger", Model(mixed)))
    assert states(contest)["better"] == "passed"
    assert "groups" in failed(contest)
    (sentence,) = (one.sentence for one in gates_of(contest) if one.name == "groups")
    assert "channel = shop" in sentence
    assert "channel = web" not in sentence


def test_a_slow_or_large_one_is_refused(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(table, contender("challenger", Model(true)))
    gates = pass_gates(contest, GATES, produced=TYPES, needed=TYPES, validate=unmet)
    # What is published with the comparison says nothing of the speed: that is judged by whoever decides.
    (published,) = (one for one in gates if one.name == "fast")
    assert published.state == "not asked"
    assert "row_ms 50, thousand_rows_ms 2000, size_mib 50" in published.sentence
    fast = {"row_ms": 49.0, "thousand_rows_ms": 1999.0, "size_mib": 49.0}
    assert [one.state for one in with_speed(gates, fast, GATES, unmet) if one.name == "fast"] == ["passed"]
    for change, sentence in (
        ({"row_ms": 50.5}, "row_ms 50.50, allowed 50"),
        ({"thousand_rows_ms": 3000.0}, "thousand_rows_ms 3000.00, allowed 2000"),
        ({"size_mib": 51.0}, "size_mib 51.00, allowed 50"),
    ):
        judged = [one for one in with_speed(gates, fast | change, GATES, unmet) if one.state == "failed"]
        assert [(one.name, one.sentence) for one in judged] == [("fast", sentence)]
        assert reason_of(judged) == f"Failed: fast ({sentence})."


def test_a_busy_machine_makes_no_model_slow(true: np.ndarray) -> None:
    """The least of several timings counts, of the processor's time."""
    waits = iter([0.0, 9.0, 0.0, 0.002, *[0.0, 9.0] * 5, 0.0, 9.0, 0.0, 0.02, *[0.0, 9.0] * 5])
    found = time_scoring(Model(true), clock=lambda: next(waits))  # type: ignore[arg-type]
    assert found == {"row_ms": pytest.approx(2.0), "thousand_rows_ms": pytest.approx(20.0)}

    class Waiting(Model):
        def predict(self, features: pd.DataFrame) -> pd.DataFrame:
            time.sleep(0.03)
            return super().predict(features)

    assert time_scoring(Waiting(true))["row_ms"] < 25  # type: ignore[arg-type]


def test_every_comparison_has_the_same_figures(table: pd.DataFrame, true: np.ndarray) -> None:
    """So that runs beside each other have no gaps; who has nobody to be compared with stands against itself."""
    ours = contender("challenger", Model(true))
    champion, baseline = contender("champion", Model(blurred(true, 1.2))), contender("baseline", Model(true))
    late = replace(champion, model=Model(true, {**FACTS, "learned_as_of": ["2025-01-31"]}))
    found = [
        metrics_of(contest_of(table, *others, ours, replicates=20))
        for others in ((champion, baseline), (champion,), (baseline,), (), (late,))
    ]
    assert {tuple(sorted(one)) for one in found} == {tuple(sorted(found[0]))}
    assert all(np.isfinite(list(one.values())).all() for one in found)
    assert found[3]["over_champion_pr_auc"] == found[3]["over_champion_pr_auc_lo"] == 0
    assert found[3]["champion_pr_auc"] == found[3]["challenger_pr_auc"]
    # Without replicates the bounds are the difference itself.
    assert set(metrics_of(contest_of(table, champion, ours, replicates=0))) == set(found[0])


def test_a_reason_names_the_gates_and_the_first_faults_only(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(table, contender("champion", Model(true)), contender("challenger", Model(true)))
    rows = [
        {
            "group": "region",
            "value": str(number),
            "metric": "pr_auc",
            "first": 0.5,
            "second": 0.1,
            "lo": -0.5,
            "hi": -0.3,
        }
        for number in range(200)
    ]
    gates = gates_of(replace(contest, groups=pd.DataFrame(rows)))
    (groups,) = (one for one in gates if one.name == "groups")
    assert "region = 199" in groups.sentence
    reason = reason_of(gates)
    assert "region = 1:" in reason
    assert "and 198 more" in reason
    assert len(reason) < 1000


def test_features_must_still_be_made_in_the_same_type(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(table, contender("challenger", Model(true)))
    assert failed(contest, produced={"price": "double", "tenure": "double"}) == {"features"}
    assert failed(contest, produced={**TYPES, "price": "string"}) == {"features"}
    assert failed(contest, produced={**TYPES, "more": "double"}) == set()


LEAVE_OUT: list[tuple[Callable[[Model], Model], str]] = [
    (lambda one: replace(one, facts={**FACTS, "learned_as_of": ["2025-01-31"]}), "outcomes up to 2025-05-01"),
    (lambda one: replace(one, facts={"types": TYPES}), "earlier release"),
    (lambda one: replace(one, facts={**FACTS, "horizon_days": 60}), "foretells 60 days"),
    (lambda one: replace(one, windows=WINDOWS[:2], hazards=one.hazards[:, :2]), "in windows 0_30, 30_60, these rows"),
]


@pytest.mark.parametrize(("change", "why"), LEAVE_OUT, ids=[why for _, why in LEAVE_OUT])
def test_who_cannot_be_compared_fairly_is_left_out(
    table: pd.DataFrame, true: np.ndarray, change: Callable[[Model], Model], why: str
) -> None:
    odd = change(Model(true))
    refused = contest_of(table, contender("champion", Model(true)), contender("challenger", odd))
    assert why in refused.left_out["challenger"]
    assert failed(refused) == {"comparable"}
    assert why in reason_of(gates_of(refused))
    assert "Left out: the challenger v2" in render(refused)
    # A champion that cannot be compared any more does not stand in the way for ever.
    stuck = contest_of(table, contender("champion", odd), contender("challenger", Model(true)))
    assert failed(stuck) == set()
    assert why in reason_of(gates_of(stuck))


def test_learning_that_ends_on_the_first_test_day_is_fair(table: pd.DataFrame, true: np.ndarray) -> None:
    last = pd.Timestamp("2025-03-31") - pd.Timedelta(days=90)
    just = Model(true, {**FACTS, "learned_as_of": [str(last.date())]})
    assert contest_of(table, contender("challenger", just)).left_out == {}
    late = Model(true, {**FACTS, "learned_as_of": [str((last + pd.Timedelta(days=1)).date())]})
    assert "challenger" in contest_of(table, contender("challenger", late)).left_out


def test_a_feature_that_is_gone_leaves_its_model_out(table: pd.DataFrame, true: np.ndarray) -> None:
    contest = contest_of(table.drop(columns="price"), contender("challenger", Model(true)))
    assert "needs 1 features that are no longer made: price" in contest.left_out["challenger"]


def test_in_one_snapshot_the_customers_must_be_new(table: pd.DataFrame, true: np.ndarray) -> None:
    snapshot = table[table["split"] == "test"].reset_index(drop=True)
    snapshot["split"] = np.where(snapshot.index % 5 == 0, "test", "train")
    fair = Model(true, {**FACTS, "learned_customers": Rows.of(snapshot).learned.customers_digest})
    assert contest_of(snapshot, contender("challenger", fair), is_temporal=False).left_out == {}
    # One who was in test is learned from now: whoever was trained on the split before is not comparable for sure.
    moved = snapshot.assign(split=snapshot["split"].where(snapshot.index != 0, "train"))
    assert (
        "may have learned" in contest_of(moved, contender("challenger", fair), is_temporal=False).left_out["challenger"]
    )


def test_frozen_rows_are_known_by_their_digest(table: pd.DataFrame, true: np.ndarray) -> None:
    def digest(changed: pd.DataFrame) -> str:
        return contest_of(changed, contender("challenger", Model(true)), replicates=0).rows_digest

    first = digest(table)
    assert digest(table.copy()) == first
    place = table.index[(table["split"] == "test") & (table["left_horizon"] == 0)][0]
    for column, value in (("tenure", 3.14), ("channel", "post"), ("left_horizon", 1.0), ("customer_id", "somebody")):
        changed = table.copy()
        changed.loc[place, column] = value
        assert digest(changed) != first, column
    # Rows of other splits are not frozen.
    changed = table.copy()
    changed.loc[changed.index[0], "tenure"] = 3.14
    assert digest(changed) == first


def test_without_outcomes_there_is_nothing_to_compare_on(table: pd.DataFrame, true: np.ndarray) -> None:
    immature = table.assign(left_horizon=table["left_horizon"].where(table["split"] != "test"))
    with pytest.raises(ContractError, match="no outcome of its test rows"):
        contest_of(immature, contender("challenger", Model(true)))


def test_mlflow_validation_and_what_is_not_defined() -> None:
    assert unmet("roc_auc", 0.6, 0.55, True) is None
    assert "0.5" in str(unmet("roc_auc", 0.5, 0.55, True))
    assert unmet("row_ms", 5, 50, False) is None
    assert unmet("row_ms", 51, 50, False) is not None
    assert "not defined" in str(unmet("slope", float("nan"), 0.5, True))
