"""Evaluation: how well scores rank and how true they are, with intervals; one module for every stage."""

from spanishgas.evaluation.intervals import Comparison, Interval, compare, evaluate
from spanishgas.evaluation.metrics import METRICS, measure

__all__ = ["METRICS", "Comparison", "Interval", "compare", "evaluate", "measure"]
