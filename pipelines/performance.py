"""Entry point of the `performance` stage."""

from pipelines._entry import run
from spanishgas.stages.performance import STAGE

if __name__ == "__main__":
    raise SystemExit(run("performance", [STAGE]))
