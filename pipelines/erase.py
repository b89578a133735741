"""Entry point of the `erase` stage."""

from pipelines._entry import run
from spanishgas.stages.erase import STAGE

if __name__ == "__main__":
    raise SystemExit(run("erase", [STAGE]))
