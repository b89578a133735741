"""What an offer to one customer would be worth: the policy's own functions, asked again with other numbers.

Everything that does not change (risk, margin, bill) is taken from the published recommendation; what forbids an offer
is looked up for the run date by the functions that the decision itself uses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from spanishgas.config import EngineSettings, PolicySettings
from spanishgas.dashboard.data import FEATURES, RESPONSE, SILVER, AbsentError, Published
from spanishgas.dashboard.formatting import as_day
from spanishgas.engine import open_engine
from spanishgas.engine.store import Manifest
from spanishgas.errors import ConfigError, PublishError
from spanishgas.policy import guardrails
from spanishgas.policy.candidates import HAZARDS, NUMBERS, Candidates, kind_of
from spanishgas.policy.decide import guard, value
from spanishgas.policy.economics import ACTIONS, WINDOWS, Respond
from spanishgas.policy.response import assumed, scaled
from spanishgas.scoring.standing import standing
from spanishgas.stages.decisions import USED_SILVER, earlier_runs, offered_before
from spanishgas.stages.response import read_response

MEMORY_MIB = 512
DISCOUNT_GRID = np.linspace(0.0, 0.20, 21)


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


def policy_of(settings: Mapping[str, Any]) -> PolicySettings:
    """The policy in a run's settings.

    Raises:
        ConfigError: They are of another release.
    """
    try:
        return PolicySettings.model_validate_json(json.dumps(settings["policy"]))
    except (KeyError, ValueError) as error:
        raise ConfigError(
            "the policy of that run is of another release", where="policy", todo="Run `recommend` again"
        ) from error


def basis_of(
    published: Published, recommended: Manifest, row: "pd.Series[Any]", policy: PolicySettings, run_date: date
) -> Basis:
    """The customer as the decision saw it.

    Args:
        published: Published tables.
        recommended: Manifest of the recommendations.
        row: The customer's recommendation.
        policy: The policy that it was decided with.
        run_date: Day of the decision.

    Raises:
        PublishError: Features, clean tables or the response are not published, or are not those that were decided on.
    """
    features_day = as_day(recommended.tags["as_of"])
    features_manifest = published.manifest(FEATURES, features_day)
    silver = published.manifest(SILVER)
    _same_as_decided(recommended, features_manifest, silver)
    customer = str(row["customer_id"])
    features = published.table(features_manifest, "customer_features_asof_date", customer=customer)
    table = pd.DataFrame(
        {
            "customer_id": [customer],
            "kind": kind_of(features),
            "segment_id": [row["segment"]],
            "risk": [row["risk_score"]],
            **{name: [row[name]] for name in HAZARDS},
            "margin_eur_month": [row["expected_margin_month"]],
            "bill_eur_month": [row["bill_month"]],
        }
    )
    stands = _standing(published, silver, customer, run_date)
    for name in NUMBERS:
        if name in stands:
            table[name] = stands[name].to_numpy()
    table["days_since_held_out"] = np.nan
    earlier = _offered_before(published, policy, customer, run_date)
    if earlier is not None and len(earlier):
        table["days_since_held_out"] = earlier["days_since_held_out"].to_numpy(np.float64)
        registered = pd.to_numeric(table["days_since_offer"]).to_numpy(dtype=np.float64, na_value=np.nan)
        table["days_since_offer"] = np.fmin(registered, earlier["days_since_offer"].to_numpy(np.float64))
    candidates = Candidates.of(table)
    return Basis(candidates, _respond(published, recommended, policy, candidates, features), policy)


def options_of(
    basis: Basis, *, discount: float | None = None, acceptance_factor: float = 1.0, channel: str | None = None
) -> pd.DataFrame:
    """Every offer in every window: what it would be worth, and which guardrails forbid it.

    Args:
        basis: The customer.
        discount: Share of the bill that every action takes off; None leaves each action its own.
        acceptance_factor: A factor on the chance that the customer accepts.
        channel: Channel of the contact; None takes the cheapest that may be used, else the cheapest.

    Returns:
        Columns ``action``, ``window``, ``channel``, ``discount`` (share), ``acceptance``, ``value`` and ``spend`` (EUR
        over the horizon, contact included) and ``vetoes`` (tuple of guardrails).
    """
    policy = basis.policy
    if discount is not None:
        policy = policy.model_copy(update={"discount_share": dict.fromkeys(policy.discount_share, discount)})
    respond = scaled(basis.respond, acceptance_factor)
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


def by_discount(basis: Basis, action: str, window: str, acceptance_factor: float, channel: str | None) -> pd.DataFrame:
    """What one offer would be worth at each discount: columns ``discount`` and ``value``."""
    rows = []
    for share in DISCOUNT_GRID:
        told = options_of(basis, discount=float(share), acceptance_factor=acceptance_factor, channel=channel)
        chosen = told[(told["action"] == action) & (told["window"] == window)].iloc[0]
        rows.append({"discount": float(share), "value": float(chosen["value"])})
    return pd.DataFrame(rows)


def _same_as_decided(recommended: Manifest, features: Manifest, silver: Manifest) -> None:
    """Inputs that were published anew since would tell another customer than the one that was decided on."""
    now = {"features": features.tables["customer_features_asof_date"].content_hash}
    now |= {name: silver.tables[name].content_hash for name in USED_SILVER if name in silver.tables}
    changed = [name for name, digest in now.items() if recommended.inputs.get(name, digest) != digest]
    if changed:
        raise PublishError(
            "tables have been published anew since the decision",
            where=str(recommended.publication),
            count=len(changed),
            examples=changed,
            todo=f"Run `recommend run_date={recommended.publication.value}` again",
        )


def _respond(
    published: Published,
    recommended: Manifest,
    policy: PolicySettings,
    candidates: Candidates,
    features: pd.DataFrame,
) -> Respond:
    if recommended.tags.get("response") != "learned":
        return assumed(policy.response.assumed, candidates)
    manifest = published.manifest(RESPONSE)
    if recommended.inputs.get("response", manifest.content_hash) != manifest.content_hash:
        raise PublishError(
            "the response has been learned anew since the decision",
            where=str(recommended.publication),
            todo=f"Run `recommend run_date={recommended.publication.value}` again",
        )
    learned, _, _ = read_response(published.store, manifest)
    if learned is None:
        raise AbsentError(RESPONSE, None, published.option)
    return learned.respond(features)


def _standing(published: Published, silver: Manifest, customer: str, day: date) -> pd.DataFrame:
    files = {name: [str(file) for file in published.store.files(silver, name)] for name in USED_SILVER}
    return _read_standing(silver.content_hash, customer, day, files)


@st.cache_data(max_entries=64, show_spinner=False)
def _read_standing(content_hash: str, customer: str, day: date, _files: dict[str, list[str]]) -> pd.DataFrame:
    with (
        TemporaryDirectory() as scratch,
        open_engine(EngineSettings(threads=1, memory_limit_mib=MEMORY_MIB), Path(scratch)) as engine,
    ):
        tables = {}
        for name, files in _files.items():
            rows = engine.scan([Path(file) for file in files])
            tables[name] = rows.filter(rows.customer_id == customer)
        people = engine.table(pd.DataFrame({"customer_id": [customer]}))
        return engine.frame(standing(people, tables, day))


def _offered_before(published: Published, policy: PolicySettings, customer: str, run_date: date) -> pd.DataFrame | None:
    columns = ["customer_id", "run_date", "is_held_out", "planned_action"]
    parts = []
    for _, manifest in earlier_runs(policy, run_date, published.store):
        rows = published.table(manifest, "recommendations", columns, customer=customer)
        parts.append(rows[rows["planned_action"] != "none"])
    return offered_before(parts, run_date)
