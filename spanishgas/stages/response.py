"""Stage `response`: what past campaigns tell of how customers respond to offers."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import (
    GuardrailSettings,
    PolicySettings,
    Settings,
)
from spanishgas.contracts.decisions import PAST_POLICIES, RESPONSE_CALIBRATION
from spanishgas.contracts.gold import CHURN_TRAINING_DATASET, CUSTOMER_FEATURES
from spanishgas.domain.survival import CALENDAR
from spanishgas.engine.session import Engine
from spanishgas.engine.store import Manifest, Publication, TableStore, read_json
from spanishgas.errors import ContractError, PublishError
from spanishgas.policy.campaigns import NO_CAMPAIGNS, follow, placed
from spanishgas.policy.candidates import HAZARDS, KINDS, kind_of, known_windows, monthly_amounts
from spanishgas.policy.economics import Respond, Response
from spanishgas.policy.effects import Effects, learn, reasons_against
from spanishgas.policy.learners import check_installed
from spanishgas.policy.past_campaigns import Month, past_months, table_of, value_policies
from spanishgas.policy.response import ASSUMED, LEARNED, assumed_of
from spanishgas.policy.response_report import assess, is_first_half, render
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, LandedFile, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.churn_models import champion_of, fetch_model, read_rows
from spanishgas.stages.features import STAGE as FEATURES
from spanishgas.stages.places import features_at
from spanishgas.stages.silver import SILVER
from spanishgas.stages.training_set import TRAINING_SET, data_cut, history_begin
from spanishgas.training.labels import leavers
from spanishgas.training.split import first_month

if TYPE_CHECKING:
    from spanishgas.models import ChurnModel

RESPONSE = Publication(layer="gold", name="response")
MODEL, FILE = "response_model", "response.json"
USED = ("churn_events", "retention_offers")
# Settings of the policy that say nothing of past campaigns.
NOT_ASKED = (
    "simulation",
    "replay",
    "holdout",
    "campaign",
    "measured_until",
    "measured_together_days",
    "risk_buckets",
    "prices_valid_days",
)


class ResponseStageSettings(BaseModel):
    """What the response depends on beside the tables and the champion."""

    model_config = ConfigDict(frozen=True)

    policy: PolicySettings
    last_day: date
    days: tuple[date, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """What is kept of customers' features."""
        return tuple(dict.fromkeys((*self.policy.response.learned.features, *KINDS, *CALENDAR)))


