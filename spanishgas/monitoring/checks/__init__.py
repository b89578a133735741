"""Drift checks, one file each; the list below is the family, in the order in which causes come before effects."""

from spanishgas.monitoring.checks import (
    distribution,
    freshness,
    missingness,
    new_categories,
    prediction,
    rows,
    source_rows,
    vanished_categories,
)
from spanishgas.monitoring.facts import Check

CHECKS: dict[str, Check] = {
    freshness.NAME: freshness.check,
    source_rows.NAME: source_rows.check,
    rows.NAME: rows.check,
    missingness.NAME: missingness.check,
    new_categories.NAME: new_categories.check,
    vanished_categories.NAME: vanished_categories.check,
    distribution.NAME: distribution.check,
    prediction.NAME: prediction.check,
}
