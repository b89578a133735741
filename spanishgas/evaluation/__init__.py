"""Evaluation: how well scores rank and how true they are, with intervals; one module for every stage."""

from spanishgas.evaluation.assessment import Scored, assess, by_group, by_window, named, share_of_ceiling
from spanishgas.evaluation.intervals import Comparison, Interval, compare, evaluate
from spanishgas.evaluation.metrics import METRICS, measure

__all__ = [
    "METRICS",
    "Comparison",
    "Interval",
    "Scored",
    "assess",
    "by_group",
    "by_window",
    "compare",
    "evaluate",
    "measure",
    "named",
    "share_of_ceiling",
]
