"""Margin: what the customer earned in the last complete months, as far as it is known."""

import ibis
import ibis.expr.types as ir

from spanishgas.domain.exact import exact_mean, exact_sum
from spanishgas.domain.units import MONTHS_PER_YEAR, YEAR_DAYS
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature

SOURCES = ("consumption_daily", "prices", "costs", "customers")
# Costs are settled ten days after their month.
DELAY_DAYS = 10


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "margin", "source": SOURCES, "known_at_delay_days": DELAY_DAYS, **told})


FEATURES = (
    _feature(name="margin_eur_1m", type="float", unit="EUR", window_days=31,
             description="Margin of the last complete month."),
    _feature(name="margin_eur_month_3m", type="float", unit="EUR/month", window_days=92,
             description="Mean monthly margin of the last three complete months."),
    _feature(name="margin_eur_month_12m", type="float", unit="EUR/month", window_days=YEAR_DAYS,
             description="Mean monthly margin of the months known in the last twelve."),
    _feature(name="elec_margin_eur_month_12m", type="float", unit="EUR/month", window_days=YEAR_DAYS,
             description="Mean monthly electricity margin."),
    _feature(name="gas_margin_eur_month_12m", type="float", unit="EUR/month", window_days=YEAR_DAYS,
             description="Mean monthly gas margin; 0 without gas."),
    _feature(name="margin_trend_eur", type="float", unit="EUR/month", window_days=YEAR_DAYS,
             description="Mean of the last three months minus that of the twelve."),
    _feature(name="margin_negative_months_12m", type="int", unit="months", window_days=YEAR_DAYS, fill=0,
             description="Months with a negative margin."),
    _feature(name="margin_months_12m", type="int", unit="months", window_days=YEAR_DAYS, fill=0,
             description="Months whose margin is known."),
    _feature(name="margin_imputed_share_12m", type="float", unit="share", window_days=YEAR_DAYS,
             description="Share of known months with an imputed price."),
)  # fmt: skip


def build(context: Context) -> ir.Table:
    """Features of the last twelve months of ``customer_month_margin``."""
    margin = context.margin
    newest = margin.month.max().over(ibis.window(group_by="as_of"))
    rows = margin.mutate(
        back=(newest.year() * MONTHS_PER_YEAR + newest.month())
        - (margin.month.year() * MONTHS_PER_YEAR + margin.month.month())
    )
    known = rows.margin_eur.notnull()
    recent, year = rows.back < 3, rows.back < MONTHS_PER_YEAR
    table = rows.group_by("customer_id", "as_of").aggregate(
        margin_eur_1m=exact_sum(rows.margin_eur, rows.back == 0),
        margin_eur_month_3m=exact_mean(rows.margin_eur, recent),
        margin_eur_month_12m=exact_mean(rows.margin_eur, year),
        elec_margin_eur_month_12m=exact_mean(rows.elec_margin_eur, year),
        gas_margin_eur_month_12m=exact_mean(rows.gas_margin_eur, year & known),
        margin_negative_months_12m=(rows.margin_eur < 0).sum(where=year).fill_null(0),
        margin_months_12m=known.sum(where=year).fill_null(0),
        imputed=(known & rows.is_price_imputed).sum(where=year),
    )
    return table.mutate(
        margin_trend_eur=table.margin_eur_month_3m - table.margin_eur_month_12m,
        margin_imputed_share_12m=table.imputed / table.margin_months_12m.nullif(0),
    ).select("customer_id", "as_of", *(feature.name for feature in FEATURES))


FAMILY = Family(name="margin", build=build, features=FEATURES)
