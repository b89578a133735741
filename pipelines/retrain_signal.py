"""Entry point of the `retrain_signal` stage."""

from pipelines._entry import run
from spanishgas.stages.retrain_signal import STAGE

if __name__ == "__main__":
    raise SystemExit(run("retrain_signal", [STAGE]))
