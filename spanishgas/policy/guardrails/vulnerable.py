"""Vulnerable customers and those on the social tariff are not targets of commercial offers."""

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Customers known to be vulnerable at the decision's time."""
    return facts.per_customer(facts.candidates["is_vulnerable"] == 1)


GUARDRAIL = Guardrail(
    name="vulnerable",
    en="Vulnerable customer or social tariff: no commercial offers.",
    es="Cliente vulnerable o con bono social: sin ofertas comerciales.",
    vetoed=vetoed,
)
