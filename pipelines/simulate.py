"""Entry point of the `simulate` stage."""

from pipelines._entry import run
from spanishgas.stages.simulate import STAGE

if __name__ == "__main__":
    raise SystemExit(run("simulate", [STAGE]))
