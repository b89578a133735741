"""Requests and answers of ``POST /score``, as callers see them."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StringConstraints,
    model_validator,
)

from spanishgas.serving.settings import ServingSettings

LONGEST_ID = 256
CustomerId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
Language = Literal["en", "es"]
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(value: object) -> object:
    """Dates as the description says; seconds since 1970 and weeks of a year are none."""
    if isinstance(value, str) and DAY.fullmatch(value):
        return value
    if value is None or isinstance(value, date):
        return value
    raise ValueError("a date as YYYY-MM-DD is needed")


def _given(name: str, kind: str) -> dict[str, Any]:
    """A shape that has this field, and not as null."""
    return {"required": [name], "properties": {name: {"type": kind}}}


class WhatIfRequest(BaseModel):
    """What to suppose; the answer tells the best offer under it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"anyOf": [_given("discount", "number"), _given("acceptance", "number")]},
    )

    discount: StrictFloat | None = Field(
        default=None, ge=0, lt=1, description="Share of the energy bill that is taken off."
    )
    acceptance: StrictFloat | None = Field(
        default=None, ge=0, le=1, description="Probability that the customer accepts."
    )

    @model_validator(mode="after")
    def _something(self) -> "WhatIfRequest":
        if self.discount is None and self.acceptance is None:
            raise ValueError("suppose a discount, an acceptance, or both")
        return self


class ScoreRequest(BaseModel):
    """One customer, or several."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "oneOf": [_given("customer_id", "string"), _given("customers", "array")],
            "examples": [{"customer_id": "C0000001", "asof_date": "2026-01-31", "language": "es"}],
        },
    )

    customer_id: CustomerId | None = Field(default=None, description="The customer.")
    customers: tuple[CustomerId, ...] | None = Field(
        default=None, min_length=1, description="Several customers instead; each is answered or told why not."
    )
    asof_date: Annotated[date, BeforeValidator(_day)] | None = Field(
        default=None, description="Date of the features; the newest one by default."
    )
    language: Language = Field(default="en", description="Language of the sentences.")
    explain: StrictBool = Field(
        default=True, description="False leaves out causes of the risk that would have to be computed for the answer."
    )
    what_if: WhatIfRequest | None = Field(default=None, description="What to suppose.")

    @model_validator(mode="after")
    def _one_or_many(self) -> "ScoreRequest":
        if (self.customer_id is None) == (self.customers is None):
            raise ValueError("give either customer_id or customers")
        return self


class WindowProbabilities(BaseModel):
    """Probability of leaving in each window of 30 days, for those still there at its begin."""

    first: float = Field(alias="0_30", ge=0, le=1)
    second: float = Field(alias="30_60", ge=0, le=1)
    third: float = Field(alias="60_90", ge=0, le=1)


class OutlookAnswer(BaseModel):
    """How long the customer is expected to stay, and what that is worth, over the policy's horizon and without offers.

    The bounds hold 90 % of what the level of the risk may turn out to be.
    """

    expected_months: float
    expected_months_lo: float
    expected_months_hi: float
    lifetime_value_eur: float | None = Field(description="EUR of today; null where the margin is not known.")
    lifetime_value_eur_lo: float | None
    lifetime_value_eur_hi: float | None


class SegmentAnswer(BaseModel):
    """The customer's segment."""

    id: str
    name: str


class ReasonAnswer(BaseModel):
    """A reason: stable code, and a sentence in the language asked for."""

    code: str
    sentence: str


class RecommendationAnswer(BaseModel):
    """What to do."""

    source: Literal["published", "priced", "none"] = Field(
        description="The published decision; or one at the dual prices of the newest run; or none can be made."
    )
    action: Literal["none", "small", "medium", "large"]
    channel: Literal["none", "phone", "email", "letter", "sms"]
    timing_window: Literal["none", "immediate", "30_60", "60_90"]
    expected_margin_impact: float = Field(description="EUR over the policy's horizon, all costs taken off.")
    expected_spend: float = Field(description="EUR, discount and contact.")
    p_accept: float | None = Field(description="Probability of accepting; null without an offer.")
    is_held_out: bool = Field(description="Chosen, and left without an offer at random, to measure what offers bring.")
    run_date: date | None = Field(description="Day of the decision.")


class ModelBasis(BaseModel):
    """The model that scored."""

    name: str
    version: str
    digest: str


class Basis(BaseModel):
    """What the answer rests on."""

    model: ModelBasis
    policy_version: str | None = Field(description="Policy of the decision; null without one.")
    decision_model_version: str | None = Field(description="Model of the published decision; null without one.")
    features_hash: str
    is_current: bool = Field(
        description="Whether the published decision rests on today's champion, features and policy."
    )
    moved: list[Literal["model", "features", "policy"]] = Field(description="What has moved on since the decision.")


class WhatIfAnswer(BaseModel):
    """The best offer under what was supposed."""

    action: Literal["own", "small", "medium", "large"] = Field(description="`own`: the discount that was supposed.")
    discount: float
    timing_window: Literal["immediate", "30_60", "60_90"]
    channel: Literal["phone", "email", "letter", "sms"]
    expected_margin_impact: float | None = Field(description="EUR; null where margin or bill are not known.")
    expected_spend: float | None
    p_accept: float
    is_allowed: bool
    vetoes: list[ReasonAnswer] = Field(description="Guardrails against it.")


class ScoreAnswer(BaseModel):
    """What is said of one customer."""

    customer_id: str
    asof_date: date
    churn_score: float = Field(ge=0, le=1, description="Probability of leaving within the horizon if nothing is done.")
    window_probabilities: WindowProbabilities
    risk_tier: Literal["high", "medium", "low"] | None = Field(description="Null where no run tells the tiers apart.")
    outlook: OutlookAnswer | None = Field(description="Null where no run tells the horizon.")
    segment: SegmentAnswer | None
    recommendation: RecommendationAnswer
    reasons: list[ReasonAnswer]
    vetoes: list[ReasonAnswer]
    basis: Basis
    what_if: WhatIfAnswer | None = None


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="What is wrong, and what to do.")
    code: str = Field(description="Stable identifier of the kind of error.")
    nearest: date | None = Field(default=None, description="Nearest date with features.")
    details: list[str] | None = Field(default=None, description="What is wrong where in the request.")
    request_id: str | None = None


class CustomerProblem(Problem):
    """Why one customer of several is not answered."""

    customer_id: str


class ManyAnswers(BaseModel):
    """Answers in the order of the request."""

    answers: list[ScoreAnswer | CustomerProblem]


def described(schema: dict[str, Any], settings: ServingSettings) -> dict[str, Any]:
    """The description with the limits that this server was started with."""
    shapes = schema["components"]["schemas"]
    shapes["ScoreRequest"]["properties"]["customers"]["anyOf"][0]["maxItems"] = settings.max_batch
    return schema
