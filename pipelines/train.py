"""Entry point of the `train` stage."""

from pipelines._entry import run
from spanishgas.stages.train import STAGE

if __name__ == "__main__":
    raise SystemExit(run("train", [STAGE]))
