"""Entry point of the `measure` stage."""

from pipelines._entry import run
from spanishgas.stages.measure import STAGE

if __name__ == "__main__":
    raise SystemExit(run("measure", [STAGE]))
