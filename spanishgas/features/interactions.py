"""Interactions: how often, about what, in what tone, and what is still open.

Text is the likeliest place of a leak: a note written after the customer left, or from the label, tells the outcome.
Notes are visible from their known-at day only; tone and intent come from fixed word lists, and the leak audit watches
them.
"""

import ibis
import ibis.expr.types as ir

from spanishgas.domain.exact import exact_mean
from spanishgas.domain.point_in_time import days_between, visible_at, with_visibility
from spanishgas.domain.units import YEAR_DAYS
from spanishgas.features import lexicon
from spanishgas.features.context import Context
from spanishgas.features.declaration import Family, Feature

MARK = "\x1f"
COUNTED_INTENTS = ("complaint", "cancellation", "pricing", "billing", "renewal")
PHONE = "phone"


def _feature(**told: object) -> Feature:
    return Feature.model_validate({"family": "interactions", "source": ("interactions",), **told})


FEATURES = (
    *(
        _feature(name=f"interactions_{days}d", type="int", unit="interactions", window_days=days, fill=0,
                 description=f"Interactions within {days} days.")
        for days in (30, 90, YEAR_DAYS)
    ),
    *(
        _feature(name=f"interactions_{intent}_365d", type="int", unit="interactions", window_days=YEAR_DAYS, fill=0,
                 description=f"Interactions about {intent} within the year.")
        for intent in COUNTED_INTENTS
    ),
    _feature(name="interactions_complaint_90d", type="int", unit="interactions", window_days=90, fill=0, monotone=1,
             description="Complaints within 90 days."),
    _feature(name="interactions_unresolved_90d", type="int", unit="interactions", window_days=90, fill=0, monotone=1,
             description="Interactions within 90 days whose note says that they are not resolved."),
    _feature(name="interactions_phone_365d", type="int", unit="interactions", window_days=YEAR_DAYS, fill=0,
             description="Interactions by phone within the year."),
    _feature(name="days_since_interaction", type="int", unit="days",
             description="Days since the last interaction; null without one."),
    _feature(name="sentiment_mean_365d", type="float", unit="score", window_days=YEAR_DAYS, monotone=-1,
             description="Mean tone of the year's notes, from -1 (negative) to 1 (positive); null without notes."),
    _feature(name="sentiment_last", type="float", unit="score", monotone=-1,
             description="Tone of the last note."),
)  # fmt: skip


def tone(text: ir.StringValue) -> ir.NumericValue:
    """Tone of a lower-case note: (positive - negative words) / (positive + negative words); 0 without either."""
    negated = _occurrences(text, lexicon.NEGATED)
    plain = text.re_replace(lexicon.NEGATED, " ")
    good = _occurrences(plain, lexicon.POSITIVE)
    bad = _occurrences(plain, lexicon.NEGATIVE) + negated
    return ((good - bad) / (good + bad).nullif(0)).fill_null(0.0)


def _occurrences(text: ir.StringValue, pattern: str) -> ir.IntegerValue:
    """How often a pattern stands in a text."""
    marked = text.re_replace(pattern, MARK)
    return marked.length() - marked.replace(MARK, "").length()


def build(context: Context) -> ir.Table:
    """Features of the interactions known at each `as_of`."""
    notes = context.tables["interactions"]
    text = notes.interaction_summary.fill_null("").lower()
    read = notes.mutate(
        tone=ibis.ifelse(notes.interaction_summary.isnull(), ibis.null("float64"), tone(text)),
        unresolved=text.re_search(lexicon.UNRESOLVED),
        **{f"about_{intent}": text.re_search(lexicon.INTENTS[intent]) for intent in COUNTED_INTENTS},
    )
    # Each note is read once, whatever the number of dates.
    read = context.engine.materialize(read)
    key = ("customer_id", "date", "channel", "interaction_summary")
    found = visible_at(context.dates, with_visibility(read, event="date", key=key))
    found = found.semi_join(context.population, ["customer_id", "as_of"])
    rows = found.mutate(age=days_between(found.as_of, found.date))
    quarter, year = rows.age < 90, rows.age < YEAR_DAYS
    return rows.group_by("customer_id", "as_of").aggregate(
        **{f"interactions_{days}d": (rows.age < days).sum() for days in (30, 90, YEAR_DAYS)},
        **{
            f"interactions_{intent}_365d": (rows[f"about_{intent}"] & year).sum().fill_null(0)
            for intent in COUNTED_INTENTS
        },
        interactions_complaint_90d=(rows.about_complaint & quarter).sum(),
        interactions_unresolved_90d=(rows.unresolved & quarter).sum(),
        interactions_phone_365d=((rows.channel == PHONE) & year).sum(),
        days_since_interaction=rows.age.min(),
        sentiment_mean_365d=exact_mean(rows.tone, year),
        # Of several notes on the last day the least friendly one counts.
        sentiment_last=rows.tone.first(order_by=[rows.age, rows.tone]),
    )


FAMILY = Family(name="interactions", build=build, features=FEATURES)
