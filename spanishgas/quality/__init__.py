"""Gates on deliveries: what a delivery must keep to before anything is published from it."""

from spanishgas.quality.base import Found, Gate, Verdict, judge
from spanishgas.quality.delivered import Last, table_facts
from spanishgas.quality.landing import GATES as LANDING_GATES
from spanishgas.quality.landing import LandingFacts
from spanishgas.quality.report import accepted_tags, figures_of, refusal, render_verdicts, unneeded, verdicts_frame
from spanishgas.quality.tables import GATES as TABLE_GATES
from spanishgas.quality.tables import TableFacts

__all__ = [
    "LANDING_GATES",
    "TABLE_GATES",
    "Found",
    "Gate",
    "LandingFacts",
    "Last",
    "TableFacts",
    "Verdict",
    "accepted_tags",
    "figures_of",
    "judge",
    "refusal",
    "render_verdicts",
    "table_facts",
    "unneeded",
    "verdicts_frame",
]
