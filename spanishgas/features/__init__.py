"""Features: what was known of every customer at a date, declared first and point-in-time by construction."""

from spanishgas.features.declaration import Family, Feature, manifest
from spanishgas.features.table import FAMILIES, FeatureResult, build_features, declared, render_report

__all__ = [
    "FAMILIES",
    "Family",
    "Feature",
    "FeatureResult",
    "build_features",
    "declared",
    "manifest",
    "render_report",
]
