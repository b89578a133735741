"""Labels: who left when, in 30-day windows, with everything that cannot be told left out and counted.

- An outcome is *mature* when its window's end plus the registration lag is at or before the data cut; what lies later
  is censored, never a negative.
- Beyond the horizon, ``left_day`` and ``observed_days`` go on as far as the files reach; a survival curve learns from
  them.
- Follow-up ends at the first retention offer, so that a score means the risk if nothing is done. Customers who were
  eligible and not offered anything stand for those who were: each such draw weighs them by 1 / its propensity (inverse
  probability of censoring: Robins and Finkelstein, Biometrics 56, 2000).
"""

from datetime import date

import ibis
import ibis.expr.types as ir

from spanishgas.config import LabelSettings
from spanishgas.domain.exact import exact_sum, from_steps, to_steps
from spanishgas.domain.point_in_time import days_between
from spanishgas.engine.session import Engine

WINDOWS = ("0_30", "30_60", "60_90")
NONE = "none"
LABEL_COLUMNS = (
    "split",
    *(f"left_{window}" for window in WINDOWS),
    "left_horizon",
    "churn_reason",
    "followup_days",
    "censored_by",
    *(f"weight_{window}" for window in WINDOWS),
    "left_day",
    "observed_days",
    "sampled",
    "sample_weight",
)
# Days that leaving is told for beyond the horizon.
LONGEST_DAYS = 720


def leavers(events: ir.Table, cut: date) -> ir.Table:
    """Every customer with a label, and when and why the leavers among them left, as known at the data cut.

    Returns:
        ``customer_id``, ``left_on`` (null for stayers), ``reason``.
    """
    told = (events.known_at <= cut) | ~events.churn
    # Whoever is registered as a leaver only after the cut counts as a customer until then. Leaving them out would tell
    # a model at an earlier cut who was to leave later.
    order = [told.desc(), events.known_at.desc(), events.churn.desc()]
    ranked = events.mutate(place=ibis.row_number().over(group_by="customer_id", order_by=order), told=told)
    last = ranked.filter(ranked.place == 0)
    left = last.churn & last.told
    return last.select(
        "customer_id",
        left_on=ibis.ifelse(left, last.churn_date, ibis.null("date")),
        reason=ibis.ifelse(left, last.reason, ibis.null("string")),
    )


