"""Entry point of the `score` stage."""

from pipelines._entry import run
from spanishgas.stages.score import STAGE

if __name__ == "__main__":
    raise SystemExit(run("score", [STAGE]))