class ResponseStage(PlainStage):
    """Publishes the response as learned, or why nothing could be learned."""

    name = "response"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """The kind of demo world, if it is one."""
        return {"world": getattr(settings.data, "world", "")}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """Features of the month ends before past campaigns.

        Raises:
            ConfigError: The library of the learner is not installed.
        """
        check_installed(settings.policy.response.learned.learner)
        days = _days(settings, store)
        if not days:
            return ()
        return [Request(FEATURES, settings.model_copy(update={"as_of": days, "force": False}), if_stale=True)]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The response of one data set.

        Raises:
            PublishError: Silver tables or features are not published.
            PromotionError: There is no champion to tell the control risk.
        """
        silver = store.read(SILVER, made_by="silver")
        champion = champion_of(settings, models)
        days = _days(settings, store)
        manifests = {"silver": silver}
        for day in days:
            manifests[day.isoformat()] = store.read(features_at(day), made_by=f"features -P as_of={day}")
        inputs = {name: silver.tables[name].content_hash for name in USED}
        inputs |= {day.isoformat(): manifests[day.isoformat()].content_hash for day in days}
        inputs["champion"] = champion.digest
        training = store.find(TRAINING_SET)
        if days and training is not None and not store.missing_files(training):
            manifests["training_set"] = training
            inputs["training_set"] = training.content_hash
        view = ResponseStageSettings(
            policy=_asked(settings.policy),
            last_day=data_cut(settings, silver) - timedelta(days=settings.labels.registration_lag_days),
            days=days,
        )
        return [Target(RESPONSE, view, inputs, manifests, {"champion": champion})]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Follows past campaigns and learns from them what they tell."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, ResponseStageSettings)
        learned, assumed = view.policy.response.learned, view.policy.response.assumed
        engine, store = workspace.engine, workspace.store
        silver = {name: engine.scan(store.files(target.manifests["silver"], name)) for name in USED}
        offers = engine.frame(silver["retention_offers"])
        offers = offers.sort_values(["known_at"], kind="stable").drop_duplicates(
            ["campaign_id", "customer_id"], keep="last"
        )
        left = engine.frame(leavers(silver["churn_events"], view.last_day)).set_index("customer_id")["left_on"]
        workspace.progress("scoring customers of past campaigns")
        champion = _champion(workspace, target)
        scores, active = _scores(workspace, target, view, offers, champion)
        workspace.progress(f"following {len(offers):,} rows of past campaigns")
        rows, facts = (
            (None, NO_CAMPAIGNS)
            if scores.empty
            else follow(
                offers,
                scores,
                left,
                view.features,
                last_day=view.last_day,
                effect_months=view.policy.economics.effect_months,
            )
        )
        reasons = reasons_against(facts, learned)
        effects, trust = None, None
        if rows is not None and not reasons:
            workspace.progress(f"learning from {facts.offers:,} offers and {facts.controls:,} controls")
            prior = assumed_of(assumed, kind_of(rows.features))
            effects, trust = learn(rows, learned, prior), assess(rows, learned, prior)
        past = pd.DataFrame(columns=list(PAST_POLICIES.column_names))
        if not scores.empty:
            workspace.progress("valuing policies on past campaigns")
            campaigns = placed(offers, scores).assign(left_on=lambda table: table["customer_id"].map(left))
            months = past_months(campaigns, active, champion.survival, view.policy.economics, view.last_day)
            responses = _responses(view.policy, trust.halves if trust is not None else ())
            past = table_of(value_policies(months, responses, view.policy), months)
        state: dict[str, Any] = {"reasons": reasons, "effects": None, "halves": []}
        if effects is not None and trust is not None:
            state |= {"effects": effects.state, "halves": [half.state for half in trust.halves]}
        file = workspace.drafts[target.publication] / FILE
        file.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        calibration = trust.calibration if trust is not None else _no_calibration()
        product = Product(
            tables={RESPONSE_CALIBRATION.name: calibration, PAST_POLICIES.name: past},
            contracts={table.name: table for table in (RESPONSE_CALIBRATION, PAST_POLICIES)},
            landed={MODEL: [LandedFile.of(file, file.parent)]},
            metrics={
                "response_offers": float(facts.offers),
                "response_controls": float(facts.controls),
                "response_leavers": float(facts.leavers),
                "response_is_learned": float(effects is not None),
                **(trust.metrics if trust is not None else {}),
            },
            tags={"response": "learned" if effects is not None else "assumed", "fallback": "; ".join(reasons)},
        )
        told = (
            f"learned from {facts.offers:,} offers and {facts.controls:,} controls"
            if effects is not None
            else f"assumed, past campaigns do not tell enough: {'; '.join(reasons)}"
        )
        report = Report(
            markdown=render(facts, reasons, effects, trust, past),
            texts={
                f"tables/{table.name}.csv": frame.to_csv(index=False)
                for table, frame in ((RESPONSE_CALIBRATION, calibration), (PAST_POLICIES, past))
            },
            headline=told,
        )
        return Build({target.publication: product}, report)


def read_response(store: TableStore, manifest: Manifest) -> tuple[Effects | None, list[Effects], list[str]]:
    """A published response: what was learned, the two halves, and the reasons where nothing was.

    Raises:
        PublishError: The file cannot be read.
    """
    (file,) = store.files(manifest, MODEL)
    state = read_json(file)
    if state is None:
        raise PublishError("the response cannot be read", where=str(file), todo="Run `response` again")
    whole = None if state["effects"] is None else Effects.restore(state["effects"])
    return whole, [Effects.restore(half) for half in state["halves"]], list(state["reasons"])


def read_past(engine: Engine, store: TableStore, manifest: Manifest) -> pd.DataFrame:
    """What policies would have earned on past campaigns, of a published response."""
    return engine.frame(engine.scan(store.files(manifest, PAST_POLICIES.name)))


def _days(settings: Settings, store: TableStore) -> tuple[date, ...]:
    """Month ends that past campaigns follow on, as far as the data reach; none without churn dates."""
    if settings.labels.kind != "dated" or settings.policy.response.kind != "learned":
        return ()
    silver = store.read(SILVER, made_by="silver")
    first = first_month(settings.labels, history_begin(silver))
    last = min(max(settings.as_of), settings.data.complete_until() or max(settings.as_of))
    ends = pd.date_range(first, last, freq="ME")
    months = settings.policy.response.learned.months
    # Campaigns of the last months cannot be followed yet.
    return tuple(day.date() for day in ends[:-1][-months:])


def _asked(policy: PolicySettings) -> PolicySettings:
    """The policy without what past campaigns do not depend on."""
    return policy.model_copy(update={name: PolicySettings.model_fields[name].default for name in NOT_ASKED})


def _responses(policy: PolicySettings, halves: Sequence[Effects]) -> dict[str, Callable[[Month], Respond]]:
    """How the customers of past campaigns respond: as assumed, and as learned from the other half of them."""

    def assumed(month: Month) -> Respond:
        return assumed_of(policy.response.assumed, month.candidates.kind)

    def learned(month: Month) -> Respond:
        prior, first = assumed(month), is_first_half(month.candidates.ids)
        one, other = (half.respond(month.rows, prior)(slice(0, len(first))) for half in halves)

        def of(name: str) -> Any:
            return np.where(first[:, None, None], getattr(other, name), getattr(one, name))

        whole = Response(of("acceptance"), of("accepted_ratio"), of("refused_ratio"))
        return whole.take

    return {ASSUMED: assumed, LEARNED: learned} if halves else {ASSUMED: assumed}


def _scores(
    workspace: Workspace, target: Target, view: ResponseStageSettings, offers: pd.DataFrame, champion: "ChurnModel"
) -> tuple[pd.DataFrame, dict[date, tuple[int, int]]]:
    """What was known of the customers of past campaigns at the month end before, and how many were active."""
    engine, store = workspace.engine, workspace.store
    empty = ["customer_id", "as_of", *HAZARDS]
    if not view.days or offers.empty:
        return pd.DataFrame(columns=empty), {}
    predict = _predict(workspace, target, champion)
    active: dict[date, tuple[int, int]] = {}
    concerned = engine.table(offers[["customer_id"]].drop_duplicates())
    parts = []
    for day in view.days:
        table = engine.scan(store.files(target.manifests[day.isoformat()], CUSTOMER_FEATURES.name))
        around = table.filter(_around_renewal(table, view.policy.guardrails))
        active[day] = engine.integer(table.count()), engine.integer(around.count())
        features = engine.frame(table.semi_join(concerned, "customer_id").order_by("customer_id"))
        if features.empty:
            continue
        kept = [name for name in view.features if name in features.columns]
        hazards = known_windows(predict(features))
        if hazards is None:
            return pd.DataFrame(columns=empty), {}
        known = dict(zip(HAZARDS, hazards.T, strict=True))
        amounts = monthly_amounts(features, view.policy.economics.margin_features)
        known |= dict(zip(("margin_eur_month", "bill_eur_month"), amounts, strict=True))
        parts.append(features[["customer_id", "as_of", *kept]].assign(**known))
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=empty)), active


def _around_renewal(table: ir.Table, guardrails: GuardrailSettings) -> ir.BooleanValue:
    """Whether the guardrail of the contract's window would let a customer be contacted."""
    before, after = guardrails.days_before_renewal, guardrails.days_after_renewal
    return table.days_to_renewal.between(0, before) | table.term_age_days.between(0, after)


def _champion(workspace: Workspace, target: Target) -> "ChurnModel":
    with TemporaryDirectory() as folder:
        model, _ = fetch_model(workspace.models, target.models["champion"], Path(folder))
    return model


def _predict(workspace: Workspace, target: Target, model: "ChurnModel") -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Scores of customers by what has not learned from them: the champion's recipe on the other half of the customers.

    The champion itself where the training set is not there any more, or is one that its recipe cannot learn from.
    """
    from spanishgas.models.refit import by_halves

    training = target.manifests.get("training_set")
    if training is None:
        return lambda features: model.predict(features)
    engine = workspace.engine
    table = read_rows(engine, workspace.store, training, CHURN_TRAINING_DATASET.name)
    try:
        halves = by_halves(model, table, threads=engine.threads)
    except ContractError as error:
        workspace.progress(f"the champion itself scores them: {error}")
        return lambda features: model.predict(features)
    return lambda features: halves.predict(features["customer_id"].tolist(), features)


def _no_calibration() -> pd.DataFrame:
    whole = {"fifth", "offers", "leavers"}
    return pd.DataFrame(
        {name: pd.Series(dtype="int64" if name in whole else "float64") for name in RESPONSE_CALIBRATION.column_names}
    )


STAGE = ResponseStage()
