"""Performance: what happened beside what was foretold, by whom it can be told, and what concept drift looks like."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EconomicsSettings, PerformanceSettings
from spanishgas.domain.kept_value import kept_value
from spanishgas.evaluation import evaluate
from spanishgas.monitoring.business import by_month
from spanishgas.monitoring.performance import Performance, Skill, judge, seen_by, simulate
from spanishgas.monitoring.performance_report import figures, headline, page, render_markdown

SETTINGS = PerformanceSettings(replicates=60)
MONTHS = (pd.Timestamp("2025-09-30"), pd.Timestamp("2025-10-31"), pd.Timestamp("2025-12-31"))


def scored(rows: int = 2500, seed: int = 0, *, drifted: bool = False) -> pd.DataFrame:
    """Calibrated scores of three dates, the last of them not mature; with concept drift outcomes forget the scores."""
    draw = np.random.default_rng(seed)
    parts = []
    for day in MONTHS:
        risk = 1 / (1 + np.exp(-draw.normal(-3.0, 1.0, rows)))
        chance = np.full(rows, 2.5 * risk.mean()) if drifted else risk
        outcome = (draw.random(rows) < chance).astype("float64")
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": [f"C{number}" for number in range(rows)],
                    "as_of": day,
                    "risk": risk,
                    "is_mature": day < MONTHS[2],
                    "outcome": outcome if day < MONTHS[2] else np.nan,
                    "outcome_any": outcome if day < MONTHS[2] else np.nan,
                    "weight": 1.0,
                    "role": "never_targeted",
                    "segment": np.where(draw.random(rows) < 0.5, "S1", "S2"),
                    "segment_name": "Some",
                    "model_version": "2",
                    "model_digest": "d2",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def skill() -> Skill:
    """What a model like this shows on test."""
    rows = scored(20_000, 9)
    rows = rows[rows["is_mature"]]
    told = evaluate(rows["outcome"].to_numpy(), rows["risk"].to_numpy(), replicates=0)
    return Skill({name: one.value for name, one in told.items()})


def judged(rows: pd.DataFrame, *, current: str = "d2") -> Performance:
    return judge(rows, skill(), SETTINGS, current=current)


def one(found: Performance, metric: str, group: str = "all", member: str = "all", who: str = "untreated") -> pd.Series:
    table = found.table
    (row,) = table[
        (table["population"] == who)
        & (table["group"] == group)
        & (table["member"] == member)
        & (table["metric"] == metric)
    ].to_dict("records")
    return pd.Series(row)


def test_figures_are_those_of_the_rows_with_intervals_by_month_and_segment() -> None:
    rows = scored()
    found = judged(rows)
    known = rows[rows["is_mature"]]
    told = evaluate(known["outcome"].to_numpy(), known["risk"].to_numpy(), replicates=0)
    for metric in ("pr_auc", "recall_at_10", "calibration_slope", "observed_over_expected"):
        row = one(found, metric)
        assert row["value"] == pytest.approx(told[metric].value, rel=1e-12)
        assert row["lo"] < row["value"] < row["hi"]
        assert (row["status"], row["state"], row["rows"]) == ("measured", "ok", 5000)
    september = known[known["as_of"] == MONTHS[0]]
    row = one(found, "pr_auc", "month", "2025-09-30")
    alone = evaluate(september["outcome"].to_numpy(), september["risk"].to_numpy(), replicates=0)
    assert (row["value"], row["label"]) == (pytest.approx(alone["pr_auc"].value), "2025-09")
    segment = known[known["segment"] == "S1"]
    assert one(found, "pr_auc", "segment", "S1")["leavers"] == segment["outcome"].sum()
    assert found.state == "ok"
    assert found.reliability["rows"].groupby(found.reliability["population"]).sum().to_dict() == {
        "untreated": 5000, "never_targeted": 5000,
    }  # fmt: skip


def test_months_that_are_not_mature_are_estimated_and_marked() -> None:
    rows = scored()
    found = judged(rows)
    row = one(found, "pr_auc", "month", "2025-12-31")
    assert (row["status"], row["state"]) == ("estimated", "unknown")
    assert pd.isna(row["leavers"])
    # The truth of a calibrated model lies within, and near the middle of many draws.
    big = scored(20_000, 3)
    big = big[big["is_mature"]]
    truth = evaluate(big["outcome"].to_numpy(), big["risk"].to_numpy(), replicates=0)
    guess = simulate(big["risk"].to_numpy(), SETTINGS)
    for metric in ("pr_auc", "roc_auc", "recall_at_10"):
        assert guess[metric].value == pytest.approx(truth[metric].value, abs=0.03)
        assert guess[metric].lo < guess[metric].value < guess[metric].hi
    assert "observed_over_expected" not in guess
    estimated = found.table[found.table["member"] == "2025-12-31"]
    assert set(estimated["status"]) == {"estimated"}
    assert "about 0." in render_markdown(found, pd.DataFrame(), date(2026, 2, 9), "v2")


def test_concept_drift_is_an_alarm_though_no_score_has_changed() -> None:
    calm, drifted = judged(scored()), judged(scored(drifted=True))
    assert calm.state == "ok"
    assert len(calm.counted) == 0
    assert drifted.state == "alarm"
    assert {"pr_auc", "roc_auc", "recall_at_10", "observed_over_expected"} <= set(drifted.counted["metric"])
    text = render_markdown(drifted, pd.DataFrame(), date(2026, 2, 9), "v2")
    assert "## Beyond the bounds" in text
    assert "is below" in text
    assert "below its bounds" in headline(drifted)
    assert figures(drifted)["perf_alarms"] == len(drifted.alarms)


def test_calm_months_alarm_rarely() -> None:
    """With nothing planted and a model as good as it was."""
    told, quick = skill(), SETTINGS.model_copy(update={"replicates": 40})
    found = [judge(scored(1200, 100 + seed).assign(segment=""), told, quick, current="d2") for seed in range(15)]
    assert [one.state for one in found].count("alarm") == 0


def held_out(rows: pd.DataFrame, share: float, effect: float, seed: int = 4) -> pd.DataFrame:
    """The riskiest tenth is chosen; a share of them is held out, the others are offered something that helps."""
    draw = np.random.default_rng(seed)
    chosen = rows["risk"] >= rows.groupby("as_of")["risk"].transform(lambda risk: risk.quantile(0.9))
    held = chosen & (draw.random(len(rows)) < share)
    treated = chosen & ~held
    saved = treated & (draw.random(len(rows)) < effect)
    return rows.assign(
        role=np.where(held, "held_out", np.where(treated, "treated", "never_targeted")),
        weight=np.where(held, 1 / share, 1.0),
        outcome=rows["outcome"].mask(treated),
        outcome_any=rows["outcome_any"].where(~saved | rows["outcome_any"].isna(), 0.0),
    )


def test_the_held_out_stand_for_the_chosen_and_the_treated_are_told_apart() -> None:
    rows = scored(6_000, 5)
    offered = held_out(rows, 0.3, 0.6)
    whole, found = judged(rows), judged(offered)
    for metric in ("pr_auc", "observed_over_expected", "recall_at_10"):
        wanted, told = one(whole, metric), one(found, metric)
        assert told["lo"] < wanted["value"] < told["hi"]
    assert one(found, "pr_auc")["weight"] == pytest.approx(12_000, rel=0.05)
    # Without weights the top of the list would be missing: that is what the never targeted alone show.
    assert one(found, "pr_auc", who="never_targeted")["value"] < 0.6 * one(whole, "pr_auc")["value"]
    treated = one(found, "observed_over_expected", who="treated")
    assert treated["hi"] < 0.8
    assert (treated["state"], np.isnan(treated["floor"])) == ("ok", True)
    assert found.state == "ok"
    assert not found.notes


def test_a_handful_of_held_out_customers_condemns_nobody() -> None:
    rows = scored(2500, 6)
    few = held_out(rows, 0.02, 0.0)
    few.loc[few["role"] == "held_out", "outcome"] = np.where(
        few.loc[few["role"] == "held_out", "is_mature"], 0.0, np.nan
    )
    assert 1 <= ((few["role"] == "held_out") & few["is_mature"]).sum() < SETTINGS.min_held_out
    found = judged(few)
    assert found.state == "ok"
    assert "too few to stand for them" in found.notes[0]
    row = one(found, "pr_auc")
    assert row["rows"] == 5000
    assert row["leavers"] == few.loc[few["role"] == "never_targeted", "outcome"].sum()
    assert row["weight"] == pytest.approx(5000)


def test_too_few_rows_or_leavers_are_unknown() -> None:
    found = judged(scored(90))
    assert set(found.table["status"]) == {"unknown"}
    assert set(found.table["state"]) == {"unknown"}
    assert found.state == "unknown"
    assert "no mature outcomes" in headline(found)


def test_months_of_all_champions_are_told_and_the_whole_is_of_the_present_one() -> None:
    rows = scored()
    rows.loc[rows["as_of"] == MONTHS[0], ["model_version", "model_digest"]] = ["1", "d1"]
    found = judged(rows)
    assert one(found, "pr_auc")["rows"] == 2500
    assert one(found, "pr_auc")["model_version"] == "2"
    assert one(found, "pr_auc", "month", "2025-09-30")["model_version"] == "1"
    # Where nothing of the champion is mature yet, the whole is that of those before it.
    assert one(judged(rows, current="d3"), "pr_auc")["model_version"] == "1|2"


def test_bounds_go_with_what_the_champion_showed() -> None:
    told = Skill({"pr_auc": 0.16, "roc_auc": 0.70, "recall_at_10": 0.34, "precision_at_10": 0.15, "lift_at_10": 3.0})
    assert told.base == pytest.approx(0.05)
    settings = SETTINGS.model_copy(update={"min_skill_share": 0.5})
    assert told.bounds("roc_auc", 0.05, settings)[0] == pytest.approx(0.60)
    assert told.bounds("recall_at_10", 0.05, settings)[0] == pytest.approx(0.22)
    # Twice as many leavers: no skill is twice the PR-AUC.
    assert told.bounds("pr_auc", 0.05, settings)[0] == pytest.approx(0.105)
    assert told.bounds("pr_auc", 0.10, settings)[0] == pytest.approx(0.21)
    assert np.isnan(Skill({}).bounds("pr_auc", 0.05, settings)[0])


def test_scores_of_a_time_that_the_model_has_learned_are_no_foresight() -> None:
    assert seen_by(date(2025, 6, 30), date(2025, 7, 29))
    assert not seen_by(date(2025, 7, 31), date(2025, 7, 29))


def test_the_page_shows_every_month_and_marks_alarms() -> None:
    shown = page(judged(scored(drifted=True)), pd.DataFrame(), date(2026, 2, 9), "v2")
    states = {figure.name: figure.state for figure in shown.figures}
    assert states["ROC-AUC of all mature months, nothing done"] == "alarm"
    assert states["ROC-AUC of 2025-12, nothing done"] == "ok"
    assert any("by month" in picture.title for picture in shown.pictures)


ECONOMICS = EconomicsSettings(horizon_months=24, discount_rate_year=0.0)


def decisions(offered: int, held: int, *, day: str = "2026-01-10") -> pd.DataFrame:
    count = offered + held
    return pd.DataFrame(
        {
            "run_date": pd.Timestamp(day),
            "customer_id": [f"C{number}" for number in range(count)],
            "risk_score": 0.3,
            "action": np.where(np.arange(count) < offered, "medium", "none"),
            "planned_action": "medium",
            "is_held_out": np.arange(count) >= offered,
            "propensity": 0.5,
            "expected_spend": np.where(np.arange(count) < offered, 2.0, 0.0),
            "expected_margin_impact": np.where(np.arange(count) < offered, 10.0, 0.0),
            "expected_margin_month": 20.0,
        }
    )


def business(rows: pd.DataFrame, gone: list[str], until: date = date(2026, 6, 30)) -> pd.Series:
    left = pd.Series(pd.NaT, index=rows["customer_id"].unique())
    left[gone] = pd.Timestamp("2026-02-20")
    table = by_month(rows, left, known_until=until, follow_days=90, horizon_days=90, economics=ECONOMICS)
    (row,) = table.to_dict("records")
    return pd.Series(row)


def test_a_months_offers_in_euros_beside_the_hold_out() -> None:
    rows = decisions(200, 100)
    # 10 % of the offered and 30 % of the held out leave: offers keep a fifth.
    gone = [f"C{number}" for number in (*range(20), *range(200, 230))]
    row = business(rows, gone)
    assert (row["offers"], row["held_out"], row["spend_eur"], row["expected_margin_eur"]) == (200, 100, 400.0, 2000.0)
    assert row["effect"] == pytest.approx(-0.2)
    worth = kept_value(np.array([0.3]), np.array([20.0]), 90, 90, ECONOMICS)[0]
    assert row["measured_margin_eur"] == pytest.approx(0.2 * worth * 200 - 400)
    assert row["measured_lo_eur"] < row["measured_margin_eur"] < row["measured_hi_eur"]
    assert row["verdict"].startswith("more than planned")
    assert business(rows, gone, date(2026, 1, 30))["verdict"] == "too early: 20 days followed, 30 needed"
    assert business(decisions(200, 5), [])["status"] == "unknown"


def test_intervals_of_very_many_rows_are_those_of_a_sample_made_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = scored(8_000, 12)
    slow = one(judged(rows), "roc_auc")
    monkeypatch.setattr("spanishgas.monitoring.performance.MAX_BOOTSTRAP_ROWS", 3_000)
    quick = one(judged(rows), "roc_auc")
    assert quick["value"] == slow["value"]
    assert quick["hi"] - quick["lo"] == pytest.approx(slow["hi"] - slow["lo"], rel=0.35)
