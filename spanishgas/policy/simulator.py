"""What a plan is worth, and how that hangs on what was assumed: by group, by assumption, by budget."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from spanishgas.config import PolicySettings
from spanishgas.policy.allocation import allocate
from spanishgas.policy.decide import Decisions, plan_for, value, value_of_plan, with_values
from spanishgas.policy.economics import Respond
from spanishgas.policy.recommendations import risk_buckets
from spanishgas.policy.response import scaled


@dataclass(frozen=True)
class Simulation:
    """What a run's plan is worth.

    Attributes:
        groups: By segment and risk bucket.
        sensitivity: By factor on acceptance and on risk.
        curve: By budget.
    """

    groups: pd.DataFrame
    sensitivity: pd.DataFrame
    curve: pd.DataFrame


def simulate(decisions: Decisions, respond: Respond, settings: PolicySettings, run_date: date) -> Simulation:
    """Values a plan.

    Args:
        decisions: What was decided.
        respond: The response that it was decided with.
        settings: The policy.
        run_date: Day of the decision.
    """
    day = pd.Timestamp(run_date)
    return Simulation(
        _groups(decisions, settings).assign(run_date=day),
        _sensitivity(decisions, respond, settings).assign(run_date=day),
        _curve(decisions, settings).assign(run_date=day),
    )


def _groups(decisions: Decisions, settings: PolicySettings) -> pd.DataFrame:
    candidates, plan = decisions.candidates, decisions.plan
    table = pd.DataFrame(
        {
            "segment": candidates.segment,
            "risk_bucket": risk_buckets(candidates.risk, settings.risk_buckets),
            "customers": 1,
            "offers": decisions.chosen.astype(int),
            "baseline_margin_eur": np.nan_to_num(decisions.values.baseline.astype(np.float64)),
            "net_eur": plan.value,
            "spend_eur": plan.spend,
        }
    )
    grouped = table.groupby(["segment", "risk_bucket"], as_index=False, sort=True).sum()
    grouped["retained_margin_eur"] = grouped["net_eur"] + grouped["spend_eur"]
    grouped["roi"] = grouped["net_eur"] / grouped["spend_eur"].where(grouped["spend_eur"] > 0)
    return grouped


def _sensitivity(decisions: Decisions, respond: Respond, settings: PolicySettings) -> pd.DataFrame:
    limits = decisions.limits
    rows = []
    for acceptance in settings.simulation.acceptance_factors:
        changed = scaled(respond, acceptance)
        for risk in settings.simulation.risk_factors:
            values = value(decisions.candidates, changed, settings, risk_factor=risk)
            worth, spend = value_of_plan(decisions.plan, with_values(decisions.options, values))
            best = plan_for(decisions.candidates, values, limits, settings)
            rows.append(
                {
                    "acceptance_factor": acceptance,
                    "risk_factor": risk,
                    "net_eur": float(worth.sum()),
                    "spend_eur": float(spend.sum()),
                    "replanned_net_eur": best.total,
                    "replanned_offers": int((best.action >= 0).sum()),
                }
            )
    return pd.DataFrame(rows)


def _curve(decisions: Decisions, settings: PolicySettings) -> pd.DataFrame:
    rows = []
    factors = {*settings.simulation.budget_factors, 1.0} if decisions.limits.budget > 0 else {1.0}
    for factor in sorted(factors):
        limits = replace(decisions.limits, budget=decisions.limits.budget * factor)
        plan = decisions.plan if factor == 1.0 else allocate(decisions.options, limits)
        rows.append(
            {
                "budget_eur": limits.budget,
                "offers": int((plan.action >= 0).sum()),
                "spend_eur": float(plan.spend.sum()),
                "net_eur": plan.total,
                "gap_eur": plan.gap,
                "is_chosen": factor == 1.0,
            }
        )
    return pd.DataFrame(rows)