def dated_labels(
    engine: Engine, at_risk: ir.Table, events: ir.Table, offers: ir.Table, labels: LabelSettings, cut: date
) -> ir.Table:
    """Outcomes per 30-day window.

    Args:
        engine: The engine.
        at_risk: ``customer_id``, ``as_of``: customers known to be active.
        events: Silver `churn_events`.
        offers: Silver `retention_offers`.
        labels: Horizon, windows, lag.
        cut: Last day that the files are complete for.

    Returns:
        One row per customer and `as_of`, in ``LABEL_COLUMNS`` without split and sample, and two flags,
        ``without_label`` and ``left_unregistered``: such rows are not at risk, or nobody can tell.
    """
    known = engine.materialize(leavers(events, cut))
    table = at_risk.select("customer_id", "as_of").left_join(known.mutate(labelled=True), "customer_id")
    table = table.drop("customer_id_right")
    follow = engine.materialize(table.mutate(left_day=days_between(table.left_on, table.as_of)))
    offered = engine.materialize(_offers(follow, offers, labels, cut))
    joined = follow.left_join(offered, ["customer_id", "as_of"]).drop("customer_id_right", "as_of_right")
    # The last window that is mature at the cut.
    mature = days_between(ibis.literal(cut), joined.as_of) - labels.registration_lag_days
    mature_days = (ibis.greatest(mature, 0) // labels.window_days * labels.window_days).cast("int64")
    horizon = labels.horizon_days
    observed = ibis.least(horizon, mature_days)
    offer_day = joined.offer_day.fill_null(horizon + 1)
    # Whoever leaves on the day of the offer left before it could matter.
    left_first = joined.left_day.notnull() & (joined.left_day <= offer_day)
    by_offer = ~left_first & (offer_day <= observed)
    by_maturity = ~by_offer & (observed < horizon) & ~(joined.left_day.fill_null(horizon + 1) <= observed)
    end = ibis.ifelse(by_offer, offer_day, observed)
    leaves = left_first & (joined.left_day > 0) & (joined.left_day <= observed)
    columns: dict[str, ir.Value] = {}
    for number, window in enumerate(WINDOWS):
        begin, finish = number * labels.window_days, (number + 1) * labels.window_days
        inside = leaves & (joined.left_day > begin) & (joined.left_day <= finish)
        gone = leaves & (joined.left_day <= begin)
        seen = (finish <= end) & (finish <= horizon)
        # A window is over for those who leave in it, however long it lasts; it is unknown where an offer cuts it.
        outcome = ibis.cases((gone, ibis.null("int64")), (inside, 1), (seen, 0), else_=ibis.null("int64"))
        columns[f"left_{window}"] = outcome.cast("int64")
        columns[f"weight_{window}"] = ibis.ifelse(
            outcome.notnull(), joined[f"weight_{window}"].fill_null(1.0), ibis.null("float64")
        )
    complete = end >= horizon
    followed = ibis.least(ibis.least(LONGEST_DAYS, ibis.greatest(mature, 0)), joined.offer_day.fill_null(LONGEST_DAYS))
    left_while_followed = (joined.left_day > 0) & (joined.left_day <= followed)
    # While the horizon is not mature only leavers would be known: a rate of theirs among themselves.
    mature_horizon = observed >= horizon
    return joined.select(
        "customer_id",
        "as_of",
        left_horizon=ibis.cases((leaves & mature_horizon, 1), (complete, 0), else_=ibis.null("int64")).cast("int64"),
        churn_reason=ibis.ifelse(leaves, joined.reason, ibis.null("string")),
        followup_days=ibis.ifelse(leaves, joined.left_day, end).cast("int64"),
        censored_by=ibis.cases(
            (leaves, ibis.null("string")), (by_offer, "offer"), (by_maturity, "maturity"), else_=ibis.null("string")
        ),
        without_label=joined.labelled.isnull(),
        left_unregistered=(joined.left_day <= 0).fill_null(False),
        unknown_propensities=joined.unknown_propensities.fill_null(0),
        left_day=ibis.ifelse(left_while_followed.fill_null(False), joined.left_day, ibis.null("int64")).cast("int64"),
        observed_days=followed.cast("int64"),
        **columns,
    )


def _offers(follow: ir.Table, offers: ir.Table, labels: LabelSettings, cut: date) -> ir.Table:
    """Day of the first offer, and the weights of having been offered nothing through each window."""
    usable = offers.filter((offers.known_at <= cut) & (labels.censor_at_offers))
    newest = ibis.window(group_by=["campaign_id", "customer_id"], order_by=usable.known_at.desc())
    last = usable.mutate(place=ibis.row_number().over(newest)).filter(lambda rows: rows.place == 0)
    joined = follow.join(last, "customer_id")
    day = days_between(joined.offer_date, joined.as_of)
    rows = joined.mutate(offer_day=day).filter((day > 0) & (day <= LONGEST_DAYS))
    # What happens to those who have left already says nothing.
    rows = rows.filter(rows.left_day.isnull() | (rows.offer_day <= rows.left_day))
    spared = rows.action == NONE
    log = ibis.ifelse(rows.propensity > 0, rows.propensity, ibis.null("float64")).ln()
    weights: dict[str, ir.Value] = {}
    for number, window in enumerate(WINDOWS):
        inside = spared & (rows.offer_day <= (number + 1) * labels.window_days)
        # Whole millionths: engines round exponentials each in their own way.
        weights[f"weight_{window}"] = from_steps(to_steps((-exact_sum(log, inside).fill_null(0.0)).exp()))
    return rows.group_by("customer_id", "as_of").aggregate(
        offer_day=rows.offer_day.min(where=~spared),
        unknown_propensities=(spared & log.isnull() & (rows.offer_day <= labels.horizon_days)).sum(),
        **weights,
    )


def snapshot_labels(engine: Engine, at_risk: ir.Table, events: ir.Table, labels: LabelSettings) -> ir.Table:
    """The flag of a source without churn dates, as the outcome of one window as long as the horizon.

    Same columns as ``dated_labels``; the 30-day windows are unknown.
    """
    newest = ibis.window(group_by="customer_id", order_by=[events.known_at.desc(), events.churn.desc()])
    last = events.mutate(place=ibis.row_number().over(newest)).filter(lambda rows: rows.place == 0)
    known = engine.materialize(last.select("customer_id", "churn", "reason"))
    table = at_risk.select("customer_id", "as_of").left_join(known, "customer_id").drop("customer_id_right")
    columns: dict[str, ir.Value] = {}
    for window in WINDOWS:
        columns[f"left_{window}"] = ibis.null("int64")
        columns[f"weight_{window}"] = ibis.null("float64")
    return table.select(
        "customer_id",
        "as_of",
        left_horizon=table.churn.cast("int64"),
        churn_reason=ibis.ifelse(table.churn, table.reason, ibis.null("string")),
        followup_days=ibis.literal(labels.horizon_days, type="int64"),
        censored_by=ibis.null("string"),
        without_label=table.churn.isnull(),
        left_unregistered=ibis.literal(False),
        unknown_propensities=ibis.literal(0, type="int64"),
        left_day=ibis.null("int64"),
        observed_days=ibis.literal(0, type="int64"),
        **columns,
    )
