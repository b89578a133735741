"""No pestering: some quiet after an offer, and none in the middle of a conversation."""

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Customers with an offer or a contact in the days before the decision."""
    limits = facts.settings.guardrails
    offered = facts.candidates["days_since_offer"] < limits.rest_days_after_offer
    contacted = facts.candidates["days_since_contact"] < limits.rest_days_after_contact
    return facts.per_customer(offered | contacted)


GUARDRAIL = Guardrail(
    name="recently_contacted",
    en="Contacted or offered something only recently.",
    es="Contactado o con una oferta hace muy poco.",
    vetoed=vetoed,
)
