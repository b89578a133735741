"""Lifecycle: how long, until when, by which way, and who."""

import ibis
import ibis.expr.types as ir

from spanishgas.domain.point_in_time import days_between
from spanishgas.domain.units import YEAR_DAYS
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature

CONTRACTS, CUSTOMERS = ("contracts",), ("customers",)


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "lifecycle", **told})


FEATURES = (
    _feature(name="tenure_days", type="int", unit="days", source=CONTRACTS, monotone=-1,
             description="Days since supply began."),
    _feature(name="days_to_renewal", type="int", unit="days", source=CONTRACTS,
             description="Days until the current term ends; negative once that day has passed without a new term."),
    _feature(name="term_age_days", type="int", unit="days", source=CONTRACTS,
             description="Days since the current term began."),
    _feature(name="contract_terms", type="int", unit="terms", source=CONTRACTS,
             description="Terms known so far, the current one included."),
    _feature(name="days_since_product_change", type="int", unit="days", source=CONTRACTS,
             description="Days since the last change of product; null if there was none yet."),
    _feature(name="product_changed_365d", type="bool", source=CONTRACTS, window_days=YEAR_DAYS,
             description="Whether the product was changed within the year."),
    _feature(name="contracted_power_kw", type="float", unit="kW", source=CUSTOMERS, description="Contracted power."),
    _feature(name="is_business", type="bool", source=CUSTOMERS, description="Business supply."),
    _feature(name="is_second_home", type="bool", source=CUSTOMERS, description="Second home."),
    _feature(name="is_urban", type="bool", source=CUSTOMERS, description="Urban supply point."),
    _feature(name="sales_channel", type="string", source=CUSTOMERS,
             description="Channel through which the customer was won."),
    _feature(name="region", type="string", source=CUSTOMERS, description="Autonomous community."),
    _feature(name="is_vulnerable", type="bool", source=CUSTOMERS, description="Vulnerable customer or social tariff."),
    _feature(name="marketing_consent", type="bool", source=CUSTOMERS, description="Consent to commercial messages."),
    _feature(name="phone_consent", type="bool", source=CUSTOMERS, description="Express consent to commercial calls."),
)  # fmt: skip


def build(context: Context) -> ir.Table:
    """Features of the current term and of the customer's attributes."""
    term = context.term
    # A product change dated in the future has not happened; the column is an event of its own.
    changed = ibis.ifelse(term.last_product_change_date <= term.as_of, term.last_product_change_date, ibis.null("date"))
    since_change = days_between(term.as_of, changed)
    contract = term.select(
        customer_id=term.customer_id,
        as_of=term.as_of,
        tenure_days=days_between(term.as_of, term.activation),
        days_to_renewal=days_between(term.next_renewal_date, term.as_of),
        term_age_days=days_between(term.as_of, term.contract_start_date),
        contract_terms=term.terms,
        days_since_product_change=since_change,
        product_changed_365d=(since_change < YEAR_DAYS).fill_null(False),
    )
    who = context.attributes
    attributes = who.select(
        customer_id=who.customer_id,
        as_of=who.as_of,
        contracted_power_kw=who.contracted_power_kw,
        is_business=who.is_industrial,
        is_second_home=who.is_second_residence,
        is_urban=who.is_urban,
        sales_channel=who.sales_channel,
        region=who.region,
        is_vulnerable=who.is_vulnerable,
        marketing_consent=who.marketing_consent,
        phone_consent=who.phone_consent,
    )
    return attributes.join(contract, ["customer_id", "as_of"])


FAMILY = Family(name="lifecycle", build=build, features=FEATURES)
