"""Monitoring: drift, performance on mature outcomes, business, and whether to train again.

Figures are computed with numpy; Evidently renders them, in ``render`` only.
"""

from spanishgas.monitoring.baseline import Baseline, build_baseline
from spanishgas.monitoring.drift import Drift, compare
from spanishgas.monitoring.facts import Source, Watched

__all__ = ["Baseline", "Drift", "Source", "Watched", "build_baseline", "compare"]
