"""Entry point of the `drift` stage."""

from pipelines._entry import run
from spanishgas.stages.drift import STAGE

if __name__ == "__main__":
    raise SystemExit(run("drift", [STAGE]))
