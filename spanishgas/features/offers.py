"""Offers: what the customer was offered before. Whether it was accepted is an outcome and no input."""

import ibis.expr.types as ir

from spanishgas.domain.point_in_time import days_between, visible_at, with_visibility
from spanishgas.domain.units import YEAR_DAYS
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature

NONE = "none"


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "offers", "source": ("retention_offers",), **told})


FEATURES = (
    _feature(name="offers_365d", type="int", unit="offers", window_days=YEAR_DAYS, fill=0,
             description="Retention offers made within the year."),
    _feature(name="days_since_offer", type="int", unit="days",
             description="Days since the last retention offer; null without one."),
    _feature(name="last_offer_action", type="string", description="Tier of the last retention offer."),
    _feature(name="campaigns_365d", type="int", unit="campaigns", window_days=YEAR_DAYS, fill=0,
             description="Campaigns of the year for which the customer was eligible, offer or not."),
)  # fmt: skip


def build(context: Context) -> ir.Table:
    """Features of the offers known at each `as_of`."""
    rows = with_visibility(context.tables["retention_offers"], event="offer_date", key=("campaign_id", "customer_id"))
    found = visible_at(context.dates, rows).semi_join(context.population, ["customer_id", "as_of"])
    rows = found.mutate(age=days_between(found.as_of, found.offer_date))
    offered, year = rows.action != NONE, rows.age < YEAR_DAYS
    return rows.group_by("customer_id", "as_of").aggregate(
        offers_365d=(offered & year).sum(),
        days_since_offer=rows.age.min(where=offered),
        last_offer_action=rows.action.last(where=offered, order_by=[rows.offer_date, rows.campaign_id]),
        campaigns_365d=rows.campaign_id.nunique(where=year),
    )


FAMILY = Family(name="offers", build=build, features=FEATURES)
