"""What a recommendation must look like: one as a pydantic model, a table as a contract with rules across columns."""

from datetime import date
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spanishgas.contracts.checks import check_frame
from spanishgas.contracts.decisions import RECOMMENDATIONS
from spanishgas.errors import ContractError
from spanishgas.policy.reasons import REASONS, SEPARATOR

NONE = "none"
MOST_REASONS = 12


class Recommendation(BaseModel):
    """One recommendation, as an answer or a record.

    Attributes:
        customer_id: Customer.
        risk_score: Probability of leaving within the horizon if nothing is done.
        segment: Identity of the segment; empty where there is none.
        action: What is offered.
        channel: Through which channel.
        timing_window: When: in 0 to 30, 30 to 60 or 60 to 90 days.
        expected_margin_impact: Expected change of the margin over the horizon in EUR, all costs taken off.
        reason_codes: Identifiers of the reasons, the weightiest first.
        run_date: Day of the decision.
        as_of: Date of the features.
        hazards: Hazards of the three windows.
        model_digest: Digest of the champion's files.
        policy_version: Digest of the policy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: str = Field(min_length=1)
    risk_score: float = Field(ge=0, le=1)
    segment: str
    action: Literal["none", "small", "medium", "large"]
    channel: Literal["none", "phone", "email", "letter", "sms"]
    timing_window: Literal["none", "immediate", "30_60", "60_90"]
    expected_margin_impact: float = Field(ge=0, allow_inf_nan=False)
    reason_codes: tuple[str, ...] = Field(min_length=1, max_length=MOST_REASONS)
    run_date: date
    as_of: date
    hazards: tuple[float, float, float]
    model_digest: str = Field(min_length=1)
    policy_version: str = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> "Recommendation":
        parts = [self.action == NONE, self.channel == NONE, self.timing_window == NONE]
        if any(parts) and not all(parts):
            raise ValueError("action, channel and timing_window are all none, or none of them is")
        if (self.action == NONE) != (self.expected_margin_impact == 0):
            raise ValueError("an offer has a positive expected_margin_impact, no offer has 0")
        if self.as_of > self.run_date:
            raise ValueError(f"as_of ({self.as_of}) must not be after run_date ({self.run_date})")
        if not all(0 <= hazard <= 1 for hazard in self.hazards):
            raise ValueError("hazards lie in 0 to 1")
        unknown = [code for code in self.reason_codes if code not in REASONS]
        if unknown:
            raise ValueError(f"reason codes are not known: {', '.join(unknown)}")
        return self

    @classmethod
    def of(cls, row: "pd.Series[str]") -> "Recommendation":
        """A row of the table ``recommendations``."""
        told = {name: row[name] for name in cls.model_fields if name in row.index and name != "reason_codes"}
        return cls.model_validate(
            {
                **told,
                "run_date": pd.Timestamp(str(row["run_date"])).date(),
                "as_of": pd.Timestamp(str(row["as_of"])).date(),
                "reason_codes": tuple(str(row["reason_codes"]).split(SEPARATOR)),
                "hazards": tuple(row[name] for name in ("hazard_0_30", "hazard_30_60", "hazard_60_90")),
            }
        )


def check_recommendations(table: pd.DataFrame) -> None:
    """Checks a table of recommendations: the contract, and what must hold between columns.

    Raises:
        ContractError: It breaks the contract, or rows contradict themselves; each fault is told with its count.
    """
    check_frame(RECOMMENDATIONS, table)
    offered, planned, held = table["action"] != NONE, table["planned_action"] != NONE, table["is_held_out"].astype(bool)
    impact = table["expected_margin_impact"]
    codes = table["reason_codes"].str.split(SEPARATOR, regex=False)
    known = codes.map(lambda found: bool(found) and all(code in REASONS for code in found))
    faults = {
        "an offer without channel or window, or the other way round": (
            ((table["channel"] != NONE) != offered) | ((table["timing_window"] != NONE) != offered)
        ),
        "an offer that is expected to earn nothing, or an impact without an offer": (impact > 0) != offered,
        "spend without an offer": ~offered & (table["expected_spend"] != 0),
        "held out without a plan, or with an offer": held & (offered | ~planned),
        "planned and neither offered nor held out": planned & ~offered & ~held,
        "offered something else than planned": offered & (table["action"] != table["planned_action"]),
        "a reason that is not known, or none": ~known,
        "as_of after run_date": pd.to_datetime(table["as_of"]) > pd.to_datetime(table["run_date"]),
    }
    found = {what: int(rows.sum()) for what, rows in faults.items() if rows.any()}
    if found:
        raise ContractError(
            "contradicts itself: " + "; ".join(f"{what} ({count:,} rows)" for what, count in found.items()),
            where="recommendations",
            count=sum(found.values()),
            todo="This is a fault of the stage that made the table",
        )
