"""Entry point of the `training_set` stage."""

from pipelines._entry import run
from spanishgas.stages.training_set import STAGE

if __name__ == "__main__":
    raise SystemExit(run("training_set", [STAGE]))
