"""Who was held out to measure an effect stays so until it can be measured."""

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail


def vetoed(facts: Facts) -> Bools:
    """Customers that an earlier run held out within the days that a hold-out lasts."""
    return facts.per_customer(facts.candidates["days_since_held_out"] < facts.settings.holdout.days)


GUARDRAIL = Guardrail(
    name="recently_held_out",
    en="Held out by an earlier run, to measure what offers bring.",
    es="Reservado por una campaña anterior para medir el efecto de las ofertas.",
    vetoed=vetoed,
)
