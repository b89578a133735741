"""Decisions as tables: the recommendations with their reasons, the vetoes, and the limits with their dual prices."""

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import PolicySettings
from spanishgas.domain.survival import Outlook
from spanishgas.policy.allocation import Plan
from spanishgas.policy.candidates import HAZARDS, NUMBERS, Candidates
from spanishgas.policy.decide import Decisions, limits_of
from spanishgas.policy.dual import worthwhile
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond, Response, hazards_with_offer, monthly_hazards
from spanishgas.policy.period import Period, prices_valid_until
from spanishgas.policy.reasons import BETTER_ELSEWHERE, HELD_OUT, OFFER_PAYS, ORDINARY_RISK, TIMED_BY_CONTRACT, joined

NONE = "none"
BUCKETS = ("high", "medium", "low")
EURO_DIGITS = 4
VALUE = "value"
FLAGS = ("is_vulnerable", "marketing_consent", "phone_consent")
STANDING = tuple(name for name in NUMBERS if not name.endswith("_eur_month"))
NO_VETOES = pd.DataFrame(
    {
        "run_date": pd.Series(dtype="datetime64[s]"),
        "customer_id": pd.Series(dtype=object),
        "guardrail": pd.Series(dtype=object),
        "options": pd.Series(dtype="int64"),
        "is_total": pd.Series(dtype=bool),
    }
)


@dataclass(frozen=True)
class Basis:
    """What a run's decisions rest on; stands in every row, for audit.

    Attributes:
        run_date: Day of the decision.
        as_of: Date of the features.
        campaign: Name of the campaign.
        model_version: Version of the champion.
        model_digest: Digest of its files.
        policy_version: Digest of the policy.
        response: ``learned`` or ``assumed``.
        is_timed_by_contract: Timing comes from the contract's dates.
        segment_names: Identity of a segment -> its name.
    """

    run_date: date
    as_of: date
    campaign: str
    model_version: str
    model_digest: str
    policy_version: str
    response: str
    is_timed_by_contract: bool
    segment_names: dict[str, str]


def risk_buckets(risk: npt.NDArray[np.float64], shares: tuple[float, float]) -> npt.NDArray[np.object_]:
    """The riskiest share, the next, the rest; customers of equal risk stay together, in the lower bucket."""
    if not len(risk):
        return np.empty(0, object)
    first, second = np.quantile(risk, [1 - shares[0], 1 - shares[1]])
    return np.where(risk > first, BUCKETS[0], np.where(risk > second, BUCKETS[1], BUCKETS[2])).astype(object)


