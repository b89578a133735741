"""Entry point of the `features` stage."""

from pipelines._entry import run
from spanishgas.stages.features import STAGE

if __name__ == "__main__":
    raise SystemExit(run("features", [STAGE]))
