"""What the stages share that decide, simulate and measure: one way from published tables to a decision."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import PolicySettings, Settings
from spanishgas.contracts.decisions import CUSTOMER_SCORES, PAST_POLICIES, RECOMMENDATIONS
from spanishgas.contracts.gold import CUSTOMER_FEATURES, SEGMENTS
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import PublishError
from spanishgas.policy.allocation import Plan
from spanishgas.policy.decide import Decisions, decide
from spanishgas.policy.economics import Respond
from spanishgas.policy.effects import Effects
from spanishgas.policy.past_campaigns import promise
from spanishgas.policy.past_value import Promise
from spanishgas.policy.recommendations import Basis
from spanishgas.policy.response import assumed
from spanishgas.policy.terms import Terms
from spanishgas.registry import ModelRegistry, ModelVersion
from spanishgas.scoring.standing import standing
from spanishgas.scoring.table import DecisionTable, decision_table
from spanishgas.stages.base import Target, Workspace
from spanishgas.stages.churn_models import CHAMPION_MODEL, champion_of, fetch_model
from spanishgas.stages.earlier_runs import committed_before, earlier_runs, offered_before
from spanishgas.stages.places import features_at, scores_on, segments_at
from spanishgas.stages.response import RESPONSE, read_past, read_response
from spanishgas.stages.score import features_for
from spanishgas.stages.silver import SILVER

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel

USED_SILVER = ("customers", "contracts", "interactions", "churn_events", "retention_offers")
DIGITS = 12


class DecisionSettings(BaseModel):
    """What a decision depends on beside the tables and the champion."""

    model_config = ConfigDict(frozen=True)

    run_date: date
    as_of: date
    policy: PolicySettings


@dataclass(frozen=True)
class Decided:
    """A decision with all that it rests on.

    Attributes:
        decisions: What was decided.
        table: The customers.
        respond: The response that was used.
        responses: Every response that there is, by kind.
        halves: The response as learned from two halves of past campaigns' customers.
        fallback: Why the response is assumed although it was to be learned.
        terms: What the decision was taken under.
        model: The champion.
        past: What policies would have earned on past campaigns; empty without any.
    """

    decisions: Decisions
    table: DecisionTable
    respond: Respond
    responses: Mapping[str, Respond]
    halves: tuple[Respond, ...]
    fallback: tuple[str, ...]
    terms: Terms
    model: "ChurnModel"
    past: pd.DataFrame

    def promise(self, plan: Plan, response: str) -> Promise:
        """What a plan made under a response is promised to earn."""
        return promise(plan, self.past, response, self.table.candidates.market_sd)

    @property
    def basis(self) -> Basis:
        """What stands in every row for audit."""
        return self.terms.basis


def decision_inputs(
    settings: Settings, store: TableStore, models: ModelRegistry
) -> tuple[DecisionSettings, dict[str, str], dict[str, Manifest], dict[str, ModelVersion]]:
    """What a decision reads: its settings, the digests of the inputs, the published tables, the champion.

    Raises:
        PublishError: A table is not published.
        PromotionError: There is no champion.
    """
    as_of = features_for(settings, store)
    champion = champion_of(settings, models)
    features = store.read(features_at(as_of), made_by=f"features -P as_of={as_of}")
    silver = store.read(SILVER, made_by="silver")
    scores = store.read(scores_on(settings.run_date), made_by=f"score -P run_date={settings.run_date}")
    if (scores.tags["model_digest"], scores.tags["as_of"]) != (champion.digest, as_of.isoformat()):
        raise PublishError(
            f"scores are of model v{scores.tags['model_version']} and features of {scores.tags['as_of']}, not of the "
            f"champion v{champion.version} and {as_of}",
            where=str(scores.publication),
            todo=f"Run `score -P run_date={settings.run_date}` again",
        )
    manifests: dict[str, Manifest] = {"features": features, "scores": scores, "silver": silver}
    inputs = {
        "scores": scores.tables[CUSTOMER_SCORES.name].content_hash,
        "features": features.tables[CUSTOMER_FEATURES.name].content_hash,
        CHAMPION_MODEL: champion.digest,
        **{name: silver.tables[name].content_hash for name in USED_SILVER},
    }
    segments = store.find(segments_at(as_of))
    if segments is not None and not store.missing_files(segments):
        manifests["segments"] = segments
        inputs["segments"] = segments.content_hash
    if settings.policy.response.kind == "learned":
        manifests["response"] = store.read(RESPONSE, made_by="response")
        inputs["response"] = manifests["response"].content_hash
    for name, manifest in earlier_runs(settings.policy, settings.run_date, store).items():
        manifests[name] = manifest
        inputs[name] = manifest.tables[RECOMMENDATIONS.name].content_hash
    view = DecisionSettings(run_date=settings.run_date, as_of=as_of, policy=settings.policy)
    return view, inputs, manifests, {CHAMPION_MODEL: champion}


def decide_from(workspace: Workspace, target: Target) -> Decided:
    """Reads features and scores, and decides."""
    view = target.settings
    assert isinstance(view, DecisionSettings)
    policy, engine, store = view.policy, workspace.engine, workspace.store
    workspace.progress("reading features")
    features = engine.frame(
        engine.scan(store.files(target.manifests["features"], CUSTOMER_FEATURES.name)).order_by("customer_id")
    )
    silver = {name: engine.scan(store.files(target.manifests["silver"], name)) for name in USED_SILVER}
    workspace.progress("looking up consent, contacts and contracts at the run date")
    stands = engine.frame(standing(engine.table(features[["customer_id"]]), silver, view.run_date))
    segments, names = _segments(workspace, target)
    champion = target.models[CHAMPION_MODEL]
    scores = engine.frame(
        engine.scan(store.files(target.manifests["scores"], CUSTOMER_SCORES.name)).order_by("customer_id")
    )
    if not features["customer_id"].equals(scores["customer_id"]):
        raise PublishError(
            "scores and features are of other customers", where="gold/scoring", todo="Run `score` with force=true"
        )
    with TemporaryDirectory() as folder:
        model, _ = fetch_model(workspace.models, champion, Path(folder))
    table = decision_table(
        features,
        scores,
        stands,
        segments,
        offered_before(engine, store, target.manifests, view.run_date),
        policy.economics,
        model.survival,
    )
    responses: dict[str, Respond] = {"assumed": assumed(policy.response.assumed, table.candidates)}
    learned: Effects | None = None
    halves: list[Effects] = []
    fallback: list[str] = []
    past = pd.DataFrame(columns=list(PAST_POLICIES.column_names))
    if "response" in target.manifests:
        past = read_past(engine, store, target.manifests["response"])
        learned, halves, fallback = read_response(store, target.manifests["response"])
        if learned is not None:
            responses["learned"] = learned.respond(table.features, responses["assumed"])
    kind = "learned" if "learned" in responses else "assumed"
    campaign = policy.campaign or view.run_date.isoformat()
    workspace.progress(f"deciding on {len(table.candidates):,} customers")
    committed = committed_before(engine, store, target.manifests, silver, policy, view.run_date)
    decisions = decide(table.candidates, responses[kind], policy, campaign, committed)
    basis = Basis(
        run_date=view.run_date,
        as_of=view.as_of,
        campaign=campaign,
        model_version=champion.version,
        model_digest=champion.digest,
        policy_version=_policy_version(view, target),
        response=kind,
        is_timed_by_contract=table.is_timed_by_contract,
        segment_names=names,
    )
    return Decided(
        decisions,
        table,
        responses[kind],
        responses,
        tuple(half.respond(table.features, responses["assumed"]) for half in halves),
        tuple(fallback),
        Terms(decisions.settings, basis, learned, model.survival),
        model,
        past,
    )


def _policy_version(view: DecisionSettings, target: Target) -> str:
    """Digest of the policy's settings and of the response; what is simulated or replayed changes no decision."""
    told = view.policy.model_dump(
        mode="json", exclude={"simulation", "replay", "measured_until", "measured_together_days"}
    )
    text = json.dumps({"policy": told, "response": target.inputs.get("response", "")}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _segments(workspace: Workspace, target: Target) -> tuple[pd.DataFrame | None, dict[str, str]]:
    if "segments" not in target.manifests:
        return None, {}
    files = workspace.store.files(target.manifests["segments"], SEGMENTS.name)
    found = workspace.engine.frame(
        workspace.engine.scan(files).select("customer_id", "segment_id", "segment_name").order_by("customer_id")
    )
    names = found.drop_duplicates("segment_id").set_index("segment_id")["segment_name"]
    return found, {str(key): str(value) for key, value in names.items()}
