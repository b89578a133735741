"""A what-if with nothing changed is the decision; with something changed it is the policy's own arithmetic."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.dashboard import what_if
from spanishgas.dashboard.data import RECOMMENDED, Published
from spanishgas.errors import PublishError
from spanishgas.policy.economics import ACTIONS, WINDOWS
from tests.dashboard import worlds
from tests.dashboard.conftest import Opened, sound, told

NEWEST = worlds.NEWEST


def table_of(root: Path, name: str) -> pd.DataFrame:
    (file,) = (root / "gold" / name / f"run_date={NEWEST}").glob("*.parquet")
    return pd.read_parquet(file, partitioning=None)


def basis_of(root: Path, customer: str) -> what_if.Basis:
    published = Published(root)
    manifest = published.manifest(RECOMMENDED, NEWEST)
    row = published.table(manifest, "recommendations", customer=customer).iloc[0]
    return what_if.basis_of(published, manifest, row)


@pytest.fixture(scope="module")
def planned(shop: Path) -> pd.DataFrame:
    table = table_of(shop / "data", "recommendations")
    found = table[table["planned_action"] != "none"]
    assert len(found) >= 5
    return found


def test_with_nothing_changed_it_is_what_was_published(shop: Path, planned: pd.DataFrame) -> None:
    for _, row in planned.iterrows():
        options = what_if.options_of(basis_of(shop / "data", row["customer_id"]), channel=row["planned_channel"])
        one = options[(options["action"] == row["planned_action"]) & (options["window"] == row["planned_window"])]
        assert one["value"].item() == pytest.approx(row["planned_margin_impact"], abs=1e-4)
        assert one["vetoes"].item() == ()
        if not row["is_held_out"]:
            assert one["spend"].item() == pytest.approx(row["expected_spend"], abs=1e-4)
            assert one["acceptance"].item() == pytest.approx(row["p_accept"])


def test_vetoes_are_those_of_the_decision(shop: Path) -> None:
    """Of every guardrail, as many options as were published; also where earlier runs planned something."""
    vetoes = table_of(shop / "data", "recommendation_vetoes")
    of_each = vetoes.groupby("guardrail")["customer_id"].head(2).unique()
    channels = worlds.POLICY.channels
    seen: set[str] = set()
    for customer in of_each:
        basis = basis_of(shop / "data", customer)
        counted: dict[str, int] = {}
        for channel in channels:
            for rules in what_if.options_of(basis, channel=channel)["vetoes"]:
                for rule in rules:
                    counted[rule] = counted.get(rule, 0) + 1
        wanted = vetoes[vetoes["customer_id"] == customer].set_index("guardrail")["options"].to_dict()
        assert counted == wanted
        seen |= set(counted)
    assert seen == set(vetoes["guardrail"])
    assert {"value", "vulnerable", "consent", "recently_contacted", "recently_held_out", "contract_window"} <= seen


def test_the_curve_goes_through_the_policys_offers_and_falls_beyond_them(shop: Path, planned: pd.DataFrame) -> None:
    row = planned.iloc[0]
    basis = basis_of(shop / "data", row["customer_id"])
    window = row["planned_window"]
    curve = what_if.by_discount(basis, row["planned_action"], window, 1.0, None)
    assert curve["discount"].iloc[0] == 0
    assert curve["discount"].iloc[-1] == pytest.approx(0.2)
    offers = what_if.options_of(basis)
    for action, share in zip(ACTIONS, basis.policy.discounts, strict=True):
        wanted = offers[(offers["action"] == action) & (offers["window"] == window)]["value"].iloc[0]
        there = curve[np.isclose(curve["discount"], share)]["value"].iloc[0]
        assert there == pytest.approx(wanted, rel=1e-4)
    # Nobody accepts nothing: the contact is paid for in vain.
    assert curve["value"].iloc[0] < 0
    # Beyond the largest offer nothing more is gained, and the cost goes on in proportion.
    beyond = np.diff(curve[curve["discount"] > max(basis.policy.discounts) - 1e-9]["value"])
    assert (beyond < 0).all()
    assert beyond == pytest.approx(beyond.mean(), rel=1e-3)


def test_who_never_accepts_costs_the_contact_only(shop: Path, planned: pd.DataFrame) -> None:
    row = planned.iloc[0]
    basis = basis_of(shop / "data", row["customer_id"])
    options = what_if.options_of(basis, acceptance_factor=0.0, channel="email")
    assert (options["acceptance"] == 0).all()
    now = options[options["window"] == "immediate"]
    assert now["spend"].tolist() == pytest.approx([worlds.POLICY.contact_cost_eur["email"]] * len(ACTIONS))
    # Contact does a little harm, and nobody is kept.
    assert (options["value"] < 0).all()
    assert set(options["window"]) == set(WINDOWS)


def test_a_discount_above_the_cap_is_not_allowed(shop: Path, planned: pd.DataFrame) -> None:
    basis = basis_of(shop / "data", planned["customer_id"].iloc[0])
    options = what_if.options_of(basis, discount=0.2)
    assert worlds.POLICY.guardrails.max_discount_share < 0.2
    assert all("discount_cap" in rules for rules in options["vetoes"])


def test_tables_that_are_published_anew_are_told(copied: Path) -> None:
    customer = table_of(copied, "recommendations")["customer_id"].iloc[0]
    worlds.publish_features(copied, worlds.people(90, 7), worlds.as_of_for(NEWEST))
    with pytest.raises(PublishError, match="features have been published anew since the decision"):
        basis_of(copied, customer)


def test_a_decision_of_an_earlier_release_is_told(copied: Path) -> None:
    customer = table_of(copied, "recommendations")["customer_id"].iloc[0]
    (file,) = (copied / "gold" / "_meta" / "recommendations").glob(f"run_date={NEWEST}.json")
    told = json.loads(file.read_text())
    del told["tables"]["decision_terms"], told["seal"]  # earlier releases did not seal their manifests
    file.write_text(json.dumps(told))
    with pytest.raises(PublishError, match="does not tell its terms") as caught:
        basis_of(copied, customer)
    assert "Run `recommend run_date=2026-02-09` again" in str(caught.value)


def test_the_page_shows_the_recommendation_and_follows_the_sliders(
    opened: Opened, shop: Path, planned: pd.DataFrame
) -> None:
    row = planned[~planned["is_held_out"]].iloc[0]
    customer, action = row["customer_id"], row["planned_action"]
    test = opened("customer", customer=customer)
    sound(test)
    figures = {one.label: one.value for one in test.metric}
    brought = f"€{row['expected_margin_impact']:,.2f}"
    assert figures["Expected to bring"] == figures["Would bring"] == brought
    assert f"**+{brought}** :green-badge[:material/check: chosen]" in told(test)
    discount = test.select_slider(key=f"what_discount_{customer}_{action}")
    assert discount.value == pytest.approx(100 * worlds.POLICY.discount_share[action])
    discount.set_value(1.0)
    test.select_slider(key=f"what_factor_{customer}").set_value(0.5).run()
    sound(test)
    options = what_if.options_of(
        basis_of(shop / "data", customer), discount=0.01, acceptance_factor=0.5, channel=row["planned_channel"]
    )
    one = options[(options["action"] == action) & (options["window"] == row["planned_window"])]
    figures = {one.label: one.value for one in test.metric}
    assert figures["Would bring"].replace("€", "").replace(",", "") == f"{one['value'].item():.2f}"
    assert figures["Expected to bring"] == brought  # what is published stays


def test_the_page_steps_through_the_list(opened: Opened, shop: Path) -> None:
    order = table_of(shop / "data", "recommendations").sort_values(
        ["risk_score", "customer_id"], ascending=[False, True]
    )
    ids = order["customer_id"].tolist()
    test = opened("customer")
    assert test.text_input(key="customer").value == ids[0]
    test.button(key="less_risky").click().run()
    assert test.text_input(key="customer").value == ids[1]
    test.button(key="riskier").click().run()
    test.button(key="riskier").click().run()
    assert test.text_input(key="customer").value == ids[-1]
    sound(test)
    test.text_input(key="customer").set_value(ids[3].lower()).run()
    assert {one.label: one.delta for one in test.metric}["Risk within 90 days"] == "4 of 90"
    test.text_input(key="customer").set_value("C00x").run()
    sound(test)
    assert "**C00x** is not among the 90 active customers" in test.warning[0].value
