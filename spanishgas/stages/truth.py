"""The demo world's ground truth. Only reports may read it: the ceiling of a model, and the replay of a policy."""

import pandas as pd

from spanishgas.engine import Engine
from spanishgas.engine.store import Manifest, Publication, TableStore

TRUTH = Publication(layer="ground_truth", name="demo")
HAZARDS = "hazards"


def find_truth(store: TableStore) -> Manifest | None:
    """The ground truth, where the data set has one."""
    found = store.find(TRUTH)
    return found if found is not None and not store.missing_files(found) else None


def true_risks(engine: Engine, store: TableStore, truth: Manifest) -> pd.DataFrame:
    """True probabilities: ``customer_id``, ``as_of``, ``p_horizon``."""
    table = engine.scan(store.files(truth, HAZARDS))
    return engine.frame(table.select("customer_id", "as_of", "p_horizon"))
