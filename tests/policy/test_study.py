"""Replays on many worlds: means and intervals over seeds, leads paired by seed."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from spanishgas.policy.study import render, summarise, verdict

SHARES = {"learned": [0.5, 0.6, 0.7], "tier_by_risk": [0.3, 0.45, 0.5], "top_risk_medium": [0.55, 0.5, 0.75]}


def replays() -> pd.DataFrame:
    rows = [
        {"world": "loglinear", "seed": seed, "policy": policy, "share": share, "share_of_informed": share / 0.8}
        for policy, shares in SHARES.items()
        for seed, share in enumerate(shares)
    ]
    extra = [
        {"world": "loglinear", "seed": seed, "policy": policy, "share": share, "share_of_informed": share / 0.8}
        for policy, share in (("oracle", 1.0), ("nobody", 0.0), ("assumed", 0.4))
        for seed in range(3)
    ]
    return pd.DataFrame(rows + extra)


def test_means_intervals_and_leads_are_those_computed_by_hand() -> None:
    study = summarise(replays()).set_index("policy")
    assert set(study.index) == {"learned", "tier_by_risk", "top_risk_medium", "assumed"}
    half = t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert study.loc["learned", ["share", "lo", "hi"]].tolist() == pytest.approx([0.6, 0.6 - half, 0.6 + half])
    informed = study.loc["learned", ["share_of_informed", "informed_lo", "informed_hi"]].tolist()
    assert informed == pytest.approx([0.75, 0.75 - half / 0.8, 0.75 + half / 0.8])
    lead = np.array([0.2, 0.15, 0.2])
    half = t.ppf(0.975, 2) * lead.std(ddof=1) / np.sqrt(3)
    told = study.loc["tier_by_risk", ["lead", "lead_lo", "lead_hi"]].tolist()
    assert told == pytest.approx([lead.mean(), lead.mean() - half, lead.mean() + half])
    assert study.loc["learned", "lead"] == 0.0


def test_the_verdict_names_the_rules_that_are_beaten_beyond_noise() -> None:
    study = summarise(replays())
    assert "beats tier_by_risk beyond noise" in verdict(study)
    assert "75.0% of the informed oracle (43.9% to 106.1%) and 60.0% of the all-knowing one over 3 seeds" in verdict(
        study
    )
    text = render(study, replays(), ["interactions 4"])
    assert "Not replayed: interactions 4." in text


def test_a_world_where_nothing_could_be_learned_counts_with_what_was_assumed() -> None:
    some = replays()
    some = some[~((some["policy"] == "learned") & (some["seed"] == 2))]
    study = summarise(some).set_index("policy")
    assert study.loc["learned", "seeds"] == 2
    assert study.loc["tier_by_risk", "lead"] == pytest.approx(np.mean([0.2, 0.15, 0.4 - 0.5]))


def test_seeds_that_something_was_chosen_on_are_told_apart() -> None:
    study = summarise(replays(), chosen_on=(2, 99)).set_index(["is_chosen_on", "policy"])
    assert study.loc[(False, "learned"), "share"] == pytest.approx(0.55)
    assert study.loc[(True, "learned"), "share"] == pytest.approx(0.7)
    assert study.loc[(True, "learned"), "seeds"] == 1
    assert "loglinear, seeds that something was chosen on" in verdict(study.reset_index())