def recommendation_rows(
    decisions: Decisions,
    causes: npt.NDArray[np.object_],
    respond: Respond,
    basis: Basis,
) -> pd.DataFrame:
    """The table ``recommendations``.

    Args:
        decisions: What was decided.
        causes: Codes of what raises each customer's risk, see ``reasons.causes_of_risk``.
        respond: How customers respond, for the acceptance.
        basis: What the decisions rest on.
    """
    candidates, plan, settings = decisions.candidates, decisions.plan, decisions.settings
    chosen, offered, held = decisions.chosen, decisions.offered, decisions.held_out
    action = np.array([*ACTIONS, NONE], dtype=object)[plan.action]
    window = np.array([*WINDOWS, NONE], dtype=object)[plan.window]
    channel = np.array([*settings.channels, NONE], dtype=object)[plan.channel]
    rows = np.arange(len(candidates))
    acceptance = np.full(len(candidates), np.nan)
    told = respond(slice(0, len(candidates)))
    acceptance[offered] = told.acceptance[rows[offered], plan.action[offered], plan.window[offered]]
    planned = np.full((len(candidates), len(HAZARDS)), np.nan)
    some = rows[chosen]
    planned[some] = hazards_with_offer(
        candidates.hazards[some, : len(HAZARDS)],
        plan.action[some],
        plan.window[some],
        Response(told.acceptance[some], told.accepted_ratio[some], told.refused_ratio[some]),
        settings.economics.effect_months,
    )
    # What is worth next to nothing is still worth something.
    impact = np.where(chosen, np.maximum(np.round(plan.value, EURO_DIGITS), 10.0**-EURO_DIGITS), 0.0)
    vetoes = veto_codes(decisions, settings)
    share = settings.holdout.share
    return pd.DataFrame(
        {
            "run_date": pd.Timestamp(basis.run_date),
            "customer_id": candidates.ids,
            "risk_score": candidates.risk,
            "risk_bucket": risk_buckets(candidates.risk, settings.risk_buckets),
            **{name: candidates.hazards[:, place] for place, name in enumerate(HAZARDS)},
            "segment": candidates.segment,
            "segment_name": [basis.segment_names.get(str(name), "") for name in candidates.segment],
            "action": np.where(offered, action, NONE),
            "channel": np.where(offered, channel, NONE),
            "timing_window": np.where(offered, window, NONE),
            "expected_margin_impact": np.where(offered, impact, 0.0),
            "expected_spend": np.where(offered, np.round(plan.spend, EURO_DIGITS), 0.0),
            "p_accept": acceptance,
            "reason_codes": [
                joined(reason_codes(found, is_offered, is_held, codes, basis.is_timed_by_contract))
                for found, is_offered, is_held, codes in zip(causes, offered, held, vetoes, strict=True)
            ],
            "veto_codes": [joined(codes) for codes in vetoes],
            "planned_action": action,
            "planned_channel": channel,
            "planned_window": window,
            "planned_margin_impact": impact,
            **{f"planned_{name}": planned[:, place] for place, name in enumerate(HAZARDS)},
            "is_held_out": held,
            "propensity": np.where(held, share, np.where(chosen, 1 - share, 1.0)),
            "expected_margin_month": candidates["margin_eur_month"],
            "bill_month": candidates["bill_eur_month"],
            **outlook_of(candidates, settings).columns,
            "campaign": basis.campaign,
            "as_of": pd.Timestamp(basis.as_of),
            "model_version": basis.model_version,
            "model_digest": basis.model_digest,
            "policy_version": basis.policy_version,
            "response": basis.response,
        }
    )


def outlook_of(candidates: Candidates, settings: PolicySettings) -> Outlook:
    """How long customers are expected to stay, and what that is worth."""
    economics = settings.economics
    hazards = monthly_hazards(candidates.hazards, economics.horizon_months)
    return Outlook.of(hazards, candidates.margin, candidates.spread, economics.discount_rate_year)


def reason_codes(
    causes: tuple[str, ...], is_offered: bool, is_held: bool, vetoes: tuple[str, ...], is_timed_by_contract: bool
) -> list[str]:
    """Codes of the reasons, the weightiest first: of the risk, and of what was decided."""
    risk = list(causes) or [ORDINARY_RISK]
    if is_offered:
        return [*risk, OFFER_PAYS, *([TIMED_BY_CONTRACT] if is_timed_by_contract else [])]
    if is_held:
        return [HELD_OUT, *risk]
    return [*(vetoes or (BETTER_ELSEWHERE,)), *risk]


def veto_codes(decisions: Decisions, settings: PolicySettings) -> npt.NDArray[np.object_]:
    """Guardrails that left a customer without any option, in the order of the settings.

    Where one vetoes everything by itself, those that do are told. Where only several together do, all that took part.
    """
    allowed = decisions.allowed
    order = [name for name in settings.guardrails.order if name in allowed.vetoes]
    counts = np.stack([allowed.vetoes[name] for name in order], axis=1) if order else np.zeros((len(allowed.offers), 0))
    total = counts >= allowed.total
    closing = np.array([name in allowed.of_channels for name in order], bool)
    gone = np.asarray(~allowed.offers.any(axis=(1, 2)))
    closed = np.asarray(~allowed.channels.any(axis=1))
    # An offer may be allowed and a channel too, and yet nothing has a positive value through that channel.
    worthless = np.asarray(~gone & ~closed)
    worthless[worthwhile(decisions.options)[0]] = False
    took_part = np.where(closing, (closed | worthless)[:, None], gone[:, None]) & (counts > 0)
    took_part |= worthless[:, None] & (np.array(order, object) == VALUE)
    named = np.where(total.any(axis=1, keepdims=True), total, took_part)
    nothing = gone | closed | worthless
    found = np.empty(len(counts), dtype=object)
    for row in range(len(counts)):
        found[row] = tuple(name for name, on in zip(order, named[row], strict=True) if on) if nothing[row] else ()
    return found


