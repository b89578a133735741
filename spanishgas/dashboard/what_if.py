"""What an offer to one customer would be worth: the policy's own functions, asked again with other numbers.

What a decision rested on is published beside it: its terms (the policy and what was learned of the response) and how
the customer stood on the day. Risk, margin and bill are those of the recommendation.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from spanishgas.config import PolicySettings
from spanishgas.dashboard.data import FEATURES, Published
from spanishgas.dashboard.formatting import as_day
from spanishgas.domain.survival import Calendar
from spanishgas.engine.store import Manifest
from spanishgas.errors import PublishError
from spanishgas.policy import guardrails
from spanishgas.policy.candidates import HAZARDS, Candidates, kind_of
from spanishgas.policy.decide import guard, value
from spanishgas.policy.economics import ACTIONS, WINDOWS, Respond, Response
from spanishgas.policy.recommendations import STANDING
from spanishgas.policy.response import assumed, scaled
from spanishgas.policy.terms import Terms
from spanishgas.policy.what_if import at_discount

DISCOUNT_GRID = np.linspace(0.0, 0.20, 21)
TERMS, STANDING_TABLE, FEATURE_TABLE = "decision_terms", "decision_standing", "customer_features_asof_date"
TERMS_KEPT = 8


@dataclass(frozen=True)
class Basis:
    """What a what-if begins with.

    Attributes:
        candidates: The customer, as the decision saw it.
        respond: The response that it was decided with.
        policy: The policy that it was decided with.
    """

    candidates: Candidates
    respond: Respond
    policy: PolicySettings


def basis_of(published: Published, recommended: Manifest, row: "pd.Series[Any]") -> Basis:
    """The customer as the decision saw it.

    Args:
        published: Published tables.
        recommended: Manifest of the recommendations.
        row: The customer's recommendation.

    Raises:
        PublishError: The decision is of an earlier release, or the features are not those that it was taken on.
    """
    terms = _terms(published, recommended)
    customer = str(row["customer_id"])
    features = _features(published, recommended, customer)
    stood = published.table(recommended, STANDING_TABLE, customer=customer)
    table = pd.DataFrame(
        {
            "customer_id": [customer],
            "kind": kind_of(features),
            "segment_id": [row["segment"]],
            "risk": [row["risk_score"]],
            **{name: [row[name]] for name in HAZARDS},
            "margin_eur_month": [row["expected_margin_month"]],
            "bill_eur_month": [row["bill_month"]],
            **{name: stood[name].to_numpy() for name in STANDING},
        }
    )
    calendar = Calendar.of_table(features, np.datetime64(terms.basis.as_of))
    months = terms.settings.economics.horizon_months
    candidates = Candidates.of(table).looking_ahead(terms.survival, calendar, months)
    respond = assumed(terms.settings.response.assumed, candidates)
    if terms.effects is not None:
        respond = terms.effects.respond(features, respond)
    return Basis(candidates, respond, terms.settings)


def options_of(
    basis: Basis, *, discount: float | None = None, acceptance_factor: float = 1.0, channel: str | None = None
) -> pd.DataFrame:
    """Every offer in every window: what it would be worth, and which guardrails forbid it.

    Args:
        basis: The customer.
        discount: Share of the bill that every action takes off, and is responded to; None leaves each action its own.
        acceptance_factor: A factor on the chance that the customer accepts.
        channel: Channel of the contact; None takes the cheapest that may be used, else the cheapest.

    Returns:
        Columns ``action``, ``window``, ``channel``, ``discount`` (share), ``acceptance``, ``value`` and ``spend`` (EUR
        over the horizon, contact included) and ``vetoes`` (tuple of guardrails).
    """
    policy, respond = basis.policy, basis.respond
    if discount is not None:
        told = at_discount(respond(slice(0, 1)), policy.discounts, discount)
        respond = _always(told)
        policy = policy.model_copy(update={"discount_share": dict.fromkeys(policy.discount_share, discount)})
    respond = scaled(respond, acceptance_factor)
    values = value(basis.candidates, respond, policy)
    allowed, _ = guard(basis.candidates, values, policy)
    channels = policy.channels
    if channel in channels:
        place = channels.index(str(channel))
    else:
        usable = np.flatnonzero(allowed.channels[0])
        place = int(usable[0]) if len(usable) else 0
    cost = policy.contact_costs[place]
    acceptance = respond(slice(0, 1)).acceptance[0]
    shape = (1, len(ACTIONS), len(WINDOWS), len(channels))
    facts = guardrails.Facts(basis.candidates, values, policy)
    vetoed = {
        one.name: np.broadcast_to(one.vetoed(facts), shape)[0, :, :, place]
        for one in guardrails.chosen(policy.guardrails.order)
    }
    rows = []
    for number, action in enumerate(ACTIONS):
        for window, name in enumerate(WINDOWS):
            contact = float(values.reached[0, window]) * cost
            rows.append(
                {
                    "action": action,
                    "window": name,
                    "channel": channels[place],
                    "discount": policy.discounts[number],
                    "acceptance": float(acceptance[number, window]),
                    "value": float(values.value[0, number, window]) - contact,
                    "spend": float(values.spend[0, number, window]) + contact,
                    "vetoes": tuple(rule for rule, on in vetoed.items() if on[number, window]),
                }
            )
    return pd.DataFrame(rows)


def _always(told: Response) -> Respond:
    return lambda _: told


def by_discount(basis: Basis, action: str, window: str, acceptance_factor: float, channel: str | None) -> pd.DataFrame:
    """What one offer would be worth at each discount: columns ``discount`` and ``value``."""
    rows = []
    for share in DISCOUNT_GRID:
        told = options_of(basis, discount=float(share), acceptance_factor=acceptance_factor, channel=channel)
        chosen = told[(told["action"] == action) & (told["window"] == window)].iloc[0]
        rows.append({"discount": float(share), "value": float(chosen["value"])})
    return pd.DataFrame(rows)


def _terms(published: Published, recommended: Manifest) -> Terms:
    files = published.landed(recommended, TERMS)
    if not files or STANDING_TABLE not in recommended.tables:
        raise PublishError(
            "does not tell its terms: it was decided by an earlier release",
            where=str(recommended.publication),
            todo=f"Run `recommend run_date={recommended.publication.value}` again",
        )
    (file,) = files.values()
    return _read_terms(recommended.tables[TERMS].content_hash, file)


@st.cache_resource(max_entries=TERMS_KEPT, show_spinner=False)
def _read_terms(content_hash: str, _file: Path) -> Terms:
    return Terms.load(_file)


def _features(published: Published, recommended: Manifest, customer: str) -> pd.DataFrame:
    """The customer's features, those that the decision was taken on."""
    manifest = published.manifest(FEATURES, as_day(recommended.tags["as_of"]))
    now = manifest.tables[FEATURE_TABLE].content_hash
    if recommended.inputs.get("features", now) != now:
        raise PublishError(
            "features have been published anew since the decision",
            where=str(recommended.publication),
            todo=f"Run `recommend run_date={recommended.publication.value}` again",
        )
    return published.table(manifest, FEATURE_TABLE, customer=customer)
