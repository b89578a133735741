"""How customers stand at the decision's time: consent, vulnerability, contacts, contract and churn as known then.

Features are of a date before; what may have changed since, and forbids an offer, is read on the day of the decision.
"""

from collections.abc import Mapping
from datetime import date

import ibis
import ibis.expr.types as ir

from spanishgas.domain.point_in_time import days_between, visible_at, with_visibility

CONSENT = ("is_vulnerable", "marketing_consent", "phone_consent")
NO_OFFER = "none"


def standing(people: ir.Table, silver: Mapping[str, ir.Table], day: date) -> ir.Table:
    """One row per customer of ``people``.

    Args:
        people: ``customer_id``.
        silver: ``customers``, ``contracts``, ``interactions``, ``churn_events``, ``retention_offers``.
        day: The decision's day; what is known at its end counts.

    Returns:
        ``customer_id``, ``has_left``, ``is_vulnerable``, ``marketing_consent``, ``phone_consent``,
        ``days_since_offer``, ``days_since_contact``, ``days_to_renewal`` (negative once past), ``term_age_days``; null
        where not known.
    """
    dates = _only(day)
    gone = departures(silver["churn_events"], day).select("customer_id", has_left=ibis.literal(True))
    parts = (_term(dates, silver["contracts"]), _consent(silver["customers"], day), gone)
    offers = _offers(silver["retention_offers"], day)
    made = offers.filter(offers.action != NO_OFFER)
    contacts = silver["interactions"]
    seen = contacts.filter((contacts.known_at <= day) & (contacts.date <= day))
    table = people.select("customer_id")
    for part in (
        *parts,
        _newest(made, "offer_date", "days_since_offer", day),
        _newest(seen, "date", "days_since_contact", day),
    ):
        table = table.left_join(part, "customer_id").drop("customer_id_right")
    return table.mutate(has_left=table.has_left.fill_null(False))


def departures(churn_events: ir.Table, day: date) -> ir.Table:
    """Who had left by a day, as known on it: ``customer_id``, ``left_on``."""
    events = visible_at(_only(day), with_visibility(churn_events, event=None, key=("customer_id",)))
    # A snapshot without churn dates cannot say who had left when.
    gone = events.filter(events.churn & events.churn_date.notnull() & (events.churn_date <= events.as_of))
    return gone.select("customer_id", left_on=gone.churn_date)


def withheld_offers(retention_offers: ir.Table, day: date) -> ir.Table:
    """Who was given nothing in which campaign, as known on a day: ``campaign_id``, ``customer_id``, ``offer_date``."""
    offers = _offers(retention_offers, day)
    return offers.filter(offers.action == NO_OFFER).select("campaign_id", "customer_id", "offer_date")


def _only(day: date) -> ir.Table:
    return ibis.memtable({"as_of": [day]}, schema={"as_of": "date"})


def _offers(retention_offers: ir.Table, day: date) -> ir.Table:
    rows = with_visibility(retention_offers, event="offer_date", key=("campaign_id", "customer_id"))
    return visible_at(_only(day), rows)


def _term(dates: ir.Table, contracts: ir.Table) -> ir.Table:
    rows = with_visibility(contracts, event="contract_start_date", key=("customer_id", "contract_start_date"))
    terms = visible_at(dates, rows)
    latest = ibis.window(group_by="customer_id", order_by=terms.contract_start_date.desc())
    current = terms.mutate(place=ibis.row_number().over(latest)).filter(lambda found: found.place == 0)
    return current.select(
        "customer_id",
        days_to_renewal=days_between(current.next_renewal_date, current.as_of),
        term_age_days=days_between(current.as_of, current.contract_start_date),
    )


def _consent(customers: ir.Table, day: date) -> ir.Table:
    known = customers.filter(customers.known_at <= day)
    latest = ibis.window(group_by="customer_id", order_by=known.known_at.desc())
    return (
        known.mutate(place=ibis.row_number().over(latest))
        .filter(lambda found: found.place == 0)
        .select("customer_id", *CONSENT)
    )


def _newest(rows: ir.Table, column: str, name: str, day: date) -> ir.Table:
    newest = rows.group_by("customer_id").aggregate(newest=rows[column].max())
    return newest.select("customer_id", **{name: days_between(ibis.literal(day, type="date"), newest.newest)})
