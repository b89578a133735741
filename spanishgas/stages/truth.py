"""The demo world's ground truth. Only reports may read it: the ceiling of a model, and the replay of a policy."""

from datetime import date

import pandas as pd

from spanishgas.engine.session import Engine
from spanishgas.engine.store import Manifest, Publication, TableStore

TRUTH = Publication(layer="ground_truth", name="demo")
HAZARDS, MONTHS, OFFERS = "hazards", "months", "offers"
# Recommendations that took effect in the world, where it is continued with some.
ACTIONS = "actions"
# Tag with the settings that the world was made from.
WORLD = "world_settings"


def find_truth(store: TableStore) -> Manifest | None:
    """The ground truth, where the data set has one."""
    found = store.find(TRUTH)
    return found if found is not None and not store.missing_files(found) else None


def true_risks(engine: Engine, store: TableStore, truth: Manifest) -> pd.DataFrame:
    """True probabilities: ``customer_id``, ``as_of``, ``p_horizon``."""
    table = engine.scan(store.files(truth, HAZARDS))
    return engine.frame(table.select("customer_id", "as_of", "p_horizon"))


def read_future(engine: Engine, store: TableStore, truth: Manifest, as_of: date) -> dict[str, pd.DataFrame] | None:
    """What the truth tells of the months after a date, as ``months`` and ``offers``; None where it tells nothing."""
    found = {}
    for name in (MONTHS, OFFERS):
        if name not in truth.tables:
            return None
        table = engine.scan(store.files(truth, name))
        found[name] = engine.frame(table.filter(table.as_of.cast("date") == as_of))
    return found if len(found[MONTHS]) else None
