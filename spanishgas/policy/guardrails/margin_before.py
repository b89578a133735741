"""Who brings no margin is not kept by a discount."""

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Customers whose expected margin is not above the least, or not known."""
    return facts.per_customer(~(facts.candidates["margin_eur_month"] > facts.settings.guardrails.min_margin_eur_month))


GUARDRAIL = Guardrail(
    name="margin_before",
    en="The customer's expected margin is not positive, or not known.",
    es="El margen esperado del cliente no es positivo, o no se conoce.",
    vetoed=vetoed,
)
