"""Onboarding: from a folder of a retailer's files to a configuration of how they are read, and what is left to decide.

``looking`` reads samples, ``layouts`` recognises what is known, ``matching`` proposes the rest by names and values,
``assemble`` puts a proposal together, ``write`` makes the file of it. Words are data: ``conf/layouts``.
"""

from spanishgas.onboarding.assemble import propose
from spanishgas.onboarding.layouts import Layout, load_layouts
from spanishgas.onboarding.looking import Looked, look
from spanishgas.onboarding.proposal import Proposal
from spanishgas.onboarding.sample import Sample, copy_sample, outcome_of
from spanishgas.onboarding.write import render

__all__ = [
    "Layout",
    "Looked",
    "Proposal",
    "Sample",
    "copy_sample",
    "load_layouts",
    "look",
    "outcome_of",
    "propose",
    "render",
]
