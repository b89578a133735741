"""All figures of one model, told apart by window, month and group."""

import numpy as np
import pandas as pd
import pytest

from spanishgas.evaluation import METRICS, Interval, Scored, assess, by_group, by_window, named, share_of_ceiling


def planted(rows: int = 4000, seed: int = 0) -> tuple[Scored, np.ndarray]:
    """True scores, except in 2025-02 where they are twice too high; a tenth of the outcomes is not known."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.02, 0.4, rows)
    outcome = (rng.uniform(size=rows) < truth).astype(float)
    outcome[rng.uniform(size=rows) < 0.1] = np.nan
    as_of = np.where(np.arange(rows) % 2 == 0, "2025-01-31", "2025-02-28").astype(object)
    risk = np.where(as_of == "2025-02-28", np.minimum(2 * truth, 0.95), truth)
    later = np.where(rng.uniform(size=rows) < 0.5, np.nan, outcome)
    ones = np.ones(rows)
    customers = np.array([f"C{number // 2}" for number in range(rows)], dtype=object)
    hazards = {"0_30": (truth, outcome, ones), "30_60": (np.minimum(2 * truth, 0.95), later, ones)}
    return Scored(customers, as_of, risk, outcome, ones, hazards), truth


def test_unknown_outcomes_are_left_out() -> None:
    scored, _ = planted()
    found = assess(scored, replicates=0)
    known = scored.known
    assert 0 < (~known).sum() < 800
    share = scored.outcome[known].sum() / scored.risk[known].sum()
    assert found["observed_over_expected"].value == pytest.approx(share)


def test_months_and_windows_are_told_apart() -> None:
    scored, _ = planted()
    months = by_group(scored, {}, replicates=30).set_index("value")
    assert months["observed_over_expected"]["2025-01-31"] == pytest.approx(1.0, abs=0.1)
    assert months["observed_over_expected"]["2025-02-28"] == pytest.approx(0.5, abs=0.07)
    low, high = (months[f"observed_over_expected_{end}"]["2025-02-28"] for end in ("lo", "hi"))
    assert low < months["observed_over_expected"]["2025-02-28"] < high < 1
    windows = by_window(scored, replicates=0).set_index("window")
    assert list(windows.index) == ["0_30", "30_60", "horizon"]
    assert windows["observed_over_expected"]["0_30"] == pytest.approx(1.0, abs=0.08)
    assert windows["observed_over_expected"]["30_60"] == pytest.approx(0.5, abs=0.07)
    assert windows["rows"]["30_60"] < windows["rows"]["0_30"]


def test_small_groups_are_counted_and_not_judged() -> None:
    scored, _ = planted()
    kinds = np.where(np.arange(len(scored.risk)) < 150, "few", "many")
    table = by_group(scored, {"kind": list(kinds)}, replicates=0).set_index(["group", "value"])
    assert np.isnan(table.loc[("kind", "few"), "roc_auc"])
    assert table.loc[("kind", "few"), "rows"] == int(scored.known[:150].sum())
    assert np.isfinite(table.loc[("kind", "many"), "roc_auc"])
    assert table.loc["kind", "rows"].sum() == int(scored.known.sum())


def test_weights_move_the_figures() -> None:
    scored, _ = planted()
    heavy = np.where(scored.as_of == "2025-02-28", 9.0, 1.0)
    other = Scored(scored.customers, scored.as_of, scored.risk, scored.outcome, heavy, scored.hazards)
    plain, weighted = (assess(one, replicates=0)["observed_over_expected"].value for one in (scored, other))
    assert weighted < plain - 0.05


def test_names_are_those_of_runs_and_undefined_figures_are_left_out() -> None:
    figures = {"pr_auc": Interval(0.2, 0.1, 0.3), "ece": Interval(0.01, float("nan"), float("nan"))}
    assert named("test", figures) == {
        "test_pr_auc": 0.2,
        "test_pr_auc_lo": 0.1,
        "test_pr_auc_hi": 0.3,
        "test_ece": 0.01,
    }
    scored, _ = planted(600)
    assert set(named("valid", assess(scored, replicates=5))) == {
        f"valid_{metric}{end}" for metric in METRICS for end in ("", "_lo", "_hi")
    }


def test_the_share_of_the_ceiling_is_one_for_truth_and_nothing_for_chance() -> None:
    scored, truth = planted(20_000)
    for score, wanted in ((truth, 1.0), (np.full(len(truth), 0.2), 0.0)):
        one = Scored(scored.customers, scored.as_of, score, scored.outcome, scored.weight, {})
        assert share_of_ceiling(one, truth) == pytest.approx(wanted, abs=1e-9)
    unknown = np.where(np.arange(len(truth)) % 3 == 0, np.nan, truth)
    one = Scored(scored.customers, scored.as_of, truth, scored.outcome, scored.weight, {})
    assert share_of_ceiling(one, unknown) == pytest.approx(1.0)
    assert np.isnan(share_of_ceiling(one, np.full(len(truth), 0.5)))
    assert pd.notna(share_of_ceiling(one, unknown))
