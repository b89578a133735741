"""Monitoring: drift, performance on mature outcomes, business, and whether to train again.

Figures are computed with numpy; Evidently renders them, in ``render`` only. Nothing is imported here: `train` needs the
baseline only, and what is imported is part of a stage's code.
"""
