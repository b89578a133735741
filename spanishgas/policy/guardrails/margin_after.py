"""No discount that eats the margin of the months in which it is paid."""

import numpy as np

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Actions after whose discount the expected margin is not above the least, or not known."""
    shares = np.array(facts.settings.discounts)
    discount = facts.candidates["bill_eur_month"][:, None] * shares[None, :]
    left = facts.candidates["margin_eur_month"][:, None] - discount
    return np.asarray(~(left > facts.settings.guardrails.min_margin_eur_month)[:, :, None, None])


GUARDRAIL = Guardrail(
    name="margin_after",
    en="After the discount the expected margin would not be positive.",
    es="Tras el descuento el margen esperado no sería positivo.",
    vetoed=vetoed,
)
