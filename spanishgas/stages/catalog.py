"""Every stage, in the order in which tables flow."""

from spanishgas.stages import (
    backtest,
    demo_data,
    drift,
    features,
    ingest,
    measure,
    performance,
    promote,
    recommend,
    replay,
    response,
    retrain_signal,
    score,
    segment,
    silver,
    simulate,
    train,
    training_set,
)
from spanishgas.stages.base import Stage

STAGES: tuple[Stage, ...] = (
    demo_data.STAGE,
    ingest.STAGE,
    silver.STAGE,
    features.STAGE,
    training_set.STAGE,
    train.STAGE,
    segment.STAGE,
    promote.STAGE,
    score.STAGE,
    response.STAGE,
    recommend.STAGE,
    simulate.STAGE,
    drift.STAGE,
    performance.STAGE,
    retrain_signal.STAGE,
    measure.STAGE,
    replay.STAGE,
    backtest.STAGE,
)
