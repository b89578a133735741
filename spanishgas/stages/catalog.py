"""Every stage, in the order in which tables flow."""

from spanishgas.stages import demo_data, features, ingest, silver, training_set
from spanishgas.stages.base import Stage

STAGES: tuple[Stage, ...] = (
    demo_data.STAGE,
    ingest.STAGE,
    silver.STAGE,
    features.STAGE,
    training_set.STAGE,
)
