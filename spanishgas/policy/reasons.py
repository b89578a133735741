"""Reasons: stable identifiers with a plain sentence in English and in Spanish.

A reason is of the risk (which of the customer's features raise it, grouped into what a person would call one cause), of
a rule (the guardrail that vetoed), or of the decision (why this offer, or why none although nothing forbade it).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.policy.guardrails import GUARDRAILS

MOST_CAUSES = 3
# Log-odds below which a cause is not worth telling.
LEAST = 0.01
SEPARATOR = "|"
OFFER_PAYS, BETTER_ELSEWHERE, HELD_OUT = "offer_pays", "better_elsewhere", "held_out"
TIMED_BY_CONTRACT, ORDINARY_RISK = "timed_by_contract", "ordinary_risk"
HAS_LEFT, NOT_PRICED = "has_left", "not_priced"


@dataclass(frozen=True)
class Reason:
    """A reason.

    Attributes:
        code: Stable identifier.
        en: Sentence in English.
        es: Sentence in Spanish.
        features: For causes of risk: patterns of the features that it stands for.
    """

    code: str
    en: str
    es: str
    features: tuple[str, ...] = ()


CAUSES: tuple[Reason, ...] = (
    Reason(
        "price_above_market",
        "Pays more than comparable customers or than new customers are offered.",
        "Paga más que clientes comparables o que lo que se ofrece a los nuevos.",
        ("price_over_*", "term_peers_over_*", "price_*_eur_*"),
    ),
    Reason(
        "price_changed",
        "The price has changed or risen of late.",
        "El precio ha cambiado o subido últimamente.",
        ("price_rise_*", "price_largest_rise_*", "price_changes_*", "price_age_days", "price_missing_*"),
    ),
    Reason(
        "contract_renewal",
        "Where the contract stands: the renewal is near or has just passed.",
        "Momento del contrato: la renovación está cerca o acaba de pasar.",
        ("days_to_renewal", "term_age_days", "contract_terms"),
    ),
    Reason("short_tenure", "Has not been a customer for long.", "Es cliente desde hace poco.", ("tenure_days",)),
    Reason(
        "product_change",
        "When the product was last changed.",
        "Cuándo cambió de producto por última vez.",
        ("days_since_product_change", "product_changed_*"),
    ),
    Reason(
        "unresolved_matter",
        "Something that the customer raised is not resolved.",
        "Hay un asunto planteado por el cliente sin resolver.",
        ("interactions_unresolved_*",),
    ),
    Reason("complaint", "Has complained.", "Ha presentado quejas.", ("interactions_complaint_*",)),
    Reason(
        "spoke_of_leaving",
        "Has spoken of cancelling.",
        "Ha hablado de darse de baja.",
        ("interactions_cancellation_*",),
    ),
    Reason(
        "asked_about_money",
        "Has asked about prices, bills or the renewal.",
        "Ha preguntado por precios, facturas o la renovación.",
        ("interactions_pricing_*", "interactions_billing_*", "interactions_renewal_*"),
    ),
    Reason(
        "tone",
        "The tone of the last conversations.",
        "El tono de las últimas conversaciones.",
        ("sentiment_*",),
    ),
    Reason(
        "contact_pattern",
        "How often, when and how the customer got in touch.",
        "Con qué frecuencia, cuándo y cómo se ha puesto en contacto.",
        ("interactions_*", "days_since_interaction"),
    ),
    Reason(
        "consumption_changed",
        "Consumption has changed or varies much.",
        "El consumo ha cambiado o varía mucho.",
        ("*_volatility_*", "*_trend_90d", "*_change_year_*", "elec_recent_over_year"),
    ),
    Reason(
        "consumption_habits",
        "How much is consumed, when and how it is metered.",
        "Cuánto consume, cuándo y cómo se mide.",
        (
            "elec_kwh_*",
            "gas_kwh_*",
            "coverage_*",
            "*peak_share_*",
            "weekend_share_*",
            "surplus_*",
            "estimated_*",
            "load_factor_*",
            "supply_points",
        ),
    ),
    Reason(
        "kind_of_supply",
        "The kind of supply: home or business, power, gas, use.",
        "El tipo de suministro: hogar o negocio, potencia, gas, uso.",
        ("contracted_power_kw", "is_business", "is_second_home", "is_urban", "has_gas", "is_vulnerable", "*_consent"),
    ),
    Reason(
        "sales_channel",
        "The channel through which the customer was won.",
        "El canal por el que se captó al cliente.",
        ("sales_channel",),
    ),
    Reason(
        "competition",
        "Competition and the market where the customer lives.",
        "La competencia y el mercado donde vive el cliente.",
        ("is_high_competition", "region", "province_*", "market_*"),
    ),
    Reason("margin_history", "What the supply has earned.", "Lo que ha aportado el suministro.", ("*margin_*",)),
    Reason(
        "past_offers",
        "Earlier retention offers and campaigns.",
        "Ofertas y campañas de retención anteriores.",
        ("offers_*", "days_since_offer", "last_offer_action", "campaigns_*"),
    ),
    Reason("own_data", "Data of the retailer's own.", "Datos propios de la comercializadora.", ("extra_*",)),
)
DECISIONS: tuple[Reason, ...] = (
    Reason(
        OFFER_PAYS,
        "The offer is expected to keep more margin than it costs.",
        "Se espera que la oferta conserve más margen de lo que cuesta.",
    ),
    Reason(
        BETTER_ELSEWHERE,
        "Within budget and capacities, offers to other customers earn more.",
        "Con el presupuesto y la capacidad disponibles, las ofertas a otros clientes aportan más.",
    ),
    Reason(
        HELD_OUT,
        "Left without an offer at random, to measure what offers bring.",
        "Sin oferta por sorteo, para medir el efecto de las ofertas.",
    ),
    Reason(
        TIMED_BY_CONTRACT,
        "The timing follows the contract's dates: the data do not say when customers leave.",
        "El momento sigue las fechas del contrato: los datos no dicen cuándo se van los clientes.",
    ),
    Reason(
        HAS_LEFT,
        "Has left by the day of the decision.",
        "Ya se había dado de baja el día de la decisión.",
    ),
    Reason(
        NOT_PRICED,
        "No decision stands for the customer, and the prices to make one have expired or are missing.",
        "No hay decisión para el cliente, y los precios para tomarla han caducado o faltan.",
    ),
    Reason(
        ORDINARY_RISK,
        "Nothing in particular raises the risk of leaving.",
        "Nada en particular aumenta el riesgo de baja.",
    ),
)
REASONS: dict[str, Reason] = {
    one.code: one for one in (*CAUSES, *DECISIONS, *(Reason(rule.name, rule.en, rule.es) for rule in GUARDRAILS))
}


def cause_of(feature: str) -> str:
    """The cause that a feature belongs to; the first whose pattern fits.

    Raises:
        KeyError: No cause stands for it.
    """
    for cause in CAUSES:
        if any(fnmatchcase(feature, pattern) for pattern in cause.features):
            return cause.code
    raise KeyError(f"no reason stands for the feature {feature!r}")


@dataclass(frozen=True)
class Causes:
    """How a model's features fall into causes.

    Attributes:
        codes: Codes of the causes.
        places: Position of each feature's cause.
    """

    codes: tuple[str, ...]
    places: tuple[int, ...]

    @classmethod
    def of(cls, features: Sequence[str]) -> "Causes":
        """The causes that features belong to.

        Raises:
            KeyError: No cause stands for a feature.
        """
        names = [cause_of(feature) for feature in features]
        codes = tuple(sorted(set(names)))
        return cls(codes, tuple(codes.index(name) for name in names))

    def strongest(self, contributions: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
        """Codes of what raises each customer's risk most, at most three, the strongest first.

        Args:
            contributions: What each feature adds to the log-odds of leaving, shape (rows, features).

        Returns:
            One tuple of codes per row; empty where nothing raises the risk. No row's depends on its neighbours.
        """
        added = np.zeros((len(contributions), len(self.codes)))
        for feature, place in enumerate(self.places):
            added[:, place] += contributions[:, feature]
        order = np.argsort(-added, axis=1, kind="stable")[:, :MOST_CAUSES]
        found = np.empty(len(added), dtype=object)
        for row, places in enumerate(order):
            found[row] = tuple(self.codes[place] for place in places if added[row, place] > LEAST)
        return found


def causes_of_risk(contributions: pd.DataFrame) -> npt.NDArray[np.object_]:
    """The strongest causes of contributions with one column per feature; see ``Causes.strongest``."""
    return Causes.of([str(column) for column in contributions.columns]).strongest(contributions.to_numpy(np.float64))


def joined(codes: Sequence[str]) -> str:
    """Codes as one text; ``split`` takes them apart again."""
    return SEPARATOR.join(dict.fromkeys(codes))


def sentences(codes: str, language: str) -> list[str]:
    """The sentences of joined codes, in ``en`` or ``es``.

    Raises:
        KeyError: A code is not known.
    """
    return [str(getattr(REASONS[code], language)) for code in codes.split(SEPARATOR) if code]
