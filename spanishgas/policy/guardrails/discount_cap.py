"""No discount beyond what commercial management allows."""

import numpy as np

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Actions whose discount is above the cap in euros a month or as a share of the bill; unknown bills are vetoed."""
    limits = facts.settings.guardrails
    shares = np.array(facts.settings.discounts)
    discount = facts.candidates["bill_eur_month"][:, None] * shares[None, :]
    dear = ~(discount <= limits.max_discount_eur_month) | (shares > limits.max_discount_share)[None, :]
    return np.asarray(dear[:, :, None, None])


GUARDRAIL = Guardrail(
    name="discount_cap",
    en="The discount would exceed the cap.",
    es="El descuento superaría el tope.",
    vetoed=vetoed,
)
