"""Entry point of the `recommend` stage."""

from pipelines._entry import run
from spanishgas.stages.recommend import STAGE

if __name__ == "__main__":
    raise SystemExit(run("recommend", [STAGE]))