def veto_rows(decisions: Decisions, run_date: date) -> pd.DataFrame:
    """The table ``recommendation_vetoes``."""
    allowed, parts = decisions.allowed, [NO_VETOES]
    for name, count in allowed.vetoes.items():
        rows = np.flatnonzero(count)
        parts.append(
            pd.DataFrame(
                {
                    "run_date": pd.Timestamp(run_date),
                    "customer_id": decisions.candidates.ids[rows],
                    "guardrail": name,
                    "options": count[rows].astype(np.int64),
                    "is_total": count[rows] >= allowed.total,
                }
            )
        )
    return pd.concat(parts, ignore_index=True).sort_values(["customer_id", "guardrail"], ignore_index=True)


def standing_rows(candidates: Candidates, run_date: date) -> pd.DataFrame:
    """The table ``decision_standing``."""
    told: dict[str, object] = {"run_date": pd.Timestamp(run_date), "customer_id": candidates.ids}
    for name in STANDING:
        values = pd.Series(candidates[name])
        told[name] = values.astype("boolean") if name in FLAGS else values
    return pd.DataFrame(told)


def limit_names(settings: PolicySettings) -> list[str]:
    """Names of budget and capacities, in the order of the dual prices."""
    return ["budget", *(f"window:{name}" for name in WINDOWS), *(f"channel:{name}" for name in settings.channels)]


def used_by(plan: Plan, spend: Floats, some: npt.NDArray[np.bool_], settings: PolicySettings) -> Floats:
    """What the offers of some customers take of budget (EUR) and capacities, in the order of ``limit_names``."""
    window, channel = plan.window[some & (plan.window >= 0)], plan.channel[some & (plan.channel >= 0)]
    return np.array(
        [
            math.fsum(spend[some]),
            *np.bincount(window, minlength=len(WINDOWS)),
            *np.bincount(channel, minlength=len(settings.channels)),
        ],
        np.float64,
    )


def limit_rows(decisions: Decisions, run_date: date) -> pd.DataFrame:
    """The table ``recommendation_limits``: what the run had and took, what the period has left, and at what price."""
    plan, settings = decisions.plan, decisions.settings
    period = Period.of(run_date, settings.budget.period)
    bounds, whole = decisions.limits.bounds, limits_of(len(decisions.candidates), settings).bounds
    used = used_by(plan, plan.spend, decisions.chosen, settings)
    # As later runs will read it in the table of recommendations.
    offered = used_by(plan, np.round(plan.spend, EURO_DIGITS), decisions.offered, settings)

    def known(values: Floats) -> Floats:
        return np.where(np.isfinite(values), np.round(values, EURO_DIGITS), np.nan)

    return pd.DataFrame(
        {
            "run_date": pd.Timestamp(run_date),
            "limit": limit_names(settings),
            "bound": known(bounds),
            "used": np.round(used, EURO_DIGITS),
            "offered": np.round(offered, EURO_DIGITS),
            "price_eur": np.round(plan.prices, 9),
            "valid_until": pd.Timestamp(prices_valid_until(run_date, settings)),
            "period_start": pd.Timestamp(period.first),
            "period_end": pd.Timestamp(period.last),
            "period_bound": known(whole),
            "committed": np.round(decisions.committed, EURO_DIGITS),
            "period_left": known(np.maximum(bounds - offered, 0.0)),
        }
    )
