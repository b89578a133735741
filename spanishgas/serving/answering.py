"""From a request to the bytes of an answer: the same code whatever server calls it."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson

from spanishgas.policy.reasons import REASONS
from spanishgas.policy.what_if import Supposed, WhatIf
from spanishgas.scoring.online import Answer, NoFeaturesError, UnknownCustomerError
from spanishgas.scoring.snapshot import Snapshot
from spanishgas.serving.bundle import Bundle
from spanishgas.serving.errors import TooManyError
from spanishgas.serving.schema import ScoreRequest

SENTENCES = {
    language: {code: {"code": code, "sentence": str(getattr(reason, language))} for code, reason in REASONS.items()}
    for language in ("en", "es")
}
WINDOWS = ("0_30", "30_60", "60_90")


def answer(bundle: Bundle, request: ScoreRequest, today: date, most: int) -> tuple[bytes, list[Answer]]:
    """Answers a request.

    Args:
        bundle: What answers.
        request: The question.
        today: Day of the question.
        most: Most customers of one request.

    Returns:
        The body, and the answers that are in it.

    Raises:
        UnknownCustomerError: The one customer asked for is not known.
        NoFeaturesError: Has no features of that date.
        TooManyError: More customers than ``most``.
    """
    what_if = None
    if request.what_if is not None:
        what_if = WhatIf(request.what_if.discount, request.what_if.acceptance)
    if request.customer_id is not None:
        wanted = [bundle.recommender.locate(request.customer_id, request.asof_date)]
        found = bundle.recommender.answers(wanted, today, explain=request.explain, what_if=what_if)
        return orjson.dumps(told(bundle, found[0], request.language)), found
    customers = request.customers or ()
    if len(customers) > most:
        raise TooManyError(len(customers), most)
    located: list[tuple[Snapshot, int]] = []
    entries: list[dict[str, Any] | None] = []
    for customer in customers:
        try:
            located.append(bundle.recommender.locate(customer, request.asof_date))
            entries.append(None)
        except UnknownCustomerError as error:
            entries.append({"customer_id": customer, "code": "unknown_customer", "error": str(error)})
        except NoFeaturesError as error:
            entries.append(
                {"customer_id": customer, "code": "no_features", "error": str(error), "nearest": error.nearest}
            )
    found = bundle.recommender.answers(located, today, explain=request.explain, what_if=what_if) if located else []
    following = iter(found)
    answers = [told(bundle, next(following), request.language) if entry is None else entry for entry in entries]
    return orjson.dumps({"answers": answers}), found


def told(bundle: Bundle, one: Answer, language: str) -> dict[str, Any]:
    """One answer as ``schema.ScoreAnswer`` has it, as plain values."""
    recommender, made = bundle.recommender, one.recommendation
    found: dict[str, Any] = {
        "customer_id": one.customer_id,
        "asof_date": one.as_of,
        "churn_score": one.risk,
        "window_probabilities": dict(zip(WINDOWS, one.hazards, strict=True)),
        "risk_tier": one.risk_bucket,
        "outlook": None if one.outlook is None else {name: _known(value) for name, value in one.outlook.items()},
        "segment": {"id": one.segment, "name": one.segment_name} if one.segment else None,
        "recommendation": {
            "source": made.source,
            "action": made.action,
            "channel": made.channel,
            "timing_window": made.timing_window,
            "expected_margin_impact": made.expected_margin_impact,
            "expected_spend": made.expected_spend,
            "p_accept": made.p_accept,
            "is_held_out": made.is_held_out,
            "run_date": made.run_date,
        },
        "reasons": sentences(made.reason_codes, language),
        "vetoes": sentences(made.veto_codes, language),
        "basis": {
            "model": {"name": bundle.model_name, "version": recommender.version, "digest": recommender.digest},
            "policy_version": one.policy_version or None,
            "decision_model_version": one.decision_model or None,
            "features_hash": one.features_hash,
            "is_current": not one.moved,
            "moved": one.moved,
        },
        "what_if": None if one.supposed is None else _supposed(one.supposed, language),
    }
    return found


def sentences(codes: Sequence[str], language: str) -> list[dict[str, str]]:
    """Codes with their sentences; a code of a release that this one does not know stands for itself."""
    known = SENTENCES[language]
    return [known.get(code, {"code": code, "sentence": code}) for code in codes]


def _supposed(found: Supposed, language: str) -> dict[str, Any]:
    return {
        "action": found.action,
        "discount": found.discount,
        "timing_window": found.window,
        "channel": found.channel,
        "expected_margin_impact": _known(found.margin_impact),
        "expected_spend": _known(found.spend),
        "p_accept": found.acceptance,
        "is_allowed": not found.vetoes,
        "vetoes": sentences(found.vetoes, language),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
