"""Scoring: champion and features become scores, scores and what is known now become decisions."""
