"""No offer that is expected to lose money."""

import numpy as np

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Offers whose value is not positive even through the cheapest channel, or not known."""
    cheapest = facts.settings.contact_costs[0]
    worth = facts.values.value - facts.values.reached[:, None, :] * np.float32(cheapest)
    return np.asarray(~(worth > 0)[:, :, :, None])


GUARDRAIL = Guardrail(
    name="value",
    en="The offer is expected to cost more than it brings.",
    es="Se espera que la oferta cueste más de lo que aporta.",
    vetoed=vetoed,
)
