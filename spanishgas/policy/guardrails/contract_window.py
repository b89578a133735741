"""Offers belong to the weeks around a renewal: not into a fresh term, not long before its end."""

import numpy as np

from spanishgas.policy.economics import WINDOWS
from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail

WINDOW_DAYS = 30


def vetoed(facts: Facts) -> Bools:
    """Windows whose begin lies too far from the renewal, and all windows in a fresh term.

    A renewal that is not known vetoes nothing.
    """
    limits, candidates = facts.settings.guardrails, facts.candidates
    begin = np.arange(len(WINDOWS)) * WINDOW_DAYS
    ahead = candidates["days_to_renewal"][:, None] - begin[None, :]
    outside = (ahead > limits.days_before_renewal) | (ahead < -limits.days_after_renewal)
    fresh = candidates["term_age_days"][:, None] + begin[None, :] < limits.min_term_age_days
    return (outside | fresh)[:, None, :, None]


GUARDRAIL = Guardrail(
    name="contract_window",
    en="Outside the weeks around the contract's renewal.",
    es="Fuera de las semanas en torno a la renovación del contrato.",
    vetoed=vetoed,
)
