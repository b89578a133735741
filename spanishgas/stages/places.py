"""Where stages publish what others look for: known without loading the stages."""

from datetime import date

from spanishgas.engine.store import Publication

# What a decision was taken under, beside the recommendations.
TERMS = "decision_terms"


def features_at(day: date) -> Publication:
    """Where the features of one date are published."""
    return Publication(layer="gold", name="features", partition=f"asof_date={day.isoformat()}")


def segments_at(day: date) -> Publication:
    """Where the segments of a date are published."""
    return Publication(layer="gold", name="segments", partition=f"asof_date={day.isoformat()}")


def scores_on(day: date) -> Publication:
    """Where the scores of a run date are published."""
    return Publication(layer="gold", name="scoring", partition=f"run_date={day.isoformat()}")


def recommended_on(day: date) -> Publication:
    """Where the recommendations of a run date are published."""
    return Publication(layer="gold", name="recommendations", partition=f"run_date={day.isoformat()}")
